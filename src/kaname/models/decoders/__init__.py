"""Decoders: a backbone's feature maps in, logits out.

A decoder is an ``nn.Module`` with

- ``forward(features) -> logits``: the list of maps ``(B, C_i, h_i, w_i)``, fine to coarse, as the backbone gives it;
  logits ``(B, out_channels, h, w)``, of several outputs one after the other, or a dict of them by name, maps
  ``(B, C, h, w)`` or vectors ``(B, C)``;
- ``stride``: input pixels in one cell of its finest maps, a number that need not be whole (14 / 8 = 1.75);
  `kaname.models.network.Network` upsamples the rest.

Adding a new decoder
    1. Write ``build_NAME(channels, strides, out_channels, **options) -> nn.Module`` in a new file of this folder;
       ``channels`` and ``strides`` are the backbone's. One with several outputs takes ``outputs`` in third place: the
       number of channels of each by name. Options are keyword-only plain JSON values, so that a checkpoint
       can keep them.
    2. Add one line to `DECODERS` below, and NAME to the choices of the recipes that offer it, in their ``config.py``.
    3. Add it to the parametrised tests in ``tests/models/test_decoders.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from kaname.errors import InputError
from kaname.models.decoders.concat import build_concat
from kaname.models.decoders.fpn import build_fpn
from kaname.models.decoders.linear import build_linear
from kaname.models.decoders.upsample import build_upsample

__all__ = ["DECODERS", "build_decoder"]

DECODERS: dict[str, Callable[..., nn.Module]] = {
    "linear": build_linear,
    "upsample": build_upsample,
    "concat": build_concat,
    "fpn": build_fpn,
}


def build_decoder(
    name: str, channels: Sequence[int], strides: Sequence[int], outputs: int | Mapping[str, int], **options: Any
) -> nn.Module:
    """Build a decoder for a backbone with these channels and strides.

    Args:
        outputs: how many channels it gives, or of each output by name.

    Raises:
        InputError: an unknown name or option, options that do not fit the backbone.
    """
    if name not in DECODERS:
        raise InputError(f"unknown decoder {name!r}", remedy=f"known: {', '.join(DECODERS)}")
    kind, *known = list(inspect.signature(DECODERS[name]).parameters)[2:]
    for key in options:
        if key not in known:
            raise InputError(f"the decoder {name} has no option {key!r}", remedy=f"known: {', '.join(known)}")
    counts = list(outputs.values()) if isinstance(outputs, Mapping) else [outputs]
    if min(counts, default=0) < 1:
        raise InputError(f"a decoder needs at least 1 output channel, got {min(counts, default=0)}")
    return DECODERS[name](tuple(channels), tuple(strides), outputs if kind == "outputs" else sum(counts), **options)
