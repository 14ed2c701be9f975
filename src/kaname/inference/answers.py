"""What is done with answers, whatever their kind: joining, moving, emptying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.types import Answer, Masks, Size


def joined(parts: Sequence[Masks]) -> Masks:
    """The masks of one image that were made in parts."""
    asked = [part.asked for part in parts if part.asked is not None]
    return replace(
        parts[0],
        probabilities=np.concatenate([part.probabilities for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        ids=list(range(sum(len(part.boxes) for part in parts))),
        asked=np.concatenate(asked) if asked else None,
    )


def moved(answer: Answer, corner: NDArray[np.int64], size: Size) -> Answer:
    """An answer for a part of an image as one for the image."""
    if isinstance(answer, Masks):
        twice = np.tile(corner, 2)
        asked = None if answer.asked is None else answer.asked + twice
        return replace(answer, boxes=answer.boxes + twice, size=size, asked=asked)
    return replace(answer, xy={name: xy + corner for name, xy in answer.xy.items()}, size=size)


def blank(answer: Any) -> Any:
    """An answer of the same kind that found nothing."""
    if isinstance(answer, Masks):
        asked = None if answer.asked is None else answer.asked[:0]
        return replace(answer, probabilities=answer.probabilities[:0], boxes=answer.boxes[:0], ids=(), asked=asked)
    if not answer.visible:
        nothing = {name: xy[:0] for name, xy in answer.xy.items()}
        return replace(answer, xy=nothing, scores={name: value[:0] for name, value in answer.scores.items()}, ids=())
    absent = {name: np.full_like(xy, np.nan) for name, xy in answer.xy.items()}
    scores, visible = ({k: np.zeros_like(v) for k, v in part.items()} for part in (answer.scores, answer.visible))
    return replace(answer, xy=absent, scores=scores, visible=visible)
