"""Label Studio's JSON export: a list of tasks with key points and rectangles in percent of the image.

Percentages are continuous coordinates (0 = left or top edge, 100 = right or bottom edge), so that pixels are
``percent * original size / 100``. A key point with a choice of its own (``perRegion``) that says ``hidden`` or
``occluded`` is hidden; the box that it is part of (``parentID``) is remembered. ``problems`` lists everything that is
wrong with a file, by task; ``read`` raises the first of them. Formats: labelstud.io/guide/export, older exports with
``completions`` included.
"""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from kaname.data.formats.files import (
    Folder,
    distinct_names,
    faults,
    labels_of_boxes,
    sound,
    visibility,
    write_json,
)
from kaname.data.formats.labelstudio_names import source_path
from kaname.data.formats.labelstudio_task import EXPORT, TaskReader, kind_of, label_of_box
from kaname.data.formats.listed import read_listed
from kaname.data.formats.partners import RIVAL, Entry, rivals, wanted
from kaname.data.formats.units import doubted
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.types import FloatArray, Sample, Size

_QUOTED = {"%": "%25", "?": "%3F", "#": "%23"}  # characters of a file name that mean something in a URL


def read(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    annotator: int | str | None = None,
    only: Collection[Path] | None = None,
) -> list[Sample]:
    """The annotated images of an export, in its order.

    Args:
        path: the JSON file.
        images: the folder of the images. Then every image must exist there and have the size that was annotated.
            Without it, images are looked for next to the file (``.``, ``images``, ``../images``), and one that is
            not there keeps its bare name.
        names: from a key point's label in lower case to the name wanted (``{"start notch": "start"}``); any other
            label is an error. None keeps the labels of the file.
        annotator: whose annotation to take (id or e-mail), where there are several.
        only: take only the tasks whose images are these files; the images of the others need not be there, and what
            is wrong with them does not matter.

    Returns:
        Samples with points by name in the order of the labels (visible = 2, hidden ones 1), boxes with labels, the
        size, and in ``meta``: ``task``, ``annotator``, ``file`` (the image as the export names it), ``cancelled``
        (annotations left out because they were cancelled), ``ignored`` (results by type that are neither points nor
        boxes) and, where points are parts of boxes, ``parents`` (by name, for each point the number of its box or -1).

    Raises:
        InputError: the first of ``problems``.
    """
    return sound(walk(Path(path), images, names, annotator, only))


def problems(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    annotator: int | str | None = None,
) -> list[InputError]:
    """Everything that is wrong with an export, in the order of its tasks; takes the arguments of ``read``."""
    return faults(walk(Path(path), images, names, annotator))


def left_out(samples: Sequence[Sample]) -> list[str]:
    """What an export holds besides the points and boxes that were read, by task id, a line for each kind; and images
    that were found only by cutting their names short.

    >>> sample = Sample(Path("a.png"), meta={"task": 7, "cancelled": 1, "ignored": {"choices": 2}})
    >>> left_out([sample])
    ['cancelled annotations left out of task 7', "results of type 'choices' left out of task 7"]
    """
    kinds: dict[str, list[str]] = {}
    cut = [(sample, sample.meta["cut"]) for sample in samples if sample.meta.get("cut")]
    lines = [
        f"{name!r} of task {one.meta['task']} is not there: {one.image.name!r} is taken for it" for one, name in cut
    ]
    for sample in samples:
        if sample.meta.get("cancelled"):
            kinds.setdefault("cancelled annotations", []).append(str(sample.meta["task"]))
        if sample.meta.get("passed_over"):
            reason = "annotations beside the ground truth, or older ones of the same person,"
            kinds.setdefault(reason, []).append(str(sample.meta["task"]))
        for kind in sample.meta.get("ignored", ()):
            kinds.setdefault(f"results of type {kind!r}", []).append(str(sample.meta["task"]))
    return lines + [f"{what} left out of task{'s' * (len(ids) > 1)} {', '.join(ids)}" for what, ids in kinds.items()]


def labels_of(content: Any) -> Counter[str]:
    """How many boxes of each label an export holds; of what is no export none."""
    tasks = [task for task in content if isinstance(task, dict)] if isinstance(content, list) else []
    lists = [task.get("annotations", task.get("completions")) for task in tasks]
    annotations = [one for given in lists if isinstance(given, list) for one in given if isinstance(one, dict)]
    results = [one["result"] for one in annotations if isinstance(one.get("result"), list)]
    return Counter(label for result in results for one in result if (label := label_of_box(one)) is not None)


