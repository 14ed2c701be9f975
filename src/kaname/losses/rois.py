"""What losses of masks in boxes share: ``loss(logits, targets, weights=None, **options) -> (loss_sum, rois)``.

- ``logits`` are ``(N, classes, h, w)``; ``targets`` ``(N, h, w)`` hold the class of each cell, or `IGNORE`. Where the
  network knows two classes, a non-target counts as background.
- ``weights`` ``(N, h, w)`` >= 0 say how much each cell counts within its ROI; None: all alike.
- Every loss is a mean within its ROI; ``loss_sum`` is the sum of these means and ``rois`` the number of ROIs in which
  anything counts, the same for every loss. So any split into batches or processes gives one gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kaname.errors import InputError
from kaname.losses.masked import Sums
from kaname.shapes import Bool, Float, Integer

BACKGROUND, TARGET, NON_TARGET, IGNORE = 0, 1, 2, 255
LEAST = 1e-12

Logits = Float[Tensor, "rois classes height width"]
Classes = Integer[Tensor, "rois height width"]
Cells = Float[Tensor, "rois height width"]
Each = Float[Tensor, "rois"]


def prepared(
    logits: Logits, targets: Classes, weights: Cells | None
) -> tuple[Logits, Integer[Tensor, "rois height width"], Cells]:
    """Logits in float32 at least, classes as int64 (0 where ignored), weights (0 where ignored)."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    counts = (targets != IGNORE).to(logits.dtype)
    classes = torch.where(targets == IGNORE, 0, targets.long())
    if logits.shape[1] == NON_TARGET:
        classes = torch.where(classes == NON_TARGET, BACKGROUND, classes)
    return logits, classes, counts if weights is None else counts * weights.to(logits.dtype)


def mean_of_each(values: Cells, weights: Cells) -> Each:
    """The weighted mean within each ROI; 0 where nothing counts."""
    return (values * weights).sum(dim=(1, 2)) / weights.sum(dim=(1, 2)).clamp(min=LEAST)


def summed(each: Each, weights: Cells) -> Sums:
    """The sum over ROIs, and how many there are in which anything counts."""
    return each.sum(), (weights > 0).flatten(1).any(dim=1).to(each.dtype).sum()


def mean_of_present(values: Float[Tensor, "rois chosen"], present: Bool[Tensor, "rois chosen"]) -> Each:
    """The mean over the chosen classes that a ROI has; 0 where it has none."""
    # What is absent is replaced, not multiplied away, in case it is no number.
    return torch.where(present, values, 0).sum(dim=1) / present.sum(dim=1).clamp(min=1)


def chosen_classes(logits: Logits, classes: tuple[int, ...]) -> tuple[int, ...]:
    """The classes, which the network must know.

    Raises:
        InputError: one that it does not know, or none at all.
    """
    count = logits.shape[1]
    for number in classes:
        if not 0 <= number < count:
            raise InputError(f"a network of {count} classes has no class {number}", remedy=f"use 0..{count - 1}")
    if not classes:
        raise InputError("a loss needs at least one class", remedy=f"use {TARGET}, the target")
    return classes
