"""The configuration of ``gauge``. Lengths are pixels of a 448 x 448 dial; they scale with ``size``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kaname.data.augment_settings import AugmentSettings
from kaname.errors import require, require_range
from kaname.recipes.gauge import REFERENCE_SIZE
from kaname.training.settings import TrainSettings


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        backbone: ``small`` (U-Net from scratch), a Hugging Face hub name, ``timm:NAME`` or a local folder.
        pretrained: start the backbone from pretrained weights.
        decoder: what stands behind the backbone: ``linear`` (1x1, ReLU, 1x1), ``upsample`` (stages with convolutions)
            or ``fpn`` (feature pyramid).
        freeze: keep the backbone as it is; a backbone without pretrained weights always trains.
        norm: batch normalisation with ``held`` statistics, for weights that have learnt dials already, or ``train``.
        normalize: how colours are normalised: ``imagenet``, ``backbone`` (as its weights were trained) or ``none``
            (0..1, as the original system).
    """

    backbone: str = "facebook/dinov2-small"
    pretrained: bool = True
    decoder: Literal["linear", "upsample", "fpn"] = "linear"
    freeze: bool = True
    norm: Literal["held", "train"] = "train"
    normalize: Literal["imagenet", "backbone", "none"] = "imagenet"


@dataclass(frozen=True)
class ExtractSettings:
    """From heatmaps to points, and when a point counts as found.

    Attributes:
        threshold: cells above this share of the map's maximum are clustered.
        min_score: a map whose maximum lies under this has no point.
        bandwidth: radius of mean shift, px at 448.
        clusters: ``plain`` mean shift over the cells, or ``weighted`` by the heatmap's values.
        presence: where the third best notch scores under this there is no dial, and nothing is found; 0 always looks.
        second_look: a dial that is small in its photograph is cut out, with so many times the extent of its notches,
            and looked at again by itself; 0 looks once.
        search: how finely a photograph is searched in which no dial is seen, where ``second_look`` is on: 2 looks at
            overlapping halves of its sides (9 looks), 3 at thirds after them (25 more); 0 does not search.
        tolerance: a point within this distance of the true one is found, px at 448.
    """

    threshold: float = 0.5
    min_score: float = 0.1
    bandwidth: float = 20.0
    clusters: Literal["plain", "weighted"] = "plain"
    presence: float = 0.0
    second_look: float = 0.0
    search: int = 3
    tolerance: float = 10.0

    def __post_init__(self) -> None:
        require(0 <= self.threshold < 1, f"threshold must be at least 0 and under 1, got {self.threshold}")
        require_range(self, "min_score presence", 0, 1)
        require_range(self, "search", 0, 8)
        require_range(self, "bandwidth tolerance", 0, above=True)
        require(not 0 != self.second_look < 1, f"second_look must be 0 or at least 1, got {self.second_look}")


@dataclass(frozen=True)
class GaugeConfig:
    """Everything a training run of ``gauge`` depends on.

    Attributes:
        data: folder with ``train`` and ``val``, or with ``images`` and ``labels``.
        size: side of the square the network sees, a multiple of the backbone's patch.
        sigma: standard deviation of a point's Gaussian, px at 448.
        allow_missing: accept images on which start or end is not labelled (their channel is then empty).
        needle: also find the needle's tip and pivot (labels Needle Tip, Needle Centre), from which ``kaname gauge
            read`` takes a value; a dial without these labels does not count for them.
    """

    data: Path = Path("training_data")
    size: int = REFERENCE_SIZE
    sigma: float = 8.0
    allow_missing: bool = False
    needle: bool = False
    model: ModelSettings = field(default_factory=ModelSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    extract: ExtractSettings = field(default_factory=ExtractSettings)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        require(16 <= self.size <= 4096, f"size must lie in 16..4096 px, got {self.size}")
        require_range(self, "sigma", 0, above=True)

    @property
    def scale(self) -> float:
        """Pixels of the network's input in one pixel of the 448 reference."""
        return self.size / REFERENCE_SIZE
