"""A training image changed at random: turned, cut out, made smaller, and photographed worse; points move along."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kaname.data.augment import brightness_contrast, rotated_window
from kaname.data.photo import PhotoSettings, photographed
from kaname.errors import require, require_range
from kaname.geometry.affine import Affine
from kaname.types import Image, Size


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
    """

    probability: float = 0.9
    rotate: float = 180.0
    crop: float = 1.2
    colour_probability: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    shrink: float = 1.0
    photo: PhotoSettings = field(default_factory=PhotoSettings)

    def __post_init__(self) -> None:
        require_range(self, "probability colour_probability brightness contrast", 0, 1)
        require_range(self, "shrink", 0.1, 1)
        require(0 <= self.rotate <= 180, f"rotate must lie in 0..180 degrees, got {self.rotate}")
        require_range(self, "crop", 1, 4)


def varied(
    random: np.random.Generator, image: Image, into: Affine, settings: AugmentSettings, size: Size, scale: float
) -> tuple[Image, Affine]:
    """A changed image of ``size`` and the map from the original to it.

    Args:
        into: the map of the unchanged image to ``size``.
        scale: pixels of ``size`` in one at the reference size.
    """
    change = {"rotate": settings.rotate, "enlarge": settings.crop, "smallest": settings.shrink}
    into = rotated_window(random, size, **change) @ into
    if random.random() < settings.colour_probability:
        image = brightness_contrast(random, image, settings.brightness, settings.contrast)
    return photographed(random, into.image(image, size), settings.photo, scale), into
