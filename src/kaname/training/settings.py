"""How the loop trains: the section ``train`` of every recipe's configuration. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from kaname.errors import require, require_range

Precision = Literal["auto", "fp32", "bf16", "fp16"]
SAVE_EVERY = re.compile(r"^(\d+(?:\.\d+)?)\s*(m|min|minutes?|steps?)?$")


@dataclass(frozen=True)
class TrainSettings:
    """The loop's settings; a recipe changes defaults with ``dataclasses.replace`` or in its YAML.

    Attributes:
        epochs: passes over the training set; of a further stage: passes of that stage.
        batch_size: samples an optimiser micro-step sees over all processes together.
        accumulate: micro-steps summed into one optimiser step.
        optimizer: method of the steps: ``adam``, ``adamw`` or ``sgd`` (momentum 0.9).
        lr: peak learning rate.
        weight_decay: weight decay; decoupled for ``adamw``, L2 for the others.
        schedule: how the learning rate changes: ``cosine`` (to ``lr * final_lr``), ``step`` (by ``step_factor`` at
            ``step_epochs``), ``plateau`` (by ``plateau_factor`` after ``plateau_patience`` epochs) or ``constant``.
        warmup_epochs: linear rise of the learning rate at the start, in epochs (fractions allowed).
        final_lr: share of ``lr`` that is left at the end of ``cosine``.
        step_epochs: epochs after which ``step`` lowers the rate; by default two thirds and eight ninths of all.
        step_factor: factor on the learning rate at each of ``step_epochs``.
        plateau_patience: epochs without a better validation loss after which ``plateau`` lowers the rate.
        plateau_factor: factor on the learning rate each time that ``plateau`` lowers it.
        clip: largest gradient norm; 0 switches clipping off.
        ema: decay of the weights' exponential moving average, which is then what is validated and kept; 0 = off.
        early_stop: epochs without a better score after which training ends; 0 = never.
        precision: arithmetic of the network; ``auto`` is bf16 where the device is faster in it, else fp32.
        device: what computes: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        devices: processes on this machine (one per device).
        strategy: how several processes hold the weights: all of them in each (``ddp``), or a part in each (``fsdp``).
        seed: seed of weights, order and augmentation.
        num_workers: processes that read and change samples; -1 chooses.
        limit: use only the first N samples of each set; 0 = all.
        cache_views: with a frozen backbone, how many augmented views of each image are stored and trained on instead of
            augmenting anew in every epoch; 0 augments anew. Features of unaugmented images are always stored.
        cache_budget: gigabytes that stored features may take (folder: ``$KANAME_CACHE``); 0 stores nothing.
        amp: mixed precision; false is another spelling of ``precision: fp32``.
        logger: where figures go beside ``log.csv``: ``tensorboard``, ``wandb`` (an extra) or ``none``.
        log_dir: folder of the logger's files; default: ``tb`` in the run's folder.
        ckpt_dir: folder of the run where ``--out-dir`` does not name one.
        save_every: also save ``last.pt`` inside an epoch: ``"10"`` or ``"10m"`` minutes, ``"200steps"``; "" = no.
    """

    section_names: ClassVar[tuple[str, ...]] = ("train", "training")  # one is a recipe's, the other is understood too
    aliases: ClassVar[Mapping[str, str]] = {
        "optimizer.name": "optimizer", "optimizer.lr": "lr", "optimizer.weight_decay": "weight_decay",
        "scheduler.name": "schedule", "scheduler.warmup_epochs": "warmup_epochs", "grad_clip": "clip",
    }  # fmt: skip

    epochs: int = 50
    batch_size: int = 8
    accumulate: int = 1
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 3e-4
    weight_decay: float = 0.0
    schedule: Literal["cosine", "plateau", "step", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    final_lr: float = 0.0
    step_epochs: tuple[int, ...] = ()
    step_factor: float = 0.1
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    clip: float = 0.0
    ema: float = 0.0
    early_stop: int = 0
    precision: Precision = "auto"
    device: str = "auto"
    devices: int = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"
    seed: int = 0
    num_workers: int = -1
    limit: int = 0
    cache_views: int = 0
    cache_budget: float = 20.0
    amp: bool = True
    logger: Literal["tensorboard", "wandb", "none"] = "tensorboard"
    log_dir: Path | None = None
    ckpt_dir: Path | None = None
    save_every: str = ""

    def __post_init__(self) -> None:
        exact = self.amp or self.precision in ("auto", "fp32")
        require(exact, f"amp is false but precision is {self.precision}", "set one of them")
        object.__setattr__(self, "precision", self.precision if self.amp else "fp32")
        require_range(self, "epochs batch_size accumulate devices", 1)
        require_range(self, "early_stop limit cache_views seed plateau_patience weight_decay warmup_epochs", 0)
        require_range(self, "final_lr clip cache_budget", 0)
        require_range(self, "lr", 0, above=True)
        require(self.final_lr <= 1, f"final_lr is a share of lr and at most 1, got {self.final_lr}")
        require(min(self.step_epochs, default=1) > 0, f"step_epochs must be positive, got {self.step_epochs}")
        require(0 <= self.ema < 1, f"ema must lie in 0..1 (1 excluded), got {self.ema}")
        require_range(self, "num_workers", -1)
        require_range(self, "step_factor plateau_factor", 0, 1, above=True)
        known = re.match(r"^(auto|cpu|mps|cuda(:\d+)?)$", self.device)
        require(known is not None, f"device is {self.device!r}", "use auto, cpu, cuda, cuda:N or mps")
        self.saving()

    def saving(self) -> tuple[float, int]:
        """``save_every`` as (seconds, optimiser steps); 0 stands for never."""
        count, unit = match.groups() if (match := SAVE_EVERY.match(self.save_every.strip())) else ("0", "")
        fine = not self.save_every or float(count) > 0
        require(fine, f"save_every is {self.save_every!r}", "write minutes (10 or 10m) or optimiser steps (200steps)")
        return (0.0, max(1, int(float(count)))) if (unit or "").startswith("step") else (60 * float(count), 0)


@dataclass(frozen=True)
class RunOptions:
    """What belongs to this one call of ``train`` and not to the configuration.

    Attributes:
        out_dir: folder of the run.
        resume: checkpoint to go on from; ``"auto"`` is the newest whole one in ``out_dir``.
        init: checkpoint whose weights alone are taken.
        dry_run: build everything, put one batch through, print shapes, write nothing.
        command: the command line, for the report.
    """

    out_dir: Path
    resume: str | None = None
    init: Path | None = None
    dry_run: bool = False
    command: str = ""
