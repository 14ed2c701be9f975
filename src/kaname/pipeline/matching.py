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
        self._sources: dict[str, list[Prediction]] = {}
        for row in rows:  # a row of a box or of a frame is about a part: no image has its name
            self.by_name.setdefault(Path(row_name(row)).name, []).append(row)
            self._sources.setdefault(Path(row.source).name, []).append(row)

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
        rows, image = self._nearest(self.by_name.get(Path(item.source).name, []), item), item.frames[0]
        if len(rows) > 1:
            raise self._unclear(item)
        if not rows:
            reason = f"no prediction for {item.source}"
            raise InputError(reason, path=self.source, remedy="predict the whole set again")
        (height, width), true = rows[0].answer.size, image_size(image)
        if (height, width) != true:
            reason = f"predicted on {width} x {height}, but the labelled image has {true[1]} x {true[0]}"
            raise InputError(reason, path=self.source, row=rows[0].source, remedy="predict the images of this set")
        self._give(rows[0], image)
        return rows[0]

    def about(self, item: Any) -> list[Prediction]:
        """Every row of an image, those of boxes in it too; none where it was not predicted.

        Raises:
            InputError: rows of several images of its name, or rows that another image was given already.
        """
        rows = self._nearest(self._sources.get(Path(item.source).name, []), item)
        if len({row.source for row in rows}) > 1:
            raise self._unclear(item)
        for row in rows:
            self._give(row, item.frames[0])
        return rows

    def _nearest(self, rows: Sequence[Prediction], item: Any) -> list[Prediction]:
        """Of images of one name in several folders the rows whose path has the most in common with the item's."""
        if len(rows) < 2:
            return list(rows)
        alike = [common(Path(row.source), item.frames[0].resolve()) for row in rows]
        return [row for row, count in zip(rows, alike, strict=True) if count == max(alike)]

    def _unclear(self, item: Any) -> InputError:
        reason = f"several predictions for the name {item.source!r}, none for {item.frames[0]}"
        return InputError(reason, path=self.source, remedy="predict each set into a file of its own")

    def _give(self, row: Prediction, image: Path) -> None:
        """Note which image a row is given for, and refuse a second one."""
        other = self._given.setdefault(id(row), image)
        if other != image:
            reason = f"one prediction {row_name(row)!r} for two images, {other} and {image}"
            raise InputError(reason, path=self.source, remedy="predict both of them in one call")


def common(path: Path, other: Path) -> int:
    """How many parts two paths have in common at their ends.

    >>> common(Path("raw/x/a.png"), Path("x/a.png"))
    2
    """
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
