"""A video from its first frame to its last: detect, follow, write rows, stretch after stretch. No torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kaname.codecs.heatmap import decode
from kaname.data.ahead import ahead
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.inference.card import grid_of
from kaname.inference.model import WAITING, Model
from kaname.inference.request import Arrays, Request
from kaname.pipeline.clock import Clock
from kaname.pipeline.model import answer_settings
from kaname.pipeline.stretches import Stretches
from kaname.recipes.kpnet import MAPS, RECIPE
from kaname.recipes.kpnet.choices import How
from kaname.recipes.kpnet.motion import MotionFeed
from kaname.recipes.kpnet.rows import Rows, Writing
from kaname.recipes.kpnet.sources import Stream
from kaname.tracking.bridge import Bridged, Follow, Found, bridged
from kaname.types import FloatArray, Frame, Points


class Seen(NamedTuple):
    """A detection: its frame, its answer, and the likeliest place of each point ``(C, 2)``, also out of frame."""

    frame: Frame
    answer: Points
    places: FloatArray


def warn_still(model: Model, where: str) -> None:
    """Say of how many frames a model of six channels was shown no motion, since this was asked last."""
    feed = model.feed
    if isinstance(feed, MotionFeed):
        if feed.without:
            known = f"{feed.without} of {feed.fed} frames have no other one to be compared with"
            warnings.warn(f"{where}: {known}: no motion was shown there", stacklevel=2)
        feed.fed = feed.without = 0


def asked(model: Model, items: Sequence[Any], *_: Any) -> dict[str, Any]:
    """Nothing further is asked of a model; what it was not shown is said."""
    warn_still(model, f"{len(items)} labelled frames")
    return {}


class Walk:
    """One pass through a video.

    Args:
        follow: the point tracker between detections; None: detect in every frame.
        clock: is told where the time goes: ``decode``, ``flow``, ``network``, ``bridge``, ``write``.
    """

    def __init__(
        self, model: Model, stream: Stream, how: How, follow: Follow | None, clock: Clock | None = None
    ) -> None:
        self.model, self.stream, self.how, self.follow = model, stream, how, follow
        self.clock = clock or Clock()
        self.skeleton, self.grid = Skeleton.from_dict(model.card["skeleton"]), grid_of(model.card)
        self.method = answer_settings(RECIPE, model.card["config"], how.answers).method
        self.feed = model.feed if isinstance(model.feed, MotionFeed) else None
        self._timed = model.using(model.runner)  # the model of this process serves other videos too
        if self.feed is not None:
            self._timed.feed = self._fed
        self.before: Frame | None = None
        self.ahead: Generator[tuple[Frame, Frame | None], None, None] | None = None
        self.seen: Seen | None = None
        self.lost = 0  # frames that were asked for and came without a picture of their own
        self._lost: set[int] = set()

    def rows(self) -> Rows:
        """What makes rows of this video's frames."""
        return Rows(self.skeleton, self.stream.size, Writing(self.how.third, self.how.write_absent, self.how.smooth))

    def steps(self, done: int = 0) -> Iterator[Bridged]:
        """The points of all frames that are asked for, but for the first ``done``.

        Raises:
            InputError: a frame cannot be read, or more or fewer come than are asked for.
        """
        numbers = self.stream.numbers
        if done < len(numbers):
            frames = self._frames(numbers[done])
            how = {"k": self.how.k, "threshold": self.how.vis_th, "wanted": set(numbers)}
            for step in self.clock.each("bridge", bridged(frames, self._detect, self.follow, **how)):
                if done >= len(numbers) or step.frame != numbers[done]:
                    raise InputError(f"frame {step.frame} came out of its order", remedy="encode the video again")
                yield self._blanked(step) if step.frame in self._lost else step
                done += 1
        if done != len(numbers):
            reason = f"{done} frames came of {len(numbers)} that are asked for"
            raise InputError(reason, remedy="encode the video again")

    def write(self, stretches: Stretches, tell: Callable[[int], None]) -> None:
        """Write the rows of all frames that are asked for, from where an earlier attempt stopped.

        Raises:
            InputError: as `steps`.
        """
        rows, done = self.rows(), 0
        if stretches.state is not None:
            done = int(stretches.state["frames"])
            rows.restore(stretches.state["objects"])
            self.lost = int(stretches.state.get("lost", 0))
            tell(done)
        began, lost = done, self.lost
        for step in self.steps(done):
            before, lost = lost, self.lost
            with self.clock.part("write"):
                if step.detected and done > began and done % self.how.k == 0:
                    stretches.mark({"frames": done, "objects": rows.state(), "lost": before})
                for line in rows.of(step, self.seen.places if step.detected and self.seen else None):
                    stretches.add(line)
                done += 1
                tell(1)
        stretches.mark({"frames": done, "objects": rows.state(), "lost": self.lost})

    def _frames(self, first: int) -> Iterator[Frame]:
        delta = self.feed.flow.delta if self.feed is not None else 0
        frames = self.stream.frames(first, between=self.follow is not None, delta=delta)
        with closing(ahead(self.clock.each("decode", frames), WAITING)) as self.ahead:
            for frame, before in self.clock.each("decode", self.ahead):
                self.before = before
                if frame.lost:
                    self._lost.add(frame.index)
                yield frame

    def close(self) -> None:
        """Read no further, and let go of the video."""
        if self.ahead is not None:
            self.ahead.close()
        self.stream.close()

    def _blanked(self, step: Bridged) -> Bridged:
        """A frame that was lost: the points of its neighbour's picture go on from here, but are not its own."""
        self.lost += 1
        self._lost.discard(step.frame)
        found = step.found
        nothing = Found(np.full_like(found.xy, np.nan), np.zeros_like(found.visible), np.zeros_like(found.scores))
        return replace(step, found=nothing)

    def _detect(self, frame: Frame) -> Found:
        """What the network finds in one frame."""
        with self.clock.part("network"):
            return self._found(frame)

    def _fed(self, request: Request) -> Arrays:
        with self.clock.part("flow"):
            return self.model.feed(request)

    def _found(self, frame: Frame) -> Found:
        if self.feed is not None and self.before is not None and self.before.path is not None:
            key = self.before.path, self.before.index
            if key not in self.feed.last:  # it would be decoded once more
                with self.clock.part("flow"):
                    self.feed.last[key] = self.feed.placed(self.before.image)
        request = self.model.request([frame])
        outputs = self._timed.outputs(request)
        (answer,) = self.model.decode(outputs, request)
        xy, visible, scores = (
            np.array([values[name][0] for name in self.skeleton.channels])
            for values in (answer.xy, answer.visible, answer.scores)
        )
        known = (visible > 0)[:, None]
        likeliest = xy if known.all() else request.back().points(decode(outputs[MAPS][0], self.grid, self.method)[0])
        self.seen = Seen(frame, answer, np.where(known, xy, likeliest))
        return Found(xy, visible, scores)
