"""Rows of MOT-KP text: an object in a frame in each, as the file has it.

``frame, track id, class id, -1, -1, -1, -1, x0, y0, v0, x1, y1, v1, ...``: comma separated, no header, as many triples
as the class has points, so that rows are ragged. Whole numbers may be written ``0.0``; coordinates are pixel indices.
The third value of a triple is the visibility (0 out of frame, 1 hidden, 2 visible) or, in predictions, a confidence.
Ours as well: -1, the point is *not labelled*, which is not the same as out of frame; and -1, -1, 1, a point that is
hidden at a place that nobody knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.duplicates import same_places
from kaname.data.formats.files import GREATEST, read_text, shortened, sound
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.metrics.hota_kp import Objects
from kaname.types import FloatArray

FIXED = 7  # columns before the points
UNLABELLED = -1
VISIBILITIES = (0, 1, 2)
HIDDEN = 1
NOWHERE = (-1, -1)  # the coordinates of a hidden point whose place nobody knows
DIGITS = 9  # after the point of a written coordinate
FAR = 1 << 53  # of a frame number: beyond it a number with a decimal point is no longer exact


@dataclass(frozen=True)
class Row:
    """One object in one frame.

    Attributes:
        line: of the file, from 1.
        frame: its number in the video.
        track: the object's id, a number where it is one.
        group: the name of its class in the skeleton.
        points: ``(K, 2)`` continuous pixels as the file states them, also of points that are not there; NaN for those
            that are hidden somewhere.
        third: ``(K,)`` visibilities (-1 not labelled) or confidences.
    """

    line: int
    frame: int
    track: int | str
    group: str
    points: FloatArray
    third: FloatArray


@dataclass(frozen=True)
class Rows:
    """The rows of a file in its order, what is wrong with others, and whether ``third`` are confidences."""

    rows: Sequence[Row]
    faults: Sequence[InputError]
    confidences: bool


def read_rows(path: Path, skeleton: Skeleton, *, predictions: bool | None = None) -> list[Row]:
    """The rows of a file, in its order; an empty file has none.

    Args:
        path: the file.
        skeleton: with an ``id`` for each class.
        predictions: False: the third values are visibilities, and there are no more objects than instances. True: they
            are confidences where any of them is no visibility. None: confidences where any of them is no whole number.

    Raises:
        InputError: the first fault, with its line: not a number, a class that the skeleton lacks, columns that do not
            fit the class, an id twice in a frame, ...
    """
    found = parse_rows(path, skeleton, predictions=predictions)
    return sound([*found.faults, *found.rows])


def rows_in_order(path: Path, skeleton: Skeleton) -> Iterator[Row]:
    """The rows of a file that is known to be sound, one at a time, so that memory stays flat over any length."""
    groups = {group.id: (name, group) for name, group in skeleton.groups.items()}
    with path.open(encoding="utf-8") as file:
        for line, text in enumerate(file, 1):
            yield _row(text, line, groups)


def parse_rows(path: Path, skeleton: Skeleton, *, predictions: bool | None = None) -> Rows:
    """As `read_rows`, with everything that is wrong.

    Raises:
        InputError: the file cannot be read, or the skeleton has no classes.
    """
    groups = {group.id: (name, group) for name, group in skeleton.groups.items()}
    if None in groups:
        reason = f"the skeleton {skeleton.name!r} has groups of points, not classes with ids"
        raise InputError(reason, path=path, remedy="give a --skeleton whose classes have the ids of the file")
    rows: list[Row] = []
    faults: list[InputError] = []
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            rows.append(_row(text, line, groups))
        except InputError as error:
            faults.append(InputError(error.reason, path=path, row=line, remedy=error.remedy))
    confidences = _confidences(rows, predictions)
    if not confidences:
        faults += _bad_visibilities(rows, path)
    if not predictions and not confidences:
        faults += _placeholders(rows, skeleton, path)
    faults += _repeated(rows, path)
    if not predictions and not confidences:
        faults += _too_many(rows, skeleton, path)
    return Rows(rows, sorted(faults, key=lambda fault: int(fault.row or 0)), confidences)


def _confidences(rows: Sequence[Row], predictions: bool | None) -> bool:
    if predictions is False or not rows:
        return False
    values = np.unique(np.concatenate([row.third for row in rows]))
    if predictions is None:
        return bool((values != np.rint(values)).any())
    return not np.isin(values, (UNLABELLED, *VISIBILITIES)).all()


def _row(text: str, line: int, groups: Mapping[int | None, tuple[str, Group]]) -> Row:
    cells = [cell.strip() for cell in text.split(",")]
    if len(cells) <= FIXED:
        reason = (
            f"{len(cells)} columns; a row is frame, id, class, four of the box, then x, y, visibility of each point"
        )
        raise InputError(reason, remedy="copy the file again, or correct the row")
    frame, number = _whole(cells[0], "the frame"), _whole(cells[2], "the class")
    if frame < 0:
        raise InputError(f"the frame {frame} is negative", remedy="frames count from 0")
    if number not in groups:
        known = ", ".join(f"{key} {name}" for key, (name, _) in groups.items())
        raise InputError(f"the skeleton has no class {number}", remedy=f"its classes: {known}")
    name, group = groups[number]
    wanted = FIXED + 3 * len(group.points)
    if len(cells) != wanted:
        count = len(group.points)
        reason = f"{len(cells)} columns, but a row of {name} has {wanted} ({FIXED} and 3 for each of {count} points)"
        raise InputError(reason, remedy="correct the row, or give the --skeleton that fits the file")
    values = _numbers(cells[3:], first=4)[FIXED - 3 :].reshape(-1, 3)
    points = PIXELS.from_index(values[:, :2])
    if (values[:, 2] == HIDDEN).any():
        points[(values == (*NOWHERE, HIDDEN)).all(axis=1)] = np.nan
    return Row(line, frame, _track(cells[1]), name, points, values[:, 2])


def _whole(text: str, what: str) -> int:
    """A whole number, also as ``12.0``."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
        if value.is_integer() and abs(value) < FAR:
            return int(value)
    except ValueError:
        value = 0.0
    raise InputError(f"{what} is {shortened(text)}, not a whole number", remedy="correct the row")


