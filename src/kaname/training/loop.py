"""The training loop: one for every recipe, on any number of processes, resumable at every optimiser step.

Order of an optimiser step: backward passes on sums over ``accumulate`` batches, one division by the weight summed
over batches and processes, clipping, the optimiser, the moving average. All randomness inside a step comes from
(seed, stage, step), so position and the tensors of the checkpoint are the whole state.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from typing import Any

import torch

from kaname.data.dataset import Batches, Position, close_stream, loader, open_stream, to_batch
from kaname.data.files import writing
from kaname.data.randomness import generator
from kaname.errors import InputError
from kaname.inference import checkpoint
from kaname.progress import Bar
from kaname.training import faults, resume, sharding
from kaname.training import run_folder as keeping
from kaname.training.journal import describe_batch, describe_row
from kaname.training.lock import locked_by_first
from kaname.training.optim import MovingAverage, Schedule, build_optimizer
from kaname.training.resume import Progress, starting_point
from kaname.training.runtime import Runtime
from kaname.training.settings import RunOptions, TrainSettings
from kaname.training.signals import Interrupted, Signals
from kaname.training.task import Task
from kaname.types import StepOutput

STAGE_EPOCHS = 1_000_000  # a stage's first epoch in the stream of samples, so that no stage repeats another's draws


class Run:
    """One training run. ``fit`` is the entry; the methods below it are its steps in their order."""

    def __init__(self, task: Task, settings: TrainSettings, options: RunOptions) -> None:
        self.task, self.settings, self.options = task, settings, options
        if len(task.train) == 0:
            raise InputError("the training set is empty", remedy="check --data and --limit")
        self.runtime = Runtime(settings, held_parts=task.before_epoch is not None)
        self.raw = task.model.to(self.runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        with contextlib.ExitStack() as held:
            if not options.dry_run:
                held.enter_context(locked_by_first(options.out_dir, self.runtime))
            self._prepare()
            self.held = held.pop_all()

    def _prepare(self) -> None:
        task, settings = self.task, self.settings
        self.start = starting_point(task, self.options, settings)
        if self.start.weights is not None:
            checkpoint.load_weights(self.raw, self.start.weights)
        self.model = self.runtime.setup_model(self.raw)
        optimizer = build_optimizer(self.raw.parameters(), settings)
        batches = Batches(len(task.train), settings.batch_size, seed=settings.seed, start=Position())
        self.per_epoch = batches.per_epoch
        self.schedule = Schedule(settings, math.ceil(self.per_epoch / settings.accumulate))
        self.average = MovingAverage(self.raw, settings.ema) if settings.ema > 0 else None
        self.progress = resume.restore(
            self.start, optimizer, self.schedule, self.average, task=task, settings=settings
        )  # fmt: skip
        self.optimizer = self.runtime.setup_optimizer(optimizer)
        if self.start.exact and self.start.training is not None:
            self.runtime.load_scaler(self.start.training["scaler"])
        self.saved_at, self.saved_step, self.stop = time.monotonic(), self.progress.step, 0
        # Whether weights, optimiser and position belong together: then a fault may save them.
        self.whole, self.whole_in_forward = True, not faults.moves_in_forward(self.raw)
        self.val_stream: Iterator[Any] | None = None

    def fit(self) -> Progress:
        """Train to the end, to an early stop or to a signal; returns where the run stands."""
        if self.options.dry_run or self.start.finished:
            with self.held, faults.explained(self):
                self._dry_run() if self.options.dry_run else keeping.say_finished(self)
            return self.progress
        with self.held, Signals() as signals, faults.explained(self):
            self.journal = keeping.open_folder(self)
            keeping.announce(self)
            stream = self._stream(Position(self.progress.epoch, self.progress.batch))
            while self.progress.epoch < self.settings.epochs and not self._stopped_early():
                self._train_epoch(stream, signals)
                self._finish_epoch(signals)
            self.progress.finished = True
            self.save_last()
            self.journal.close()
            self.runtime.close()
        return self.progress

    def _train_epoch(self, stream: Iterator[Any], signals: Signals) -> None:
        progress, self.started = self.progress, time.monotonic()
        if self.task.before_epoch is not None:
            self.task.before_epoch(progress.epoch + (progress.stage - 1) * STAGE_EPOCHS)
        self.model.train()
        title = f"epoch {progress.epoch + 1}/{self.settings.epochs}"
        with Bar(title, self.per_epoch - progress.batch, speak=self.runtime.is_first) as bar:
            while progress.batch < self.per_epoch:
                count = min(self.settings.accumulate, self.per_epoch - progress.batch)
                sums = self._optimise(stream, count, signals)
                for name, value in sums.items():
                    progress.sums[name] = progress.sums.get(name, 0.0) + value
                progress.batch += count
                progress.step += 1
                self.whole = True
                bar.advance(count, f"loss {sums['loss'] / max(sums['weight'], 1e-12):.4g}")
                if self.stop:
                    self._interrupt()
                self._save_if_due()

    def _optimise(self, stream: Iterator[Any], count: int, signals: Signals) -> dict[str, float]:
        """One optimiser step over ``count`` batches; returns the sums over all processes."""
        progress, seed = self.progress, self.settings.seed
        self.schedule.apply(self.optimizer, progress.step)
        draw = generator(seed, progress.stage, progress.step, f"step of process {self.runtime.rank}")
        torch.manual_seed(int(draw.integers(2**62)))
        self.optimizer.zero_grad(set_to_none=True)
        total: dict[str, torch.Tensor] = {}
        seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        scale = 1.0
        for position in range(count):
            batch = to_batch(next(stream), self.runtime.device)
            self.whole = self.whole_in_forward
            output = self._counted(self.task.step(self.model, batch), batch.index)
            scale = self.runtime.loss_scale(output.weight) if position == 0 else scale
            self.runtime.backward(output.loss_sum * scale, self.model, last=position == count - 1)
            self._add(total, output)
            seen.append((output.loss_sum.detach(), batch.index))
        sums = self._agree(total, signals)
        if not math.isfinite(sums["loss"]):
            bad = [number for loss, index in seen if not torch.isfinite(loss) for number in index.tolist()]
            epoch = progress.epoch + (progress.stage - 1) * STAGE_EPOCHS
            faults.refuse(self, "the loss", faults.not_finite(self.task.train, bad, epoch))
        self.whole = False
        self._apply_gradients(sums["weight"] * scale)
        return sums

    def _apply_gradients(self, weight: float) -> None:
        gradients = [value.grad for value in self.raw.parameters() if value.grad is not None]
        if weight > 0 and gradients:
            # Processes averaged their gradients of sums; world / weight turns that into the mean over everything.
            torch._foreach_mul_(gradients, self.runtime.world / weight)
            if self.settings.clip > 0:
                self.runtime.clip(self.model, self.optimizer, self.settings.clip)
            norms = torch.stack(sharding.gathered(torch._foreach_norm(gradients)))
            if self.runtime.precision != "fp16" and not torch.isfinite(norms).all():
                faults.refuse(self, "a gradient")  # the scaler of fp16 skips such steps itself
            self.optimizer.step()
        if self.average is not None:
            self.average.update()

    def _counted(self, output: StepOutput, index: torch.Tensor) -> StepOutput:
        """A process without a share of the batch runs one sample along that weighs nothing."""
        if self.runtime.world == 1 or int(index[0]) >= 0:
            return output
        logs = {name: value * 0 for name, value in output.logs.items()}
        return StepOutput(output.loss_sum * 0, output.weight * 0, logs)

    def _add(self, total: dict[str, torch.Tensor], output: StepOutput) -> None:
        for name, value in {"loss": output.loss_sum, "weight": output.weight, **output.logs}.items():
            value = value.detach().to(self.runtime.wide)
            total[name] = total[name] + value if name in total else value

    def _agree(self, total: dict[str, torch.Tensor], signals: Signals) -> dict[str, float]:
        """Sums over all processes; a signal that one of them caught stops them all at the same place."""
        sums = self.runtime.sums({**total, "signal": torch.tensor(float(signals.caught))})
        self.stop = (signals.caught or int(signal.SIGTERM)) if sums.pop("signal") else 0
        return sums

    def _finish_epoch(self, signals: Signals) -> None:
        progress, weight = self.progress, max(self.progress.sums.get("weight", 0.0), 1e-12)
        row: dict[str, float | int] = {"epoch": progress.epoch + 1, "step": progress.step}
        row["lr"] = self.schedule.rate(progress.step - 1)
        row |= {f"train_{name}": value / weight for name, value in progress.sums.items() if name != "weight"}
        self._swap()
        self.whole = self.average is None
        figures = self._validate(signals)
        self.whole = False
        if figures is not None:
            row |= figures
            better = progress.judge(row.get(self.task.score[0]), self.task.score[1], row.get("val_loss"))
            if better:
                self._save(self.task.best_name, training=False)
        self._swap()
        if figures is None:
            self._interrupt()
        self.schedule.observe(float(row.get("val_loss", row["train_loss"])), progress.step)
        row["seconds"] = round(time.monotonic() - self.started, 3)
        self.journal.record(row)
        self.journal.say(describe_row(row, self.settings.epochs, better=better))
        if self.runtime.is_first and self.task.after_epoch is not None:
            with writing(self.options.out_dir):
                self.task.after_epoch(self.journal.rows)
        self.save_last()
        if self.stop:
            self._interrupt()

    def _validate(self, signals: Signals) -> dict[str, float] | None:
        """The figures of the validation set, or ``None`` where a signal came first."""
        self.model.eval()
        row: dict[str, float] = {}
        if self.task.val is not None and len(self.task.val):
            if self.val_stream is None:
                self.val_stream = self._stream(Position(), training=False)
            total: dict[str, torch.Tensor] = {}
            for _ in range(math.ceil(len(self.task.val) / self.settings.batch_size)):
                if self.runtime.world == 1 and signals.caught:
                    self.stop = signals.caught
                    return None
                batch = to_batch(next(self.val_stream), self.runtime.device)
                with self.runtime.no_gradients():
                    self._add(total, self._counted(self.task.step(self.model, batch), batch.index))
            sums = self._agree(total, signals)
            if not math.isfinite(sums["loss"]):
                faults.refuse(self, "the validation loss")
            weight = max(sums["weight"], 1e-12)
            logs = {name: sums[name] for name in sorted(sums) if name not in ("loss", "weight")}
            summarise = self.task.summarise or (lambda sums: {name: value / weight for name, value in sums.items()})
            figures = {"loss": sums["loss"] / weight, **summarise(logs)}
            row = {f"val_{name}": value for name, value in sorted(figures.items())}
        if self.task.figures is not None:
            row |= self.task.figures(self.raw)
        return self.runtime.of_first(row)

    def _swap(self) -> None:
        if self.average is not None:
            self.average.swap()

    def _stream(self, start: Position, *, training: bool = True) -> Iterator[Any]:
        samples = self.task.train if training else self.task.val
        assert samples is not None
        first = Position(start.epoch + (self.progress.stage - 1) * STAGE_EPOCHS, start.batch)
        batches = Batches(
            len(samples), self.settings.batch_size, seed=self.settings.seed, start=first, rank=self.runtime.rank,
            world=self.runtime.world, shuffle=training, weights=self.task.sample_weights if training else None,
        )  # fmt: skip
        pin = self.runtime.device.type == "cuda"
        stream = loader(samples, batches, num_workers=self.settings.num_workers, pin_memory=pin)
        self.runtime.leave_cores_to(stream.num_workers)
        opened = open_stream(stream)
        self.held.callback(close_stream, opened)
        return opened

    def _stopped_early(self) -> bool:
        patience = self.settings.early_stop
        if not (patience and self.progress.waited >= patience):
            return False
        self.journal.say(f"stopped early: no better {self.task.score[0]} for {patience} epochs")
        return True

    def _interrupt(self) -> None:
        self.save_last()
        self.journal.close()
        place = self.options.out_dir / self.task.last_name
        said = f"interrupted; state saved in {place}, go on with --resume" if self.runtime.is_first else ""
        raise Interrupted(self.stop, said)

    def _save_if_due(self) -> None:
        seconds, steps = self.settings.saving()
        due_time = seconds and time.monotonic() - self.saved_at >= seconds
        due_step = steps and self.progress.step - self.saved_step >= steps
        if due_time or due_step:
            self.save_last()

    def save_last(self) -> None:
        """Save the whole state under the task's last name; a run resumes from there."""
        self._save(self.task.last_name, training=True)
        self.saved_at, self.saved_step = time.monotonic(), self.progress.step

    def _save(self, name: str, *, training: bool) -> None:
        if not keeping.save(self, name, training=training):
            faults.refuse(self, "a weight")

    def _dry_run(self) -> None:
        batch = to_batch(next(self._stream(Position())), self.runtime.device)
        output = self.task.step(self.model, batch)
        self.runtime.backward(output.loss_sum, self.model, last=True)
        if self.runtime.is_first:
            print("\n".join([*self.start.notes, describe_batch(batch, output)]))
