"""From heatmaps to landmarks. No torch: an ONNX export predicts without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kaname.codecs.heatmap import decode
from kaname.inference.card import grid_of, heads_of
from kaname.inference.request import Arrays, Decode, Request
from kaname.recipes.landmark import MAPS
from kaname.recipes.landmark.config import AnswerSettings
from kaname.types import Answer, Points


def decode_of(card: Mapping[str, Any], settings: AnswerSettings) -> Decode:
    """How the maps of a file's network become landmarks: a row a box, a score in 0..1 for each point."""
    names, grid = list(heads_of(card)[MAPS].channels), grid_of(card)

    def answers(outputs: Arrays, request: Request) -> list[Answer]:
        maps, boxes = outputs[MAPS], np.asarray(request.boxes)
        xy, scores = np.zeros((len(maps), len(names), 2)), np.zeros((len(maps), len(names)))
        for row, box in enumerate(boxes):
            places, heights = decode(maps[row], grid, settings.method)
            xy[row], scores[row] = request.back(box).points(places), np.clip(np.nan_to_num(heights), 0, 1)
        visible = np.where(np.isfinite(xy).all(axis=2), 2, 0)
        if settings.min_score > 0:
            visible[scores <= settings.min_score] = 0
        xy[visible == 0] = np.nan
        named: list[Any] = [dict(zip(names, np.moveaxis(part, 1, 0), strict=True)) for part in (xy, scores, visible)]
        found: list[Answer] = [Points(named[0], named[1], request.size, named[2], ids=list(range(1, len(boxes) + 1)))]
        return found

    return answers


def about(card: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of predictions says of its model: the skeleton, and the images that it has learned from."""
    return {"skeleton": card["skeleton"], "trained_on": list(card.get("trained_on", ()))}
