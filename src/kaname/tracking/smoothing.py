"""Smoothing of one video while it is predicted, or of a table of clips before it is scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kaname.errors import InputError
from kaname.tracking.trajectory import SMOOTHERS, Row
from kaname.types import Size


@dataclass(frozen=True)
class Smoothing:
    """Attributes:
    name: of ``kaname.tracking.trajectory.SMOOTHERS``.
    max_gap: frames that a filled gap has at most.
    fastest: frame widths that the object moves per frame at most.
    max_filled: rows that are filled for each detected one at most.
    """

    name: str = "none"
    max_gap: int = 10
    fastest: float = 0.2
    max_filled: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in SMOOTHERS:
            raise InputError(f"smooth is {self.name!r}", remedy=f"use one of {', '.join(SMOOTHERS)}")
        if self.max_gap < 0:
            raise InputError(f"--max-gap must not be negative, got {self.max_gap}", remedy="0 fills nothing")
        if not (math.isfinite(self.fastest) and self.fastest > 0):
            raise InputError(f"--fastest must be positive, got {self.fastest}", remedy="0.2 is usual")
        if not (math.isfinite(self.max_filled) and self.max_filled >= 0):
            raise InputError(f"--max-filled must not be negative, got {self.max_filled}", remedy="0 fills nothing")

    def __call__(self, rows: Iterable[Row], size: Size) -> Iterator[Row]:
        """The rows of one video of ``size``, smoothed."""
        return SMOOTHERS[self.name](rows, size, self.max_gap, self.fastest, self.max_filled)

    def of_clips(self, rows: Sequence[Row], sizes: Mapping[str, Size], threshold: float) -> list[Row]:
        """A table's rows above the threshold, smoothed clip by clip, in the order of their frames.

        A filled position's score is lower by design; here it counts as a detection does. ``sizes`` are ``(height,
        width)`` by clip, the first also for clips that are not named. Without smoothing the rows stay as they are.
        """
        if self.name == "none":
            return list(rows)
        result: list[Row] = []
        for name in dict.fromkeys(row.clip for row in rows):
            members = sorted((row for row in rows if row.clip == name), key=lambda row: row.frame)
            sure = (row if row.there and row.score > threshold else _without_place(row) for row in members)
            for row in self(sure, sizes.get(name, next(iter(sizes.values())))):
                low = row.there and row.score <= threshold
                result.append(replace(row, score=threshold + 1e-6) if low else row)
        return result


def _without_place(row: Row) -> Row:
    return replace(row, x=math.nan, y=math.nan, source="")
