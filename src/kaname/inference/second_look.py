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


def _again(image: Image, answer: Points, closer: Closer, ask: Callable[[Image], Points]) -> Points:
    def look(box: ArrayLike) -> Any:  # points, as the answer
        corners = pixel_boxes(np.asarray(box)[None], answer.size)[0]
        x1, y1, x2, y2 = corners
        return moved(ask(np.ascontiguousarray(image[y1:y2, x1:x2])), corners[:2], answer.size)

    def closely(seen: Points) -> Points:
        part = closer.part(seen)
        found = seen if part is None else look(part)
        return found if any(len(xy) for xy in found.xy.values()) else seen

    if closer.weight(answer) > 0:
        return closely(answer)
    for boxes in closer.rounds(answer.size):
        best = max(map(look, np.asarray(boxes)), key=closer.weight)
        if closer.weight(best) > 0 and closer.sure(found := closely(best)):
            return found
    return answer
