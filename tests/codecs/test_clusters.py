"""Mean shift against scikit-learn, and the way from a heatmap to points."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contracts.codec import CodecContract
from kaname.codecs.clusters import mean_shift, peaks
from kaname.codecs.heatmap import encode_sets
from kaname.errors import InputError
from kaname.geometry.grid import Grid


def reference(points, bandwidth):
    sklearn = pytest.importorskip("sklearn")
    cluster = pytest.importorskip("sklearn.cluster")
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):  # the same result, sooner
        return cluster.MeanShift(bandwidth=bandwidth).fit(points).cluster_centers_


def assert_same_set(found, expected, tolerance=0.1):
    assert found.shape == expected.shape
    distance = np.linalg.norm(found[:, None] - expected[None], axis=2)
    assert distance.min(axis=0).max() <= tolerance
    assert distance.min(axis=1).max() <= tolerance


def gaussians(centres, size, sigma):
    """A heatmap (h, w) with a peak of 1 at each of the (x, y) cell indices."""
    y, x = np.mgrid[: size[0], : size[1]]
    heat = np.zeros(size)
    for cx, cy in centres:
        heat = np.maximum(heat, np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2)))
    return heat


def dial(rng, size, notches, sigma, noise=0.0):
    """A heatmap of a dial's notches on an arc, with blobs of different height that may touch."""
    angle = np.deg2rad(rng.uniform(90, 150) + np.linspace(0, rng.uniform(120, 300), notches))
    radius = size * rng.uniform(0.2, 0.42)
    centres = np.column_stack([np.cos(angle), np.sin(angle)]) * radius + size / 2 + rng.normal(0, 1, (notches, 2))
    y, x = np.mgrid[:size, :size]
    heat = np.zeros((size, size))
    for (cx, cy), height in zip(centres, rng.uniform(0.55, 1.0, notches), strict=True):
        heat = np.maximum(heat, height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2)))
    return heat + noise * rng.random((size, size))


class Clusters(CodecContract):
    """Any number of points in a map; a Gaussian's cells above one half are a disc of 1.18 sigma."""

    weighted = False
    sigmas = (2.0, 3.0)
    several = 6
    apart = 17.0
    worst = 0.5
    border = 1.7  # the part of the disc that is outside is missing from the mean

    def encode(self, points, size, stride, sigma):
        return encode_sets([points], size, stride, sigma)

    def decode(self, maps, stride, sigma):
        cell = max(Grid.of(stride).stride_yx)
        return peaks(maps[0], stride, bandwidth=1.5 * sigma * cell, weighted=self.weighted)[0]


class TestPlainClusters(Clusters):
    weighted = False


class TestWeightedClusters(Clusters):
    weighted = True


@pytest.mark.parametrize("seed", range(60))
def test_thresholded_dials_equal_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    size = 72
    heat = dial(rng, size, int(rng.integers(1, 14)), rng.uniform(1.2, 2.4), noise=rng.choice([0.0, 0.1]))
    stride = rng.choice([1.0, 2.0, 3.5, 4.0, 448 / 196], 2)
    rows, columns = np.nonzero(heat > rng.choice([0.4, 0.5, 0.6, 0.8]))
    points = (np.column_stack([columns, rows]) + 0.5) * stride + rng.choice([0.0, 0.25, 17.3])
    points = points[rng.permutation(len(points))][: 250 if seed < 3 else 50]
    if len(points) == 0:
        assert mean_shift(points, 5.0).shape == (0, 2)
        return
    bandwidth = rng.uniform(3, 6) * stride.max()
    assert_same_set(mean_shift(points, bandwidth), reference(points, bandwidth))


@pytest.mark.parametrize("seed", range(70))
def test_scatter_equals_scikit_learn(seed):
    rng = np.random.default_rng(1000 + seed)
    points = rng.uniform(-50, 50, (int(rng.integers(1, 36)), 2)) * rng.choice([1e-3, 1.0, 1e4])
    bandwidth = float(np.ptp(points) * rng.uniform(0.02, 0.6)) or 1.0
    assert_same_set(mean_shift(points, bandwidth), reference(points, bandwidth), 1e-3 * bandwidth)


