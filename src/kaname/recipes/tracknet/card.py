"""What a file of ``tracknet`` says of itself, and the network and runner that are built from it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname import __version__
from kaname import config as configuration
from kaname.inference import checkpoint
from kaname.inference.torch_runner import TorchRunner
from kaname.models.network import Network
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.model import build, is_pretrained


def channel_names(frames: int) -> list[str]:
    """A name for each heatmap of a window."""
    return [BALL] if frames == 1 else [f"{BALL}_{number}" for number in range(frames)]


def describe(config: TracknetConfig, network: Network) -> dict[str, Any]:
    """The card's fields beside recipe and configuration."""
    width, height = config.data.resize
    columns, rows = config.model.heatmap.size
    return {
        "input_size": [height, width],
        "heatmap_size": [rows, columns],
        "grid": {"stride_yx": [height / rows, width / columns], "origin": "centred"},
        "frames": network.frames,
        "fusion": config.model.fusion,
        "channels": channel_names(network.frames),
        "mean_255": network.mean.flatten().tolist(),
        "std_255": network.std.flatten().tolist(),
        "colour": "RGB",
        "sigma_cells": config.model.heatmap.sigma,
        "score_threshold": config.detect.score_threshold,
        "skeleton": None,
        "flip_pairs": None,
        "backbone": network.backbone.description,
        "pretrained": is_pretrained(config, network),
        "absent": config.data.absent,
        "versions": {"kaname": __version__},
    }


def load_runner(path: Path, *, device: str) -> tuple[TorchRunner, Mapping[str, Any]]:
    """A runner and the card of a checkpoint."""
    found = checkpoint.load(path, recipe="tracknet")
    network, _ = from_checkpoint(found)
    return TorchRunner(network, network.size, device=device), found.card


def from_checkpoint(found: checkpoint.Checkpoint) -> tuple[Network, TracknetConfig]:
    """The network of a checkpoint with its weights, in eval mode."""
    config = configuration.from_dict(TracknetConfig, found.card["config"], source=str(found.path))
    network = build(config, description=found.card["backbone"])
    checkpoint.load_weights(network, found)
    return network.eval(), config
