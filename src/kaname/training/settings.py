"""How the loop trains: the section ``train`` of every recipe's configuration. No torch here."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kaname.errors import InputError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
SAVE_EVERY = re.compile(r"^(\d+(?:\.\d+)?)\s*(m|min|minutes?|steps?)?$")


@dataclass(frozen=True)
class TrainSettings:
    """The loop's settings; a recipe changes defaults with ``dataclasses.replace`` or in its YAML.

    Attributes:
        epochs: passes over the training set; of a further stage: passes of that stage.
        batch_size: samples an optimiser micro-step sees over all processes together.
        accumulate: micro-steps summed into one optimiser step.
        optimizer: ``adam``, ``adamw`` or ``sgd`` (momentum 0.9).
        lr: peak learning rate.
        weight_decay: decoupled for ``adamw``, L2 for the others.
        schedule: ``cosine`` to ``lr * final_lr``; ``step`` multiplies by ``step_factor`` at ``step_epochs``;
            ``plateau`` multiplies by ``plateau_factor`` after ``plateau_patience`` epochs without a better
            validation loss; ``constant``.
        warmup_epochs: linear rise of the learning rate at the start, in epochs (fractions allowed).
        final_lr: share of ``lr`` at the end of ``cosine``.
        step_epochs: epochs after which ``step`` lowers the rate.
        step_factor: factor of each step.
        plateau_patience: epochs without a better validation loss after which ``plateau`` lowers the rate.
        plateau_factor: factor of each lowering.
        clip: largest gradient norm; 0 switches clipping off.
        ema: decay of the weights' exponential moving average, which is then what is validated and kept; 0 = off.
        early_stop: epochs without a better score after which training ends; 0 = never.
        precision: ``auto`` is bf16 where the device multiplies it in hardware, else fp32.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        devices: processes on this machine (one per device).
        strategy: of several processes: ``ddp`` (each holds all weights) or ``fsdp`` (each holds a part of them).
        seed: of weights, order and augmentation.
        num_workers: loader processes; -1 chooses.
        limit: use only the first N samples of each set; 0 = all.
        cache_views: of a frozen backbone: train on so many stored augmented views of each image instead of augmenting
            anew in every epoch; 0 augments anew. Features of unaugmented images are always stored.
        cache_budget: gigabytes that stored features may take (folder: ``$KANAME_CACHE``); 0 stores nothing.
        save_every: also save ``last.pt`` inside an epoch: ``"10"`` or ``"10m"`` minutes, ``"200steps"``; "" = no.
    """

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
    save_every: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "devices"):
            require(getattr(self, name) >= 1, f"train.{name} must be at least 1, got {getattr(self, name)}")
        for name in (
            "weight_decay",
            "warmup_epochs",
            "final_lr",
            "clip",
            "early_stop",
            "limit",
            "cache_views",
            "cache_budget",
            "seed",
            "plateau_patience",
        ):
            value = getattr(self, name)
            require(math.isfinite(value) and value >= 0, f"train.{name} must not be negative, got {value}")
        require(math.isfinite(self.lr) and self.lr > 0, f"train.lr must be positive, got {self.lr}")
        require(self.final_lr <= 1, f"train.final_lr is a share of train.lr and at most 1, got {self.final_lr}")
        require(
            all(epoch > 0 for epoch in self.step_epochs), f"train.step_epochs must be positive, got {self.step_epochs}"
        )
        require(0 <= self.ema < 1, f"train.ema must lie in 0..1 (1 excluded), got {self.ema}")
        require(self.num_workers >= -1, f"train.num_workers must be at least -1, got {self.num_workers}")
        for name in ("step_factor", "plateau_factor"):
            require(0 < getattr(self, name) <= 1, f"train.{name} must lie in 0..1, got {getattr(self, name)}")
        require(
            bool(re.match(r"^(auto|cpu|mps|cuda(:\d+)?)$", self.device)),
            f"train.device is {self.device!r}",
            "use auto, cpu, cuda, cuda:N or mps",
        )
        self.saving()

    def saving(self) -> tuple[float, int]:
        """``save_every`` as (seconds, optimiser steps); 0 stands for never."""
        if not self.save_every:
            return 0.0, 0
        match = SAVE_EVERY.match(self.save_every.strip())
        if match is None or float(match[1]) <= 0:
            raise InputError(
                f"train.save_every is {self.save_every!r}",
                remedy="write minutes (10 or 10m) or optimiser steps (200steps)",
            )
        if (match[2] or "").startswith("step"):
            return 0.0, max(1, int(float(match[1])))
        return 60 * float(match[1]), 0


@dataclass(frozen=True)
class RunOptions:
    """What belongs to this one call of ``train`` and not to the configuration.

    Attributes:
        out_dir: folder of the run.
        resume: checkpoint to go on from; ``"auto"`` is the newest whole one in ``out_dir``.
        init: checkpoint whose weights alone are taken.
        dry_run: build everything, put one batch through, print shapes, write nothing.
        command: the command line, for the report.
        logger: where figures go beside ``log.csv``: ``tensorboard``, ``wandb`` (an extra) or ``none``.
        log_dir: folder of the logger's files; default: ``tb`` in ``out_dir``.
    """

    out_dir: Path
    resume: str | None = None
    init: Path | None = None
    dry_run: bool = False
    command: str = ""
    logger: Literal["tensorboard", "wandb", "none"] = "tensorboard"
    log_dir: Path | None = None


def require(condition: bool, reason: str, remedy: str | None = None) -> None:
    """Raise :class:`InputError` unless ``condition`` holds."""
    if not condition:
        raise InputError(reason, remedy=remedy)
