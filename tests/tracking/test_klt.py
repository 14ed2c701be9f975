"""Lucas-Kanade with its check: places within a tenth of a pixel, status and return respected, the last place kept."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.geometry.affine import Affine
from kaname.tracking.klt import klt
from tracking.moving import texture

SIZE = (120, 160)


def test_parts_of_a_pixel_in_continuous_coordinates() -> None:
    """Half a pixel is not lost on the way into OpenCV and out of it."""
    ground = texture(3, SIZE)
    points = np.array([[60.0, 50.0], [80.25, 70.5], [100.5, 60.75]])
    shifts = [(0.0, 0.0), (2.4, -1.3), (5.5, -2.25)]
    images = iter([Affine.shift(*shift).image(ground, SIZE) for shift in shifts])
    for shift, (places, probability) in zip(shifts[1:], klt(images, points), strict=True):
        np.testing.assert_allclose(places, points + shift, atol=0.1)
        assert probability.tolist() == [1, 1, 1]


def test_a_lost_point_keeps_its_place_and_stays_lost() -> None:
    """Even when what was there shows again: nobody knows whether it is the same."""
    ground, other = texture(3, SIZE), texture(4, SIZE)
    covered = ground.copy()
    covered[30:90, 60:120] = other[30:90, 60:120]
    points = np.array([[90.0, 60.0], [30.0, 60.0]])
    shifted = Affine.shift(2, 0).image(ground, SIZE)
    answers = list(klt(iter([ground, shifted, covered, ground, ground]), points))
    assert [probability.tolist() for _, probability in answers] == [[1, 1], [0, 1], [0, 1], [0, 1]]
    for places, _ in answers[1:]:
        np.testing.assert_allclose(places[0], [92, 60], atol=0.1)
    np.testing.assert_allclose(answers[-1][0][1], [30, 60], atol=0.1)
    np.testing.assert_array_equal(points, [[90.0, 60.0], [30.0, 60.0]])  # the caller's own are left alone


@pytest.mark.parametrize("value", [0, 128])
def test_nothing_to_hold_on_to(value: int) -> None:
    """A plain picture has no texture: the point is lost, not invented."""
    plain = np.full((*SIZE, 3), value, np.uint8)
    ((places, probability),) = klt(iter([plain, plain]), np.array([[80.0, 60.0]]))
    assert probability.tolist() == [0] and places.tolist() == [[80, 60]]


def test_one_image_has_no_answer() -> None:
    assert list(klt(iter([texture(3, SIZE)]), np.array([[8.0, 8.0]]))) == []
