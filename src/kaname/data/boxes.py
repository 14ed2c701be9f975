"""Boxes of images from a file of labels: Label Studio rectangles or COCO. No torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats import coco, labelstudio
from kaname.data.formats.files import image_files, read_json
from kaname.errors import InputError
from kaname.types import Sample

DRAW = "draw a rectangle round each of them"


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


def _refuse_without(path: Path, names: Sequence[str]) -> None:
    if names:
        raise InputError(f"no box for {', '.join(names)}", path=path, remedy=DRAW)
