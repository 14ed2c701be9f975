"""The configuration of ``landmark``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kaname.errors import require, require_range
from kaname.recipes.landmark import BOX_FACTOR, STRIDE
from kaname.training.settings import TrainSettings

if TYPE_CHECKING:
    from kaname.geometry.grid import Grid
    from kaname.geometry.view import View

REFERENCE_CELLS = 64  # of a heatmap's side, for which sigma is given


@dataclass(frozen=True)
class DataSettings:
    """Images and their annotations.

    Attributes:
        images: folder of the images, read with its sub-folders.
        annotations: folder of the annotation files.
        val_annotations: folder of the annotations that choose the weights; they do not train.
        split: folder with ``train.txt`` and ``val.txt``; default: ``datasets`` beside ``annotations`` where it is.
        held_out: share of the faces that chooses the weights where neither ``val_annotations`` nor ``split`` names any.
        skeleton: names of the points: a name of configs/skeleton, or a YAML file.
    """

    images: Path = Path("data/raw")
    annotations: Path = Path("data/annotated")
    val_annotations: Path | None = None
    split: Path | None = None
    held_out: float = 0.2
    skeleton: str = "anime-face-28"

    def __post_init__(self) -> None:
        require_range(self, "held_out", 0, 1)
        require(self.held_out < 1, "held_out leaves nothing to train on", "0.2 is usual")
        twice = self.split is not None and self.val_annotations is not None
        require(not twice, "two places choose the validation faces", "give --split-dir or --val-annotation-dir")


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        backbone: ``hrnet_w18``, ``small`` (U-Net), ``timm:NAME``, a hub name or a local folder.
        pretrained: start the backbone from its own pretrained weights, where it has some.
        decoder: from maps to heatmaps: ``concat`` (HRNet's four joined) or ``upsample``; ``auto`` fits the backbone.
        fuse: how HRNet enlarges maps: ``bilinear`` as the pretrained weights were trained, ``nearest`` as a fork does.
        norm: batch normalisation with ``held`` statistics, or ``train``; ``auto`` holds them where training starts from
            ``weights``.
        normalize: normalisation of colours: ``imagenet``, ``backbone`` (that of its weights) or ``none`` (0..1).
        weights: file (.pth, .safetensors) of a whole network to start from; every tensor must fit.
        new_head: replace the last layer, for a skeleton with another number of points.
    """

    backbone: str = "hrnet_w18"
    pretrained: bool = False
    decoder: Literal["auto", "concat", "upsample"] = "auto"
    fuse: Literal["bilinear", "nearest"] = "bilinear"
    norm: Literal["auto", "held", "train"] = "auto"
    normalize: Literal["imagenet", "backbone", "none"] = "imagenet"
    weights: Path | None = None
    new_head: bool = False

    def __post_init__(self) -> None:
        needless = self.new_head and self.weights is None
        require(not needless, "new_head replaces a layer of given weights, and there are none", "give --checkpoint")

    @property
    def holds_norm(self) -> bool:
        """Whether the statistics of batch normalisation are held."""
        return self.norm == "held" or (self.norm == "auto" and self.weights is not None)


@dataclass(frozen=True)
class AugmentSettings:
    """Random changes of a training crop; points move along, and a mirror swaps left and right.

    Attributes:
        rotate: largest rotation in degrees, either way; small ones are drawn more often.
        scale: the crop grows or shrinks by a factor drawn from 1 - s .. 1 + s.
        shift: the crop moves by up to this share of its side.
        flip: share of the crops that are mirrored.
        brightness: factor on the brightness, drawn from 1 - b .. 1 + b.
        contrast: factor on the contrast, drawn from 1 - c .. 1 + c.
        saturation: factor on the saturation, drawn from 1 - s .. 1 + s; at 0 a picture is grey.
        grey: share of the crops without colour.
        blur: share of the crops that are blurred.
        cut_out: share of the crops in which a rectangle is covered.
    """

    rotate: float = 60.0
    scale: float = 0.25
    shift: float = 0.1
    flip: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.3
    grey: float = 0.1
    blur: float = 0.1
    cut_out: float = 0.2

    def __post_init__(self) -> None:
        require(0 <= self.rotate <= 180, f"rotate must lie in 0..180 degrees, got {self.rotate}")
        require(0 <= self.scale < 1, f"scale must be at least 0 and under 1, got {self.scale}")
        require_range(self, "shift flip brightness contrast saturation grey blur cut_out", 0, 1)


NOTHING = AugmentSettings(*[0.0] * 10)


@dataclass(frozen=True)
class AnswerSettings:
    """From heatmaps to landmarks; it takes no part in the loss and may change after training.

    Attributes:
        method: how the peak is refined: ``dark`` or ``argmax``.
        flip_test: answer the mirrored crop too, and decode the mean; takes twice as long.
        min_score: a landmark whose peak is not above this is left out; 0 leaves none out.
        failure: a face whose NME (bbox) is above this counts as failed.
    """

    method: Literal["dark", "argmax"] = "dark"
    flip_test: bool = True
    min_score: float = 0.0
    failure: float = 0.1

    def __post_init__(self) -> None:
        require(0 <= self.min_score < 1, f"min_score must be at least 0 and under 1, got {self.min_score}")
        require_range(self, "failure", 0, above=True, remedy="0.1 is usual")


@dataclass(frozen=True)
class LandmarkConfig:
    """Everything a training run of ``landmark`` depends on.

    Attributes:
        size: side of the crop that the network sees, a multiple of 32.
        sigma: standard deviation of a landmark's Gaussian, cells of a 64 x 64 map; it scales with ``size``.
        loss: ``mse`` or ``adaptive_wing`` of raw heatmaps, as the pretrained weights were trained with; ``bce`` of a
            sigmoid, which learns faster from random weights.
        hidden_weight: what a covered landmark counts in the loss, where a visible one counts 1.
        save_freq: keep the weights of every so many epochs; 0 keeps none.
    """

    data: DataSettings = field(default_factory=DataSettings)
    size: int = 256
    sigma: float = 2.0
    loss: Literal["mse", "adaptive_wing", "bce"] = "mse"
    hidden_weight: float = 1.0
    save_freq: int = 10
    model: ModelSettings = field(default_factory=ModelSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    train: TrainSettings = field(
        default_factory=lambda: replace(TrainSettings(), epochs=100, lr=1e-4, schedule="plateau")
    )

    def __post_init__(self) -> None:
        fits = 32 <= self.size <= 2048 and self.size % 32 == 0
        nearest = min(max(32, round(self.size / 32) * 32), 2048)
        require(fits, f"size must be a multiple of 32 in 32..2048 px, got {self.size}", f"the nearest is {nearest}")
        require_range(self, "sigma", 0, above=True)
        require_range(self, "hidden_weight save_freq", 0)

    @property
    def view(self) -> View:
        """How the box of a face becomes the input."""
        from kaname.geometry.view import View  # here, so that help answers without NumPy

        return View("crop", (self.size, self.size), factor=BOX_FACTOR)

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of a heatmap."""
        return self.size // STRIDE, self.size // STRIDE

    @property
    def grid(self) -> Grid:
        """How the cells lie in the input: cell *i* at index *4 i*."""
        from kaname.geometry.grid import Grid

        return Grid((STRIDE, STRIDE), "aligned")

    @property
    def sigma_cells(self) -> float:
        """Standard deviation of a target, in cells."""
        return self.sigma * self.cells[0] / REFERENCE_CELLS
