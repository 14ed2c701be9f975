"""A small data set of ``roimask`` in the documented folders: crowded scenes with exact masks, and an extractor.

``data/images/train2017`` and ``val2017`` hold the pictures, ``data/annotations`` the three COCO files of each (full,
``_500`` and ``_100``: the first 500 and 100 images, at most a half and a quarter of them, at least four), and
``ext_extractor`` a small network in the place of the documented one (`kaname.samples.extractor`). Masks are polygons
along the edges of pixels; those with a hole are run lengths. The first image of each part has a crowd (with run
lengths as a list), a mask with a hole, and one that has run lengths without need.

Adding a new look: add a branch to ``kaname.samples.crowd``; every picture of a given seed changes then, so say so in
the change log.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codecs.mask_regions import Region, outlines
from ..data.formats import rle
from ..extras import require_package
from ..files import whole_folder, write_text
from ..types import Size
from .crowd import Scene, render
from .extractor import NAME, write_extractor
from .writing import SIDE, check_ranges, save_jpeg

SUBSETS = {"": (None, 1), "_500": (500, 2), "_100": (100, 4)}  # at most so many, and so small a part
LEAST = 4
PEOPLE = (1, 2, 3, 5)  # in the first images of each part, as in those of the validation's picture
MOST = 8


def scene(seed: int, part: int, index: int, size: Size) -> Scene:
    """Image ``index`` of the training (0) or validation (1) part; every third one is upright."""
    rng = np.random.default_rng([seed, part, index])
    height, width = size[::-1] if index % 3 == 2 else size
    count = PEOPLE[index] if index < len(PEOPLE) else int(rng.integers(2, MOST + 1))
    first = index == 0
    return render(rng, (height, width), 4 if first and part == 0 else count, crowd=first, hoop=first)


def write(
    folder: str | os.PathLike[str], *, count: int = 16, val_count: int = 8, size: Size = (480, 640), seed: int = 0
) -> Path:
    """Write the data set and return its folder; image i of a part depends on ``(seed, part, i)`` alone.

    Args:
        folder: one that does not exist yet or is empty.
        count: number of training images, at least 1.
        val_count: number of validation images, at least 1.
        size: ``(height, width)`` of the images; every third one has them swapped.
        seed: 0 or more.

    Raises:
        InputError: a value outside its range, or the folder holds something already.
    """
    require_package("onnx", "the extractor beside the images")  # before minutes of rendering
    check_ranges({"count": (count, 1, math.inf), "validation count": (val_count, 1, math.inf)})
    check_ranges({"seed": (seed, 0, math.inf), "height": (size[0], *SIDE), "width": (size[1], *SIDE)})
    with whole_folder(folder) as out:
        for part, (name, images) in enumerate((("train", count), ("val", val_count))):
            _write_part(Path(out) / "data", name, [(seed, part, index) for index in range(images)], size)
        write_extractor(Path(out) / "ext_extractor" / NAME)
    return Path(folder)


def _write_part(data: Path, name: str, keys: list[tuple[int, int, int]], size: Size) -> None:
    pictures = data / "images" / f"{name}2017"
    pictures.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, key in enumerate(keys, 1):
        shown = scene(*key, size)
        height, width = shown.image.shape[:2]
        file = f"{number:012d}.jpg"
        save_jpeg(pictures / file, shown.image, 92)
        images.append({"id": number, "file_name": file, "height": height, "width": width})
        for entry in instances(shown, spare_run=number == 1):
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1, **entry})
    for ending, (most, part) in SUBSETS.items():
        kept = min(most or len(images), max(LEAST, len(images) // part), len(images))
        content = {
            "images": images[:kept],
            "annotations": [entry for entry in annotations if entry["image_id"] <= kept],
            "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
        }
        path = data / "annotations" / f"instances_{name}2017_person_only_no_crowd{ending}.json"
        write_text(path, json.dumps(content))


def instances(shown: Scene, *, spare_run: bool = False) -> list[dict[str, Any]]:
    """What a COCO file says about the people of a scene; with ``spare_run`` the first one has run lengths anyway."""
    entries = [_instance(mask, as_run=spare_run and not number) for number, mask in enumerate(shown.people)]
    if shown.crowd.any():
        runs = np.flatnonzero(np.diff(shown.crowd.ravel(order="F"), prepend=False))
        counts = np.diff(runs, prepend=0, append=shown.crowd.size).tolist()
        shape = {"size": list(shown.crowd.shape), "counts": counts}
        entries.append({**_instance(shown.crowd, as_run=True), "segmentation": shape, "iscrowd": 1})
    return entries


def _instance(mask: NDArray[np.bool_], *, as_run: bool) -> dict[str, Any]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    down, across = slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1)
    outer, holes = outlines(Region(down, across, mask[down, across]))
    shape: Any = rle.encode(mask) if holes or as_run else [ring.ravel().tolist() for ring in outer]
    box = [left, top, across.stop - left, down.stop - top]
    return {"bbox": box, "area": int(mask.sum()), "iscrowd": 0, "segmentation": shape}
