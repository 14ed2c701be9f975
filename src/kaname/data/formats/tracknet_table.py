"""One label file of a TrackNet clip: its dialect, its rows as numbers, and the text of a new one.

Every dialect is comma-separated under a header, in upper or lower case and with its columns in any order:

- ``tracknet``: ``HEADER``, the original (nol.cs.nctu.edu.tw).
- ``wasb``: the same without the status, which WASB-SBDT does not read and sets converted for it leave out.
- ``tracknet-v2``: ``Frame,Visibility,X,Y`` of TrackNetV2 and V3, frames by number, no status.
- ``tracknet-v2-old``: ``Frame,Ball,x,y`` of the first release of TrackNetV2's files.

A byte order mark, CRLF, spaces around fields, empty lines and ``599.0`` for ``599`` are accepted everywhere.

Adding a new dialect: its header in ``DIALECTS``, its line above, a row in the tests.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kaname.data.formats.files import read_text, shortened
from kaname.errors import InputError

LABELS = "Label.csv"  # a clip's label file, in upper or lower case
BALL = "ball"  # the point's name in samples
COLUMNS = ("file name", "visibility", "x-coordinate", "y-coordinate", "status")
HEADER = ",".join(COLUMNS)
# The columns of each dialect, in the order of COLUMNS.
DIALECTS = {
    "tracknet": COLUMNS,
    "wasb": COLUMNS[:4],
    "tracknet-v2": ("frame", "visibility", "x", "y"),
    "tracknet-v2-old": ("frame", "ball", "x", "y"),
}
VISIBILITIES = {0: "no ball in the frame", 1: "easy", 2: "hard to see", 3: "occluded"}
# From the file's visibility to that of a sample: missing, visible, visible, hidden.
VISIBLE = {0: 0, 1: 2, 2: 2, 3: 1}
STATUSES = {0: "flying", 1: "hit", 2: "bounce"}
# What tools write where there is no ball; any other position in such a row contradicts its visibility.
PLACEHOLDERS = ((0.0, 0.0), (-1.0, -1.0))
DECIMALS = 7  # one more than round trips need
GREATEST = 1e9  # pixels; no image is larger

_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,2})?")
_ACCEPTED = f"the first line must be {HEADER} (the status may be missing) or Frame,Visibility,X,Y"


@dataclass(frozen=True)
class Row:
    """One frame's label as the file has it.

    Attributes:
        line: 1-based line of the file.
        name: the frame's file name, or its number as digits.
        visibility: 0..3, as in ``VISIBILITIES``.
        index: pixel indices (x, y); None where visibility is 0.
        status: 0..2, as in ``STATUSES``; None where blank.
    """

    line: int
    name: str
    visibility: int
    index: tuple[float, float] | None
    status: int | None


@dataclass(frozen=True)
class Table:
    """A label file: the dialect's name, its sound rows in order, and what is wrong with the others."""

    dialect: str
    rows: Sequence[Row]
    faults: Sequence[InputError]


def read_table(path: Path) -> Table:
    """Read a label file.

    Raises:
        InputError: what concerns the whole file: unreadable, not UTF-8, empty, without a known header.
    """
    lines = [(number, line) for number, line in enumerate(io.StringIO(read_text(path)), start=1) if line.strip()]
    if not lines:
        raise InputError("the file is empty", path=path, remedy=_ACCEPTED)
    if any("\0" in line for _, line in lines):
        raise InputError("the file contains NUL bytes", path=path, remedy="write it again as UTF-8 text")
    dialect, columns = _header(path, *lines[0])
    rows: list[Row] = []
    faults: list[InputError] = []
    reader = csv.reader((text for _, text in lines[1:]), strict=True)
    try:
        for fields in reader:
            fields = [field.strip() for field in fields]
            if not any(fields):
                continue
            try:
                rows.append(_row(path, lines[reader.line_num][0], fields, columns))
            except InputError as error:
                faults.append(error)
    except csv.Error as error:
        row = lines[reader.line_num][0]
        raise InputError(f"not a table: {error}", path=path, row=row, remedy="write it again as CSV") from error
    if not rows and not faults:
        raise InputError("no row after the header", path=path, remedy="label the clip, or move it out of the data set")
    return Table(dialect, rows, faults)


