"""Pictures of masks over photographs."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.codecs.mask_regions import PLAIN, Choice, Region, regions
from kaname.errors import InputError
from kaname.reporting.draw import PALETTE, Colour, RGBImage
from kaname.types import Masks

GOLDEN = 0.618034  # of the circle of hues: colours of neighbours in the order stay far apart


def instance_colours(count: int) -> list[Colour]:
    """A colour for each of ``count`` instances, all different."""
    colours = list(PALETTE[:count])
    for number in range(len(colours), count):
        value = (1.0, 0.75)[number // 24 % 2]
        red, green, blue = colorsys.hsv_to_rgb(number * GOLDEN % 1, 0.85, value)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colours


def mask_overlay(
    image: RGBImage,
    masks: Masks | Sequence[NDArray[Any]],
    colours: Sequence[Colour] | None = None,
    *,
    alpha: float = 0.5,
    outline: bool = True,
    choice: Choice = PLAIN,
) -> RGBImage:
    """Lays masks over a photograph, one colour per instance; later ones lie over earlier ones.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        masks: predicted ones of an image of this size, or masks ``(h, w)``, everything but 0 inside.
        colours: RGB by instance, in turn; by default all different.
        alpha: opacity of the colour, 0..1.
        outline: draws the border of each mask.
        choice: of predicted ones, how probabilities become masks.

    Returns:
        A new RGB uint8 array ``(h, w, 3)``.

    Raises:
        InputError: masks of another size than the image.
    """
    size = (image.shape[0], image.shape[1])
    thickness = max(1, round(max(size) / 400))
    if isinstance(masks, Masks):
        sizes, parts = {masks.size}, regions(masks, choice)
    else:
        sizes = {tuple(mask.shape) for mask in masks}
        parts = (_around(mask, 2 * thickness + 2) for mask in masks)
    if sizes - {size}:
        raise InputError(f"masks of {sorted(sizes)} over an image of {size}")
    drawn = np.array(image, order="C")
    palette = colours or instance_colours(len(masks.boxes) if isinstance(masks, Masks) else len(masks))
    for number, (rows, columns, inside) in enumerate(parts):
        colour = np.array(palette[number % len(palette)], np.float32)
        region = drawn[rows, columns]
        blended = region[inside] * (1 - alpha) + colour * alpha
        region[inside] = np.rint(blended).astype(np.uint8)
        if outline and inside.any():
            border = np.array(region, order="C")  # OpenCV draws into contiguous memory only
            edges, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(border, edges, -1, colour.tolist(), thickness, cv2.LINE_AA)
            region[:] = border
    return drawn


def _around(mask: NDArray[Any], margin: int) -> Region:
    """The part of an image with a mask and its outline."""
    (rows, columns, _), (height, width) = Region.of(mask != 0), mask.shape
    rows = slice(max(0, rows.start - margin), min(height, rows.stop + margin))
    columns = slice(max(0, columns.start - margin), min(width, columns.stop + margin))
    return Region(rows, columns, mask[rows, columns] != 0)