@pytest.mark.parametrize("seed", range(80))
def test_sparse_and_tiny_lattices_equal_scikit_learn(seed):
    rng = np.random.default_rng(2000 + seed)
    points = rng.integers(0, rng.integers(2, 40), (int(rng.integers(1, 30)), 2)) + rng.choice([0.0, 0.5])
    bandwidth = float(rng.choice([1.0, 2.0, 3.0, 5.0, 7.3]))  # whole numbers put points exactly on the rim
    assert_same_set(mean_shift(points, bandwidth), reference(points, bandwidth))


@pytest.mark.parametrize("seed", range(4))
def test_lattice_kept_in_float32(seed):
    rng = np.random.default_rng(seed)
    stride = 448 / 196
    points = (rng.integers(0, 30, (80, 2)) * stride + stride / 2).astype(np.float32)
    # scikit-learn would keep its means in float32, too: the same points in float64 are the reference.
    assert_same_set(mean_shift(points, 9.0), reference(points.astype(np.float64), 9.0))


def test_order_is_that_of_scikit_learn():
    heat = dial(np.random.default_rng(5), 80, 9, 2.0)
    points = np.argwhere(heat > 0.5)[:, ::-1] + 0.5
    np.testing.assert_array_equal(mean_shift(points, 5.0), reference(points, 5.0))


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (8, 8), (3, 15)])
def test_full_blocks_and_lines(shape):
    points = np.argwhere(np.ones(shape))[:, ::-1] * 1.0
    for bandwidth in (0.4, 1.0, 4.0, 100.0):
        assert_same_set(mean_shift(points, bandwidth), reference(points, bandwidth))


def test_edge_cases():
    assert mean_shift([], 3.0).shape == (0, 2)
    assert mean_shift(np.zeros((0, 2)), 3.0).shape == (0, 2)
    np.testing.assert_array_equal(mean_shift([[3.25, -7.5]], 0.1), [[3.25, -7.5]])
    np.testing.assert_array_equal(mean_shift([[1.0, 2.0]] * 7, 5.0), [[1.0, 2.0]])
    np.testing.assert_allclose(mean_shift([[0, 0], [0, 0], [3, 0]], 4.0), [[1.0, 0.0]])
    huge = np.array([[0.0, 0.0], [1.0, 0.0], [1e9, 1e9]])
    assert_same_set(mean_shift(huge, 2.0), reference(huge, 2.0))
    assert len(mean_shift([[0.0, 0.0], [1e-300, 0.0], [1.0, 1.0]], 0.5)) == 2


@pytest.mark.parametrize(
    ("points", "bandwidth", "weights"),
    [
        ([[0, np.nan]], 1.0, None),
        ([[0, np.inf]], 1.0, None),
        ([[0, 0]], 0.0, None),
        ([[0, 0]], -1.0, None),
        ([[0, 0]], np.nan, None),
        ([[0, 0]], np.inf, None),
        ([], 0.0, None),
        ([[0, 0, 0]], 1.0, None),
        ([0.0, 1.0], 1.0, None),
        ([[0, 0]], 1.0, [-1.0]),
        ([[0, 0]], 1.0, [np.nan]),
        ([[0, 0]], 1.0, [1.0, 1.0]),
        ([[0, 0]], 1.0, [[1.0]]),
    ],
)
def test_bad_input(points, bandwidth, weights):
    with pytest.raises(ValueError) as error:
        mean_shift(points, bandwidth, weights)
    assert isinstance(error.value, InputError)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def slow_weighted(points, weights, bandwidth):
    """The definition, seed by seed."""
    found = {}
    for seed in points:
        mean = seed
        while True:
            near = ((points - mean) ** 2).sum(1) <= bandwidth**2
            old, mean = mean, np.average(points[near], axis=0, weights=weights[near])
            if np.linalg.norm(mean - old) <= 1e-3 * bandwidth:
                break
        found[tuple(mean)] = weights[near].sum()
    kept = []
    for centre in sorted(found, key=lambda c: (found[c], c), reverse=True):
        if all(np.hypot(*np.subtract(centre, other)) > bandwidth for other in kept):
            kept.append(centre)
    return np.array(kept)


