"""The network of ``kpnet``: a backbone, a feature pyramid and three heads; built from a configuration or a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from kaname.data.formats.skeleton import Skeleton
from kaname.models.backbones import build_backbone
from kaname.models.network import Network
from kaname.recipes.kpnet import FLOW, FOREGROUND, MAPS, SEGMENTATION, STATES, VISIBILITY
from kaname.recipes.kpnet.config import WITH_MOTION, KpnetConfig
from kaname.recipes.kpnet.labels import skeleton_of
from kaname.types import Head

HIDDEN, GREY = 512, 255.0
FINEST = (4, 2, 1)  # strides of the small U-Net's map


class Ranged(nn.Module):
    """A backbone's body for colours, flow in pixels and a difference in 0..255; the last two come to -1..1.

    The same as `kaname.data.flow.channels`, so that an export takes both as they are.

    Args:
        body: takes the six channels.
        scale: pixels of flow that become 1; more is 1 too.
    """

    def __init__(self, body: nn.Module, scale: float) -> None:
        super().__init__()
        self.body, self.scale = body, scale

    def forward(self, images: Tensor) -> list[Tensor]:
        """``(B, 6, h, w)`` to the body's maps."""
        colours, flow, difference = images.split([3, 2, 1], dim=1)
        flow = (flow / self.scale).clamp(-1, 1)
        return self.body(torch.cat([colours, flow, difference / GREY * 2 - 1], dim=1))


def build(config: KpnetConfig, *, card: Mapping[str, Any] | None = None) -> Network:
    """The network of a configuration; with a file's ``card`` nothing is downloaded and no skeleton is read.

    All three heads are always there, whatever their loss weighs, so that stages and optimisers fit.

    Raises:
        InputError: unknown names.
    """
    skeleton = skeleton_of(config.data) if card is None else Skeleton.from_dict(card["skeleton"])
    settings, moving = config.model, config.in_chans == WITH_MOTION
    backbone = build_backbone(
        settings.backbone,
        pretrained=settings.pretrained,
        in_channels=config.in_chans,
        description=None if card is None else card["backbone"],
        options=_options(config),
        size=config.canvas,
    )
    if moving:
        backbone.body = Ranged(backbone.body, config.motion.scale)
    return Network(
        backbone,
        "fpn",
        size=config.canvas,
        heads=heads_of(skeleton),
        heatmap_size=config.cells,
        normalize=settings.normalize,
        decoder_options={
            "canvas": config.canvas,
            "heatmap": config.cells,
            "width": settings.width,
            "hidden": HIDDEN,
            "pooled": (VISIBILITY,),
        },
        further={FLOW: 2, FOREGROUND: 1} if moving else None,
    )


def heads_of(skeleton: Skeleton) -> dict[str, Head]:
    """Heatmaps, visibilities (three states a channel, one channel after the other) and classes of pixels."""
    states = [f"{channel}: {state}" for channel in skeleton.channels for state in STATES]
    return {
        MAPS: Head(list(skeleton.channels)),
        VISIBILITY: Head(states, "softmax", groups=len(skeleton.channels)),
        SEGMENTATION: Head(["background", *skeleton.groups], "softmax"),
    }


def describe(config: KpnetConfig, network: Network) -> dict[str, Any]:
    """The card's fields that are this recipe's own."""
    moving = config.in_chans == WITH_MOTION
    return {
        "view": config.view.to_dict(),
        "grid": config.grid.to_dict(),
        "skeleton": skeleton_of(config.data).to_dict(),
        "sigma_cells": config.loss.sigma,
        "in_chans": config.in_chans,
        "motion": asdict(config.motion) if moving else None,
    }


def _options(config: KpnetConfig) -> dict[str, Any]:
    """What a backbone is asked for: a map as fine as the heatmap, new channels that begin at nothing."""
    name = config.model.backbone
    if name.partition(":")[0] == "small":
        finest = min(side / cells for side, cells in zip(config.canvas, config.cells, strict=True))
        return {"stride": next((stride for stride in FINEST if stride <= finest), FINEST[-1])}
    return {"new_channels": "zero"} if config.in_chans == WITH_MOTION else {}
