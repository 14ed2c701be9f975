"""The training loop: one for every recipe, on any number of processes, resumable at every optimiser step.

Order of an optimiser step: forward and backward passes over ``accumulate`` batches, division by the weights summed over
batches and processes (`kaname.training.update`), clipping, the optimiser, the moving average. All randomness inside a
step comes from (seed, stage, step), so position and the tensors of the checkpoint are the whole state.
"""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import time
from collections.abc import Iterator
from typing import NoReturn

import torch

from kaname.data.dataset import Batches, Samples, to_batch
from kaname.data.loader import close_stream, loader, open_stream
from kaname.data.randomness import generator
from kaname.errors import InputError
from kaname.files import writing
from kaname.inference import checkpoint
from kaname.lock import locked_by_first
from kaname.progress import Bar, duration
from kaname.training import faults, resume, run_folder
from kaname.training.journal import Journal, describe_batch, describe_row
from kaname.training.optim import MovingAverage, Schedule, averaged, build_optimizer
from kaname.training.pace import Pace
from kaname.training.resume import Progress
from kaname.training.runtime import Runtime
from kaname.training.settings import RunOptions, TrainSettings
from kaname.training.signals import Interrupted, Signals
from kaname.training.task import Task
from kaname.training.update import Update, means, scaled
from kaname.training.validation import Validation
from kaname.types import Batch


