"""After an epoch: the figures of its weights, whether they are the best so far, and the files that keep them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from kaname.files import writing
from kaname.training import sharding
from kaname.training.resume import Progress
from kaname.training.run_folder import RunFolder
from kaname.training.runtime import Runtime
from kaname.training.task import Row, Task
from kaname.training.update import Update, means, sums_of
from kaname.types import Batch

COUNT = "count "


class Validation:
    """What is done with the weights of each epoch. Made before the weights are spread over processes.

    Args:
        raw: the network itself.
        epochs: of the run.
    """

    def __init__(self, task: Task, raw: nn.Module, runtime: Runtime, epochs: int) -> None:
        self.task, self.raw, self.runtime, self.epochs = task, raw, runtime, epochs
        # Spread weights cannot run in one process: there figures and pictures get a copy that has them whole.
        alone = runtime.sharded and runtime.is_first and (task.figures or task.pictures)
        self.copy = copy.deepcopy(raw).eval() if alone else raw

    def sums(self, batches: Iterator[Batch], count: int, update: Update, stop: Callable[[], int]) -> dict[str, Any]:
        """This process's sums over ``count`` batches; empty where ``stop`` ended them."""
        total: dict[str, torch.Tensor] = {}
        for _ in range(count):
            if self.runtime.world == 1 and stop():
                return {}
            batch = next(batches)
            with self.runtime.no_gradients():
                output = update.step(batch, exact=True)
                counts = {f"{COUNT}{name}": value for name, value in output.counts.items()}
                update.add(total, {**sums_of(output), **counts})
        return total

    def figures(self, sums: Mapping[str, float]) -> dict[str, float]:
        """``val_loss`` and the other figures of the validation set's sums over all processes."""
        if self.runtime.is_first and not any(value for name, value in sums.items() if name.startswith("weight")):
            reason = "nothing in the validation set counts in the loss: val_loss is 0 and says nothing of the weights"
            warnings.warn(reason, stacklevel=2)
        counts = {name.removeprefix(COUNT): sums[name] for name in sorted(sums) if name.startswith(COUNT)}
        figures = means(sums) | dict(self.task.summarise(counts) if self.task.summarise else {})
        return {f"val_{name}": value for name, value in sorted(figures.items())}

    def add_figures(self, row: Mapping[str, float], epoch: int) -> dict[str, float]:
        """A row with the task's own figures, the same in every process; the first one computes them."""
        further: Mapping[str, float] | None = None
        if self.task.figures is not None and self.task.has_figures(epoch, self.epochs):
            model = self._whole()
            further = self.task.figures(model, epoch) if self.runtime.is_first else None
        return self.runtime.of_first({**row, **(further or {})})

    def keep(self, row: Row, progress: Progress, folder: RunFolder) -> bool:
        """Judge the epoch and write the files of its weights; says whether they are the best."""
        task, (name, direction) = self.task, self.task.score
        # Where no epoch came with the score, the last one is the best.
        late = progress.epoch + 1 == self.epochs and not progress.best_epoch
        absent = name not in row and task.is_judged and not late
        better = progress.judge(row.get(name), direction, row.get("val_loss"), absent=absent)
        further = list(task.files(row)) if task.files is not None else []
        for file in [*([task.best_name] if better else []), *further]:
            folder.save(file)
        progress.files += [file for file in further if file not in progress.files]
        if task.pictures is not None:
            model = self._whole()
            if self.runtime.is_first:
                with writing(folder.path):
                    task.pictures(model, progress.epoch, folder.path)
        return better

    def _whole(self) -> nn.Module:
        """The weights as they are now, in a module that the first process may run alone."""
        if self.runtime.sharded:
            whole = sharding.gathered(self.raw.state_dict())
            if self.runtime.is_first:
                self.copy.load_state_dict(whole)
        return self.copy
