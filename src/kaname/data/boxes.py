"""Boxes of pictures from a file: by picture and frame, Label Studio, COCO (or a detector's results), YOLO. No torch."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kaname.data.formats import boxes as tables
from kaname.data.formats import coco, coco_results, labelstudio, yolo
from kaname.data.formats.coco import KeyPoints
from kaname.data.formats.duplicates import without_double_boxes
from kaname.data.formats.files import depth, image_files, read_json, same_content
from kaname.data.formats.units import pixel_remedy
from kaname.data.video import folder_images, is_video
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.types import FloatArray, Frame, Sample

DRAW = "draw a rectangle round each of them"
SCORE = 0.5  # of a detector's results, below which boxes are left out where nothing else is asked for

Find: TypeAlias = Callable[[Path, Frame], FloatArray]
"""The boxes ``(N, 4)`` in pixels of one frame of what lies at a path: an image, a video, a folder of frames."""


@dataclass(frozen=True)
class Reading:
    """How a file of boxes is read.

    Attributes:
        names: from a point's label in lower case to its name; any other label is an error. None keeps the labels.
        annotator: whose annotations to take, where there are several.
        label: take only the boxes of this label; needed where there are several.
        keypoints: what COCO's key points are.
        score: leave out boxes of a detector with a lower one; by default `SCORE`.
        bare: an image may have no box; one that a detector's file (its results, YOLO) does not name has none.
    """

    names: Mapping[str, str] | None = None
    annotator: str | None = None
    label: str | None = None
    keypoints: KeyPoints = "index"
    score: float | None = None
    bare: bool = False


def read(path: Path, images: Path, *, only: Collection[Path] | None = None, **how: Any) -> list[Sample]:
    """Images with their boxes; what is left out is said.

    Args:
        path: Label Studio JSON, COCO, a detector's results in COCO's form, or YOLO's folder of label files.
        images: their folder.
        only: the images that are wanted; the file may then name others, which need not be there.
        how: the fields of `Reading`.

    Raises:
        InputError: an unreadable file, boxes of several labels and none chosen, a box without area, images without a
            box (all are named), or a point of an unknown name.
    """
    walked = list(_walk(path, images, Reading(**how), only))
    for one in walked:
        if isinstance(one, InputError):
            raise one
    samples = [one for one in walked if isinstance(one, Sample)]
    if not samples and only is None:
        raise InputError("no photographs in this file", path=path, remedy="export the boxes again")
    lines = labelstudio.left_out([sample for sample in samples if "task" in sample.meta])
    if weak := sum(sample.meta.get("weak", 0) for sample in samples):
        lines.append(f"left out: {weak} boxes with a score below {Reading(**how).score or SCORE:g}")
    for line in [*lines, *(line for sample in samples for line in sample.meta.get("double", ()))]:
        warnings.warn(f"{path}: {line}", stacklevel=1)
    bare = Reading(**how).bare or (only is not None and _of_detector(path))
    _refuse_without(path, [sample.image.name for sample in samples if not (bare or len(sample.boxes))])
    return samples


def by_file(path: Path, files: Sequence[Path], **named: Any) -> dict[Path, np.ndarray]:
    """The boxes ``(N, 4)`` in pixels of each of some images; ``named`` as in :func:`read`.

    Raises:
        InputError: as :func:`read`, an image that is not in the file, or two images that an entry may be about.
    """
    found: dict[Path, Sample] = {}
    for folder in dict.fromkeys(file.parent for file in files):
        inside = [file for file in files if file.parent == folder]
        known = {sample.image.resolve(): sample for sample in read(path, folder, only=inside, **named)}
        found |= {file: known[file.resolve()] for file in inside if file.resolve() in known}
    named_so = {file: str(sample.meta.get("file", sample.image)) for file, sample in found.items()}
    for file in _less_like(named_so, path):
        del found[file]
    boxes = {file: sample.boxes for file, sample in found.items()}
    if boxes and _of_detector(path):
        return {file: boxes.get(file, np.zeros((0, 4))) for file in files}
    _refuse_without(path, [file.name for file in files if file not in found])
    return boxes


def _of_detector(path: Path) -> bool:
    """Whether a file has entries of what was found alone: an image in which nothing was found is not in it."""
    return path.is_dir() or path.suffix.lower() == ".txt" or coco_results.is_results(read_json(path))


def problems(path: Path, images: Path, **how: Any) -> list[InputError]:
    """Everything that keeps :func:`read` from reading the boxes of a folder of images."""
    faults: list[InputError] = []
    for entry in _walk(path, images, Reading(**how), None):
        if isinstance(entry, InputError):
            faults.append(entry)
        elif not len(entry.boxes):
            faults.append(InputError("no box", path=path, row=entry.image.name, remedy=DRAW))
    return faults


def _walk(path: Path, images: Path, how: Reading, only: Collection[Path] | None) -> Iterator[Sample | InputError]:
    """The samples, with the boxes of the one label and without double ones, or what is wrong."""
    try:
        content = None if path.is_dir() or path.suffix.lower() == ".txt" else read_json(path)
    except InputError as error:
        yield error
        return
    least = SCORE if how.score is None else how.score
    counts = Counter[str]()
    if content is None:
        walked = yolo.walk(path, images, only, least)
    elif coco_results.is_results(content):
        walked = coco_results.walk(path, content, images, only, least)
    elif isinstance(content, dict):
        counts = coco.labels_of(content)
        category = how.label if how.label in counts else None
        walked = coco.walk(path, images, category, only, keypoints=how.keypoints)
    else:
        counts = labelstudio.labels_of(content)
        walked = labelstudio.walk(path, images, how.names, how.annotator, only)
    found = list(walked)
    counts = counts or Counter(label for one in found if isinstance(one, Sample) for label in one.labels)
    if (fault := _unclear_label(counts, how.label, path)) is not None:
        yield fault
        return
    for one in found:
        try:
            yield one if isinstance(one, InputError) else _chosen(one, how, path)
        except InputError as error:
            yield error


def _unclear_label(counts: Mapping[str, int], label: str | None, path: Path) -> InputError | None:
    """The error of several labels of which none is chosen, or of one that no box has."""
    known = ", ".join(f"{name!r} ({count})" for name, count in counts.items())
    if label is None and len(counts) > 1:
        remedy = "choose one: --label NAME"
        return InputError(f"boxes of {len(counts)} labels: {known}", path=path, remedy=remedy)
    if label is not None and counts and label not in counts:
        return InputError(f"no box of the label {label!r}", path=path, remedy=f"it has {known}")
    return None


def _chosen(sample: Sample, how: Reading, path: Path) -> Sample:
    """A sample with the boxes of the label alone, each once, and with points by our names."""
    if how.label is not None and any(label != how.label for label in sample.labels):
        sample = rows_of(sample, [row for row, label in enumerate(sample.labels) if label == how.label])
    if "image_id" in sample.meta and how.names is not None:
        sample = _renamed(sample, how.names, path)
    empty = np.flatnonzero((sample.boxes[:, 2:] <= sample.boxes[:, :2]).any(axis=1))
    if len(empty):
        reason = f"box {int(empty[0]) + 1} has no area: {np.round(sample.boxes[empty[0]], 2).tolist()}"
        raise InputError(reason, path=path, row=sample.image.name, remedy="draw it again, or remove it")
    sample, lines = without_double_boxes(sample, path)
    return replace(sample, meta={**sample.meta, "double": lines}) if lines else sample


def _less_like(names: Mapping[Path, str], path: Path) -> list[Path]:
    """The files whose entry is more like another file; two equally like are refused with both names.

    Args:
        names: of the entries, by the file that each was found for.
        path: of boxes, for the message.
    """
    members: dict[str, list[Path]] = {}
    for file, name in names.items():
        members.setdefault(name, []).append(file)
    less: list[Path] = []
    for name, files in members.items():
        ranks = [depth(name, file) for file in files]
        best = [file for file, rank in zip(files, ranks, strict=True) if rank == max(ranks)]
        for other in best[1:]:
            if not same_content(best[0], other):
                remedy = "write its path with the folder"
                raise InputError(f"{name!r} may be {best[0]} or {other}", path=path, row=name, remedy=remedy)
        less += [file for file in files if file not in best]
    return less


def finder(
    path: Path,
    sources: Sequence[Path],
    *,
    form: tables.Format | None = None,
    units: tables.Units | None = None,
    **named: Any,
) -> Find:
    """The boxes that a file has for images, videos and folders of frames.

    Args:
        path: boxes by picture (`kaname.data.formats.boxes`), or what :func:`read` takes.
        sources: what is wanted of it; the file may know others.
        form: what the four numbers of boxes by picture are; by default corners.
        units: of boxes by picture; by default pixels.
        named: as in :func:`read`.

    Raises:
        InputError: an unreadable file, or sources that it does not know (all are named).
    """
    content = None if path.is_dir() or path.suffix.lower() == ".txt" else read_json(path)
    if content is not None and tables.is_table(content):
        table = tables.read(path, form or "xyxy", units or "pixel", content=content)
        return _from_table(table, sources, sure=units is not None)
    if form is not None or units is not None:
        remedy = "leave --box-format and --box-units out"
        raise InputError(
            "COCO, YOLO and Label Studio files say themselves how boxes are written", path=path, remedy=remedy
        )
    if videos := [source.name for source in sources if is_video(source)]:
        remedy = f'write {{"{videos[0]}": {{"0": [[x1, y1, x2, y2]]}}}}, by the numbers of its frames'
        raise InputError("a file of boxes of images has none of a video", path=path, row=videos[0], remedy=remedy)
    files = [file for source in sources for file in (folder_images(source) if source.is_dir() else [source])]
    known = by_file(path, files, **named)
    return lambda source, frame: known[source / frame.name if source.is_dir() else source]


def unknown_to(path: Path, images: Path, **named: Any) -> list[str]:
    """Names of the images in a folder that are not in a file of boxes; ``named`` as in :func:`read`."""
    known = {sample.image.resolve() for sample in read(path, images, **named)}
    return [image.name for image in image_files(images) if image.resolve() not in known]


def _from_table(table: tables.BoxTable, sources: Sequence[Path], *, sure: bool) -> Find:
    """Those of a folder's frame stand under the frame's own name, or by its number under the folder's.

    ``sure``: whether the unit was given, so that it is not doubted.
    """
    unknown: list[str] = []
    names: dict[Path, str] = {}
    seen: list[tuple[FloatArray, tuple[int, int]]] = []
    for source in sources:
        pictures = folder_images(source) if source.is_dir() and table.of(source) is None else [source]
        unknown += [picture.name for picture in pictures if table.of(picture) is None]
        names |= {picture: name for picture in pictures if (name := table.name_of(picture)) is not None}
        for picture in pictures if not sure else ():
            boxes = table.of(picture)
            if boxes is not None and not picture.is_dir() and not is_video(picture):
                size = image_size(picture)
                seen.append((boxes(0, size).reshape(-1, 2), size))
        if source.is_file() and not is_video(source) and table.by_frame(source):
            reason, remedy = "an image has no frames", "write its boxes as a list"
            raise InputError(reason, path=table.path, row=source.name, remedy=remedy)
    _refuse_without(table.path, unknown, 'write "NAME": [[x1, y1, x2, y2], ...] for each, [] where there is none')

    unknown += [f"{picture.name} ({picture})" for picture in _less_like(names, table.path)]
    _refuse_without(table.path, unknown, "write their paths with the folder")
    if remedy := pixel_remedy(seen):
        reason, unit = f"all boxes lie in {remedy[0]}, and pixels are meant", "say --box-units pixel if they are pixels"
        raise InputError(reason, path=table.path, remedy=f"{remedy[1]}; or {unit}")

    def find(source: Path, frame: Frame) -> FloatArray:
        boxes = (table.of(source / frame.name) if source.is_dir() else None) or table.of(source)
        assert boxes is not None
        return boxes(frame.index, (frame.image.shape[0], frame.image.shape[1]))

    return find


def rows_of(sample: Sample, rows: Sequence[int]) -> Sample:
    """The sample with some of its boxes; of a COCO file also with their points alone."""

    def chosen(entries: Sequence[Any]) -> list[Any]:
        return [entries[row] for row in rows] if len(entries) else []

    sample = replace(
        sample,
        boxes=sample.boxes[list(rows)],
        polygons=chosen(sample.polygons),
        labels=chosen(sample.labels),
        ids=chosen(sample.ids),
    )
    if "image_id" not in sample.meta:
        return sample
    points = {name: xy[list(rows)] for name, xy in sample.points.items()}
    return replace(sample, points=points, visible={name: one[list(rows)] for name, one in sample.visible.items()})


def _renamed(sample: Sample, names: Mapping[str, str], path: Path) -> Sample:
    """A COCO sample whose points have our names (one label per name, so rows stay instances)."""
    unknown = sorted(label for label in sample.points if label.strip().lower() not in names)
    if unknown:
        reason, remedy = f"unknown points: {', '.join(map(repr, unknown))}", f"known: {', '.join(sorted(names))}"
        raise InputError(reason, path=path, row=sample.image.name, remedy=remedy)
    labels: dict[str, str] = {}
    for label in sample.points:
        other = labels.setdefault(names[label.strip().lower()], label)
        if other != label:
            reason = f"{other!r} and {label!r} mean the same"
            raise InputError(reason, path=path, row=sample.image.name, remedy="keep one of the names")
    points = {name: sample.points[label] for name, label in labels.items()}
    return replace(sample, points=points, visible={name: sample.visible[label] for name, label in labels.items()})


def _refuse_without(path: Path, names: Sequence[str], remedy: str = DRAW) -> None:
    if names:
        raise InputError(f"no box for {', '.join(names)}", path=path, remedy=remedy)