def table_text(rows: Iterable[Row]) -> str:
    """The text of a label file in the original's form: whole indices as integers, others to seven decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        x, y = ("", "") if row.index is None else map(number_text, row.index)
        writer.writerow([row.name, row.visibility, x, y, "" if row.status is None else row.status])
    return text.getvalue()


def number_text(value: float) -> str:
    """``599`` for 599.0 and what is within rounding of it, ``599.25`` for others.

    >>> number_text(599.0), number_text(0.30000000000000004), number_text(-1e-12)
    ('599', '0.3', '0')
    """
    text = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _header(path: Path, number: int, line: str) -> tuple[str, dict[str, int]]:
    """The dialect's name, and the position of each of its columns by the name in ``COLUMNS``."""
    try:
        words = [word.strip().casefold() for word in next(csv.reader([line.rstrip("\n")]))]
    except csv.Error as error:
        raise InputError(f"not a table: {error}", path=path, row=number, remedy=_ACCEPTED) from error
    for dialect, names in DIALECTS.items():
        if sorted(words) == sorted(names):
            return dialect, {COLUMNS[i]: words.index(name) for i, name in enumerate(names)}
    kind = "no header: the first line is" if any(map(_NUMBER.fullmatch, words)) else "unknown header"
    raise InputError(f"{kind} {shortened(line.rstrip())}", path=path, row=number, remedy=_ACCEPTED)


def _row(path: Path, line: int, fields: Sequence[str], columns: dict[str, int]) -> Row:
    """A row as numbers; an ``InputError`` where it is not one."""

    def fault(reason: str, remedy: str) -> InputError:
        return InputError(reason, path=path, row=line, remedy=remedy)

    if len(fields) != len(columns):
        reason = f"{len(fields)} fields, but the header has {len(columns)}"
        raise fault(reason, "write one value for each column, and decimals with a point")
    field = {name: fields[position] for name, position in columns.items()}
    if not field["file name"]:
        raise fault("no file name", "name the frame of this row")
    number = {name: _number(field[name], name, fault) for name in COLUMNS[1:] if name in field}
    visibility, x, y = number["visibility"], number["x-coordinate"], number["y-coordinate"]
    status = number.get("status")
    if visibility not in VISIBILITIES:
        given = "blank" if visibility is None else f"{visibility:g}"
        raise fault(f"the visibility is {given}", _choices("visibility", VISIBILITIES))
    if status is not None and status not in STATUSES:
        raise fault(f"the status is {status:g}", _choices("status", STATUSES) + ", or blank")
    if (x is None) != (y is None):
        raise fault(f"only {'y' if x is None else 'x'} is given", "give both coordinates, or neither")
    index = None if x is None or y is None else (x, y)
    if visibility == 0 and index is not None and index not in PLACEHOLDERS:
        reason = f"no ball (visibility 0), but a position ({index[0]:g}, {index[1]:g})"
        raise fault(reason, "leave the coordinates blank, or set the visibility to 1, 2 or 3")
    if visibility != 0 and index is not None and index == PLACEHOLDERS[0]:
        reason = f"visibility {visibility:g} at ({index[0]:g}, {index[1]:g}), which tools write where there is no ball"
        raise fault(reason, "set the visibility to 0, or give the ball's position")
    if visibility != 0 and index is None:
        raise fault(f"visibility {visibility:g} without coordinates", "give the ball's position, or visibility 0")
    seen, event = int(visibility), None if status is None else int(status)
    return Row(line, field["file name"], seen, index if visibility else None, event)


def _number(text: str, name: str, fault: Callable[[str, str], InputError]) -> float | None:
    """The number of a field, None where it is blank."""
    if not text:
        return None
    if _NUMBER.fullmatch(text) and abs(float(text)) < GREATEST:
        return float(text)
    raise fault(f"{name} is not a number: {shortened(text)}", "write digits with a decimal point, or leave it blank")


def _choices(name: str, meanings: dict[int, str]) -> str:
    return f"{name} is " + ", ".join(f"{number} ({meaning})" for number, meaning in meanings.items())
