"""From heatmaps to the ball, and files of balls. No torch: an ONNX export predicts without it.

``ball.csv`` is a table of `kaname.tracking.table`; the JSON file of the same name beside it says what made it.
"""

from __future__ import annotations

import contextlib
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname import config as configuration
from kaname.codecs.heatmap import decode as decode_heatmaps
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.inference.card import from_nothing, grid_of
from kaname.inference.request import Arrays, Decode, Request
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.config import DataSettings, DetectSettings
from kaname.tracking.smoothing import Smoothing
from kaname.tracking.static import Course
from kaname.tracking.table import COORDINATES, write_rows
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


def about(card: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of balls says about its model: how it was trained, on which games, and how they were scored."""
    data = configuration.from_dict(DataSettings, card["config"]["data"], section="data")
    trained_on = None
    if data.root.exists():
        from kaname.recipes.tracknet.labels import games_of, sets  # here, because of the formats of labels

        with contextlib.suppress(InputError):  # other data lies there now
            chosen = sets(data)
            trained_on = {"data": data.root.as_posix(), **{name: games_of(chosen[name]) for name in ("train", "val")}}
    fields = {"absent": card.get("absent"), "pretrained": not from_nothing(card), "trained_on": trained_on}
    return fields | ({"occluded_absent": how["occluded_absent"]} if "occluded_absent" in how else {})


def write(path: Path, rows: Iterable[Prediction | Row], about: Mapping[str, Any]) -> dict[str, int]:
    """Write rows as they come, and what made them into the JSON file beside; returns how many have what."""
    counts = write_rows(path, (row if isinstance(row, Row) else row_of(row) for row in rows))
    kept = {"format": "kaname-balls", "coordinates": COORDINATES, **about, **counts}
    write_json(path.with_suffix(".json"), kept)
    shown = {"frames": counts["frames"], DETECTED: counts[DETECTED]}
    smooth = about.get("smooth", {})
    if smooth.get("name", "none") != "none":
        shown[f"filled (at most {smooth['max_filled']:g} for each detected)"] = counts[FILLED]
    if not about.get("keep_static", True):
        shown["static left out"] = counts[STATIC]
    return shown | {"without a ball": counts["frames"] - counts[DETECTED] - counts[FILLED] - counts[STATIC]}


def made(path: Path) -> dict[str, Any]:
    """What the JSON file beside a file of balls says about them."""
    beside = path.with_suffix(".json")
    content = read_json(beside) if beside.is_file() else None
    return dict(content) if isinstance(content, dict) else {}
