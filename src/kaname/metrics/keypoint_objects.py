"""How near, how steady and how well told the key points of objects are along a sequence, beside what HOTA-KP says.

Objects of one class are paired frame by frame, so that the mean distance over the points that the truth has in the
frame is least in all; ids play no part in that. What `measures` returns are sums, so that those of sequences may be
added, and drawn again for an interval.
"""

# NumPy's stubs leave norm and where of parts untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Mapping, Sequence

import numpy as np

from kaname.geometry.assignment import assigned
from kaname.metrics.hota_kp import Objects
from kaname.shapes import Bool, Float64, Int64

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
    sides = rows_by_frame(truth, grid), rows_by_frame(predicted, grid)
    labelled = {frame: [row for row in rows if (truth.visible[row] != OUT_OF_FRAME).any()] for frame, rows in
                sides[0].items()}  # fmt: skip
    partners, near = _partners(truth, predicted, labelled, sides[1])
    rows = np.array([row for own in labelled.values() for row in own], np.int64)
    partner = np.array([partners.get(row, -1) for row in rows.tolist()], np.int64)
    paired = partner >= 0
    states = truth.visible[rows]
    called, errors = np.zeros_like(states), np.zeros((int(paired.sum()), *truth.points.shape[1:]))
    if paired.any():
        called[paired] = np.clip(predicted.visible[partner[paired]], 0, 2)
        errors = predicted.points[partner[paired]] - truth.points[rows[paired]]
    seen = states == VISIBLE
    distances = np.linalg.norm(errors, axis=2)
    placed = seen[paired] & np.isfinite(distances)
    frames, tracks = truth.frames[rows][paired], _numbered([truth.ids[row] for row in rows[paired].tolist()])
    order = np.lexsort((frames, tracks))
    sums = np.zeros(len(COLUMNS))
    sums[0] = seen.sum()
    sums[1:4] = (placed & (distances <= limit)).sum(), placed.sum(), distances[placed].sum()
    sums[4:6] = _jitter(np.where(placed[:, :, None], errors, np.nan)[order], frames[order], tracks[order], grid.step)
    reached = order[np.array([near.get(row, FAR) for row in rows[paired].tolist()])[order] <= reach]
    called_ids = _numbered([predicted.ids[row] for row in partner[paired].tolist()])
    followed = tracks[reached][1:] == tracks[reached][:-1]
    sums[6] = (followed & (called_ids[reached][1:] != called_ids[reached][:-1])).sum()
    sums[7] = followed.sum()
    confusion = _counted(states, called) + _alone(predicted, labelled, sides[1], set(partners.values()), truth)
    points = max(truth.points.shape[1], predicted.points.shape[1])
    most = {frame: max(len(labelled.get(frame, ())), len(sides[1].get(frame, ()))) for frame in (*labelled, *sides[1])}
    taken = sum(min(instances, count) for count in most.values())
    confusion[OUT_OF_FRAME, OUT_OF_FRAME] += points * (instances * len(grid) - taken)
    sums[len(SUMS) :] = confusion.ravel()
    return sums


def _partners(
    truth: Objects, predicted: Objects, rows: Mapping[int, list[int]], others: Mapping[int, list[int]]
) -> tuple[dict[int, int], dict[int, float]]:
    """The partner of each true object, and their mean distance over the visible points."""
    partners: dict[int, int] = {}
    near: dict[int, float] = {}
    single: list[tuple[int, int]] = []
    for frame, own in rows.items():
        found = others.get(frame, [])
        if len(own) == len(found) == 1:
            single.append((own[0], found[0]))
            continue
        pairs, apart = pairs_of(truth, predicted, own, found)
        partners |= pairs
        near |= apart
    if single:  # one on either side in each frame: all at once
        left, right = (np.array(side) for side in zip(*single, strict=True))
        apart = np.linalg.norm(truth.points[left] - predicted.points[right], axis=2)[:, None]
        cost = _mean(apart, (truth.visible[left] > 0)[:, None])[:, 0]
        visible = _mean(apart, (truth.visible[left] == VISIBLE)[:, None])[:, 0]
        for row, other, one, distance in zip(
            left.tolist(), right.tolist(), cost.tolist(), visible.tolist(), strict=True
        ):
            if one < FAR:
                partners[row], near[row] = other, distance
    return partners, near


def _jitter(
    errors: Float64[np.ndarray, "objects points 2"],
    frames: Int64[np.ndarray, "objects"],
    tracks: Int64[np.ndarray, "objects"],
    step: int,
) -> tuple[float, float]:
    """How many changes of errors there are between frames that follow each other, and the sum of their lengths; rows
    are in the order of tracks and frames."""
    following = (tracks[1:] == tracks[:-1]) & (np.diff(frames) == step)
    lengths = np.linalg.norm((errors[1:] - errors[:-1])[following], axis=2)
    return float(np.isfinite(lengths).sum()), float(np.nansum(lengths))


def _numbered(ids: Sequence[Hashable]) -> Int64[np.ndarray, "_ids"]:
    """A number for each different id."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in ids], np.int64)


def _counted(
    states: Int64[np.ndarray, "objects points"], called: Int64[np.ndarray, "objects points"]
) -> Float64[np.ndarray, "3 3"]:
    """The known points by their true and their told visibility."""
    known = states >= 0
    codes = states[known] * STATES + called[known]
    return np.bincount(codes, minlength=STATES * STATES).reshape(STATES, STATES).astype(np.float64)


def _alone(
    predicted: Objects,
    rows: Mapping[int, list[int]],
    others: Mapping[int, list[int]],
    taken: Container[int],
    truth: Objects,
) -> Float64[np.ndarray, "3 3"]:
    """The points of predicted objects without a partner: truly they are out of frame, but where nobody knows."""
    chosen: list[int] = []
    for frame, found in others.items():
        alone = [row for row in found if row not in taken]
        unknown = sum(bool((truth.visible[row] <= 0).all()) for row in rows.get(frame, ())) if alone else 0
        chosen += alone[unknown:]
    called = np.clip(predicted.visible[chosen], 0, 2)
    return _counted(np.zeros_like(called), called)


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
    for place, other in zip(*(side.tolist() for side in assigned(-cost)), strict=True):
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