def _track(text: str) -> int | str:
    """Ids may be anything; ``7`` and ``7.0`` are one number."""
    if not text:
        raise InputError("the track id is blank", remedy="give each object of a frame an id of its own")
    try:
        return _whole(text, "the id")
    except InputError:
        return text


def _numbers(cells: Sequence[str], *, first: int) -> FloatArray:
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        values = np.array([_number(cell) for cell in cells])
    fine = np.abs(values) < GREATEST  # NaN compares as False
    if not fine.all():
        place = int(np.flatnonzero(~fine)[0])
        reason = f"column {first + place} is {shortened(cells[place])}, not a number"
        remedy = f"write 0,0,0 for a point out of frame, {UNLABELLED},{UNLABELLED},{UNLABELLED} for one not labelled"
        raise InputError(reason, remedy=remedy)
    return values


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _bad_visibilities(rows: Sequence[Row], path: Path) -> Iterator[InputError]:
    known = (UNLABELLED, *VISIBILITIES)
    if not rows or np.isin(np.concatenate([row.third for row in rows]), known).all():
        return
    for row in rows:
        wrong = row.third[~np.isin(row.third, known)]
        if len(wrong):
            remedy = "0 is out of frame, 1 hidden, 2 visible, -1 not labelled"
            yield InputError(f"the visibility {wrong[0]:g}", path=path, row=row.line, remedy=remedy)


