"""What a recipe hands to the loop: a value, no class to inherit from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from kaname import __version__
from kaname import config as configuration
from kaname.data.dataset import Samples
from kaname.data.formats.files import write_json, write_text
from kaname.training.settings import RunOptions
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
        summarise: from the sums of the step's logs over the validation set (loss and weight apart) to figures; default:
            each sum divided by the weight.
        score: which figure of the epoch's row chooses the best weights, and whether lower or higher is better.
        fixed: configuration keys that must not differ when a checkpoint is resumed (model and input).
        best_name: file name of the best weights.
        last_name: file name of the newest state.
        before_epoch: called in every process with the number of the epoch that begins, from 0 (in a further stage: of
            all stages' epochs a large one), so that parts of the network can be held at first. Held parameters get no
            gradients; they belong to the optimiser all the same.
        sample_weights: ``(len(train),)``: how often each sample is drawn, relative to the others; an epoch then draws
            with replacement. ``None``: each once.
        after_epoch: called by the first process with all rows of the log after each epoch.
        notes: lines for the user at the start.
    """

    recipe: str
    config: Mapping[str, Any]
    card: Mapping[str, Any]
    model: nn.Module
    step: Callable[[nn.Module, Batch], StepOutput]
    train: Samples
    val: Samples | None = None
    figures: Callable[[nn.Module], Mapping[str, float]] | None = None
    summarise: Callable[[Mapping[str, float]], Mapping[str, float]] | None = None
    score: tuple[str, str] = ("val_loss", "min")
    fixed: Sequence[str] = field(default_factory=tuple)
    best_name: str = "best.pt"
    last_name: str = "last.pt"
    before_epoch: Callable[[int], None] | None = None
    sample_weights: np.ndarray | None = None
    after_epoch: Callable[[Sequence[Row]], None] | None = None
    notes: Sequence[str] = ()


def write_parameters(task: Task, config: Any, options: RunOptions) -> None:
    """``parameters.json``: the resolved configuration, the command, the version, the card; ``config.yaml``: the
    configuration, to run it again.

    Args:
        task: of the run.
        config: the recipe's configuration, with absolute paths of data.
        options: of the run; the files go to ``options.out_dir``.
    """
    content = {"config": dict(task.config), "command": options.command, "kaname": __version__, "card": dict(task.card)}
    write_json(options.out_dir / "parameters.json", json.loads(json.dumps(content, sort_keys=True)))
    write_text(options.out_dir / "config.yaml", configuration.to_yaml(config))
