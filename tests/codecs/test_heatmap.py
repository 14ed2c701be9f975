"""Heatmaps: what is encoded is decoded, at every stride, size and origin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import CodecContract
from kaname.codecs.heatmap import METHODS, decode, encode, encode_sets
from kaname.errors import InputError
from kaname.geometry.grid import Grid

SIZE = (48, 61)
STRIDES = [1.0, 4.0, 16, (4.90, 2.76), Grid((2.76, 4.90), "aligned"), Grid((4, 4), "aligned"), Grid((7, 7))]


def inside(count: int, stride: object, margin: float, seed: int = 0) -> np.ndarray:
    """Points of the input whose cells are at least ``margin`` cells within the map."""
    random = np.random.default_rng(seed)
    index = random.uniform(margin, (SIZE[1] - 1 - margin, SIZE[0] - 1 - margin), (count, 2))
    return Grid.of(stride).from_index(index)  # type: ignore[arg-type]


class Heatmaps(CodecContract):
    """One point a map."""

    method = "argmax"

    def encode(self, points, size, stride, sigma):
        return encode(points, np.ones(len(points)), size, stride, sigma)

    def decode(self, maps, stride, sigma):
        points, scores = decode(maps, stride, self.method)
        assert (np.isnan(points).any(axis=1) == (scores == 0)).all() and ((scores >= 0) & (scores <= 1)).all()
        return points[scores > 0]


class TestArgmax(Heatmaps):
    worst = border = 0.5 + 1e-3


class TestSoftArgmax(Heatmaps):
    method = "soft-argmax"
    sigmas = (1.0, 1.5, 2.0, 3.0, 6.0)


class TestDark(Heatmaps):
    method = "dark"
    sigmas = (1.0, 1.5, 2.0, 3.0, 6.0)


def test_every_method_has_its_contract() -> None:
    assert {"argmax", *(one.method for one in (TestSoftArgmax, TestDark))} == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_noise_is_borne(method: str) -> None:
    points = inside(500, 4.0, 0)
    maps = encode(points, np.ones(500), SIZE, 4.0, 2.0) + np.random.default_rng(1).normal(0, 0.02, (500, *SIZE))
    found, _ = decode(maps, 4.0, method)
    error = (found - points) / 4
    assert np.abs(error.mean(axis=0)).max() <= 0.05
    assert np.abs(error).mean() <= (0.3 if method == "argmax" else 0.04)


@pytest.mark.parametrize("method", METHODS)
def test_a_plateau_is_found_in_its_middle(method: str) -> None:
    """Saturated maps have no single highest cell; the first of a plateau is its upper end."""
    points = inside(200, 4.0, 12)
    maps = np.minimum(encode(points, np.ones(200), SIZE, 4.0, 4.0), 0.85)
    maps[:, -2:, -2:] = 0.85  # one elsewhere has no part in it
    error = (decode(maps, 4.0, method)[0] - points) / 4
    assert np.abs(error.mean(axis=0)).max() <= (0.3 if method == "argmax" else 0.03)
    assert np.abs(error).max() <= (1.0 if method == "argmax" else 0.2)


def test_the_map_is_the_formula() -> None:
    points = np.array([[10.3, 20.9], [100.0, 7.0]])
    maps = encode(points, [1, 2], SIZE, Grid((2.0, 3.0), "aligned"), 1.7)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for one, (x, y) in zip(maps, points, strict=True):
        squared = (columns - (x - 0.5) / 3) ** 2 + (rows - (y - 0.5) / 2) ** 2
        np.testing.assert_allclose(one, np.exp(-squared / (2 * 1.7**2)), atol=1e-6)
    assert maps.dtype == np.float32
    assert encode([[2.5, 3.5]], [1], (8, 8), 1.0, 1.0)[0, 3, 2] == 1


def test_missing_points_are_zero_maps() -> None:
    maps = encode([[np.nan, np.nan], [3, 3], [5, 5]], [0, 1, 0], (8, 8), 1.0, 1.0)
    assert maps.any(axis=(1, 2)).tolist() == [False, True, False]
    assert encode([], [], (8, 8), 1.0, 1.0).shape == (0, 8, 8)
    assert encode(np.zeros((0, 2)), np.zeros(0), (8, 8), 1.0, 1.0).dtype == np.float32


def test_points_outside_leave_their_tail() -> None:
    maps = encode([[-1.5, 4], [8.5, 4], [1e300, -1e300]], [1, 1, 1], (8, 8), 1.0, 2.0)
    assert maps[0].max() == pytest.approx(np.exp(-(2.0**2 + 0.5**2) / 8), rel=1e-6)
    assert maps[1].argmax() % 8 == 7
    assert not maps[2].any()
    for method in ("soft-argmax", "dark"):
        found, _ = decode(encode([[-0.4, 4.2], [8.3, 8.4]], [1, 1], (8, 8), 1.0, 2.0), 1.0, method)
        np.testing.assert_allclose(found, [[-0.4, 4.2], [8.3, 8.4]], atol=0.01)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=4), st.floats(0.5, 6))
def test_sets_are_the_maximum(counts: list[int], sigma: float) -> None:
    random = np.random.default_rng(len(counts))
    sets = [random.uniform(-10, 200, (count, 2)) for count in counts]
    maps = encode_sets(sets, SIZE, 4.0, sigma)
    assert maps.shape == (len(counts), *SIZE)
    assert maps.dtype == np.float32
    for one, points in zip(maps, sets, strict=True):
        alone = encode(points, np.ones(len(points)), SIZE, 4.0, sigma)
        np.testing.assert_array_equal(one, alone.max(axis=0) if len(points) else np.zeros(SIZE))


@pytest.mark.parametrize("method", METHODS)
def test_a_map_without_a_peak_has_no_point(method: str) -> None:
    maps = encode([[10.0, 12.0]] * 6, np.ones(6), SIZE, 1.0, 2.0)
    maps[0] = 0
    maps[1, 3, 3] = np.nan
    maps[2, 3, 3] = np.inf
    maps[3, 3, 3] = -np.inf
    maps[4] = -1
    points, scores = decode(maps, 1.0, method)
    assert np.isnan(points[:5]).all()
    assert scores[:5].tolist() == [0] * 5
    assert np.abs(points[5] - [10, 12]).max() <= 0.51
    assert points.dtype == scores.dtype == np.float64


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3), (5, 4)])
def test_tiny_and_flat_maps(method: str, size: tuple[int, int]) -> None:
    points, scores = decode(np.ones((2, *size)), 1.0, method)
    assert np.isfinite(points).all()
    assert scores.tolist() == [1, 1]
    middle = np.array([[size[1] / 2, size[0] / 2]])
    found, _ = decode(encode(middle, [1], size, 1.0, 1.0), 1.0, method)
    assert np.abs(found - middle).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_a_single_cell_is_its_centre(method: str) -> None:
    maps = np.zeros((2, 20, 20))
    maps[0, 9, 11] = maps[1, 0, 19] = 3
    found, scores = decode(maps, (4.0, 2.0), method)
    np.testing.assert_allclose(found, [[46, 19], [78, 1]], atol=1e-6)
    assert scores.tolist() == [3, 3]


def test_any_number_type_and_no_maps() -> None:
    maps = encode([[10.0, 12.0]], [1], SIZE, 1.0, 2.0)
    for dtype in (np.float16, np.float64, np.uint8):
        found, _ = decode((maps * 200).astype(dtype), 1.0, "dark")
        np.testing.assert_allclose(found, [[10, 12]], atol=0.05)
    points, scores = decode(np.zeros((0, 4, 4)), 1.0, "dark")
    assert points.shape == (0, 2)
    assert scores.shape == (0,)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("width", [20, 21])
def test_flipped_maps_give_flipped_points(width: int, flip: bool) -> None:
    points = np.random.default_rng(0).uniform(6, 14, (50, 2))
    maps = encode(points, np.ones(50), (20, width), 1.0, 1.5)
    found, _ = decode(maps[:, :, ::-1] if flip else maps, 1.0, "dark")
    expected = np.column_stack([width - points[:, 0], points[:, 1]]) if flip else points
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode([[1, 2, 3]], [1], (8, 8), 1, 1), "(N, 2)"),
        (lambda: encode([[1, 2]], [1, 1], (8, 8), 1, 1), "visible"),
        (lambda: encode([[np.nan, 2]], [1], (8, 8), 1, 1), "point 0 is visible"),
        (lambda: encode([[1, 2]], [1], (8, 0), 1, 1), "size of a heatmap"),
        (lambda: encode([[1, 2]], [1], (8, 8), 0, 1), "stride"),
        (lambda: encode([[1, 2]], [1], (8, 8), 1, 0), "sigma"),
        (lambda: encode([[1, 2]], [1], (8, 8), 1, np.nan), "sigma"),
        (lambda: encode_sets([[[1, np.inf]]], (8, 8), 1, 1), "channel 0"),
        (lambda: encode_sets([[1, 2, 3]], (8, 8), 1, 1), "(N, 2)"),
        (lambda: decode(np.zeros((8, 8)), 1), "(K, height, width)"),
        (lambda: decode(np.zeros((1, 0, 8)), 1), "(K, height, width)"),
        (lambda: decode(np.zeros((1, 4, 8), complex), 1), "numbers"),
        (lambda: decode(np.zeros((1, 8, 8)), -1), "stride"),
        (lambda: decode(np.zeros((1, 8, 8)), 1, "mean"), "argmax, soft-argmax, dark"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert message in str(caught.value)
