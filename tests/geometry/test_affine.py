"""Affine maps: composition, inverse, points and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)


def test_hundred_thousand_chains_come_back() -> None:
    """Letterbox, then one or two of flip, rotation, scaling and crop, and a grid: every point returns to 1e-6 px."""
    random = np.random.default_rng(0)
    count = 100_000
    source = random.integers(17, 4001, (count, 2)).tolist()
    target = random.integers(31, 1025, (count, 2)).tolist()
    angle = random.uniform(-180, 180, count).tolist()
    scale = random.uniform(0.5, 2, (count, 2)).tolist()
    box = random.uniform(-0.2, 0.4, (count, 2)).tolist()
    extent = random.uniform(0.3, 1, (count, 2)).tolist()
    places = random.uniform(-0.1, 1.1, (count, 3, 2))
    strides = [(float(s), float(s)) for s in range(1, 17)] + [(2.76, 4.90), (4.90, 2.76)]
    grids = [Grid(stride, origin) for stride in strides for origin in ("centred", "aligned")]  # type: ignore[arg-type]
    worst = 0.0
    for i in range(count):
        (height, width), (rows, columns) = source[i], target[i]
        chain = Affine.letterbox((height, width), (rows, columns))
        for kind in {i % 4, i // 4 % 4}:
            if kind == 0:
                chain = Affine.flip(columns) @ chain
            elif kind == 1:
                chain = Affine.rotate(angle[i], (columns / 2, rows / 2)) @ chain
            elif kind == 2:
                chain = Affine.scaling(*scale[i], centre=(columns / 2, rows / 2)) @ chain
            else:
                x, y = box[i][0] * columns, box[i][1] * rows
                corner = (x, y, x + extent[i][0] * columns, y + extent[i][1] * rows)
                chain = Affine.crop(corner, (columns, rows)) @ chain
        grid = grids[i % len(grids)]
        points = places[i] * (width, height)
        back = chain.inverse().points(grid.from_index(grid.to_index(chain.points(points))))
        worst = max(worst, float(np.abs(back - points).max()))
    assert worst <= 1e-6


@given(sizes, sizes)
def test_letterbox(source: tuple[int, int], target: tuple[int, int]) -> None:
    (height, width), (rows, columns) = source, target
    x1, y1, x2, y2 = Affine.letterbox(source, target).boxes([[0, 0, width, height]])[0]
    scale = min(rows / height, columns / width)
    for low, high, side, limit in ((x1, x2, width, columns), (y1, y2, height, rows)):
        inner = max(1, int(np.floor(side * scale + 0.5)))
        assert low == (limit - inner) // 2
        assert high == pytest.approx(low + inner, abs=1e-9)
        assert low >= 0
        assert high <= limit + 1e-9


def test_letterbox_keeps_the_true_scale_of_each_axis() -> None:
    matrix = Affine.letterbox((1001, 333), (448, 448)).matrix
    assert matrix[0, 0] == 149 / 333
    assert matrix[1, 1] == 448 / 1001
    assert matrix[0, 2] == 149


def test_meaning_of_each() -> None:
    corners = np.array([[0, 0], [6, 0], [6, 4], [0, 4.0]])
    np.testing.assert_allclose(Affine.identity().points(corners), corners)
    np.testing.assert_allclose(Affine.resize((4, 6), (8, 3)).points([[6, 4]]), [[3, 8]])
    np.testing.assert_allclose(Affine.crop((1, 1, 3, 2), (10, 40)).points([[1, 1], [3, 2]]), [[0, 0], [40, 10]])
    np.testing.assert_allclose(Affine.flip(6).points([[0.5, 1], [6, 2]]), [[5.5, 1], [0, 2]])
    np.testing.assert_allclose(Affine.shift(2, -3).points([[1, 1]]), [[3, -2]])
    np.testing.assert_allclose(Affine.scaling(2, 3, centre=(1, 1)).points([[1, 1], [2, 2]]), [[1, 1], [3, 4]])
    np.testing.assert_array_equal(Affine.rotate(90, (2, 2)).points([[4, 2]]), [[2, 0]])  # right goes up
    np.testing.assert_allclose(Affine.rotate(45, (0, 0)).points([[1, 0]]), [[2**-0.5, -(2**-0.5)]])
    np.testing.assert_array_equal(Affine.rotate(-360, (2, 2)).matrix, Affine.identity().matrix)


def test_order_scale_equality_and_pickle() -> None:
    a, b = Affine.scaling(2, 3), Affine.shift(1, 1)
    np.testing.assert_allclose((b @ a).points([[1, 1]]), [[3, 4]])
    np.testing.assert_allclose((a @ b).points([[1, 1]]), [[4, 6]])
    assert a.scale == pytest.approx(6**0.5)
    assert (Affine.rotate(30, (5, 5)) @ Affine.flip(7)).scale == pytest.approx(1)
    assert a == Affine.scaling(2, 3)
    assert len({a, Affine.scaling(2, 3), b}) == 2
    assert a != b
    assert a != "a"
    assert pickle.loads(pickle.dumps(a)) == a
    with pytest.raises(ValueError, match="read-only"):
        a.matrix[0, 0] = 5
    given = np.eye(2, 3)
    kept = Affine(given)
    given[0, 0] = 7
    assert kept == Affine.identity()


@settings(max_examples=50)
@given(st.floats(-720, 720), st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_rotation_has_its_inverse(degrees: float, x: float, y: float) -> None:
    forth, back = Affine.rotate(degrees, (x, y)), Affine.rotate(-degrees, (x, y))
    np.testing.assert_allclose(forth.inverse().matrix, back.matrix, atol=1e-8)


def test_points_shapes_and_missing_points() -> None:
    turn = Affine.rotate(10, (1, 1))
    assert turn.points([]).shape == (0, 2)
    assert turn.points(np.zeros((0, 2))).shape == (0, 2)
    mapped = turn.points([[1, 1], [np.nan, 1], [1, np.nan]])
    np.testing.assert_allclose(mapped[0], [1, 1])
    assert np.isnan(mapped[1:]).all()
    assert np.isnan(Affine.identity().points([[np.nan, 1]])).all()
    for wrong in ([1.0, 2.0], [[1.0, 2.0, 3.0]], np.zeros((2, 2, 2)), 3.0):
        with pytest.raises(InputError, match=r"\(N, 2\)"):
            turn.points(wrong)


def test_boxes_are_the_upright_boxes_around() -> None:
    moved = Affine.rotate(90, (0, 0)).boxes([[1, 2, 4, 6], [np.nan] * 4])
    np.testing.assert_allclose(moved[0], [2, -4, 6, -1])
    assert np.isnan(moved[1]).all()
    assert Affine.identity().boxes(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Affine(np.zeros((2, 3))),
        lambda: Affine(np.array([[1.0, 2, 0], [2, 4, 0]])),
        lambda: Affine(np.array([[1.0, 0, np.nan], [0, 1, 0]])),
        lambda: Affine(np.array([[1.0, 0, np.inf], [0, 1, 0]])),
        lambda: Affine(np.eye(3)),
        lambda: Affine("ab"),  # type: ignore[arg-type]
        lambda: Affine.scaling(0, 1),
        lambda: Affine.scaling(np.nan, 1),
        lambda: Affine.shift(np.inf, 0),
        lambda: Affine.resize((0, 4), (4, 4)),
        lambda: Affine.resize((4, 4), (4, -4)),
        lambda: Affine.resize((4.5, 4), (4, 4)),  # type: ignore[arg-type]
        lambda: Affine.letterbox((4, 4), (0, 4)),
        lambda: Affine.crop((3, 0, 1, 5), (4, 4)),
        lambda: Affine.crop((1, 1, 1, 5), (4, 4)),
        lambda: Affine.crop((1, 1, np.nan, 5), (4, 4)),
        lambda: Affine.crop((1, 1, 5), (4, 4)),
        lambda: Affine.rotate(np.nan, (0, 0)),
        lambda: Affine.rotate(3, (0, 0, 0)),
        lambda: Affine.flip(0),
        lambda: Affine.flip(np.inf),
    ],
)
def test_what_is_no_map_is_refused_in_one_line(make) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_tiny_and_huge_scales_are_maps() -> None:
    for scale in (1e-9, 1e9):
        there = Affine.scaling(scale, scale)
        np.testing.assert_allclose((there.inverse() @ there).matrix, np.eye(2, 3))
