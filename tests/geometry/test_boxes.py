"""The arithmetic of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kaname.errors import InputError
from kaname.geometry import boxes

corner = arrays(np.float64, (5, 2), elements=st.floats(-100, 100))
extent = arrays(np.float64, (5, 2), elements=st.floats(0, 100))


@drawn(corner, extent)
def test_iou_against_the_definition(low: np.ndarray, extent: np.ndarray) -> None:
    many = np.concatenate([low, low + extent], axis=1)
    table = boxes.iou(many, many)
    np.testing.assert_allclose(table, table.T)
    assert ((table >= 0) & (table <= 1 + 1e-9)).all()
    for i, one in enumerate(many):
        for j, other in enumerate(many):
            across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
            down = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
            union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - across * down
            assert table[i, j] == pytest.approx(across * down / union if union > 0 else 0, abs=1e-9)


def test_iou_shapes() -> None:
    assert boxes.iou(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)
    assert boxes.iou([0, 0, 2, 2], [[0, 0, 2, 1], [0, 0, 2, 2]]).tolist() == [[0.5, 1.0]]
    assert boxes.iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]).tolist() == [[0.0]]


@drawn(corner, extent)
def test_square_and_centre_size(low: np.ndarray, extent: np.ndarray) -> None:
    many = np.concatenate([low, low + extent], axis=1)
    centre, size = boxes.centre_size(many)
    np.testing.assert_allclose(boxes.from_centre_size(centre, size), many, atol=1e-9)
    squares = boxes.square(many)
    centre_after, size_after = boxes.centre_size(squares)
    np.testing.assert_allclose(centre_after, centre, atol=1e-9)
    np.testing.assert_allclose(size_after, np.repeat(size.max(axis=1, keepdims=True), 2, axis=1), atol=1e-9)


def test_pad_clip_area_around() -> None:
    box = [10.0, 20.0, 30.0, 60.0]
    assert boxes.pad(box, 0.1).tolist() == [8, 16, 32, 64]
    assert boxes.pad(box, pixels=5).tolist() == [5, 15, 35, 65]
    assert boxes.pad(box, -2).tolist() == [20, 40, 20, 40]
    assert boxes.clip([[-5, -5, 5, 5], [90, 90, 95, 95]], (20, 30)).tolist() == [[0, 0, 5, 5], [30, 20, 30, 20]]
    assert boxes.area(box) == 800
    assert boxes.area(np.zeros((0, 4))).shape == (0,)
    assert boxes.around([[1, 5], [np.nan, np.nan], [4, 2]]).tolist() == [1, 2, 4, 5]
    assert np.isnan(boxes.around([])).all()
    assert np.isnan(boxes.pad([np.nan] * 4, 0.1)).all()


def test_refusals() -> None:
    with pytest.raises(InputError, match="before it begins"):
        boxes.area([[0, 0, 1, 1], [5, 0, 1, 1]])
    with pytest.raises(InputError, match="shape"):
        boxes.iou([[0, 0, 1]], [[0, 0, 1, 1]])
    with pytest.raises(InputError, match="at least"):
        boxes.clip([0, 0, 1, 1], (0, 5))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (np.zeros((2, 6)), r"\(N, 4\) finite numbers, got \(2, 6\)"), ([[1, 2, 3]], r"got \(1, 3\)"),
        (["a"], "numbers"), ([[0, 0, np.nan, 4]], "finite"), ([[5, 5, 5, 9]], "no pixel"), ([[9, 9, 2, 2]], "no pixel"),
        ([[40, 0, 50, 9]], "no pixel inside the image of 32 x 16"), ([[1, 2], [3, 4, 5, 6]], "numbers"),
    ],
)  # fmt: skip
def test_boxes_that_are_none(given: Any, part: str) -> None:
    with pytest.raises(InputError, match=part):
        boxes.pixel_boxes(given, (16, 32))


def test_boxes_grow_to_whole_pixels_and_stay_inside() -> None:
    assert boxes.pixel_boxes([[-3, 1.2, 40.0, 7.9]], (16, 32)).tolist() == [[0, 1, 32, 8]]


@drawn(corner, extent)
def test_corners_of_other_forms(low: np.ndarray, extent: np.ndarray) -> None:
    expected = np.concatenate([low, low + extent], axis=1)
    np.testing.assert_allclose(boxes.corners(expected, "xyxy"), expected)
    np.testing.assert_allclose(boxes.corners(np.concatenate([low, extent], axis=1), "xywh"), expected)
    centred = np.concatenate(boxes.centre_size(expected), axis=1)
    np.testing.assert_allclose(boxes.corners(centred, "cxcywh"), expected, atol=1e-9)
    assert boxes.corners([1, 2, 3, 4], "xywh").tolist() == [1, 2, 4, 6]
