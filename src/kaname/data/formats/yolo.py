"""Boxes of YOLO's label files: ``labels/a.txt`` for ``images/a.jpg``, a row ``class centre-x centre-y width height``.

The numbers are shares of the image. A sixth number is a score; rows of key points (pose) have ``x y visibility`` for
each after the box. Polygons, rotated boxes (four corners), key points without a visibility and those with a score after
them look alike: they are refused, unless ``kpt_shape`` in ``data.yaml`` says that they are key points. Classes are
called by ``names`` of a ``data.yaml``, ``classes.txt`` or ``obj.names`` beside the labels or above them, else by their
numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import Folder, depth, faults, files_below, image_size, read_text, sound
from kaname.data.formats.landmarks_names import images_below
from kaname.errors import InputError
from kaname.types import FloatArray, Sample

BOX = 5  # numbers of a row: class and box
NOT_LABELS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt", "notes.txt")
NAMES = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt", "obj.names")
ROUNDING = 1e-3  # of a share, by which a box may overstep the edge
WRITE = "write class centre-x centre-y width height, as shares of the image"


def read(path: Path, images: Path, *, only: Collection[Path] | None = None, least: float = 0.0) -> list[Sample]:
    """The images of a folder that have a label file, each with its boxes (``labels``: names of the classes).

    Args:
        path: the folder of label files, with its sub-folders, or one file.
        images: the folder of the images. Where files of one name lie in several folders, the folders of both decide.
        only: take only the images that are these files.
        least: leave out boxes with a lower score; ``meta["weak"]`` counts them.

    Raises:
        InputError: the first fault.
    """
    return sound(walk(path, images, only, least))


def problems(path: Path, images: Path) -> list[InputError]:
    """Everything that is wrong with the files; takes the arguments of ``read``."""
    return faults(walk(path, images))


def walk(
    path: Path, images: Path, only: Collection[Path] | None = None, least: float = 0.0
) -> Iterator[Sample | InputError]:
    """Every image's sample, or what is wrong with its file; takes the arguments of ``read``."""
    try:
        files = label_files(path)
        classes = _Classes(path if path.is_dir() else path.parent)
        pictures = [Folder(images).path / name for name in images_below(images)]
    except InputError as error:
        yield error
        return
    wanted = None if only is None else {file.resolve() for file in only}
    owners, unclear = _owners(files, pictures)
    for image in pictures:
        if wanted is not None and image.resolve() not in wanted:
            continue
        if image in unclear:
            yield unclear[image]
        elif image in owners:
            yield from _read(owners[image], image, classes, least)
    known = {image.stem for image in pictures}
    for file in files if only is None else ():
        if file.stem not in known:
            yield InputError("no image of this name", path=file, remedy=f"it is not in {images}")


def label_files(path: Path) -> list[Path]:
    """The label files of a folder and its sub-folders, or the one file.

    Raises:
        InputError: there is none.
    """
    if path.is_file():
        return [path]
    texts = [path / name for name in files_below(path, (".txt",), "there is no such file or folder")]
    found = [file for file in texts if file.name.lower() not in NOT_LABELS]
    if not found:
        raise InputError("no label file (.txt) in this folder", path=path, remedy="name the folder of YOLO's labels")
    return found


def _owners(files: Sequence[Path], images: Sequence[Path]) -> tuple[dict[Path, Path], dict[Path, InputError]]:
    """The label file of each image, and the images for which two files may be meant."""
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(file.stem, []).append(file)
    claims: dict[Path, list[tuple[int, Path]]] = {}  # of each label file: images by how well they fit
    unclear: dict[Path, InputError] = {}
    for image in images:
        ranked = [(_fit(file, image), file) for file in by_stem.get(image.stem, [])]
        best = [file for rank, file in ranked if rank == max(ranked)[0]]
        if len(best) > 1:
            reason = f"{image.name!r} may be labelled in {best[0]} or in {best[1]}"
            unclear[image] = InputError(reason, path=image, remedy="give the folder of labels of this folder")
        elif best:
            claims.setdefault(best[0], []).append((max(ranked)[0], image))
    owners: dict[Path, Path] = {}
    for file, fits in claims.items():
        first = [image for rank, image in fits if rank == max(fits)[0]]
        if len(first) > 1:
            reason = f"it may be of {first[0]} or of {first[1]}"
            fault = InputError(reason, path=file, remedy="keep labels in folders called like those of the images")
            unclear |= dict.fromkeys(first, fault)
        else:
            owners[first[0]] = file
    return owners, unclear


