"""A detector's results in COCO's form: a list of ``{"image_id", "category_id", "bbox", "score"}`` without images.

An image is found by ``file_name`` where the entries have one, else the ``image_id`` must be the name of its file
without the ending (as a text, or the number that the name is), as YOLO programs write it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import Folder, image_size, is_number, shortened, tails
from kaname.data.formats.landmarks_names import images_below
from kaname.data.formats.partners import RIVAL, Entry, rivals, wanted
from kaname.data.formats.units import doubted
from kaname.errors import InputError
from kaname.types import Sample

REMEDY = "an entry is {image_id, category_id, bbox: [x, y, width, height], score}"


def is_results(content: Any) -> bool:
    """Whether the content of a JSON file is such a list."""
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and "bbox" in content[0]


def walk(
    path: Path, content: list[Any], images: Path, only: Collection[Path] | None = None, least: float = 0.0
) -> Iterator[Sample | InputError]:
    """Every image that has results, or what is wrong with an entry.

    Args:
        path: the file, for messages.
        content: of it.
        images: the folder of the images, with its sub-folders.
        only: take only the images that are these files.
        least: leave out boxes with a lower score; ``meta["weak"]`` counts them.
    """
    return doubted(_walk(path, content, images, only, least), path, "continuous")


def _walk(
    path: Path, content: list[Any], images: Path, only: Collection[Path] | None, least: float
) -> Iterator[Sample | InputError]:
    try:
        finder = _Images(images)
    except InputError as error:
        yield error
        return
    members: dict[str, list[dict[str, Any]]] = {}  # by what the entries call an image
    named: list[Entry] = []
    files = None if only is None else {file.resolve() for file in only}
    for position, entry in enumerate(content, 1):
        try:
            _check(entry)
            name = str(entry.get("file_name", entry["image_id"]))
            if name not in members:
                named.append(Entry(f"entry {position}", name, finder.find(entry)))
            members.setdefault(name, []).append(entry)
        except InputError as error:
            yield InputError(error.reason, path=path, row=f"entry {position}", remedy=error.remedy)
    others = rivals(named, finder.folder)
    for number, one in enumerate(named):
        image, entries, rival = one.image, members[one.source], others.get(number)
        if not wanted(one, rival, files):
            continue
        if rival is not None:
            yield InputError(rival.reason, path=path, row=one.row, remedy=RIVAL)
            continue
        if image is None:
            reason = f"no image {one.source!r} in {images}"
            yield InputError(reason, path=path, row=one.row, remedy="an image_id is its file's name")
            continue
        strong = [one for one in entries if one.get("score") is None or one["score"] >= least]
        boxes = np.array([one["bbox"] for one in strong], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = [str(one.get("category_id", "object")) for one in strong]
        meta = {"file": one.source, "weak": len(entries) - len(strong)}
        shapes = [[] for _ in strong]
        yield Sample(image, size=image_size(image), boxes=boxes, polygons=shapes, labels=labels, meta=meta)


def _check(entry: Any) -> None:
    if not isinstance(entry, dict) or "image_id" not in entry:
        raise InputError(f"not a result: {shortened(entry)}", remedy=REMEDY)
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        what = "a rotated box" if isinstance(box, list) and len(box) in (5, 8) else "not a box"
        raise InputError(f"{what}: {shortened(box)}", remedy=REMEDY)
    if box[2] <= 0 or box[3] <= 0:
        raise InputError(f"a box without area: {box[2]:g} x {box[3]:g}", remedy="leave it out")
    if entry.get("score") is not None and not is_number(entry["score"]):
        raise InputError(f"the score is {shortened(entry['score'])}", remedy=REMEDY)


class _Images:
    """The images below a folder by what results call them."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)
        self.stems: dict[str, list[Path]] = {}
        for name in images_below(path):
            stem = Path(name).stem
            for key in {stem, str(int(stem)) if stem.isdecimal() else stem}:
                self.stems.setdefault(key, []).append(path / name)

    def find(self, entry: dict[str, Any]) -> Path | None:
        if isinstance(entry.get("file_name"), str):
            return self.folder.find(tails(entry["file_name"]))
        found = self.stems.get(str(entry["image_id"]), [])
        if len(found) > 1:
            both = " or ".join(map(str, found[:2]))
            raise InputError(f"image_id {entry['image_id']!r} may be {both}", remedy="give one folder of images")
        return found[0] if found else None
