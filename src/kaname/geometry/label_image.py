"""Pictures whose pixels are numbers of classes, or say where one object is, as programs that outline objects write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.shapes import Bool, Int64

SET = 128  # a value from which a pixel belongs to an object, of 255
WIDE = 257  # times that in a picture of 16 bits that uses them


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


def read_mask(path: Path, *, expected: tuple[int, int] | None = None) -> Bool[np.ndarray, "height width"]:
    """Which pixels of a mask are set, from the middle of white on.

    Args:
        path: the file; of colours the brightest of the three counts. A picture of 16 bits may use eight of them.
        expected: ``(height, width)`` that it must have.

    Raises:
        InputError: what `kaname.geometry.image.read_image` raises, or a mask that is not black but darker everywhere,
            such as one of 0 and 1: it would be taken for empty.
    """
    from PIL import Image

    values: np.ndarray = read_image(path, expected=expected).max(axis=2)
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            values = np.asarray(image)
    found = values >= (SET if values.max() <= 255 else SET * WIDE)
    if values.any() and not found.any():
        reason = f"a mask is set from {SET} on, and this one reaches {int(values.max())}"
        raise InputError(reason, path=path, remedy="write 255 where the object is, 0 elsewhere")
    return found
