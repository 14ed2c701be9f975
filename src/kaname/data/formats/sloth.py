"""JSON of the labelling tool Sloth, as the key points of the EndoVis tools are published in: a list of images.

``[{"class": "image", "filename": PATH, "annotations": [{"class": POINT, "id": OBJECT, "x": X, "y": Y}, ...]}, ...]``:
coordinates are continuous (those of Qt's scene), an optional ``"occluded": true`` says that a point is hidden. The file
lists every frame of a video in order; those without annotations are *not labelled*. An object's point that is missing
is not labelled either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import Folder, faults, image_size, is_number, read_json, shortened, sound, tails
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.errors import InputError
from kaname.types import Sample

OBJECT = "tool"  # the class of the objects in a skeleton
REMEDY = "it is a list of images with class, filename and annotations"


def read(path: str | PathLike[str], images: str | PathLike[str] | None = None) -> list[Sample]:
    """The labelled frames of a file, in its order.

    Args:
        path: the JSON file.
        images: a folder in which the images lie by any end of the names that the file gives them; None does not look
            for them.

    Returns:
        Samples whose ``points["POINT"]`` have a row for each object, named by ``ids``. ``frame`` is the place of the
        image in the file, from 0; ``visible`` is 2, 1 for a hidden point, or 0 with NaN where the object has none, and
        then ``meta["unlabelled"]`` says so. ``meta["video"]`` is the file's name without its ending.

    Raises:
        InputError: the first of ``problems``.
    """
    return sound(_walk(Path(path), images))


def problems(path: str | PathLike[str], images: str | PathLike[str] | None = None) -> list[InputError]:
    """Everything that is wrong with a file; takes the arguments of ``read``."""
    return faults(_walk(Path(path), images))


def is_sloth(path: Path) -> bool:
    """Whether a JSON file is a list of images with annotations."""
    try:
        _entries(path)
    except InputError:
        return False
    return True


def skeleton_of(path: str | PathLike[str], *, name: str = "") -> Skeleton:
    """A class `OBJECT` with the points of a file in the order of their first appearance, and as many instances as there
    are objects at most in one image.

    Raises:
        InputError: not such a file.
    """
    path = Path(path)
    entries = [entry["annotations"] for entry in _entries(path)]
    points = list(dict.fromkeys(str(one.get("class")) for own in entries for one in own if isinstance(one, dict)))
    most = max((len({str(one.get("id")) for one in own if isinstance(one, dict)}) for own in entries), default=0)
    if not points:
        raise InputError("no point is labelled", path=path, remedy="label some frames first")
    return Skeleton(
        name or path.stem, {OBJECT: Group(tuple(f"{OBJECT}.{one}" for one in points), id=0, instances=most)}
    )


def count_of(path: str | PathLike[str]) -> int:
    """How many frames a file lists, labelled or not."""
    return len(_entries(Path(path)))


def _entries(path: Path) -> list[Mapping[str, Any]]:
    content = read_json(path)
    fine = isinstance(content, list) and content and all(
        isinstance(one, dict) and isinstance(one.get("filename"), str) and isinstance(one.get("annotations"), list)
        for one in content
    )  # fmt: skip
    if not fine:
        raise InputError("not a file of labelled images", path=path, remedy=REMEDY)
    return content


def _walk(path: Path, images: str | PathLike[str] | None) -> Iterator[Sample | InputError]:
    try:
        entries, skeleton = _entries(path), skeleton_of(path)
        folder = None if images is None else Folder(Path(images))
    except InputError as error:
        yield error
        return
    names = [point.removeprefix(f"{OBJECT}.") for point in skeleton.names]
    for frame, entry in enumerate(entries):
        if not entry["annotations"]:
            continue
        name = Path(entry["filename"].replace("\\", "/")).name
        try:
            yield _sample(path, frame, entry, names, folder)
        except InputError as error:
            where = f"image {frame + 1} ({name})"
            yield InputError(error.reason, path=error.path or path, row=error.row or where, remedy=error.remedy)


def _sample(path: Path, frame: int, entry: Mapping[str, Any], names: Sequence[str], folder: Folder | None) -> Sample:
    image = Path(entry["filename"].replace("\\", "/"))
    size = None
    if folder is not None:
        found = folder.find(tails(entry["filename"]))
        if found is None:
            raise InputError(
                f"no image {image.name!r} in {folder.path}", remedy="name the folder of the images (--images)"
            )
        image, size = found, image_size(found)
    marks: dict[tuple[str, str], tuple[float, float, bool]] = {}
    for one in entry["annotations"]:
        point, owner = str(one.get("class")), str(one.get("id"))
        x, y = one.get("x"), one.get("y")
        if not is_number(x) or not is_number(y):
            raise InputError(f"{point} of {owner} is at {shortened((x, y))}", remedy="write numbers, or remove it")
        if (owner, point) in marks:
            raise InputError(f"{point} of {owner} is labelled twice", remedy="remove one of the two from the file")
        if size is not None and not (0 <= x <= size[1] and 0 <= y <= size[0]):
            reason = f"{point} of {owner} at ({x:g}, {y:g}) lies outside the image of {size[1]} x {size[0]}"
            raise InputError(reason, remedy="correct it, or remove it")
        marks[owner, point] = float(x), float(y), bool(one.get("occluded", False))
    ids = sorted({owner for owner, _ in marks})
    points = {name: np.array([marks.get((one, name), (np.nan, np.nan, False))[:2] for one in ids]) for name in names}
    hidden = {
        name: np.array([one in ids and marks.get((one, name), (0, 0, False))[2] for one in ids]) for name in names
    }
    lost = {name: np.isnan(xy).any(axis=1) for name, xy in points.items()}
    visible = {name: np.where(lost[name], 0, np.where(hidden[name], 1, 2)).astype(np.int64) for name in names}
    unlabelled = {name: one.tolist() for name, one in lost.items() if one.any()}
    meta = {"video": path.stem, **({"unlabelled": unlabelled} if unlabelled else {})}
    return Sample(image=image, points=points, visible=visible, size=size, ids=ids, frame=frame, meta=meta)
