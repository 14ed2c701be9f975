"""From samples to the content of a COCO file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import distinct_names, labels_of_boxes, visibility
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import image_size
from kaname.types import FloatArray, Sample

EXTENT = "extent_of_points"  # attribute of a box that nobody drew
USUAL = (EXTENT, "occluded", "rotation", "track_id", "keyframe")  # of every instance that CVAT exports


def attributes_of(entry: Mapping[str, Any]) -> int:
    """How many attributes an instance has besides the usual ones."""
    attributes = entry.get("attributes")
    return len(attributes.keys() - set(USUAL)) if isinstance(attributes, dict) else 0


def is_extent(entry: Mapping[str, Any]) -> bool:
    """Whether nobody drew the box."""
    attributes = entry.get("attributes")
    return isinstance(attributes, dict) and attributes.get(EXTENT) is True


def edges_of(category: Mapping[str, Any]) -> list[list[str]]:
    """The edges of a category's skeleton as names of its key points; those that name none are left out."""
    names, given = category.get("keypoints") or [], category.get("skeleton")
    pairs = [pair for pair in given if isinstance(pair, list) and len(pair) == 2] if isinstance(given, list) else []
    known = range(1, len(names) + 1)
    return [
        [names[end - 1] for end in pair] for pair in pairs if all(type(end) is int and end in known for end in pair)
    ]


def document(
    samples: Sequence[Sample], path: Path, root: Path | None = None, skeleton: Skeleton | None = None
) -> dict[str, Any]:
    """The content of a COCO file; ``path`` is for messages, ``root`` the folder of the images; edges come from the file
    that the samples are of, else from the ``skeleton``."""
    _check(samples, path)
    samples = [_with_box(sample, path) for sample in samples]
    names = _point_names(samples)
    categories = numbers_of(samples, list(names))
    bones = _bones(samples, names, skeleton)
    image_ids = _whole_ids([sample.meta.get("image_id") for sample in samples])
    instance_ids = iter(_whole_ids([_id_of(sample, row) for sample in samples for row in range(len(sample.boxes))]))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    files = distinct_names([sample.image for sample in samples], path, root)
    for number, file, sample in zip(image_ids, files, samples, strict=True):
        height, width = image_size(sample.image) if sample.size is None else sample.size
        images.append({"id": number, "file_name": file, "height": height, "width": width})
        for row in range(len(sample.boxes)):
            label = sample.labels[row]
            entry = {"id": next(instance_ids), "image_id": number, "category_id": categories[label]}
            annotations.append(entry | _instance(sample, row, names[label]))
    return {
        "info": {},  # programs read these two without asking whether they are there
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": label}
            | ({"keypoints": names[label], "skeleton": bones[label]} if names[label] else {})
            for label, number in sorted(categories.items(), key=lambda one: one[1])
        ],
    }


def numbers_of(samples: Sequence[Sample], labels: Sequence[str]) -> dict[str, int]:
    """The number of each label: the one of the file that the samples are of, else the first one that is free.

    >>> numbers_of([Sample(Path(), meta={"categories": {"dog": 1, "cat": 18}})], ["cat", "bird"])
    {'cat': 18, 'bird': 1}
    """
    given: dict[str, Any] = {}
    for sample in samples:
        for label, number in sample.meta.get("categories", {}).items():
            given.setdefault(label, number)
    known = {label: given[label] for label in labels if label in given}
    sound = all(isinstance(number, int) for number in known.values()) and len(set(known.values())) == len(known)
    known = known if sound else {}
    free = (number for number in itertools.count(1) if number not in known.values())
    return {label: known[label] if label in known else next(free) for label in labels}


def _bones(samples: Sequence[Sample], names: Mapping[str, Sequence[str]], skeleton: Skeleton | None) -> Any:
    """For each label the edges between its key points, by their places from 1."""
    given: dict[str, Any] = {}
    for sample in samples:
        for label, edges in sample.meta.get("skeletons", {}).items():
            given.setdefault(label, edges)
    own = [edge for group in skeleton.groups.values() for edge in group.edges] if skeleton else []
    found: dict[str, list[list[int]]] = {}
    for label, points in names.items():
        place = {name: number for number, name in enumerate(points, 1)}
        edges = given.get(label, own)
        found[label] = [[place[end] for end in edge] for edge in edges if all(end in place for end in edge)]
    return found


