"""Annotated faces: a folder with a JSON file for each face, as ``kaname landmark annotate`` writes it.

`kaname.data.formats.landmarks_file` says what a file holds, `kaname.data.formats.landmarks_names` how it is called.
Files hold pixel indices, samples continuous pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.faces import Face, faces_of, named_points, rows_of, sample_of
from kaname.data.formats.files import faults, image_size, size_remedy, sound
from kaname.data.formats.landmarks_file import (
    ABSENT,
    HIDDEN,
    SEEN,
    UNPLACED,
    Annotation,
    is_annotation,
    is_sidecar,
    read_annotation,
    write_annotation,
)
from kaname.data.formats.landmarks_names import (
    ImageFolder,
    annotation_names,
    face_file,
    face_of,
    file_name,
    file_stems,
    images_below,
    read_folder,
)
from kaname.data.formats.skeleton import Skeleton
from kaname.data.formats.units import pixel_remedy
from kaname.errors import InputError, located
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Sample

__all__ = [
    "ABSENT",
    "HIDDEN",
    "SEEN",
    "UNPLACED",
    "Annotation",
    "Located",
    "annotation_names",
    "face_file",
    "face_of",
    "file_name",
    "file_stems",
    "images_below",
    "is_annotation",
    "is_sidecar",
    "problems",
    "read",
    "read_annotation",
    "read_folder",
    "walk",
    "write",
    "write_annotation",
]

DIGITS = 6  # after the point of a written coordinate: ways through other formats leave no trace


@dataclass(frozen=True)
class Located:
    """An annotated face, the name of its file in the folder, and its image."""

    name: str
    annotation: Annotation
    image: Path


def read(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> list[Sample]:
    """The annotated images of a folder, each with its faces, sorted by name.

    Args:
        path: the folder, or the file of one face.
        images: the folder of the images; every one must be there and have the size that was annotated. Without it the
            names of the files are kept.
        skeleton: what the points are called. By default the skeleton that a file names, or else the one of 28
            landmarks where the numbers agree; points without names are called by their numbers.

    Returns:
        Samples whose ``points[name]`` ``(M, 2)`` and ``visible[name]`` ``(M,)`` have a row for each face, with
        ``boxes`` where the faces have them. ``meta``: ``files`` (of the faces), ``skeleton`` (its name), ``finished``
        (of each face), ``unplaced`` (names, of each face) and ``other`` (further fields of each file).

    Raises:
        InputError: the first of ``problems``.
    """
    by_image: dict[Path, list[Located]] = {}
    for one in sound(walk(path, images, skeleton=skeleton)):
        by_image.setdefault(one.image, []).append(one)
    common = {len(one.annotation.points) for group in by_image.values() for one in group}
    if len(common) > 1:
        counts = " and ".join(map(str, sorted(common)))
        raise InputError(f"faces of {counts} points in one folder", path=path, remedy="convert each kind on its own")
    with located(path):
        return [_sample(image, group, skeleton) for image, group in by_image.items()]


def problems(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> list[InputError]:
    """Everything that is wrong with the files of a folder; takes the arguments of ``read``."""
    return faults(walk(path, images, skeleton=skeleton))


def walk(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
    only: Collection[str] | None = None,
) -> Iterator[Located | InputError]:
    """Every face, sorted by image and number, or what is wrong with its file; nothing is left out.

    The arguments are ``read``'s; ``only``: take only the files of these names, which must be there.
    """
    found = list(_walk(Path(path), images, skeleton, only))
    places = [(one.annotation.points, one.annotation.size) for one in found if isinstance(one, Located)]
    if remedy := pixel_remedy(places, whole=True):
        reason = f"all landmarks lie in {remedy[0]}, and pixels are meant"
        yield InputError(reason, path=path, remedy=remedy[1])
    yield from found


def _walk(
    path: Path, images: str | PathLike[str] | None, skeleton: Skeleton | None, only: Collection[str] | None
) -> Iterator[Located | InputError]:
    try:
        folder = None if images is None else ImageFolder(Path(images))
        found = read_folder(path) if path.is_dir() else {path.name: read_annotation(path)}
        if not found:
            raise InputError(
                "no annotation in this folder", path=path, remedy="check the path, or annotate some images"
            )
    except InputError as error:
        yield error
        return
    place = path if path.is_dir() else path.parent
    for name in sorted(set(only or ()) - set(found)):
        yield InputError("the annotation is missing", path=place / name, remedy="split the folder again")
    chosen = {name: one for name, one in found.items() if only is None or name in only}
    counts: dict[str, int] = {}
    for one in found.values():
        if isinstance(one, Annotation):
            counts[one.image] = counts.get(one.image, 0) + 1
    owners: dict[tuple[Path, int], str] = {}
    for name, one in sorted(chosen.items(), key=_by_image):
        if isinstance(one, InputError):
            yield one
            continue
        file = place / name
        yield from _wrong(file, one, skeleton, counts[one.image])
        image = Path(one.image) if folder is None else folder.find(one.image)
        owner = owners.setdefault((image or Path(one.image), face_of(name)), name)
        if owner != name:
            remedy = "keep one of them; further faces of an image are called NAME.face2.json, NAME.face3.json, ..."
            yield InputError(f"{owner} is of the same face of {one.image!r}", path=file, remedy=remedy)
        if image is None:
            remedy = "" if folder is None else folder.remedy(one.image)
            yield InputError(f"the image {one.image!r} is missing", path=file, row="image", remedy=remedy)
            continue
        if folder is not None and (fault := _other_size(file, one, image)):
            yield fault
        yield Located(name, one, image)


def write(
    path: str | PathLike[str],
    samples: Sequence[Sample],
    *,
    skeleton: Skeleton | None = None,
    root: Path | None = None,
) -> None:
    """Write a file for each face of the samples; the same samples give the same bytes.

    Args:
        path: the folder; or, of one face, its ``.json`` file.
        samples: with one point of a name for each box, or one in all where there is no box.
        skeleton: the order of the points. By default the one of 28 landmarks where it has all the names, else the
            order in the samples.
        root: the folder of the images: files name them by their paths in it.

    Raises:
        InputError: names that the skeleton lacks, several points of one name in a face, two images of one name.
    """
    path = Path(path)
    faces = faces_of(samples, path, skeleton, root)
    one_file = path.suffix.lower() == ".json"
    if one_file and len(faces) != 1:
        raise InputError(f"one file for {len(faces)} faces", path=path, remedy="name a folder")
    stems = file_stems(face.file for face in faces)
    for face in faces:
        xy = np.round(PIXELS.to_index(face.points), DIGITS)
        annotation = Annotation(
            image=face.file,
            size=face.size,
            points=np.where(face.visible[:, None] > 0, xy, np.nan),
            visible=face.visible,
            box=face.box_sides(DIGITS),
            skeleton=face.skeleton,
            finished=face.finished,
            other=face.other,
        )
        kept = face.name if face.name and face.name.endswith(".json") else None
        name = kept or face_file(stems[face.file], face.number)
        write_annotation(path if one_file else path / name, annotation)


def _by_image(entry: tuple[str, Annotation | InputError]) -> tuple[str, int, str]:
    name, one = entry
    return (one.image if isinstance(one, Annotation) else name, face_of(name), name)


def _wrong(file: Path, one: Annotation, skeleton: Skeleton | None, faces: int) -> Iterator[InputError]:
    """What is wrong with a face beside its image."""
    if skeleton is not None and one.skeleton not in (None, skeleton.name):
        reason = f"annotated with the skeleton {one.skeleton!r}, not {skeleton.name!r}"
        yield InputError(reason, path=file, row="skeleton", remedy=f"give --skeleton {one.skeleton}")
    elif skeleton is not None and len(one.points) != len(skeleton.names):
        reason = f"{len(one.points)} landmarks, but {skeleton.name!r} has {len(skeleton.names)} points"
        yield InputError(reason, path=file, row="landmarks", remedy="annotate it again, or give another --skeleton")
    if faces > 1 and one.box is None:
        reason = f"{faces} faces of {one.image!r}, and this one has no bbox"
        yield InputError(reason, path=file, row="bbox", remedy='write "bbox": [x, y, width, height] of the face')
    if len(nowhere := _nowhere(one.points)):
        several = f"{len(nowhere)} landmarks lie" if len(nowhere) > 1 else f"landmark {nowhere[0]} lies"
        reason = f"{several} at (0, 0), which tools write where there is none"
        yield InputError(reason, path=file, row="landmarks", remedy="mark what is absent so, or give its place")


def _nowhere(points: FloatArray) -> NDArray[np.intp]:
    """The points ``(N, 2)`` at pixel (0, 0), where these are several or one far from all others: a landmark may lie in
    the corner of its image."""
    zero = (points == 0).all(axis=1)
    others = points[~zero & np.isfinite(points).all(axis=1)]
    if zero.sum() == 1:
        away = others.min(axis=0).max() > 0.5 * np.ptp(others, axis=0).max() if len(others) > 1 else False
        zero &= away
    return np.flatnonzero(zero)


def _other_size(file: Path, one: Annotation, image: Path) -> InputError | None:
    try:
        true = image_size(image)
    except InputError as error:
        return InputError(f"its image {one.image!r}: {error.reason}", path=file, row="image", remedy=error.remedy)
    if true == one.size:
        return None
    stated = f"annotated at {one.size[1]} x {one.size[0]}, but {one.image!r} has {true[1]} x {true[0]} pixels"
    return InputError(stated, path=file, row="image_size", remedy=size_remedy(image, one.size, true))


def _sample(image: Path, group: Sequence[Located], skeleton: Skeleton | None) -> Sample:
    first = group[0].annotation
    names = named_points(len(first.points), skeleton, first.skeleton)
    faces = [
        Face(
            file=one.annotation.image,
            size=one.annotation.size,
            points=PIXELS.from_index(one.annotation.points),
            visible=one.annotation.visible,
            box=None if one.annotation.box is None else rows_of(one.annotation.box),
            skeleton=one.annotation.skeleton or (skeleton.name if skeleton else None),
            finished=one.annotation.finished,
            other=one.annotation.other,
            name=one.name,
            number=face_of(one.name),
        )
        for one in group
    ]
    return sample_of(image, faces, names)
