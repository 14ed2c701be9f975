"""Steps that go wrong at a chosen place."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from kaname.types import Batch, StepOutput
from training.tiny_task import scaled, step


def at(
    number: int, act: Callable[[], object], *, training: bool = True, scale: float = 1.0
) -> Callable[..., StepOutput]:
    """A step that does something bad the ``number``-th time (of validation, where not ``training``), and scales its
    loss."""
    calls = itertools.count(1)

    def stepped(model: torch.nn.Module, batch: Batch) -> StepOutput:
        output = step(model, batch)
        if torch.is_grad_enabled() == training and next(calls) == number:
            act()
            return scaled(output, scale)
        return output

    return stepped


def memory_runs_out() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
