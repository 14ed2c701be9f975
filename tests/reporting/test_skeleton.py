"""Instances of a skeleton on an image."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.data.formats.skeleton import find
from kaname.reporting.skeleton import skeleton_overlay

BONES = find("anime-face-28")


@pytest.mark.parametrize("side", [64, 448, 2000, 8000])
def test_a_ring_lies_on_its_point_and_is_seen_in_the_whole_picture(side: int) -> None:
    image = np.full((side, side, 3), 128, np.uint8)
    points = np.full((1, 28, 2), np.nan)
    points[0, 3] = point = np.array([0.4, 0.6]) * side + [0.3, 0.1]
    points[0, 20] = [0.9 * side, 0.1 * side]  # far away: the extent is that of a large object
    drawn = skeleton_overlay(image, points, BONES)
    changed = np.abs(drawn.astype(np.int16) - image).sum(axis=2)
    changed[: side // 2] = 0
    rows, columns = np.nonzero(changed)
    weight = changed[rows, columns]
    middle = [(weight * places).sum() / weight.sum() + 1 / 2 for places in (columns, rows)]
    np.testing.assert_allclose(middle, point, atol=0.15)  # OpenCV draws to a tenth of a pixel
    assert np.ptp(columns) > side / 125
