"""What a recipe hands to the loop: a value, no class to inherit from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from kaname.data.dataset import Samples
from kaname.types import Batch, StepOutput

Row = Mapping[str, float | int]
Step = Callable[[nn.Module, Batch], StepOutput]


@dataclass(frozen=True)
class Task:
    """A training task.

    Attributes:
        recipe: name of the recipe.
        config: the resolved configuration as plain values; stored in every checkpoint.
        card: the self-description apart from ``recipe`` and ``config``; it also says how weights are named in files.
        model: the network; its parameters that require no gradient stay as they are.
        step: ``step(model, batch) -> StepOutput``, with the same terms for every batch of an optimiser step.
        train: the training set.
        val: the validation set, or ``None``: then the last weights are the best.
        figures: ``(model, epoch) -> figures`` of the validated weights by name, the epoch from 1, in the first process
            alone. ``None`` or a missing name: not this time; without the figure of ``score`` an epoch is not judged.
        figures_every: ``figures`` are asked for every so many epochs and in the last; 0: in the last alone.
        summarise: from the sums of the step's ``counts`` over the validation set to figures.
        score: which figure of the epoch's row chooses the best weights, and whether lower or higher is better.
        fixed: configuration keys that must not differ when a checkpoint is resumed (model and input).
        best_name: file name of the best weights.
        last_name: file name of the newest state.
        log_name: folder of the logger's files in the run's folder.
        before_epoch: called in every process with the number of the epoch that begins (from 0; large in a further
            stage), to freeze parts of the network at first; the optimiser still has their parameters.
        sample_weights: ``(len(train),)``: how often each sample is drawn, with replacement; ``None``: each once.
        files: from an epoch's row to further checkpoint files of its weights, by their names in the run's folder.
        pictures: ``pictures(model, epoch, folder)``, called by the first process after an epoch's files are written.
        after_epoch: called by the first process with all rows of the log after each epoch.
        notes, cold: lines for the user at the start; ``cold`` where no file's weights are taken over.
    """

    recipe: str
    config: Mapping[str, Any]
    card: Mapping[str, Any]
    model: nn.Module
    step: Step
    train: Samples
    val: Samples | None = None
    figures: Callable[[nn.Module, int], Mapping[str, float] | None] | None = None
    figures_every: int = 1
    summarise: Callable[[Mapping[str, float]], Mapping[str, float]] | None = None
    score: tuple[str, str] = ("val_loss", "min")
    fixed: Sequence[str] = ()
    best_name: str = "best.pt"
    last_name: str = "last.pt"
    log_name: str = "tb"
    before_epoch: Callable[[int], None] | None = None
    sample_weights: np.ndarray | None = None
    files: Callable[[Row], Sequence[str]] | None = None
    pictures: Callable[[nn.Module, int, Path], None] | None = None
    after_epoch: Callable[[Sequence[Row]], None] | None = None
    notes: Sequence[str] = ()
    cold: Sequence[str] = ()

    def has_figures(self, epoch: int, epochs: int) -> bool:
        """Whether ``figures`` are asked for after ``epoch`` (from 1) of so many."""
        often = self.figures_every > 0 and epoch % self.figures_every == 0
        return self.figures is not None and (often or epoch == epochs)

    @property
    def is_judged(self) -> bool:
        """Whether anything can choose between epochs."""
        return self.figures is not None or (self.val is not None and len(self.val) > 0)
