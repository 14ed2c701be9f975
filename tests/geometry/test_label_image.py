"""Pictures of class numbers, as Pillow, OpenCV, SAM 2's own tools and optimisers of PNG write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.errors import InputError
from kaname.geometry.label_image import read_labels, read_mask

CLASSES = np.zeros((6, 9), np.uint8)
CLASSES[1:3, 1:3], CLASSES[4:, 5:] = 2, 4
COLOURS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]  # DAVIS


def with_palette(colours: list[tuple[int, int, int]], places: np.ndarray = CLASSES) -> Image.Image:
    image = Image.fromarray(places).convert("L")
    image.putpalette([value for colour in colours for value in colour])
    return image


def test_numbers_are_read_as_they_are(tmp_path: Path) -> None:
    """Grey of 8 and of 16 bits, a palette of colours, and a palette of greys that an optimiser made."""
    pictures = {
        "grey": Image.fromarray(CLASSES),
        "sixteen": Image.fromarray(CLASSES.astype(np.uint16)),
        "davis": with_palette(COLOURS),
        "optimised": with_palette([(0, 0, 0), (2, 2, 2), (4, 4, 4)], CLASSES // 2),
        "colours of one value": Image.fromarray(np.repeat(CLASSES[..., None], 3, axis=2)),
        "nothing": with_palette(COLOURS, np.zeros_like(CLASSES)),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        expected = CLASSES if name != "nothing" else np.zeros_like(CLASSES)
        assert (read_labels(tmp_path / f"{name}.png", expected=(6, 9)) == expected).all(), name


def test_colours_are_no_numbers(tmp_path: Path) -> None:
    with_palette(COLOURS).convert("RGB").save(tmp_path / "c.png")
    with pytest.raises(InputError, match="a picture of colours, not of classes"):
        read_labels(tmp_path / "c.png")
    with pytest.raises(InputError, match="9 x 6 pixels, not 5 x 5"):
        read_labels(tmp_path / "c.png", expected=(5, 5))


def test_masks_are_set_from_the_middle_on(tmp_path: Path) -> None:
    """Grey, one bit, 16 bits that use all or eight of them, colours with and without a palette, soft edges."""
    there = CLASSES > 0
    soft = np.where(there, 255, 0).astype(np.uint8)
    soft[0] = 127
    pictures = {
        "grey": Image.fromarray(there * np.uint8(255)),
        "bit": Image.fromarray(there),
        "wide": Image.fromarray(there * np.uint16(65535)),
        "narrow": Image.fromarray(there * np.uint16(255)),
        "green": with_palette(COLOURS, there * np.uint8(2)),
        "red": with_palette(COLOURS, there * np.uint8(1)).convert("RGB"),
        "soft": Image.fromarray(soft),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        assert (read_mask(tmp_path / f"{name}.png", expected=(6, 9)) == there).all(), name
    Image.fromarray(np.zeros_like(CLASSES)).save(tmp_path / "empty.png")
    assert not read_mask(tmp_path / "empty.png").any()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_mask_of_ones_is_not_empty(tmp_path: Path, kind: type) -> None:
    Image.fromarray((CLASSES > 0).astype(kind)).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="set from 128 on, and this one reaches 1; write 255 where the object is"):
        read_mask(tmp_path / "m.png")
