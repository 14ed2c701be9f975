"""What a model of ``roimask`` is fed: the features of an image, and the boxes in it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kaname.data.boxes import Find
from kaname.geometry.view import View
from kaname.inference.card import inputs_of, view_of
from kaname.inference.detector import Detector
from kaname.inference.joint_pass import joint_pass
from kaname.inference.onnx_tensor import OnnxTensor
from kaname.inference.request import Arrays, Feed, Request
from kaname.recipes.roimask.config import AnswerSettings
from kaname.recipes.roimask.features import OneMap, source_of
from kaname.types import FloatArray, Frame, Image


def feed_of(card: Mapping[str, Any], settings: AnswerSettings, path: Path) -> Feed:
    """What a model is fed: the features of the image, and plain boxes normalised to the extractor's input.

    An export that has the extractor inside is fed the image itself, and boxes normalised to that. The features of the
    image before are kept: its boxes may come in parts.
    """
    if "images" in inputs_of(card):
        return lambda request: {"images": request.image[None], "rois": rows(request, View("stretch", request.size))}
    return FeatureFeed(source_of(card, beside=path.parent, path=settings.extractor), view_of(card))


class FeatureFeed:
    """Features and boxes of a request. Those of the image before are kept: its boxes may come in parts."""

    def __init__(self, source: OneMap, view: View) -> None:
        self.source, self.view = source, view
        self._kept: tuple[Image, NDArray[np.float32]] | None = None

    def __call__(self, request: Request) -> Arrays:
        """``features`` ``(1, C, h, w)`` and ``rois`` ``(N, 5)``."""
        image = request.image
        if self._kept is None or self._kept[0] is not image:
            seen = self.source.view.into(request.size).image(image, self.source.view.input_size)
            self._kept = image, self.source.features(seen[None])[0]
        return {"features": self._kept[1], "rois": rows(request, self.view)}

    def beside(self, detector: Detector) -> tuple[Find, dict[str, Any]] | None:
        """Boxes and features in one pass where the detector is the extractor's own file: what finds boxes, and what a
        file of predictions says of it."""
        source = self.source.source
        joint = joint_pass(source, detector) if isinstance(source, OnnxTensor) else None
        if joint is None:
            return None

        def find(_: Path, frame: Frame) -> FloatArray:
            features, boxes = joint(frame.image)
            self._kept = frame.image, features
            return boxes.xyxy

        return find, {"detector": joint.detector.description, "in_the_pass_of": "the extractor"}


def rows(request: Request, view: View) -> NDArray[np.float32]:
    """The boxes of a request as ``(N, 5)``: 0, the row of its image, and the corners normalised to the input."""
    height, width = view.input_size
    boxes = view.into(request.size).boxes(cast(FloatArray, request.boxes)) / [width, height, width, height]
    return np.concatenate([np.zeros((len(boxes), 1)), boxes], axis=1).astype(np.float32)
