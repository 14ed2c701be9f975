"""From a network's outputs to key points with visibilities. No torch: an ONNX export predicts without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kaname.codecs.heatmap import decode
from kaname.data.formats.skeleton import Skeleton
from kaname.inference.card import grid_of
from kaname.inference.request import Arrays, Decode, Request
from kaname.recipes.kpnet import MAPS, STATES, VISIBILITY
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.types import Answer, FloatArray, Points, Size


def decode_of(card: Mapping[str, Any], settings: AnswerSettings) -> Decode:
    """How the outputs of a file's network become an answer: a row of each channel, with its visibility.

    An object all of whose points are likeliest out of frame is not there. Of the others a point is out of frame where
    that is likeliest (or more probable than ``absent``), else hidden or visible, whichever is likelier; and where its
    place lies more than a cell beyond the border of the frame. Nearer ones come onto the border.
    """
    skeleton, grid = Skeleton.from_dict(card["skeleton"]), grid_of(card)

    def answer(outputs: Arrays, request: Request) -> list[Answer]:
        places, heights = decode(outputs[MAPS][0], grid, settings.method)
        back = request.back()
        xy = within(back.points(places), request.size, back.points([[0.0, 0.0], grid.stride_yx[::-1]]))
        states = np.asarray(outputs[VISIBILITY][0], np.float64).reshape(-1, len(STATES))
        visible = visibilities(states, skeleton, settings.absent)
        visible[~np.isfinite(xy).all(axis=1)] = 0
        xy[visible == 0] = np.nan
        scores = np.clip(np.nan_to_num(heights), 0, 1)
        rows = {name: number for number, name in enumerate(skeleton.channels)}
        return [
            Points(
                {name: xy[row : row + 1] for name, row in rows.items()},
                {name: scores[row : row + 1] for name, row in rows.items()},
                request.size,
                {name: visible[row : row + 1] for name, row in rows.items()},
            )
        ]

    return answer


def within(xy: FloatArray, size: Size, cell: FloatArray) -> FloatArray:
    """Places in a frame: those up to a cell beyond its border on the border, NaN farther out.

    Args:
        xy: ``(C, 2)`` pixels of the frame.
        size: of the frame.
        cell: ``(2, 2)``, two opposite corners of a cell of the heatmaps, in its pixels.
    """
    border, slack = np.array(size[::-1], np.float64), np.abs(cell[1] - cell[0])
    with np.errstate(invalid="ignore"):
        near = ((xy >= -slack) & (xy <= border + slack)).all(axis=1, keepdims=True)
    return np.where(near, np.clip(xy, 0.0, border), np.nan)


def visibilities(states: FloatArray, skeleton: Skeleton, absent: float | None) -> np.ndarray:
    """The visibility of each channel ``(C,)`` from the probabilities of its states ``(C, 3)``."""
    likeliest = states.argmax(axis=1)
    gone = likeliest == 0 if absent is None else states[:, 0] > absent
    visible = np.where(gone, 0, 1 + states[:, 1:].argmax(axis=1)).astype(np.int64)
    for slot in skeleton.slots:
        if not likeliest[slot.start : slot.stop].any():
            visible[slot.start : slot.stop] = 0
    return visible


def about(card: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of predictions says of its model: the skeleton."""
    return {"skeleton": card["skeleton"]}
