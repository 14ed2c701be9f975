"""Which row of a file of predictions answers for which labelled image."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kaname.data.formats.points import row_name
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.pipeline.evaluate import chosen_sets
from kaname.pipeline.labelled import Labelled
from kaname.types import Prediction


class Rows:
    """The rows of a file of predictions by image; ``source`` is the file, for messages."""

    def __init__(self, rows: Sequence[Prediction], source: Path) -> None:
        self.source = source
        self.by_name: dict[str, list[Prediction]] = {}
        self._given: dict[int, Path] = {}  # which image each row was given for
        for row in rows:  # a row of a box or of a frame is about a part: no image has its name
            self.by_name.setdefault(Path(row_name(row)).name, []).append(row)

    def others(self, items: Iterable[Any]) -> list[str]:
        """Names of rows that belong to none of these images, nor to a part of one."""
        known = {Path(item.source).name for item in items}
        rows = [row for rows in self.by_name.values() for row in rows]
        return [row_name(row) for row in rows if Path(row.source).name not in known]

    def of(self, item: Any) -> Prediction:
        """The row of an image.

        Raises:
            InputError: no row, several rows, one of an image of another size, or one that another image of the same
                name was given already.
        """
        rows, image = self.by_name.get(Path(item.source).name, []), item.frames[0]
        if len(rows) > 1:  # images of one name in several folders: the row whose path has the most in common with it
            alike = [_common(Path(row.source), image.resolve()) for row in rows]
            rows = [row for row, count in zip(rows, alike, strict=True) if count == max(alike)]
            if len(rows) > 1:
                reason = f"several predictions for the name {item.source!r}, none for {image}"
                raise InputError(reason, path=self.source, remedy="predict each set into a file of its own")
        if not rows:
            reason = f"no prediction for {item.source}"
            raise InputError(reason, path=self.source, remedy="predict the whole set again")
        (height, width), true = rows[0].answer.size, image_size(image)
        if (height, width) != true:
            reason = f"predicted on {width} x {height}, but the labelled image has {true[1]} x {true[0]}"
            raise InputError(reason, path=self.source, row=rows[0].source, remedy="predict the images of this set")
        other = self._given.setdefault(id(rows[0]), image)
        if other != image:
            reason = f"one prediction {row_name(rows[0])!r} for two images, {other} and {image}"
            raise InputError(reason, path=self.source, remedy="predict both of them in one call")
        return rows[0]


def _common(path: Path, other: Path) -> int:
    """How many parts two paths have in common at their ends."""
    pairs = zip(reversed(path.parts), reversed(other.parts), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def by_name(labelled: Labelled, split: str | None) -> dict[str, Any]:
    """The images of one set, or without ``split`` of all, by the name that predictions give them.

    Raises:
        InputError: two images of one name, or no such set.
    """
    chosen = chosen_sets(labelled, split or "all")
    items: dict[str, Any] = {}
    for item in (item for members in chosen.values() for item in members):
        if item.source in items:
            reason = f"an image of this name is also in {items[item.source].frames[0].parent}"
            raise InputError(reason, path=item.frames[0], remedy=f"give --split, one of {', '.join(chosen)}")
        items[item.source] = item
    return items
