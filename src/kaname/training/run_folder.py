"""What a run leaves behind: its folder, its checkpoints, the lines that say what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kaname.data.files import writing
from kaname.inference import checkpoint
from kaname.training import resume, sharding
from kaname.training.journal import Journal

if TYPE_CHECKING:
    from kaname.training.loop import Run


def open_folder(run: Run) -> Journal:
    """Make the run's folder; files of the stage before are kept under other names."""
    first, folder, options = run.runtime.is_first, run.options.out_dir, run.options
    if first:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            checkpoint.sweep(folder)
            if run.progress.stage > 1 and not run.start.exact:
                kept = resume.archive(folder, (run.task.best_name, "log.csv"), run.progress.stage - 1)
                run.start.notes.extend(f"kept from the stage before: {name}" for name in kept)
    return Journal(
        folder if first else None, speak=first, kept_epochs=run.progress.epoch, fresh=run.start.training is None,
        logger=options.logger, log_dir=options.log_dir, title=run.task.recipe,
    )  # fmt: skip


def announce(run: Run) -> None:
    """Say what trains on what, and what was noted on the way there."""
    task, runtime = run.task, run.runtime
    trainable = sum(value.numel() for value in run.raw.parameters() if value.requires_grad)
    whole = sum(value.numel() for value in run.raw.parameters())
    if task.figures is None and not len(task.val or ()):
        run.start.notes.append("no validation set: the last weights count as the best, and nothing stops early")
    if run.settings.warmup_epochs >= run.settings.epochs:
        warm = f"{run.settings.warmup_epochs:g} of {run.settings.epochs} epochs"
        run.start.notes.append(f"the learning rate rises for {warm}: it never comes to what was asked for")
    for note in (*run.start.notes, *task.notes):
        run.journal.say(note)
    run.journal.say(
        f"{task.recipe}: {len(task.train)} training and {len(task.val or ())} validation samples, "
        f"{trainable:,} of {whole:,} parameters train, {runtime.device} in {runtime.precision}, "
        f"{runtime.world} process(es), into {run.options.out_dir}"
    )


def say_finished(run: Run) -> None:
    """Say that there is nothing left to train; nothing is written."""
    if run.runtime.is_first:
        print("\n".join(run.start.notes))
    run.runtime.close()


def reported(run: Run, page: Path) -> bool:
    """Whether the page of a finished run is there and of its last stage: it is written last of all."""
    last = run.options.out_dir / run.task.last_name
    return run.start.finished and page.is_file() and page.stat().st_mtime >= last.stat().st_mtime


def save(run: Run, name: str, *, training: bool) -> bool:
    """Write a checkpoint, with ``training`` also the state to go on from; ``False`` where a weight is not finite.

    Where weights are spread over the processes, every process must call it; the first writes.
    """
    if not (run.runtime.is_first or run.runtime.sharded):
        return True
    whole = sharding.gathered(run.raw.state_dict())
    weights = {key: value.detach().cpu().contiguous() for key, value in whole.items()}
    if not all(torch.isfinite(value).all() for value in weights.values() if value.is_floating_point()):
        return False
    state: Mapping[str, Any] | None = None
    if training:
        state = resume.state(
            run.progress, run.optimizer, run.schedule, run.average, task=run.task, settings=run.settings,
            scaler=run.runtime.scaler(),
        )  # fmt: skip
    if run.runtime.is_first:
        card = {**run.task.card, "recipe": run.task.recipe, "config": run.task.config}
        card["trained"] = {"epoch": run.progress.epoch, "step": run.progress.step, "stage": run.progress.stage}
        checkpoint.save(run.options.out_dir / name, card=card, model=weights, training=state)
    return True
