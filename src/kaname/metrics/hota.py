"""HOTA: how well objects are found, placed and kept apart along a sequence.

Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 2021 (arXiv 2009.07736); equal to
TrackEval's ``HOTA`` within rounding, which the tests measure. Sequences are combined as there: counts are added, and
association is weighted by true positives. Both are sums, so that `counts` of sequences may be added (and drawn again
for an interval) before `figures` makes rates of them.

>>> found = hota([["a"], ["a"]], [[1], [2]], [[[0.9]], [[0.4]]])
>>> found["HOTA_TP"][[0, 7, 8]].tolist(), found["AssA"][0].item()
([2.0, 2.0, 1.0], 0.5)
"""

# NumPy's stubs leave reshape, max and concatenate of parts untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.shapes import Bool, Float64, Int64, Real

ALPHAS = np.arange(0.05, 0.99, 0.05)  # as TrackEval makes them, rounding included
EPSILON = float(np.finfo(np.float64).eps)
COUNTS = ("HOTA_TP", "HOTA_FN", "HOTA_FP", "AssA", "AssRe", "AssPr", "LocA")
"""The rows of `counts`: true positives, misses and false ones; the others are sums over true positives."""
NOTHING = 1e-10  # TrackEval's: a mean over nothing is 1
CLEAR = 1e-12  # by how much the best partner must be better than the next for the assignment to be known at once
DENSE = 1 << 22  # pairs of ids up to which a table of all of them is made
BLOCK = 1 << 16  # similarities that are worked on at once: they stay in the processor's cache

Ids = Sequence[Hashable] | np.ndarray
Counts = Float64[np.ndarray, "7 19"]


def hota(truth_ids: Sequence[Ids], predicted_ids: Sequence[Ids], similarity: Sequence[ArrayLike]) -> dict[str, Any]:
    """HOTA and its parts over the 19 alphas 0.05 ... 0.95.

    Args:
        truth_ids: for each frame the ids ``(n,)`` of the true objects, any hashable values; each once in a frame.
        predicted_ids: for each frame those ``(m,)`` of the predicted objects.
        similarity: for each frame ``(n, m)`` in 0..1.

    Returns:
        Arrays ``(19,)``: ``HOTA``, ``DetA``, ``AssA``, ``DetRe``, ``DetPr``, ``AssRe``, ``AssPr``, ``LocA`` in 0..1 and
        the counts ``HOTA_TP``, ``HOTA_FN``, ``HOTA_FP``. Without any truth or prediction LocA is 1, all else 0.

    Raises:
        InputError: lists of different lengths, shapes that do not fit, a similarity outside 0..1, an id twice in a
            frame; with the frame's place in the lists.
    """
    return figures(counts(truth_ids, predicted_ids, similarity))


def figures(sums: Float64[np.ndarray, "*sequences 7 19"]) -> dict[str, Any]:
    """What `hota` returns, from `counts` or from the sum of several; further axes in front stay."""
    hits, missed, extra, *of_hits, place = np.moveaxis(np.asarray(sums, np.float64), -2, 0)
    ass_a, ass_re, ass_pr = (one / np.maximum(1, hits) for one in of_hits)
    det_a = hits / np.maximum(1, hits + missed + extra)
    return {
        "HOTA": np.sqrt(det_a * ass_a),
        "DetA": det_a,
        "AssA": ass_a,
        "DetRe": hits / np.maximum(1, hits + missed),
        "DetPr": hits / np.maximum(1, hits + extra),
        "AssRe": ass_re,
        "AssPr": ass_pr,
        "LocA": np.maximum(NOTHING, place) / np.maximum(NOTHING, hits),
        "HOTA_TP": hits,
        "HOTA_FN": missed,
        "HOTA_FP": extra,
    }


