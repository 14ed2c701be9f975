"""Two 1x1 convolutions on the last feature map: the smallest decoder, for frozen features."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from kaname.errors import InputError
from kaname.shapes import Float

PRIOR = 0.02


class Linear(nn.Module):
    """1x1 convolution to ``hidden`` channels, ReLU, 1x1 convolution to ``out_channels``; each cell for itself."""

    def __init__(self, channels: int, out_channels: int, *, hidden: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.layers = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), rare(nn.Conv2d(hidden, out_channels, 1)))

    def forward(
        self, features: list[Float[Tensor, "batch _channels _height _width"]]
    ) -> Float[Tensor, "batch out_channels height width"]:
        """The last map ``(B, C, h, w)`` -> logits ``(B, out_channels, h, w)``."""
        return self.layers(features[-1])


def rare(head: nn.Conv2d) -> nn.Conv2d:
    """Let a head begin by answering "hardly anywhere" (probability 0.02), which is true of key points.

    Otherwise the first epoch goes into learning that (the prior of Lin et al., Focal Loss, ICCV 2017, section 3.3).
    """
    assert head.bias is not None
    nn.init.constant_(head.bias, math.log(PRIOR / (1 - PRIOR)))
    return head


def build_linear(channels: Sequence[int], strides: Sequence[int], out_channels: int, *, hidden: int = 50) -> Linear:
    """See `Linear`; 19,403 parameters for 384 channels, 50 hidden and 3 out."""
    if hidden < 1:
        raise InputError(f"hidden must be at least 1, got {hidden}")
    return Linear(channels[-1], out_channels, hidden=hidden, stride=strides[-1])
