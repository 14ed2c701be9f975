"""One annotated face, as the file of the landmark recipe holds it.

``{"image": PATH, "landmarks": [[x, y], ...], "image_size": {"width", "height"}}`` in pixel indices of the original
image; a file with these three alone is whole. Then ``visible`` (for each point 1 there, 0 absent, null not placed
yet; what is not 1 has the landmark ``[null, null]``), ``hidden`` (numbers of the points that something covers: they are
there, placed by guess), ``bbox`` ``[x, y, width, height]`` (edges, as COCO's), ``skeleton`` (its name) and
``finished``. Other fields are kept as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import is_number, read_json, shortened, write_json
from kaname.errors import InputError
from kaname.types import FloatArray, Size

ABSENT, HIDDEN, SEEN, UNPLACED = 0, 1, 2, -1
FIELDS = ("image", "landmarks", "image_size", "visible", "hidden", "bbox", "skeleton", "finished")
REMEDY = "mend it, or annotate the image again with `kaname landmark annotate`"


@dataclass(frozen=True)
class Annotation:
    """One face of one image.

    Attributes:
        image: path of the image below the folder of images, with ``/`` between folders.
        size: ``(height, width)`` of the image.
        points: ``(N, 2)`` pixel indices as the file holds them, (x, y); NaN where absent or not placed.
        visible: ``(N,)``: 0 absent, 1 hidden, 2 seen, -1 not placed yet (of an unfinished face).
        box: ``(x, y, width, height)`` of the face in continuous pixels, as COCO's.
        skeleton: its name.
        finished: whether the face may be used.
        other: further fields of the file.
    """

    image: str
    size: Size
    points: FloatArray
    visible: NDArray[np.int64]
    box: tuple[float, float, float, float] | None = None
    skeleton: str | None = None
    finished: bool = True
    other: Mapping[str, Any] = field(default_factory=dict)


def is_annotation(content: Any) -> bool:
    """Whether the content of a JSON file claims to be an annotated face."""
    return isinstance(content, dict) and "landmarks" in content


def is_sidecar(content: Any) -> bool:
    """Whether it is what the crawler writes beside an image: where that comes from, and no landmarks."""
    return isinstance(content, dict) and "landmarks" not in content and not {"source", "id", "url"}.isdisjoint(content)


def read_annotation(path: str | PathLike[str], *, content: Any = None) -> Annotation:
    """The face in a file.

    Args:
        path: the file.
        content: of the file, where it has been read already.

    Raises:
        InputError: not such a file (a sidecar of the crawler is none), a landmark that is no pair of finite numbers,
            or fields that contradict each other; ``row`` is the field.
    """
    path = Path(path)
    content = read_json(path) if content is None else content
    if not is_annotation(content):
        what = "where an image comes from, not an annotation" if is_sidecar(content) else "not an annotation"
        raise InputError(f"{what}: it has no landmarks", path=path, remedy=REMEDY)
    return _Reader(path, content).annotation()


def write_annotation(path: str | PathLike[str], annotation: Annotation) -> None:
    """Write one face, whole or not at all; missing folders are made. The same face gives the same bytes.

    Raises:
        InputError: shapes that differ, a point that is there without a place or absent with one, a full disk.
    """
    path, xy, visible = Path(path), np.asarray(annotation.points, np.float64), np.asarray(annotation.visible)
    placed = visible > 0
    if xy.shape != (len(visible), 2) or not (np.isfinite(xy).all(axis=1) == placed).all():
        reason = "a point that is there has no place, or one that is not there has one"
        raise InputError(reason, path=path, remedy="absent points are NaN with visibility 0")
    height, width = annotation.size
    content: dict[str, Any] = {
        "image": annotation.image,
        "landmarks": [
            [_plain(x), _plain(y)] if there else [None, None] for (x, y), there in zip(xy, placed, strict=True)
        ],
        "image_size": {"width": int(width), "height": int(height)},
        "visible": [None if one == UNPLACED else int(one > 0) for one in visible],
        "hidden": np.flatnonzero(visible == HIDDEN).tolist(),
    }
    if annotation.box is not None:
        content["bbox"] = [_plain(side) for side in annotation.box]
    if annotation.skeleton is not None:
        content["skeleton"] = annotation.skeleton
    content["finished"] = bool(annotation.finished)
    write_json(path, content | {key: value for key, value in annotation.other.items() if key not in FIELDS})


class _Reader:
    """The fields of one file, checked."""

    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        self.path, self.content = path, content

    def fault(self, row: str, reason: str, remedy: str = REMEDY) -> InputError:
        return InputError(reason, path=self.path, row=row, remedy=remedy)

    def annotation(self) -> Annotation:
        points, visible = self._points()
        skeleton, finished = self.content.get("skeleton"), self.content.get("finished", True)
        if skeleton is not None and not isinstance(skeleton, str):
            raise self.fault("skeleton", f"not a name: {shortened(skeleton)}")
        if not isinstance(finished, bool):
            raise self.fault("finished", f"must be true or false, got {shortened(finished)}")
        return Annotation(
            image=self._image(),
            size=self._size(),
            points=points,
            visible=visible,
            box=self._box(),
            skeleton=skeleton,
            finished=finished,
            other={key: value for key, value in self.content.items() if key not in FIELDS},
        )

    def _image(self) -> str:
        image = self.content.get("image")
        if not isinstance(image, str) or not image.strip() or "\0" in image:
            raise self.fault("image", f"not the path of an image: {shortened(image)}")
        place = PurePosixPath(image)
        if place.is_absolute() or ".." in place.parts:
            raise self.fault(
                "image", f"{shortened(image)} leads out of the folder of images", "write it relative to it"
            )
        return place.as_posix()

    def _size(self) -> Size:
        stated = self.content.get("image_size")
        sides: list[Any] = [stated.get(side) for side in ("height", "width")] if isinstance(stated, dict) else []
        if len(sides) != 2 or not all(is_number(side) and side == int(side) and side >= 1 for side in sides):
            remedy = 'write {"width": W, "height": H} in whole pixels'
            raise self.fault("image_size", f"not a size: {shortened(stated)}", remedy)
        height, width = map(int, sides)
        return height, width

    def _points(self) -> tuple[FloatArray, NDArray[np.int64]]:
        places = self.content["landmarks"]
        if not isinstance(places, list):
            raise self.fault("landmarks", f"must be a list of [x, y], got {shortened(places)}")
        points = np.full((len(places), 2), np.nan)
        for number, place in enumerate(places):
            if not isinstance(place, list) or len(place) != 2:
                raise self.fault(f"landmark {number}", f"must be [x, y], got {shortened(place)}")
            if place == [None, None]:
                continue
            if not all(map(is_number, place)):
                reason = f"must be two finite numbers or [null, null], got {shortened(place)}"
                raise self.fault(f"landmark {number}", reason)
            points[number] = place
        return points, self._visible(points)

    def _visible(self, points: FloatArray) -> NDArray[np.int64]:
        placed = ~np.isnan(points[:, 0])
        stated = self.content.get("visible")
        if stated is None:
            visible = np.where(placed, SEEN, UNPLACED).astype(np.int64)
        else:
            known = isinstance(stated, list) and all(
                one is None or (is_number(one) and one in (0, 1)) for one in stated
            )
            if not known or len(stated) != len(points):
                reason = f"must be 0, 1 or null for each of the {len(points)} landmarks, got {shortened(stated)}"
                raise self.fault("visible", reason)
            visible = np.array([UNPLACED if one is None else SEEN * int(one) for one in stated], dtype=np.int64)
        for number in np.flatnonzero((visible > 0) != placed).tolist():
            state = (
                "is marked absent or not placed and has a place"
                if placed[number]
                else "is marked as there, but is null"
            )
            raise self.fault(f"landmark {number}", state, "absent ones have visible 0 and the landmark [null, null]")
        hidden = self.content.get("hidden", [])
        if not isinstance(hidden, list) or not all(type(one) is int and 0 <= one < len(points) for one in hidden):
            raise self.fault("hidden", f"must be numbers of landmarks, 0 to {len(points) - 1}, got {shortened(hidden)}")
        for number in hidden:
            if visible[number] <= 0:
                raise self.fault("hidden", f"landmark {number} is hidden and not placed", "place it, or mark it absent")
            visible[number] = HIDDEN
        return visible

    def _box(self) -> tuple[float, float, float, float] | None:
        box = self.content.get("bbox")
        if box is None:
            return None
        if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)) or min(box[2:]) <= 0:
            reason = f"must be [x, y, width, height] with a size above 0, got {shortened(box)}"
            raise self.fault("bbox", reason)
        x, y, width, height = map(float, box)
        return x, y, width, height


def _plain(value: Any) -> int | float:
    """A number as people write it: 12 rather than 12.0."""
    number = float(value)
    return int(number) if number.is_integer() else number
