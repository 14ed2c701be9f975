"""The heatmap losses: values, masks, and the same gradient whatever the split."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from contracts.loss import LossContract
from kaname.losses.heatmap import LOSSES, bce_with_logits, centernet_focal, masked_mse
from kaname.losses.raw import RAW_LOSSES, adaptive_wing, raw_mse


def example(batch: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, 3, 8, 9, generator=generator, dtype=torch.float64)
    targets = torch.rand(batch, 3, 8, 9, generator=generator, dtype=torch.float64)
    targets[:, :, 4, 5] = 1.0
    mask = (torch.rand(batch, 3, generator=generator) > 0.4).double()
    mask[0] = 1.0
    return logits, targets, mask


def test_bce_is_the_mean_over_cells() -> None:
    logits, targets, _ = example()
    loss, weight = bce_with_logits(logits, targets)
    assert weight.item() == logits.numel()
    assert (loss / weight).item() == pytest.approx(functional.binary_cross_entropy_with_logits(logits, targets).item())


def test_bce_positive_weight() -> None:
    logits, targets, _ = example()
    loss, _ = bce_with_logits(logits, targets, positive_weight=80.0)
    expected = functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=torch.tensor(80.0), reduction="sum"
    )
    assert loss.item() == pytest.approx(expected.item())


def test_mse_is_on_probabilities() -> None:
    logits, targets, _ = example()
    loss, weight = masked_mse(logits, targets)
    assert (loss / weight).item() == pytest.approx(functional.mse_loss(logits.sigmoid(), targets).item())


def test_raw_mse_knows_no_sigmoid() -> None:
    heatmaps, targets, mask = example()
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


def test_focal_by_hand() -> None:
    probability = torch.tensor([[[[0.9, 0.2]]]], dtype=torch.float64)
    targets = torch.tensor([[[[1.0, 0.6]]]], dtype=torch.float64)
    loss, weight = centernet_focal(probability.logit(), targets)
    p = probability.flatten()
    expected = -((1 - p[0]) ** 2 * p[0].log() + (1 - 0.6) ** 4 * p[1] ** 2 * (1 - p[1]).log())
    assert loss.item() == pytest.approx(expected.item())
    assert weight.item() == 1


def test_focal_finds_sub_pixel_peaks_and_counts_empty_maps() -> None:
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    one = torch.exp(-((x - 3.3) ** 2 + (y - 4.4) ** 2) / 8)
    two = torch.maximum(one, torch.exp(-((x - 7.2) ** 2 + (y - 1.1) ** 2) / 8))
    targets = torch.stack([one, two, torch.zeros_like(one)])[None]
    _, weight = centernet_focal(torch.zeros_like(targets), targets)
    assert weight.item() == 1 + 2 + 1


class TestBce(LossContract):
    loss = staticmethod(bce_with_logits)


class TestWeightedBce(LossContract):
    loss = staticmethod(bce_with_logits)
    options = {"positive_weight": 80.0}  # noqa: RUF012

    def optimum(self, targets: torch.Tensor) -> torch.Tensor:
        """Where the derivative ``p (1 - t) - 80 t (1 - p)`` is zero."""
        return torch.logit(80 * targets / (1 + 79 * targets), eps=1e-9)


class TestMse(LossContract):
    loss = staticmethod(masked_mse)


class TestFocal(LossContract):
    loss = staticmethod(centernet_focal)

    def optimum(self, targets: torch.Tensor) -> torch.Tensor:
        """Certain of the peaks, and that nothing else is one."""
        return torch.where(targets == 1, 40.0, -40.0).double()

    def optimal_targets(self) -> torch.Tensor:
        targets = torch.zeros(2, 3, 7, 8, dtype=torch.float64)
        targets[:, :, 4, 5] = 1.0
        return targets


class TestRawMse(LossContract):
    loss = staticmethod(raw_mse)

    def optimum(self, targets: torch.Tensor) -> torch.Tensor:
        return targets.clone()


class TestAdaptiveWing(LossContract):
    loss = staticmethod(adaptive_wing)

    def optimum(self, targets: torch.Tensor) -> torch.Tensor:
        return targets.clone()


def test_every_loss_has_its_contract() -> None:
    assert {one.loss for one in (TestBce, TestMse, TestFocal)} == set(LOSSES.values())
    assert {one.loss for one in (TestRawMse, TestAdaptiveWing)} == set(RAW_LOSSES.values())
