"""300W's ``.pts``: a file of numbered points for each face, named like its image; the first pixel is (1, 1).

```
version: 1
n_points: 3
{
10.5 20
nan nan
12 22.25
} # {"image": "a.png", "hidden": [2], "box": [4, 6, 30, 40]}
```

A point that is absent is ``nan nan``. The format knows no more than numbers; what else is true of a face stands in a
comment after the closing bracket, which other readers pass over: its image, the numbers (from 0) of hidden points, its
box ``[x, y, width, height]`` in continuous pixels and its skeleton.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.faces import Face, faces_of, named_points, rows_of, sample_of
from kaname.data.formats.files import (
    IMAGE_ENDINGS,
    faults,
    files_below,
    image_size,
    is_number,
    read_text,
    shortened,
    sound,
)
from kaname.data.formats.landmarks_names import ImageFolder, face_file, face_of, file_stems, images_below
from kaname.data.formats.skeleton import Skeleton
from kaname.data.formats.units import doubted
from kaname.errors import InputError
from kaname.files import write_text
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Sample

REMEDY = "write it as 300W does: version, n_points, then a line x y for each point in brackets"
DIGITS = 9  # after the point of a written coordinate
FIRST = 1  # number of the first pixel
NOWHERE = ([0.0, 0.0], [-1.0, -1.0])  # what tools write where there is no point
_FILE = re.compile(r"\s*version:\s*\S+\s+n_points:\s*(\d{1,6})\s*\{([^{}]*)\}(.*)", re.DOTALL)


def read(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> list[Sample]:
    """The images of a folder of ``.pts`` files (with its sub-folders), each with its faces, sorted by name.

    Args:
        path: the folder, or one file.
        images: the folder of the images, by default that of the files. An image is the one that the file names in its
            comment, or the only one of the file's stem.
        skeleton: what the points are called, in their order; by default that of 28 landmarks where the numbers agree,
            else their numbers from 0.

    Returns:
        Samples with one row of ``points[name]`` for each face.

    Raises:
        InputError: the first of ``problems``.
    """
    return sound(walk(path, images, skeleton=skeleton))


def problems(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> list[InputError]:
    """Everything that is wrong with the files; takes the arguments of ``read``."""
    return faults(walk(path, images, skeleton=skeleton))


def walk(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> Iterator[Sample | InputError]:
    """Every image's sample, or what is wrong with a file; the arguments are ``read``'s."""
    return doubted(_walk(Path(path), images, skeleton), Path(path), "index")


def _walk(path: Path, images: str | PathLike[str] | None, skeleton: Skeleton | None) -> Iterator[Sample | InputError]:
    place = path if path.is_dir() else path.parent
    try:
        files = [path / name for name in files_below(path, (".pts",), "")] if path.is_dir() else [path]
        if not files:
            raise InputError("no .pts file in this folder", path=path, remedy="check the path")
        folder = ImageFolder(place if images is None else Path(images))
    except InputError as error:
        yield error
        return
    stems: dict[Path, list[Path]] = {}
    for name in images_below(folder.path):
        stems.setdefault(Path(name).with_suffix(""), []).append(folder.path / name)
    known: dict[Path, tuple[list[Face], tuple[str, ...]]] = {}
    for file in files:
        try:
            image, face, names = _face(file, place, folder, stems, skeleton)
            faces, before = known.setdefault(image, ([], names))
            if names != before or any(face.number == one.number for one in faces):
                reason = f"{image.name!r} has another file for this face, or faces of other points"
                raise InputError(
                    reason, path=file, remedy="further faces are called NAME.face2.pts, NAME.face3.pts, ..."
                )
            faces.append(face)
        except InputError as error:
            yield error
    for image, (faces, names) in known.items():
        if len(faces) > 1 and any(face.box is None for face in faces):
            remedy = 'add the comment } # {"box": [x, y, width, height]} to each'
            yield InputError(f"{len(faces)} faces, not all with a box", path=place / str(faces[0].name), remedy=remedy)
        else:
            yield sample_of(image, sorted(faces, key=lambda face: face.number), names)


def write(
    path: str | PathLike[str],
    samples: Sequence[Sample],
    *,
    skeleton: Skeleton | None = None,
    root: Path | None = None,
) -> None:
    """Write a file for each face of the samples; the same samples give the same bytes.

    Args:
        path: the folder; or, of one face, its ``.pts`` file.
        samples: with one point of a name for each box, or one in all where there is no box.
        skeleton: the order of the points. By default that of 28 landmarks where it has all the names, else the order
            in the samples.
        root: the folder of the images.

    Raises:
        InputError: names that the skeleton lacks, several points of one name in a face, two images of one name.
    """
    path = Path(path)
    faces = faces_of(samples, path, skeleton, root)
    one_file = path.suffix.lower() == ".pts"
    if one_file and len(faces) != 1:
        raise InputError(f"one file for {len(faces)} faces", path=path, remedy="name a folder")
    stems = file_stems(face.file for face in faces)
    for face in faces:
        name = face_file(stems[face.file], face.number, ".pts")
        write_text(path if one_file else path / name, _text(face))


def _text(face: Face) -> str:
    xy = PIXELS.to_index(face.points) + FIRST
    rows = [f"{_number(x)} {_number(y)}" for x, y in xy.tolist()]
    comment: dict[str, Any] = {"image": face.file}
    if hidden := np.flatnonzero(face.visible == 1).tolist():
        comment["hidden"] = hidden
    if (box := face.box_sides(DIGITS)) is not None:
        comment["box"] = box
    if face.skeleton is not None:
        comment["skeleton"] = face.skeleton
    head = ["version: 1", f"n_points: {len(rows)}", "{"]
    return "\n".join([*head, *rows, f"}} # {json.dumps(comment, ensure_ascii=False)}"]) + "\n"


def _number(value: float) -> str:
    number = round(value, DIGITS)
    return "nan" if np.isnan(number) else str(int(number)) if number.is_integer() else repr(number)


def _face(
    file: Path, place: Path, folder: ImageFolder, stems: Mapping[Path, list[Path]], skeleton: Skeleton | None
) -> tuple[Path, Face, tuple[str, ...]]:
    """The image, the face and the names of its points."""
    points, comment = _content(file)
    image = _image(file, place, folder, stems, comment.get("image"))
    stated = comment.get("skeleton")
    hidden, box = comment.get("hidden", []), comment.get("box")
    visible = np.where(np.isnan(points).any(axis=1), 0, 2).astype(np.int64)
    wrong = not isinstance(hidden, list) or not all(type(one) is int and 0 <= one < len(points) for one in hidden)
    boxed = box is None or (isinstance(box, list) and len(box) == 4 and all(map(is_number, box)) and min(box[2:]) >= 0)
    if wrong or not boxed or not (stated is None or isinstance(stated, str)):
        raise InputError(f"not a comment of a face: {shortened(comment)}", path=file, remedy="mend or remove it")
    visible[hidden] = np.minimum(visible[hidden], 1)
    try:
        names = named_points(len(points), skeleton, stated)
    except InputError as error:
        raise InputError(error.reason, path=file, remedy=error.remedy) from error
    name = file.relative_to(place).as_posix()
    face = Face(
        file=image.relative_to(folder.path).as_posix(),
        size=image_size(image),
        points=PIXELS.from_index(points - FIRST),
        visible=visible,
        box=None if box is None else rows_of(box),
        skeleton=stated or (skeleton.name if skeleton else None),
        name=name,
        number=face_of(Path(name).stem),
    )
    return image, face, names


def _content(file: Path) -> tuple[FloatArray, dict[str, Any]]:
    """The points as the file has them, and its comment."""
    text = read_text(file)
    match = _FILE.fullmatch(text)
    if match is None:
        reason = "not a .pts file" if text.strip() else "the file is empty"
        raise InputError(reason, path=file, remedy=REMEDY)
    first = text[: match.start(2)].count("\n") + 1
    places: list[list[float]] = []
    for row, line in enumerate(match[2].split("\n"), first):
        words = line.split()
        if words:
            places.append(_place(words, file, row))
    if len(places) != int(match[1]):
        reason = f"{len(places)} points, but n_points says {match[1]}"
        raise InputError(reason, path=file, row=2, remedy="copy the file again, or mend the number")
    comment: Any = {}
    after = match[3].strip()
    if after.startswith("# {"):
        try:
            comment = json.loads(after[2:])
        except ValueError as error:
            raise InputError("the comment after the bracket is cut off", path=file, remedy="write it again") from error
    elif after and not after.startswith("#"):
        raise InputError(f"text after the closing bracket: {shortened(after)}", path=file, remedy=REMEDY)
    return np.array(places, dtype=np.float64).reshape(-1, 2), comment


def _place(words: Sequence[str], file: Path, row: int) -> list[float]:
    try:
        place = [float(word) for word in words]
    except ValueError:
        place = []
    if len(place) != 2 or not (all(map(is_number, place)) or np.isnan(place).all()):
        raise InputError(f"not x y: {shortened(' '.join(words))}", path=file, row=row, remedy=REMEDY)
    if place in NOWHERE:
        reason = f"a point at ({place[0]:g}, {place[1]:g}), which tools write where there is none"
        raise InputError(reason, path=file, row=row, remedy="write nan nan, or its place; the first pixel is (1, 1)")
    return place


def _image(file: Path, place: Path, folder: ImageFolder, stems: Mapping[Path, list[Path]], stated: Any) -> Path:
    """The image that the comment names, or the one of the file's stem, in its sub-folder or in the folder itself."""
    if isinstance(stated, str):
        found = None if ".." in Path(stated).parts or Path(stated).is_absolute() else folder.find(stated)
        if found is None:
            reason = f"its image {stated!r} is missing"
            raise InputError(reason, path=file, row="image", remedy=folder.remedy(stated))
        return found
    stem = re.sub(r"\.face\d+$", "", file.stem)
    for where in (file.parent.relative_to(place), Path()):
        known = stems.get(where / stem, [])
        if len(known) == 1:
            return known[0]
        if known:
            listed = " and ".join(one.name for one in known)
            raise InputError(f"{listed} may be its image", path=file, row="image", remedy="move one of them away")
    remedy = f"it is not in {folder.path}"
    raise InputError(f"no image {stem!r} ({', '.join(IMAGE_ENDINGS)})", path=file, row="image", remedy=remedy)
