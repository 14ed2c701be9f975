"""DeepLabCut's CSV of labelled frames: a row for each image, columns x and y for each body part; pixel indices.

Three rows of header (``scorer``, ``bodyparts``, ``coords``), or four for several animals (``individuals`` in second
place, where parts of no animal are of the individual ``single``). An image is named in the first column
(``labeled-data/VIDEO/img012.png``) or, in newer files, in the first three. An empty cell is a point that is *not
labelled*: it may be hidden, out of frame or forgotten; the format does not say.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from kaname.data.formats.files import (
    GREATEST,
    Folder,
    distinct_names,
    faults,
    image_size,
    read_text,
    shortened,
    sound,
    tails,
    visibility,
)
from kaname.data.formats.partners import RIVAL, Entry, rivals
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.data.formats.units import doubted
from kaname.errors import InputError
from kaname.files import write_text
from kaname.geometry.grid import PIXELS
from kaname.types import Sample

SCORER = "kaname"
SINGLE = "single"  # the individual of parts that belong to no animal
ANIMAL = "animal"  # the class of the others in a skeleton
DIGITS = 9  # after the point of a written coordinate
HEADER = "its first rows are scorer, (individuals,) bodyparts, coords"
COORDINATES = ("x", "y")


@dataclass(frozen=True)
class Header:
    """Columns of a file.

    Attributes:
        lines: how many rows the header has.
        index: how many columns name the image.
        columns: individual (empty where the file has no such row), body part, and x or y of each other column.
    """

    lines: int
    index: int
    columns: Sequence[tuple[str, str, str]]

    @property
    def individuals(self) -> list[str]:
        """Each animal once, without `SINGLE`; ``[""]`` where the file has no such row."""
        return [name for name in dict.fromkeys(one for one, _, _ in self.columns) if name != SINGLE]

    def parts(self, *, single: bool = False) -> list[str]:
        """The body parts of the animals, or those of no animal."""
        return list(dict.fromkeys(part for one, part, _ in self.columns if (one == SINGLE) == single))


def read(path: str | PathLike[str], images: str | PathLike[str] | None = None) -> list[Sample]:
    """The labelled images of a file, in its order.

    Args:
        path: the CSV file.
        images: a folder in which the images lie as the file names them, or by any end of that name; by default that of
            the file.

    Returns:
        Samples whose ``points["PART"]`` have a row for each animal (one in a file without ``individuals``), all animals
        in each: ``ids`` are their names, none where there is one. Parts of no animal have one row. ``visible`` is 2, or
        0 with NaN; then ``meta["unlabelled"]`` says by name for each row that it is *not labelled*.
        ``frame`` and ``meta["video"]``: the number that ends the image's name, and the folder's name in it.

    Raises:
        InputError: the first of ``problems``.
    """
    return sound(doubted(_walk(Path(path), images), Path(path), "index"))


def problems(path: str | PathLike[str], images: str | PathLike[str] | None = None) -> list[InputError]:
    """Everything that is wrong with a file; takes the arguments of ``read``."""
    return faults(doubted(_walk(Path(path), images), Path(path), "index"))


def skeleton_of(path: str | PathLike[str], *, name: str = "") -> Skeleton:
    """The skeleton that a file's header tells: a class `ANIMAL` with as many instances as animals, and `SINGLE`.

    Raises:
        InputError: no such header.
    """
    path = Path(path)
    header = _header(_table(path), path)
    groups: dict[str, Group] = {}
    for label, single in ((ANIMAL, False), (SINGLE, True)):
        if parts := header.parts(single=single):
            points = tuple(f"{label}.{part}" for part in parts)
            count = 1 if single else len(header.individuals)
            groups[label] = Group(points, id=len(groups), instances=count)
    return Skeleton(name or path.stem, groups)


def write(path: str | PathLike[str], samples: Sequence[Sample], *, root: Path | None = None) -> None:
    """Write a file; the same samples give the same bytes.

    Args:
        path: ends in ``.csv``.
        samples: with one row of each point, or with the rows of several animals named by ``ids``. Points that are not
            there are left blank; the format knows no hidden ones.
        root: the folder of the images: they are named by their paths in it.

    Raises:
        InputError: no samples, two samples of one image, rows without a name of their own.
    """
    path = Path(path)
    if not samples:
        raise InputError("no samples to write", path=path, remedy="a file has at least one image")
    names = distinct_names([sample.image for sample in samples], path, root)
    parts = list(dict.fromkeys(name for sample in samples for name in sample.points))
    rows = [_animals(sample, path) for sample in samples]
    several = any(len(xy) > 1 for sample in samples for xy in sample.points.values())
    animals = list(dict.fromkeys(animal for row in rows for animal in row)) if several else [""]
    alone = [part for part in parts if several and all(len(one.points.get(part, ())) < 2 for one in samples)]
    owned = [(animal, part) for animal in animals for part in parts if part not in alone]
    owned += [(SINGLE, part) for part in alone]
    columns = [(*one, axis) for one in owned for axis in COORDINATES]
    heads = [("scorer", [SCORER] * len(columns)), ("individuals", [one for one, _, _ in columns])]
    heads += [("bodyparts", [part for _, part, _ in columns]), ("coords", [axis for _, _, axis in columns])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for head, words in heads:
        if several or head != "individuals":
            writer.writerow([head, *words])
    for name, sample, row in zip(names, samples, rows, strict=True):
        writer.writerow([name, *_cells(sample, row | {SINGLE: 0} if several else {"": 0}, owned)])
    write_text(path, text.getvalue())


def _animals(sample: Sample, path: Path) -> dict[str, int]:
    """From an animal's name to its row."""
    count = max((len(xy) for xy in sample.points.values()), default=0)
    names = [str(one) for one in sample.ids] if len(sample.ids) == count else [f"{ANIMAL}{n + 1}" for n in range(count)]
    if len(set(names)) < count:
        reason = f"{sample.image.name!r} has two animals of one name"
        raise InputError(reason, path=path, remedy="give each an id of its own")
    return {name: number for number, name in enumerate(names)}


