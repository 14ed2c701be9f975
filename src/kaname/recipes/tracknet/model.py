"""The network of ``tracknet``; built from a configuration or from a file's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaname.models.backbones import adapt, build_backbone
from kaname.models.decoders.sizes import check_sizes, decoder_options
from kaname.models.fusion import STACK
from kaname.models.network import COLOURS, Network
from kaname.pipeline import presets
from kaname.recipes.tracknet import BALL, RECIPE
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.types import Head


def build(config: TracknetConfig, *, card: Mapping[str, Any] | None = None) -> Network:
    """The network of a configuration; with a file's ``card`` its backbone is rebuilt without any download.

    Raises:
        InputError: unknown names, or sizes that do not fit, with those that do.
    """
    settings, frames = config.model, config.data.sequence.length
    (width, height), (columns, rows) = config.data.resize, settings.heatmap.size
    # The small U-Net answers at the input's resolution where the heatmap wants it, else at half of it.
    small = settings.pretrained_model_name.split(":")[0] == "small"
    options = {"stride": 1 if (columns, rows) == (width, height) else 2} if small else {}
    with presets.offline_as(RECIPE.offline):
        backbone = build_backbone(
            settings.pretrained_model_name, pretrained=settings.pretrained, options=options,
            description=None if card is None else card["backbone"],
            in_channels=COLOURS * (frames if settings.fusion == STACK else 1), size=(height, width),
        )  # fmt: skip
    if card is None:
        adapt(backbone, settings.lora, frozen=settings.freeze == "all", checkpoint=settings.gradient_checkpointing)
    decoder = decoder_options(settings.decoder, backbone)
    check_sizes(settings.decoder, backbone, resize=config.data.resize, heatmap=settings.heatmap.size)
    return Network(
        backbone, settings.decoder.name, size=(height, width), heatmap_size=(rows, columns),
        heads={"heatmaps": Head(channel_names(frames))}, normalize=config.data.normalize, decoder_options=decoder,
        frames=frames, fusion=settings.fusion,
    )  # fmt: skip


def channel_names(frames: int) -> list[str]:
    """A name for each heatmap of a window."""
    return [BALL] if frames == 1 else [f"{BALL}_{number}" for number in range(frames)]


def describe(config: TracknetConfig, network: Network) -> dict[str, Any]:
    """The card's fields that are this recipe's own."""
    return {
        "frames": network.frames,
        "fusion": config.model.fusion,
        "sigma_cells": config.model.heatmap.sigma,
        "score_threshold": config.detect.score_threshold,
        "absent": config.data.absent,
    }
