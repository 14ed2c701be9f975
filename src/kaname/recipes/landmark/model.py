"""The network of ``landmark``; built from a configuration, its weights file or a file's card.

HRNetV2-W18 and the small U-Net give a map at a quarter of the input's resolution; so does every other backbone through
stages that double its own. Files have the tensor names of mmpose's, which the published package loads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from kaname.data.formats.files import read_json
from kaname.files import at_home
from kaname.inference.card import Weights, heads_of
from kaname.inference.state_dict import Loaded, load_state_dict
from kaname.models.backbones import Backbone, build_backbone
from kaname.models.decoders.concat import BRANCHES
from kaname.models.network import Network
from kaname.models.statistics import hold_statistics
from kaname.recipes.landmark import MAPS, STRIDE
from kaname.recipes.landmark.config import LandmarkConfig
from kaname.recipes.landmark.labels import skeleton_of
from kaname.types import Head

HRNET = "hrnet"
WIDTH = 64  # channels of a stage of the decoder upsample


def build(config: LandmarkConfig, *, card: Mapping[str, Any] | None = None) -> Network:
    """The network of a configuration, with the weights that it names; with a file's ``card`` nothing else is read.

    Its ``notes`` say what came from the weights file.

    Raises:
        InputError: unknown names, a weights file that does not fit.
    """
    settings = config.model
    channels = skeleton_of(config.data).channels if card is None else heads_of(card)[MAPS].channels
    backbone = build_backbone(
        settings.backbone,
        pretrained=settings.pretrained and settings.weights is None,
        description=None if card is None else card["backbone"],
        options=_options(settings.backbone, settings.fuse),
        size=config.view.input_size,
    )
    usual = "concat" if len(backbone.channels) >= BRANCHES else "upsample"
    decoder = usual if settings.decoder == "auto" else settings.decoder
    sigmoid = config.loss == "bce"
    network = Network(
        backbone,
        decoder,
        size=config.view.input_size,
        heads={MAPS: Head(list(channels), "sigmoid" if sigmoid else "none")},
        heatmap_size=config.cells,
        normalize=settings.normalize,
        decoder_options=_stages(backbone, seldom=sigmoid) if decoder == "upsample" else {},
    )
    if settings.holds_norm:
        hold_statistics(network)
    if card is None and settings.weights is not None:
        network.notes = read_start(settings.weights, network, new_head=settings.new_head).lines()
        backbone.description["pretrained"] = True
    return network


def read_start(path: Path, network: Network, *, new_head: bool = False) -> Loaded:
    """Put the weights of a file into the network: mmpose's, the published package's, or a checkpoint of our own.

    Args:
        path: the file; every tensor must fit.
        new_head: leave the last layer as it is, for another number of points.

    Raises:
        InputError: see `kaname.inference.state_dict.load_state_dict`.
    """
    last = [name for name, layer in network.decoder.named_modules() if isinstance(layer, nn.Conv2d)][-1]
    return load_state_dict(path, network, layout_of(network), last=f"decoder.{last}.", new_head=new_head)


def layout_of(network: Network) -> Weights:
    """What files call the tensors: as mmpose does; without the normalisation, which the configuration makes again."""
    inner = "backbone.body.net." if hasattr(network.backbone.body, "net") else "backbone.body."
    names = ((inner, "backbone."), ("decoder.", "keypoint_head."))
    return Weights("state_dict", names, ("mean", "std"))


def describe(config: LandmarkConfig, network: Network) -> dict[str, Any]:
    """The card's fields that are this recipe's own."""
    return {
        "view": config.view.to_dict(),
        "grid": config.grid.to_dict(),
        "skeleton": skeleton_of(config.data).to_dict(),
        "sigma_cells": config.sigma_cells,
        "weights": asdict(layout_of(network)),
    }


def _options(name: str, fuse: str) -> dict[str, Any]:
    """What a backbone must be asked for so that it gives its maps as they are needed here."""
    kind, _, architecture = name.rpartition(":")
    if (described := at_home(name) / "config.json").is_file():
        content = read_json(described)
        architecture = str(content.get("architecture")) if isinstance(content, dict) else ""
    if architecture.removeprefix("timm/").startswith(HRNET):
        return {"feature_location": "", "fuse": fuse}
    return {"stride": STRIDE} if "small" in (kind, name) else {}


def _stages(backbone: Backbone, *, seldom: bool) -> dict[str, Any]:
    """Stages of the decoder upsample that bring the last map to a quarter of the input, or as near as they can."""
    factors = [2] * int(max(0, math.log2(backbone.strides[-1] / STRIDE))) or [1]
    return {"widths": [WIDTH] * len(factors), "factors": factors, "seldom": seldom}
