"""Losses of masks in boxes: cross-entropy, focal, Dice, Tversky (`kaname.losses.rois` says what all of them share).

Borders are in `kaname.losses.boundary`, weights of cells in `kaname.losses.cells`, embeddings in
`kaname.losses.contrast`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kaname.errors import InputError
from kaname.losses.masked import Sums
from kaname.losses.rois import (
    TARGET,
    Cells,
    Classes,
    Logits,
    chosen_classes,
    mean_of_each,
    mean_of_present,
    prepared,
    summed,
)

ROUNDING = 1e-6


def cross_entropy(
    logits: Logits, targets: Classes, weights: Cells | None = None, *, class_weights: Sequence[float] | None = None
) -> Sums:
    """Cross-entropy; as in torch its mean is that of cells weighted by ``class_weights``, one for each class."""
    return focal(logits, targets, weights, gamma=0.0, alpha=class_weights)


def focal(
    logits: Logits,
    targets: Classes,
    weights: Cells | None = None,
    *,
    gamma: float = 2.0,
    alpha: Sequence[float] | None = None,
    classes: tuple[int, ...] | None = None,
) -> Sums:
    """Cross-entropy with ``(1 - p)^gamma``, which lets easy cells pull less (Lin et al., arXiv 1708.02002, section 3).

    Args:
        gamma: 0 is cross-entropy.
        alpha: a weight for each class, as in :func:`cross_entropy`.
        classes: whose cells get the factor, the others keep plain cross-entropy; None: all.
    """
    logits, targets, weights = prepared(logits, targets, weights)
    if gamma < 0:
        raise InputError(f"gamma must not be negative, got {gamma}", remedy="2 is usual, 0 is cross-entropy")
    logarithm = torch.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
    cells = -logarithm
    if gamma > 0:
        # 1 - p, exact near 0; at 0 itself a power below 1 would have no slope.
        factor = (-torch.expm1(logarithm)).clamp(min=ROUNDING if gamma < 1 else 0).pow(gamma)
        if classes is not None:
            focused = torch.stack([targets == number for number in chosen_classes(logits, classes)]).any(dim=0)
            factor = torch.where(focused, factor, 1.0)
        cells = cells * factor
    if alpha is not None:
        if len(alpha) != logits.shape[1]:
            reason = f"{len(alpha)} class weights for {logits.shape[1]} classes"
            raise InputError(reason, remedy="give one for each class, background first")
        return summed(mean_of_each(cells, weights * logits.new_tensor(alpha)[targets]), weights)
    return summed(mean_of_each(cells, weights), weights)


def tversky(
    logits: Logits,
    targets: Classes,
    weights: Cells | None = None,
    *,
    classes: tuple[int, ...] = (TARGET,),
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
) -> Sums:
    """``1 - TP / (TP + a FP + b FN)`` (Salehi et al., arXiv 1706.05721), the mean over the classes that a ROI has.

    Args:
        classes: whose masks are compared.
        false_positives, false_negatives: ``a`` and ``b``, what a false cell costs; 0.5 each is Dice.
    """
    logits, targets, weights = prepared(logits, targets, weights)
    numbers = targets.new_tensor(chosen_classes(logits, classes))
    truth = (targets[:, None] == numbers[:, None, None]).to(logits.dtype) * weights[:, None]
    probability = torch.softmax(logits, dim=1)[:, list(classes)]
    hits = (probability * truth).sum(dim=(2, 3))
    wrong = (probability * weights[:, None]).sum(dim=(2, 3)) - hits
    true = truth.sum(dim=(2, 3))
    whole = hits + false_positives * wrong + false_negatives * (true - hits) + ROUNDING / 2
    return summed(mean_of_present(1 - hits / whole, true > 0), weights)


def dice(
    logits: Logits, targets: Classes, weights: Cells | None = None, *, classes: tuple[int, ...] = (TARGET,)
) -> Sums:
    """``1 - 2 TP / (2 TP + FP + FN)`` on probabilities (Milletari et al., arXiv 1606.04797); see :func:`tversky`."""
    return tversky(logits, targets, weights, classes=classes, false_positives=0.5, false_negatives=0.5)
