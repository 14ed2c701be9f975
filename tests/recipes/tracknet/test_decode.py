"""From heatmaps to balls."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.codecs.heatmap import encode
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference.request import Request
from kaname.recipes.tracknet.config import DetectSettings
from kaname.recipes.tracknet.decode import decode_of, draw_ball, row_of
from kaname.tracking.trajectory import DETECTED, Row
from kaname.types import Frame, Points, Prediction, Size

INPUT: Size = (64, 96)
GRID = Grid.between(INPUT, (32, 48))


def find_balls(maps: np.ndarray, size: Size, settings: DetectSettings) -> list[Points]:
    """The answers for frames of ``size``, by the card's view and grid."""
    frames = [Frame(number, 0.0, np.zeros((*size, 3), np.uint8)) for number in range(len(maps))]
    request = Request(frames, View("letterbox", INPUT))
    return decode_of({"grid": GRID.to_dict()}, settings)({"heatmaps": maps[None]}, request)


@pytest.mark.parametrize("method", ["argmax", "soft-argmax", "dark"])
def test_balls_in_pixels_of_the_frame(method: str) -> None:
    """Through the letterbox of a frame of another shape."""
    size = (200, 240)
    into = Affine.letterbox(size, (64, 96))
    place = np.array([[101.3, 57.9]])
    maps = encode(into.points(place), [1], (32, 48), GRID, 1.5)
    (found,) = find_balls(maps, size, DetectSettings(method=method))  # type: ignore[arg-type]
    cell = 2 / into.scale
    assert found.size == size and list(found.xy) == ["ball"] and found.scores["ball"][0] > 0.85
    assert np.abs(found.xy["ball"] - place).max() < (0.05 if method == "dark" else 0.2 if method != "argmax" else cell)


def test_the_threshold_and_windows() -> None:
    maps = np.stack([encode([[30, 20]], [1], (32, 48), GRID, 1.5)[0] * height for height in (0.9, 0.5, 0.0)])
    found = find_balls(maps, (64, 96), DetectSettings(score_threshold=0.6))
    assert [list(one.xy) for one in found] == 3 * [["ball"]], "an answer for each frame of the window"
    assert [len(one.xy["ball"]) for one in found] == [1, 0, 0]
    top = float(maps[1].max())
    (at,) = find_balls(maps[1:2], (64, 96), DetectSettings(score_threshold=top))
    assert len(at.xy["ball"]) == 0, "a score equal to the threshold is no ball"
    empty = row_of(Prediction("", at, frame=3, seconds=0.1))
    assert (empty.frame, empty.source, empty.score) == (3, "", 0.0) and not empty.there
    (first,) = find_balls(maps[:1], (64, 96), DetectSettings())
    one = row_of(Prediction("", first, frame=0, seconds=0))
    assert one.source == DETECTED and (one.x, one.y) == pytest.approx((30, 20), abs=0.1)


def test_the_drawn_way_is_broken_where_nobody_knows_it() -> None:
    """A ball that flies is drawn as a line; over a jump across the frame, and over frames without it, there is none."""
    ground = np.zeros((360, 640, 3), np.uint8)

    def drawn(*places: tuple[int, float, float]) -> np.ndarray:
        rows = [Row(frame, frame / 25, x, y, 0.9, DETECTED) for frame, x, y in places]
        return draw_ball(ground, rows)[180, :].any(axis=1)

    assert drawn((0, 100, 180), (1, 180, 180), (2, 260, 180))[100:250].all()
    assert drawn((0, 100, 180), (2, 260, 180))[100:250].all()  # one frame without an answer
    assert not drawn((0, 100, 180), (1, 400, 180))[110:385].any()
    assert not drawn((0, 100, 180), (3, 180, 180))[110:165].any()
