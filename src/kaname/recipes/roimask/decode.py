"""From a network's masks to answers. No torch: an ONNX export predicts without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.mask_regions import Choice
from kaname.codecs.roi_align import pool
from kaname.codecs.roi_mask import softmax, unpasted
from kaname.data.rois import seen_regions
from kaname.inference.card import heads_of, view_of
from kaname.inference.request import Arrays, Decode, Request
from kaname.recipes.roimask import MASKS
from kaname.recipes.roimask.config import AnswerSettings
from kaname.types import Answer, FloatArray, Masks, Size


def decode_of(card: Mapping[str, Any], settings: AnswerSettings) -> Decode:
    """How a file's masks become an answer: a row a box, probabilities on the grid of the padded box.

    An export that answers at the resolution of an image (``lies_on`` ``input`` or ``image``) is read at the cells of
    that grid.
    """
    head, view, padding = heads_of(card)[MASKS], view_of(card), float(card["padding"])
    grid: Size = (int(card["roi_grid"][0]), int(card["roi_grid"][1]))
    lies_on = card.get("lies_on", "box")

    def decode(outputs: Arrays, request: Request) -> list[Answer]:
        cells, boxes = outputs[MASKS], cast(FloatArray, np.asarray(request.boxes))
        seen = seen_regions(view, request.size, boxes, padding)
        regions = view.into(request.size).inverse().boxes(seen)
        if lies_on != "box":
            cells = on_grid(cells, seen if lies_on == "input" else regions, grid)
        elif head.activation == "none":
            cells = softmax(cells)
        ids = list(range(len(boxes)))
        return [Masks(cells, regions, list(head.channels), request.size, ids=ids, asked=boxes)]

    return decode


def on_grid(whole: NDArray[np.float32], regions: FloatArray, grid: Size) -> NDArray[np.float32]:
    """Probabilities of whole images ``(N, C, H, W)`` at the cells of regions ``(N, 4)`` in their pixels."""
    found = np.empty((len(whole), whole.shape[1], *grid), np.float32)
    for number, (image, region) in enumerate(zip(whole, regions, strict=True)):
        found[number] = unpasted(image, region, pool(image, region[None], grid, sampling_ratio=1)[0])
    found = found.clip(0)
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-6)


def choice_of(settings: AnswerSettings) -> Choice:
    """How probabilities become masks."""
    return Choice(settings.threshold, settings.rescore, settings.overlap)
