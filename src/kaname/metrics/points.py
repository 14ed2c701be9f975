"""How well a set of predicted points fits a set of true points.

The three measures of dial notches (mean distance, PCK, non-assigned) are those of ethz-asl/analog_gauge_reader
(arXiv 2404.08785): each point looks for its nearest counterpart, so that one prediction may serve several true points.
``matched`` pairs them one to one instead, for precision and recall.

Sets are ``(N, 2)`` arrays of (x, y) in continuous pixels; rows with NaN are missing points and do not count. "Within"
a threshold means distance <= threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.shapes import Bool, Float64, Int64

DENSE = 1 << 16  # pairs of points up to which a table of all their distances is made


def mean_nearest_distance(predicted: ArrayLike, truth: ArrayLike) -> float | None:
    """Mean over the predicted points of the distance to the nearest true point, in pixels.

    Missed true points cost nothing here: read it together with ``pck``.

    Args:
        predicted: ``(P, 2)``.
        truth: ``(T, 2)``.

    Returns:
        Pixels, >= 0; None without predictions or without truth.

    >>> mean_nearest_distance([[0, 0], [10, 1]], [[0, 3], [10, 0]])
    2.0
    """
    predicted, truth = _present(predicted, "predicted"), _present(truth, "truth")
    if len(predicted) == 0 or len(truth) == 0:
        return None
    return float(_nearest(predicted, truth, _table(predicted, truth)).mean())


def nearest_distances(predicted: ArrayLike, truth: ArrayLike) -> Float64[np.ndarray, "present"]:
    """The distance of each predicted point to the nearest true point.

    Args:
        predicted: ``(P, 2)``.
        truth: ``(T, 2)``.

    Returns:
        ``(P,)`` pixels, in the order of the predicted points that are not missing; infinite without truth.

    >>> nearest_distances([[0, 0], [10, 1]], [[0, 3], [10, 0]]).tolist()
    [3.0, 1.0]
    """
    predicted, truth = _present(predicted, "predicted"), _present(truth, "truth")
    return _nearest(predicted, truth, _table(predicted, truth))


def pck(predicted: ArrayLike, truth: ArrayLike, threshold: float) -> float | None:
    """Share of the true points that have a predicted point within the threshold.

    Args:
        predicted: ``(P, 2)``.
        truth: ``(T, 2)``.
        threshold: pixels, >= 0.

    Returns:
        0..1; 0 without predictions; None without truth.

    >>> pck([[0, 0]], [[0, 3], [10, 0]], threshold=3)
    0.5
    """
    _check_threshold(threshold)
    predicted, truth = _present(predicted, "predicted"), _present(truth, "truth")
    if len(truth) == 0:
        return None
    return float((_nearest(truth, predicted, _table(truth, predicted)) <= threshold).mean())


def non_assigned(predicted: ArrayLike, truth: ArrayLike, threshold: float) -> float | None:
    """Share of the predicted points that are farther than the threshold from every true point.

    Args:
        predicted: ``(P, 2)``.
        truth: ``(T, 2)``.
        threshold: pixels, >= 0.

    Returns:
        0..1; 0 without predictions; 1 with predictions and no truth. Never None; the type is that of its siblings.

    >>> non_assigned([[0, 0], [50, 50]], [[0, 3], [10, 0]], threshold=3)
    0.5
    """
    _check_threshold(threshold)
    predicted, truth = _present(predicted, "predicted"), _present(truth, "truth")
    if len(predicted) == 0:
        return 0.0
    return float((_nearest(predicted, truth, _table(predicted, truth)) > threshold).mean())


def matched(
    predicted: ArrayLike, truth: ArrayLike, threshold: float
) -> tuple[int, int, int, Int64[np.ndarray, "pairs 2"]]:
    """Pair predicted and true points one to one within the threshold (Hungarian method).

    As many pairs as possible are formed; among all ways of forming that many, the one with the least sum of
    distances is taken.

    Args:
        predicted: ``(P, 2)``.
        truth: ``(T, 2)``.
        threshold: pixels, >= 0.

    Returns:
        ``(tp, fp, fn, pairs)``: the number of pairs, of predictions and of true points left over, and ``(tp, 2)``
        rows (index into predicted, index into truth) in the order of the predictions. Missing points do not count.

    >>> matched([[0, 0], [1, 0]], [[0, 2]], threshold=3)
    (1, 1, 0, array([[0, 0]]))
    """
    _check_threshold(threshold)
    predicted, truth = _rows(predicted, "predicted"), _rows(truth, "truth")
    here, there = _finite_rows(predicted), _finite_rows(truth)
    ours, true = predicted[here], truth[there]
    pairs = _assign(ours, true, threshold, _table(ours, true))
    pairs = np.column_stack([here[pairs[:, 0]], there[pairs[:, 1]]])
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    return len(pairs), len(here) - len(pairs), len(there) - len(pairs), pairs


def precision_recall_f1(tp: int, fp: int, fn: int) -> tuple[float | None, float | None, float | None]:
    """Precision tp / (tp + fp), recall tp / (tp + fn) and F1 = 2 tp / (2 tp + fp + fn), each 0..1.

    Returns:
        None in place of a share of nothing: precision without predictions, recall without truth, F1 without both.

    >>> precision_recall_f1(tp=3, fp=1, fn=0)
    (0.75, 1.0, 0.8571428571428571)
    >>> precision_recall_f1(0, 0, 2)
    (None, 0.0, 0.0)
    """
    if min(tp, fp, fn) < 0:
        raise InputError(f"counts must not be negative, got tp {tp}, fp {fp}, fn {fn}")
    return _share(tp, tp + fp), _share(tp, tp + fn), _share(2 * tp, 2 * tp + fp + fn)


def set_figures(predicted: ArrayLike, truth: ArrayLike, threshold: float) -> dict[str, float | None]:
    """Every figure of two sets of points ``(N, 2)`` and ``(M, 2)`` by name.

    | figure | meaning | without predictions | without truth |
    |---|---|---|---|
    | ``mean_distance_px`` | mean over predicted points of the distance to the nearest true one | null | null |
    | ``pck`` | share of true points with a predicted one within the threshold | 0 | null |
    | ``non_assigned`` | share of predicted points farther than the threshold from every true one | 0 | 1 |
    | ``precision`` | share of predicted points matched one to one within the threshold | null | 0 |
    | ``recall`` | share of true points matched one to one | 0 | null |
    | ``f1`` | harmonic mean of both, from the counts | 0 | 0 |

    Without either ``non_assigned`` is 0 and the others are null.
    """
    _check_threshold(threshold)
    ours, true = _present(predicted, "predicted"), _present(truth, "truth")
    table = _table(ours, true)
    tp = len(_assign(ours, true, threshold, table))
    precision, recall, f1 = precision_recall_f1(tp, len(ours) - tp, len(true) - tp)
    to_truth = _nearest(ours, true, table)
    to_predicted = _nearest(true, ours, None if table is None else np.transpose(table))
    return {
        "mean_distance_px": float(to_truth.mean()) if len(ours) and len(true) else None,
        "pck": float((to_predicted <= threshold).mean()) if len(true) else None,
        "non_assigned": float((to_truth > threshold).mean()) if len(ours) else 0.0,
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def nme(predicted: ArrayLike, truth: ArrayLike, visible: ArrayLike, normaliser: float | None) -> float | None:
    """Normalized mean error: mean over the visible points of distance / normaliser.

    Args:
        predicted: ``(K, 2)``, in the order of the truth.
        truth: ``(K, 2)``.
        visible: ``(K,)``; a point counts where it is > 0. Points that are NaN on either side do not count.
        normaliser: pixels, such as the distance of the eyes or the diagonal of the box.

    Returns:
        A fraction (0.05 is 5 %); None where no point counts, and where the normaliser is None, not finite or not
        positive.

    >>> nme([[0, 0], [3, 4]], [[0, 0], [0, 0]], visible=[1, 1], normaliser=10)
    0.25
    """
    predicted, truth = _rows(predicted, "predicted"), _rows(truth, "truth")
    seen = np.asarray(visible)
    if predicted.shape != truth.shape or seen.shape != (len(truth),):
        raise InputError(
            "predicted, truth and visible must be about the same points, "
            f"got {len(predicted)}, {len(truth)} and {seen.shape} of them"
        )
    counts = (seen > 0) & ~np.isnan(predicted).any(axis=1) & ~np.isnan(truth).any(axis=1)
    if not counts.any() or normaliser is None or not np.isfinite(normaliser) or normaliser <= 0:
        return None
    return float(_lengths(predicted[counts] - truth[counts]).mean() / normaliser)


def nme_each(
    predicted: Float64[np.ndarray, "objects points 2"],
    truth: Float64[np.ndarray, "objects points 2"],
    visible: Bool[np.ndarray, "objects points"],
    normalisers: Float64[np.ndarray, "objects"],
) -> Float64[np.ndarray, "objects"]:
    """`nme` of many objects at once; NaN instead of None, also for a normaliser that is not known.

    >>> nme_each(np.array([[[0.0, 0], [3, 4]]]), np.zeros((1, 2, 2)), np.array([[True, True]]), np.array([10.0]))
    array([0.25])
    """
    apart = np.hypot(predicted[..., 0] - truth[..., 0], predicted[..., 1] - truth[..., 1])
    counts = visible & ~np.isnan(apart)
    number = counts.sum(axis=1)
    known = (number > 0) & np.isfinite(normalisers) & (normalisers > 0)
    mean = np.where(counts, apart, 0.0).sum(axis=1) / np.maximum(number, 1)
    return np.where(known, mean / np.where(known, normalisers, 1.0), np.nan)


def as_points(points: ArrayLike, name: str) -> Float64[np.ndarray, "points 2"]:
    """Points as an array; ``(0, 2)`` for anything empty. ``name`` is for the message.

    Raises:
        InputError: another shape than (N, 2).
    """
    xy = np.asarray(points, dtype=np.float64)
    if xy.size == 0:
        return np.zeros((0, 2))
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise InputError(f"{name} must have the shape (N, 2), got {xy.shape}")
    return xy


def _lengths(vectors: Float64[np.ndarray, "vectors 2"]) -> Float64[np.ndarray, "vectors"]:
    return np.hypot(vectors[:, 0], vectors[:, 1])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _check_threshold(threshold: float) -> None:
    if not (np.isfinite(threshold) and threshold >= 0):
        raise InputError(f"threshold must be a number of pixels, 0 or more, got {threshold}")


def _rows(points: ArrayLike, name: str) -> Float64[np.ndarray, "points 2"]:
    """The points, NaN where missing."""
    xy = as_points(points, name)
    if np.isinf(xy).any():
        raise InputError(f"{name} contains infinite coordinates", remedy="write NaN for a missing point")
    return xy


def _finite_rows(xy: Float64[np.ndarray, "points 2"]) -> Int64[np.ndarray, "present"]:
    return np.flatnonzero(~np.isnan(xy).any(axis=1)).astype(np.int64)


def _present(points: ArrayLike, name: str) -> Float64[np.ndarray, "present 2"]:
    """The points that are not missing."""
    xy = as_points(points, name)
    if np.isfinite(xy).all():
        return xy
    xy = _rows(xy, name)
    return xy[_finite_rows(xy)]


def _table(
    points: Float64[np.ndarray, "points 2"], others: Float64[np.ndarray, "others 2"]
) -> Float64[np.ndarray, "points others"] | None:
    """All distances; None where there are so many that a k-d tree needs less memory and time."""
    if len(points) * len(others) > DENSE:
        return None
    return np.hypot(points[:, 0][:, None] - others[:, 0], points[:, 1][:, None] - others[:, 1])


def _nearest(
    points: Float64[np.ndarray, "points 2"],
    others: Float64[np.ndarray, "others 2"],
    table: Float64[np.ndarray, "points others"] | None,
) -> Float64[np.ndarray, "points"]:
    """Distance of each point to the nearest other; infinite without others.

    Without a table a k-d tree keeps the memory in proportion to points + others.
    """
    if len(others) == 0:
        return np.full(len(points), np.inf)
    if table is not None:
        return table.min(axis=1)
    from scipy.spatial import cKDTree

    nearest = np.asarray(cKDTree(others).query(points)[1], dtype=np.int64)
    return _lengths(points - others[nearest])


def _links(
    predicted: Float64[np.ndarray, "predicted 2"],
    truth: Float64[np.ndarray, "truth 2"],
    threshold: float,
    table: Float64[np.ndarray, "predicted truth"] | None,
) -> tuple[Int64[np.ndarray, "links"], Int64[np.ndarray, "links"], Float64[np.ndarray, "links"]]:
    """All pairs within the threshold: row of predicted, column of truth, distance."""
    if table is not None:
        row, column = np.nonzero(table <= threshold)
        return row, column, table[row, column]
    from scipy.spatial import cKDTree

    # A hair more than the threshold, then the same distance as everywhere else in this module.
    near = cKDTree(predicted).query_ball_point(truth, threshold * (1 + 1e-9), return_sorted=True)
    column = np.repeat(np.arange(len(truth)), [len(rows) for rows in near])
    row = np.array([index for rows in near for index in rows], dtype=np.int64)
    apart = _lengths(predicted[row] - truth[column])
    within = apart <= threshold
    return row[within], column[within], apart[within]


def _assign(
    predicted: Float64[np.ndarray, "predicted 2"],
    truth: Float64[np.ndarray, "truth 2"],
    threshold: float,
    table: Float64[np.ndarray, "predicted truth"] | None,
) -> Int64[np.ndarray, "pairs 2"]:
    """Pairs of indices within the threshold: the most, then the shortest.

    Only points within the threshold of each other can be paired, so the table of costs splits into small
    independent ones; two points that have nobody else are a pair at once.
    """
    if len(predicted) == 0 or len(truth) == 0:
        return np.zeros((0, 2), dtype=np.int64)
    row, column, apart = _links(predicted, truth, threshold, table)
    alone = (np.bincount(row, minlength=1)[row] == 1) & (np.bincount(column, minlength=1)[column] == 1)
    parts = [np.column_stack([row[alone], column[alone]]).astype(np.int64)]
    if not alone.all():
        row, column, apart = row[~alone], column[~alone], apart[~alone]
        group = _groups(row, column)
        order = np.argsort(group, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        parts += [_assign_group(row[part], column[part], apart[part], threshold) for part in members]
    return np.concatenate(parts)


def _groups(row: Int64[np.ndarray, "links"], column: Int64[np.ndarray, "links"]) -> Int64[np.ndarray, "links"]:
    """For each link (row, column) a number that it shares with all links that it is connected to."""
    group = np.arange(len(row))
    while True:
        # The least number at each end spreads over that end's links, until nothing changes.
        spread = group
        for end in (row, column):
            least = np.full(int(end.max()) + 1, len(row))
            np.minimum.at(least, end, spread)
            spread = least[end]
        if np.array_equal(spread, group):
            return group
        group = spread


def _assign_group(
    row: Int64[np.ndarray, "links"],
    column: Int64[np.ndarray, "links"],
    apart: Float64[np.ndarray, "links"],
    threshold: float,
) -> Int64[np.ndarray, "pairs 2"]:
    """Pairs of one connected group, given the links (row of predicted, column of truth) that are allowed."""
    if (row == row[0]).all() or (column == column[0]).all():  # one point among several: it takes the nearest
        best = int(apart.argmin())
        return np.array([[row[best], column[best]]], dtype=np.int64)
    from scipy.optimize import linear_sum_assignment

    rows, i = np.unique(row, return_inverse=True)
    columns, j = np.unique(column, return_inverse=True)
    # A pair that is not allowed costs more than all allowed ones together, so that as few as possible are taken.
    forbidden = (min(len(rows), len(columns)) + 1) * max(threshold, 1.0)
    cost = np.full((len(rows), len(columns)), forbidden)
    cost[i, j] = apart
    a, b = linear_sum_assignment(cost)
    real = cost[a, b] < forbidden
    return np.column_stack([rows[a[real]], columns[b[real]]]).astype(np.int64)
