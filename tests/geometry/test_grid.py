"""Grids: where cells lie, and that nobody else counts in half pixels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.grid import PIXELS, Grid, centres, round_half_up, whole_size

SOURCE = Path(__file__).parents[2] / "src" / "kaname"
GRIDS = [
    *(Grid((stride, stride), origin) for stride in (1.0, 2.0, 4.0, 14.0, 16.0) for origin in ("centred", "aligned")),
    Grid((2.76, 4.90), "centred"),
    Grid((2.76, 4.90), "aligned"),
]


def test_a_card_keeps_it() -> None:
    grid = Grid((2.76, 4.0), "aligned")
    assert Grid.from_dict(json.loads(json.dumps(grid.to_dict()))) == grid
    for values in ({}, {"stride_yx": 3, "origin": "centred"}, []):
        with pytest.raises(InputError, match="not a grid"):
            Grid.from_dict(values)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no origin 'corner'"):
        Grid.from_dict({"stride_yx": [1, 1], "origin": "corner"})


def test_pixels_have_their_centre_half_a_pixel_from_their_corner() -> None:
    np.testing.assert_array_equal(PIXELS.from_index([[0, 0], [3, 7]]), [[0.5, 0.5], [3.5, 7.5]])
    np.testing.assert_array_equal(PIXELS.to_index([[0.5, 0.5]]), [[0, 0]])
    np.testing.assert_array_equal(centres(3), [0.5, 1.5, 2.5])


def test_origins() -> None:
    np.testing.assert_allclose(Grid((4, 8)).from_index([[1, 1]]), [[12, 6]])
    np.testing.assert_allclose(Grid((4, 8), "aligned").from_index([[1, 1]]), [[8.5, 4.5]])
    assert Grid((1, 1), "aligned").from_index([[5, 6]]).tolist() == PIXELS.from_index([[5, 6]]).tolist()


@pytest.mark.parametrize("grid", GRIDS)
def test_to_index_and_back(grid: Grid) -> None:
    xy = np.random.default_rng(0).uniform(-50, 2000, (100, 2))
    np.testing.assert_allclose(grid.from_index(grid.to_index(xy)), xy, atol=1e-9)
    np.testing.assert_allclose(grid.to_index(grid.from_index(xy)), xy, atol=1e-9)


@pytest.mark.parametrize("source", GRIDS[:4] + GRIDS[-2:])
@pytest.mark.parametrize("target", [None, PIXELS, *GRIDS[-2:]])
def test_opencv_matrix_is_the_map_between_indices(source: Grid, target: Grid | None) -> None:
    move = Affine.rotate(33, (20, 30)) @ Affine.scaling(1.7, 0.6)
    matrix = source.opencv_matrix(move.matrix, target)
    index = np.random.default_rng(1).uniform(0, 40, (50, 2))
    expected = (target or source).to_index(move.points(source.from_index(index)))
    np.testing.assert_allclose(index @ matrix[:, :2].T + matrix[:, 2], expected, atol=1e-9)


def test_shapes() -> None:
    assert PIXELS.to_index([]).shape == (0, 2)
    assert PIXELS.to_index(np.zeros((3, 5, 2))).shape == (3, 5, 2)
    assert PIXELS.to_index([1.0, 2.0]).tolist() == [0.5, 1.5]
    assert np.isnan(PIXELS.to_index([[np.nan, 1.0]])[0, 0])
    for wrong in (3.0, [[1.0, 2.0, 3.0]], [1.0]):
        with pytest.raises(InputError, match="shape"):
            PIXELS.to_index(wrong)


def test_of_and_between() -> None:
    assert Grid.of(4) == Grid((4, 4))
    assert Grid.of((4.9, 2.76)) == Grid((2.76, 4.9))  # given as (x, y)
    assert Grid.of(GRIDS[-1]) is GRIDS[-1]
    assert Grid.between((540, 960), (196, 196)) == Grid((540 / 196, 960 / 196))
    for wrong in ((1, 2, 3), 0, -1.0, float("nan"), (4, 0)):
        with pytest.raises(InputError, match="stride"):
            Grid.of(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("stride", [(0, 1), (1, -2), (np.nan, 1), (np.inf, 1), (1, 2, 3), "ab", None])
def test_strides_that_make_no_grid(stride: object) -> None:
    with pytest.raises(InputError, match="stride"):
        Grid(stride)  # type: ignore[arg-type]


def test_unknown_origin_lists_the_known() -> None:
    with pytest.raises(InputError, match="centred, aligned"):
        Grid((1, 1), "corner")  # type: ignore[arg-type]


def test_whole_size() -> None:
    assert whole_size((np.int64(3), 4), "x") == (3, 4)
    for wrong in ((0, 4), (3, -1), (3.0, 4), (3,), 5, None, (3, 4, 5)):
        with pytest.raises(InputError, match="the map"):
            whole_size(wrong, "the map")  # type: ignore[arg-type]


@given(st.integers(-1000, 1000))
def test_round_half_up(number: int) -> None:
    assert round_half_up(number) == number
    assert round_half_up(number + 0.5) == number + 1
    assert round_half_up(number + 0.49) == number


def test_half_pixels_stand_in_one_file() -> None:
    """No bare 0.5 is added or taken away elsewhere; painting (samples, drawn noise) may use one as a random bound."""
    half = re.compile(r"(?<![(,] )(?<!\()[+-]\s*0?\.5\b(?!\d)")
    found = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).parts[0] != "samples" and path.name != "grid.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if half.search(line)
    ]
    assert not found, "use geometry.grid: PIXELS.from_index, PIXELS.to_index, centres, round_half_up"
