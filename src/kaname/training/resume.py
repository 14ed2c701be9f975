"""Where a run starts: afresh, from another run's weights, in the middle of its own run, or as a further stage.

``--resume`` of an unfinished run in its own folder continues it exactly. ``--resume`` of a finished run, or into
another folder, starts a stage: weights, optimiser and moving average go on, ``epochs`` counts further epochs, the
schedule begins anew, and every changed setting is listed. ``--init`` takes weights only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from kaname import zoo
from kaname.config import plain
from kaname.data.formats.skeleton import Skeleton
from kaname.data.naming import digest_of_names
from kaname.errors import InputError
from kaname.inference import checkpoint
from kaname.inference.checkpoint import Checkpoint
from kaname.training import sharding, warm_start
from kaname.training.optim import MovingAverage, Schedule
from kaname.training.settings import RunOptions, TrainSettings
from kaname.training.task import Task

STAGE_EPOCHS = 1_000_000  # more than any stage has


@dataclass
class Progress:
    """Where a run stands: its state apart from the tensors.

    Attributes:
        epoch: epochs of this stage that are done, validation included.
        batch: batches of the running epoch that are done; all of them: its validation is due.
        step: optimiser steps of this stage that are done.
        stage: 1, and one more for every ``--resume`` of a finished run or into another folder.
        best: the best score so far.
        best_loss: the validation loss that came with it.
        best_epoch: the epoch (from 1) it belongs to.
        waited: epochs since then.
        finished: whether the stage went to its end or stopped early.
        sums: of the loss's terms over the running epoch (`kaname.training.update`).
        files: the epochs' further files of this stage.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    stage: int = 1
    best: float | None = None
    best_loss: float | None = None
    best_epoch: int = 0
    waited: int = 0
    finished: bool = False
    sums: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    @property
    def drawn(self) -> int:
        """The running epoch in the stream of samples, in which no stage repeats another's draws."""
        return self.epoch + (self.stage - 1) * STAGE_EPOCHS

    def advance(self, sums: Mapping[str, float], batches: int) -> None:
        """Count an optimiser step over so many batches."""
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.batch += batches
        self.step += 1

    def judge(self, score: float | None, direction: str, loss: float | None = None, *, absent: bool = False) -> bool:
        """Count a finished epoch by its score; returns whether it is the best (without scores the last one is).

        Of equal scores the one with the lower ``loss`` is the better: a count that is still 0 says nothing. An epoch
        whose score is ``absent``, because only some epochs compute it, is neither better nor counted as waiting.
        """
        if absent:
            self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}
            return False
        usable = score is None or math.isfinite(score)
        better = self.best is None or score is None or (score < self.best if direction == "min" else score > self.best)
        if not better and score == self.best and loss is not None and self.best_loss is not None:
            better = loss < self.best_loss
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}
        self.waited = 0 if better and usable else self.waited + 1
        if better:
            self.best, self.best_epoch, self.best_loss = score if usable else None, self.epoch, loss
        return better


@dataclass(frozen=True)
class Start:
    """What a run takes over, and the lines about it for the user; ``finished``: there is nothing left to train;
    ``card``: fields that the card of every file of the run has from there."""

    weights: Checkpoint | None = None
    training: Mapping[str, Any] | None = None
    exact: bool = False
    finished: bool = False
    notes: list[str] = field(default_factory=list)
    card: Mapping[str, Any] = field(default_factory=dict)


def starting_point(task: Task, options: RunOptions, settings: TrainSettings) -> Start:
    """Decide from ``--resume`` and ``--init`` what the run starts from.

    Raises:
        InputError: both flags at once, an unusable checkpoint, a folder that holds another run, or a model or input
            field that differs.
    """
    if options.resume and options.init and zoo.beside(options.init) is None:
        raise InputError("--resume and --init cannot be combined", remedy="give one of them")
    last = options.out_dir / task.last_name
    if not options.resume:
        taken = InputError(
            "this folder already holds a run", path=last, remedy="continue with --resume, or choose another --out-dir"
        )
        if last.exists() and not options.dry_run:
            raise taken
        notes = [f"a real run would be refused: {taken}"] if last.exists() else []
        return _begun(task, options.init, notes)
    notes = []
    found = resumed(options, (task.last_name, task.best_name), task.recipe, notes.append)
    if found is None:
        return _begun(task, options.init, [*notes, f"nothing to resume in {options.out_dir}: starting afresh"])
    opened = found
    if opened.training is None:
        remedy = f"resume from {task.last_name}, or take its weights with --init"
        raise InputError("holds weights only, not the state of a training run", path=opened.path, remedy=remedy)
    _refuse_damaged_state(opened)
    _same_fields(task, opened)
    kept = {name: opened.card[name] for name in ("init",) if name in opened.card}
    return replace(_continue(task, options, settings, opened, notes), card=kept)


