"""Annotated faces: everything that is wrong with them by file, the sets of a split, held-out faces."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats import landmarks
from kaname.data.formats.duplicates import same_places
from kaname.data.formats.faces import rows_of
from kaname.data.formats.files import read_text
from kaname.data.formats.landmarks import UNPLACED, Annotation, Located
from kaname.data.formats.skeleton import Skeleton, swapped_pairs
from kaname.data.parts import deal, together
from kaname.data.sidecars import series_of
from kaname.data.split import alike, prints
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Size

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Face:
    """One annotated face.

    Attributes:
        image: its image file.
        name: of its annotation file, relative to the folder of annotations.
        points: ``(N, 2)`` continuous pixels of the image, NaN where absent.
        visible: ``(N,)``: 0 absent, 1 hidden, 2 seen.
        box: ``(x1, y1, x2, y2)``, where the file has one.
        size: ``(height, width)`` of the image.
        skeleton: name of what the points are, where the file says.
        series: what the file says that the image belongs to.
    """

    image: Path
    name: str
    points: FloatArray
    visible: NDArray[np.int64]
    box: FloatArray | None
    size: Size
    skeleton: str | None
    series: str | None = None


@dataclass(frozen=True)
class Faces:
    """What a folder of annotations holds.

    Attributes:
        faces: the finished ones without a fault, sorted by image.
        unfinished: annotation files of faces that are not finished; they are left out.
        problems: everything else that is wrong, by file.
        double: faces that are annotated twice, by file; they count as they are, and ``check`` reports them.
    """

    faces: list[Face]
    unfinished: list[str]
    problems: list[InputError]
    double: list[InputError] = field(default_factory=list)

    def sound(self) -> list[Face]:
        """The faces; the first problem is raised, and so is a set without a finished face."""
        if self.problems:
            raise self.problems[0]
        if not self.faces:
            reason = f"no finished face ({len(self.unfinished)} unfinished)"
            raise InputError(reason, remedy="finish some with `kaname landmark annotate`")
        for fault in self.double:
            warnings.warn(f"{fault.path}: {fault.reason}; both count", stacklevel=2)
        return self.faces


def read_faces(
    image_dir: Path | None,
    annotation_dir: Path,
    skeleton: Skeleton | None,
    names: Collection[str] | None = None,
) -> Faces:
    """Read and check the annotations of a folder.

    Args:
        image_dir: the folder of the images, with its sub-folders; None leaves out what needs the images.
        annotation_dir: the folder of the annotations.
        skeleton: what every face must have; None leaves out what needs it.
        names: take only these annotation files (of a split), which must be there.
    """
    faces: list[Face] = []
    unfinished: list[str] = []
    wrong: list[InputError] = []
    known: list[Located] = []
    for one in landmarks.walk(annotation_dir, image_dir, skeleton=skeleton, only=names):
        if isinstance(one, InputError):
            wrong.append(one)
        else:
            known.append(one)
    faulty = {error.path for error in wrong}
    for one in known:
        file = annotation_dir / one.name if annotation_dir.is_dir() else annotation_dir
        if str(file) not in faulty:  # of another size, say: its points would all be wrong for that one reason
            wrong += [*_wrong_points(file, one, skeleton), *_wrong_box(file, one)]
        if one.annotation.finished:
            faces.append(face_of(one))
        else:
            unfinished.append(one.name)
    faulty = {error.path for error in wrong}
    place = annotation_dir if annotation_dir.is_dir() else annotation_dir.parent
    sound = [face for face in faces if str(place / face.name) not in faulty]
    return Faces(sound, unfinished, wrong, list(_doubles(known, annotation_dir)))


def _doubles(known: Sequence[Located], place: Path) -> Iterator[InputError]:
    """Faces that are annotated twice: every landmark of theirs lies within a pixel of another face's of the image."""
    members: dict[Path, list[Located]] = {}
    for one in known:
        for other in members.setdefault(one.image, []):
            if same_places(one.annotation.points, other.annotation.points):
                file = place / one.name if place.is_dir() else place
                reason = f"the same face as in {other.name}: every landmark lies within a pixel"
                yield InputError(reason, path=file, row="landmarks", remedy="remove one of the two files")
                break
        members[one.image].append(one)


def split_files(folder: Path, annotation_dir: Path | None = None) -> dict[str, list[str]]:
    """The annotation files that ``train.txt``, ``val.txt`` and ``test.txt`` of a folder list; those that are there.

    Args:
        folder: of the lists.
        annotation_dir: where the annotations are; a warning counts the finished ones that no list names, because they
            were made after the split.

    Raises:
        InputError: none of the three is there, or a name comes twice.
    """
    sets: dict[str, list[str]] = {}
    owners: dict[str, str] = {}
    for part in PARTS:
        path = folder / f"{part}.txt"
        if not path.is_file():
            continue
        sets[part] = []
        for row, line in enumerate(read_text(path).splitlines(), 1):
            name = line.strip()
            if name in owners:
                reason = f"{name!r} is also in {owners[name]}.txt"
                raise InputError(reason, path=path, row=row, remedy="split again with `kaname landmark split`")
            if name:
                owners[name] = part
                sets[part].append(name)
    if not sets:
        remedy = "write them with `kaname landmark split`"
        raise InputError("no train.txt, val.txt or test.txt", path=folder, remedy=remedy)
    if annotation_dir is not None and annotation_dir.is_dir():
        found = landmarks.read_folder(annotation_dir)
        finished = {name for name, one in found.items() if isinstance(one, Annotation) and one.finished}
        if others := sorted(finished - set(owners)):
            reason = f"{folder}: {len(others)} finished faces are in none of its lists and take no part"
            warnings.warn(f"{reason} (the first is {others[0]}); split again to use them", stacklevel=2)
    return sets


