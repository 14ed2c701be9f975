"""Backbones: an image in, feature maps out, all with one signature.

``build_backbone(name)`` takes

- ``small``, ``small:WIDTH``: the plain small U-Net of `small.py`, trained from scratch;
- a local folder: one that Hugging Face's ``save_pretrained`` wrote (a ViT), or timm's (``config.json`` with an
  ``architecture``);
- ``org/name``: a ViT on the Hugging Face hub, such as ``facebook/dinov2-small``;
- ``efficientnet-lite0``: timm's tf_efficientnet_lite0 with the ImageNet weights of an optional package (`lite0.py`);
- ``timm:NAME`` (or ``timm/NAME``, or a bare name that timm knows), such as ``timm:convnext_atto``.

Adding a new backbone
    1. Write ``build_NAME(name, *, pretrained, in_channels, description, options, notice) -> Backbone`` in a new file of
       this folder (copy `small.py`, the shortest). With a ``description`` (the dict that it gave its own `Backbone`) it
       must build the same modules with random weights, needing neither a network nor any other file.
    2. Add one line to `BACKBONES` below, and NAME to ``KINDS`` of `kaname.models.names`; ``NAME:rest`` then reaches it,
       with ``name`` = rest.
    3. Add three lines to ``tests/models/test_backbones.py``: a class that inherits its contract and names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kaname.errors import InputError
from kaname.models import hub
from kaname.models.backbones.backbone import (
    Backbone,
    Notice,
    checkpoint_gradients,
    freeze,
    unfreeze,
)
from kaname.models.backbones.lora import add_lora
from kaname.models.backbones.small import build_small
from kaname.models.backbones.timm import build_timm
from kaname.models.backbones.vit import build_vit
from kaname.models.names import check_size, resolve
from kaname.models.settings import LoraSettings

__all__ = [
    "BACKBONES",
    "Backbone",
    "adapt",
    "add_lora",
    "build_backbone",
    "check_size",
    "checkpoint_gradients",
    "freeze",
    "unfreeze",
]

BACKBONES: dict[str, Callable[..., Backbone]] = {"small": build_small, "timm": build_timm, "vit": build_vit}


def build_backbone(
    name: str | None = None,
    *,
    pretrained: bool = True,
    in_channels: int = 3,
    description: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    size: tuple[int, int] | None = None,
    notice: Notice = hub.to_stderr,
) -> Backbone:
    """Build a backbone by name, or again from its description.

    Args:
        name: see the module's docstring.
        pretrained: load the weights that the name stands for; False: random ones of the same architecture.
        in_channels: channels of the input; the first layer of pretrained weights is adapted.
        description: ``Backbone.description`` of an earlier one, instead of a name: the same modules, random weights
            (load a state dict, strictly), no network and no other file needed. The other arguments are ignored.
        options: the builder's own arguments (``small``: ``width``, ``stride``; ``timm``: of ``timm.create_model``; a
            ViT: ``new_channels``, ``"repeat"`` or ``"zero"``, what the kernels of further channels start as).
        size: ``(height, width)`` of the input, for networks of timm that are made for one size.
        notice: takes one line before a download; by default it is printed on stderr.

    Raises:
        InputError: an unknown name (with the nearest known ones), an unreachable host, a folder that holds no backbone.
    """
    if in_channels < 1:
        raise InputError(f"in_channels must be at least 1, got {in_channels}")
    if description is not None:
        kind, own = description.get("kind"), str(description.get("name"))
        if kind not in BACKBONES:
            raise InputError(f"unknown kind of backbone {kind!r}", remedy=f"known: {', '.join(BACKBONES)}")
        in_channels = int(description["in_channels"])
    elif name is None:
        raise InputError("a backbone needs a name or a description")
    else:
        kind, own = resolve(name)
    adapters = None if description is None else description.get("lora")
    backbone = BACKBONES[kind](
        own,
        pretrained=pretrained and description is None,
        in_channels=in_channels,
        description=description,
        options=dict(options or {}),
        notice=notice,
        **({"size": size} if kind == "timm" and description is None else {}),
    )
    if adapters:
        add_lora(backbone, rank=int(adapters["rank"]), alpha=float(adapters["alpha"]))
    return backbone


def adapt(backbone: Backbone, lora: LoraSettings, *, frozen: bool, checkpoint: bool) -> None:
    """Prepare a backbone for training: adapters, or frozen where its weights are pretrained; less memory for more time.

    Raises:
        InputError: the backbone has no attention for adapters, or nothing whose gradients could be computed again.
    """
    if lora.rank:
        add_lora(backbone, rank=lora.rank, alpha=lora.alpha)
    elif frozen and backbone.pretrained:
        freeze(backbone)
    if checkpoint:
        checkpoint_gradients(backbone)
