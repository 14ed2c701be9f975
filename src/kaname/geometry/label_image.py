"""Pictures whose pixels are numbers of classes, as programs that outline objects write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.shapes import Int64


def read_labels(path: Path, *, expected: tuple[int, int] | None = None) -> Int64[np.ndarray, "height width"]:
    """The number of each pixel's class.

    A grey picture holds the numbers themselves, of 8 or of 16 bits. One with a palette of colours (DAVIS, SAM 2's own
    tools) holds them as places in the palette.

    Args:
        path: the file.
        expected: ``(height, width)`` that it must have.

    Raises:
        InputError: what `kaname.geometry.image.read_image` raises, or a picture of colours without a palette.
    """
    from PIL import Image

    shown = read_image(path, expected=expected)
    with Image.open(path) as image:
        mode = image.mode
        values = np.asarray(image) if mode == "P" or mode.startswith("I") else shown[:, :, 0]
    if mode.startswith("I"):
        return values.astype(np.int64)
    if (shown[:, :, :1] == shown).all():  # also a palette of greys, which programs make of a few of them
        return shown[:, :, 0].astype(np.int64)
    if mode != "P":
        remedy = "save the number of each pixel's class, as grey values or with a palette"
        raise InputError("a picture of colours, not of classes", path=path, remedy=remedy)
    return values.astype(np.int64)
