"""One question to a network, and what the network is fed for it. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.view import View
from kaname.inference.card import FITTED
from kaname.types import Frame, Image, Points, Size

Maps: TypeAlias = NDArray[np.float32]
Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Request:
    """One question to a network: a window of frames of one size, and boxes where it takes boxes.

    Attributes:
        frames: as many as the network sees together.
        view: how they become its input.
        boxes: ``(N, 4)`` in pixels of the frames; None for a network that looks at whole images.
        wanted: how many of the last frames are to be answered; None: all.
        shown: of each frame what `shown` makes of it, where somebody has made it already.
        raw: whether the network is fed the frames as they are and brings them into its view itself.
    """

    frames: Sequence[Frame]
    view: View
    boxes: NDArray[np.float64] | None = None
    wanted: int | None = None
    shown: Sequence[Maps] | None = None
    raw: bool = True

    @property
    def size(self) -> Size:
        """``(height, width)`` of the frames."""
        height, width = self.frames[0].image.shape[:2]
        return height, width

    @property
    def image(self) -> Image:
        """The frames' channels one after the other, ``(h, w, 3 * frames)``."""
        images = [frame.image for frame in self.frames]
        return images[0] if len(images) == 1 else np.concatenate(images, axis=2)

    def fitted(self) -> Maps:
        """The frames in the view: ``(1, 3 * frames, rows, columns)`` in 0..255, of a crop one for each box."""
        if self.view.fit != "crop":
            pictures = self.shown or [shown(self.view, frame.image) for frame in self.frames]
            # picture by picture: all of them at once took five times as long
            return np.concatenate([np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in pictures])[None]
        image, size = self.image, self.view.input_size
        # in single precision, as a graph takes them: boxes from two files may differ in the last bits
        boxes = [None] if self.boxes is None else self.boxes.astype(np.float32).astype(np.float64)
        seen = [self.view.into(self.size, box).image(image, size, exact=True) for box in boxes]
        return np.ascontiguousarray(np.stack(seen).transpose(0, 3, 1, 2), np.float32)

    def back(self, box: ArrayLike | None = None) -> Affine:
        """The map from pixels of the input to pixels of the frames; of a crop for one of its boxes."""
        return self.view.into(self.size, box).inverse()

    def mirrored(self, boxes: NDArray[np.float64]) -> Request:
        """The frames with left and right exchanged, and other boxes."""
        frames = [replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1])) for frame in self.frames]
        return replace(self, frames=frames, boxes=boxes, shown=None)


Decode: TypeAlias = Callable[[Arrays, Request], list[Any]]
"""Outputs by name, with their batch axis (1, or N boxes), to an answer for each (wanted) frame of the request."""

Feed: TypeAlias = Callable[[Request], Arrays]


@dataclass(frozen=True)
class Closer:
    """Which parts of an image are looked at by themselves.

    Attributes:
        part: from an answer to the box ``(x1, y1, x2, y2)`` that is looked at again, or ``None`` where one look
            is enough.
        rounds: from ``(height, width)`` to the boxes ``(N, 4)`` of each round in which an image is searched where
            nothing was found; the first round that ends in an answer of which ``sure`` holds is the last.
        weight: of an answer, how much it has found; 0 is nothing.
        sure: whether an answer that a search has led to counts: who looks often is often mistaken.
    """

    part: Callable[[Points], ArrayLike | None]
    rounds: Callable[[Size], Iterable[ArrayLike]] = lambda _: ()
    weight: Callable[[Points], float] = lambda _: 1.0
    sure: Callable[[Points], bool] = lambda _: True


def shown(view: View, image: Image) -> Maps:
    """An image ``(h, w, 3)`` as a view of whole images shows it: float32 ``(rows, columns, 3)`` in 0..255."""
    return (
        view.into((image.shape[0], image.shape[1]))
        .image(image, view.input_size, exact=True)
        .astype(np.float32, copy=False)
    )


def images_and_boxes(request: Request) -> Arrays:
    """What most networks are fed: ``fitted`` (`Request.fitted`), or ``images`` uint8 ``(1, h, w, 3 * frames)`` and,
    where there are any, ``boxes``."""
    if not request.raw:
        return {FITTED: request.fitted()}
    given: dict[str, NDArray[Any]] = {"images": request.image[None]}
    if request.boxes is not None:
        given["boxes"] = request.boxes.astype(np.float32)
    return given


def check_image(image: Any, channels: int = 3) -> Image:
    """An RGB uint8 array ``(h, w, channels)``, or an :class:`InputError` that says what it is instead."""
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != channels or image.dtype != np.uint8:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"an image is uint8 (height, width, {channels}) RGB, got {what}", remedy="convert it first")
    if 0 in image.shape:
        raise InputError(f"an image without pixels: {image.shape}", remedy="check the source")
    return image


def main_output(outputs: Arrays) -> Maps:
    """``heatmaps``, or the only output there is (of several without it the first)."""
    return outputs["heatmaps"] if "heatmaps" in outputs else next(iter(outputs.values()))
