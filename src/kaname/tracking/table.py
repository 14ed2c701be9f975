"""One object's positions as a table: a CSV file with a row for every frame of a video.

Columns: ``frame`` (from 0), ``time`` (seconds), ``x``, ``y``, ``score``, ``source`` (``detected``,
``filled`` or ``static``), ``clip``, ``file``, ``coordinates``. Coordinates are continuous pixels of the original frame,
as the last column says: (0, 0) is the top-left corner of the top-left pixel. Without a position ``x``, ``y`` and
``source`` are blank; where what was detected is left out as a spot that never moves, ``source`` is ``static`` and ``x``
and ``y`` are blank. Names that a spreadsheet would take for a formula (they begin with ``= + - @``) have ``'`` in
front.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kaname.errors import InputError
from kaname.files import name_in_table, spreadsheet_text, whole_file
from kaname.tracking.trajectory import DETECTED, FILLED, STATIC, Row

COLUMNS = ("frame", "time", "x", "y", "score", "source", "clip", "file", "coordinates")
NEEDED = ("frame", "x", "y", "score")
COORDINATES = "continuous"
ROUNDING = 1e-4  # by how much other programs' scores may leave 0..1


def write_rows(path: Path, rows: Iterable[Row]) -> dict[str, int]:
    """Write rows as they come; under its final name the file is whole or not there."""
    counts = {"frames": 0, DETECTED: 0, FILLED: 0, STATIC: 0}
    with whole_file(path, parents=True) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(_cells(row))
            counts["frames"] += 1
            if row.source:
                counts[row.source] += 1
    return counts


def _cells(row: Row) -> list[str]:
    there = math.isfinite(row.x) and row.source != STATIC
    x, y = (f"{row.x:.4f}", f"{row.y:.4f}") if there else ("", "")
    score = "" if math.isnan(row.score) else f"{row.score:.6f}"
    return [
        str(row.frame),
        f"{row.seconds:.6f}",
        x,
        y,
        score,
        row.source,
        *map(spreadsheet_text, (row.clip, row.file)),
        COORDINATES,
    ]


def read_rows(path: Path) -> list[Row]:
    """The rows of a table.

    Raises:
        InputError: missing, without the columns ``frame, x, y, score``, in other coordinates, or not a number.
    """
    return list(stream_rows(path))


def stream_rows(path: Path) -> Iterator[Row]:
    """As ``read_rows``, row by row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"no column {missing[0]!r}", path=path, row=1, remedy=f"columns: {', '.join(COLUMNS)}")
            for cells in reader:
                yield _row(cells, path, reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"not a table of positions ({error})", path=path, remedy="predict again") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy="check the path") from error


def _row(cells: Mapping[str, str | None], path: Path, line: int) -> Row:
    if None in cells or None in cells.values():
        raise InputError("not as many fields as the header has", path=path, row=line, remedy="correct the row")
    if (cells.get("coordinates") or COORDINATES) != COORDINATES:
        raise InputError(
            f"coordinates are {cells['coordinates']!r}, not {COORDINATES!r}", path=path, row=line,
            remedy="predict again, or leave that column out if they are continuous pixels",
        )  # fmt: skip
    try:
        x, y = (float(cells[name]) if cells[name] else math.nan for name in ("x", "y"))  # type: ignore[arg-type]
        score = float(cells["score"] or 0)
        score = 0.0 if math.isnan(score) and math.isnan(x) else score
        frame, seconds = int(cells["frame"] or ""), float(cells.get("time") or 0)
    except (TypeError, ValueError) as error:
        raise InputError(f"not a number: {error}", path=path, row=line, remedy="correct the row") from error
    if math.isnan(x) != math.isnan(y) or math.isinf(x) or math.isinf(y):
        raise InputError("x and y must both be numbers or both be blank", path=path, row=line, remedy="correct the row")
    for reason, fine in (
        (f"frame {frame} is negative; frames count from 0", frame >= 0),
        (f"time {seconds} is not finite", math.isfinite(seconds)),
        (f"the score {score} lies outside 0..1", -ROUNDING <= score <= 1 + ROUNDING),
        ("a position without a score (write 1 if the program has none)", bool(cells["score"]) or math.isnan(x)),
        (f"the source is {cells.get('source')!r}", (cells.get("source") or "") in ("", DETECTED, FILLED, STATIC)),
    ):
        if not fine:
            raise InputError(reason, path=path, row=line, remedy="correct the row")
    if cells.get("source") == STATIC:  # no ball, even where another program has left its place
        x = y = math.nan
    source = cells.get("source") or (DETECTED if math.isfinite(x) else "")
    score = min(max(score, 0.0), 1.0)
    clip, file = (name_in_table(cells.get(name) or "") for name in ("clip", "file"))
    return Row(frame, seconds, x, y, score, source, clip, file)
