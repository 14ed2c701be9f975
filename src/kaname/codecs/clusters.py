"""Clusters of heatmap cells: how one heatmap becomes any number of points.

``mean_shift`` is the flat-kernel mean shift of scikit-learn's ``MeanShift(bandwidth=...)`` (every point a seed, the
same stopping rule, the same removal of near duplicates), written for cells of a heatmap: on the points of a lattice
the sum over a disc is, row by row, a difference of two prefix sums, so that one step of one trajectory costs as many
look-ups as the disc has rows. Points off a lattice go through a k-d tree. Both give the same clusters.

``peaks`` goes from a heatmap to points in input pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaname.codecs.nearest import nearest, neighbours
from kaname.errors import InputError
from kaname.geometry.grid import Grid
from kaname.shapes import Complex128, Float64, Int64

# From means to the next means and the mass in the kernel around the old ones.
_Step = Callable[[Float64[np.ndarray, "means 2"]], tuple[Float64[np.ndarray, "means 2"], Float64[np.ndarray, "means"]]]

_STOP = 1e-3  # a trajectory ends when it moves at most this part of the bandwidth, as in scikit-learn
_MAX_ITERATIONS = 300
_MAX_CELLS = 1 << 22  # two prefix sums of 32 MiB; a larger lattice is handed to the k-d tree
_BLOCK = 1 << 15  # elements of one block of work: small enough for the processor's cache
_DEVIATION = 1e-3  # lattice positions may be off by this part of a step (coordinates kept as float32)
_WEIGHT_RANGE = 1e9  # beyond it a light point drowns in the rounding of a prefix sum


def mean_shift(
    points: ArrayLike, bandwidth: float, weights: ArrayLike | None = None
) -> Float64[np.ndarray, "centres 2"]:
    """Cluster centres by mean shift with a flat kernel (Comaniciu and Meer, 2002).

    Without weights the centres equal those of scikit-learn's ``MeanShift(bandwidth=bandwidth)``: every point is a
    seed, a seed moves to the mean of the points within the bandwidth until it moves at most 0.001 bandwidths (or 300
    times), and of centres within one bandwidth of each other the one with the most points stays (ties: the greater
    coordinates).

    Args:
        points: ``(N, 2)``, in any unit; a repeated point counts as often as it appears.
        bandwidth: radius of the kernel, in the unit of the points; a point at exactly this distance is inside.
        weights: ``(N,)``, non-negative; the means are weighted and the mass replaces the number of points. Points of
            weight 0 are ignored. Whole-number weights equal repetitions.

    Returns:
        ``(K, 2)`` centres, the heaviest first; ``(0, 2)`` without points.

    Raises:
        InputError: wrong shapes, a point, weight or bandwidth that is not finite, a bandwidth that is not positive,
            a negative weight.

    >>> mean_shift([[0, 0], [1, 0], [9, 9]], bandwidth=2)
    array([[0.5, 0. ],
           [9. , 9. ]])
    """
    xy, mass = _checked(points, bandwidth, weights)
    if len(xy) == 0:
        return np.zeros((0, 2))
    lattice = _Lattice.of(xy, mass, bandwidth)
    step = _tree_step(xy, mass, bandwidth) if lattice is None else _lattice_step(lattice, bandwidth)
    centres, heights = _climb(xy, step, bandwidth)
    return _without_duplicates(centres, heights, bandwidth)


def peaks(
    heatmap: ArrayLike,
    stride: float | tuple[float, float] | Grid,
    *,
    bandwidth: float,
    threshold: float = 0.5,
    min_score: float = 0.1,
    weighted: bool = False,
    single: bool = False,
) -> tuple[Float64[np.ndarray, "points 2"], Float64[np.ndarray, "points"]]:
    """The points in a heatmap: any number of them, or only the clearest.

    The map is normalized to 0..1 by its minimum and maximum, the cells strictly above ``threshold`` are clustered by
    mean shift in input pixels, and each cell belongs to the nearest centre.

    Args:
        heatmap: ``(height, width)``, in 0..1 (probabilities, not logits).
        stride: input pixels in a cell (a number, or ``(x, y)``), or the map's ``Grid``.
        bandwidth: radius of the kernel in input pixels.
        threshold: in 0..1, on the normalized map.
        min_score: a map whose raw maximum is lower has no point: dividing by its own maximum would turn noise into
            points.
        weighted: weight the cells by their normalized values; otherwise the centres equal scikit-learn's on the
            same cells.
        single: at most one point: the mean, weighted by the normalized values, of the heaviest cluster's cells.

    Returns:
        ``(points (K, 2), scores (K,))`` in continuous input pixels; a score is the raw maximum of the cluster's cells.
        The heaviest cluster comes first. ``K = 0`` for a map that is flat, all zero, below ``min_score`` or not
        finite everywhere.

    Raises:
        InputError: a heatmap that is not two-dimensional, a stride or bandwidth that is not positive.
    """
    values = np.asarray(heatmap, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f"a heatmap must have the shape (height, width), got {values.shape}")
    grid = Grid.of(stride)
    nothing = np.zeros((0, 2)), np.zeros(0)
    if values.size == 0 or not np.isfinite(values).all():
        return nothing
    low, high = float(values.min()), float(values.max())
    if high < min_score or high <= 0 or high <= low:
        return nothing
    normalized = (values - low) / (high - low)
    rows, columns = np.nonzero(normalized > threshold)
    if len(rows) == 0:
        return nothing
    cells = grid.from_index(np.column_stack([columns, rows]).astype(np.float64))
    weight, raw = normalized[rows, columns], values[rows, columns]
    centres = mean_shift(cells, bandwidth, weight if weighted else None)
    owner = nearest(cells, centres)
    if single:
        heaviest = int(np.bincount(owner, weights=weight, minlength=len(centres)).argmax())
        mine = owner == heaviest
        point = (cells[mine] * weight[mine, None]).sum(axis=0) / weight[mine].sum()
        return point[None], raw[mine].max(keepdims=True)
    return centres, _scores(centres, owner, cells, raw)


def _scores(
    centres: Float64[np.ndarray, "centres 2"],
    owner: Int64[np.ndarray, "cells"],
    cells: Float64[np.ndarray, "cells 2"],
    raw: Float64[np.ndarray, "cells"],
) -> Float64[np.ndarray, "centres"]:
    """For each centre the greatest value among its cells."""
    scores = np.full(len(centres), -np.inf)
    np.maximum.at(scores, owner, raw)
    # A centre between other clusters' cells may own no cell: it scores as the cell nearest to it.
    empty = ~np.isfinite(scores)
    scores[empty] = raw[nearest(centres[empty], cells)]
    return scores


def _checked(
    points: ArrayLike, bandwidth: float, weights: ArrayLike | None
) -> tuple[Float64[np.ndarray, "points 2"], Float64[np.ndarray, "points"] | None]:
    """Points and weights or None, all of them finite and with some weight."""
    xy = np.asarray(points, dtype=np.float64)
    if xy.size == 0:
        xy = np.zeros((0, 2))
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise InputError(f"points must have the shape (N, 2), got {xy.shape}")
    if not np.isfinite(xy).all():
        raise InputError("points contain NaN or infinity", remedy="drop missing points before clustering")
    if not (np.isfinite(bandwidth) and bandwidth > 0):
        raise InputError(f"bandwidth must be a positive number, got {bandwidth}")
    if weights is None:
        return xy, None
    mass = np.asarray(weights, dtype=np.float64)
    if mass.shape != (len(xy),):
        raise InputError(f"weights must have the shape ({len(xy)},), one for each point, got {mass.shape}")
    if not np.isfinite(mass).all() or bool((mass < 0).any()):
        raise InputError("weights must be finite and not negative")
    return xy[mass > 0], mass[mass > 0]


def _climb(
    seeds: Float64[np.ndarray, "seeds 2"], step: _Step, bandwidth: float
) -> tuple[Float64[np.ndarray, "centres 2"], Float64[np.ndarray, "centres"]]:
    """Let every seed climb; return the distinct end points and the mass there.

    All trajectories advance together. Two that meet have the same future, so they go on as one.
    """
    arrived: list[np.ndarray] = []
    masses: list[np.ndarray] = []
    latest: list[np.ndarray] = []
    means, seed = _merged(seeds, np.arange(len(seeds)))
    for iteration in range(_MAX_ITERATIONS + 1):
        moved, mass = step(means)
        shift = np.linalg.norm(moved - means, axis=1)
        done = (shift <= _STOP * bandwidth) | (iteration == _MAX_ITERATIONS)
        arrived.append(moved[done])
        masses.append(mass[done])
        latest.append(seed[done])
        if bool(done.all()):
            break
        means, seed = _merged(moved[~done], seed[~done])
    centres, heights = np.concatenate(arrived), np.concatenate(masses)
    # One place may be reached with different neighbourhoods; as in scikit-learn the last seed in order decides.
    order = np.lexsort((np.concatenate(latest), centres[:, 1], centres[:, 0]))
    centres, heights = centres[order], heights[order]
    last = np.append((centres[1:] != centres[:-1]).any(axis=1), True)
    return centres[last], heights[last]


def _merged(
    means: Float64[np.ndarray, "means 2"], seed: Int64[np.ndarray, "means"]
) -> tuple[Float64[np.ndarray, "distinct 2"], Int64[np.ndarray, "distinct"]]:
    """The distinct means, each with the greatest index of the seeds that arrived there."""
    order = np.lexsort((seed, means[:, 1], means[:, 0]))
    means, seed = means[order], seed[order]
    last = np.append((means[1:] != means[:-1]).any(axis=1), True)
    return means[last], seed[last]


def _without_duplicates(
    centres: Float64[np.ndarray, "centres 2"], mass: Float64[np.ndarray, "centres"], bandwidth: float
) -> Float64[np.ndarray, "kept 2"]:
    """Of centres within one bandwidth of each other keep the heaviest; ties go to the greater x, then y."""
    order = np.lexsort((centres[:, 1], centres[:, 0], mass))[::-1]
    ranked = centres[order]
    near = neighbours(ranked, bandwidth)
    kept = np.ones(len(ranked), dtype=bool)
    for index in range(len(ranked)):
        if kept[index]:
            kept[near(index)] = False
            kept[index] = True
    return ranked[kept]


@dataclass(frozen=True)
class _Lattice:
    """Points on a regular grid as prefix sums along its rows.

    Attributes:
        x, y: positions of the columns and of the rows.
        step_x, step_y: their spacing.
        deviation: how far, in steps, the columns are from their regular places.
        prefix: the mass left of a column as the real part, mass times x as the imaginary part. One complex array, so
            that one look-up fetches both.
    """

    x: Float64[np.ndarray, "columns"]
    y: Float64[np.ndarray, "rows"]
    step_x: float
    step_y: float
    deviation: float
    prefix: Complex128[NDArray[np.complex128], "rows*(columns+1)"]  # the stubs do not type .real of any array

    @classmethod
    def of(
        cls, xy: Float64[np.ndarray, "points 2"], mass: Float64[np.ndarray, "points"] | None, bandwidth: float
    ) -> _Lattice | None:
        """The lattice of the points; None where there is none, or where it would not pay off."""
        if mass is not None and mass.sum() > _WEIGHT_RANGE * mass.min():
            return None
        across, down = _Axis.of(xy[:, 0]), _Axis.of(xy[:, 1])
        if across is None or down is None:
            return None
        x, y = across.positions, down.positions
        if len(x) * len(y) > _MAX_CELLS or min(2 * bandwidth / down.step, len(y)) > 64 + len(xy):
            return None
        width = len(x) + 1
        place = down.index * width + across.index + 1
        cells = np.reshape(np.bincount(place, weights=mass, minlength=len(y) * width), (len(y), width))
        # Sums of the coordinates themselves, not of indices: for whole and half pixels they are exact, and so equal
        # to the sums that the reference forms, down to the last bit that breaks ties.
        prefix = np.empty(cells.shape, dtype=np.complex128)
        np.cumsum(cells, axis=1, out=prefix.real)
        np.cumsum(cells * np.concatenate(([0.0], x)), axis=1, out=prefix.imag)
        return cls(x, y, across.step, down.step, across.deviation, prefix.ravel())


@dataclass(frozen=True)
class _Axis:
    """Regular positions that hold all values, each value's index, and the worst deviation in steps."""

    positions: Float64[np.ndarray, "positions"]
    step: float
    index: Int64[np.ndarray, "values"]
    deviation: float

    @classmethod
    def of(cls, values: Float64[np.ndarray, "values"]) -> _Axis | None:
        """The axis of these values; None where they are not regular."""
        distinct, inverse = np.unique(values, return_inverse=True)
        if len(distinct) == 1:
            return cls(distinct, 1.0, inverse.astype(np.int64), 0.0)
        step = _common_step(np.diff(distinct))
        if step is None or (distinct[-1] - distinct[0]) / step > _MAX_CELLS:
            return None
        exact = (distinct - distinct[0]) / step
        index = np.rint(exact).astype(np.int64)
        deviation = float(np.abs(exact - index).max())
        if deviation > _DEVIATION or bool((np.diff(index) < 1).any()):
            return None
        positions = distinct[0] + step * np.arange(int(index[-1]) + 1, dtype=np.float64)
        positions[index] = distinct
        return cls(positions, step, index[inverse], deviation)


