"""Stages that double the resolution of the last feature map, with learned weights, then a 1x1 convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from kaname.errors import InputError
from kaname.models.decoders.linear import rare
from kaname.shapes import Float

MODES = ("conv_transpose", "interpolate")
WIDTHS = (256, 128, 64)


class Upsample(nn.Module):
    """Stages of upsampling + normalization + ReLU, then a 1x1 convolution to ``out_channels``."""

    def __init__(
        self, stages: Sequence[nn.Module], channels: int, out_channels: int, *, stride: float, seldom: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        self.stages = nn.Sequential(*stages)
        head = nn.Conv2d(channels, out_channels, 1)
        self.head = rare(head) if seldom else head

    def forward(
        self, features: list[Float[Tensor, "batch _channels _height _width"]]
    ) -> Float[Tensor, "batch out_channels height width"]:
        """The last map ``(B, C, h, w)`` -> logits ``(B, out_channels, h * factor, w * factor)``."""
        return self.head(self.stages(features[-1]))


def build_upsample(
    channels: Sequence[int],
    strides: Sequence[int],
    out_channels: int,
    *,
    widths: Sequence[int] = WIDTHS,
    factors: Sequence[int] | None = None,
    mode: str = "interpolate",
    seldom: bool = True,
) -> Upsample:
    """Build the stages.

    Args:
        widths: channels after each stage (the backbone's own come before them).
        factors: upsampling of each stage, by default 2 as long as the stride allows it, then 1.
        mode: ``"conv_transpose"`` (kernel 4 for a factor of 2) or ``"interpolate"`` (bilinear, then a 3x3 convolution;
            free of the checkerboard that transposed convolutions can leave).
        seldom: begin by answering "hardly anywhere", which is right for a sigmoid head and wrong for raw values.

    Raises:
        InputError: an unknown mode, lists of different lengths, or more upsampling than the stride.
    """
    stride = strides[-1]
    if factors is None:
        factors = [2 if 2 ** (stage + 1) <= stride else 1 for stage in range(len(widths))]
    if mode not in MODES:
        raise InputError(f"unknown upsampling mode {mode!r}", remedy=f"known: {', '.join(MODES)}")
    if not widths or len(widths) != len(factors):
        reason = f"upsample needs as many factors as widths, got {len(factors)} and {len(widths)}"
        raise InputError(reason, remedy="for example widths [256, 128, 64] and factors [2, 2, 2]")
    if min(widths) < 1 or not set(factors) <= {1, 2}:
        raise InputError(f"factors are 1 or 2 and widths at least 1, got {list(factors)} and {list(widths)}")
    total = math.prod(factors)
    if total > stride:
        reason = f"the factors multiply to {total}, more than the backbone's stride {stride}"
        raise InputError(reason, remedy="use fewer factors of 2")
    before = [channels[-1], *widths[:-1]]
    stages = [_stage(a, b, factor, mode) for a, b, factor in zip(before, widths, factors, strict=True)]
    return Upsample(stages, widths[-1], out_channels, stride=stride / total, seldom=seldom)


def _stage(before: int, after: int, factor: int, mode: str) -> nn.Module:
    # GroupNorm: no statistics over the batch, so accumulation and several processes give the same gradient.
    tail = [nn.GroupNorm(math.gcd(after, 8), after), nn.ReLU(inplace=True)]
    if factor == 1:
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), *tail)
    if mode == "conv_transpose":
        return nn.Sequential(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False), *tail)
    grow = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(grow, nn.Conv2d(before, after, 3, padding=1, bias=False), *tail)