def _begun(task: Task, init: Path | None, notes: list[str]) -> Start:
    """A run's beginning, with the weights of a file or without."""
    if init is None:
        return Start(notes=[*notes, *task.cold])
    opened = checkpoint.load(init, recipe=task.recipe)
    if "zoo" in opened.card:
        fitted, said = warm_start.fitted(task.model, opened)
        return Start(fitted, notes=[*notes, *said], card={"init": f"the shipped model {opened.card['zoo']['name']}"})
    _same_fields(task, opened)
    epoch = _epoch(opened)
    # Not the folder: a card goes to other people.
    card = {"init": f"{init.name} (epoch {epoch})"}
    return Start(weights=opened, notes=[*notes, f"weights of {init} (epoch {epoch})"], card=card)


def resumed(
    options: RunOptions, names: tuple[str, ...], recipe: str, notice: Callable[[str], None] = lambda _: None
) -> Checkpoint | None:
    """The checkpoint that ``--resume`` stands for, or None where there is none.

    Args:
        names: of a run's last and best file.
        notice: takes a line for each damaged file that is passed over.

    Raises:
        InputError: an unusable file.
    """
    if options.resume is None:
        return None
    if options.resume == "auto":
        return checkpoint.newest(options.out_dir, names, recipe, notice)
    return checkpoint.load(Path(options.resume), recipe=recipe)


def card_to_go_on(options: RunOptions, best_name: str, recipe: str) -> Mapping[str, Any] | None:
    """The card of the run that ``--resume`` continues, to build its network without the files that it started from.

    Raises:
        InputError: an unusable file.
    """
    found = resumed(options, (Task.last_name, best_name), recipe)
    return None if found is None else found.card


def _continue(task: Task, options: RunOptions, settings: TrainSettings, opened: Checkpoint, notes: list[str]) -> Start:
    training = opened.training or {}
    progress = training["progress"]
    same_folder = opened.path.resolve().parent == options.out_dir.resolve()
    changed = [
        f"  {key}: {old!r} -> {new!r}" for key, (old, new) in differences(opened.card["config"], task.config).items()
    ]
    exact = same_folder and not progress["finished"]
    if exact:
        _same_order(training["order"], order_of(task, settings), opened.path)
        notes.append(f"resuming {opened.path} after epoch {progress['epoch']}, step {progress['step']}")
        if training.get("names") not in (None, _names(task)):
            notes.append("the training set has as many samples as before, but not the same; the run goes on with these")
    elif same_folder and options.resume == "auto" and settings.epochs <= training["epochs"]:
        # A script that always passes --resume must not train another stage each time it runs.
        notes.append(
            f"{opened.path}: this run is finished ({progress['epoch']} epochs); name the checkpoint after --resume to "
            "train a further stage"
        )
        return Start(weights=opened, training=training, exact=True, finished=True, notes=notes)
    else:
        last = options.out_dir / task.last_name
        if not same_folder and last.exists():
            remedy = "continue that run with a bare --resume, or choose another --out-dir"
            taken = InputError("this folder already holds a run", path=last, remedy=remedy)
            if not options.dry_run:
                raise taken
            notes.append(f"a real run would be refused: {taken}")
        notes.append(
            f"stage {progress['stage'] + 1} from {opened.path}: {settings.epochs} further epochs, a schedule of its own"
        )
    if changed:
        notes += ["changed settings:", *changed]
    return Start(weights=opened, training=training, exact=exact, notes=notes)


def order_of(task: Task, settings: TrainSettings) -> dict[str, int]:
    """What the order of samples and the position in it depend on."""
    own = {name: getattr(settings, name) for name in ("batch_size", "accumulate", "seed")}
    return {"samples": len(task.train), **own}


def state(
    progress: Progress,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    average: MovingAverage | None,
    *,
    task: Task,
    settings: TrainSettings,
    scaler: Callable[[], Mapping[str, Any]],
) -> dict[str, Any]:
    """What ``last.pt`` keeps besides the weights, as plain values and tensors."""
    return {
        "progress": dict(progress.__dict__),
        "optimizer": sharding.gathered(optimizer.state_dict()["state"]),
        "optimizer_kind": settings.optimizer,
        "parameters": _trainable(task.model),
        "schedule": schedule.state(),
        "average": None if average is None else sharding.gathered(average.state()),
        "epochs": settings.epochs,
        "order": order_of(task, settings),
        "names": _names(task),
        "scaler": dict(scaler()),
    }


