"""Losses between raw heatmaps, which go through no sigmoid, and target heatmaps (see `kaname.losses.masked`)."""

from __future__ import annotations

import torch

from kaname.losses.masked import Loss, Maps, Mask, Sums, prepared, sums


def raw_mse(heatmaps: Maps, targets: Maps, mask: Mask | None = None) -> Sums:
    """Square of heatmaps - targets, no sigmoid; ``weight`` is the number of cells that count."""
    heatmaps, targets, mask = prepared(heatmaps, targets, mask)
    return sums((heatmaps - targets).square(), mask)


def adaptive_wing(
    heatmaps: Maps,
    targets: Maps,
    mask: Mask | None = None,
    *,
    omega: float = 14.0,
    theta: float = 0.5,
    epsilon: float = 1.0,
    alpha: float = 2.1,
) -> Sums:
    """Adaptive wing loss (Wang, Bo, Fuxin, ICCV 2019, arXiv 1904.07399, equations 3 and 4), no sigmoid.

    With ``d = |heatmap - target|`` and ``p = alpha - target`` a cell adds ``omega log(1 + (d / epsilon)^p)`` where
    ``d < theta``, elsewhere the straight line that goes on with the same value and slope. Near a peak (p about 1) small
    errors pull hard, on the background (p about 2) they hardly do.

    Args:
        alpha: greater than 2, so that the slope is 0 at ``d`` 0 whatever the target.
    """
    heatmaps, targets, mask = prepared(heatmaps, targets, mask)
    distance, power = (heatmaps - targets).abs(), alpha - targets
    at_theta = (theta / epsilon) ** power
    slope = omega * power * at_theta / (theta * (1 + at_theta))
    # Beyond theta only the line counts; there the curve must not overflow either, for NaN * 0 is NaN.
    curve = omega * torch.log1p((distance.clamp(max=theta) / epsilon) ** power)
    line = omega * torch.log1p(at_theta) + slope * (distance - theta)
    return sums(torch.where(distance < theta, curve, line), mask)


RAW_LOSSES: dict[str, Loss] = {"mse": raw_mse, "adaptive_wing": adaptive_wing}
