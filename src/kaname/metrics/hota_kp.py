"""HOTA-KP: HOTA of objects made of key points, class by class, on a grid of frames, as the Open Suturing Skills
Challenge 2025 scores it (arXiv 2605.22200).

One rule differs from the challenge's evaluator, on purpose: it took the first frame of each *file*, so that predictions
that begin later were compared with other frames, in silence. Here the truth's grid holds for both.
"""

# NumPy's stubs leave any and stack of parts untyped.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kaname.errors import InputError
from kaname.metrics.hota import ALPHAS, COUNTS, Counts, class_mean, counts, figures
from kaname.metrics.similarity import keypoint_similarity, paired_similarity
from kaname.shapes import Float64, Int64


@dataclass(frozen=True)
class Objects:
    """The objects of one class in a sequence, in any order.

    Attributes:
        frames: ``(N,)`` the number of each object's frame.
        ids: N of any kind.
        points: ``(N, K, 2)`` pixels.
        visible: ``(N, K)`` of the truth; not read of predictions.
    """

    frames: Int64[np.ndarray, "objects"]
    ids: Sequence[Hashable]
    points: Float64[np.ndarray, "objects points 2"]
    visible: Int64[np.ndarray, "objects points"]


NOTHING = Objects(np.zeros(0, np.int64), (), np.zeros((0, 0, 2)), np.zeros((0, 0), np.int64))


@dataclass(frozen=True)
class Scored:
    """What one sequence adds to the score.

    Attributes:
        counts: of each class.
        grid: the frames that were scored.
        left_out: predicted objects in frames off the grid.
        truth_left_out: true ones there.
    """

    counts: Mapping[str, Counts]
    grid: range
    left_out: int = 0
    truth_left_out: int = 0

    @property
    def frames(self) -> int:
        """How many frames the grid has."""
        return len(self.grid)


def frame_grid(frames: Iterable[int], *, length: int | None = None, step: int | None = None) -> range:
    """The frames of a sequence that are scored: from the truth's first to ``length``, both included.

    Args:
        frames: of the truth.
        length: the last frame; None: the truth's.
        step: between two; None: the greatest common divisor of the truth's differences.

    Raises:
        InputError: no frame at all, a length before the first one, a step below 1.

    >>> frame_grid([29, 87, 58]), frame_grid([4, 6, 12], length=9), frame_grid([7])
    (range(29, 88, 29), range(4, 10, 2), range(7, 8))
    """
    known = sorted(set(frames))
    if not known:
        raise InputError("the truth has no frame", remedy="a sequence needs at least one labelled frame")
    last = known[-1] if length is None else length
    if last < known[0]:
        raise InputError(f"--length {last} lies before the first frame, {known[0]}", remedy=f"at least {known[0]}")
    if step is not None and step < 1:
        raise InputError(f"--frame-step must be at least 1, got {step}", remedy="leave it out: auto")
    return range(known[0], last + 1, step or max(1, math.gcd(*(frame - known[0] for frame in known))))


def sequence(
    truth: Mapping[str, Objects],
    predicted: Mapping[str, Objects],
    *,
    frames: Iterable[int] | None = None,
    length: int | None = None,
    step: int | None = None,
    scale_px: float = 10.0,
    kind: str = "gaussian",
) -> Scored:
    """What a sequence adds, for each class of ``truth``.

    True objects all of whose points are out of frame are dropped; those with hidden points alone stay, and cannot be
    matched. Predictions on the grid are never dropped.

    Args:
        truth: by class, also those that are absent.
        predicted: by class; a missing one is absent.
        frames: that are labelled, also those without any object; None: those of the true objects.
        length, step: of `frame_grid`.
        scale_px, kind: of `kaname.metrics.similarity.keypoint_similarity`.

    Raises:
        InputError: what `frame_grid`, `keypoint_similarity` and `kaname.metrics.hota.hota` raise.
    """
    known = (int(frame) for one in truth.values() for frame in one.frames) if frames is None else frames
    grid = frame_grid(known, length=length, step=step)
    sums: dict[str, Counts] = {}
    left = [0, 0]  # true and predicted objects off the grid
    for name, objects in truth.items():
        there = np.asarray((objects.visible > 0).any(axis=1), np.bool_)
        sides: list[dict[int, list[int]]] = []
        others = predicted.get(name, NOTHING)
        for side, (one, kept) in enumerate(((objects, there), (others, np.ones(len(others.frames), np.bool_)))):
            rows: dict[int, list[int]] = defaultdict(list)
            for row, frame in enumerate(one.frames.tolist()):
                if frame not in grid:
                    left[side] += bool(kept[row])
                elif kept[row]:
                    rows[frame].append(row)
            sides.append(rows)
        sums[name] = _class_counts(objects, others, sides[0], sides[1], scale_px, kind)
    return Scored(sums, grid, left_out=left[1], truth_left_out=left[0])


def score(sequences: Iterable[Scored]) -> dict[str, Any]:
    """The figures of sequences together: ``classes``, by name as `hota` returns them, and ``mean`` over all classes.

    A class that neither truth nor predictions have counts as 0. ``mean["HOTA"].mean()`` is the challenge's number.
    """
    sums: dict[str, Counts] = {}
    for one in sequences:
        for name, added in one.counts.items():
            sums[name] = sums.get(name, np.zeros((len(COUNTS), len(ALPHAS)))) + added
    classes = {name: figures(one) for name, one in sums.items()}
    return {"classes": classes, "mean": class_mean(classes)}


def _class_counts(
    truth: Objects,
    predicted: Objects,
    true_rows: Mapping[int, list[int]],
    rows: Mapping[int, list[int]],
    scale_px: float,
    kind: str,
) -> Counts:
    """Frames without any object add nothing and are left out."""
    ids: tuple[list[Any], list[Any]] = ([], [])
    alike: list[np.ndarray] = []
    # One on either side, as most frames have it: all of them at once.
    single = [(own[0], rows[frame][0]) for frame, own in true_rows.items() if len(own) == len(rows.get(frame, ())) == 1]
    left, right = [one for one, _ in single], [other for _, other in single]
    known: dict[int, float] = {}
    if single:
        both = truth.points[left], predicted.points[right], truth.visible[left]
        known = dict(zip(left, paired_similarity(*both, scale_px, kind).tolist(), strict=True))
    for frame in sorted({*true_rows, *rows}):
        true, found = true_rows.get(frame, []), rows.get(frame, [])
        ids[0].append([truth.ids[row] for row in true])
        ids[1].append([predicted.ids[row] for row in found])
        if len(true) == len(found) == 1:
            alike.append(np.array([[known[true[0]]]]))
        elif true and found:
            alike.append(keypoint_similarity(truth.points[true], predicted.points[found], truth.visible[true], scale_px,
                                             kind))  # fmt: skip
        else:
            alike.append(np.zeros((len(true), len(found))))
    return counts(ids[0], ids[1], alike)