def _fit(file: Path, image: Path) -> int:
    """How many folders above a label file and an image are called alike."""
    return depth(file.absolute().with_name(image.name).as_posix(), image)


class _Classes:
    """What the classes are called, and how many numbers a key point has, as the files beside the labels say."""

    def __init__(self, place: Path) -> None:
        self.names: dict[int, str] = {}
        self.points: tuple[int, int] | None = None
        places = [place.absolute(), *place.absolute().parents[:2]]
        known = [folder / name for folder in places for name in NAMES if (folder / name).is_file()]
        if not known:
            return
        if known[0].suffix in (".yaml", ".yml"):
            self._from_yaml(known[0])
        else:
            lines = [line.strip() for line in read_text(known[0]).splitlines()]
            self.names = dict(enumerate(filter(None, lines)))

    def _from_yaml(self, path: Path) -> None:
        from kaname.yaml12 import parse_yaml

        content: Any = parse_yaml(read_text(path), path=path)
        names = content.get("names") if isinstance(content, dict) else None
        pairs = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, dict) else ()
        self.names = {int(number): str(name) for number, name in pairs if str(number).isdecimal()}
        shape = content.get("kpt_shape") if isinstance(content, dict) else None
        if isinstance(shape, list) and len(shape) == 2 and all(isinstance(one, int) for one in shape):
            self.points = shape[0], shape[1]

    def name(self, number: int) -> str:
        return self.names.get(number, str(number))


def _read(path: Path, image: Path, classes: _Classes, least: float) -> Iterator[Sample | InputError]:
    """The boxes of one image, or what is wrong with its file."""
    try:
        height, width = image_size(image)
        text = read_text(path)
    except InputError as error:
        yield error
        return
    boxes: list[FloatArray] = []
    labels: list[str] = []
    weak, wrong = 0, False
    for line, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            number, box, score = _row(row.split(), classes)
        except InputError as error:
            wrong = True
            yield InputError(error.reason, path=path, row=line, remedy=error.remedy)
            continue
        if score is not None and score < least:
            weak += 1
            continue
        boxes.append(box * (width, height, width, height))
        labels.append(classes.name(number))
    if not wrong:
        rows = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        meta = {"file": str(path), "weak": weak}
        yield Sample(image, size=(height, width), boxes=rows, polygons=[[] for _ in rows], labels=labels, meta=meta)


def _row(words: Sequence[str], classes: _Classes) -> tuple[int, FloatArray, float | None]:
    """The class, the corners in shares and the score of a row."""
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"not a row of numbers: {' '.join(words)[:60]!r}", remedy=WRITE) from error
    if len(numbers) < BOX or not np.isfinite(numbers).all():
        raise InputError(f"{len(numbers)} numbers, a box has {BOX}", remedy=WRITE)
    if numbers[0] < 0 or numbers[0] != int(numbers[0]):
        raise InputError(f"the class is {words[0]}, not a whole number from 0", remedy=WRITE)
    known = classes.points is not None  # else a score after key points may as well be part of a polygon
    scored = len(numbers) == BOX + 1 or (known and _is_pose(numbers[BOX:-1], classes))
    if len(numbers) > BOX and not (scored or _is_pose(numbers[BOX:], classes)):
        reason = f"{len(numbers)} numbers are a polygon, a rotated box or key points without visibility, not a box"
        raise InputError(reason, remedy="export boxes, or say in data.yaml that they are key points (kpt_shape)")
    x, y, width, height = numbers[1:BOX]
    if not (width > 0 and height > 0):
        raise InputError(f"a box without area: {width:g} x {height:g}", remedy="leave it out")
    box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    if box.min() < -ROUNDING or box.max() > 1 + ROUNDING:
        far = "they look like pixels: divide them by the image's width and height"
        reason = f"the box reaches from {box[:2].min():g} to {box[2:].max():g}, shares lie in 0..1"
        raise InputError(reason, remedy=far if box.max() > 2 else "correct it")
    return int(numbers[0]), np.clip(box, 0, 1), numbers[-1] if scored else None


def _is_pose(rest: Sequence[float], classes: _Classes) -> bool:
    if classes.points is not None:
        return len(rest) == classes.points[0] * classes.points[1] > 0
    return len(rest) > 0 and len(rest) % 3 == 0 and all(value in (0, 1, 2) for value in rest[2::3])
