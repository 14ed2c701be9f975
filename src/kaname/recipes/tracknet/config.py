"""The configuration of ``tracknet``: three groups of keys, ``data``, ``model`` and ``training``, and ``detect``.

Sizes are ``[width, height]``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from kaname.errors import InputError
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.recipes.tracknet.keys import own_names
from kaname.training.settings import Precision, TrainSettings, require

FREEZE = re.compile(r"^(?:all|none|epochs:\s*([1-9]\d*))$")
SMALL = "small"


@dataclass(frozen=True)
class SplitSettings:
    """Which games train, choose the weights and test; names (``game3``) or numbers (3).

    Attributes:
        train_games: default: games 1 to 7 where all ten of the published set are there, else all that are not test
            games.
        val_games: default: the last game of ``train_games``, which then does not train.
        test_games: default: games 8 to 10 of the published set, else the last game where there are three or more.
    """

    train_games: tuple[int | str, ...] | None = None
    val_games: tuple[int | str, ...] | None = None
    test_games: tuple[int | str, ...] | None = None


@dataclass(frozen=True)
class SequenceSettings:
    """Attributes:
    length: consecutive frames in a window; 1 is the single-image mode.
    stride: frames from the start of one training window to the next.
    """

    length: int = 1
    stride: int = 1

    def __post_init__(self) -> None:
        require(1 <= self.length <= 64, f"data.sequence.length must lie in 1..64, got {self.length}")
        require(self.stride >= 1, f"data.sequence.stride must be at least 1, got {self.stride}")


@dataclass(frozen=True)
class DataSettings:
    """Frames and labels, and the random changes of a training window; points and heatmaps move along.

    Attributes:
        root: folder with ``game<N>/Clip<M>/NNNN.jpg`` and ``Label.csv``.
        split: by game; a split by frames would leak.
        resize: what the network sees; frames of another shape are letterboxed.
        normalize: mean and deviation of the backbone's own processor, of ImageNet, or ``none`` (0..1).
        flip_prob: share of the windows that are mirrored.
        crop: smallest side, as a share of the frame's, of the centred window that is cut out; 1 cuts nothing.
        brightness: factor drawn from 1 - b .. 1 + b.
        contrast: factor drawn from 1 - c .. 1 + c.
        sequence: windows of frames.
        absent: ``mask``: frames without a ball (visibility 0) leave the loss and the distances; ``negative``: an empty
            heatmap is their target, which is the only way to learn "no ball".
        occluded_absent: count visibility 3 (occluded) as no ball, in training and in scoring.
        reduced_decode: let JPEG files be decoded at half or a quarter of their size where that is enough.
    """

    root: Path = Path("data/tracknet")
    split: SplitSettings = field(default_factory=SplitSettings)
    resize: tuple[int, int] = (512, 288)
    normalize: Literal["backbone", "imagenet", "none"] = "backbone"
    flip_prob: float = 0.5
    crop: float = 1.0
    brightness: float = 0.2
    contrast: float = 0.2
    sequence: SequenceSettings = field(default_factory=SequenceSettings)
    absent: Literal["mask", "negative"] = "mask"
    occluded_absent: bool = False
    reduced_decode: bool = True

    def __post_init__(self) -> None:
        for name in ("flip_prob", "brightness", "contrast"):
            require(0 <= getattr(self, name) <= 1, f"data.{name} must lie in 0..1, got {getattr(self, name)}")
        require(0.1 <= self.crop <= 1, f"data.crop must lie in 0.1..1, got {self.crop}")
        require(all(16 <= side <= 4096 for side in self.resize), f"data.resize is {list(self.resize)}", "16..4096 px")

    @property
    def augments(self) -> bool:
        """Whether a training window changes from epoch to epoch."""
        return bool(self.flip_prob or self.crop < 1 or self.brightness or self.contrast)


@dataclass(frozen=True)
class DecoderSettings:
    """Attributes:
    name: ``upsample`` (stages), or ``linear`` (1x1 convolutions, for backbones that are fine already).
    channels: ``C``, the backbone's own width, then those after each stage.
    upsample: the factor of each stage, 1 or 2.
    mode: ``conv_transpose``, or ``interpolate`` and a convolution.
    """

    name: Literal["upsample", "linear"] = "upsample"
    channels: tuple[int | str, ...] = ("C", 256, 128, 64)
    upsample: tuple[int, ...] = (2, 2, 2)
    mode: Literal["conv_transpose", "interpolate"] = "interpolate"


@dataclass(frozen=True)
class HeatmapSettings:
    """Attributes:
    size: ``[width, height]`` in cells; must be what the decoder gives.
    sigma: deviation of the ball's Gaussian in cells.
    """

    size: tuple[int, int] = (256, 144)
    sigma: float = 2.0

    def __post_init__(self) -> None:
        require(math.isfinite(self.sigma) and self.sigma > 0, f"model.heatmap.sigma must be positive, got {self.sigma}")
        require(min(self.size) >= 1, f"model.heatmap.size must be positive, got {list(self.size)}")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters in the attention of a frozen ViT.

    Attributes:
        rank: of the adapters; 0 adds none.
        alpha: ``alpha`` / ``rank`` scales what they add.
    """

    rank: int = 0
    alpha: float = 16.0

    def __post_init__(self) -> None:
        require(self.rank >= 0, f"model.lora.rank must not be negative, got {self.rank}")


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        pretrained_model_name: a ViT of Hugging Face by hub name or folder, ``timm:NAME``, or ``small`` (U-Net).
        pretrained: start the backbone from its weights.
        decoder: from the backbone's map to heatmaps.
        heatmap: the target.
        fusion: several frames as channels of one input (``stack``), or each alone through the backbone and their maps
            fused by a 1x1 convolution (``concat``) or by attention along time (``attention``).
        freeze: ``all``, ``none``, or ``{epochs: N}`` (held for the first N epochs). Random weights always train.
        lora: adapters of a frozen backbone.
        gradient_checkpointing: less memory, more time.
    """

    pretrained_model_name: str = "facebook/dinov3-vitb16-pretrain-lvd1689m"
    pretrained: bool = True
    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    heatmap: HeatmapSettings = field(default_factory=HeatmapSettings)
    fusion: Literal["stack", "concat", "attention"] = "concat"
    freeze: Any = "all"
    lora: LoraSettings = field(default_factory=LoraSettings)
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        epochs = self.freeze.get("epochs") if isinstance(self.freeze, dict) and len(self.freeze) == 1 else None
        known = isinstance(self.freeze, str) and FREEZE.match(self.freeze)
        require(
            bool(known) or (type(epochs) is int and epochs > 0),
            f"model.freeze is {self.freeze!r}",
            "write all, none or {epochs: 10}",
        )
        require(not (self.lora.rank and self.freeze == "none"), "LoRA is for a frozen backbone", "set model.freeze=all")

    @property
    def held_epochs(self) -> int:
        """Epochs for which the backbone is held before it trains; 0 where it is not."""
        if isinstance(self.freeze, dict):
            return int(self.freeze["epochs"])
        match = FREEZE.match(self.freeze)
        return int(match[1]) if match and match[1] else 0


@dataclass(frozen=True)
class OptimizerSettings:
    """Attributes:
    name: ``adamw``, ``adam`` or ``sgd``.
    lr: peak learning rate.
    weight_decay: weight decay.
    """

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = 5e-4
    weight_decay: float = 0.05


@dataclass(frozen=True)
class SchedulerSettings:
    """Attributes:
    name: of the learning rate.
    warmup_epochs: of linear rise at the start.
    """

    name: Literal["cosine", "plateau", "step", "constant"] = "cosine"
    warmup_epochs: float = 5.0


@dataclass(frozen=True)
class WeightSettings:
    """A number for each visibility of a frame's label; the visibility's own number is another name of the key.

    Attributes:
        absent: of visibility 0, no ball.
        easy: of visibility 1.
        hard: of visibility 2.
        occluded: of visibility 3.
    """

    aliases: ClassVar[Mapping[str, str]] = {"0": "absent", "1": "easy", "2": "hard", "3": "occluded"}

    absent: float = 1.0
    easy: float = 1.0
    hard: float = 1.0
    occluded: float = 1.0

    def __post_init__(self) -> None:
        for name, value in zip(("absent", "easy", "hard", "occluded"), self.values, strict=True):
            require(math.isfinite(value) and value >= 0, f"the weight {name} must not be negative, got {value}")

    @property
    def values(self) -> tuple[float, float, float, float]:
        """In the order of the visibilities 0..3."""
        return self.absent, self.easy, self.hard, self.occluded


@dataclass(frozen=True)
class LossSettings:
    """Attributes:
    name: ``mse`` (masked mean square on the sigmoid), ``focal`` (CenterNet's) or ``bce``.
    visibility_weights: factors of the frames' losses.
    """

    name: Literal["mse", "focal", "bce"] = "focal"
    visibility_weights: WeightSettings = field(default_factory=WeightSettings)


@dataclass(frozen=True)
class TrainingSettings:
    """How it trains. Attributes that are not explained here are those of ``kaname.training.settings.TrainSettings``.

    Attributes:
        amp: bf16 where the device multiplies it in hardware; false is fp32. ``precision`` says it exactly.
        grad_clip: largest gradient norm; 0 switches clipping off.
        log_dir: folder of the logger's files; default: ``tb`` in the run's folder.
        ckpt_dir: folder of the run where ``--out-dir`` does not name one.
        logger: ``tensorboard``, ``wandb`` (an extra) or ``none``.
        loss: what is minimised.
        sampling: how often windows are drawn, by the largest of their frames' weights; an alternative to weights of
            the loss (given both, both count).
    """

    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    batch_size: int = 8
    accumulate: int = 1
    epochs: int = 30
    amp: bool = True
    grad_clip: float = 1.0
    log_dir: Path | None = None
    ckpt_dir: Path | None = None
    logger: Literal["tensorboard", "wandb", "none"] = "tensorboard"
    loss: LossSettings = field(default_factory=LossSettings)
    sampling: WeightSettings = field(default_factory=WeightSettings)
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
        require(
            self.amp or self.precision in ("auto", "fp32"),
            f"training.amp is false and training.precision is {self.precision}",
            "set one of them",
        )
        try:
            _ = self.loop
        except InputError as error:
            raise InputError(own_names(error.reason), remedy=error.remedy) from error

    @property
    def loop(self) -> TrainSettings:
        """The same for the engine's loop."""
        return TrainSettings(
            epochs=self.epochs, batch_size=self.batch_size, accumulate=self.accumulate, optimizer=self.optimizer.name,
            lr=self.optimizer.lr, weight_decay=self.optimizer.weight_decay, schedule=self.scheduler.name,
            warmup_epochs=self.scheduler.warmup_epochs, clip=self.grad_clip, ema=self.ema, early_stop=self.early_stop,
            precision=self.precision if self.amp else "fp32", device=self.device, devices=self.devices,
            strategy=self.strategy, seed=self.seed, num_workers=self.num_workers, limit=self.limit,
            cache_views=self.cache_views, cache_budget=self.cache_budget, save_every=self.save_every,
        )  # fmt: skip


@dataclass(frozen=True)
class TracknetConfig:
    """Everything a training run of ``tracknet`` depends on."""

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)
