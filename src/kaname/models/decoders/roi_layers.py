"""What the heads of `kaname.models.decoders.roi_heads` are made of."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.shapes import Float

GROUPS = 32
NORMS = ("group", "batch")
UPSAMPLINGS = ("direct", "progressive")

Size = tuple[int, int]


def normalization(channels: int, norm: str) -> nn.Module:
    """GroupNorm in up to 32 groups, or BatchNorm.

    Raises:
        InputError: an unknown norm.
    """
    if norm not in NORMS:
        raise InputError(f"unknown norm {norm!r}", remedy=f"known: {', '.join(NORMS)}")
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(math.gcd(channels, GROUPS), channels)


def block(before: int, after: int, norm: str, kernel: int = 3) -> list[nn.Module]:
    """Convolution of ``kernel`` x ``kernel``, normalization, ReLU.

    Raises:
        InputError: a kernel without a middle.
    """
    if kernel < 1 or kernel % 2 == 0:
        raise InputError(f"the first kernel must be odd, got {kernel}", remedy="3 is the default, 1 costs a ninth")
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    return [convolution, normalization(after, norm), nn.ReLU(inplace=True)]


def grown(
    values: Float[Tensor, "rows channels _h _w"], size: Size
) -> Float[Tensor, "rows channels {size[0]} {size[1]}"]:
    """Bilinear to ``size``; as they are where they have it."""
    if tuple(values.shape[2:]) == size:
        return values
    return functional.interpolate(values, size=size, mode="bilinear", align_corners=False)


def upsampling(kind: str, channels: int, start: Size, goal: Size, norm: str) -> nn.Sequential:
    """From maps of ``start`` to maps of ``goal`` cells, ``channels`` in and out.

    ``"direct"``: bilinear at once, then a 3 x 3 convolution and ReLU, as the document's head. ``"progressive"``: twice
    the size again and again, each time followed by a normalized convolution.

    Raises:
        InputError: an unknown kind, a goal smaller than the start, or one that doubling does not reach.
    """
    if kind not in UPSAMPLINGS:
        raise InputError(f"unknown upsampling {kind!r}", remedy=f"known: {', '.join(UPSAMPLINGS)}")
    check_goal(start, goal)
    if kind == "direct":
        up = nn.Upsample(size=goal, mode="bilinear", align_corners=False)
        return nn.Sequential(up, nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True))
    times = round(math.log2(goal[0] / start[0]))
    reached = (start[0] << times, start[1] << times)
    if reached != goal:
        reason = f"progressive upsampling doubles {_text(start)} and never reaches {_text(goal)}"
        raise InputError(reason, remedy=f"the nearest mask size is {_text(reached)}, or use upsample direct")
    layers: list[nn.Module] = []
    for _ in range(times):
        layers += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), *block(channels, channels, norm)]
    return nn.Sequential(*layers)


def check_goal(start: Size, goal: Size) -> None:
    """Refuse masks coarser than what they are made from: bilinear sampling would skip cells."""
    if goal[0] < start[0] or goal[1] < start[1]:
        larger = (max(goal[0], start[0]), max(goal[1], start[1]))
        reason = f"masks of {_text(goal)} are smaller than the {_text(start)} cells that they are made from"
        raise InputError(reason, remedy=f"use a mask size of at least {_text(larger)}")


def check_numbers(**values: int | Size) -> None:
    """Refuse whole numbers below 1, and sizes with such a side."""
    for name, value in values.items():
        if min(value if isinstance(value, tuple) else (value,)) < 1:
            raise InputError(f"{name} must be at least 1, got {value}")


def embedding_of(channels: int, dimensions: int) -> nn.Module | None:
    """The auxiliary 1 x 1 convolution for losses of contrast; none for 0 dimensions."""
    return nn.Conv2d(channels, dimensions, 1) if dimensions else None


def _text(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
