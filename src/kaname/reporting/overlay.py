"""An image's answers drawn on it, by their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kaname.data.formats.skeleton import Skeleton
from kaname.reporting.draw import points_overlay
from kaname.reporting.masks import mask_overlay
from kaname.reporting.skeleton import Instances, skeleton_overlay
from kaname.types import Answer, Image, Masks, Points

Layer = Answer | Instances | Mapping[str, np.ndarray]


def overlay(image: Image, answers: Sequence[Layer], skeleton: Mapping[str, Any] | None = None) -> Image:
    """Points (or ``(N, 2)`` by name) as rings, of one name alike; masks in colours, one an instance.

    With a ``skeleton`` (`Skeleton.to_dict`) points are rings and lines in its colours; so are instances, unless there
    is something else to tell them from.
    """
    bones = None if skeleton is None else Skeleton.from_dict(skeleton)
    drawn, layers = image, dict[str, list[np.ndarray]]()
    for answer in answers:
        if isinstance(answer, Masks):
            drawn = mask_overlay(drawn, answer)
            continue
        if isinstance(answer, Points) and bones is not None:
            drawn = skeleton_overlay(drawn, np.stack([answer.xy[name] for name in bones.channels], axis=1), bones)
            continue
        if isinstance(answer, Instances) and len(answers) == 1:
            return skeleton_overlay(drawn, answer.points, answer.skeleton)
        if isinstance(answer, Instances):
            answer = {answer.name: answer.points.reshape(-1, 2)}
        for name, xy in (answer.xy if isinstance(answer, Points) else answer).items():
            layers.setdefault(name, []).append(xy)
    return points_overlay(drawn, {name: np.concatenate(sets) for name, sets in layers.items()}) if layers else drawn