def restore(
    start: Start,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    average: MovingAverage | None,
    *,
    task: Task,
    settings: TrainSettings,
) -> Progress:
    """Put a checkpoint's state into the fresh parts of a run; what no longer fits starts afresh, with a note.

    Raises:
        InputError: a state that does not fit where the run was to be continued exactly.
    """
    training = start.training
    if training is None:
        return Progress()
    if start.finished:
        return Progress(**training["progress"])
    assert start.weights is not None
    path = start.weights.path
    reasons: list[str] = []
    if training["optimizer_kind"] != settings.optimizer:
        reasons.append(f"train.optimizer was {training['optimizer_kind']!r} and is {settings.optimizer!r}")
    if training["parameters"] != _trainable(task.model):
        reasons.append("different parameters train than before")
    if reasons and start.exact:
        remedy = "set it as before, or resume into another --out-dir to train a further stage"
        raise InputError("; ".join(reasons), path=path, remedy=remedy)
    if reasons:
        start.notes.append(f"the optimiser starts afresh: {'; '.join(reasons)}")
    try:
        if not reasons:
            # Only the moments: rates and decays are those of this run's settings.
            groups = optimizer.state_dict()["param_groups"]
            state = sharding.scattered_state(training["optimizer"], optimizer)
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        if average is not None and training["average"] is not None and training["parameters"] == _trainable(task.model):
            average.load(training["average"])
        saved = Progress(**training["progress"])
        if not start.exact:
            return Progress(stage=saved.stage + 1)
        schedule.load(training["schedule"])
        return saved
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        remedy = "take its weights with --init"
        raise InputError(f"the training state is damaged ({error!r})", path=path, remedy=remedy) from error


def archive(folder: Path, names: tuple[str, ...], stage: int) -> list[str]:
    """Keep the files of the previous stage under ``<stem>.stage<N><ending>``; returns the new names.

    What is already kept is not touched, so that a stage that was killed at its start can start again.
    """
    kept: list[str] = []
    for name in names:
        path = folder / name
        target = path.with_name(f"{path.stem}.stage{stage}{path.suffix}")
        if path.is_file() and not target.exists():
            path.replace(target)
            kept.append(target.name)
    return kept


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ, with both values; a key that one side lacks shows as ``None``."""
    changed: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changed |= differences(before, after, f"{prefix}{key}.")
        elif before != after:
            changed[f"{prefix}{key}"] = (before, after)
    return changed


def _same_fields(task: Task, opened: Checkpoint) -> None:
    for key, (old, new) in differences(opened.card["config"], task.config).items():
        if key in task.fixed or any(key.startswith(f"{name}.") for name in task.fixed):
            reason = f"was trained with {key} = {old!r}, this run has {new!r}"
            remedy = f"set {key} as in the checkpoint, or train from the start"
            raise InputError(reason, path=opened.path, remedy=remedy)
    changed = differences(_network_before(opened.card), _network_before(task.card))
    if changed:
        key, (before, after) = next(iter(changed.items()))
        reason = f"was trained on another extractor ({key} was {before}, and is {after})"
        raise InputError(reason, path=opened.path, remedy="give the same extractor, or start a new run")
    old, new = (_points(card.get("skeleton")) for card in (opened.card, task.card))
    if old != new:  # a file of the same name that holds others now
        reason, remedy = "was trained with other points or flip pairs", "give the same skeleton, or start a new run"
        raise InputError(reason, path=opened.path, remedy=remedy)


def _network_before(card: Mapping[str, Any]) -> dict[str, Any]:
    """What of a frozen network's description the features depend on; its file may lie elsewhere."""
    described = card.get("extractor") or {}
    return plain({name: value for name, value in described.items() if name not in ("path", "licence")})


def _points(described: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """What of a skeleton the network has learned; colours and edges may change."""
    skeleton = None if described is None else Skeleton.from_dict(described)
    return () if skeleton is None else (list(skeleton.channels), list(skeleton.permutation))


def _same_order(old: Mapping[str, int], new: Mapping[str, int], path: Path) -> None:
    changed = [f"{name} was {old[name]} and is {new[name]}" for name in new if old[name] != new[name]]
    if changed:
        remedy = "set it as before, or resume into another --out-dir to train a further stage"
        raise InputError(f"the run cannot continue from the middle: {', '.join(changed)}", path=path, remedy=remedy)


def _names(task: Task) -> str:
    """What tells the training set from another; its folder may have moved."""
    name = getattr(task.train, "name", str)
    return digest_of_names([name(index) for index in range(len(task.train))])


def _refuse_damaged_state(opened: Checkpoint) -> None:
    training = opened.training or {}
    keys = ["progress", "optimizer", "optimizer_kind", "parameters", "schedule", "average", "epochs", "order", "scaler"]
    missing = [key for key in keys if key not in training]
    if not missing:
        known = {entry.name for entry in fields(Progress)}
        progress, order = training["progress"], training["order"]
        needed = known - {"best_loss", "files"}  # which older files lack
        whole = isinstance(progress, dict) and needed <= set(progress) <= known and isinstance(order, dict)
        missing = [] if whole and {"samples", "batch_size", "accumulate", "seed"} <= set(order) else ["progress"]
    if missing:
        raise InputError(
            f"the training state lacks {missing[0]!r}", path=opened.path, remedy="take its weights with --init"
        )


def _trainable(model: torch.nn.Module) -> list[str]:
    return [name for name, value in model.named_parameters() if value.requires_grad]


def _epoch(opened: Checkpoint) -> int:
    return int(opened.card.get("trained", {}).get("epoch", 0))