class Run:
    """One training run. ``fit`` is the entry; the methods below it are its steps in their order."""

    def __init__(self, task: Task, settings: TrainSettings, options: RunOptions) -> None:
        self.task, self.settings, self.options = task, settings, options
        if len(task.train) == 0:
            raise InputError("the training set is empty", remedy="check --data and --limit")
        self.runtime = Runtime(settings, partly_frozen=task.before_epoch is not None)
        layout = getattr(task.model, "memory_format", torch.channels_last)
        self.raw = task.model.to(self.runtime.device, memory_format=layout)  # type: ignore[call-overload]
        with contextlib.ExitStack() as resources:
            if not options.dry_run:
                first, of_first = self.runtime.is_first, self.runtime.of_first
                resources.enter_context(locked_by_first(options.out_dir, first=first, of_first=of_first))
            self._prepare()
            self.resources = resources.pop_all()

    def _prepare(self) -> None:
        task, settings, runtime = self.task, self.settings, self.runtime
        self.start = resume.starting_point(task, self.options, settings)
        if self.start.weights is not None:
            checkpoint.load_weights(self.raw, self.start.weights)
        where = f"{runtime.device} in {runtime.precision}, {runtime.world} process(es), into {self.options.out_dir}"
        self.introduction = run_folder.introduction(task, settings, where)
        self.validation = Validation(task, self.raw, runtime, settings.epochs)
        self.model = runtime.setup_model(self.raw)
        optimizer = build_optimizer(self.raw.parameters(), settings)
        self.per_epoch = math.ceil(len(task.train) / settings.batch_size)
        self.schedule = Schedule(settings, math.ceil(self.per_epoch / settings.accumulate))
        self.average = MovingAverage(self.raw, settings.ema) if settings.ema > 0 else None
        parts = (optimizer, self.schedule, self.average)
        self.progress = resume.restore(self.start, *parts, task=task, settings=settings)
        self.optimizer = runtime.setup_optimizer(optimizer)
        if self.start.exact and self.start.training is not None:
            runtime.load_scaler(self.start.training["scaler"])
        self.update = Update(task.step, self.model, self.raw, runtime, settings.clip)
        parts = (self.progress, self.optimizer, self.schedule, self.average)
        state = functools.partial(resume.state, *parts, task=task, settings=settings, scaler=runtime.scaler)
        place = (self.options.out_dir, task, self.raw, self.progress, state)
        self.folder = run_folder.RunFolder(*place, first=runtime.is_first, sharded=runtime.sharded)
        self.whole_in_forward, self.stop = not faults.moves_in_forward(self.raw), 0
        self.journal = Journal(None, speak=False)
        self.val_batches: Iterator[Batch] | None = None

    def fit(self) -> Progress:
        """Train to the end, to an early stop or to a signal; returns where the run stands."""
        dry = self.options.dry_run
        keep = (lambda: "") if dry else self.folder.keep
        explained = faults.explained(self.settings, keep, lambda text: self.journal.note(text))  # noqa: PLW0108
        trains = not (dry or self.start.finished)
        with self.resources, Signals() if trains else contextlib.nullcontext() as signals, explained:
            if signals is not None:
                self._train(signals)
            elif dry:
                self._dry_run()
            elif self.runtime.is_first:
                print("\n".join(self.start.notes))
            self.runtime.close()
        return self.progress

    def _train(self, signals: Signals) -> None:
        self.journal = self.folder.open(self.start, self.settings)
        for line in (*self.start.notes, *self.introduction):
            self.journal.say(line)
        self.pace = Pace(self.settings.epochs, self.per_epoch, self._done())
        stream = self._stream(self.task.train, self.progress.batch)
        while self.progress.epoch < self.settings.epochs and not self._stopped_early():
            self._train_epoch(stream, signals)
            self._finish_epoch(signals)
        self.progress.finished = True
        self.folder.save_last()
        self.journal.close()

    def _train_epoch(self, stream: Iterator[Batch], signals: Signals) -> None:
        progress, self.started = self.progress, time.monotonic()
        if self.task.before_epoch is not None:
            self.task.before_epoch(progress.drawn)
        self.model.train()
        title = f"epoch {progress.epoch + 1}/{self.settings.epochs}"
        with Bar(title, self.per_epoch - progress.batch, speak=self.runtime.is_first) as bar:
            while progress.batch < self.per_epoch:
                count = min(self.settings.accumulate, self.per_epoch - progress.batch)
                sums = self._optimise(stream, count, signals)
                progress.advance(sums, count)
                self.folder.whole = True
                left = self.pace.left(self._done())
                rest = "" if left is None else f", the run about {duration(left)}"
                bar.advance(count, f"loss {means(sums)['loss']:.4g}{rest}")
                if estimate := self.pace.estimate(self._done()):
                    self.journal.say(estimate, bar.say)
                if self.stop:
                    self._interrupt()
                if self.due:
                    self.folder.save_last()

    def _optimise(self, stream: Iterator[Batch], count: int, signals: Signals) -> dict[str, float]:
        """One optimiser step over ``count`` batches; returns the sums over all processes."""
        progress, seed = self.progress, self.settings.seed
        self.schedule.apply(self.optimizer, progress.step)
        draw = generator(seed, progress.stage, progress.step, f"step of process {self.runtime.rank}")
        torch.manual_seed(int(draw.integers(2**62)))
        self.optimizer.zero_grad(set_to_none=True)
        sums = self._agree(self.update.backward(self._batches(stream), count), signals)
        if not math.isfinite(means(sums)["loss"]):
            self._refuse("the loss", faults.not_finite(self.task.train, self.update.not_finite(), progress.drawn))
        self.folder.whole = False
        if not self.update.apply(self.optimizer, sums):
            self._refuse("a gradient")
        if self.average is not None:
            self.average.update()
        return sums

    def _batches(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        for batch in stream:
            self.folder.whole = self.whole_in_forward
            yield batch

    def _agree(self, total: dict[str, torch.Tensor], signals: Signals) -> dict[str, float]:
        """Sums over all processes. What one of them finds holds for all: a signal stops them at the same place, and a
        state that is due is saved by all of them, whose clocks differ: spread weights are gathered together."""
        own = {"signal": signals.caught, "due": self.folder.is_due(*self.settings.saving())}
        sums = self.runtime.sums({**total, **{name: torch.tensor(float(value)) for name, value in own.items()}})
        self.stop = (signals.caught or int(signal.SIGTERM)) if sums.pop("signal") else 0
        self.due = sums.pop("due") > 0
        return sums

    def _finish_epoch(self, signals: Signals) -> None:
        progress, task = self.progress, self.task
        row: dict[str, float | int] = {"epoch": progress.epoch + 1, "step": progress.step}
        row["lr"] = self.schedule.rate(progress.step - 1)
        row |= {f"train_{name}": value for name, value in means(progress.sums).items()}
        with averaged(self.average):
            self.folder.whole = self.average is None
            validated = self._validate(signals)
            self.folder.whole = False
            better = validated is not None and self.validation.keep(row := row | validated, progress, self.folder)
        if validated is None:
            self._interrupt()
        self.schedule.observe(float(row.get("val_loss", row["train_loss"])), progress.step)
        row["seconds"] = round(time.monotonic() - self.started, 3)
        self.journal.record(row)
        left = self.pace.left(self._done()) if progress.epoch < self.settings.epochs else None
        self.journal.say(describe_row(row, self.settings.epochs, better=better, left=left))
        if self.runtime.is_first and task.after_epoch is not None:
            with writing(self.options.out_dir):
                task.after_epoch(self.journal.rows)
        self.folder.save_last()
        if self.stop:
            self._interrupt()

    def _validate(self, signals: Signals) -> dict[str, float] | None:
        """The figures of the epoch, or ``None`` where a signal came first."""
        self.model.eval()
        row: dict[str, float] = {}
        if self.task.val is not None and len(self.task.val):
            if self.val_batches is None:
                self.val_batches = self._stream(self.task.val, training=False)
            count = math.ceil(len(self.task.val) / self.settings.batch_size)
            total = self.validation.sums(self.val_batches, count, self.update, lambda: signals.caught)
            if not total:
                self.stop = signals.caught
                return None
            row = self.validation.figures(self._agree(total, signals))
            if not math.isfinite(row["val_loss"]):
                self._refuse("the validation loss")
        return self.validation.add_figures(row, self.progress.epoch + 1)

    def _stream(self, samples: Samples, batch: int = 0, *, training: bool = True) -> Iterator[Batch]:
        """The batches of this process from batch ``batch`` of the running epoch on, without end."""
        settings, runtime = self.settings, self.runtime
        place = ((self.progress.drawn, batch), runtime.rank, runtime.world, training)
        weights = self.task.sample_weights if training else None
        batches = Batches(len(samples), settings.batch_size, settings.seed, *place, weights)
        stream = loader(samples, batches, num_workers=settings.num_workers, pin_memory=runtime.device.type == "cuda")
        runtime.leave_cores_to(stream.num_workers)
        opened = open_stream(stream)
        self.resources.callback(close_stream, opened)
        return (to_batch(collated, runtime.device) for collated in opened)

    def _refuse(self, what: str, why: str = "") -> NoReturn:
        self.folder.whole = False  # the weights may be on their way to infinity
        faults.refuse(what, self.progress.epoch + 1, self.progress.step + 1, why)

    def _done(self) -> int:
        return self.progress.epoch * self.per_epoch + self.progress.batch

    def _stopped_early(self) -> bool:
        patience = self.settings.early_stop
        if stops := 0 < patience <= self.progress.waited:
            self.journal.say(f"stopped early: no better {self.task.score[0]} for {patience} epochs")
        return stops

    def _interrupt(self) -> NoReturn:
        self.folder.save_last()
        self.journal.close()
        said = f"interrupted; state saved in {self.folder.last}, continue with --resume"
        raise Interrupted(self.stop, said if self.runtime.is_first else "")

    def _dry_run(self) -> None:
        batch = next(self._stream(self.task.train))
        output = self.update.step(batch)
        self.runtime.backward(scaled(output, self.update.shares_of(output, ())))
        if self.runtime.is_first:
            print("\n".join([*self.start.notes, describe_batch(batch, output)]))
