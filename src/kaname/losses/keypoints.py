"""Losses of named key points: heatmaps, places, visibility; each a mean within its image.

``loss_sum`` is the sum of these means and ``images`` the number of images in which anything counts, so that any split
into batches or processes gives one gradient, and an image with two points counts as much as one with twenty.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kaname.geometry.grid import Grid
from kaname.losses.masked import Maps, Sums
from kaname.shapes import Bool, Float, Integer

Values = Float[Tensor, "batch channels"]
There = Bool[Tensor, "batch channels"]
Points = Float[Tensor, "batch channels 2"]


def within_images(values: Values, there: There) -> Sums:
    """The sum over images of their mean value, and how many images have one."""
    number = there.sum(dim=1)
    # What does not count is replaced, not multiplied away: it may be NaN.
    each = torch.where(there, values, 0.0).sum(dim=1) / number.clamp(min=1)
    return each.sum(), (number > 0).to(each.dtype).sum()


def heatmap_cross_entropy(logits: Maps, targets: Maps, there: There, *, positive_weight: float = 1.0) -> Sums:
    """Binary cross-entropy on soft targets, the mean over the cells of the channels that have a point.

    Args:
        targets: Gaussians in 0..1; anything where ``there`` is False.
        there: which channels have a point on the canvas.
        positive_weight: factor on the ``target * log p`` term.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    targets = torch.where(there[:, :, None, None], targets.to(dtype), 0.0)
    factor = torch.as_tensor(positive_weight, dtype=dtype, device=logits.device)
    cells = functional.binary_cross_entropy_with_logits(logits.to(dtype), targets, pos_weight=factor, reduction="none")
    return within_images(cells.mean(dim=(2, 3)), there)


def coordinate_error(points: Points, truth: Points, there: There, scale: Float[Tensor, "batch 2"]) -> Sums:
    """``|dx| + |dy|`` in pixels of the original image.

    Args:
        points: predicted, in pixels of the canvas.
        truth: in pixels of the canvas; anything where ``there`` is False.
        scale: pixels of the original image in one of the canvas, ``(x, y)``.
    """
    dtype = torch.promote_types(points.dtype, torch.float32)
    truth = torch.where(there[:, :, None], truth.to(dtype), points.detach().to(dtype))
    apart = (points.to(dtype) - truth).abs() * scale.to(dtype)[:, None]
    return within_images(apart.sum(dim=2), there)


def visibility_cross_entropy(
    logits: Float[Tensor, "batch channels classes"], visible: Integer[Tensor, "batch channels"]
) -> Sums:
    """Cross-entropy of the visibility classes; a point that is not labelled has -1 and no loss."""
    dtype = torch.promote_types(logits.dtype, torch.float32)
    known = visible >= 0
    classes = torch.where(known, visible.long(), 0)
    return within_images(functional.cross_entropy(logits.to(dtype).transpose(1, 2), classes, reduction="none"), known)


def soft_argmax(logits: Maps, grid: Grid) -> Points:
    """The mean place under the softmax of each map, in pixels of the canvas that ``grid`` covers; differentiable."""
    shares = logits.to(torch.promote_types(logits.dtype, torch.float32)).flatten(2).softmax(dim=2)
    rows, columns = logits.shape[2:]
    index = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).reshape(-1, 2)
    return shares @ torch.as_tensor(grid.from_index(index), dtype=shares.dtype, device=shares.device)
