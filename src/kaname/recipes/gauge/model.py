"""The network of ``gauge``: a backbone, a decoder, the notches' maps and, if asked for, the needle's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaname.models.backbones import build_backbone, freeze
from kaname.models.network import Network
from kaname.models.statistics import hold_statistics
from kaname.recipes.gauge import CHANNELS, NEEDLE
from kaname.recipes.gauge.config import GaugeConfig
from kaname.types import Head

PYRAMID, FINEST = 64, 4  # channels of a feature pyramid, and the stride of its finest map: notches are small


def build(config: GaugeConfig, *, card: Mapping[str, Any] | None = None) -> Network:
    """The network of a configuration; with a file's ``card`` its backbone is rebuilt without any download."""
    settings, size = config.model, (config.size, config.size)
    description = None if card is None else card["backbone"]
    backbone = build_backbone(settings.backbone, pretrained=settings.pretrained, description=description, size=size)
    if settings.freeze and backbone.pretrained:
        freeze(backbone)
    half = (size[0] // 2, size[1] // 2)
    pyramid = {"canvas": size, "heatmap": half, "width": PYRAMID, "finest": FINEST, "seldom": ("heatmaps", "needle")}
    network = Network(
        backbone,
        settings.decoder,
        size=size,
        heads={"heatmaps": Head(CHANNELS), **({"needle": Head(NEEDLE)} if config.needle else {})},
        normalize=settings.normalize,
        decoder_options=pyramid if settings.decoder == "fpn" else None,
    )
    if settings.norm == "held":
        hold_statistics(network)
    return network


def describe(config: GaugeConfig, network: Network) -> dict[str, Any]:
    """The card's fields that are this recipe's own."""
    return {"sigma_px": config.sigma * config.scale}
