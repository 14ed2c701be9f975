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
from kaname.types import Image, Points, Size

REST = 12  # frames of a video that are not searched after one in which a search has found nothing: half a second


class Looks:
    """Looks again at what is small in the pictures of one source.

    Args:
        closer: which parts of a picture are worth a look.
        ask: from an image to its answer, in pixels of that image.
        video: whether the pictures are frames: a search that has found nothing then rests for `REST` of them. It asks
            the network many times, and what a video does not show in one frame it seldom shows in the next.

    Attributes:
        unsearched: frames in which nothing was seen, and that were not searched.
    """

    def __init__(self, closer: Closer, ask: Callable[[Image], Points], *, video: bool = False) -> None:
        self.closer, self.ask, self.rest = closer, ask, REST if video else 0
        self._resting, self.unsearched = 0, 0

    def again(self, request: Request, answers: Sequence[Points]) -> list[Any]:
        """The answers for the last frames of a request, those that ``closer`` asks for made anew."""
        frames = request.frames[-len(answers) :]
        return [self._again(frame.image, answer) for frame, answer in zip(frames, answers, strict=True)]

    def _again(self, image: Image, answer: Points) -> Points:
        closer = self.closer
        if closer.weight(answer) > 0:
            self._resting = 0
            return self._closely(image, answer)
        if self._resting:
            self._resting, self.unsearched = self._resting - 1, self.unsearched + 1
            return answer
        for boxes in closer.rounds(answer.size):
            best = max((self._look(image, box, answer.size) for box in np.asarray(boxes)), key=closer.weight)
            if closer.weight(best) > 0 and closer.sure(found := self._closely(image, best)):
                return found
        self._resting = self.rest
        return answer

    def _closely(self, image: Image, seen: Points) -> Points:
        part = self.closer.part(seen)
        found = seen if part is None else self._look(image, part, seen.size)
        return found if any(len(xy) for xy in found.xy.values()) else seen

    def _look(self, image: Image, box: ArrayLike, size: Size) -> Any:  # points, as the answer
        corners = pixel_boxes(np.asarray(box)[None], size)[0]
        x1, y1, x2, y2 = corners
        return moved(self.ask(np.ascontiguousarray(image[y1:y2, x1:x2])), corners[:2], size)
