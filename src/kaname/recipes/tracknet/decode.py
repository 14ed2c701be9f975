"""From heatmaps to the ball. No torch: an ONNX export predicts without it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kaname.codecs.heatmap import decode as decode_heatmaps
from kaname.inference.card import grid_of
from kaname.inference.request import Arrays, Decode, Request
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.config import DetectSettings
from kaname.tracking.smoothing import Smoothing
from kaname.tracking.static import Course
from kaname.tracking.trajectory import DETECTED, FILLED, STATIC, Row
from kaname.types import Answer, FloatArray, Points, Prediction, Size

JOINED = 2  # frames: over one that lacks the ball the drawn way goes on
KINDS = ("", DETECTED, FILLED, STATIC)


def decode_of(card: Mapping[str, Any], settings: DetectSettings) -> Decode:
    """From a network's maps to the balls of a window's frames: of each one point called ``ball``, or none."""
    grid = grid_of(card)

    def decode(outputs: Arrays, request: Request) -> list[Answer]:
        xy, scores = decode_heatmaps(outputs["heatmaps"][0], grid, settings.method)
        places, there = request.back().points(xy), scores > settings.score_threshold
        chosen = [slice(number, number + int(ball)) for number, ball in enumerate(there)]
        return [Points({BALL: places[one]}, {BALL: scores[one]}, request.size) for one in chosen]

    return decode


def row_of(prediction: Prediction) -> Row:
    """A frame's answer as a row."""
    points = prediction.answer
    assert isinstance(points, Points)
    fields = {"clip": prediction.source, "file": prediction.file}
    if not len(points.xy[BALL]):
        return Row(prediction.frame or 0, prediction.seconds, math.nan, math.nan, 0.0, "", **fields)
    (x, y), score = points.xy[BALL][0].tolist(), float(points.scores[BALL][0])
    return Row(prediction.frame or 0, prediction.seconds, x, y, score, DETECTED, **fields)


class Way:
    """From the answers for the frames of one video to its rows: static spots left out, then smoothed.

    Attributes:
        about: what the JSON file says; complete once all rows have been given.
        size: ``(height, width)`` of the frames.
    """

    def __init__(self, smoothing: Smoothing, *, keep_static: bool = False) -> None:
        self.smoothing, self.keep_static = smoothing, keep_static
        self.spots: list[dict[str, Any]] = []
        self.about = {"smooth": smoothing.__dict__, "keep_static": keep_static, "static_spots": self.spots}
        self.size: Size = (0, 0)
        self._course = Course()
        self._filled = array("d")
        self._kinds = bytearray()

    def __call__(self, predictions: Iterable[Prediction], size: Size) -> Iterator[Row]:
        """The rows, once all answers are there: what is static shows in the whole video alone."""
        self.size, self._course = size, Course(map(row_of, predictions))
        if not self.keep_static:
            self._course.leave_out_static(size)
        self.spots.extend(self._course.about())
        for row in self.smoothing(self._course, size):
            self._kinds.append(KINDS.index(row.source))
            if row.source == FILLED:
                self._filled.extend((row.seconds, row.x, row.y))
            yield row

    def marks(self) -> dict[str, FloatArray]:
        """For `kaname.reporting.trajectory`: each kind's ``(N, 3)`` seconds, x, y; those left out as detected."""
        found, kinds = self._course.numbers[:, :3], np.frombuffer(self._kinds, np.uint8)
        there = np.isfinite(found).all(axis=1)
        static = there & self._course.static
        marks = {DETECTED: found[kinds == KINDS.index(DETECTED)]}
        if self.smoothing.name != "none":
            marks[FILLED] = np.array(self._filled).reshape(-1, 3)
            marks["jump, left out"] = found[there & ~static & (kinds != KINDS.index(DETECTED))]
        return marks if self.keep_static else marks | {"static, left out": found[static]}


def draw_ball(image: np.ndarray, trail: list[Row]) -> np.ndarray:
    """A frame with the ball of the last row in a ring and the way it came, broken where nobody knows it: between frames
    further apart than `JOINED`, and where the ball would have had to fly faster than smoothing takes it to fly."""
    rows, way = [row for row in trail if row.there], list[tuple[float, float]]()
    for number, row in enumerate(rows):
        if number and not _joined(rows[number - 1], row, image.shape[1]):
            way.append((math.nan, math.nan))
        way.append((row.x, row.y))
    from kaname.reporting.trail import trail_overlay  # here, because drawing takes time to import

    now, places = trail[-1], np.array(way, dtype=np.float64).reshape(-1, 2)
    return trail_overlay(image, places, current=now.there, sure=now.source == DETECTED)


def _joined(before: Row, row: Row, width: int) -> bool:
    """Whether the ball can be taken to have flown from one row's place to the next one's."""
    apart = row.frame - before.frame
    return apart <= JOINED and math.hypot(row.x - before.x, row.y - before.y) <= Smoothing.fastest * width * apart
