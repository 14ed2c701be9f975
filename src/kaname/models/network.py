"""Normalization + backbone + decoder + upsampling: tensors by name in, raw outputs by name out.

One image has three channels; a window of ``frames`` consecutive images has them one after the other, ``3 * frames``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.models.backbones import Backbone, check_size
from kaname.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD
from kaname.models.decoders import build_decoder
from kaname.models.fusion import STACK, build_fusion
from kaname.shapes import Float, Real, Shaped
from kaname.types import Head, Input

COLOURS, WHITE = 3, 255.0
IMAGES, HEATMAPS, FEATURES = "images", "heatmaps", "features_"
Named = Mapping[str, Shaped[Tensor, "_rows *_axes"]]
Outputs = dict[str, Float[Tensor, "_rows *_axes"]]


class Network(nn.Module):
    """Images, or windows of frames, to raw outputs by name, for one input size.

    Args:
        backbone: of `kaname.models.backbones.build_backbone`, for stacked frames and ``further`` with as many channels.
        decoder: a name of `kaname.models.decoders.DECODERS`.
        size: ``(height, width)`` of the input; must divide by the backbone's ``multiple``.
        out_channels: of the one head ``heatmaps``, where no ``heads`` are given.
        heads: the outputs by name.
        heatmap_size: ``(rows, columns)`` of all maps; by default the input size.
        normalize: the colours by mean and deviation of ``"imagenet"`` or the ``"backbone"``; ``"none"``: 0..1 as it is.
        decoder_options: options of the decoder.
        frames: consecutive images in one input.
        fusion: ``"stack"``: several frames are channels of one input; or a name of `kaname.models.fusion.FUSIONS`:
            every frame runs through the backbone alone and the maps are fused.
        further: channels of further inputs by name (``{"flow": 2}``), each float32 ``(B, channels, height, width)``;
            the backbone gets them as they are, after the normalized images.

    Attributes:
        inputs: what a file of this network is fed.
        heads: its outputs.
        notes: lines for the user on where its weights come from.

    Buffers ``mean`` and ``std`` ``(1, C, 1, 1)`` hold the normalization in 0..255, so that every file carries it.

    Raises:
        InputError: a size that the backbone cannot take, with the nearest one; unknown names; other channels.
    """

    mean: Float[Tensor, "1 channels 1 1"]
    std: Float[Tensor, "1 channels 1 1"]

    def __init__(
        self,
        backbone: Backbone,
        decoder: str = "linear",
        *,
        size: tuple[int, int],
        out_channels: int = 1,
        heads: Mapping[str, Head] | None = None,
        heatmap_size: tuple[int, int] | None = None,
        normalize: str = "imagenet",
        decoder_options: Mapping[str, Any] | None = None,
        frames: int = 1,
        fusion: str = STACK,
        further: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        if frames < 1:
            raise InputError(f"a window has at least 1 frame, got {frames}")
        self.backbone, self.frames, self.size = backbone, frames, (int(size[0]), int(size[1]))
        self.notes: list[str] = []
        check_size(self.size, backbone.multiple)
        self.heatmap_size = self.size if heatmap_size is None else (int(heatmap_size[0]), int(heatmap_size[1]))
        self.heads = dict(heads or {HEATMAPS: Head([str(number) for number in range(out_channels)])})
        outputs = {name: len(head.channels) for name, head in self.heads.items()}
        self.decoder = build_decoder(decoder, backbone.channels, backbone.strides, outputs, **(decoder_options or {}))
        given = tuple(round(side / cast(float, self.decoder.stride)) for side in self.size)
        # Bilinear sampling without a filter would skip cells, and peaks with them.
        if any(wanted < got for wanted, got in zip(self.heatmap_size, given, strict=True)):
            reason = f"a heatmap of {self.heatmap_size} is smaller than the decoder's output, {given}"
            raise InputError(reason, remedy=f"ask for at least {given}, or upsample less")
        # One frame is nothing to fuse; stacked frames are fused by the backbone itself.
        self.fusion = None if frames == 1 else build_fusion(fusion, backbone.channels, frames)
        stacked, extra = frames if self.fusion is None else 1, dict(further or {})
        if backbone.in_channels != COLOURS * stacked + sum(extra.values()):
            wanted = " + ".join([f"{COLOURS * stacked} of images", *(f"{n} of {name}" for name, n in extra.items())])
            raise InputError(f"the inputs have {wanted} channels, the backbone takes {backbone.in_channels}")
        if extra and self.fusion is not None:
            raise InputError(f"{', '.join(extra)} cannot be used where frames run alone", remedy=f"use fusion {STACK}")
        self.inputs = {IMAGES: Input((None, None, COLOURS * frames), "uint8")}
        self.inputs |= {name: Input((count, *self.size)) for name, count in extra.items()}
        mean, std = _normalization(backbone, normalize)
        for name, values, fill in (("mean", mean, 0.0), ("std", std, 1.0)):
            row = [WHITE * value for value in values] * stacked + [fill] * sum(extra.values())
            self.register_buffer(name, torch.tensor(row, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, inputs: Named) -> Outputs:
        """Inputs by name to raw outputs (logits) by name; ``heatmaps`` are ``(B, C, rows, columns)``.

        ``images`` are ``(B, 3 * frames, height, width)``, uint8 or float in 0..255. Given ``features_0``, ... (those of
        these images, from a cache, finest first) the backbone does not run and the other inputs are not read.

        Raises:
            InputError: another size than the network was built for.
        """
        count = sum(name.startswith(FEATURES) for name in inputs)
        kept = [inputs[f"{FEATURES}{level}"].float() for level in range(count)]
        return self.decode(kept or self.features(self.joined(inputs)))

    def joined(self, inputs: Named) -> Real[Tensor, "batch channels height width"]:
        """All that the backbone sees as the channels of one tensor: images in 0..255, then the further inputs."""
        parts = [inputs[name] for name in self.inputs]
        return torch.cat([part.to(self.mean.dtype) for part in parts], dim=1) if len(parts) > 1 else parts[0]

    def features(
        self, images: Real[Tensor, "batch channels height width"]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        """The backbone's maps of such (`joined`) images: what a cache of a frozen backbone keeps.

        Each is ``(B, C_i, h_i, w_i)``; of frames that run alone ``(B, frames * C_i, h_i, w_i)``, in their order.
        """
        given = (images.shape[2], images.shape[3])
        if given != self.size:
            reason = f"the network takes images of {self.size[0]} x {self.size[1]}, got {given[0]} x {given[1]}"
            raise InputError(reason, remedy=f"resize or letterbox them to {self.size[0]} x {self.size[1]}")
        alone = self.fusion is not None
        if alone:
            images = images.unflatten(1, (self.frames, -1)).flatten(0, 1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.backbone.frozen_for_now):
            # A product: dividing every pixel was measured to take ten times as long.
            maps = self.backbone((images.to(self.mean.dtype) - self.mean) * (1 / self.std))
        return [value.unflatten(0, (-1, self.frames)).flatten(1, 2) for value in maps] if alone else maps

    def decode(self, features: list[Float[Tensor, "batch _channels _height _width"]]) -> Outputs:
        """The raw outputs of such maps: maps in the heatmap's size, vectors as the decoder gives them."""
        given = self.decoder(features if self.fusion is None else self.fusion(features))
        if isinstance(given, Mapping):
            outputs: Mapping[str, Tensor] = given
        else:
            parts = given.split([len(head.channels) for head in self.heads.values()], dim=1)
            outputs = dict(zip(self.heads, parts, strict=True))
        return {name: self._sized(outputs[name]) for name in self.heads}

    def _sized(self, output: Float[Tensor, "batch channels *_axes"]) -> Float[Tensor, "batch channels *_sizes"]:
        if output.ndim < 4 or output.shape[-2:] == self.heatmap_size:
            return output
        return functional.interpolate(output, size=self.heatmap_size, mode="bilinear", align_corners=False)


def _normalization(backbone: Backbone, normalize: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    own = (backbone.mean, backbone.std)
    choices = {"imagenet": (IMAGENET_MEAN, IMAGENET_STD), "backbone": own, "none": ((0.0,) * COLOURS, (1.0,) * COLOURS)}
    if normalize not in choices:
        raise InputError(f"unknown normalization {normalize!r}", remedy=f"known: {', '.join(choices)}")
    return choices[normalize]
