"""The worst and the best of an evaluation as pictures: on the page, and as files beside the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import make_folder
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.reporting.page import Picture

Ranked = TypeVar("Ranked")
NAME = 80  # characters of a sample's name in the name of its file


@dataclass(frozen=True)
class Shot:
    """A sample to draw.

    Attributes:
        name: of the picture's file, without ending.
        title: of the sample, for a message where it cannot be read.
        caption: below the picture.
        draw: reads and draws it: RGB uint8 ``(h, w, 3)``.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class Extremes:
    """Attributes:
    pictures: by kind, worst or best first.
    unreadable: a line for each sample that could not be read.
    """

    pictures: Mapping[str, Sequence[Picture]]
    unreadable: Sequence[str]


def worst_and_best(order: Sequence[Ranked], most: int) -> dict[str, Sequence[Ranked]]:
    """Of samples ranked from the worst to the best at most ``most`` of either end; none is in both.

    >>> worst_and_best([1, 2, 3], 6)
    {'worst': [1, 2], 'best': [3]}
    """
    most = min(most, len(order))
    worst, best = min(most, (len(order) + 1) // 2), min(most, len(order) // 2)
    return {"worst": order[:worst], "best": order[::-1][:best]}


def write_extremes(folder: Path, shots: Mapping[str, Sequence[Shot]]) -> Extremes:
    """Draw samples into ``folder/<kind>/<rank>_<name>.jpg``; pictures of an earlier evaluation are removed.

    Args:
        folder: of the evaluation.
        shots: by kind (``worst``, ``best``), in the order to show them.

    Raises:
        InputError: the folder cannot be written to.
    """
    pictures: dict[str, list[Picture]] = {}
    unreadable: list[str] = []
    for kind, members in shots.items():
        make_folder(folder / kind)
        for old in (folder / kind).glob("*_*.jpg"):
            if old.name.split("_")[0].isdigit():
                old.unlink()
        pictures[kind] = []
        for rank, shot in enumerate(members, 1):
            try:
                view = shot.draw()
            except InputError as error:
                unreadable.append(f"{shot.title} could not be drawn: {error.reason}.")
                continue
            write_image(folder / kind / f"{rank}_{shot.name[:NAME]}.jpg", view)
            pictures[kind].append(Picture(view, shot.caption))
    return Extremes(pictures, unreadable)
