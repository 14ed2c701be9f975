"""The network of ``tracknet``; built from a configuration or from a file's card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname import __version__
from kaname import config as configuration
from kaname.engine import checkpoint
from kaname.engine.deploy import TorchRunner
from kaname.errors import InputError
from kaname.models.backbones import Backbone, add_lora, build_backbone, checkpoint_gradients, freeze
from kaname.models.fusion import STACK
from kaname.models.network import COLOURS, Network
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.config import SMALL, ModelSettings, TracknetConfig


def build(config: TracknetConfig, *, description: Mapping[str, Any] | None = None) -> Network:
    """The network of a configuration; with ``description`` (of a card) its backbone is rebuilt without any download.

    Raises:
        InputError: unknown names, or sizes that do not fit, with those that do.
    """
    settings, frames = config.model, config.data.sequence.length
    width, height = config.data.resize
    columns, rows = settings.heatmap.size
    stacked = settings.fusion == STACK and frames > 1
    backbone = build_backbone(
        settings.pretrained_model_name, pretrained=settings.pretrained, description=description,
        in_channels=COLOURS * frames if stacked else COLOURS, options=_options(config),
    )  # fmt: skip
    if description is None:
        _train_as_asked(backbone, settings)
    options = _decoder_options(settings, backbone)
    _check_sizes(config, backbone)
    return Network(
        backbone, settings.decoder.name, size=(height, width), out_channels=frames, heatmap_size=(rows, columns),
        normalize=config.data.normalize, decoder_options=options, frames=frames, fusion=settings.fusion,
    )  # fmt: skip


def _options(config: TracknetConfig) -> dict[str, Any]:
    """The small U-Net answers at the input's resolution where the heatmap wants it, else at half of it."""
    if config.model.pretrained_model_name.split(":")[0] != SMALL:
        return {}
    return {"stride": 1 if tuple(config.model.heatmap.size) == tuple(config.data.resize) else 2}


def _train_as_asked(backbone: Backbone, settings: ModelSettings) -> None:
    with_weights = settings.pretrained and backbone.description["kind"] != SMALL
    if settings.lora.rank:
        add_lora(backbone, rank=settings.lora.rank, alpha=settings.lora.alpha)
    elif settings.freeze == "all" and with_weights:
        freeze(backbone)
    if settings.gradient_checkpointing:
        checkpoint_gradients(backbone)


def _decoder_options(settings: ModelSettings, backbone: Backbone) -> dict[str, Any]:
    decoder = settings.decoder
    if decoder.name == "linear":
        return {}
    own, *widths = decoder.channels or ("",)
    if own != "C" and own != backbone.channels[-1]:
        raise InputError(
            f"model.decoder.channels begins with {own!r}, the backbone has {backbone.channels[-1]} channels",
            remedy="write C for the backbone's own number",
        )
    if not all(isinstance(width, int) for width in widths):
        raise InputError(f"model.decoder.channels is {list(decoder.channels)}", remedy="for example [C, 256, 128, 64]")
    return {"widths": list(widths), "factors": list(decoder.upsample), "mode": decoder.mode}


def _check_sizes(config: TracknetConfig, backbone: Backbone) -> None:
    """The heatmap must be what the decoder gives: three keys could be changed, each is named with its value."""
    decoder, size = config.model.decoder, config.model.heatmap.size
    stride = backbone.strides[-1]
    factors = list(decoder.upsample) if decoder.name == "upsample" else []
    factor = 1
    for value in factors:
        factor *= value
    given = [side * factor // stride for side in config.data.resize]
    if list(size) == given:
        return
    choices = [f"model.heatmap.size=[{given[0]},{given[1]}]"]
    inputs = [side * stride // factor for side in size]
    if all(side % backbone.multiple == 0 for side in inputs):
        choices.append(f"data.resize=[{inputs[0]},{inputs[1]}]")
    needed = [side * stride / given_side for side, given_side in zip(size, config.data.resize, strict=True)]
    power = needed[0].is_integer() and needed[0] == needed[1] and bin(int(needed[0])).count("1") == 1
    if decoder.name == "upsample" and power and needed[0] <= stride:
        stages = int(needed[0]).bit_length() - 1
        if stages <= len(factors):
            listed = [2] * stages + [1] * (len(factors) - stages)
            choices.append(f"model.decoder.upsample={listed}".replace(" ", ""))
        else:
            widths = ["C", *([256, 128, 64, 32, 16, 8][:stages])]
            shown = "[" + ",".join(map(str, widths)) + "]"
            choices.append(f"model.decoder.upsample={[2] * stages}".replace(" ", "") + f" with channels={shown}")
    raise InputError(
        f"model.heatmap.size is {list(size)}, but an input of {list(config.data.resize)} with a stride of {stride} and "
        f"upsampling by {factor} gives {given}", remedy=f"set one of: {'; '.join(choices)}",
    )  # fmt: skip


def is_pretrained(config: TracknetConfig, network: Network) -> bool:
    """Whether the backbone came with weights; the small U-Net never does."""
    return config.model.pretrained and network.backbone.description["kind"] != SMALL


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