@pytest.mark.parametrize("seed", range(30))
def test_weighted_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 25, (80, 2)) * 1.5 if seed % 2 else rng.uniform(0, 40, (80, 2))
    points = np.unique(points, axis=0)
    weights = rng.uniform(0.1, 1.0, len(points))
    assert_same_set(mean_shift(points, 6.0, weights), slow_weighted(points, weights, 6.0), 1e-6)


def test_extreme_weights_stay_finite():
    points = np.argwhere(np.ones((9, 9)))[:, ::-1] * 4.0
    weights = np.full(81, 1e-30)
    weights[40] = 1e30
    found = mean_shift(points, 5.0, weights)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], points[40])


lattices = hnp.arrays(np.int64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(0, 15))


@settings(deadline=None, max_examples=60)
@given(lattices, st.sampled_from([1.0, 2.5, 4.0]), st.integers(0, 2**32 - 1))
def test_properties(points, bandwidth, seed):
    rng = np.random.default_rng(seed)
    points = points + 0.5
    found = mean_shift(points, bandwidth)
    assert 1 <= len(found) <= len(points)
    assert (found >= points.min(0) - 1e-9).all()
    assert (found <= points.max(0) + 1e-9).all()
    gaps = np.linalg.norm(found[:, None] - found[None], axis=2) + np.eye(len(found)) * 1e9
    assert gaps.min() > bandwidth
    # The order of the points says nothing; moving and doubling the lattice moves and doubles the answer.
    np.testing.assert_array_equal(mean_shift(points[rng.permutation(len(points))], bandwidth), found)
    np.testing.assert_allclose(mean_shift(2 * points + [64, -32], 2 * bandwidth), 2 * found + [64, -32], atol=1e-9)
    # Whole weights are repetitions; a weight of zero is absence; equal weights are none.
    repeats = rng.integers(0, 3, len(points))
    weighted = mean_shift(points, bandwidth, repeats)
    np.testing.assert_allclose(weighted, mean_shift(np.repeat(points, repeats, axis=0), bandwidth), atol=1e-9)
    np.testing.assert_allclose(mean_shift(points, bandwidth, np.full(len(points), 2.0)), found, atol=1e-9)


# --- peaks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1.0, 2.0, (2.0, 3.5), Grid(stride_yx=(3.5, 2.0)), Grid((2.0, 2.0), "aligned")])
@pytest.mark.parametrize("weighted", [False, True])
def test_peaks_are_in_input_pixels(stride, weighted):
    grid = stride if isinstance(stride, Grid) else Grid(tuple(np.broadcast_to(stride, 2).astype(float))[::-1])
    cells = np.array([[20.0, 15.0], [40.0, 44.0], [20.0, 50.0]])
    heat = 0.9 * gaussians(cells, (64, 60), 2.0)
    points, scores = peaks(heat, stride, bandwidth=5 * max(grid.stride_yx), weighted=weighted)
    assert_same_set(points, grid.from_index(cells), 1e-6)
    np.testing.assert_allclose(scores, 0.9, atol=1e-9)
    assert points.dtype == scores.dtype == np.float64


def test_peaks_plain_equal_scikit_learn_on_the_cells():
    heat = dial(np.random.default_rng(3), 64, 8, 2.0).astype(np.float32)
    points, _ = peaks(heat, 2.0, bandwidth=11.0)
    wide = heat.astype(np.float64)
    rows, columns = np.nonzero((wide - wide.min()) / np.ptp(wide) > 0.5)
    assert_same_set(points, reference((np.column_stack([columns, rows]) + 0.5) * 2.0, 11.0))


