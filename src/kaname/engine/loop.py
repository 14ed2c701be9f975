"""The training loop: one for every recipe, on any number of processes, resumable at every optimiser step.

Order of an optimiser step: backward passes on sums over ``accumulate`` batches, one division by the weight summed
over batches and processes, clipping, the optimiser, the moving average. All randomness inside a step comes from
(seed, step), so position and the tensors of the checkpoint are the whole state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from kaname.data.dataset import Batches, Position, loader, to_batch
from kaname.engine import checkpoint
from kaname.engine.optim import MovingAverage, Schedule, build_optimizer
from kaname.engine.progress import Bar, Journal
from kaname.engine.resume import starting_point
from kaname.engine.runtime import Runtime
from kaname.engine.settings import RunOptions, TrainSettings
from kaname.engine.signals import Interrupted, Signals
from kaname.engine.task import Task
from kaname.errors import InputError
from kaname.types import StepOutput


@dataclass
class Progress:
    """Where a run stands: everything of its state that is no tensor."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    stage: int = 1
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    finished: bool = False
    sums: dict[str, float] = field(default_factory=dict)


class Run:
    """One training run. ``fit`` is the entry; the methods below it are its steps in their order."""

    def __init__(self, task: Task, settings: TrainSettings, options: RunOptions) -> None:
        self.task, self.settings, self.options = task, settings, options
        if len(task.train) == 0:
            raise InputError("the training set is empty", remedy="check --data and --limit")
        self.runtime = Runtime(settings)
        torch.manual_seed(settings.seed)
        self.raw = task.model.to(self.runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.progress = Progress()
        start = starting_point(task, options, settings)
        self.notes = start.notes
        if start.weights is not None:
            checkpoint.load_weights(self.raw, start.weights)
        self.average = MovingAverage(self.raw, settings.ema) if settings.ema > 0 else None
        self.model, self.optimizer = self.runtime.setup(
            self.raw, build_optimizer(self.raw.parameters(), settings)
        )
        batches = Batches(len(task.train), settings.batch_size, seed=settings.seed, start=Position())
        self.per_epoch = batches.per_epoch
        self.schedule = Schedule(settings, math.ceil(self.per_epoch / settings.accumulate))
        if start.training is not None:
            self._restore(start.training, exact=start.exact)
        self.saved_at, self.saved_step = time.monotonic(), self.progress.step

    def fit(self) -> Progress:
        """Train to the end, to an early stop or to a signal; returns where the run stands."""
        if self.options.dry_run:
            self._dry_run()
            return self.progress
        first = self.runtime.is_first
        if first:
            self.options.out_dir.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(self.options.out_dir if first else None, speak=first, kept_epochs=self.progress.epoch)
        for note in self.notes:
            self.journal.say(note)
        self._announce()
        with Signals() as signals:
            stream = self._stream(Position(self.progress.epoch, self.progress.batch))
            while self.progress.epoch < self.settings.epochs and not self._stopped_early():
                self._train_epoch(stream, signals)
                self._finish_epoch()
                if signals.caught:
                    self._interrupt(signals.caught)
        self.progress.finished = True
        self._save_last()
        self.journal.close()
        return self.progress

    def _train_epoch(self, stream: Iterator[Any], signals: Signals) -> None:
        progress, self.started = self.progress, time.monotonic()
        self.model.train()
        title = f"epoch {progress.epoch + 1}/{self.settings.epochs}"
        with Bar(title, self.per_epoch - progress.batch, speak=self.runtime.is_first) as bar:
            while progress.batch < self.per_epoch:
                count = min(self.settings.accumulate, self.per_epoch - progress.batch)
                sums = self._optimise(stream, count)
                for name, value in sums.items():
                    progress.sums[name] = progress.sums.get(name, 0.0) + value
                progress.batch += count
                progress.step += 1
                bar.advance(count, f"loss {sums['loss'] / max(sums['weight'], 1e-12):.4g}")
                if signals.caught and progress.batch < self.per_epoch:
                    self._interrupt(signals.caught)
                self._save_if_due()

    def _optimise(self, stream: Iterator[Any], count: int) -> dict[str, float]:
        """One optimiser step over ``count`` batches; returns the sums over all processes."""
        step = self.progress.step
        self.rate = self.schedule.apply(self.optimizer, step)
        torch.manual_seed((self.settings.seed * 1_000_003 + step) % 2**31 + self.runtime.rank)
        self.optimizer.zero_grad(set_to_none=True)
        total: dict[str, torch.Tensor] = {}
        scale = 1.0
        for position in range(count):
            batch = to_batch(next(stream), self.runtime.device)
            output = self._counted(self.task.step(self.model, batch), batch.index)
            if self.runtime.precision == "fp16" and position == 0:
                # A sum over a million cells overflows half precision: bring it to about a mean, by one power of two
                # that every process agrees on, and take it out again before the optimiser.
                weight = self.runtime.sum(output.weight.detach().float().clone())
                scale = 2.0 ** -round(math.log2(max(float(weight), 1.0)))
            self.runtime.backward(output.loss_sum * scale, self.model, last=position == count - 1)
            for name, value in {"loss": output.loss_sum, "weight": output.weight, **output.logs}.items():
                total[name] = total.get(name, 0) + value.detach().double()
        names = list(total)
        values = self.runtime.sum(torch.stack([total[name].to(self.runtime.device) for name in names])).tolist()
        sums = dict(zip(names, values, strict=True))
        self._refuse_nonfinite(sums["loss"], batch.index)
        self._apply_gradients(sums["weight"] * scale, step)
        return sums

    def _apply_gradients(self, weight: float, step: int) -> None:
        gradients = [value.grad for value in self.raw.parameters() if value.grad is not None]
        if weight > 0 and gradients:
            # Processes averaged their gradients of sums; world / weight turns that into the mean over everything.
            torch._foreach_mul_(gradients, self.runtime.world / weight)
            if self.settings.clip > 0:
                self.runtime.clip(self.model, self.optimizer, self.settings.clip)
            norms = torch.stack(torch._foreach_norm(gradients))
            if self.runtime.precision != "fp16":  # the scaler of fp16 skips such steps itself
                self._refuse_nonfinite(float(norms.sum()), None)
            self.optimizer.step()
        if self.average is not None:
            self.average.update(step)

    def _counted(self, output: StepOutput, index: torch.Tensor) -> StepOutput:
        """A process without a share of the batch runs one sample along that weighs nothing."""
        if int(index[0]) >= 0:
            return output
        logs = {name: value * 0 for name, value in output.logs.items()}
        return StepOutput(output.loss_sum * 0, output.weight * 0, logs)

    def _finish_epoch(self) -> None:
        progress = self.progress
        weight = max(progress.sums.get("weight", 0.0), 1e-12)
        row: dict[str, float | int] = {"epoch": progress.epoch + 1, "step": progress.step, "lr": self.rate}
        row |= {f"train_{name}": value / weight for name, value in progress.sums.items() if name != "weight"}
        if self.average is not None:
            self.average.swap()
        row |= self._validate()
        name, direction = self.task.score
        score = row.get(name)
        better = score is None or progress.best is None or (
            score < progress.best if direction == "min" else score > progress.best
        )
        progress.epoch, progress.batch, progress.sums = progress.epoch + 1, 0, {}
        progress.waited = 0 if better else progress.waited + 1
        if better:
            progress.best, progress.best_epoch = score, progress.epoch
            self._save(self.task.best_name, training=False)
        if self.average is not None:
            self.average.swap()
        self.schedule.observe(float(row.get("val_loss", row["train_loss"])))
        row["seconds"] = round(time.monotonic() - self.started, 3)
        self.journal.record(row)
        self.journal.say(describe_row(row, self.settings.epochs, better=better))
        if self.runtime.is_first and self.task.after_epoch is not None:
            self.task.after_epoch(self.journal.rows)
        self._save_last()

    def _validate(self) -> dict[str, float]:
        self.model.eval()
        row: dict[str, float] = {}
        if self.task.val is not None and len(self.task.val):
            total: dict[str, float] = {}
            batches = Batches(
                len(self.task.val), self.settings.batch_size, seed=0, start=Position(), rank=self.runtime.rank,
                world=self.runtime.world, shuffle=False,
            )  # fmt: skip
            stream = iter(loader(self.task.val, batches, num_workers=0))
            for _ in range(batches.per_epoch):
                batch = to_batch(next(stream), self.runtime.device)
                with torch.inference_mode():
                    output = self._counted(self.task.step(self.model, batch), batch.index)
                for name, value in {"loss": output.loss_sum, "weight": output.weight, **output.logs}.items():
                    total[name] = total.get(name, 0.0) + float(value)
            names = sorted(total)
            sums = self.runtime.sum(torch.tensor([total[name] for name in names], dtype=torch.float64)).tolist()
            values = dict(zip(names, sums, strict=True))
            row = {f"val_{name}": values[name] / max(values["weight"], 1e-12) for name in names if name != "weight"}
        if self.task.figures is not None:
            row |= self.task.figures(self.raw)
        return row

    def _stream(self, start: Position) -> Iterator[Any]:
        batches = Batches(
            len(self.task.train), self.settings.batch_size, seed=self.settings.seed, start=start,
            rank=self.runtime.rank, world=self.runtime.world,
        )  # fmt: skip
        pin = self.runtime.device.type == "cuda"
        return iter(loader(self.task.train, batches, num_workers=self.settings.num_workers, pin_memory=pin))

    def _refuse_nonfinite(self, value: float, index: torch.Tensor | None) -> None:
        if math.isfinite(value):
            return
        what = "a gradient" if index is None else f"the loss (samples {index.tolist()[:8]})"
        last = self.options.out_dir / self.task.last_name
        kept = f"the last good state is {last}" if last.is_file() else "nothing was saved yet"
        raise InputError(
            f"{what} is not finite in epoch {self.progress.epoch + 1}, step {self.progress.step + 1}",
            remedy=f"lower --lr, set train.clip=1 or check the data; {kept}",
        )

    def _stopped_early(self) -> bool:
        patience = self.settings.early_stop
        if not (patience and self.progress.waited >= patience):
            return False
        self.journal.say(f"stopped early: no better {self.task.score[0]} for {patience} epochs")
        return True

    def _interrupt(self, number: int) -> None:
        self._save_last()
        self.journal.close()
        place = self.options.out_dir / self.task.last_name
        raise Interrupted(number, f"interrupted; state saved in {place}, go on with --resume")

    def _save_if_due(self) -> None:
        seconds, steps = self.settings.saving()
        due_time = seconds and time.monotonic() - self.saved_at >= seconds
        due_step = steps and self.progress.step - self.saved_step >= steps
        if (due_time or due_step) and self.progress.batch < self.per_epoch:
            self._save_last()

    def _save_last(self) -> None:
        self._save(self.task.last_name, training=True)
        self.saved_at, self.saved_step = time.monotonic(), self.progress.step

    def _save(self, name: str, *, training: bool) -> None:
        if not self.runtime.is_first:
            return
        state: Mapping[str, Any] | None = None
        if training:
            state = {
                "progress": dict(self.progress.__dict__),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state(),
                "average": None if self.average is None else self.average.weights,
                "epochs": self.settings.epochs,
            }
        card = {**self.task.card, "recipe": self.task.recipe, "config": self.task.config}
        card["trained"] = {"epoch": self.progress.epoch, "step": self.progress.step, "stage": self.progress.stage}
        weights = {key: value.detach().cpu().contiguous() for key, value in self.raw.state_dict().items()}
        checkpoint.save(self.options.out_dir / name, card=card, model=weights, training=state)

    def _restore(self, training: Mapping[str, Any], *, exact: bool) -> None:
        self.optimizer.load_state_dict(training["optimizer"])
        if self.average is not None and training["average"] is not None:
            self.average.load(training["average"])
        saved = Progress(**training["progress"])
        if exact:
            self.progress = saved
            self.schedule.load(training["schedule"])
        else:
            self.progress = Progress(stage=saved.stage + 1)

    def _announce(self) -> None:
        trainable = sum(value.numel() for value in self.raw.parameters() if value.requires_grad)
        whole = sum(value.numel() for value in self.raw.parameters())
        self.journal.say(
            f"{self.task.recipe}: {len(self.task.train)} training samples, {len(self.task.val or ())} validation samples, "
            f"{trainable:,} of {whole:,} parameters train, {self.runtime.device} in {self.runtime.precision}, "
            f"{self.runtime.world} process(es), into {self.options.out_dir}"
        )

    def _dry_run(self) -> None:
        stream = self._stream(Position())
        batch = to_batch(next(stream), self.runtime.device)
        output = self.task.step(self.model, batch)
        self.runtime.backward(output.loss_sum, self.model, last=True)
        print(f"images {tuple(batch.images.shape)} {batch.images.dtype}")
        for name, value in batch.targets.items():
            print(f"{name} {tuple(value.shape)} {value.dtype}")
        print(f"loss {output.loss_sum.item() / max(output.weight.item(), 1e-12):.6g} over weight {output.weight.item():g}")
        print("dry run: one batch forward and backward, nothing written")


def describe_row(row: Mapping[str, float | int], epochs: int, *, better: bool) -> str:
    """An epoch's figures as one line."""
    figures = ", ".join(f"{name} {value:.5g}" for name, value in row.items() if name not in ("epoch", "step", "seconds"))
    return f"epoch {row['epoch']}/{epochs}: {figures}, {row['seconds']:.1f} s{' (best)' if better else ''}"
