"""The losses of raw heatmaps: values, both ends of the targets, masks, and the same gradient whatever the split."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from contracts.loss import LossContract
from kaname.losses.raw_heatmap import RAW_LOSSES, adaptive_wing, raw_mse


def test_raw_mse_knows_no_sigmoid() -> None:
    generator = torch.Generator().manual_seed(0)
    heatmaps, targets = torch.rand(2, 6, 3, 8, 9, generator=generator, dtype=torch.float64)
    mask = (torch.rand(6, 3, generator=generator) > 0.4).double()
    loss, weight = raw_mse(heatmaps, targets)
    assert (loss / weight).item() == pytest.approx(functional.mse_loss(heatmaps, targets).item())
    loss, weight = raw_mse(heatmaps, targets, mask * 0.5)
    assert weight.item() == 0.5 * mask.sum().item() * 72
    assert loss.item() == pytest.approx(0.5 * ((heatmaps - targets) ** 2).sum(dim=(2, 3))[mask > 0].sum().item())


def test_adaptive_wing_by_hand() -> None:
    """The paper's formula in its own words, on both sides of theta, for background, slope and peak."""
    omega, theta, epsilon, alpha = 14.0, 0.5, 1.0, 2.1
    for target in (0.0, 0.3, 1.0):
        for distance in (0.0, 0.1, 0.499, 0.5, 0.501, 3.0):
            power = alpha - target
            slope = omega / (1 + (theta / epsilon) ** power) * power * (theta / epsilon) ** (power - 1) / epsilon
            constant = theta * slope - omega * math.log(1 + (theta / epsilon) ** power)
            curve = omega * math.log(1 + (distance / epsilon) ** power)
            expected = curve if distance < theta else slope * distance - constant
            for sign in (-1, 1):
                heatmap = torch.full((1, 1, 1, 1), target + sign * distance, dtype=torch.float64)
                loss, weight = adaptive_wing(heatmap, torch.full_like(heatmap, target))
                assert loss.item() == pytest.approx(expected, abs=1e-12) and weight.item() == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_adaptive_wing_at_the_ends_of_the_targets(target: float, dtype: torch.dtype) -> None:
    """Value and slope are finite at, near and far from a target of 0 or 1, and meet at theta from both sides."""
    far = torch.tensor([0.0, 1e-30, 1e-8, 0.5, 3.0, 1e30], dtype=dtype)
    heatmaps = (target + torch.cat([far, -far])).reshape(1, 1, 1, -1).requires_grad_()
    loss, _ = adaptive_wing(heatmaps, torch.full_like(heatmaps, target))
    loss.backward()
    assert torch.isfinite(loss) and heatmaps.grad is not None and torch.isfinite(heatmaps.grad).all()
    assert heatmaps.grad.flatten()[[0, 6]].abs().max() == 0
    sides = (target + 0.5 + torch.tensor([-1e-5, 1e-5], dtype=torch.float64)).reshape(1, 1, 1, 2).requires_grad_()
    adaptive_wing(sides, torch.full_like(sides, target))[0].backward()
    assert sides.grad is not None
    below, above = sides.grad.flatten().tolist()
    assert below == pytest.approx(above, rel=1e-4) and above > 1


class TestRawMse(LossContract):
    loss = staticmethod(raw_mse)

    def optimum(self, targets: torch.Tensor) -> torch.Tensor:
        return targets.clone()


class TestAdaptiveWing(LossContract):
    loss = staticmethod(adaptive_wing)

    def optimum(self, targets: torch.Tensor) -> torch.Tensor:
        return targets.clone()


def test_every_loss_has_its_contract() -> None:
    assert {one.loss for one in (TestRawMse, TestAdaptiveWing)} == set(RAW_LOSSES.values())