def _cells(sample: Sample, rows: Mapping[str, int], owned: Sequence[tuple[str, str]]) -> Iterator[str]:
    for animal, part in owned:
        number = rows.get(animal, -1)
        if part not in sample.points or not 0 <= number < len(sample.points[part]):
            there = False
        else:
            there = visibility(sample, part)[number] > 0
        if not there:
            yield from ("", "")
            continue
        for value in PIXELS.to_index(sample.points[part][number]).tolist():
            number_text = round(value, DIGITS)
            yield str(int(number_text)) if float(number_text).is_integer() else repr(number_text)


def _table(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of the file that are not blank, with their lines."""
    text = read_text(path)
    if not text.strip():
        raise InputError("the file is empty", path=path, remedy=HEADER)
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise InputError(f"not a CSV file ({error})", path=path, row=reader.line_num, remedy=HEADER) from error
    return rows


def _header(rows: Sequence[tuple[int, list[str]]], path: Path) -> Header:
    names = ["scorer", "individuals", "bodyparts", "coords"]
    if len(rows) < 2 or rows[1][1][0].strip() != "individuals":
        names.remove("individuals")
    heads: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        line, cells = rows[number] if number < len(rows) else (number + 1, [""])
        if cells[0].strip() != name:
            reason = f"the header's row {number + 1} begins with {shortened(cells[0])}, not with {name!r}"
            raise InputError(reason, path=path, row=line, remedy=HEADER)
        heads[name] = [cell.strip() for cell in cells]
    last, width = rows[len(names) - 1][0], len(heads["coords"])
    if any(len(cells) != width for cells in heads.values()):
        raise InputError("the header's rows differ in length", path=path, row=last, remedy=HEADER)
    index = 3 if heads["coords"][1:3] == ["", ""] else 1
    individuals = heads.get("individuals", [""] * width)
    columns = list(zip(individuals[index:], heads["bodyparts"][index:], heads["coords"][index:], strict=True))
    if "likelihood" in heads["coords"]:
        reason = "a file of predictions, with likelihood"
        raise InputError(reason, path=path, row=last, remedy="give the CSV of labelled frames (CollectedData_...)")
    pairs = list(zip(columns[::2], columns[1::2], strict=False))
    whole = all(one[:2] == other[:2] and (one[2], other[2]) == COORDINATES for one, other in pairs)
    if not columns or len(columns) % 2 or not whole or not all(part for _, part, _ in columns):
        raise InputError("a body part has the columns x and y", path=path, row=last, remedy=HEADER)
    if len({one[:2] for one, _ in pairs}) < len(pairs):
        raise InputError("a body part appears twice", path=path, row=last, remedy="keep one of them")
    header = Header(len(names), index, columns)
    if both := set(header.parts()) & set(header.parts(single=True)):
        reason = f"{min(both)!r} is a part of animals and of {SINGLE}"
        raise InputError(reason, path=path, row=last, remedy="rename one of them")
    return header


def _walk(path: Path, images: str | PathLike[str] | None) -> Iterator[Sample | InputError]:
    try:
        rows = _table(path)
        header = _header(rows, path)
        folder = Folder(path.parent if images is None else Path(images))
        if len(rows) == header.lines:
            raise InputError("no labelled image", path=path, row=rows[-1][0], remedy="label some frames first")
    except InputError as error:
        yield error
        return
    taken: dict[Path, int] = {}
    others = _rivals(rows[header.lines :], header, folder)
    for line, cells in rows[header.lines :]:
        try:
            if line in others:
                raise InputError(others[line], remedy=RIVAL)
            sample = _sample(cells, header, folder)
        except InputError as error:
            yield InputError(error.reason, path=error.path or path, row=error.row or line, remedy=error.remedy)
            continue
        first = taken.setdefault(sample.image, line)
        if first != line:
            reason = f"{sample.image.name!r} is also labelled in line {first}"
            yield InputError(reason, path=path, row=line, remedy="keep one of the rows")
            continue
        yield sample


def _rivals(rows: Sequence[tuple[int, list[str]]], header: Header, folder: Folder) -> dict[int, str]:
    """By line why its image is another row's, unless both rows name it alike."""
    entries: list[Entry] = []
    for line, cells in rows:
        with contextlib.suppress(InputError):  # said where the row is read
            name = _image_name(cells, header)
            entries.append(Entry(f"line {line}", name, folder.find(tails(name))))
    first: dict[str, str] = {}
    found = rivals(entries, folder)
    return {
        int(entry.row.split()[1]): found[number].reason
        for number, entry in enumerate(entries)
        if first.setdefault(entry.source, entry.row) == entry.row and number in found
    }


def _image_name(cells: Sequence[str], header: Header) -> str:
    return "/".join(cell.strip() for cell in cells[: header.index])


def _sample(cells: Sequence[str], header: Header, folder: Folder) -> Sample:
    wanted = header.index + len(header.columns)
    if len(cells) != wanted:
        raise InputError(f"{len(cells)} columns, but the header has {wanted}", remedy="copy the file again")
    name = _image_name(cells, header)
    image = folder.find(tails(name))
    if image is None:
        raise InputError(f"no image {name!r} in {folder.path}", remedy="name the folder of the images (--images)")
    values = np.array([_value(cell) for cell in cells[header.index :]]).reshape(-1, 2)
    halved = np.isnan(values).sum(axis=1) == 1
    if halved.any():
        part = header.columns[2 * int(np.flatnonzero(halved)[0])][1]
        raise InputError(f"{part!r} has only one of x and y", remedy="fill in both, or leave both blank")
    if len(zeros := np.flatnonzero((values == 0).all(axis=1))):
        part = header.columns[2 * int(zeros[0])][1]
        raise InputError(f"{part!r} lies at (0, 0), which tools write where there is no point", remedy="leave it blank")
    xy, size = PIXELS.from_index(values), image_size(image)
    outside = np.flatnonzero(((xy < 0) | (xy > size[::-1])).any(axis=1))
    if len(outside):
        part, (x, y) = header.columns[2 * int(outside[0])][1], values[outside[0]].tolist()
        reason = f"{part!r} at ({x:g}, {y:g}) lies outside the image of {size[1]} x {size[0]}"
        raise InputError(reason, remedy="correct it, or leave it blank")
    places = {column[:2]: number for number, column in enumerate(header.columns[::2])}
    animals = header.individuals
    owners = {part: animals for part in header.parts()} | {part: [SINGLE] for part in header.parts(single=True)}
    nowhere = np.full(2, np.nan)
    points = {
        part: np.array([xy[places[one, part]] if (one, part) in places else nowhere for one in names])
        for part, names in owners.items()
    }
    blank = {part: np.isnan(one).any(axis=1) for part, one in points.items()}
    unlabelled = {part: one.tolist() for part, one in blank.items() if one.any()}
    number = re.search(r"(\d{1,15})$", image.stem)
    return Sample(
        image=image,
        points=points,
        visible={part: np.where(one, 0, 2).astype(np.int64) for part, one in blank.items()},
        size=size,
        ids=animals if len(animals) > 1 else (),
        frame=int(number[1]) if number else None,
        meta={"video": _video(name, image), **({"unlabelled": unlabelled} if unlabelled else {})},
    )


def _video(name: str, image: Path) -> str:
    """The folder of the image as the file names it, else the one that it lies in."""
    parts = name.replace("\\", "/").split("/")
    return parts[-2] if len(parts) > 1 and parts[-2] else image.resolve().parent.name


def _value(cell: str) -> float:
    cell = cell.strip()
    if not cell or cell.lower() == "nan":
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        value = float("inf")
    if not abs(value) < GREATEST:
        raise InputError(f"{shortened(cell)} is not a number", remedy="correct it, or leave it blank")
    return value
