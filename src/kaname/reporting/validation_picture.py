"""The picture of a validated epoch of ``roimask``: true masks above, predicted ones below, a column an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.codecs.mask_regions import PLAIN, Choice
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import resize, write_image
from kaname.reporting import draw
from kaname.reporting.masks import instance_colours, mask_overlay
from kaname.types import FloatArray, Image, Masks

DOCUMENTED = {"000000020992.jpg": 1, "000000413552.jpg": 2, "000000109118.jpg": 3, "000000162732.jpg": 5}
"""The images of the picture and how many persons are in them."""

HEIGHT = 420  # of every image in the picture, in pixels
TEXT = 16


@dataclass(frozen=True)
class Pick:
    """What a column shows: the image ``name`` (None: none there) for the ``wanted`` one, and a ``note`` where it is
    another."""

    wanted: str
    name: str | None
    note: str = ""


@dataclass(frozen=True)
class Column:
    """One image of the picture.

    Attributes:
        name: of its file.
        image: RGB uint8 ``(h, w, 3)``; None where there is none, and the note says so.
        boxes: ``(N, 4)`` true boxes in pixels.
        truth: for each its mask ``(h, w)``.
        predicted: the masks of the same boxes, in the same order.
        note: what stands beneath the title.
    """

    name: str
    image: Image | None = None
    boxes: FloatArray | None = None
    truth: Sequence[NDArray[Any]] = ()
    predicted: Masks | None = None
    note: str = ""


def pick_images(persons: Mapping[str, int], wanted: Mapping[str, int | None] = DOCUMENTED) -> list[Pick]:
    """Which images of a validation set the picture shows.

    Args:
        persons: for each image of the set how many persons are in it, in the set's order.
        wanted: the images to show with their number of persons, where that is known.

    Returns:
        For each wanted image itself, or else the first one with as many persons that is not in the picture yet, or
        else nothing; the note says which.
    """
    picks: list[Pick] = []
    taken = {name for name in wanted if name in persons}
    for name, count in wanted.items():
        if name in persons:
            picks.append(Pick(name, name))
            continue
        other = next((one for one, number in persons.items() if number == count and one not in taken), None)
        if other is None:
            note = "not there" if count is None else f"not there, nor any with {_persons(count)}"
            picks.append(Pick(name, None, note))
        else:
            taken.add(other)
            picks.append(Pick(name, other, f"in place of {name}"))
    return picks


def draw_validation(columns: Sequence[Column], path: str | PathLike[str], choice: Choice = PLAIN) -> Image:
    """Write the picture: two rows of images at their own aspect, masks half transparent, a colour an instance.

    Above are the file's name, how many persons, the true boxes in red, each with the number of its instance from 0 at
    its corner, and the true masks. Below are the predicted masks alone, in the same colours.

    Args:
        columns: at least one.
        path: the picture to write; its folder must exist.
        choice: how probabilities become masks.

    Returns:
        The picture that was written, RGB uint8.

    Raises:
        InputError: no columns, or masks that are not of their image's size.
    """
    if not columns:
        raise InputError("the picture of a validation needs at least one image")
    cells = [_cells(column, choice) for column in columns]
    gap, head = TEXT, round(4.2 * TEXT)
    widths = [max(above.shape[1], 17 * TEXT) for above, _ in cells]
    step = head + HEIGHT
    sheet = np.full((2 * step + gap, sum(widths) + gap * (len(widths) + 1), 3), draw.PAPER, np.uint8)
    left = gap
    for column, pair, width in zip(columns, cells, widths, strict=True):
        titles = (_title(column), ["Predicted Masks"])
        for row, (panel, lines) in enumerate(zip(pair, titles, strict=True)):
            x, y = left + (width - panel.shape[1]) // 2, row * step + head
            sheet[y : y + HEIGHT, x : x + panel.shape[1]] = panel
            spots = [y - (len(lines) - number) * 1.25 * TEXT + TEXT / 2 for number in range(len(lines))]
            labels = [((left + width / 2, at), text, "mm", TEXT) for at, text in zip(spots, lines, strict=True)]
            sheet = draw._write(sheet, labels, draw.INK, width)
        left += width + gap
    write_image(path, sheet)
    return sheet


def _persons(count: int) -> str:
    return f"{count} person{'s' * (count != 1)}"


def _title(column: Column) -> list[str]:
    title = [column.name]
    if column.image is not None:
        title.append(f"({_persons(len(column.truth))}) - Ground Truth")
    return [*title, column.note] if column.note else title


def _cells(column: Column, choice: Choice) -> tuple[Image, Image]:
    """The image with what is true, and with what was predicted."""
    if column.image is None:
        empty = np.full((HEIGHT, round(HEIGHT * 0.75), 3), 235, np.uint8)
        return empty, empty
    colours = instance_colours(max(1, len(column.truth)))
    size = (HEIGHT, max(1, round(column.image.shape[1] * HEIGHT / column.image.shape[0])))
    above = resize(mask_overlay(column.image, column.truth, colours, outline=False), size)
    if column.boxes is not None:
        scale = np.array([size[1] / column.image.shape[1], size[0] / column.image.shape[0]])
        above = _numbered(above, column.boxes.reshape(-1, 2, 2) * scale)
    predicted = () if column.predicted is None else column.predicted
    below = resize(mask_overlay(column.image, predicted, colours, outline=False, choice=choice), size)
    return above, below


def _numbered(image: Image, corners: FloatArray) -> Image:
    """Red boxes, and at the top left corner of each its number, in red on a white tag."""
    drawn = np.array(image, order="C")
    fixed = np.rint(PIXELS.to_index(corners.reshape(-1, 2)) * (1 << draw.SHIFT)).astype(int).reshape(-1, 2, 2)
    for first, last in fixed.tolist():
        cv2.rectangle(drawn, first, last, draw.RED, 2, cv2.LINE_AA, draw.SHIFT)
    labels: list[tuple[tuple[float, float], str, str, int]] = []
    for number, (x, y) in enumerate(corners[:, 0].tolist()):
        text = str(number)
        width, height = round(draw._font(TEXT, text).getlength(text)) + 8, TEXT + 4
        left = round(min(max(x, 0), image.shape[1] - width))
        top = round(min(max(y, 0), image.shape[0] - height))
        cv2.rectangle(drawn, (left, top), (left + width, top + height), draw.PAPER, cv2.FILLED)
        labels.append(((left + width / 2, top + height / 2), text, "mm", TEXT))
    return draw._write(drawn, labels, draw.RED, image.shape[1])
