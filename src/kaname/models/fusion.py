"""Several frames of a video to the one set of maps that a decoder reads.

A fusion is an ``nn.Module`` with ``forward(features) -> features``: for each level of the backbone ``(B, frames * C, h,
w)``, the frames' maps one after the other, to ``(B, C, h, w)``.

Adding a new fusion: ``build_NAME(channels, frames) -> nn.Module`` in this file, one line in `FUSIONS`, its name in
the choices of the recipes that offer it (``config.py``); the tests of this module take every member.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.shapes import Float

STACK = "stack"
HEAD_CHANNELS = 64


class Concatenate(nn.Module):
    """A 1x1 convolution over all frames' channels; it begins as their mean."""

    def __init__(self, channels: Sequence[int], frames: int) -> None:
        super().__init__()
        self.mix = nn.ModuleList(_mean_of_frames(width, frames) for width in channels)

    def forward(
        self, features: list[Float[Tensor, "batch _channels _height _width"]]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        """Levels ``(B, frames * C, h, w)`` to ``(B, C, h, w)``."""
        return [mix(value) for mix, value in zip(self.mix, features, strict=True)]


class TemporalAttention(nn.Module):
    """In every cell the frames attend to each other (one layer, pre-norm, learned positions), then as `Concatenate`."""

    def __init__(self, channels: Sequence[int], frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.place = nn.ParameterList(nn.Parameter(torch.randn(frames, width) * 0.02) for width in channels)
        self.norm = nn.ModuleList(nn.LayerNorm(width) for width in channels)
        self.queries = nn.ModuleList(nn.Linear(width, 3 * width) for width in channels)
        self.out = nn.ModuleList(nn.Linear(width, width) for width in channels)
        self.heads = [math.gcd(width, max(1, width // HEAD_CHANNELS)) for width in channels]
        self.mix = Concatenate(channels, frames)

    def forward(
        self, features: list[Float[Tensor, "batch _channels _height _width"]]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        """Levels ``(B, frames * C, h, w)`` to ``(B, C, h, w)``."""
        return self.mix([self._level(level, value) for level, value in enumerate(features)])

    def _level(
        self, level: int, value: Float[Tensor, "batch stacked height width"]
    ) -> Float[Tensor, "batch stacked height width"]:
        rows, columns = value.shape[2:]
        # (B, T * C, h, w) -> (B * h * w, T, C)
        tokens = value.unflatten(1, (self.frames, -1)).permute(0, 3, 4, 1, 2).flatten(0, 2)
        parts = self.queries[level](self.norm[level](tokens + self.place[level]))
        query, key, content = parts.unflatten(2, (3, self.heads[level], -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, content).transpose(1, 2).flatten(2)
        tokens = tokens + self.out[level](mixed)
        return tokens.unflatten(0, (-1, rows, columns)).permute(0, 3, 4, 1, 2).flatten(1, 2)


FUSIONS: dict[str, Callable[[Sequence[int], int], nn.Module]] = {
    "concat": Concatenate, "attention": TemporalAttention,
}  # fmt: skip


def build_fusion(name: str, channels: Sequence[int], frames: int) -> nn.Module | None:
    """The fusion of a backbone's levels; ``None`` for ``stack``, where the frames are channels of one input.

    Raises:
        InputError: an unknown name.
    """
    if name == STACK:
        return None
    if name not in FUSIONS:
        raise InputError(f"unknown fusion {name!r}", remedy=f"known: {STACK}, {', '.join(FUSIONS)}")
    return FUSIONS[name](tuple(channels), frames)


def _mean_of_frames(width: int, frames: int) -> nn.Conv2d:
    mix = nn.Conv2d(width * frames, width, 1)
    with torch.no_grad():
        mix.weight.copy_(torch.eye(width).repeat(1, frames)[:, :, None, None] / frames)
    assert mix.bias is not None
    nn.init.zeros_(mix.bias)
    return mix
