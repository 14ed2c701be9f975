"""Boxes beside feature maps: how heads read them, and RoIAlign in torch (`kaname.codecs.roi_align` in NumPy).

Heads take boxes normalised to 0..1 of the map that they lie on: ``rois`` ``(N, 5)``, the row of the batch and then
``(x1, y1, x2, y2)``, any number for each row; or ``boxes`` ``(B, 4)``, one for each row.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torchvision import ops  # before a graph is exported: the exporter knows its operators only then

from kaname.codecs.roi_align import SAMPLING_RATIO
from kaname.errors import InputError
from kaname.shapes import Float, Shaped

Rois = Float[Tensor, "rois 5"]
Inputs = Mapping[str, Shaped[Tensor, "_rows *_axes"]]


def roi_align(
    features: Float[Tensor, "batch channels rows columns"],
    rois: Rois,
    size: tuple[int, int],
    *,
    sampling_ratio: int = SAMPLING_RATIO,
) -> Float[Tensor, "rois channels {size[0]} {size[1]}"]:
    """The maps inside boxes, with half-pixel semantics; exported it is ONNX's ``RoiAlign`` (opset 16 and later).

    Args:
        rois: ``(N, 5)`` row of the batch, then the box in *cells* of the map (:func:`in_cells`).
        size: ``(height, width)`` of the grid.
        sampling_ratio: places in a cell of the grid along each axis; 0: as many as the box needs.
    """
    # ONNX knows 0 and no negative ratio.
    return ops.roi_align(features, rois.to(features.dtype), size, 1.0, max(sampling_ratio, 0), aligned=True)


def rois_of(inputs: Inputs) -> Rois:
    """The boxes ``(N, 5)`` of a head's inputs, given as ``rois`` or as one of ``boxes`` for each row."""
    if "rois" in inputs:
        return inputs["rois"].float()
    if "boxes" not in inputs:
        raise InputError(
            f"a head needs boxes, got {', '.join(inputs)}", remedy="give rois (N, 5) or boxes (B, 4), normalised"
        )
    boxes = inputs["boxes"].float()
    rows = torch.arange(boxes.shape[0], device=boxes.device)  # len() would fix the number in an export
    return torch.cat([rows[:, None].to(boxes.dtype), boxes], dim=1)


def padded(rois: Rois, share: float) -> Rois:
    """Boxes wider by ``share`` of their size on each side, then clipped to 0..1."""
    first, corners = rois[:, :1], rois[:, 1:]
    grown = (corners[:, 2:] - corners[:, :2]) * share
    return torch.cat([first, torch.cat([corners[:, :2] - grown, corners[:, 2:] + grown], dim=1).clamp(0, 1)], dim=1)


def in_cells(rois: Rois, size: tuple[int, int]) -> Rois:
    """Normalised boxes in cells of a map of ``(rows, columns)``."""
    rows, columns = size
    return rois * rois.new_tensor([1, columns, rows, columns, rows])


def image_of(rois: Rois) -> Shaped[Tensor, "rois"]:
    """The row of the batch of each box, to index with."""
    return rois[:, 0].long()
