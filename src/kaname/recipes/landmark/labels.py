"""Data folders of ``landmark``: images with their annotated faces, in sets. No torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import from_dict
from kaname.data.annotations import Face, read_faces, seeded_holdout, split_beside, split_files
from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.files import content_hash
from kaname.geometry.boxes import centre_size, from_centre_size
from kaname.pipeline.labelled import Labelled
from kaname.recipes.landmark import EXTENT_FACTOR
from kaname.recipes.landmark.config import DataSettings, LandmarkConfig
from kaname.types import FloatArray, Size


@dataclass(frozen=True)
class Picture:
    """An image with its annotated faces.

    Attributes:
        image: its file.
        source: its path below the folder of images, by which predictions call it.
        size: ``(height, width)``.
        faces: in the order of their files.
        skeleton: whose points they are.
    """

    image: Path
    source: str
    size: Size
    faces: Sequence[Face]
    skeleton: Skeleton

    @property
    def frames(self) -> tuple[Path, ...]:
        """Its one image."""
        return (self.image,)

    @cached_property
    def boxes(self) -> FloatArray:
        """``(N, 4)`` the box of each face."""
        return np.array([box_of(face) for face in self.faces], dtype=np.float64).reshape(-1, 4)

    def label(self, number: int) -> bytes:
        """What is annotated, for a hash of the data."""
        faces = [(np.round(face.points, 3).tolist(), face.visible.tolist()) for face in self.faces]
        return repr((self.source, faces, np.round(self.boxes, 3).tolist())).encode()


def box_of(face: Face) -> FloatArray:
    """The box of a face ``(4,)``: as annotated, else its landmarks' extent grown to what face detectors draw."""
    if face.box is not None:
        return face.box
    there = face.points[face.visible > 0]
    corners = np.concatenate([there.min(axis=0), there.max(axis=0)])
    centre, sides = centre_size(corners)
    return from_centre_size(centre, np.maximum(sides, 1.0) * EXTENT_FACTOR)


def skeleton_of(data: DataSettings) -> Skeleton:
    """Whose points are annotated.

    Raises:
        InputError: there is no such skeleton.
    """
    return skeletons.find(data.skeleton)


def training_sets(config: LandmarkConfig) -> dict[str, list[Picture]]:
    """The pictures of ``train`` and ``val``.

    Raises:
        InputError: the first problem of the annotations, or nothing to train on.
    """
    data = config.data
    chosen = sets(data, config.train.seed, held_out=data.held_out)
    chosen = {"train": chosen["all"]} if "all" in chosen else chosen  # none held out: the last weights are the best
    if not chosen.get("train"):
        raise InputError("no face to train on", path=data.annotations, remedy="annotate some, or check --split-dir")
    return {name: chosen[name] for name in ("train", "val") if chosen.get(name)}


def sets(data: DataSettings, seed: int, *, held_out: float = 0.0) -> dict[str, list[Picture]]:
    """The pictures of each set: by the lists of a split, by the folder of validation annotations, by holding some out
    (``train`` and ``val``), or without any of these all of them as ``all``.

    Raises:
        InputError: the first problem of the annotations.
    """
    skeleton = skeleton_of(data)

    def read(folder: Path, names: Sequence[str] | None = None) -> list[Face]:
        return read_faces(data.images, folder, skeleton, names).sound()

    place = split_folder(data)
    everyone = [] if place is not None else read(data.annotations)
    if place is not None:
        lists = split_files(place, data.annotations)
        chosen = {name: read(data.annotations, files) for name, files in lists.items() if files}
    elif data.val_annotations is not None:
        held = read(data.val_annotations)
        images = {face.image.resolve() for face in held}
        chosen = {"train": [face for face in everyone if face.image.resolve() not in images], "val": held}
        if count := len(everyone) - len(chosen["train"]):
            reason = f"{count} faces in {data.annotations} belong to validation images and do not train"
            warnings.warn(reason, stacklevel=2)
    elif held_out:
        kept, out = seeded_holdout(everyone, held_out, seed)
        chosen = {"train": kept, "val": out}
    else:
        chosen = {"all": everyone}
    return {name: pictures(faces, data.images, skeleton) for name, faces in chosen.items() if faces}


def pictures(faces: Sequence[Face], images: Path, skeleton: Skeleton) -> list[Picture]:
    """Faces by their images, in the order of their paths."""
    members: dict[Path, list[Face]] = {}
    for face in faces:
        members.setdefault(face.image, []).append(face)
    return [
        Picture(image, image.relative_to(images).as_posix(), group[0].size, group, skeleton)
        for image, group in sorted(members.items())
    ]


def split_folder(data: DataSettings) -> Path | None:
    """The folder of lists: the one that is named, else ``datasets`` beside the annotations where it holds them."""
    if data.split is not None or data.val_annotations is not None:
        return data.split
    return split_beside(data.annotations.resolve())


def labelled(data: Path | None, config: Mapping[str, Any], words: Sequence[str] = ()) -> Labelled:
    """The sets of annotated images to score.

    A whole stored configuration says what was held out. A section ``data`` alone, and other folders in ``words``
    (``images=DIR``, keys of that section), are one set, unless there are lists of a split.
    """
    changes = dict(word.split("=", 1) for word in words)
    stored: dict[str, Any] = {**config["data"], **changes, **({} if data is None else {"images": data})}
    own = "held_out" in config["data"] and not {"images", "annotations"} & set(changes)
    if not own or "split" in changes:
        stored["val_annotations"] = None
    settings = from_dict(DataSettings, stored)
    chosen = sets(settings, config.get("train", {}).get("seed", 0), held_out=settings.held_out if own else 0.0)
    order = ("test", "val", "all", "train")
    named = {"annotations": settings.annotations.resolve().as_posix(), "skeleton": settings.skeleton}
    return Labelled(settings.images, list(chosen), lambda name: chosen[name], order, together=True, named=named)


def digest_of(image: Path) -> str:
    """By what a checkpoint remembers an image: 16 hexadecimal digits of its content's SHA-256."""
    return content_hash(image)[:16]


def telling(sets: Mapping[str, Sequence[Picture]]) -> dict[str, Any]:
    """By set, what tells it from another of its name: how many faces it holds."""
    return {name: {"faces": sum(len(picture.faces) for picture in members)} for name, members in sets.items()}
