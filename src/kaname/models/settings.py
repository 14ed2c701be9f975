"""What configurations say about networks: decoder, target heatmaps, what part of a backbone trains. No torch here.

Sizes are ``(width, height)``, as configurations write them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from kaname.errors import InputError, require, require_range


@dataclass(frozen=True)
class DecoderSettings:
    """Attributes:
    name: from maps to heatmaps: ``upsample`` (stages), or ``linear`` (1x1 convolutions, for backbones with fine maps).
    channels: channels before and after each stage; ``C`` is the backbone's own width.
    upsample: factor by which each stage enlarges the map, 1 or 2.
    mode: how a stage enlarges the map: ``conv_transpose``, or ``interpolate`` and a convolution.
    """

    name: Literal["upsample", "linear"] = "upsample"
    channels: tuple[int | str, ...] = ("C", 256, 128, 64)
    upsample: tuple[int, ...] = (2, 2, 2)
    mode: Literal["conv_transpose", "interpolate"] = "interpolate"


@dataclass(frozen=True)
class HeatmapSettings:
    """Attributes:
    size: width and height in cells; must be what the decoder gives.
    sigma: standard deviation of a point's Gaussian, in cells.
    """

    size: tuple[int, int] = (256, 144)
    sigma: float = 2.0

    def __post_init__(self) -> None:
        require_range(self, "sigma", 0, above=True)
        require(min(self.size) >= 1, f"size must be positive, got {list(self.size)}")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters in the attention of a frozen ViT.

    Attributes:
        rank: rank of the adapters; 0 adds none.
        alpha: scale of what the adapters add, which is ``alpha`` / ``rank``.
    """

    rank: int = 0
    alpha: float = 16.0

    def __post_init__(self) -> None:
        require_range(self, "rank", 0)


def held_epochs(freeze: Any) -> float:
    """Epochs for which a backbone stays frozen before it trains.

    Args:
        freeze: ``all`` (infinity), ``none`` (0), ``{"epochs": N}`` or ``"epochs: N"``.

    Raises:
        InputError: anything else.
    """
    if freeze in ("all", "none"):
        return math.inf if freeze == "all" else 0
    if isinstance(freeze, dict) and list(freeze) == ["epochs"]:
        epochs = freeze["epochs"]
    else:
        match = re.fullmatch(r"epochs:\s*([1-9]\d*)", freeze) if isinstance(freeze, str) else None
        epochs = int(match[1]) if match else 0
    if type(epochs) is not int or epochs < 1:
        raise InputError(f"freeze is {freeze!r}", remedy="write all, none or {epochs: 10}")
    return epochs
