"""The extractor: opened from a configuration or from a card.

No torch at import: an ONNX extractor with an ONNX decoder predicts without it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.geometry.view import View
from kaname.inference.feature_source import FeatureSource
from kaname.inference.onnx_tensor import OnnxTensor, Preprocessing
from kaname.recipes.roimask.config import ExtractorSettings
from kaname.types import Size

BACKBONE_SIZE: Size = (640, 640)


class OneMap:
    """One map of a feature source, itself a source; opened in each process when it is first asked there.

    Args:
        open_source: makes the source.
        level: which of its maps.
    """

    def __init__(self, open_source: Callable[[], FeatureSource], level: int = 0) -> None:
        self._open, self.level = open_source, level
        self._opened: tuple[int, FeatureSource] | None = None
        first = self.source
        self.view, self.key = first.view, f"{first.key}-{level}"
        listed = {name: [first.description[name][level]] for name in ("channels", "stride_yx")}
        self.description: Mapping[str, Any] = {**first.description, **listed}

    @property
    def source(self) -> FeatureSource:
        """One that runs in this process: a session from before a fork does not."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), self._open())
        return self._opened[1]

    @property
    def channels(self) -> int:
        """Of the map."""
        return int(self.description["channels"][0])

    @property
    def map_size(self) -> Size:
        """Rows and columns of the map."""
        (down, across), (height, width) = self.description["stride_yx"][0], self.view.input_size
        return round(height / down), round(width / across)

    def features(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The map ``(B, C, h, w)`` alone."""
        return [self.source.features(images)[self.level]]


def training_source(settings: ExtractorSettings) -> OneMap:
    """The map that a configuration names; opened once for all that ask.

    Raises:
        InputError: no such file, tensor or backbone.
    """
    return _opened(
        settings, 0 if settings.backbone or not settings.path.is_file() else settings.path.stat().st_mtime_ns
    )


@functools.lru_cache(maxsize=2)
def _opened(settings: ExtractorSettings, stamp: int) -> OneMap:
    if settings.backbone:
        return OneMap(lambda: _backbone(settings), settings.level)
    how = Preprocessing(settings.order, settings.white, settings.mean, settings.std)
    named: dict[str, Any] = {"preprocessing": how, "licence": settings.licence, "threads": settings.threads}
    return OneMap(lambda: OnnxTensor(settings.path, settings.tensor, fit=settings.fit, size=settings.size, **named))


def source_of(card: Mapping[str, Any], *, beside: Path | None = None, path: Path | None = None) -> OneMap:
    """The map that a model's card describes.

    Args:
        beside: a folder to look in when nothing is at the described path: that of the model.
        path: where the extractor's file is, if not where the card says.

    Raises:
        InputError: it is nowhere, or it is another one (by its hash).
    """
    description = card["extractor"]
    if description["kind"] == "onnx":
        return OneMap(lambda: OnnxTensor.from_description(description, beside=beside, path=path))
    stored = card["config"]["extractor"]
    source = training_source(ExtractorSettings(backbone=stored["backbone"], level=stored["level"], **_view(stored)))
    if source.description["hash"] != description["hash"]:
        reason = "the backbone's weights are not those that the model was trained with"
        raise InputError(reason, path=beside, remedy=f"get those of {stored['backbone']} that were there then")
    return source


def _view(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {"fit": stored["fit"], "size": None if stored["size"] is None else tuple(stored["size"])}


def _backbone(settings: ExtractorSettings) -> FeatureSource:
    from kaname.inference.torch_features import TorchFeatures
    from kaname.models import hub
    from kaname.models.backbones import build_backbone
    from kaname.models.network import Network
    from kaname.types import Head

    size = settings.size or BACKBONE_SIZE
    try:
        backbone = build_backbone(settings.backbone, pretrained=True, size=size)
    except InputError as error:  # there is no small network here: an extractor has learned something
        remedy = (error.remedy or "").replace(hub.OTHERWISE, "give a local folder or an ONNX file to --extractor")
        raise InputError(error.reason, path=error.path, remedy=remedy) from error
    levels = len(backbone.channels)
    if not 0 <= settings.level < levels:
        reason = f"{settings.backbone} has {levels} maps, and none numbered {settings.level}"
        raise InputError(reason, remedy=f"extractor.level is 0..{levels - 1}; 0 is the finest")
    network = Network(backbone, "upsample", size=size, heads={"unused": Head(["unused"])}, normalize="backbone")
    return TorchFeatures(network.eval(), view=View(settings.fit, size), licence=settings.licence)