def _common_step(gaps: Float64[np.ndarray, "gaps"]) -> float | None:
    """The greatest length of which all gaps are whole multiples (Euclid's algorithm with a tolerance)."""
    step = float(gaps.min())
    while float(gaps.max()) < step * _MAX_CELLS:
        rest = np.abs(gaps - step * np.rint(gaps / step))
        rest = rest[rest > _DEVIATION * step]
        if rest.size == 0:
            # Taken over the whole length, because the smallest gap alone may be off by rounding.
            return float(gaps.sum() / np.rint(gaps / step).sum())
        step = float(rest.min())
    return None


def _lattice_step(lattice: _Lattice, bandwidth: float) -> _Step:
    """One step of mean shift by differences of prefix sums, over the rows that the disc can touch."""
    rows, columns = len(lattice.y), len(lattice.x)
    reach = np.arange(min(int(2 * bandwidth / lattice.step_y) + 3, rows))
    block = max(1, _BLOCK // len(reach))
    squared = bandwidth * bandwidth
    slack = 1e-7 * max(1.0, bandwidth / lattice.step_x) + 2 * lattice.deviation

    def ends(
        x: Float64[np.ndarray, "means"],
        dy: Float64[np.ndarray, "means reach"],
        half: Float64[np.ndarray, "means reach"],
        sign: int,
    ) -> Int64[np.ndarray, "means reach"]:
        """The outermost column of the disc on one side (-1, +1), the doubtful ones decided by the exact distance."""
        place = (x[:, None] + sign * half - lattice.x[0]) / lattice.step_x
        column = np.floor(place + slack) if sign > 0 else np.ceil(place - slack)
        doubtful = np.nonzero(np.abs(place - column) < slack)
        least, most = (-1, columns - 1) if sign > 0 else (0, columns)
        index = np.minimum(np.maximum(column, least), most).astype(np.int64)
        at = index[doubtful]
        dx = x[doubtful[0]] - lattice.x[np.minimum(np.maximum(at, 0), columns - 1)]
        outside = dx * dx + dy[doubtful] ** 2 > squared
        index[doubtful] = at - sign * (outside & (at >= 0) & (at < columns))
        return index

    def part(
        means: Float64[np.ndarray, "means 2"],
    ) -> tuple[Float64[np.ndarray, "means 2"], Float64[np.ndarray, "means"]]:
        x, y = means[:, 0], means[:, 1]
        top = np.ceil((y - bandwidth - lattice.y[0]) / lattice.step_y).astype(np.int64) - 1
        row = np.minimum(np.maximum(top, 0), rows - len(reach))[:, None] + reach
        dy = y[:, None] - lattice.y[row]
        rest = squared - dy * dy
        half = np.sqrt(np.maximum(rest, 0.0))
        first = ends(x, dy, half, -1)
        behind = ends(x, dy, half, +1) + 1
        behind = np.where(rest < 0, first, np.maximum(behind, first))
        start = row * (columns + 1)
        inside = lattice.prefix[start + behind] - lattice.prefix[start + first]
        mass = inside.real.sum(axis=1)
        sums = np.stack([inside.imag.sum(axis=1), (inside.real * lattice.y[row]).sum(axis=1)], axis=1)
        return sums / mass[:, None], mass

    return _in_blocks(part, block)


def _tree_step(
    xy: Float64[np.ndarray, "points 2"], weights: Float64[np.ndarray, "points"] | None, bandwidth: float
) -> _Step:
    """One step of mean shift with a k-d tree, for points anywhere."""
    from scipy.spatial import cKDTree

    tree = cKDTree(xy)
    weighted = np.column_stack([xy, np.ones(len(xy))]) * (1.0 if weights is None else weights[:, None])

    def part(
        means: Float64[np.ndarray, "means 2"],
    ) -> tuple[Float64[np.ndarray, "means 2"], Float64[np.ndarray, "means"]]:
        neighbours = tree.query_ball_point(means, bandwidth, return_sorted=False)
        counts = np.fromiter(map(len, neighbours), dtype=np.int64, count=len(means))
        flat = np.fromiter(chain.from_iterable(neighbours), dtype=np.int64, count=int(counts.sum()))
        sums = np.add.reduceat(weighted[flat], np.cumsum(counts) - counts)
        return sums[:, :2] / sums[:, 2:], sums[:, 2]

    return _in_blocks(part, 512)


def _in_blocks(part: _Step, size: int) -> _Step:
    """The same step, ``size`` means at a time, so that the arrays in between stay small."""

    def step(
        means: Float64[np.ndarray, "means 2"],
    ) -> tuple[Float64[np.ndarray, "means 2"], Float64[np.ndarray, "means"]]:
        parts = [part(means[at : at + size]) for at in range(0, len(means), size)]
        return np.concatenate([moved for moved, _ in parts]), np.concatenate([mass for _, mass in parts])

    return step
