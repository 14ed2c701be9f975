"""The path of a ball, and the ring round it."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.reporting.trail import trail_overlay


@pytest.mark.parametrize("size", [(36, 64), (144, 256), (288, 512), (720, 1280), (1080, 1920)])
def test_the_ring_lies_round_the_ball_and_hides_nothing_of_it(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 128, np.uint8)
    point = np.array([0.53, 0.47]) * [size[1], size[0]] + [0.3, 0.1]
    way = np.array([[0.1, 0.2] * point, [0.5, 1.0] * point, point])
    rows, columns = np.indices(size) + 1 / 2
    away = np.hypot(columns - point[0], rows - point[1])
    for path in (way, way[-1:]):
        drawn = trail_overlay(image, path, current=True, sure=True)
        assert (drawn[away < 2] == 128).all()
    changed = np.abs(trail_overlay(image, point[None], current=True, sure=True).astype(float) - 128).sum(axis=2)
    middle = [(changed * places).sum() / changed.sum() for places in (columns, rows)]
    np.testing.assert_allclose(middle, point, atol=0.15)  # OpenCV draws to a tenth of a pixel
    assert (trail_overlay(image, way, current=False, sure=True) != 128).any()
    assert (image == 128).all()
