"""Heads for masks in boxes: a map of features and boxes in, logits of classes out, all by name.

A head is an ``nn.Module`` with

- ``forward(inputs) -> outputs``. Inputs: ``features`` ``(B, C, *map_size)``, and boxes normalised to 0..1 of the map,
  as they are (padding is the caller's): ``rois`` ``(N, 5)``, the row of the batch first, or ``boxes`` ``(B, 4)``, one
  for each row. ``crop`` also takes ``pooled`` ``(N, C, *roi_size)`` in the place of both. Outputs: ``masks``
  ``(N, classes, *mask_size)``, logits; and, asked for with ``embedding``, ``embedding`` ``(N, embedding, *mask_size)``
  for losses of contrast, which an export leaves out;
- ``region``: what its masks lie on, the ``"box"`` or the whole ``"map"``;
- ``mask_size``: rows and columns of its masks.

Adding a new head
    1. Write a class with the constructor ``(channels, map_size, classes, **options)`` in a new file of this folder.
       Options are keyword-only plain JSON values, named as those of the others.
    2. Add one line to `ROI_HEADS` below, and one to ``HEADS`` in ``tests/models/test_decoders_roi.py``.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from kaname.errors import InputError
from kaname.geometry.grid import whole_size
from kaname.models.decoders.roi_crop import RoiCrop
from kaname.models.decoders.roi_dynamic import RoiDynamic
from kaname.models.decoders.roi_map import RoiMap

ROI_HEADS: dict[str, type[nn.Module]] = {"crop": RoiCrop, "roimap": RoiMap, "dynamic": RoiDynamic}
CLASSES = (2, 3)


def build_roi_head(name: str, channels: int, map_size: tuple[int, int], classes: int = 3, **options: Any) -> nn.Module:
    """Build a head for maps of so many channels and cells.

    Args:
        classes: 3: background, target, non-target; 2: background, target.
        options: ``roi_size``, ``mask_size`` ``(height, width)``, ``width``, ``depth``, ``first_kernel``, ``norm``,
            ``upsample``, ``sampling_ratio``, ``embedding``; None leaves the head's own.

    Raises:
        InputError: an unknown head or option, or one that does not fit the head or the map.
    """
    if name not in ROI_HEADS:
        raise InputError(f"unknown head {name!r}", remedy=f"known: {', '.join(ROI_HEADS)}")
    if classes not in CLASSES:
        raise InputError(f"a head has 2 or 3 classes, got {classes}", remedy="2: background and target alone")
    size = whole_size(map_size, "the map")
    known = list(inspect.signature(ROI_HEADS[name].__init__).parameters)[4:]
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        if key not in known:
            others = [other for other, head in ROI_HEADS.items() if key in inspect.signature(head.__init__).parameters]
            remedy = f"leave it out, or use the head {' or '.join(others)}" if others else f"known: {', '.join(known)}"
            raise InputError(f"the head {name} has no option {key}", remedy=remedy)
        if key.endswith("_size"):
            given[key] = whole_size(value, key)
    return ROI_HEADS[name](channels, size, classes, **given)
