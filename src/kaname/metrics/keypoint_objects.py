"""How near, how steady and how well told the key points of objects are along a sequence, beside what HOTA-KP says.

Objects of one class are paired frame by frame, so that the mean distance over the points that the truth has in the
frame is least in all; ids play no part in that. What `measures` returns are sums, so that those of sequences may be
added, and drawn again for an interval.
"""

# NumPy's stubs leave norm and where of parts untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable

import numpy as np
from jaxtyping import Bool, Float64
from scipy.optimize import linear_sum_assignment

from kaname.metrics.hota_kp import Objects

STATES = 3  # out of frame, hidden, visible
VISIBLE, OUT_OF_FRAME = 2, 0
SUMS = ("seen", "found", "placed", "error", "changes", "jitter", "switches", "followed")
"""Visible true points, those found within the limit, those with a predicted place and the sum of their distances;
changes of a point's error from one frame to the next and the sum of their lengths; how often the object that was
nearest to a true one had another id than before, and how often there was one before."""
TOLD = [f"told {true} {called}" for true in range(STATES) for called in range(STATES)]
"""How many known points of a true visibility were told to be of which: `STATES` x `STATES` counts."""
COLUMNS = (*SUMS, *TOLD)
FAR = 1e12  # pixels; in the place of what cannot be compared


def measures(
    truth: Objects, predicted: Objects, grid: range, *, limit: float, reach: float, instances: int = 1
) -> Float64[np.ndarray, "17"]:
    """The sums `COLUMNS` of one class in a sequence.

    A point of the truth counts where it is labelled (its visibility is not -1). An object without a partner is out of
    frame on the other side; what both sides lack, up to ``instances``, was rightly told to be out of frame.

    Args:
        truth, predicted: objects; the visibilities of predictions are read for `TOLD` alone.
        grid: the frames that count.
        limit: pixels within which a point is found.
        reach: pixels of mean distance up to which a partner is taken for the same object, where ids are followed.
        instances: how many of the class there can be at once.
    """
    sums = np.zeros(len(COLUMNS))
    sides = rows_by_frame(truth, grid), rows_by_frame(predicted, grid)
    former: dict[Hashable, tuple[int, Float64[np.ndarray, "points 2"]]] = {}
    known: dict[Hashable, Hashable] = {}
    confusion = np.zeros((STATES, STATES))
    count = max(truth.points.shape[1], predicted.points.shape[1])
    for frame in sorted({*sides[0], *sides[1]}):
        rows = [row for row in sides[0].get(frame, []) if (truth.visible[row] != OUT_OF_FRAME).any()]
        others = sides[1].get(frame, [])
        pairs, apart = pairs_of(truth, predicted, rows, others)
        confusion[OUT_OF_FRAME, OUT_OF_FRAME] += count * max(0, instances - max(len(rows), len(others)))
        for row in rows:
            states, partner = truth.visible[row], pairs.get(row)
            called = np.zeros(count, np.int64) if partner is None else np.clip(predicted.visible[partner], 0, 2)
            np.add.at(confusion, (states[states >= 0], called[states >= 0]), 1)
            seen = states == VISIBLE
            sums[0] += seen.sum()
            if partner is None:
                former.pop(truth.ids[row], None)
                continue
            errors = predicted.points[partner] - truth.points[row]
            distances = np.linalg.norm(errors, axis=1)
            placed = seen & np.isfinite(distances)
            sums[1:4] += (placed & (distances <= limit)).sum(), placed.sum(), distances[placed].sum()
            last, before = former.get(truth.ids[row], (None, errors))
            former[truth.ids[row]] = frame, np.where(placed[:, None], errors, np.nan)
            if last == frame - grid.step:
                changes = np.linalg.norm(errors - before, axis=1)[placed]
                sums[4:6] += np.isfinite(changes).sum(), np.nansum(changes)
            if apart[row] <= reach:
                track = known.get(truth.ids[row])
                sums[6] += track is not None and track != predicted.ids[partner]
                sums[7] += track is not None
                known[truth.ids[row]] = predicted.ids[partner]
        unknown = sum(bool((truth.visible[row] <= 0).all()) for row in rows)  # nobody knows where these objects are
        for alone in sorted(set(others) - set(pairs.values()))[unknown:]:
            np.add.at(confusion[OUT_OF_FRAME], np.clip(predicted.visible[alone], 0, 2), 1)
    empty = len(grid) - len({*sides[0], *sides[1]})
    confusion[OUT_OF_FRAME, OUT_OF_FRAME] += count * instances * empty
    sums[len(SUMS) :] = confusion.ravel()
    return sums


def rows_by_frame(objects: Objects, grid: Container[int]) -> dict[int, list[int]]:
    """Which rows of objects are in each frame of a grid."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, frame in enumerate(objects.frames.tolist()):
        if frame in grid:
            rows[frame].append(row)
    return rows


def pairs_of(
    truth: Objects, predicted: Objects, rows: list[int], others: list[int]
) -> tuple[dict[int, int], dict[int, float]]:
    """The partners of some true objects among some predicted ones, and their mean distance over the visible points.

    Args:
        truth, predicted: objects.
        rows, others: which of them, those of one frame.
    """
    if not rows or not others:
        return {}, {}
    apart = np.linalg.norm(truth.points[rows][:, None] - predicted.points[others][None], axis=3)
    there = (truth.visible[rows] > 0)[:, None]
    cost = _mean(apart, there)
    near = _mean(apart, (truth.visible[rows] == VISIBLE)[:, None])
    pairs: dict[int, int] = {}
    distances: dict[int, float] = {}
    for place, other in zip(*linear_sum_assignment(cost), strict=True):
        if cost[place, other] < FAR:
            pairs[rows[place]] = others[other]
            distances[rows[place]] = float(near[place, other])
    return pairs, distances


def _mean(
    apart: Float64[np.ndarray, "truths predictions points"], counts: Bool[np.ndarray, "truths 1 points"]
) -> Float64[np.ndarray, "truths predictions"]:
    """Mean distance over the points that count and have a place on both sides; `FAR` where there is none."""
    usable = counts & np.isfinite(apart)
    number = usable.sum(axis=2)
    return np.where(number > 0, np.where(usable, apart, 0.0).sum(axis=2) / np.maximum(number, 1), FAR)
