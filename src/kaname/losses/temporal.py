"""Losses between a frame and the one before: what both show should have moved as the optical flow says.

``flow`` ``(B, H, W, 2)`` is in pixels of the canvas, on which the heatmaps' grid lies; ``seen`` ``(B, H, W)`` says
where flow there and back agree (`kaname.data.flow`), and is False everywhere in an image that has no frame before. What
comes from the frame before has no gradient. Every loss is a mean within its image; ``loss_sum`` is the sum of these
means and ``images`` the number of those in which anything counts, so that any split gives one gradient.

Directions: the flow that warps the previous frame's maps onto this frame belongs to *this* frame's pixels and points to
the previous frame; the flow that moves a previous point belongs to the *previous* frame's pixels and points to this.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kaname.geometry.grid import PIXELS, Grid
from kaname.losses.masked import Sums
from kaname.shapes import Bool, Float

Maps = Float[Tensor, "batch channels height width"]
Flow = Float[Tensor, "batch rows columns 2"]
Seen = Bool[Tensor, "batch rows columns"]
Points = Float[Tensor, "batch channels 2"]

PEAK = 0.05  # probability of a previous point's peak below which nobody knows where it was
ALL = 0.999  # share of the pixels around a place that must agree; below 1 because of rounding


def heatmap_consistency(
    logits: Maps, previous: Maps, flow: Flow, seen: Seen, grid: Grid, *, epsilon: float = 0.0
) -> Sums:
    """Square of this frame's probabilities minus those of the frame before, warped onto it.

    Args:
        logits: of this frame.
        previous: logits of the frame before; without gradient, whatever they carry.
        flow: from this frame to the one before, at the pixels of this one.
        seen: of this frame.
        grid: where the cells lie on the canvas.
        epsilon: a channel's mean square counts only as far as it exceeds this.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    before, counts = warped(previous.detach().to(logits.dtype).sigmoid(), flow, seen, grid)
    squares = (logits.sigmoid() - before).square() * counts[:, None]
    number = counts.sum(dim=(1, 2))
    each = functional.relu(squares.sum(dim=(2, 3)) / number.clamp(min=1)[:, None] - epsilon).mean(dim=1)
    return each.sum(), (number > 0).to(each.dtype).sum()


def coordinate_consistency(
    points: Points,
    previous: Points,
    peaks: Float[Tensor, "batch channels"],
    flow: Flow,
    seen: Seen,
    scale: Float[Tensor, "batch 2"],
    *,
    epsilon: float = 0.0,
    least: float = PEAK,
) -> Sums:
    """Distance between this frame's points and those of the frame before, moved by the flow there.

    Args:
        points: of this frame, in pixels of the canvas.
        previous: of the frame before; without gradient, whatever they carry. NaN counts as not there.
        peaks: the probability of each previous point's peak.
        flow: from the frame before to this one, at the pixels of the frame before.
        seen: of the frame before.
        scale: pixels of the original image in one of the canvas, ``(x, y)``: the loss is in those.
        epsilon: pixels; a distance counts only as far as it exceeds this.
        least: of a peak.
    """
    points = points.to(torch.promote_types(points.dtype, torch.float32))
    previous = previous.detach().to(points.dtype)
    there = torch.isfinite(previous).all(dim=2) & (peaks >= least)
    previous = torch.where(there[:, :, None], previous, 0.0)
    size = previous.new_tensor([flow.shape[2], flow.shape[1]])
    moved = previous + at(flow.to(points.dtype).movedim(3, 1), previous).movedim(1, 2)
    agreed = at(seen.to(points.dtype)[:, None], previous)[:, 0] > ALL
    for places in (previous, moved):
        there = there & ((places >= 0) & (places <= size)).all(dim=2)
    counts = there & agreed
    apart = torch.where(counts[:, :, None], (moved - points) * scale.to(points.dtype)[:, None], 0.0)
    # The square root has no slope at 0, where nothing has to move anyway.
    squares = apart.square().sum(dim=2)
    distance = torch.where(squares > 0, squares.clamp(min=torch.finfo(points.dtype).tiny).sqrt(), 0.0)
    number = counts.sum(dim=1)
    each = (functional.relu(distance - epsilon) * counts).sum(dim=1) / number.clamp(min=1)
    return each.sum(), (number > 0).to(each.dtype).sum()


def warped(maps: Maps, flow: Flow, seen: Seen, grid: Grid) -> tuple[Maps, Bool[Tensor, "batch height width"]]:
    """Maps of the frame before as this frame would see them, and in which of its cells that is known.

    Args:
        maps: of the frame before.
        flow: from this frame to the one before, at the pixels of this one.
        seen: of this frame.
        grid: of the maps' cells on the canvas.
    """
    rows, columns = maps.shape[2:]
    size = maps.new_tensor([flow.shape[2], flow.shape[1]])
    index = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2)
    centre = torch.as_tensor(grid.from_index(index), dtype=maps.dtype, device=maps.device)  # (rows, columns, 2)
    centre = centre.reshape(1, -1, 2).expand(len(maps), -1, -1)
    place = centre + at(flow.to(maps.dtype).movedim(3, 1), centre).movedim(1, 2)
    counts = at(seen.to(maps.dtype)[:, None], centre)[:, 0] > ALL
    counts = counts & ((place >= 0) & (place <= size)).all(dim=2)
    before = at(maps, place, grid)
    return before.unflatten(2, (rows, columns)), counts.unflatten(1, (rows, columns))


def at(
    maps: Maps, places: Float[Tensor, "batch places 2"], grid: Grid = PIXELS
) -> Float[Tensor, "batch channels places"]:
    """Maps ``(B, C, h, w)`` at continuous places ``(x, y)`` of the picture that ``grid`` covers, bilinear.

    Beyond the outermost centres they go on as they are there.
    """
    first, second = torch.as_tensor(grid.to_index([[0.0, 0.0], [1.0, 1.0]]), dtype=places.dtype, device=places.device)
    index = first + places * (second - first)
    # In this function -1 and 1 are the outermost centres.
    last = index.new_tensor([max(maps.shape[3] - 1, 1), max(maps.shape[2] - 1, 1)])
    found = functional.grid_sample(
        maps, (index * 2 / last - 1)[:, :, None].to(maps.dtype), padding_mode="border", align_corners=True
    )
    return found[..., 0]
