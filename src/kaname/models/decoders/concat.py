"""HRNetV2's head: all branches at the resolution of the finest, side by side, then two 1x1 convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.shapes import Float

BRANCHES = 4


class Concat(nn.Module):
    """The last four maps, bilinear to the finest of them, joined; 1x1 + BatchNorm + ReLU; 1x1 to ``out_channels``.

    The layers are called and numbered as in mmpose's ``keypoint_head``, so that its files can be read and written.
    """

    def __init__(self, width: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        last = nn.Conv2d(width, out_channels, 1)
        nn.init.normal_(last.weight, std=0.001)  # raw heatmaps begin at about 0, what they are nearly everywhere
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.final_layer = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), last)

    def forward(
        self, features: list[Float[Tensor, "batch _channels _height _width"]]
    ) -> Float[Tensor, "batch out_channels height width"]:
        """Maps ``(B, C_i, h_i, w_i)``, fine to coarse -> ``(B, out_channels, h, w)`` of the fourth from the end."""
        first, *others = features[-BRANCHES:]
        size = first.shape[-2:]
        grown = [functional.interpolate(value, size=size, mode="bilinear", align_corners=False) for value in others]
        return self.final_layer(torch.cat([first, *grown], dim=1))


def build_concat(channels: Sequence[int], strides: Sequence[int], out_channels: int) -> Concat:
    """See `Concat`.

    Raises:
        InputError: a backbone with fewer maps.
    """
    if len(channels) < BRANCHES:
        reason = f"the decoder concat joins {BRANCHES} maps, the backbone gives {len(channels)}"
        raise InputError(reason, remedy="use the decoder upsample, or a pyramid such as timm:hrnet_w18")
    return Concat(sum(channels[-BRANCHES:]), out_channels, stride=strides[-BRANCHES])