def _with_box(sample: Sample, path: Path) -> Sample:
    """The sample with a label for each box; points without any box get the box of their extent."""
    boxes, meta = sample.boxes, dict(sample.meta)
    if not len(boxes) and any(len(points) for points in sample.points.values()):
        present = np.concatenate([points[~np.isnan(points).any(axis=1)] for points in sample.points.values()])
        boxes = np.array([[*present.min(axis=0), *present.max(axis=0)] if len(present) else [0.0] * 4])
        meta[EXTENT] = True
        if meta.get("label"):  # of points without a box
            sample = replace(sample, labels=[meta["label"]])
    sample = replace(sample, boxes=boxes, meta=meta, visible={name: visibility(sample, name) for name in sample.points})
    return replace(sample, labels=labels_of_boxes(sample, path))


def _check(samples: Sequence[Sample], path: Path) -> None:
    for sample in samples:
        name = sample.image.name
        if not np.isfinite(sample.boxes).all() or bool((sample.boxes[:, 2:] < sample.boxes[:, :2]).any()):
            raise InputError(f"{name!r} has a box without x1 <= x2, y1 <= y2", path=path, remedy="correct its boxes")
        rows = len(sample.boxes) or int(any(map(len, sample.points.values())))
        for point, xy in sample.points.items():
            if len(xy) != rows:
                count = f"{len(sample.boxes)} box{'es' * (len(sample.boxes) != 1)}"
                remedy = "COCO holds one point of a name for each box; `kaname convert` numbers several (NAME#1, ...)"
                raise InputError(f"{name!r} has {len(xy)} points {point!r} and {count}", path=path, remedy=remedy)


def _point_names(samples: Sequence[Sample]) -> dict[str, list[str]]:
    """For each label its key point names: those that an instance of it has, and those that no instance has."""
    every = dict.fromkeys(name for sample in samples for name in sample.points)
    shown: dict[str, set[str]] = {}
    for sample in samples:
        for row, label in enumerate(sample.labels):
            mine = shown.setdefault(label, set())
            mine.update(name for name, seen in sample.visible.items() if seen[row] > 0)
    nowhere = set(every).difference(*shown.values()) if shown else set()
    return {label: [name for name in every if name in mine or name in nowhere] for label, mine in shown.items()}


def _instance(sample: Sample, row: int, names: Sequence[str]) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in sample.boxes[row])
    polygons = sample.polygons[row] if row < len(sample.polygons) else []
    shape: Any = [[float(value) for value in np.ravel(polygon)] for polygon in polygons]
    rle = sample.meta.get("rle")
    if not shape and isinstance(rle, Mapping) and row < len(sample.ids):
        shape = rle.get(sample.ids[row], [])
    area = sum(_area(polygon) for polygon in polygons) if polygons else (x2 - x1) * (y2 - y1)
    area = sample.meta.get("areas", {}).get(_id_of(sample, row), area)
    entry: dict[str, Any] = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": 0, "segmentation": shape}
    if sample.meta.get(EXTENT) or _id_of(sample, row) in sample.meta.get("extents", ()):
        entry["attributes"] = {EXTENT: True}
    if names:
        values: list[float] = []
        for name in names:
            seen = int(sample.visible[name][row]) if name in sample.points else 0
            x, y = PIXELS.to_index(sample.points[name][row]) if seen else (0, 0)
            values += [float(x), float(y), seen]
        entry |= {"keypoints": values, "num_keypoints": sum(seen > 0 for seen in values[2::3])}
    return entry


def _area(polygon: FloatArray) -> float:
    """The shoelace formula."""
    x, y = np.asarray(polygon, dtype=np.float64).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _id_of(sample: Sample, row: int) -> Any:
    return sample.ids[row] if row < len(sample.ids) else None


def _whole_ids(given: Sequence[Any]) -> list[int]:
    """The given ids where they are whole numbers and all different, else 1, 2, 3, ..."""
    if all(isinstance(number, int) for number in given) and len(set(given)) == len(given):
        return list(given)
    return list(range(1, len(given) + 1))
