"""A training image changed at random: turned, cut out, made smaller, and photographed worse; points move along."""

from __future__ import annotations

import numpy as np

from kaname.data.augment import brightness_contrast, rotated_window
from kaname.data.augment_settings import AugmentSettings
from kaname.data.photo import photographed
from kaname.geometry.affine import Affine
from kaname.types import Image, Size


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
