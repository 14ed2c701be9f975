"""From heatmaps to notches."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.codecs.heatmap import encode_sets
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.decode import extract_points
from kaname.recipes.gauge.labels import letterbox
from recipes.gauge.dials import CHANNELS


@pytest.mark.parametrize("clusters", ["plain", "weighted"])
def test_maps_without_points(clusters: str) -> None:
    """A map under the minimum, flat or not finite never becomes a point."""
    settings = ExtractSettings(clusters=clusters)  # type: ignore[arg-type]
    back = Affine.identity()
    random = np.random.default_rng(0)
    for maps in (np.zeros((3, 64, 64)), np.full((3, 64, 64), 0.7), random.uniform(0, 0.099, (3, 64, 64)),
                 np.full((3, 64, 64), np.nan), np.full((3, 64, 64), np.inf)):  # fmt: skip
        found = extract_points(maps.astype(np.float32), back, (64, 64), settings)
        assert all(found.xy[name].shape == (0, 2) and found.scores[name].shape == (0,) for name in CHANNELS)


def test_the_padding_holds_no_notch() -> None:
    """A letterboxed image of 64 x 128: a peak in the black bars is none, the one in the image stays what it is."""
    size = (64, 128)
    into = letterbox(size, 64)
    bars, real = np.array([[30.0, 5.0], [30.0, 60.0]]), into.points([[60.0, 40.0]])
    maps = encode_sets([bars, np.concatenate([bars, real]), real], (64, 64), 1.0, 2.0)
    found = extract_points(maps, into.inverse(), size, ExtractSettings())
    assert [len(found.xy[name]) for name in CHANNELS] == [0, 1, 1]
    assert np.abs(found.xy["middle"] - (60, 40)).max() < 0.5


def test_extraction_scales_with_the_map() -> None:
    """Two Gaussians 24 px apart at 448 are two notches at any size of the map, 16 px apart are one."""
    for side in (112, 224, 448, 896):
        scale = side / 448
        for gap, count in ((40, 2), (14, 1)):
            xy = np.array([[100.0, 100.0], [100.0 + gap, 100.0]]) * scale
            maps = encode_sets([np.zeros((0, 2)), xy, xy[:1]], (side, side), 1.0, 8 * scale)
            found = extract_points(maps, Affine.identity(), (side, side), ExtractSettings())
            assert [len(found.xy[name]) for name in CHANNELS] == [0, count, 1], (side, gap)
            assert np.abs(found.xy["end"] - xy[:1]).max() < 0.5


@pytest.mark.parametrize("origin", ["centred", "aligned"])
def test_maps_with_a_cell_of_two_pixels(origin: str) -> None:
    """What the grid says of the cells places the notches, widens the bandwidth and finds the black bars."""
    size, grid = (224, 448), Grid((2.0, 2.0), origin)  # type: ignore[arg-type]
    into = letterbox(size, 448)
    bars, real = np.array([[100.0, 20.0]]), into.points([[100.0, 100.0], [140.0, 100.0]])
    maps = encode_sets([bars, real, np.concatenate([bars, real[:1]])], (224, 224), grid, 8.0)
    found = extract_points(maps, into.inverse(), size, ExtractSettings(), grid)
    assert [len(found.xy[name]) for name in CHANNELS] == [0, 2, 1]
    assert np.abs(found.xy["end"] - (100, 100)).max() < 0.5
    assert np.abs(np.sort(found.xy["middle"], axis=0) - [(100, 100), (140, 100)]).max() < 0.5


def test_a_picture_with_fewer_notches_than_a_dial_has_holds_none() -> None:
    """The third best notch decides, not the best."""
    maps = np.zeros((3, 64, 64), np.float32)
    for channel, (y, x), value in ((1, (10, 10), 0.9), (1, (10, 50), 0.8), (1, (50, 30), 0.5), (0, (10, 10), 0.7)):
        maps[channel, y, x] = value
    for presence, count in ((0.0, 3), (0.49, 3), (0.51, 0)):
        points = extract_points(maps, Affine.identity(), (64, 64), ExtractSettings(presence=presence, threshold=0.3))
        assert len(points.xy["middle"]) == len(points.scores["middle"]) == count
        assert len(points.xy["start"]) == (count > 0)
