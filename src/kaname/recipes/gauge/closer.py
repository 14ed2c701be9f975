"""Which part of a photograph is worth a second look: that around a dial which is small in it. No torch."""

from __future__ import annotations

import numpy as np

from kaname.geometry.boxes import clip
from kaname.inference.request import Closer
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.decode import FEWEST
from kaname.types import FloatArray, Points

SMALL = 0.7  # share of the photograph's longer side under which a part is worth it


def closer_of(settings: ExtractSettings) -> Closer | None:
    """The part around all notches of a dial that is small in its photograph."""
    if not settings.second_look:
        return None

    def closer(points: Points) -> FloatArray | None:
        places = np.concatenate([points.xy[name] for name in CHANNELS])
        if len(places) < FEWEST:
            return None
        low, high = places.min(axis=0), places.max(axis=0)
        half = settings.second_look * float((high - low).max()) / 2
        middle = (low + high) / 2
        part = np.concatenate([middle - half, middle + half])
        return None if 2 * half > SMALL * max(points.size) else clip(part, points.size)

    return closer
