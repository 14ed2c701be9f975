"""The channels of motion: where a frame's neighbour is, and what the network is fed of both. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.cache import ArrayCache, default_folder
from kaname.data.flow import FlowSettings, Pair, PairSource, pair_of, partner, still
from kaname.data.formats.mot_kp_files import frame_of, neighbours
from kaname.data.frame_source import FrameSource
from kaname.data.naming import video_file
from kaname.data.video import is_video
from kaname.errors import InputError
from kaname.geometry.view import View
from kaname.inference.card import view_of
from kaname.inference.request import Arrays, Feed, Request, images_and_boxes
from kaname.recipes.kpnet import FLOW, FOREGROUND
from kaname.recipes.kpnet.config import AnswerSettings, KpnetConfig, MotionSettings
from kaname.types import Frame, Image

KEPT = 4  # frames of a stream that may be the next one's neighbour


class Motion:
    """Pairs of frames of many videos; it may be sent to other processes.

    Args:
        images: of single frames, by video and number.
        cache: of computed pairs.
    """

    def __init__(
        self, config: KpnetConfig, images: Mapping[str, Mapping[int, Path]], cache: ArrayCache | None = None
    ) -> None:
        self.missing, self.delta = config.data.missing_flow, config.motion.delta
        self.sources: dict[str, FrameSource] = {}
        self.pairs: dict[str, PairSource] = {}
        settings = flow_settings(config.motion)
        for video, own in images.items():
            source = FrameSource(video, video=video_file(config.data.videos, video), images=own)
            self.sources[video] = source
            self.pairs[video] = PairSource(
                source.read, source.identity, config.view, settings, cache=cache, count=source.count
            )

    def has(self, video: str, number: int) -> bool:
        """Whether there is a frame to compare this one with."""
        source = self.sources[video]
        return source.has(number) and source.has(partner(number, self.delta)[0])

    def pair(self, video: str, number: int) -> Pair:
        """A frame with the one that it is compared with.

        Raises:
            InputError: there is none, and motion must not be missing.
        """
        source = self.sources[video]
        if self.missing == "zero" and not self.has(video, number):
            return self.pairs[video].still(number) if source.has(number) else _nothing(self.pairs[video], source)
        return self.pairs[video].pair(number)

    def before(self, video: str, number: int) -> Pair:
        """The pair of the frame that this one is compared with."""
        count = None if self.missing == "zero" else self.sources[video].count
        return self.pair(video, partner(number, self.delta, count)[0])


def motion_of(config: KpnetConfig, images: Mapping[str, Mapping[int, Path]], *, cached: bool = True) -> Motion:
    """The motion of a configuration's videos, kept on disk where its budget allows."""
    return Motion(config, images, cache_of(config, "flow") if cached else None)


def cache_of(config: KpnetConfig, name: str) -> ArrayCache | None:
    """Where computed arrays of a kind are kept; None where nothing may be."""
    budget = int(config.train.cache_budget * 1e9)
    return ArrayCache(default_folder() / name, budget=budget) if budget else None


def flow_settings(motion: MotionSettings) -> FlowSettings:
    """As the flow takes them."""
    return FlowSettings(**asdict(motion))


def fed(pair: Pair) -> dict[str, NDArray[Any]]:
    """What a network is fed of a pair besides the image: ``flow`` float16 ``(2, h, w)`` pixels from the frame before to
    this one, ``foreground`` uint8 ``(1, h, w)``."""
    flow = np.moveaxis(pair.motion, 2, 0).astype(np.float16)
    return {FLOW: np.ascontiguousarray(flow), FOREGROUND: pair.foreground[None]}


def feed_of(card: Mapping[str, Any], settings: AnswerSettings, path: Path) -> Feed:
    """What a file's network is fed for a request: the image, and of six channels its motion.

    The other frame comes from the video of the frame, from one that its name states, or from an image beside it.
    """
    del path
    return MotionFeed(card, settings) if card.get("motion") else images_and_boxes


class MotionFeed:
    """Feeds a network of six channels: an image, and the motion from the frame before it to this one."""

    def __init__(self, card: Mapping[str, Any], settings: AnswerSettings) -> None:
        self.view: View = view_of(card)
        self.flow = FlowSettings(**card["motion"])
        data = card["config"]["data"]
        self.videos = settings.video_root or Path(data["video_root"] or Path(data["root"]) / "movie")
        self.missing = settings.missing_flow or data["missing_flow"]
        self.last: dict[tuple[Path, int], Image] = {}  # frames of a stream, the newest last
        self.fed = self.without = 0  # requests, and those of them without motion

    def __call__(self, request: Request) -> Arrays:
        frame = request.frames[-1]
        image = self.placed(frame.image) if request.shown is None else np.rint(request.shown[-1]).astype(np.uint8)
        other = self._other(frame)
        if frame.path is not None:
            self.last[frame.path, frame.index] = image
            for key in list(self.last)[: -(self.flow.delta + KEPT)]:
                del self.last[key]
        self.fed, self.without = self.fed + 1, self.without + (other is None)
        pair = still(image) if other is None else _turned(pair_of(image, other[0], self.flow.method), other[1])
        return {**images_and_boxes(request)} | {name: one[None].astype(np.float32) for name, one in fed(pair).items()}

    def _other(self, frame: Frame) -> tuple[Image, bool] | None:
        """The frame to compare with on the canvas, and whether it comes after."""
        if frame.path is None:
            if self.missing == "zero":
                return None
            reason = "the model sees motion too, and of this image no frame before it is known"
            remedy = "give a video, or the file of a frame; or do without motion: answers.missing_flow=zero"
            raise InputError(reason, remedy=remedy)
        source, number = self._source(frame.path, frame.index)
        other, after = partner(number, self.flow.delta, None if self.missing == "zero" else source.count)
        kept = self.last.get((frame.path, other)) if is_video(frame.path) else None
        if kept is not None:
            return kept, after
        if self.missing == "zero" and not source.has(other):
            return None
        return self.placed(source.read(other)), after

    def _source(self, path: Path, index: int) -> tuple[FrameSource, int]:
        if is_video(path):
            return FrameSource(path.stem, video=path), index
        named = frame_of(path.stem)
        if named is None:
            return FrameSource(path.stem, images={index: path}), index
        video, number = named
        near = (number - self.flow.delta, number, number + self.flow.delta)
        images = neighbours(path, video, [one for one in near if one >= 0])
        return FrameSource(video, video=video_file(self.videos, video), images=images), number

    def placed(self, image: Image) -> Image:
        """An image on the canvas."""
        return self.view.into(image.shape[:2]).image(image, self.view.input_size)  # type: ignore[return-value]


def _turned(pair: Pair, after: bool) -> Pair:
    return replace(pair, turned=after)


def _nothing(pairs: PairSource, source: FrameSource) -> Pair:
    """Of a frame that cannot be read itself: black, and nothing known to have moved."""
    return still(np.zeros((*pairs.view.input_size, 3), np.uint8))