def write(
    path: str | PathLike[str],
    samples: Sequence[Sample],
    *,
    names: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> None:
    """Write samples as Label Studio would export them; the same samples give the same bytes.

    Args:
        path: the JSON file.
        samples: points that are missing (NaN or visibility 0) are left out; a sample without a size is measured.
        names: from a point's name to the label in the file (``{"start": "Start Notch"}``); others keep theirs.
        root: the folder of the images: tasks name them by their paths in it.

    Raises:
        InputError: a point or box outside its image, which percentages of 0..100 cannot hold, or two images of one
            name.
    """
    path = Path(path)
    ids = [number for sample in samples if isinstance(number := sample.meta.get("task"), int)]
    if len(set(ids)) < len(samples):
        ids = list(range(1, len(samples) + 1))
    files = distinct_names([sample.image for sample in samples], path, root)
    tasks = [_task_of(*known, names or {}, path) for known in zip(samples, ids, files, strict=True)]
    write_json(path, tasks)


def walk(
    path: Path,
    images: str | PathLike[str] | None,
    names: Mapping[str, str] | None,
    annotator: int | str | None,
    only: Collection[Path] | None = None,
) -> Iterator[Sample | InputError]:
    """Every task's sample or what is wrong with it; takes the arguments of ``read``."""
    return doubted(_walk(path, images, names, annotator, only), path, "percent")


def _walk(
    path: Path,
    images: str | PathLike[str] | None,
    names: Mapping[str, str] | None,
    annotator: int | str | None,
    only: Collection[Path] | None,
) -> Iterator[Sample | InputError]:
    def read_task(position: int, task: Any) -> tuple[TaskReader, Sample | None]:
        reader = TaskReader(path, task, position, folders, names, annotator, required=images is not None)
        sample = reader.sample()
        reader.task = reader.annotation = None  # of all tasks together they are most of the memory
        return reader, sample

    try:
        folders = _folders(path, images)
        tasks = read_listed(path, "", read_task)
        if not isinstance(tasks, list):
            raise InputError(f"not a list of tasks but {kind_of(tasks)}", path=path, remedy=EXPORT)
        if not tasks:
            raise InputError("the list of tasks is empty", path=path, remedy=EXPORT)
    except InputError as error:
        yield error
        return
    files = None if only is None else {file.resolve() for file in only}
    numbers: set[str] = set()
    entries = [Entry(reader.row, source_path(reader.source or ""), reader.image) for reader, _ in tasks]
    others = rivals(entries, folders[0] if images is not None else None)
    for number, ((reader, sample), entry) in enumerate(zip(tasks, entries, strict=True)):
        rival = others.get(number)
        if reader.source and not wanted(entry, rival, files):
            continue
        if reader.row in numbers:
            yield reader.fault("duplicate task id", "export the project again")
        numbers.add(reader.row)
        yield from reader.faults
        if rival is not None:
            yield reader.fault(rival.reason, RIVAL)
        elif sample is not None and not reader.faults:
            yield sample


def _folders(path: Path, images: str | PathLike[str] | None) -> list[Folder]:
    """Where to look for images: in the folder given, else around the file."""
    if images is not None:
        return [Folder(Path(images))]
    around = (path.parent, path.parent / "images", path.parent.parent / "images")
    return [Folder(place) for place in around if place.is_dir()]


def _task_of(sample: Sample, number: int, file: str, names: Mapping[str, str], path: Path) -> dict[str, Any]:
    """One task as Label Studio exports it: an upload, or a file of its local storage where ``file`` has folders."""
    name = "".join(_QUOTED.get(sign, sign) for sign in sample.image.name)
    upload = f"{zlib.crc32(f'{number}/{sample.image.name}'.encode()):08x}-{name}"
    size = image_size(sample.image) if sample.size is None else sample.size
    results: list[dict[str, Any]] = []
    seen = {label: visibility(sample, label) for label in sample.points}
    keys = (f"{zlib.crc32(f'{number}/{position}'.encode()):08x}" for position in itertools.count())
    point_keys = {label: [next(keys) if one else "" for one in visible] for label, visible in seen.items()}
    box_keys = [next(keys) for _ in sample.boxes]
    # A point for each of several boxes: which box it belongs to need not show by where it lies.
    parts = len(box_keys) > 1 and all(len(points) == len(box_keys) for points in sample.points.values())
    for label, visible in seen.items():
        for row in np.flatnonzero(visible > 0).tolist():
            place = {**_percent(sample.points[label][row], size, sample, path), "width": 0.5}
            about = {"id": point_keys[label][row], **({"parentID": box_keys[row]} if parts else {})}
            results.append(_result("keypointlabels", place, names.get(label, label), size) | about)
            if visible[row] == 1:
                results.append(_result("choices", place, "hidden", size) | {"id": about["id"]})
    for label, box, key in zip(labels_of_boxes(sample, path), sample.boxes, box_keys, strict=True):
        corner, end = _percent(box[:2], size, sample, path), _percent(box[2:], size, sample, path)
        extent = {"width": end["x"] - corner["x"], "height": end["y"] - corner["y"]}
        results.append(_result("rectanglelabels", {**corner, **extent, "rotation": 0}, label, size) | {"id": key})
    annotation = {"id": number, "completed_by": 1, "result": results, "was_cancelled": False, "ground_truth": False}
    task: dict[str, Any] = {"id": number, "annotations": [annotation]}
    if "/" in file:
        return task | {"data": {"img": f"/data/local-files/?d={quote(file)}"}}
    return task | {"file_upload": upload, "data": {"img": f"/data/upload/1/{upload}"}}


def _result(kind: str, place: Mapping[str, float], label: str, size: Size) -> dict[str, Any]:
    names = {"keypointlabels": "kp-1", "rectanglelabels": "box-1", "choices": "visibility"}
    return {
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "value": {**place, kind: [label]},
        "from_name": names[kind],
        "to_name": "img-1",
        "type": kind,
        "origin": "manual",
    }


def _percent(xy: FloatArray | tuple[float, float], size: Size, sample: Sample, path: Path) -> dict[str, float]:
    """A position in percent of the image, which it must lie in."""
    x, y = float(xy[0]), float(xy[1])
    height, width = size
    if not (0 <= x <= width and 0 <= y <= height):
        reason = f"({x:g}, {y:g}) of {sample.image.name!r} lies outside its {width} x {height} pixels"
        remedy = "clip boxes and drop points outside before writing Label Studio's format"
        raise InputError(reason, path=path, remedy=remedy)
    return {"x": 100 * x / width, "y": 100 * y / height}
