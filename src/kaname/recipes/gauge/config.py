"""The configuration of ``gauge``. Lengths are pixels of a 448 x 448 dial; they scale with ``size``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kaname.errors import require, require_range
from kaname.recipes.gauge import REFERENCE_SIZE
from kaname.training.settings import TrainSettings


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        backbone: ``small`` (U-Net from scratch), a Hugging Face hub name, ``timm:NAME`` or a local folder.
        pretrained: start the backbone from pretrained weights.
        decoder: ``linear`` (1x1, ReLU, 1x1) or ``upsample`` (stages of upsampling and convolution).
        freeze: keep the backbone as it is; a backbone without pretrained weights always trains.
        normalize: ``imagenet``, ``backbone`` (what its weights were trained with) or ``none`` (0..1 as the
            original system fed it).
    """

    backbone: str = "facebook/dinov2-small"
    pretrained: bool = True
    decoder: Literal["linear", "upsample"] = "linear"
    freeze: bool = True
    normalize: Literal["imagenet", "backbone", "none"] = "imagenet"


@dataclass(frozen=True)
class AugmentSettings:
    """Random changes of a training image; points move along.

    Attributes:
        probability: share of samples that are changed at all.
        rotate: largest rotation in degrees, either way.
        crop: the image is enlarged by this factor and a window of the old size is cut out.
        colour_probability: share of the changed samples whose brightness and contrast change as well.
        brightness: factor drawn from 1 - b .. 1 + b.
        contrast: factor drawn from 1 - c .. 1 + c.
        shrink: the dial is also made smaller, down to this share of its size; 1 leaves it.
        photo_probability: share of the changed samples on which each of the following acts; lengths in px at 448.
        blur: largest deviation of a Gaussian blur; 0 leaves it, here and below.
        shake: longest blur along a line.
        noise: largest deviation of the sensor's noise, grey levels.
        temperature: largest logarithm of red over blue, either way.
        glare: largest strength of a bright band, grey levels.
        shade: largest share of the light that a shadow takes.
        coarse: lowest resolution that the image was enlarged from, as a share of its own; 1 leaves it.
        jpeg: lowest quality of JPEG; 100 leaves it.
    """

    probability: float = 0.9
    rotate: float = 180.0
    crop: float = 1.2
    colour_probability: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    shrink: float = 1.0
    photo_probability: float = 0.3
    blur: float = 0.0
    shake: float = 0.0
    noise: float = 0.0
    temperature: float = 0.0
    glare: float = 0.0
    shade: float = 0.0
    coarse: float = 1.0
    jpeg: int = 100

    def __post_init__(self) -> None:
        require_range(self, "probability colour_probability brightness contrast photo_probability shade", 0, 1)
        require_range(self, "shrink coarse", 0.1, 1)
        require_range(self, "blur shake", 0, 50)
        require_range(self, "noise glare", 0, 255)
        require_range(self, "temperature", 0, 2)
        require_range(self, "jpeg", 1, 100)
        require(0 <= self.rotate <= 180, f"rotate must lie in 0..180 degrees, got {self.rotate}")
        require_range(self, "crop", 1, 4)


@dataclass(frozen=True)
class ExtractSettings:
    """From heatmaps to points, and when a point counts as found.

    Attributes:
        threshold: cells above this share of the map's maximum are clustered.
        min_score: a map whose maximum lies under this has no point.
        bandwidth: radius of mean shift, px at 448.
        clusters: ``plain`` mean shift over the cells, or ``weighted`` by the heatmap's values.
        tolerance: a point within this distance is found, px at 448.
    """

    threshold: float = 0.5
    min_score: float = 0.1
    bandwidth: float = 20.0
    clusters: Literal["plain", "weighted"] = "plain"
    tolerance: float = 10.0

    def __post_init__(self) -> None:
        require(0 <= self.threshold < 1, f"threshold must be at least 0 and under 1, got {self.threshold}")
        require_range(self, "min_score", 0, 1)
        require_range(self, "bandwidth tolerance", 0, above=True)


@dataclass(frozen=True)
class GaugeConfig:
    """Everything a training run of ``gauge`` depends on.

    Attributes:
        data: folder with ``train`` and ``val``, each with ``images`` and ``labels``.
        size: side of the square the network sees, a multiple of the backbone's patch.
        sigma: standard deviation of a point's Gaussian, px at 448.
        allow_missing: accept images on which start or end is not labelled (their channel is then empty).
    """

    data: Path = Path("training_data")
    size: int = REFERENCE_SIZE
    sigma: float = 8.0
    allow_missing: bool = False
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
