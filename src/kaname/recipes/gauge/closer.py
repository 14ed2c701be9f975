"""Which part of a photograph is worth a second look: that around a dial which is small in it. No torch."""

from __future__ import annotations

import numpy as np

from kaname.geometry.boxes import clip
from kaname.inference.request import Closer
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.decode import FEWEST
from kaname.types import FloatArray, Points

SMALL = 0.7  # share of the photograph's longer side up to which a part is worth it
LEAST = 32  # pixels of a part in which anything can be seen; points may even lie on one spot


def closer_of(settings: ExtractSettings) -> Closer | None:
    """The part around all notches of a dial that is small in its photograph."""
    if not settings.second_look:
        return None

    def closer(points: Points) -> FloatArray | None:
        places = np.concatenate([points.xy[name] for name in CHANNELS])
        if len(points.xy["middle"]) < FEWEST:
            return None
        low, high = places.min(axis=0), places.max(axis=0)
        half = settings.second_look * float((high - low).max()) / 2
        middle = (low + high) / 2
        part = np.concatenate([middle - half, middle + half])
        worth = LEAST <= 2 * half <= SMALL * max(points.size)
        return clip(part, points.size) if worth else None

    return closer
