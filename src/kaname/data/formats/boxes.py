"""Boxes by picture in a JSON file that one can write by hand.

``{"a.jpg": [[x1, y1, x2, y2], ...], "clip.mp4": {"0": [[...]], "7": [[...], [...]]}}``: of an image its boxes, of a
video (or of a folder of frames) those of each frame by its number from 0; a frame that is not there has none. A list
for a video holds for all of its frames, and a list at the top for every picture. Names are file names, or ends of
paths. The numbers are continuous pixels, corners by default; the file does not say so, its reader has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import is_number, read_json, shortened, tails
from kaname.errors import InputError
from kaname.geometry.boxes import Format, box_rows, check, corners
from kaname.types import FloatArray, Size

Units = Literal["pixel", "normalised"]
OTHERS = ("images", "annotations", "categories")  # the tables of COCO
FAR_OUTSIDE = 3.0  # picture sides: no box lies so far outside its picture
FOUR = {"xyxy": "x1, y1, x2, y2", "xywh": "x1, y1, width, height", "cxcywh": "centre x, centre y, width, height"}


def is_table(content: Any) -> bool:
    """Whether the content of a JSON file is such boxes, and neither COCO nor Label Studio."""
    if isinstance(content, list):
        return bool(content) and all(isinstance(row, list) for row in content)
    if not isinstance(content, dict):
        return False
    rows = [content[name] for name in OTHERS if isinstance(content.get(name), list)]
    return all(any(isinstance(row, list) for row in table) for table in rows)  # a folder may be called "images"


@dataclass(frozen=True)
class BoxTable:
    """What such a file says.

    Attributes:
        path: the file.
        always: ``(N, 4)`` the boxes of every picture, or None.
        pictures: by name, ``(N, 4)`` or, by the number of the frame, ``(N, 4)`` each.
        normalised: whether they are shares of the picture's size.
    """

    path: Path
    always: FloatArray | None
    pictures: Mapping[str, FloatArray | Mapping[int, FloatArray]]
    normalised: bool = False

    def of(self, picture: Path) -> Callable[[int, Size], FloatArray] | None:
        """The boxes in pixels of a frame's number and ``(height, width)``; None where the file does not know it."""
        name = self.name_of(picture)
        found = self.always if name is None else self.pictures[name]
        if found is None:
            return None

        def boxes(frame: int, size: Size) -> FloatArray:
            rows = found if isinstance(found, np.ndarray) else found.get(frame, np.zeros((0, 4)))
            return rows * np.tile(size[::-1], 2) if self.normalised else rows

        return boxes

    def name_of(self, picture: Path) -> str | None:
        """What the file calls a picture; None where it does not know it, or has the same boxes for every one."""
        if self.always is not None:
            return None
        return next((name for name in tails(picture.absolute().as_posix()) if name in self.pictures), None)

    def by_frame(self, picture: Path) -> bool:
        """Whether the file has other boxes in each frame of a picture."""
        name = self.name_of(picture)
        return name is not None and isinstance(self.pictures[name], Mapping)


def read(path: str | PathLike[str], form: Format = "xyxy", units: Units = "pixel", *, content: Any = None) -> BoxTable:
    """The boxes of a file.

    Args:
        path: the JSON file.
        form: what the four numbers of a box are.
        units: pixels, or shares of the picture's size.
        content: of the file, where it has been read already.

    Raises:
        InputError: no such file, not JSON, or no boxes (with the picture's name).
    """
    path = Path(path)
    content = read_json(path) if content is None else content
    normalised = units == "normalised"
    if isinstance(content, list):
        rows = _rows(content, form, path, "every picture")
        _doubt([rows], normalised, path)
        return BoxTable(path, rows, {}, normalised)
    if not isinstance(content, dict):
        raise InputError("no boxes by picture", path=path, remedy='write {"a.jpg": [[x1, y1, x2, y2]]}')
    pictures: dict[str, FloatArray | Mapping[int, FloatArray]] = {}
    for name, value in content.items():
        key = (tails(name) or [name])[0]
        if isinstance(value, dict):
            pictures[key] = {
                _frame(number, path, name): _rows(rows, form, path, f"{name}, frame {number}")
                for number, rows in value.items()
            }
        else:
            pictures[key] = _rows(value, form, path, name)
    _doubt([rows for one in pictures.values() for rows in (one.values() if isinstance(one, Mapping) else [one])],
           normalised, path)  # fmt: skip
    return BoxTable(path, None, pictures, normalised)


def _doubt(tables: list[FloatArray], normalised: bool, path: Path) -> None:
    """Refuse boxes whose numbers are plainly in the other unit."""
    numbers = np.abs(np.concatenate([rows.ravel() for rows in tables])) if tables else np.zeros(0)
    if normalised and (numbers > FAR_OUTSIDE).any():
        reason = f"boxes in shares of the picture reach {numbers.max():g}"
        raise InputError(reason, path=path, remedy="they look like pixels: use --box-units pixel")
    if not normalised and len(numbers) and (numbers <= 1).all():
        reason = "all numbers of these boxes lie in 0..1, and pixels are meant"
        raise InputError(reason, path=path, remedy="they look like shares: use --box-units normalised")


def _rows(value: Any, form: Format, path: Path, where: str) -> NDArray[np.float64]:
    remedy = f"write [[{FOUR[form]}], ...], or [] where there is none"
    if not isinstance(value, list):
        raise InputError(f"not a list of boxes: {shortened(value)}", path=path, row=where, remedy=remedy)
    for row in value:
        if not (isinstance(row, list) and len(row) == 4 and all(is_number(one) for one in row)):
            raise InputError(f"not a box of four numbers: {shortened(row)}", path=path, row=where, remedy=remedy)
    try:
        rows = check(corners(box_rows(value), form))
        if len(empty := np.flatnonzero((rows[:, 2:] <= rows[:, :2]).any(axis=1))):
            raise InputError(f"box {int(empty[0]) + 1} has no area", remedy="leave it out")
        return rows
    except InputError as error:
        remedy = error.remedy if form == "xyxy" else remedy
        raise InputError(error.reason, path=path, row=where, remedy=remedy) from error


def _frame(number: str, path: Path, where: str) -> int:
    if not number.isdecimal():
        raise InputError(f"{number!r} is no number of a frame", path=path, row=where, remedy="count frames from 0")
    return int(number)
