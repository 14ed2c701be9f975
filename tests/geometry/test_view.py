"""Views: a dot through each fit and back, on canvases, in crops that leave the picture, at sizes that do not divide."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.view import View

VIEWS = [
    View("letterbox", (64, 64)), View("letterbox", (57, 91)), View("letterbox", (60, 60), (70, 71)),
    View("stretch", (48, 64)), View("stretch", (60, 60), (70, 63)), View("crop", (64, 64), factor=1.25),
    View("crop", (40, 72)),
]  # fmt: skip
SIZES = [(128, 96), (97, 53), (31, 200)]


def dot(size: tuple[int, int], place: np.ndarray, radius: float) -> np.ndarray:
    """A soft white dot with its centre at ``place`` (x, y)."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return (255 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * radius**2))).astype(np.float32)


def centre(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(image * x).sum(), (image * y).sum()]) / image.sum()


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("whole", [True, False])
def test_a_dot_there_and_back(view: View, size: tuple[int, int], whole: bool) -> None:
    """Where the map says that the dot lies, there the picture of it has it, and the inverse brings it home."""
    height, width = size
    place = np.array([0.45 * width, 0.55 * height])
    box = None if whole else [0.2 * width, 0.25 * height, 0.8 * width, 0.9 * height]
    into = view.into(size, box)
    radius = 1.5 * max(1.0, 1 / into.scale)
    seen = into.image(dot(size, place, radius), view.input_size)
    assert seen.shape == view.input_size
    expected = into.points([place])[0]
    np.testing.assert_allclose(centre(seen), expected, atol=0.05 * max(1.0, into.scale))
    np.testing.assert_allclose(into.inverse().points([expected])[0], place, atol=1e-9)


@given(st.integers(1, 300), st.integers(1, 300))
def test_whole_pictures_fill_what_they_should(height: int, width: int) -> None:
    corners = np.array([[0.0, 0.0], [width, height]])
    stretched = View("stretch", (30, 40), (36, 41)).into((height, width)).points(corners)
    np.testing.assert_allclose(stretched, [[0, 3], [40, 33]], atol=1e-9)
    plain, on_canvas = View("letterbox", (30, 40)), View("letterbox", (30, 40), (37, 40))
    assert plain.into((height, width)) == Affine.letterbox((height, width), (30, 40))
    moved = on_canvas.into((height, width)).points(corners) - plain.into((height, width)).points(corners)
    np.testing.assert_allclose(moved, [[0, 3], [0, 3]], atol=1e-9)
    whole = View("crop", (20, 20)).into((height, width)).points(corners)
    np.testing.assert_allclose(whole.mean(axis=0), [10, 10], atol=1e-9)
    np.testing.assert_allclose(np.ptp(whole, axis=0).max(), 20, atol=1e-9)


def test_a_crop_keeps_its_shape_and_its_centre() -> None:
    view = View("crop", (20, 30), factor=2)
    boxes = np.array([[10.0, 10, 40, 20], [0, 0, 3, 12]])
    np.testing.assert_allclose(view.region(boxes), [[-5, -5, 55, 35], [-16.5, -6, 19.5, 18]])
    np.testing.assert_allclose(view.region(boxes[1]), view.region(boxes)[1])


def test_outside_is_black() -> None:
    image = np.full((20, 20), 200.0, np.float32)
    seen = View("crop", (40, 40)).into((20, 20), [-20, 0, 20, 40]).image(image, (40, 40))
    assert (seen[:, :20] == 0).all() and (seen[20:] == 0).all() and (seen[:20, 20:] == 200).all()
    seen = View("stretch", (10, 10), (14, 15)).into((20, 20)).image(image, (14, 15))
    assert (seen[2:12, 2:12] == 200).all() and seen.sum() == 200 * 100


def test_a_box_of_a_letterbox_is_whole_pixels_of_the_image() -> None:
    into = View("letterbox", (8, 8)).into((16, 32), [3.5, 1.2, 19.4, 99.0])
    np.testing.assert_allclose(into.points([[3, 1], [20, 16]]), [[0, 0], [8, 7]], atol=0.6)
    np.testing.assert_allclose(into.matrix[0], Affine.letterbox((15, 17), (8, 8)).matrix[0] + [0, 0, -3 * 8 / 17])


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_a_card_keeps_it(view: View) -> None:
    assert View.from_dict(json.loads(json.dumps(view.to_dict()))) == view
    assert View.from_dict({"fit": "stretch", "size": [3, 4]}) == View("stretch", (3, 4))


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"fit": "zoom", "size": [3, 3]}, "unknown fit 'zoom'"), ({"fit": "crop", "size": [0, 3]}, "at least"),
        ({"fit": "crop", "size": [3, 3], "factor": 0}, "greater than 0"), ({"fit": "crop"}, "not a view"),
        ({"fit": "crop", "size": [3, 3], "factor": "x"}, "not a view"), ([], "not a view"),
        ({"fit": "crop", "size": [3, 3], "canvas": [9, 9]}, "no canvas"), ({"fit": "crop", "size": 3}, "not a view"),
        ({"fit": "stretch", "size": [3, 3], "canvas": [2, 9]}, "smaller than the picture"),
    ],
)  # fmt: skip
def test_refusals(values: Any, part: str) -> None:
    with pytest.raises(InputError, match=part):
        View.from_dict(values)