def doubles(rows: Iterable[Row], path: Path) -> Iterator[InputError]:
    """Objects of a frame that are labelled twice, under two ids."""
    members: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        known = members.setdefault((row.frame, row.group), [])
        places = np.where((row.third > 0)[:, None], row.points, np.nan)
        for other in known:
            if same_places(places, np.where((other.third > 0)[:, None], other.points, np.nan)):
                first = f"that with id {other.track} does (line {other.line})"
                reason = f"the {row.group} with id {row.track} lies where {first}"
                yield InputError(reason, path=path, row=row.line, remedy="keep one of the two rows")
                break
        known.append(row)


def _placeholders(rows: Sequence[Row], skeleton: Skeleton, path: Path) -> Iterator[InputError]:
    def nowhere(points: FloatArray, third: FloatArray) -> NDArray[np.bool_]:
        return (PIXELS.to_index(points) == 0).all(axis=1) & (third > 0)

    if (
        not rows
        or not nowhere(np.concatenate([row.points for row in rows]), np.concatenate([row.third for row in rows])).any()
    ):
        return
    for row in rows:
        for point in np.flatnonzero(nowhere(row.points, row.third)).tolist():
            name = skeleton.groups[row.group].points[point]
            reason = f"{name} has visibility {row.third[point]:g} at (0, 0), which tools write where there is no point"
            yield InputError(reason, path=path, row=row.line, remedy="set its visibility to 0, or give its place")


def _repeated(rows: Iterable[Row], path: Path) -> Iterator[InputError]:
    lines: dict[tuple[int, str, int | str], int] = {}
    for row in rows:
        first = lines.setdefault((row.frame, row.group, row.track), row.line)
        if first != row.line:
            reason = f"frame {row.frame} has the {row.group} with id {row.track} twice, also in line {first}"
            yield InputError(reason, path=path, row=row.line, remedy="give each object of a frame an id of its own")


def _too_many(rows: Iterable[Row], skeleton: Skeleton, path: Path) -> Iterator[InputError]:
    counts: Counter[tuple[int, str]] = Counter()
    for row in rows:
        counts[row.frame, row.group] += 1
        most = skeleton.groups[row.group].instances
        if counts[row.frame, row.group] == most + 1:
            reason = f"frame {row.frame} has more than {most} {row.group}"
            remedy = f"remove one, or raise instances of {row.group} in the skeleton"
            yield InputError(reason, path=path, row=row.line, remedy=remedy)


def objects_of(rows: Sequence[Row], skeleton: Skeleton) -> dict[str, Objects]:
    """Rows by class, every class of the skeleton, as `kaname.metrics.hota_kp` scores them: places as the file has them,
    also where a prediction says that a point is not there; what is not labelled counts as not there.
    """
    found: dict[str, Objects] = {}
    for name, group in skeleton.groups.items():
        own = [row for row in rows if row.group == name]
        shape = (len(own), len(group.points))
        found[name] = Objects(
            frames=np.array([row.frame for row in own], np.int64),
            ids=[row.track for row in own],
            points=np.array([row.points for row in own], np.float64).reshape(*shape, 2),
            visible=np.array([row.third for row in own], np.float64).reshape(shape).astype(np.int64),
        )
    return found


def row_text(row: Row, skeleton: Skeleton) -> str:
    """A row as the file has it, with its line end; a point whose coordinates are NaN is written as zeros, or as hidden
    somewhere."""
    index = np.nan_to_num(PIXELS.to_index(row.points), nan=0.0)
    triples = np.column_stack([index, row.third])
    unlabelled = row.third == UNLABELLED
    triples[unlabelled] = UNLABELLED
    placeless = np.isnan(row.points).any(axis=1) & ~unlabelled
    triples[placeless] = 0
    triples[placeless & (row.third == HIDDEN)] = (*NOWHERE, HIDDEN)
    number = skeleton.groups[row.group].id
    head = [str(row.frame), str(row.track), str(number), *["-1"] * 4]
    return ",".join([*head, *(_written(value) for value in triples.ravel().tolist())]) + "\n"


def _written(value: float) -> str:
    number = round(value, DIGITS)
    return str(int(number)) if number.is_integer() else repr(number)
