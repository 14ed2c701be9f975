"""A feature pyramid: coarse maps are added to fine ones, the finest is doubled up to the heatmap; several outputs.

Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017 (arXiv 1612.03144), of which only the finest level
is used. GroupNorm in place of BatchNorm: no statistics over the batch, so any split of it gives one gradient, and a
second pass over other frames moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.geometry.resampling import resample_weights
from kaname.models.decoders.linear import rare
from kaname.shapes import Float

FINEST = 8  # stride of the finest map that is used, where the backbone has others
GROUPS = 32

Features = list[Float[Tensor, "batch _channels _height _width"]]


class Pyramid(nn.Module):
    """Laterals, top-down sums, stages that double the finest map, and a head for each output.

    A backbone with one map gives it straight to the heads. Where the finest map is larger than the heatmap it is
    brought to its size by the one antialiased filter; otherwise `kaname.models.network.Network` does the rest.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        outputs: Mapping[str, int],
        *,
        canvas: Sequence[int],
        heatmap: Sequence[int],
        width: int,
        hidden: int,
        pooled: Sequence[str],
        seldom: Sequence[str],
        finest: int,
    ) -> None:
        super().__init__()
        self.first = next((level for level, stride in enumerate(strides) if stride >= finest), len(strides) - 1)
        channels, strides = channels[self.first :], strides[self.first :]
        single = len(channels) == 1
        cells = [math.ceil(side / strides[0]) for side in canvas]
        doublings = 0 if single else _doublings(cells, heatmap)
        self.stride = strides[0] / 2**doublings
        wide = channels[0] if single else width
        self.laterals = nn.ModuleList([] if single else [nn.Conv2d(count, width, 1) for count in channels])
        self.smooth = nn.Identity() if single else _convolution(width)
        self.stages = nn.ModuleList([_convolution(width) for _ in range(doublings)])
        self.heads = nn.ModuleDict()
        for name, count in outputs.items():
            if name in pooled:
                head = nn.Sequential(nn.Linear(wide, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, count))
            else:
                head = nn.Conv2d(wide, count, 1)
                head = rare(head) if name in seldom else head
            self.heads[name] = head
        self.pooled = frozenset(pooled)
        sides = [side * 2**doublings for side in cells]
        self.reduced = any(have > wanted for have, wanted in zip(sides, heatmap, strict=True))
        if self.reduced:
            self.stride = max(side / wanted for side, wanted in zip(canvas, heatmap, strict=True))
            for name, have, wanted in zip(("down", "across"), sides, heatmap, strict=True):
                weights = torch.as_tensor(resample_weights(have, wanted), dtype=torch.float32)
                self.register_buffer(name, weights, persistent=False)

    def forward(self, features: Features) -> dict[str, Float[Tensor, "batch *_axes"]]:
        """Maps ``(B, C_i, h_i, w_i)``, fine to coarse -> by name maps ``(B, C, h, w)`` or vectors ``(B, C)``."""
        features = features[self.first :]
        if len(self.laterals):
            *fine, merged = [lateral(value) for lateral, value in zip(self.laterals, features, strict=True)]
            for value in reversed(fine):
                merged = value + _grown(merged, (value.shape[2], value.shape[3]))
        else:
            merged = features[-1]
        merged = self.smooth(merged)
        vector = merged.mean(dim=(2, 3))
        for stage in self.stages:
            value = stage(merged)
            merged = _grown(value, (2 * value.shape[2], 2 * value.shape[3]))
        if self.reduced:
            merged = self.get_buffer("down") @ merged @ self.get_buffer("across").T
        return {name: head(vector if name in self.pooled else merged) for name, head in self.heads.items()}


def build_fpn(
    channels: Sequence[int],
    strides: Sequence[int],
    outputs: Mapping[str, int] | int,
    *,
    canvas: Sequence[int],
    heatmap: Sequence[int],
    width: int = 256,
    hidden: int = 512,
    pooled: Sequence[str] = (),
    seldom: Sequence[str] = ("heatmaps",),
    finest: int = FINEST,
) -> Pyramid:
    """Build it for an input of the size ``canvas`` and a heatmap of the size ``heatmap``, both ``(height, width)``.

    Args:
        width: channels of the pyramid.
        hidden: units between the pooled features and a vector.
        pooled: the outputs that are vectors, from the mean over the finest level.
        seldom: the outputs that begin by answering "hardly anywhere".
        finest: stride of the finest map that is used, where the backbone has others; the finer, the sharper and dearer.

    Raises:
        InputError: sizes or widths below 1, an unknown output, a backbone whose strides do not rise.
    """
    named = {"heatmaps": outputs} if isinstance(outputs, int) else dict(outputs)
    sizes = [tuple(int(side) for side in size) for size in (canvas, heatmap)]
    if any(len(size) != 2 or min(size) < 1 for size in sizes) or min(width, hidden) < 1:
        raise InputError(
            f"the pyramid cannot have the sizes {list(canvas)} and {list(heatmap)}, width {width} and hidden {hidden}",
            remedy="sizes are (height, width), all at least 1",
        )
    if unknown := [name for name in pooled if name not in named]:
        raise InputError(f"no output is called {unknown[0]!r}", remedy=f"known: {', '.join(named)}")
    if any(fine >= coarse for fine, coarse in pairwise(strides)):
        raise InputError(f"strides must rise from map to map, got {list(strides)}", remedy="use another backbone")
    return Pyramid(
        channels, strides, named, canvas=sizes[0], heatmap=sizes[1], width=width, hidden=hidden, pooled=pooled,
        seldom=seldom, finest=finest,
    )  # fmt: skip


def _doublings(cells: Sequence[int], heatmap: Sequence[int]) -> int:
    """How often a map can be doubled without exceeding the heatmap in either axis.

    >>> _doublings((68, 120), (196, 196)), _doublings((68, 120), (135, 240)), _doublings((48, 48), (196, 196))
    (0, 0, 2)
    """
    return max(0, min(math.floor(math.log2(wanted / have)) for have, wanted in zip(cells, heatmap, strict=True)))


def _convolution(width: int) -> nn.Module:
    norm = nn.GroupNorm(math.gcd(width, GROUPS), width)
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), norm, nn.ReLU(inplace=True))


def _grown(
    maps: Float[Tensor, "batch channels height width"], size: tuple[int, int]
) -> Float[Tensor, "batch channels _h _w"]:
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