def class_mean(classes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of rates over classes, where one absent from truth and predictions counts as 0; counts are added."""
    names = next(iter(classes.values()))
    stacked = {name: np.stack([one[name] for one in classes.values()]) for name in names}
    return {name: one.sum(axis=0) if name in COUNTS[:3] else one.mean(axis=0) for name, one in stacked.items()}


def counts(truth_ids: Sequence[Ids], predicted_ids: Sequence[Ids], similarity: Sequence[ArrayLike]) -> Counts:
    """The sums that `figures` makes rates of, in the order of `COUNTS`; those of sequences may be added.

    The arguments and the errors are `hota`'s.
    """
    if not len(truth_ids) == len(predicted_ids) == len(similarity):
        lengths = f"{len(truth_ids)}, {len(predicted_ids)} and {len(similarity)} frames"
        raise InputError(f"truth, predictions and similarities are of {lengths}", remedy="give one of each a frame")
    true, found = _numbered(truth_ids, "truth"), _numbered(predicted_ids, "predicted")
    sums = np.zeros((len(COUNTS), len(ALPHAS)))
    if not len(true.ids) or not len(found.ids):
        sums[1:3] = np.array([[len(true.ids)], [len(found.ids)]])
        return sums
    frames = _Frames(true, found, similarity)
    rows, columns, alike = frames.matches()
    # How many alphas a match passes; those of each pair of ids then give its matches at every alpha.
    passed = np.searchsorted(ALPHAS - EPSILON, alike, side="right")
    kept = passed > 0
    rows, columns, alike, passed = rows[kept], columns[kept], alike[kept], passed[kept]
    pairs, place = np.unique(rows * found.number + columns, return_inverse=True)
    table = np.bincount(place * (len(ALPHAS) + 1) + passed, minlength=len(pairs) * (len(ALPHAS) + 1))
    matches = table.reshape(-1, len(ALPHAS) + 1)[:, :0:-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    truths, predictions = true.counts[pairs // found.number][:, None], found.counts[pairs % found.number][:, None]
    sums[0] = matches.sum(axis=0)
    sums[1], sums[2] = len(true.ids) - sums[0], len(found.ids) - sums[0]
    for row, whole in enumerate((truths + predictions - matches, truths, predictions), 3):
        sums[row] = (matches * matches / np.maximum(1, whole)).sum(axis=0)
    places = np.bincount(passed, weights=alike, minlength=len(ALPHAS) + 1)
    sums[6] = places[:0:-1].cumsum()[::-1]
    return sums


class _Numbered:
    """Ids as numbers from 0: of all frames in a row, where each frame's begin, and how often each id is there."""

    def __init__(self, ids: Int64[np.ndarray, "objects"], lengths: Int64[np.ndarray, "frames"], number: int) -> None:
        self.ids, self.lengths, self.number = ids, lengths, number
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.counts = np.bincount(ids, minlength=number)


def _numbered(frames: Sequence[Ids], what: str) -> _Numbered:
    lengths = np.array([len(ids) for ids in frames], np.int64)
    arrays = [ids for ids in frames if isinstance(ids, np.ndarray)]
    if arrays and len(arrays) == len(frames) and {ids.dtype for ids in arrays} <= {np.dtype(np.int64)}:
        known, ids = np.unique(np.concatenate(arrays), return_inverse=True)
        number = len(known)
    else:
        numbers: dict[Hashable, int] = {}
        given = (one for ids in frames for one in (ids.tolist() if isinstance(ids, np.ndarray) else ids))
        ids = np.fromiter((numbers.setdefault(one, len(numbers)) for one in given), np.int64, int(lengths.sum()))
        number = len(numbers)
    frame_of = np.repeat(np.arange(len(frames)), lengths)
    codes = np.sort(frame_of * max(1, number) + ids)
    again = np.flatnonzero(codes[1:] == codes[:-1])
    if len(again):
        frame = int(codes[again[0]] // number)
        reason = f"an id twice among the {what} objects of frame {frame} of the list"
        raise InputError(reason, remedy="each object of a frame has an id of its own")
    return _Numbered(ids.astype(np.int64).reshape(-1), lengths, number)


class _Place:
    """Where the pairs of some frames of one shape ``(F, n, m)`` lie: in a row where the frames follow each other."""

    def __init__(
        self, starts: Int64[np.ndarray, "frames"], frames: Int64[np.ndarray, "some"], shape: tuple[int, int, int]
    ) -> None:
        self.shape, first, size = shape, int(starts[frames[0]]), shape[1] * shape[2]
        self.index: slice | np.ndarray = slice(first, first + len(frames) * size)
        if starts[frames[-1]] - first != (len(frames) - 1) * size:
            self.index = (starts[frames][:, None] + np.arange(size)).reshape(-1)

    def of(self, values: Real[np.ndarray, "pairs"]) -> Real[np.ndarray, "some rows columns"]:
        return values[self.index].reshape(self.shape)

    def put(self, values: Real[np.ndarray, "pairs"], new: Real[np.ndarray, "some rows columns"]) -> None:
        values[self.index] = new.reshape(-1)


class _Frames:
    """All pairs of a true and a predicted object of one frame, in a row, frame after frame."""

    def __init__(self, true: _Numbered, found: _Numbered, similarity: Sequence[ArrayLike]) -> None:
        self.true, self.found = true, found
        sizes = true.lengths * found.lengths
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.alike = np.empty(int(self.starts[-1]))
        self.pairs = np.empty(int(self.starts[-1]), np.int64)
        shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for frame, shape in enumerate(zip(true.lengths.tolist(), found.lengths.tolist(), strict=True)):
            one = np.asarray(similarity[frame], np.float64)
            if one.shape != shape and one.size + shape[0] * shape[1]:
                reason = f"the similarities of frame {frame} of the list have the shape {one.shape}, its ids {shape}"
                raise InputError(reason, remedy="a row for each true object, a column for each predicted one")
            if one.size:
                self.alike[self.starts[frame] : self.starts[frame + 1]] = one.reshape(-1)
                shapes[shape].append(frame)
        self.shapes = {shape: np.array(frames) for shape, frames in shapes.items()}
        if len(self.alike) and not (self.alike.min() >= 0 and self.alike.max() <= 1):  # NaN compares as False
            raise InputError("a similarity lies outside 0..1", remedy="see kaname.metrics.similarity")

    def blocks(self) -> Iterable[tuple[_Place, Int64[np.ndarray, "frames _n"], Int64[np.ndarray, "frames _m"]]]:
        """Frames of one shape, some at a time: where their pairs are, and their ids ``(F, n)`` and ``(F, m)``."""
        for (rows, columns), frames in self.shapes.items():
            step = max(1, BLOCK // (rows * columns))
            for start in range(0, len(frames), step):
                some = frames[start : start + step]
                place = _Place(self.starts, some, (len(some), rows, columns))
                truths = self.true.ids[self.true.starts[some][:, None] + np.arange(rows)]
                predictions = self.found.ids[self.found.starts[some][:, None] + np.arange(columns)]
                yield place, truths, predictions

    def alignment(self) -> Float64[np.ndarray, "pairs"]:
        """For each pair the Jaccard score of its two ids over the whole sequence, before any matching."""
        shares = np.empty_like(self.alike)
        for place, truths, predictions in self.blocks():
            alike = place.of(self.alike)
            both = alike.sum(axis=1, keepdims=True) + alike.sum(axis=2, keepdims=True)
            both -= alike
            nothing = both <= EPSILON
            if nothing.any():
                both[nothing] = np.inf
            place.put(shares, alike / both)
            place.put(self.pairs, truths[:, :, None] * self.found.number + predictions[:, None, :])
        codes, number = self.pairs, self.true.number * self.found.number
        if number > max(DENSE, 4 * len(codes)):
            known, codes = np.unique(codes, return_inverse=True)
        else:
            known = np.arange(number)
        together = np.bincount(codes, weights=shares, minlength=len(known))  # adds in the order of frames
        apart = self.true.counts[known // self.found.number] + self.found.counts[known % self.found.number]
        return (together / (apart - together)).take(codes)

    def matches(self) -> tuple[Int64[np.ndarray, "pairs"], Int64[np.ndarray, "pairs"], Float64[np.ndarray, "pairs"]]:
        """The matched pairs of all frames: true id, predicted id, similarity."""
        scores = self.alignment() * self.alike
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for place, truths, predictions in self.blocks():
            frame, row, column = _assigned(place.of(scores))
            parts.append((truths[frame, row], predictions[frame, column], place.of(self.alike)[frame, row, column]))
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        first, second, third = zip(*parts, strict=True)
        return np.concatenate(first), np.concatenate(second), np.concatenate(third)


Places = Int64[np.ndarray, "matches"]


def _assigned(scores: Float64[np.ndarray, "frames rows columns"]) -> tuple[Places, Places, Places]:
    """The assignment of the greatest sum in each frame; pairs with a score of 0 may be left out.

    Where every row's best column is its own (or every column's best row), that is the assignment: no other reaches the
    sum of the maxima. Only the other frames need the Hungarian method.
    """
    frames, chosen_rows, chosen_columns = [], [], []
    left = np.arange(len(scores))
    for turned in (False, True):
        if not len(left):
            break
        some = scores[left].swapaxes(1, 2) if turned else scores
        best, clear = _own_best(some)
        frame, one = np.nonzero((best >= 0) & clear[:, None])
        other = best[frame, one]
        frames.append(left[frame])
        chosen_rows.append(other if turned else one)
        chosen_columns.append(one if turned else other)
        left = left[~clear]
    for frame in left.tolist():
        from scipy.optimize import linear_sum_assignment

        row, column = linear_sum_assignment(-scores[frame])
        frames.append(np.full(len(row), frame))
        chosen_rows.append(row)
        chosen_columns.append(column)
    return np.concatenate(frames), np.concatenate(chosen_rows), np.concatenate(chosen_columns)


def _own_best(
    scores: Float64[np.ndarray, "frames rows columns"],
) -> tuple[Int64[np.ndarray, "frames rows"], Bool[np.ndarray, "frames"]]:
    """Each row's best column (-1 without any), and in which frames these are beyond doubt and all different.

    The scores are changed on the way, and given back as they were.
    """
    number, _, columns = scores.shape
    best = scores.argmax(axis=2)
    place = best[:, :, None]
    top = np.take_along_axis(scores, place, axis=2)[:, :, 0]
    if columns > 1:
        np.put_along_axis(scores, place, -1.0, axis=2)
        sure = (top - scores.max(axis=2) > CLEAR) | (top <= 0)
        np.put_along_axis(scores, place, top[:, :, None], axis=2)
    else:
        sure = np.ones(best.shape, np.bool_)
    there = top > 0
    taken = np.bincount((np.arange(number)[:, None] * columns + best)[there], minlength=number * columns)
    clear = sure.all(axis=1) & (taken.reshape(number, columns) <= 1).all(axis=1)
    return np.where(there, best, -1), np.asarray(clear, np.bool_)
