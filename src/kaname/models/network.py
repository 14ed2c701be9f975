"""Normalisation + backbone + decoder + upsampling, as one module that takes colours in 0..255.

One image has three channels; a window of ``frames`` consecutive images has them one after the other, ``3 * frames``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from jaxtyping import Float, Float32, Real
from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.models.backbones import Backbone, build_backbone, check_size
from kaname.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD
from kaname.models.decoders import build_decoder
from kaname.models.fusion import STACK, build_fusion

NORMALIZE = ("imagenet", "backbone", "none")
COLOURS = 3
WHITE = 255.0


class Network(nn.Module):
    """Images, or windows of frames, to heatmap logits, for one input size.

    Args:
        backbone: from `kaname.models.backbones.build_backbone`; for stacked frames built with 3 * frames channels.
        decoder: a name of `kaname.models.decoders.DECODERS`.
        size: ``(height, width)`` of the input; must divide by the backbone's ``multiple``.
        out_channels: heatmaps.
        heatmap_size: ``(rows, columns)`` of the logits; by default the input size.
        normalize: what the three colours go through: ``"imagenet"`` or ``"backbone"`` mean and deviation (of values in
            0..1), or ``"none"``: 0..1 as it is. Further channels (flow, ...) reach the backbone as they come.
        decoder_options: options of the decoder.
        frames: consecutive images in one input.
        fusion: how the decoder sees several frames: ``"stack"`` (they are channels of one input), or a name of
            `kaname.models.fusion.FUSIONS`: every frame runs through the backbone alone and the maps are fused.

    Buffers ``mean`` and ``std`` ``(1, C, 1, 1)`` hold the normalisation in 0..255, so that every file carries it.

    Raises:
        InputError: a size that the backbone cannot take, with the nearest one; unknown names.
    """

    mean: Float[Tensor, "1 channels 1 1"]
    std: Float[Tensor, "1 channels 1 1"]

    def __init__(
        self,
        backbone: Backbone,
        decoder: str = "linear",
        *,
        size: tuple[int, int],
        out_channels: int,
        heatmap_size: tuple[int, int] | None = None,
        normalize: str = "imagenet",
        decoder_options: Mapping[str, Any] | None = None,
        frames: int = 1,
        fusion: str = STACK,
    ) -> None:
        super().__init__()
        if frames < 1:
            raise InputError(f"a window has at least 1 frame, got {frames}")
        self.frames = frames
        self.size = (int(size[0]), int(size[1]))
        check_size(self.size, backbone.multiple)
        self.heatmap_size = self.size if heatmap_size is None else (int(heatmap_size[0]), int(heatmap_size[1]))
        self.backbone = backbone
        options = dict(decoder_options or {})
        self.decoder = build_decoder(decoder, backbone.channels, backbone.strides, out_channels, **options)
        self._check_heatmap_size()
        # One frame is nothing to fuse; stacked frames are fused by the backbone itself.
        self.fusion = None if frames == 1 else build_fusion(fusion, backbone.channels, frames)
        stacked = frames if self.fusion is None else 1
        mean, std = _normalisation(backbone, normalize)
        extra = backbone.in_channels - COLOURS * stacked
        if extra < 0:
            raise InputError(f"a network needs at least {COLOURS * stacked} input channels, got {backbone.in_channels}")
        self.register_buffer("mean", _buffer([WHITE * value for value in mean] * stacked, 0.0, extra))
        self.register_buffer("std", _buffer([WHITE * value for value in std] * stacked, 1.0, extra))
        self.description: dict[str, Any] = {
            "backbone": backbone.description,
            "decoder": decoder,
            "decoder_options": options,
            "size": list(self.size),
            "heatmap_size": list(self.heatmap_size),
            "out_channels": out_channels,
            "normalize": normalize,
            "frames": frames,
            "fusion": fusion,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Network:
        """The same modules with random weights, for a state dict; needs no network and no other file."""
        values = dict(description)
        height, width = values.pop("size")
        rows, columns = values.pop("heatmap_size")
        backbone = build_backbone(description=values.pop("backbone"))
        return cls(backbone, values.pop("decoder"), size=(height, width), heatmap_size=(rows, columns), **values)

    def forward(
        self,
        images: Real[Tensor, "batch channels height width"],
        features: list[Float[Tensor, "batch _channels _height _width"]] | None = None,
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """Images ``(B, C, height, width)``, uint8 or float in 0..255, to logits ``(B, out_channels, rows, columns)``.

        With ``features`` (those of these images, from a cache) the backbone does not run and ``images`` are not read.

        Raises:
            InputError: another size than the network was built for.
        """
        return self.decode(self.features(images) if features is None else features)

    def features(
        self, images: Real[Tensor, "batch channels height width"]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        """The backbone's maps of such images: what a cache of a frozen backbone keeps.

        Each is ``(B, C_i, h_i, w_i)``; of frames that run alone ``(B, frames * C_i, h_i, w_i)``, in their order.
        """
        given = (images.shape[2], images.shape[3])
        if given != self.size:
            reason = f"the network takes images of {self.size[0]} x {self.size[1]}, got {given[0]} x {given[1]}"
            raise InputError(reason, remedy=f"resize or letterbox them to {self.size[0]} x {self.size[1]}")
        alone = self.fusion is not None
        if alone:
            images = images.unflatten(1, (self.frames, -1)).flatten(0, 1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.backbone.held):
            # A product: dividing every pixel was measured to take ten times as long.
            maps = self.backbone((images.to(self.mean.dtype) - self.mean) * (1 / self.std))
        return [value.unflatten(0, (-1, self.frames)).flatten(1, 2) for value in maps] if alone else maps

    def decode(
        self, features: list[Float[Tensor, "batch _channels _height _width"]]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """The logits of such maps; ``forward`` is ``decode(features(images))``."""
        logits = self.decoder(features if self.fusion is None else self.fusion(features))
        if logits.shape[-2:] == self.heatmap_size:
            return logits
        return functional.interpolate(logits, size=self.heatmap_size, mode="bilinear", align_corners=False)

    def _check_heatmap_size(self) -> None:
        stride = cast(float, self.decoder.stride)
        given = [round(side / stride) for side in self.size]
        # Bilinear sampling without a filter would skip cells: peaks could fall between.
        if any(wanted < got for wanted, got in zip(self.heatmap_size, given, strict=True)):
            reason = f"a heatmap of {self.heatmap_size} is smaller than the decoder's output, ({given[0]}, {given[1]})"
            raise InputError(reason, remedy=f"ask for at least ({given[0]}, {given[1]}), or upsample less")


def trainable_parameters(model: nn.Module) -> int:
    """How many numbers of the model are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _normalisation(backbone: Backbone, normalize: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    choices = {
        "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
        "backbone": (backbone.mean, backbone.std),
        "none": ((0.0,) * COLOURS, (1.0,) * COLOURS),
    }
    if normalize not in choices:
        raise InputError(f"unknown normalisation {normalize!r}", remedy=f"known: {', '.join(NORMALIZE)}")
    return choices[normalize]


def _buffer(values: list[float], fill: float, extra: int) -> Float32[Tensor, "1 channels 1 1"]:
    return torch.tensor([*values, *[fill] * extra], dtype=torch.float32).reshape(1, -1, 1, 1)
