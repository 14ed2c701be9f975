"""Where a run starts: afresh, from another run's weights, in the middle of its own run, or as a further stage.

``--resume`` of an unfinished run in its own folder continues it exactly. ``--resume`` of a finished run, or into
another folder, starts a stage: weights, optimiser and moving average go on, ``epochs`` counts further epochs, the
schedule begins anew, and every changed setting is listed. ``--init`` takes weights only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaname.engine import checkpoint
from kaname.engine.checkpoint import Checkpoint
from kaname.engine.settings import RunOptions, TrainSettings
from kaname.engine.task import Task
from kaname.errors import InputError


@dataclass(frozen=True)
class Start:
    """What a run takes over, and what it tells the user about it."""

    weights: Checkpoint | None = None
    training: Mapping[str, Any] | None = None
    exact: bool = False
    notes: list[str] = field(default_factory=list)


def starting_point(task: Task, options: RunOptions, settings: TrainSettings) -> Start:
    """Decide from ``--resume`` and ``--init`` what the run starts from.

    Raises:
        InputError: both flags at once, an unusable checkpoint, or a model or input field that differs.
    """
    if options.resume and options.init:
        raise InputError("--resume and --init exclude each other", remedy="give one of them")
    if options.init is not None:
        found = checkpoint.load(options.init, recipe=task.recipe)
        _same_fields(task, found)
        return Start(weights=found, notes=[f"weights of {options.init} (epoch {_epoch(found)})"])
    if not options.resume:
        last = options.out_dir / task.last_name
        if last.exists() and not options.dry_run:
            raise InputError(
                "this folder already holds a run", path=last, remedy="go on with --resume, or choose another --out-dir"
            )
        return Start()
    notes: list[str] = []
    if options.resume == "auto":
        newest = checkpoint.newest(options.out_dir, (task.last_name, task.best_name), task.recipe, notes.append)
        if newest is None:
            return Start(notes=[*notes, f"nothing to resume in {options.out_dir}: starting afresh"])
        found = newest
    else:
        found = checkpoint.load(Path(options.resume), recipe=task.recipe)
    if found.training is None:
        raise InputError(
            "holds weights only, not the state of a training", path=found.path,
            remedy=f"resume from {task.last_name}, or take its weights with --init",
        )  # fmt: skip
    _same_fields(task, found)
    return _continue(task, options, settings, found, notes)


def _continue(task: Task, options: RunOptions, settings: TrainSettings, found: Checkpoint, notes: list[str]) -> Start:
    training = found.training or {}
    same_folder = found.path.resolve().parent == options.out_dir.resolve()
    changed = [
        f"  {key}: {old!r} -> {new!r}" for key, (old, new) in differences(found.card["config"], task.config).items()
    ]
    if same_folder and not training["progress"]["finished"]:
        notes.append(f"resuming {found.path} after epoch {_epoch(found)}, step {training['progress']['step']}")
        exact = True
    else:
        if same_folder and settings.epochs <= training["epochs"] and not changed:
            raise InputError(
                f"this run is finished ({training['progress']['epoch']} epochs)", path=found.path,
                remedy="resume it into another --out-dir to train a further stage",
            )  # fmt: skip
        stage = training["progress"]["stage"] + 1
        notes.append(f"stage {stage} from {found.path}: {settings.epochs} further epochs, the schedule starts anew")
        exact = False
    if changed:
        notes.append("changed settings:")
        notes += changed
    return Start(weights=found, training=training, exact=exact, notes=notes)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ, with both values; a key that one side lacks shows as ``None``."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found[f"{prefix}{key}"] = (before, after)
    return found


def _same_fields(task: Task, found: Checkpoint) -> None:
    for key, (old, new) in differences(found.card["config"], task.config).items():
        if key in task.fixed or any(key.startswith(f"{name}.") for name in task.fixed):
            raise InputError(
                f"was trained with {key} = {old!r}, this run has {new!r}", path=found.path,
                remedy=f"set {key} as in the checkpoint, or train from the start",
            )  # fmt: skip


def _epoch(found: Checkpoint) -> int:
    return int(found.card.get("trained", {}).get("epoch", 0))
