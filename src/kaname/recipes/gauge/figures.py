"""Figures of one dial, by group: what `evaluate` averages over a set, and training logs of an epoch.

``middle`` compares all notches with all notches; ``start_end`` compares start and end stacked, whichever is which;
``start`` and ``end`` stand alone, and so do ``needle_tip`` and ``needle_pivot`` where both sides know them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kaname.metrics.points import set_figures
from kaname.recipes.gauge import NEEDLE
from kaname.types import FloatArray

GROUPS = ("middle", "start_end", "start", "end")


def image_figures(
    predicted: Mapping[str, FloatArray], truth: Mapping[str, FloatArray], tolerance: float
) -> dict[str, dict[str, float | None]]:
    """All figures of one image by group; points in pixels at 448, ``middle`` holding all notches on both sides. The
    needle's are left out where the image has no such label or the model no such output."""
    needle = [name for name in NEEDLE if name in predicted and len(truth.get(name, ()))]
    return {
        group: set_figures(of_group(predicted, group), of_group(truth, group), tolerance)
        for group in (*GROUPS, *needle)
    }


def of_group(points: Mapping[str, FloatArray], group: str) -> FloatArray:
    """The points of an image that a group compares, ``(N, 2)``."""
    if group == "start_end":
        return np.concatenate([points["start"], points["end"]])
    return points[group]
