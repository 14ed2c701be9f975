"""Peaks of a batch of heatmaps as prediction finds them, so that the figures of an epoch are those of a report."""

from __future__ import annotations

import torch
from torch import Tensor

from kaname.codecs.heatmap import decode
from kaname.geometry.grid import Grid


def decoded(maps: Tensor, grid: Grid, method: str) -> tuple[Tensor, Tensor]:
    """The place of each map's peak in pixels of the input, float64 ``(B, K, 2)``, NaN where it has none, and its height
    ``(B, K)``.

    Args:
        maps: ``(B, K, height, width)``.
        grid: where the cells lie in the input.
        method: of `kaname.codecs.heatmap.decode`.
    """
    batch, points, *size = maps.shape
    places, heights = decode(maps.detach().float().cpu().reshape(batch * points, *size).numpy(), grid, method)
    shaped = places.reshape(batch, points, 2), heights.reshape(batch, points)
    place, height = (torch.from_numpy(values) for values in shaped)
    if maps.device.type == "mps":  # which has no double precision
        place, height = place.float(), height.float()
    return place.to(maps.device), height.to(maps.device)
