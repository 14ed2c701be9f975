"""Losses between predicted heatmap logits and target heatmaps.

All have one signature, ``loss(logits, targets, mask=None, **options) -> (loss_sum, weight)``:

- ``logits`` and ``targets`` are ``(B, C, h, w)``; targets lie in 0..1.
- ``mask`` holds a weight >= 0 for each sample ``(B,)``, channel ``(B, C)`` or cell ``(B, C, h, w)`` (any dimension may
  be 1); None counts everything. Where it is 0 the targets may be anything, NaN included.
- ``loss_sum`` and ``weight`` are scalars (at least float32); the mean loss is their quotient, taken by the training
  loop after it has added both up. A batch that is masked altogether has weight 0.

Adding a new loss: write the function with this signature here, add it to `LOSSES`, and two lines to
``tests/losses/test_losses_heatmap.py``: a class that inherits `LossContract` and names the function.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

PEAK_FLOOR = 0.6
"""A target below this is no peak: a Gaussian of sigma >= 0.71 cells reaches exp(-1 / (4 sigma^2)) >= 0.6 in the cell
that holds its centre, wherever in the cell that is."""


def bce_with_logits(
    logits: Tensor, targets: Tensor, mask: Tensor | None = None, *, positive_weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy on soft targets; ``weight`` is the number of cells that count.

    Args:
        positive_weight: factor on the ``target * log p`` term (1: plain).
    """
    logits, targets, mask = _prepare(logits, targets, mask)
    factor = None if positive_weight == 1.0 else logits.new_tensor(positive_weight)
    cells = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=factor, reduction="none")
    return _sums(cells, mask)


def masked_mse(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Square of sigmoid(logits) - targets; ``weight`` is the number of cells that count."""
    logits, targets, mask = _prepare(logits, targets, mask)
    return _sums((logits.sigmoid() - targets).square(), mask)


def centernet_focal(
    logits: Tensor,
    targets: Tensor,
    mask: Tensor | None = None,
    *,
    positives: Tensor | None = None,
    alpha: float = 2.0,
    beta: float = 4.0,
) -> tuple[Tensor, Tensor]:
    """Penalty-reduced focal loss (Zhou, Wang, Krähenbühl: Objects as Points, arXiv 1904.07850, equation 1).

    A peak adds ``-(1 - p)^alpha log p``, any other cell ``-(1 - target)^beta p^alpha log(1 - p)``. The paper's
    Gaussians sit on whole cells, so that a peak's target is exactly 1; ours keep their sub-pixel place, so a peak is a
    cell that is the maximum of its 3 x 3 neighbourhood and at least `PEAK_FLOOR`.

    Args:
        positives: ``(B, C, h, w)`` booleans, the peaks, where the caller knows them better.

    Returns:
        The sum, and the number of peaks, where a map without any counts as one: a batch of empty maps has a mean too.
        A map counts by the greatest weight in its mask.
    """
    logits, targets, mask = _prepare(logits, targets, mask)
    if positives is None:
        positives = (targets == _neighbourhood(targets)) & (targets >= PEAK_FLOOR)
    probability, logarithm = logits.sigmoid(), functional.logsigmoid(logits)
    at_peak = (1 - probability).pow(alpha) * logarithm
    # log(1 - p) = log p - logit
    elsewhere = (1 - targets).pow(beta) * probability.pow(alpha) * (logarithm - logits)
    cells = -torch.where(positives, at_peak, elsewhere)
    peaks = positives.to(cells.dtype).sum(dim=(-2, -1)).clamp(min=1)
    of_map = torch.ones_like(peaks) if mask is None else mask.expand_as(cells).amax(dim=(-2, -1))
    return _sums(cells, mask)[0], (peaks * of_map).sum()


HeatmapLoss = Callable[..., tuple[Tensor, Tensor]]

LOSSES: dict[str, HeatmapLoss] = {"bce": bce_with_logits, "mse": masked_mse, "focal": centernet_focal}


def _neighbourhood(values: Tensor) -> Tensor:
    """The maximum over the 3 x 3 cells around each; pooling takes 11 ms for 442,000 cells on a CPU, this 0.3."""
    for axis in (-2, -1):
        wide, length = values.clone(), values.shape[axis]
        for low, high in ((0, 1), (1, 0)):
            inner = wide.narrow(axis, low, length - 1)
            torch.maximum(inner, values.narrow(axis, high, length - 1), out=inner)
        values = wide
    return values


def _prepare(logits: Tensor, targets: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    # Millions of cells are added up: never in half precision.
    dtype = torch.promote_types(logits.dtype, torch.float32)
    logits, targets = logits.to(dtype), targets.to(dtype)
    if mask is None:
        return logits, targets, None
    mask = mask.to(dtype).reshape(*mask.shape, *[1] * (logits.ndim - mask.ndim))
    # NaN * 0 is NaN, forwards and backwards: what does not count is replaced, not multiplied away.
    return logits, torch.where(mask > 0, targets, torch.zeros_like(targets)), mask


def _sums(cells: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if mask is None:
        return cells.sum(), cells.new_tensor(cells.numel())
    return (cells * mask).sum(), mask.expand_as(cells).sum()
