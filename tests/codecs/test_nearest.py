"""Which points lie near which: what SciPy's tree says, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from kaname.codecs import nearest as module
from kaname.codecs.nearest import LEAF, nearest, neighbours


@pytest.mark.parametrize("count", [1, 2, 9, LEAF, LEAF + 1, 40])
def test_the_nearest_is_that_of_the_tree(count: int) -> None:
    """Places on a coarse lattice, so that many are equally near."""
    random = np.random.default_rng(count)
    for _ in range(20):
        others = random.integers(0, 9, (count, 2)) / 2
        points = random.integers(0, 9, (200, 2)) / 2
        np.testing.assert_array_equal(nearest(points, others), cKDTree(others).query(points)[1])
    assert nearest(np.zeros((0, 2)), others).shape == (0,)


@pytest.mark.parametrize("many", [0, 1000])
def test_neighbours_are_those_of_the_tree(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a radius that some lie at exactly; by the tree and without it."""
    monkeypatch.setattr(module, "MANY", many)
    points = np.random.default_rng(3).integers(0, 9, (60, 2)) / 2
    near, tree = neighbours(points, 1.5), cKDTree(points)
    for index in range(len(points)):
        found = np.zeros(len(points), bool)
        found[near(index)] = True
        assert np.flatnonzero(found).tolist() == sorted(tree.query_ball_point(points[index], 1.5))
