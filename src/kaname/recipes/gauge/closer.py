"""Which parts of a photograph are worth a look of their own: that around a dial which is small in it, and where no dial
is seen all of it, part by part. No torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kaname.geometry.boxes import clip
from kaname.inference.request import Closer
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.decode import FEWEST
from kaname.types import FloatArray, Points, Size

SMALL = 0.7  # share of the photograph's longer side up to which a part is worth it
LEAST = 32  # pixels of a part in which anything can be seen; points may even lie on one spot
SEARCHED = 160  # pixels of the longer side of a part from which it shows more than the whole photograph did
SURE = 0.75  # that the third best notch of a dial must score which a search has found: wheels and cups reach 0.71
MORE = 0.01  # what a further notch weighs beside the scores of the best: parts may cut a dial


def closer_of(settings: ExtractSettings) -> Closer | None:
    """The part around all notches of a dial that is small in its photograph, and the parts in which one is searched."""
    if not settings.second_look:
        return None

    def part(points: Points) -> FloatArray | None:
        places = np.concatenate([points.xy[name] for name in CHANNELS])
        if len(points.xy["middle"]) < FEWEST:
            return None
        low, high = places.min(axis=0), places.max(axis=0)
        half = settings.second_look * float((high - low).max()) / 2
        middle = (low + high) / 2
        box = np.concatenate([middle - half, middle + half])
        worth = LEAST <= 2 * half <= SMALL * max(points.size)
        return clip(box, points.size) if worth else None

    def rounds(size: Size) -> Iterator[FloatArray]:
        for count in range(2, settings.search + 1):
            if max(size) / count >= SEARCHED:
                yield parts_of(size, count)

    def sure(points: Points) -> bool:
        return bool(np.count_nonzero(points.scores["middle"] >= SURE) >= FEWEST)

    return Closer(part, rounds, weight, sure)


def parts_of(size: Size, count: int) -> FloatArray:
    """Boxes ``(N, 4)`` of a ``count``-th of each side of an image that overlap by half, in rows."""
    height, width = size[0] / count, size[1] / count
    steps = np.arange(2 * count - 1) / 2
    y, x = (axis.ravel() for axis in np.meshgrid(steps * height, steps * width, indexing="ij"))
    return np.stack([x, y, x + width, y + height], axis=1)


def weight(points: Points) -> float:
    """How much of a dial was found: the scores of the best notches, and a little for each; 0 where they are too few."""
    scores = np.sort(points.scores["middle"])
    return 0.0 if len(scores) < FEWEST else float(scores[-FEWEST:].sum()) + MORE * len(scores)
