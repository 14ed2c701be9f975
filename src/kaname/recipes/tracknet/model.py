"""The network of ``tracknet``; built from a configuration or from a file's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaname.errors import InputError
from kaname.models.backbones import Backbone, add_lora, build_backbone, checkpoint_gradients, freeze
from kaname.models.fusion import STACK
from kaname.models.network import COLOURS, Network
from kaname.recipes.tracknet.config import SMALL, ModelSettings, TracknetConfig
from kaname.recipes.tracknet.decoding import check_sizes, decoder_options


def build(config: TracknetConfig, *, description: Mapping[str, Any] | None = None) -> Network:
    """The network of a configuration; with ``description`` (of a card) its backbone is rebuilt without any download.

    Raises:
        InputError: unknown names, or sizes that do not fit, with those that do.
    """
    settings, frames = config.model, config.data.sequence.length
    width, height = config.data.resize
    columns, rows = settings.heatmap.size
    stacked = settings.fusion == STACK and frames > 1
    try:
        backbone = build_backbone(
            settings.pretrained_model_name, pretrained=settings.pretrained, description=description,
            in_channels=COLOURS * frames if stacked else COLOURS, options=_options(config),
        )  # fmt: skip
    except InputError as error:
        # The small U-Net needs other sizes too: here it is a model of its own.
        remedy = (error.remedy or "").replace("`--backbone small`", "`--model small_unet`")
        raise InputError(error.reason, path=error.path, row=error.row, remedy=remedy) from error
    if description is None:
        _train_as_asked(backbone, settings)
    options = decoder_options(settings, backbone)
    check_sizes(config, backbone)
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


def is_pretrained(config: TracknetConfig, network: Network) -> bool:
    """Whether the backbone came with weights; the small U-Net never does."""
    return config.model.pretrained and network.backbone.description["kind"] != SMALL
