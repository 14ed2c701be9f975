"""What a run leaves behind: its folder, its checkpoints, the lines that say what it is."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kaname import __version__
from kaname import config as configuration
from kaname.data.formats.files import write_json
from kaname.files import sweep, write_text, writing
from kaname.inference import checkpoint
from kaname.training import faults, resume, sharding
from kaname.training.journal import Journal
from kaname.training.resume import Progress, Start
from kaname.training.settings import RunOptions, TrainSettings
from kaname.training.task import Task


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


def introduction(task: Task, settings: TrainSettings, where: str) -> list[str]:
    """What trains on what; ``where`` names device, processes and folder. Called before weights are spread."""
    parameters = list(task.model.parameters())
    trainable = sum(value.numel() for value in parameters if value.requires_grad)
    lines = []
    if not task.is_judged:
        lines.append("no validation set: the last weights count as the best, and nothing stops early")
    if settings.warmup_epochs >= settings.epochs:
        warm = f"{settings.warmup_epochs:g} of {settings.epochs} epochs"
        lines.append(f"the learning rate rises for {warm}: it never reaches the rate asked for")
    counted = f"{len(task.train)} training and {len(task.val or ())} validation samples"
    whole = f"{trainable:,} of {sum(value.numel() for value in parameters):,} parameters train"
    return [*lines, *task.notes, f"{task.recipe}: {counted}, {whole}, {where}"]


def reported(page: Path, last: Path) -> bool:
    """Whether a finished run's page exists and is as new as its state in ``last``: it is written last of all."""
    return page.is_file() and page.stat().st_mtime >= last.stat().st_mtime


class RunFolder:
    """A run's checkpoints.

    Args:
        path: the folder.
        model: the network, whose weights may be spread over the processes.
        progress: of the run; it moves on.
        state: what ``last.pt`` keeps besides the weights, as it is now.
        first: whether this process writes.
        sharded: whether the others have to take part in gathering the weights.

    Attributes:
        kept: fields of the card of what the run started from that its own files have too.
        whole: whether weights, optimiser and position belong together just now, so that a fault may save them.
    """

    def __init__(
        self,
        path: Path,
        task: Task,
        model: nn.Module,
        progress: Progress,
        state: Callable[[], Mapping[str, Any]],
        *,
        first: bool,
        sharded: bool,
    ) -> None:
        self.path, self.task, self.model, self.progress, self.state = path, task, model, progress, state
        self.first, self.sharded, self.last, self.whole = first, sharded, path / task.last_name, True
        self.kept: Mapping[str, Any] = {}
        self.saved_at, self.saved_step = time.monotonic(), progress.step

    def open(self, start: Start, settings: TrainSettings) -> Journal:
        """Make the folder; files of the previous stage are kept under other names."""
        progress, self.kept = self.progress, start.card
        if self.first:
            with writing(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                sweep(self.path)
                if progress.stage > 1 and not start.exact:
                    earlier = (start.training or {})["progress"].get("files", [])
                    kept = resume.archive(self.path, (self.task.best_name, "log.csv", *earlier), progress.stage - 1)
                    start.notes.extend(f"kept from the previous stage: {name}" for name in kept)
        return Journal(
            self.path if self.first else None,
            speak=self.first,
            kept_epochs=progress.epoch,
            fresh=start.training is None,
            logger=settings.logger,
            log_dir=settings.log_dir or self.path / self.task.log_name,
            title=self.task.recipe,
        )

    def save(self, name: str, *, training: bool = False) -> None:
        """Write a checkpoint, with ``training`` also the state to resume from. Sharded, every process calls it.

        Raises:
            InputError: a weight is not finite, or the file cannot be written.
        """
        if not (self.first or self.sharded):
            return
        progress, path = self.progress, self.path / name
        gathered = sharding.gathered(self.model.state_dict())
        weights = {key: value.detach().cpu().contiguous() for key, value in gathered.items()}
        if not all(torch.isfinite(value).all() for value in weights.values() if value.is_floating_point()):
            self.whole = False
            faults.refuse("a weight", progress.epoch + 1, progress.step + 1)
        state = self.state() if training else None
        if self.first:
            card = {**self.task.card, **self.kept, "recipe": self.task.recipe, "config": self.task.config}
            card["trained"] = {"epoch": progress.epoch, "step": progress.step, "stage": progress.stage}
            if path.parent != self.path and self.path.is_dir():
                with writing(path.parent):
                    path.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.save(path, card=card, model=weights, training=state)

    def save_last(self) -> None:
        """Save the whole state under the task's last name; a run resumes from there."""
        self.save(self.task.last_name, training=True)
        self.saved_at, self.saved_step = time.monotonic(), self.progress.step

    def is_due(self, seconds: float, steps: int) -> bool:
        """Whether after the step that is being made the last saved state is as old, by this process's clock or in
        optimiser steps; 0 is never."""
        late = seconds > 0 and time.monotonic() - self.saved_at >= seconds
        return late or 0 < steps <= self.progress.step + 1 - self.saved_step

    def keep(self) -> str:
        """After a fault: save the state where it is whole; says where the last good one is."""
        if not self.first:
            return ""
        # Spread weights are gathered by all processes together, and the others may never come.
        if self.whole and not self.sharded and self.progress.step > self.saved_step:
            with contextlib.suppress(Exception):  # the disk or the memory may be what failed
                self.save_last()
        if self.last.is_file():
            step = self.saved_step
            return f"the last good state is {self.last}, step {step}" if step else f"{self.last} is as it was"
        if not self.path.is_dir():
            return f"the folder {self.path} is gone"
        left = sorted(path.name for path in self.path.glob(f"*{self.last.suffix}") if path.is_file())
        kept = f"no state to resume is in {self.path}, weights are ({', '.join(left[:3])})"
        return kept if left else "nothing was saved yet"
