"""``log.csv``: one row of figures per epoch. No torch."""

from __future__ import annotations

import csv
from pathlib import Path

from kaname.errors import InputError


def read_rows(path: Path) -> list[dict[str, float | int]]:
    """The rows of a ``log.csv``; empty where there is none.

    Raises:
        InputError: the file is not what a run writes.
    """
    if not path.is_file():
        return []
    rows: list[dict[str, float | int]] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                values = {name: float(value) for name, value in line.items() if name and value not in ("", None)}
                row = {name: int(value) if name in ("epoch", "step") else value for name, value in values.items()}
                rows.append({"epoch": row.pop("epoch"), **row})
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise InputError("not a log of a run", path=path, row=len(rows) + 2, remedy="remove the file") from error
    return rows
