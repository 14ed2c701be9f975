"""An image's answers drawn on it, by their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kaname.reporting.draw import points_overlay
from kaname.reporting.masks import mask_overlay
from kaname.types import Answer, Image, Masks, Points


def overlay(image: Image, answers: Sequence[Answer | Mapping[str, np.ndarray]]) -> Image:
    """Points (or ``(N, 2)`` by name) as crosses, of one name alike; masks in colours, one per instance."""
    drawn, layers = image, dict[str, list[np.ndarray]]()
    for answer in answers:
        if isinstance(answer, Masks):
            drawn = mask_overlay(drawn, answer)
            continue
        for name, xy in (answer.xy if isinstance(answer, Points) else answer).items():
            layers.setdefault(name, []).append(xy)
    return points_overlay(drawn, {name: np.concatenate(sets) for name, sets in layers.items()}) if layers else drawn
