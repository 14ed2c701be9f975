"""A video from its first frame to its last: detect, follow, write rows, stretch after stretch. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from kaname.errors import InputError
from kaname.inference.model import Model
from kaname.pipeline.model import answer_settings
from kaname.pipeline.stretches import Stretches
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.decode import Channels
from kaname.recipes.kpnet.motion import MotionFeed
from kaname.recipes.kpnet.rows import Rows, Writing
from kaname.recipes.kpnet.sources import Stream
from kaname.tracking.bridge import Follow, Found, bridged
from kaname.types import FloatArray, Frame

if TYPE_CHECKING:
    from kaname.recipes.kpnet.infer import How


class Walk:
    """One pass through a video.

    Args:
        follow: the point tracker between detections; None: detect in every frame.
    """

    def __init__(self, model: Model, stream: Stream, how: How, follow: Follow | None) -> None:
        self.model, self.stream, self.how, self.follow = model, stream, how, follow
        self.channels = Channels(model.card, answer_settings(RECIPE, model.card["config"], {"absent": how.absent}))
        self.skeleton = self.channels.skeleton
        self.feed = model.feed if isinstance(model.feed, MotionFeed) else None
        self.before: Frame | None = None
        self.places: FloatArray | None = None

    def write(self, stretches: Stretches, tell: Callable[[int], None]) -> None:
        """Write the rows of all frames that are asked for, from where an earlier attempt stopped.

        Raises:
            InputError: a frame cannot be read, or more or fewer came than were asked for.
        """
        numbers = self.stream.numbers
        rows = Rows(self.skeleton, self.stream.size, Writing(self.how.third, self.how.write_absent))
        done = 0
        if stretches.state is not None:
            done = int(stretches.state["frames"])
            rows.restore(stretches.state["objects"])
            tell(done)
        began = done
        if done < len(numbers):
            steps = bridged(
                self._frames(numbers[done]), self._detect, self.follow, k=self.how.k, threshold=self.how.vis_th,
                wanted=set(numbers),
            )  # fmt: skip
            for step in steps:
                if step.detected and done > began and done % self.how.k == 0:
                    stretches.mark({"frames": done, "objects": rows.state()})
                if done >= len(numbers) or step.frame != numbers[done]:
                    raise InputError(f"frame {step.frame} came out of its order", remedy="encode the video again")
                for line in rows.of(step, self.places if step.detected else None):
                    stretches.add(line)
                done += 1
                tell(1)
        if done != len(numbers):
            reason = f"{done} frames came of {len(numbers)} that are asked for"
            raise InputError(reason, remedy="encode the video again")
        stretches.mark({"frames": done, "objects": rows.state()})

    def _frames(self, first: int) -> Iterator[Frame]:
        delta = self.feed.flow.delta if self.feed is not None else 0
        for frame, before in self.stream.frames(first, between=self.follow is not None, delta=delta):
            self.before = before
            yield frame

    def _detect(self, frame: Frame) -> Found:
        """What the network finds in one frame."""
        if self.feed is not None and self.before is not None:
            self.feed.remember(self.before)
        request = self.model.request([frame])
        xy, visible, scores = self.channels(self.model.outputs(request), request)
        self.places = xy
        return Found(np.where((visible > 0)[:, None], xy, np.nan), visible, scores)
