"""The network of ``gauge``: a backbone, a decoder, three maps; built from a configuration or from a file's card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname import __version__
from kaname import config as configuration
from kaname.inference import checkpoint
from kaname.inference.torch_runner import TorchRunner
from kaname.models.backbones import build_backbone
from kaname.models.network import Network
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.config import GaugeConfig


def build(config: GaugeConfig, *, description: Mapping[str, Any] | None = None) -> Network:
    """The network of a configuration; with ``description`` (of a card) its backbone is rebuilt without any download."""
    settings = config.model
    backbone = build_backbone(settings.backbone, pretrained=settings.pretrained, description=description)
    size = (config.size, config.size)
    return Network(backbone, settings.decoder, size=size, out_channels=len(CHANNELS), normalize=settings.normalize)


def is_pretrained(config: GaugeConfig, network: Network) -> bool:
    """Whether the backbone came with weights; the small U-Net never does."""
    return config.model.pretrained and network.backbone.description["kind"] != "small"


def describe(config: GaugeConfig, network: Network) -> dict[str, Any]:
    """The card's fields beside recipe and configuration."""
    return {
        "input_size": [config.size, config.size],
        "heatmap_size": [config.size, config.size],
        "grid": {"stride_yx": [1.0, 1.0], "origin": "centred"},
        "channels": list(CHANNELS),
        "mean_255": network.mean.flatten().tolist(),
        "std_255": network.std.flatten().tolist(),
        "colour": "RGB",
        "sigma_px": config.sigma * config.scale,
        "skeleton": None,
        "flip_pairs": None,
        "backbone": network.backbone.description,
        "pretrained": is_pretrained(config, network),
        "versions": {"kaname": __version__},
    }


def load_runner(path: Path, *, device: str) -> tuple[TorchRunner, Mapping[str, Any]]:
    """A runner and the card of a checkpoint."""
    found = checkpoint.load(path, recipe="gauge")
    network, _ = from_checkpoint(found)
    size = (int(found.card["input_size"][0]), int(found.card["input_size"][1]))
    return TorchRunner(network, size, device=device), found.card


def from_checkpoint(found: checkpoint.Checkpoint) -> tuple[Network, GaugeConfig]:
    """The network of a checkpoint with its weights, in eval mode."""
    config = configuration.from_dict(GaugeConfig, found.card["config"], source=str(found.path))
    network = build(config, description=found.card["backbone"])
    checkpoint.load_weights(network, found)
    return network.eval(), config
