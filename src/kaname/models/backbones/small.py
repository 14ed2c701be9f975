"""A plain small U-Net, under 1 M parameters, trained from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from kaname.errors import InputError
from kaname.models.backbones.backbone import Backbone, Notice
from kaname.models.backbones.hub import APACHE, to_stderr

WIDTH = 16


class SmallUNet(nn.Module):
    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.a(images)]


def build_small(
    name: str,
    *,
    pretrained: bool,
    in_channels: int = 3,
    description: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    notice: Notice = to_stderr,
) -> Backbone:
    if description is not None:
        width = description["width"]
    else:
        if name and not (name.isdigit() and int(name) >= 4):
            raise InputError("small x")
        width = int(name or WIDTH)
    return Backbone(
        SmallUNet(in_channels, width),
        channels=[width],
        strides=[2],
        multiple=32,
        description={
            "kind": "small",
            "name": str(width),
            "width": width,
            "in_channels": in_channels,
            "licence": APACHE,
        },
    )
