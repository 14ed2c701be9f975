"""The heatmap losses: values, masks, and the same gradient whatever the split."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from kaname.losses.heatmap import LOSSES, bce_with_logits, centernet_focal, masked_mse


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


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_masked_cell_has_no_weight_and_no_gradient(name: str) -> None:
    logits, targets, _ = example(2)
    targets[1, 2] = float("nan")
    mask = torch.ones(2, 3)
    mask[1, 2] = 0
    logits.requires_grad_()
    loss, weight = LOSSES[name](logits, targets, mask)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    assert (logits.grad[1, 2] == 0).all() and (logits.grad[0] != 0).any()
    kept, kept_weight = LOSSES[name](logits.detach()[:1], targets[:1])
    rest, rest_weight = LOSSES[name](logits.detach()[1:, :2], targets[1:, :2])
    assert loss.item() == pytest.approx((kept + rest).item())
    assert weight.item() == pytest.approx((kept_weight + rest_weight).item())


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("sizes", [(6,), (1, 5), (2, 3, 1)])
def test_the_gradient_does_not_depend_on_the_split(name: str, sizes: tuple[int, ...]) -> None:
    logits, targets, mask = example()

    def gradient(parts: tuple[int, ...]) -> torch.Tensor:
        parameter = torch.ones(3, dtype=torch.float64, requires_grad=True)
        total = 0.0
        for x, t, m in zip(logits.split(parts), targets.split(parts), mask.split(parts), strict=True):
            loss, weight = LOSSES[name](x * parameter[:, None, None], t, m)
            loss.backward()
            total += weight.item()
        assert parameter.grad is not None
        return parameter.grad / total

    torch.testing.assert_close(gradient(sizes), gradient((6,)), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_sums_are_float32_under_bf16(name: str) -> None:
    logits, targets, mask = (value.float() for value in example())
    loss, weight = LOSSES[name](logits.bfloat16(), targets, mask)
    assert loss.dtype == weight.dtype == torch.float32
