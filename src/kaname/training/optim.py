"""Optimisers, learning-rate schedules and the moving average of weights.

Learning rates are a function of the position alone (epoch and step), except ``plateau``, whose few numbers go into
the checkpoint. Adding a schedule: one branch in :meth:`Schedule.factor` and its name in ``TrainSettings.schedule``.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from kaname.errors import InputError
from kaname.training.settings import TrainSettings
from kaname.training.sharding import is_part, scattered


def build_optimizer(parameters: Iterable[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser over the parameters that are not frozen."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    if not trainable:
        raise InputError("nothing to train: every parameter is frozen", remedy="set model.freeze=false")
    # Adam in one pass over memory instead of a dozen. On a GPU torch chooses itself, and fp16's scaler needs it so; for
    # tensors that are spread over processes torch has no such pass.
    fused = True if trainable[0].device.type == "cpu" and not any(map(is_part, trainable)) else None
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(trainable, lr=settings.lr, weight_decay=settings.weight_decay, fused=fused)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(trainable, lr=settings.lr, weight_decay=settings.weight_decay, momentum=0.9)
    return torch.optim.Adam(trainable, lr=settings.lr, weight_decay=settings.weight_decay, fused=fused)


class Schedule:
    """Learning rate by position; call :meth:`apply` before every optimiser step and :meth:`observe` after an epoch."""

    def __init__(self, settings: TrainSettings, steps_per_epoch: int) -> None:
        self.settings, self.steps_per_epoch = settings, steps_per_epoch
        self.warm = round(settings.warmup_epochs * steps_per_epoch)
        self.plateau_factor, self.best, self.waited = 1.0, math.inf, 0

    def factor(self, step: int) -> float:
        """Share of the peak learning rate at optimiser step ``step`` (from 0) of this stage."""
        settings, warm = self.settings, self.warm
        if step < warm:
            return (step + 1) / warm
        if settings.schedule == "cosine":
            total = settings.epochs * self.steps_per_epoch
            progress = min(1.0, (step - warm) / max(1, total - warm))
            return settings.final_lr + (1 - settings.final_lr) * (1 + math.cos(math.pi * progress)) / 2
        if settings.schedule == "step":
            epochs = settings.step_epochs or (round(settings.epochs * 2 / 3), round(settings.epochs * 8 / 9))
            passed = sum(1 for epoch in epochs if step >= epoch * self.steps_per_epoch)
            return settings.step_factor**passed
        return self.plateau_factor if settings.schedule == "plateau" else 1.0

    def rate(self, step: int) -> float:
        """The learning rate at optimiser step ``step``."""
        return self.settings.lr * self.factor(step)

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set the learning rate for ``step``."""
        for group in optimizer.param_groups:
            group["lr"] = self.rate(step)

    def observe(self, loss: float, step: int) -> None:
        """Note the validation loss (or, without validation, the training loss) of an epoch that ended at ``step``.

        While the rate is still rising nothing counts as waiting for a better loss.
        """
        if self.settings.schedule != "plateau":
            return
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        if step <= self.warm:
            return
        self.waited += 1
        if self.waited > self.settings.plateau_patience:
            self.plateau_factor, self.waited = self.plateau_factor * self.settings.plateau_factor, 0

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"plateau_factor": self.plateau_factor, "best": self.best, "waited": self.waited}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.plateau_factor, self.best = float(state["plateau_factor"]), float(state["best"])
        self.waited = int(state["waited"])


class MovingAverage:
    """Exponential moving average of the trainable weights; buffers and frozen weights are the model's own."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.parameters = dict(_trainable(model))
        self.weights = {name: value.detach().clone() for name, value in self.parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """After an optimiser step; the decay grows from 0.1 over the first ones, to be fair to short runs."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        torch._foreach_lerp_(list(self.weights.values()), list(self.parameters.values()), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights and the averaged ones; calling it again undoes it."""
        for name, value in self.parameters.items():
            held = value.detach().clone()
            value.copy_(self.weights[name])
            self.weights[name].copy_(held)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"updates": self.updates, "weights": self.weights}

    @torch.no_grad()
    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`; the names must be the same."""
        if set(state["weights"]) != set(self.weights):
            raise InputError("the checkpoint's averaged weights belong to another network")
        for name, value in state["weights"].items():
            self.weights[name].copy_(scattered(value, self.weights[name]))
        self.updates = int(state["updates"])


@contextlib.contextmanager
def averaged(average: MovingAverage | None) -> Iterator[None]:
    """Within the context the model has the averaged weights, where there are any."""
    if average is not None:
        average.swap()
    yield
    if average is not None:
        average.swap()


def _trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]