def split_beside(annotation_dir: Path) -> Path | None:
    """The folder ``datasets`` beside a folder of annotations, where it holds the files of a split."""
    folder = annotation_dir.parent / "datasets"
    return folder if any((folder / f"{part}.txt").is_file() for part in PARTS) else None


def groups_of(
    faces: Sequence[Face], *, compare: bool = True, also: Callable[[Path], Iterable[Hashable]] | None = None
) -> list[list[int]]:
    """Positions of faces that belong on one side of a split: of one image, of near copies, of one series.

    A series is what annotations or the crawler's sidecars name so (``series``, ``parent``, ``pool``), the pages of one
    work (``NAME_p0``, ``NAME_p1``), and posts of one artist whose numbers are neighbours.

    Args:
        faces: any.
        compare: whether images are compared; they must be there.
        also: what else an image shares with those that it belongs together with.

    Raises:
        InputError: an image or a sidecar that cannot be read.
    """
    images = list(dict.fromkeys(face.image for face in faces))
    position = {image: number for number, image in enumerate(images)}
    links = [(one, other) for one, other, _ in alike(prints(images))] if compare else []
    keys: list[list[Hashable]] = [[*own, *(also(image) if also else ())]
                                  for image, own in zip(images, series_of(images), strict=True)]  # fmt: skip
    for face in faces:
        if face.series is not None:
            keys[position[face.image]].append(("series", face.series))
    members: dict[int, list[int]] = {}
    for number, face in enumerate(faces):
        members.setdefault(position[face.image], []).append(number)
    return [sorted(one for image in group for one in members[image]) for group in together(len(images), links, keys)]


def seeded_holdout(
    faces: Sequence[Face], fraction: float = 0.2, seed: int = 0, *, compare: bool = True
) -> tuple[list[Face], list[Face]]:
    """Faces to train on and faces held out, both in the order of ``faces``; what belongs together stays together.

    Raises:
        InputError: nothing would be left on one side.
    """
    held = max(1, int(len(faces) * fraction))
    parts = deal(groups_of(faces, compare=compare), [len(faces) - held, held], seed)
    if not all(parts):
        reason = f"{len(faces)} faces cannot be divided: they are one image, near copies or one series"
        raise InputError(reason, remedy="annotate other images, or give --val-annotation-dir")
    train, val = ([faces[number] for number in part] for part in parts)
    return train, val


def face_of(one: Located) -> Face:
    """The face of a file, in continuous pixels."""
    annotation = one.annotation
    series = annotation.other.get("series")
    return Face(
        image=one.image,
        name=one.name,
        points=PIXELS.from_index(annotation.points),
        visible=np.maximum(annotation.visible, 0),
        box=None if annotation.box is None else rows_of(annotation.box),
        size=annotation.size,
        skeleton=annotation.skeleton,
        series=None if series is None else str(series),
    )


def _wrong_box(file: Path, one: Located) -> Iterator[InputError]:
    """What is wrong with the box of a face."""
    if one.annotation.box is None:
        return
    x1, y1, x2, y2 = rows_of(one.annotation.box).tolist()
    height, width = one.annotation.size
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        remedy = "draw it again, or leave it out: it is made from the landmarks"
        reason = f"the face's box lies outside the image of {width} x {height}"
        yield InputError(reason, path=file, row="bbox", remedy=remedy)


def _wrong_points(file: Path, one: Located, skeleton: Skeleton | None) -> Iterator[InputError]:
    """What is wrong with the points of a face."""
    annotation = one.annotation
    xy = PIXELS.from_index(annotation.points)
    height, width = annotation.size
    named = skeleton is not None and len(xy) == len(skeleton.names)

    def called(number: int) -> str:
        return f"{skeleton.names[number]} ({number})" if skeleton and named else f"point {number}"

    for number in np.flatnonzero(((xy < 0) | (xy > (width, height))).any(axis=1)).tolist():
        x, y = annotation.points[number]
        reason = f"{called(number)} at ({x:g}, {y:g}) lies outside the image of {width} x {height}"
        yield InputError(reason, path=file, row="landmarks", remedy="move it inside, or mark it absent")
    if not annotation.finished:
        return
    missing = np.flatnonzero(annotation.visible == UNPLACED).tolist()
    if missing:
        reason = f"finished without all points: {len(missing)} not placed, the first is {called(missing[0])}"
        yield InputError(reason, path=file, row="finished", remedy="place them, or mark them absent")
    if not (annotation.visible > 0).any():
        reason = "not one of its landmarks is there"
        yield InputError(reason, path=file, row="landmarks", remedy="place some, or remove the file")
    if skeleton is not None and named:
        for left, right in swapped_pairs(xy, skeleton):
            reason = f"{left} lies to the right of {right}: a flip pair the wrong way round"
            yield InputError(reason, path=file, row="landmarks", remedy='exchange them; "left" is left in the image')
