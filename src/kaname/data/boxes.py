"""Boxes of pictures from a file: by picture and frame, Label Studio rectangles or COCO. No torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kaname.data.formats import boxes as tables
from kaname.data.formats import coco, labelstudio
from kaname.data.formats.files import image_files, read_json
from kaname.data.video import folder_images, is_video
from kaname.errors import InputError
from kaname.types import FloatArray, Frame, Sample

DRAW = "draw a rectangle round each of them"

Find: TypeAlias = Callable[[Path, Frame], FloatArray]
"""The boxes ``(N, 4)`` in pixels of one frame of what lies at a path: an image, a video, a folder of frames."""


def is_coco(path: Path) -> bool:
    """Whether a JSON file is a COCO document; Label Studio's is a list."""
    return isinstance(read_json(path), dict)


def read(
    path: Path,
    images: Path,
    *,
    names: Mapping[str, str] | None = None,
    only: Collection[Path] | None = None,
    annotator: str | None = None,
) -> list[Sample]:
    """Images with their boxes.

    Args:
        path: Label Studio JSON or COCO.
        images: their folder.
        names: from a point's label in lower case to its name; any other label is an error. None keeps the labels.
        only: the images that are wanted; the file may then name others, which need not be there.
        annotator: whose annotations to take, where there are several.

    Raises:
        InputError: an unreadable file, images without a box (all are named), or a point of an unknown name.
    """
    if is_coco(path):
        samples = coco.read(path, images=images, only=only)
        samples = samples if names is None else [_renamed(sample, names, path) for sample in samples]
    else:
        samples = labelstudio.read(path, images=images, names=names, only=only, annotator=annotator)
    if not samples and only is None:
        raise InputError("no photographs in this file", path=path, remedy="export the boxes again")
    _refuse_without(path, [sample.image.name for sample in samples if not len(sample.boxes)])
    return samples


def by_file(path: Path, files: Sequence[Path], **named: Any) -> dict[Path, np.ndarray]:
    """The boxes ``(N, 4)`` in pixels of each of some images; ``named`` as in :func:`read`.

    Raises:
        InputError: as :func:`read`, or an image that is not in the file.
    """
    boxes: dict[Path, np.ndarray] = {}
    for folder in dict.fromkeys(file.parent for file in files):
        inside = [file for file in files if file.parent == folder]
        known = {sample.image.resolve(): sample.boxes for sample in read(path, folder, only=inside, **named)}
        boxes |= {file: known[file.resolve()] for file in inside if file.resolve() in known}
    _refuse_without(path, [file.name for file in files if file not in boxes])
    return boxes


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
        path: boxes by picture (`kaname.data.formats.boxes`), Label Studio JSON or COCO.
        sources: what is wanted of it; the file may know others.
        form: what the four numbers of boxes by picture are; by default corners.
        units: of boxes by picture; by default pixels.
        named: as in :func:`read`.

    Raises:
        InputError: an unreadable file, or sources that it does not know (all are named).
    """
    if tables.is_table(content := read_json(path)):
        return _from_table(tables.read(path, form or "xyxy", units or "pixel", content=content), sources)
    if form is not None or units is not None:
        remedy = "leave --box-format and --box-units out"
        raise InputError("COCO and Label Studio files say themselves how boxes are written", path=path, remedy=remedy)
    if videos := [source.name for source in sources if is_video(source)]:
        remedy = f'write {{"{videos[0]}": {{"0": [[x1, y1, x2, y2]]}}}}, by the numbers of its frames'
        raise InputError("a file of boxes of images has none of a video", path=path, row=videos[0], remedy=remedy)
    files = [file for source in sources for file in (folder_images(source) if source.is_dir() else [source])]
    known = by_file(path, files, **named)
    return lambda source, frame: known[source / frame.name if source.is_dir() else source]


def problems(
    path: Path, images: Path, *, names: Mapping[str, str] | None = None, annotator: str | None = None
) -> list[InputError]:
    """Everything that keeps :func:`read` from reading the boxes of a folder of images."""
    walked = coco.walk(path, images, None) if is_coco(path) else labelstudio.walk(path, images, names, annotator)
    faults: list[InputError] = []
    for entry in walked:
        if isinstance(entry, InputError):
            faults.append(entry)
        elif not len(entry.boxes):
            faults.append(InputError("no box", path=path, row=entry.image.name, remedy=DRAW))
    return faults


def unknown_to(path: Path, images: Path, **named: Any) -> list[str]:
    """Names of the images in a folder that are not in a file of boxes; ``named`` as in :func:`read`."""
    known = {sample.image.resolve() for sample in read(path, images, **named)}
    return [image.name for image in image_files(images) if image.resolve() not in known]


def _from_table(table: tables.BoxTable, sources: Sequence[Path]) -> Find:
    """Those of a folder's frame stand under the frame's own name, or by its number under the folder's."""
    unknown: list[str] = []
    for source in sources:
        pictures = folder_images(source) if source.is_dir() and table.of(source) is None else [source]
        unknown += [picture.name for picture in pictures if table.of(picture) is None]
        if source.is_file() and not is_video(source) and table.by_frame(source):
            reason, remedy = "an image has no frames", "write its boxes as a list"
            raise InputError(reason, path=table.path, row=source.name, remedy=remedy)
    _refuse_without(table.path, unknown, 'write "NAME": [[x1, y1, x2, y2], ...] for each, [] where there is none')

    def find(source: Path, frame: Frame) -> FloatArray:
        boxes = (table.of(source / frame.name) if source.is_dir() else None) or table.of(source)
        assert boxes is not None
        return boxes(frame.index, (frame.image.shape[0], frame.image.shape[1]))

    return find


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
