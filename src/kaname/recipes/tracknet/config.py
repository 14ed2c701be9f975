"""The configuration of ``tracknet``: three groups of keys, ``data``, ``model`` and ``training``, and ``detect``.

Sizes are ``[width, height]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from kaname.data.windows import SequenceSettings
from kaname.errors import require, require_range
from kaname.models.settings import DecoderSettings, HeatmapSettings, LoraSettings, held_epochs
from kaname.training.settings import TrainSettings


@dataclass(frozen=True)
class SplitSettings:
    """Which games train, choose the weights and test; names (``game3``) or numbers (3).

    Attributes:
        train_games: games that train; default: 1 to 7 of the ten published ones, else all but the test games.
        val_games: games that choose the weights; default: the last game of ``train_games``, which then does not train.
        test_games: games that test; default: 8 to 10 of the ten published ones, else the last of three or more.
    """

    train_games: tuple[int | str, ...] | None = None
    val_games: tuple[int | str, ...] | None = None
    test_games: tuple[int | str, ...] | None = None


@dataclass(frozen=True)
class DataSettings:
    """Frames and labels, and the random changes of a training window; points and heatmaps move along.

    Attributes:
        root: folder with ``game<N>/Clip<M>/NNNN.jpg`` and ``Label.csv``.
        split: which games are in which set; a split by frames would leak.
        resize: width and height of what the network sees; frames of another shape are letterboxed.
        normalize: normalisation of colours: ``backbone`` (its own processor's), ``imagenet`` or ``none`` (0..1).
        flip_prob: share of the windows that are mirrored.
        crop: smallest side, as a share of the frame's, of the centred window that is cut out; 1 cuts nothing.
        brightness: factor on the brightness, drawn from 1 - b .. 1 + b.
        contrast: factor on the contrast, drawn from 1 - c .. 1 + c.
        sequence: windows of frames.
        absent: frames without a ball (visibility 0): ``mask`` leaves them out of the loss and the distances,
            ``negative`` gives them an empty heatmap as target, the only way to learn "no ball".
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
        require_range(self, "flip_prob brightness contrast", 0, 1)
        require_range(self, "crop", 0.1, 1)
        require(all(16 <= side <= 4096 for side in self.resize), f"resize is {list(self.resize)}", "16..4096 px")


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        pretrained_model_name: a ViT of Hugging Face by hub name or folder, ``timm:NAME``, or ``small`` (U-Net).
        pretrained: start the backbone from its pretrained weights.
        decoder: from the backbone's map to heatmaps.
        heatmap: the target.
        fusion: how frames of a window meet: ``stack``, as channels of one input; else after the backbone, by a 1x1
            convolution (``concat``) or by attention along time (``attention``).
        freeze: epochs with the backbone frozen: ``all``, ``none`` or ``{epochs: N}``. Random weights always train.
        lora: adapters of a frozen backbone.
        gradient_checkpointing: compute the backbone's inner values twice, not keep them: less memory, more time.
    """

    aliases: ClassVar[Mapping[str, str]] = {"backbone": "pretrained_model_name"}

    pretrained_model_name: str = "facebook/dinov3-vitb16-pretrain-lvd1689m"
    pretrained: bool = True
    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    heatmap: HeatmapSettings = field(default_factory=HeatmapSettings)
    fusion: Literal["stack", "concat", "attention"] = "concat"
    freeze: Any = "all"
    lora: LoraSettings = field(default_factory=LoraSettings)
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        held_epochs(self.freeze)
        require(not (self.lora.rank and self.freeze == "none"), "LoRA is for a frozen backbone", "set model.freeze=all")


@dataclass(frozen=True)
class WeightSettings:
    """A number for each visibility of a frame's label; the visibility's own number is another name of the key.

    Attributes:
        absent: number for visibility 0, no ball.
        easy: number for visibility 1, easy to see.
        hard: number for visibility 2, hard to see.
        occluded: number for visibility 3, occluded.
    """

    aliases: ClassVar[Mapping[str, str]] = {"0": "absent", "1": "easy", "2": "hard", "3": "occluded"}

    absent: float = 1.0
    easy: float = 1.0
    hard: float = 1.0
    occluded: float = 1.0

    def __post_init__(self) -> None:
        require_range(self, "absent easy hard occluded", 0)

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
class DetectSettings:
    """From heatmaps to balls; it takes no part in the loss and may change after training.

    Attributes:
        method: how the peak is refined: ``argmax``, ``soft-argmax`` or ``dark``.
        score_threshold: a frame whose peak is not above this has no ball.
        tolerance: pixels of the original frame within which a ball is found.
    """

    method: Literal["argmax", "soft-argmax", "dark"] = "dark"
    score_threshold: float = 0.5
    tolerance: float = 4.0

    def __post_init__(self) -> None:
        require(0 <= self.score_threshold < 1, f"score_threshold must lie in 0..1, got {self.score_threshold}")
        require_range(self, "tolerance", 0, above=True, remedy="4 pixels are usual")


TRAINING = TrainSettings(epochs=30, optimizer="adamw", lr=5e-4, weight_decay=0.05, warmup_epochs=5.0, clip=1.0)


@dataclass(frozen=True)
class TracknetConfig:
    """Everything a training run of ``tracknet`` depends on.

    Attributes:
        loss: what is minimised.
        sampling: how often windows are drawn, by the largest of their frames' weights; an alternative to weights of
            the loss (given both, both count).
    """

    aliases: ClassVar[Mapping[str, str]] = {"training.loss": "loss", "training.sampling": "sampling"}
    follows: ClassVar[Mapping[str, str]] = {"model.heatmap.size": "data.resize"}  # in proportion, unless given

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    sampling: WeightSettings = field(default_factory=WeightSettings)
    training: TrainSettings = TRAINING
    detect: DetectSettings = field(default_factory=DetectSettings)
