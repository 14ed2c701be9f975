"""Losses between predicted heatmap logits and target heatmaps (`kaname.losses.masked` says what all losses share).

Adding a new loss: write the function with this signature here (of raw heatmaps in `kaname.losses.raw`), add it to its
dictionary, its name to the choices of the recipes that offer it (the ``Literal`` in their ``config.py``), and two lines
to ``tests/losses/test_losses_heatmap.py``: a class that inherits `LossContract` and names the function.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from kaname.losses.masked import Loss, Maps, Mask, Sums, prepared, sums
from kaname.shapes import Bool

PEAK_FLOOR = 0.6
"""A target below this is not a peak: a Gaussian of sigma >= 0.71 cells reaches exp(-1 / (4 sigma^2)) >= 0.6 in the cell
that holds its centre, wherever in the cell that is."""


def bce_with_logits(logits: Maps, targets: Maps, mask: Mask | None = None, *, positive_weight: float = 1.0) -> Sums:
    """Binary cross-entropy on soft targets; ``weight`` is the number of cells that count.

    Args:
        positive_weight: factor on the ``target * log p`` term (1: plain).
    """
    logits, targets, mask = prepared(logits, targets, mask)
    factor = None if positive_weight == 1.0 else logits.new_tensor(positive_weight)
    cells = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=factor, reduction="none")
    return sums(cells, mask)


def masked_mse(logits: Maps, targets: Maps, mask: Mask | None = None) -> Sums:
    """Square of sigmoid(logits) - targets; ``weight`` is the number of cells that count."""
    logits, targets, mask = prepared(logits, targets, mask)
    return sums((logits.sigmoid() - targets).square(), mask)


def centernet_focal(
    logits: Maps,
    targets: Maps,
    mask: Mask | None = None,
    *,
    positives: Bool[Tensor, "batch channels height width"] | None = None,
    alpha: float = 2.0,
    beta: float = 4.0,
) -> Sums:
    """Penalty-reduced focal loss (Zhou, Wang, Krähenbühl: Objects as Points, arXiv 1904.07850, equation 1).

    A peak adds ``-(1 - p)^alpha log p``, any other cell ``-(1 - target)^beta p^alpha log(1 - p)``. The paper's
    Gaussians sit on whole cells, so that a peak's target is exactly 1; ours keep their sub-pixel place, so a peak is a
    cell that is the maximum of its 3 x 3 neighbourhood and at least `PEAK_FLOOR`.

    Args:
        positives: the peaks, where the caller knows them better.

    Returns:
        The sum, and the number of peaks, where a map without any counts as one: a batch of empty maps has a mean too.
        A map counts by the greatest weight in its mask.
    """
    logits, targets, mask = prepared(logits, targets, mask)
    if positives is None:
        positives = (targets == _neighbourhood(targets)) & (targets >= PEAK_FLOOR)
    probability, logarithm = logits.sigmoid(), functional.logsigmoid(logits)
    at_peak = (1 - probability).pow(alpha) * logarithm
    # log(1 - p) = log p - logit
    elsewhere = (1 - targets).pow(beta) * probability.pow(alpha) * (logarithm - logits)
    cells = -torch.where(positives, at_peak, elsewhere)
    peaks = positives.to(cells.dtype).sum(dim=(-2, -1)).clamp(min=1)
    of_map = torch.ones_like(peaks) if mask is None else mask.expand_as(cells).amax(dim=(-2, -1))
    return sums(cells, mask)[0], (peaks * of_map).sum()


LOSSES: dict[str, Loss] = {"bce": bce_with_logits, "mse": masked_mse, "focal": centernet_focal}


def _neighbourhood(values: Maps) -> Maps:
    """The maximum over the 3 x 3 cells around each; pooling takes 11 ms for 442,000 cells on a CPU, this 0.3."""
    for axis in (-2, -1):
        wide, length = values.clone(), values.shape[axis]
        for low, high in ((0, 1), (1, 0)):
            inner = wide.narrow(axis, low, length - 1)
            torch.maximum(inner, values.narrow(axis, high, length - 1), out=inner)
        values = wide
    return values
