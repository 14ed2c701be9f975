"""What a recipe hands to the loop: a value, no class to inherit from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from kaname.data.dataset import Samples
from kaname.types import Batch, StepOutput

Row = Mapping[str, float | int]


@dataclass(frozen=True)
class Task:
    """A training task.

    Attributes:
        recipe: name of the recipe.
        config: the resolved configuration as plain values; stored in every checkpoint.
        card: the self-description apart from ``recipe`` and ``config``.
        model: the network; its parameters that require no gradient stay as they are.
        step: ``step(model, batch) -> StepOutput`` with sums.
        train: the training set.
        val: the validation set, or ``None``: then the last weights are the best.
        figures: further figures of a model in eval mode after each epoch, by name.
        score: which figure of the epoch's row chooses the best weights, and whether lower or higher is better.
        fixed: configuration keys that must not differ when a checkpoint is resumed (model and input).
        best_name: file name of the best weights.
        last_name: file name of the newest state.
        after_epoch: called by the first process with all rows of the log after each epoch.
    """

    recipe: str
    config: Mapping[str, Any]
    card: Mapping[str, Any]
    model: nn.Module
    step: Callable[[nn.Module, Batch], StepOutput]
    train: Samples
    val: Samples | None = None
    figures: Callable[[nn.Module], Mapping[str, float]] | None = None
    score: tuple[str, str] = ("val_loss", "min")
    fixed: Sequence[str] = field(default_factory=tuple)
    best_name: str = "best.pt"
    last_name: str = "last.pt"
    after_epoch: Callable[[Sequence[Row]], None] | None = None
