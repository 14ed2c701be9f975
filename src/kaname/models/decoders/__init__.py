"""Decoders: a backbone's feature maps in, logits out.

A decoder is an ``nn.Module`` with

- ``forward(features) -> logits``: the list of maps ``(B, C_i, h_i, w_i)``, fine to coarse, as the backbone gives it;
  logits ``(B, out_channels, h, w)``;
- ``stride``: input pixels in one cell of the logits, a number that need not be whole (14 / 8 = 1.75);
  `kaname.models.network.Network` upsamples the rest.

Adding a new decoder
    1. Write ``build_NAME(channels, strides, out_channels, **options) -> nn.Module`` in a new file of this folder;
       ``channels`` and ``strides`` are the backbone's. Options are keyword-only plain JSON values, so that a checkpoint
       can keep them.
    2. Add one line to `DECODERS` below.
    3. Add it to the parametrised tests in ``tests/models/test_decoders.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from kaname.errors import InputError
from kaname.models.decoders.linear import build_linear
from kaname.models.decoders.upsample import build_upsample

__all__ = ["DECODERS", "build_decoder"]

DECODERS: dict[str, Callable[..., nn.Module]] = {"linear": build_linear, "upsample": build_upsample}


def build_decoder(
    name: str, channels: Sequence[int], strides: Sequence[int], out_channels: int, **options: Any
) -> nn.Module:
    """Build a decoder for a backbone with these channels and strides.

    Raises:
        InputError: an unknown name or option, or options that do not fit the backbone.
    """
    if name not in DECODERS:
        raise InputError(f"unknown decoder {name!r}", remedy=f"known: {', '.join(DECODERS)}")
    known = list(inspect.signature(DECODERS[name]).parameters)[3:]
    for key in options:
        if key not in known:
            raise InputError(f"the decoder {name} has no option {key!r}", remedy=f"known: {', '.join(known)}")
    if out_channels < 1:
        raise InputError(f"a decoder needs at least 1 output channel, got {out_channels}")
    return DECODERS[name](tuple(channels), tuple(strides), out_channels, **options)
