"""Which points lie near which: by all distances, and where there are many by SciPy's tree, whose import takes time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kaname.shapes import Float64, Int64

MANY = 1 << 10  # points from which a tree is worth its import
LEAF = 10  # others that a tree of SciPy keeps in one leaf, where it compares with each in turn


def neighbours(points: Float64[np.ndarray, "points 2"], radius: float) -> Callable[[int], Any]:
    """For a point's index what picks the points within ``radius`` of it, by a tree where there are many."""
    if len(points) > MANY:
        from scipy.spatial import cKDTree  # a quarter of a second to import, which few maps need

        tree = cKDTree(points)
        return lambda index: tree.query_ball_point(points[index], radius)
    return lambda index: np.square(points - points[index]).sum(axis=1) <= radius * radius


def nearest(
    points: Float64[np.ndarray, "points 2"], others: Float64[np.ndarray, "others 2"]
) -> Int64[np.ndarray, "points"]:
    """For each point the index of the nearest other one; of several equally near ones the one that SciPy's tree takes:
    of at most `LEAF` the first."""
    if len(points) == 0:
        return np.zeros(0, np.int64)
    if len(others) > LEAF:
        from scipy.spatial import cKDTree

        return np.asarray(cKDTree(others).query(points)[1], dtype=np.int64)
    return np.square(points[:, None] - others[None]).sum(axis=2).argmin(axis=1).astype(np.int64)
