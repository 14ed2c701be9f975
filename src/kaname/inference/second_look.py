"""A second look at a part of an image, and a search of its parts, for what is small in it. No torch here.

A network sees an image at one size, so that what is small in a large photograph is coarse to it, or not to be seen. Cut
out, the same thing fills the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kaname.geometry.boxes import pixel_boxes
from kaname.inference.answers import moved
from kaname.inference.request import Closer, Request
from kaname.types import Image, Points


def looked_again(
    answers: Sequence[Points], request: Request, closer: Closer, ask: Callable[[Image], Points]
) -> list[Any]:
    """The answers for the last frames of a request, those that ``closer`` asks for made anew.

    Args:
        ask: from an image to its answer, in pixels of that image.
    """
    frames = request.frames[-len(answers) :]
    return [_again(frame.image, answer, closer, ask) for frame, answer in zip(frames, answers, strict=True)]


def _again(image: Image, answer: Points, closer: Closer, ask: Callable[[Image], Points]) -> Any:
    def look(box: ArrayLike) -> Any:
        corners = pixel_boxes(np.asarray(box)[None], answer.size)[0]
        x1, y1, x2, y2 = corners
        return moved(ask(np.ascontiguousarray(image[y1:y2, x1:x2])), corners[:2], answer.size)

    for boxes in () if closer.weight(answer) > 0 else closer.rounds(answer.size):
        best = max(map(look, np.asarray(boxes)), key=closer.weight)
        if closer.weight(best) > 0:
            answer = best
            break
    part = closer.part(answer)
    closely = answer if part is None else look(part)
    nothing = not any(len(xy) for xy in closely.xy.values())
    return answer if nothing else closely
