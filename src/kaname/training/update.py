"""One update of the weights: the terms of a loss, summed over batches and processes, become one gradient.

The loss is the sum over terms of ``factor * sum / weight``, where sum and weight are those of the whole optimiser step.
Terms that share one weight are divided after the backward passes, by one number. Several weights have to be known
before the first backward pass: then the other batches of the step are weighed first, by forward passes without
gradients that leave no trace. That costs nothing with ``accumulate`` 1, otherwise about a third of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from kaname.training import sharding
from kaname.training.runtime import Runtime
from kaname.types import Batch, StepOutput, Term

LEAST = 1e-12
Layout = tuple[tuple[str, int], ...]


class Update:
    """The sums and gradients of one optimiser step after another.

    Args:
        step: of the task.
        model: as the runtime wraps it; ``raw`` is the module itself.
        clip: largest norm of the gradients; 0 for any.
    """

    def __init__(
        self, step: Callable[[Any, Batch], StepOutput], model: Any, raw: nn.Module, runtime: Runtime, clip: float
    ) -> None:
        self.of_task, self.model, self.raw, self.runtime, self.clip = step, model, raw, runtime, clip
        self.losses: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.shares: Sequence[float] | torch.Tensor = (1.0,)

    def step(self, batch: Batch, *, exact: bool = False) -> StepOutput:
        """The task's step; a process without a share of the batch runs one sample that weighs nothing.

        Args:
            exact: in full precision, as models are evaluated; weights that are spread over processes cannot.
        """
        output = self.of_task(self.raw if exact and not self.runtime.sharded else self.model, batch)
        if self.runtime.world == 1 or int(batch.index[0]) >= 0:
            return output
        empty = {id(term.weight): term.weight * 0 for term in output.terms.values()}
        terms = {name: Term(term.sum * 0, empty[id(term.weight)], term.factor) for name, term in output.terms.items()}
        return StepOutput(terms, {name: value * 0 for name, value in output.counts.items()})

    def backward(self, batches: Iterator[Batch], count: int) -> dict[str, torch.Tensor]:
        """Forward and backward passes over ``count`` batches; returns this process's sums, for `means`."""
        total: dict[str, torch.Tensor] = {}
        ahead: list[Batch] = []
        self.losses.clear()
        self.layout: Layout | None = None
        for position in range(count):
            batch = ahead.pop(0) if ahead else next(batches)
            with self.runtime.unsynchronised(self.model, enabled=position < count - 1):
                output = self._checked(batch)
                if position == 0:
                    several = any(number > 0 for _, number in layout_of(output))
                    ahead = [next(batches) for _ in range(count - 1)] if several else []
                    self.shares = self.shares_of(output, ahead)
                loss = scaled(output, self.shares)
                self.runtime.backward(loss)
            self.add(total, sums_of(output))
            self.losses.append((loss.detach(), batch.index))
        return total

    def _checked(self, batch: Batch) -> StepOutput:
        """The step of a batch, which must have the terms of the previous batch."""
        output = self.step(batch)
        layout, self.layout = self.layout, layout_of(output)
        if layout not in (None, self.layout):
            raise ValueError("the step returned different terms or weights than for the previous batch")
        return output

    def shares_of(self, output: StepOutput, ahead: Sequence[Batch]) -> Sequence[float] | torch.Tensor:
        """What the terms of each weight are multiplied by before the backward pass, the same in every process."""
        if all(number == 0 for _, number in layout_of(output)):
            return (self.runtime.loss_scale(next(iter(output.terms.values())).weight),)
        weights = weights_of(output)
        if ahead:
            with self.runtime.without_traces(self.raw):
                weights = torch.stack([weights, *(weights_of(self._checked(batch)) for batch in ahead)]).sum(dim=0)
        weights = self.runtime.over_processes(weights)
        return torch.where(weights > 0, self.runtime.world / weights, 0.0)

    def add(self, total: dict[str, torch.Tensor], sums: Mapping[str, torch.Tensor]) -> None:
        """Add a batch's sums to the total, in the runtime's widest numbers."""
        for name, value in sums.items():
            value = value.detach().to(self.runtime.wide)
            total[name] = total[name] + value if name in total else value

    def not_finite(self) -> list[int]:
        """The samples of the step's batches whose loss is not finite."""
        return [number for loss, index in self.losses if not torch.isfinite(loss) for number in index.tolist()]

    def apply(self, optimizer: Any, sums: Mapping[str, float]) -> bool:
        """Let the optimiser move the weights, by the ``sums`` over all processes; False: a gradient is not finite."""
        gradients = [value.grad for value in self.raw.parameters() if value.grad is not None]
        weight = max(value for name, value in sums.items() if name.startswith("weight"))
        if weight <= 0 or not gradients:
            return True
        if len(self.shares) == 1:
            # Processes averaged their gradients of sums; world / weight turns that into the mean over everything.
            torch._foreach_mul_(gradients, self.runtime.world / (weight * float(self.shares[0])))
        if self.clip > 0:
            self.runtime.clip(self.model, optimizer, self.clip)
        norms = torch.stack(sharding.gathered(torch._foreach_norm(gradients)))
        # The scaler of fp16 skips such steps itself.
        finite = self.runtime.precision == "fp16" or bool(torch.isfinite(norms).all())
        if finite:
            optimizer.step()
        return finite


def layout_of(output: StepOutput) -> Layout:
    """Each term's name and the number of its weight; terms that share a tensor share a number."""
    numbers: dict[int, int] = {}
    return tuple((name, numbers.setdefault(id(term.weight), len(numbers))) for name, term in output.terms.items())


def weights_of(output: StepOutput) -> torch.Tensor:
    """The weights in the order of their numbers: float32 ``(W,)``, without gradients."""
    distinct = {id(term.weight): term.weight for term in output.terms.values()}
    return torch.stack([weight.detach().float() for weight in distinct.values()])


def scaled(output: StepOutput, shares: Sequence[float] | torch.Tensor) -> torch.Tensor:
    """What the backward pass starts from: each term times its factor and the share ``(W,)`` of its weight."""
    numbers = dict(layout_of(output))
    parts = [
        term.sum * (term.factor * shares[numbers[name]]) for name, term in output.terms.items() if term.factor != 0
    ]
    return torch.stack(parts).sum() if len(parts) > 1 else parts[0]


def sums_of(output: StepOutput) -> dict[str, torch.Tensor]:
    """Scalars that add up over batches and processes, for `means`. A single term goes without its name."""
    sums: dict[str, torch.Tensor] = {}
    for name, term in output.terms.items():
        own = f" {name}" if len(output.terms) > 1 else ""
        sums |= {f"loss{own}": term.sum.detach() * term.factor, f"weight{own}": term.weight.detach()}
        if own:
            sums[f"sum{own}"] = term.sum.detach()
    return sums


def means(sums: Mapping[str, float]) -> dict[str, float]:
    """``loss``, and of two or more terms each one's mean (without its factor) by its name."""
    names = [key.removeprefix("weight") for key in sums if key.startswith("weight")]
    weight = {name: max(sums[f"weight{name}"], LEAST) for name in names}
    loss = sum(sums[f"loss{name}"] / weight[name] for name in names)
    return {"loss": loss, **{name[1:]: sums[f"sum{name}"] / weight[name] for name in names if name}}