def test_weighted_peaks_follow_the_sub_pixel_place_better():
    heat = gaussians([(20.3, 14.8)], (40, 40), 2.0)
    plain, _ = peaks(heat, 1.0, bandwidth=6.0)
    weighted, _ = peaks(heat, 1.0, bandwidth=6.0, weighted=True)
    truth = np.array([20.8, 15.3])
    assert np.linalg.norm(weighted[0] - truth) <= np.linalg.norm(plain[0] - truth) + 1e-9
    assert np.linalg.norm(weighted[0] - truth) < 0.1


def test_scores_are_each_clusters_own_maximum():
    heat = np.maximum(0.9 * gaussians([(10, 10)], (40, 60), 2.0), 0.6 * gaussians([(45, 25)], (40, 60), 2.0))
    points, scores = peaks(heat, 1.0, bandwidth=6.0)
    assert_same_set(points, np.array([[10.5, 10.5], [45.5, 25.5]]), 0.2)
    np.testing.assert_allclose(np.sort(scores), [0.6, 0.9], atol=1e-6)
    assert scores[np.argmin(points[:, 0])] == pytest.approx(0.9)


def test_single_takes_the_heaviest_cluster():
    heat = np.maximum(0.9 * gaussians([(10, 10)], (40, 60), 3.0), 1.0 * gaussians([(45, 25)], (40, 60), 1.0))
    points, scores = peaks(heat, 1.0, bandwidth=6.0, single=True)
    assert points.shape == (1, 2)
    np.testing.assert_allclose(points, [[10.5, 10.5]], atol=0.05)
    np.testing.assert_allclose(scores, [0.9])


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "heat",
    [
        np.zeros((16, 16)),
        np.ones((16, 16)),
        np.full((16, 16), 0.4),
        np.full((16, 16), np.nan),
        np.full((16, 16), np.inf),
        np.where(np.eye(16) > 0, np.nan, 0.9),
        np.where(np.eye(16) > 0, np.inf, 0.1),
        -np.eye(16),
        np.random.default_rng(0).random((16, 16)) * 0.09,
        np.zeros((0, 0)),
        np.zeros((0, 7)),
    ],
)
def test_no_point_is_invented(heat, single, weighted):
    points, scores = peaks(heat, 1.0, bandwidth=3.0, single=single, weighted=weighted)
    assert points.shape == (0, 2)
    assert scores.shape == (0,)


def test_min_score_is_inclusive_and_raw():
    heat = 0.3 * gaussians([(8, 8)], (16, 16), 1.0)
    assert len(peaks(heat, 1.0, bandwidth=3.0, min_score=heat.max())[0]) == 1
    assert len(peaks(heat, 1.0, bandwidth=3.0, min_score=0.31)[0]) == 0
    assert len(peaks(heat, 1.0, bandwidth=3.0, threshold=1.0)[0]) == 0


def test_peaks_bad_input():
    with pytest.raises(InputError, match="shape"):
        peaks(np.zeros((3, 4, 4)), 1.0, bandwidth=2.0)
    with pytest.raises(InputError, match="stride"):
        peaks(np.eye(4), 0.0, bandwidth=2.0)
    with pytest.raises(InputError, match="bandwidth"):
        peaks(np.eye(4), 1.0, bandwidth=0.0)


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.float32, (9, 11), elements=st.floats(width=32)), st.booleans(), st.booleans())
def test_peaks_never_crash_and_stay_inside(heat, weighted, single):
    points, scores = peaks(heat, (2.0, 3.0), bandwidth=5.0, weighted=weighted, single=single)
    assert len(points) == len(scores)
    assert np.isfinite(points).all()
    assert np.isfinite(scores).all()
    assert (points >= 0).all()
    assert (points <= [22, 27]).all()
