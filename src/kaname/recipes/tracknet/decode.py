"""From heatmaps to the ball, and files of balls. No torch: an ONNX export predicts without it.

``ball.csv`` is a table of `kaname.tracking.table`; the JSON file of the same name beside it says what made it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname import config as configuration
from kaname.codecs.heatmap import decode as decode_heatmaps
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.inference.card import grid_of
from kaname.inference.model import Arrays, Decode, Request
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.config import DataSettings, DetectSettings
from kaname.recipes.tracknet.labels import games_of, sets
from kaname.reporting.trail import trail_overlay
from kaname.tracking.smoothing import Smoothing
from kaname.tracking.table import COORDINATES, write_rows
from kaname.tracking.trajectory import DETECTED, Row
from kaname.types import Answer, Points, Prediction, Size


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


def follow(smoothing: Smoothing) -> Callable[[Iterable[Prediction], Size], Iterator[Row]]:
    """The answers for the frames of one video as rows, smoothed."""
    return lambda predictions, size: smoothing(map(row_of, predictions), size)


def draw_ball(image: np.ndarray, trail: list[Row]) -> np.ndarray:
    """A frame with the ball of the last row in a ring and the way it came."""
    way = np.array([(row.x, row.y) for row in trail if row.there], dtype=np.float64).reshape(-1, 2)
    now = trail[-1]
    return trail_overlay(image, way, current=now.there, sure=now.source == DETECTED)


def about(card: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of balls says about its model: how it was trained, on which games, and how they were scored."""
    data = configuration.from_dict(DataSettings, card["config"]["data"], section="data")
    try:
        chosen = sets(data)
        trained_on = {"data": data.root.as_posix(), **{name: games_of(chosen[name]) for name in ("train", "val")}}
    except InputError:  # its data is gone
        trained_on = None
    fields = {"absent": card.get("absent"), "pretrained": bool(card.get("pretrained")), "trained_on": trained_on}
    return fields | ({"occluded_absent": how["occluded_absent"]} if "occluded_absent" in how else {})


def write(path: Path, rows: Iterable[Prediction | Row], about: Mapping[str, Any]) -> dict[str, int]:
    """Write rows as they come, and what made them into the JSON file beside; returns how many have what."""
    counts = write_rows(path, (row if isinstance(row, Row) else row_of(row) for row in rows))
    kept = {"format": "kaname-balls", "coordinates": COORDINATES, **about, **counts}
    write_json(path.with_suffix(".json"), kept)
    shown = {"frames": counts["frames"], "with a ball": counts["detected"]}
    return shown if about.get("smooth", {}).get("name", "none") == "none" else shown | {"filled": counts["filled"]}


def made(path: Path) -> dict[str, Any]:
    """What the JSON file beside a file of balls says about them."""
    beside = path.with_suffix(".json")
    content = read_json(beside) if beside.is_file() else None
    return dict(content) if isinstance(content, dict) else {}
