"""Depthwise convolutions on a CPU in bf16: torch has no fast backward pass for them there, in fp32 it has.

Measured on EfficientNet-Lite0 at 256 px (an AMD EPYC with AVX-512 bf16, one thread): in bf16 the backward passes of its
depthwise convolutions take more than half of a training step; `benchmarks/depthwise.py` has the figures.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn


def keep_exact(model: nn.Module) -> None:
    """Let every depthwise convolution of a model work in fp32 under a CPU's autocast, as its type's subclass.

    Its weights and their names stay as they are.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels:
            module.__class__ = _exact(type(module))


@functools.cache
def _exact(kind: Any) -> type[nn.Conv2d]:
    """The same convolution with autocast switched off."""

    class Exact(kind):
        def forward(self, input: Tensor) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.float())

    Exact.__name__ = Exact.__qualname__ = kind.__name__  # in its repr too
    return Exact
