"""What every loss does: `LossContract`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

Loss = Callable[..., tuple[Tensor, Tensor]]


class LossContract:
    """``loss(logits, targets, mask, **options) -> (loss_sum, weight)``.

    Attributes:
        loss: the function, as ``staticmethod``.
        options: its options.
        masks: shapes of masks it takes, as functions of the logits' shape.
    """

    loss: Loss
    options: dict[str, Any] = {}  # noqa: RUF012
    masks: tuple[Callable[[tuple[int, ...]], tuple[int, ...]], ...] = (
        lambda shape: shape[:1],
        lambda shape: shape[:2],
        lambda shape: shape,
    )

    def example(self, batch: int = 6, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        """Logits and targets ``(batch, 3, 7, 8)``, a peak in each map."""
        generator = torch.Generator().manual_seed(batch)
        logits = torch.randn(batch, 3, 7, 8, generator=generator, dtype=torch.float64)
        targets = torch.rand(batch, 3, 7, 8, generator=generator, dtype=torch.float64)
        targets[:, :, 4, 5] = 1.0
        return logits.to(dtype), targets.to(dtype)

    def optimum(self, targets: Tensor) -> Tensor:
        """Logits than which none are better."""
        return torch.logit(targets, eps=1e-9)

    def optimal_targets(self) -> Tensor:
        """Targets that logits can meet."""
        return self.example()[1]

    def mask_of(self, logits: Tensor, which: int) -> Tensor:
        """Weights of 0, 1 and between, some of each."""
        shape = self.masks[which](tuple(logits.shape))
        random = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        random.view(-1)[:2] = torch.tensor([0.0, 1.0])
        mask = torch.where(random < 0.35, torch.zeros_like(random), torch.where(random > 0.7, 1.0, random))
        return mask.to(torch.promote_types(logits.dtype, torch.float32))

    def call(self, logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The sums of this contract's loss with its options."""
        return type(self).loss(logits, targets, mask, **self.options)

    @pytest.mark.parametrize("sizes", [(6,), (1, 5), (2, 3, 1), (1, 1, 1, 1, 1, 1)], ids=str)
    @pytest.mark.parametrize("which", [None, 0, 1, 2])
    def test_any_split_gives_the_same_sums(self, sizes: tuple[int, ...], which: int | None) -> None:
        """Sum, weight and gradient of a batch are the sums of those of its parts."""
        logits, targets = self.example()
        mask = None if which is None else self.mask_of(logits, which)
        whole = logits.clone().requires_grad_()
        loss, weight = self.call(whole, targets, mask)
        loss.backward()
        split = logits.clone().requires_grad_()
        sums = [torch.zeros((), dtype=torch.float64)] * 2
        start = 0
        for size in sizes:
            part = slice(start, start + size)
            found = self.call(split[part], targets[part], None if mask is None else mask[part])
            found[0].backward()
            sums = [total + one.detach() for total, one in zip(sums, found, strict=True)]
            start += size
        torch.testing.assert_close(sums[0], loss.detach(), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(sums[1], weight.detach(), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(split.grad, whole.grad, rtol=1e-10, atol=1e-12)
        assert loss.ndim == weight.ndim == 0 and not weight.requires_grad and float(weight) > 0

    @pytest.mark.parametrize("nothing", [float("nan"), float("inf"), -1e30, 7.0])
    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_what_is_masked_may_be_anything(self, which: int, nothing: float) -> None:
        """No gradient there, no share in the sums, and no NaN anywhere."""
        logits, targets = self.example()
        mask = self.mask_of(logits, which)
        hidden = (mask == 0).reshape(*mask.shape, *[1] * (logits.ndim - mask.ndim)).expand_as(logits)
        assert hidden.any() and not hidden.all()
        answers = []
        for value in (0.0, nothing):
            tried = logits.clone().requires_grad_()
            loss, weight = self.call(tried, torch.where(hidden, value, targets), mask)
            loss.backward()
            assert tried.grad is not None and torch.isfinite(tried.grad).all()
            assert (tried.grad[hidden] == 0).all() and (tried.grad[~hidden] != 0).any()
            answers.append((loss.detach(), weight, tried.grad))
        if which < 2:  # a hidden cell beside a peak may have been one itself
            for one, other in zip(*answers, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_the_mask_is_a_weight(self, which: int) -> None:
        """Twice the mask is twice the sum and twice the weight; a mask of ones is none."""
        logits, targets = self.example()
        mask = self.mask_of(logits, which)
        one, two = self.call(logits, targets, mask), self.call(logits, targets, 2 * mask)
        plain, ones = self.call(logits, targets), self.call(logits, targets, torch.ones_like(mask))
        for first, second in zip(one, two, strict=True):
            torch.testing.assert_close(2 * first, second)
        for first, second in zip(plain, ones, strict=True):
            torch.testing.assert_close(first, second)

    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_a_batch_in_which_nothing_counts(self, which: int) -> None:
        """Sum 0, weight 0 and a gradient of zeros, though every target is NaN."""
        logits, targets = self.example()
        mask = torch.zeros_like(self.mask_of(logits, which))
        logits.requires_grad_()
        loss, weight = self.call(logits, torch.full_like(targets, torch.nan), mask)
        loss.backward()
        assert loss.item() == weight.item() == 0
        assert logits.grad is not None and (logits.grad == 0).all()

    def test_the_optimum(self) -> None:
        """There the gradient is zero, and nowhere beside it is the loss lower."""
        targets = self.optimal_targets()
        logits = self.optimum(targets).requires_grad_()
        loss, weight = self.call(logits, targets)
        (loss / weight).backward()
        assert logits.grad is not None and logits.grad.abs().max() <= 1e-6
        random = torch.Generator().manual_seed(0)
        for width in (0.01, 0.3, 3.0):
            noise = width * torch.randn(logits.shape, generator=random, dtype=logits.dtype)
            assert float(self.call(logits.detach() + noise, targets)[0]) >= loss.item() - 1e-9

    @pytest.mark.parametrize("value", [100.0, -100.0])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_extreme_logits_are_finite(self, value: float, dtype: torch.dtype) -> None:
        """Right and wrong with all certainty: loss and gradient are numbers, and being wrong costs more."""
        logits, targets = self.example(dtype=torch.float32)
        extreme = torch.full_like(logits, value, dtype=dtype).requires_grad_()
        loss, _ = self.call(extreme, targets.round())
        loss.backward()
        assert torch.isfinite(loss) and loss.item() > 0
        assert extreme.grad is not None and torch.isfinite(extreme.grad).all()

    def test_gradients_are_those_of_the_formula(self) -> None:
        """Against finite differences in float64, with and without a mask."""
        logits, targets = self.example(batch=2)
        logits.requires_grad_()
        assert torch.autograd.gradcheck(lambda x: self.call(x, targets)[0], (logits,))
        for which in range(len(self.masks)):
            mask = self.mask_of(logits.detach(), which)
            assert torch.autograd.gradcheck(lambda x, mask=mask: self.call(x, targets, mask)[0], (logits,))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
    def test_sums_are_at_least_float32(self, dtype: torch.dtype) -> None:
        """Half precision logits are summed as what they are, not in their own precision."""
        logits, targets = self.example(batch=64, dtype=torch.float32)
        rounded = logits.to(dtype)
        loss, weight = self.call(rounded, targets)
        assert loss.dtype == weight.dtype == torch.float32
        exact, count = self.call(rounded.double(), targets.double())
        assert float(loss) == pytest.approx(float(exact), rel=1e-4) and float(weight) == pytest.approx(float(count))
