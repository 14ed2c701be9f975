"""What moved since the frame before: optical flow both ways and the difference of grey levels, on the network's canvas.

A flow ``(h, w, 2)`` says for each pixel of its first picture by how many pixels (right, down) it has moved in the
second. So ``flow(other, this)`` belongs to the pixels of ``other``, ``flow(this, other)`` to those of ``this``: what is
at ``p`` in ``this`` was at ``p + flow(this, other)[p]`` in ``other``, which is what warps a picture or a heatmap of
``other`` onto ``this``.

Adding a new method: a function of two grey pictures in `METHODS`, its name in ``MotionSettings.method`` of the recipe,
and in the parametrised tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.data.augment import flow_under
from kaname.data.cache import ArrayCache, content_key
from kaname.errors import InputError, require
from kaname.geometry.affine import Affine
from kaname.geometry.grid import PIXELS
from kaname.geometry.view import View
from kaname.types import FloatArray, Image

Flow = NDArray[np.floating[Any]]
Grey = NDArray[np.uint8]
Reader = Callable[[int], Image]

FORMAT = "flow 1"  # part of every key: changes when the arrays of an entry do
SCALE = 20.0  # pixels of flow that become 1 in the network's input; more is 1 too
# Of Sundaram, Brox, Keutzer (ECCV 2010): |there + back|^2 may be at most this share of both lengths' squares, and this.
SHARE, SLACK = 0.01, 0.5
ROWS = 32000  # of a result of OpenCV's remap, which counts in 16 bits


@dataclass(frozen=True)
class FlowSettings:
    """What the channels of motion are made of, as the model's card keeps it.

    Attributes:
        method: of `METHODS`.
        delta: how many frames of the video lie between this frame and the other.
        scale: pixels of flow that become 1.

    Raises:
        InputError: an unknown method, or numbers that are not positive.
    """

    method: str = "farneback"
    delta: int = 1
    scale: float = SCALE

    def __post_init__(self) -> None:
        known = ", ".join(METHODS)
        require(self.method in METHODS, f"--flow-method is {self.method!r}", f"use one of: {known}")
        require(self.delta >= 1, f"--flow-delta must be at least 1, got {self.delta}", "1 is the frame before")
        require(self.scale > 0, f"the scale of flow must be positive, got {self.scale}", f"{SCALE:g} is usual")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a card."""
        return asdict(self)


def differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Where two contracts differ, for a message that names both sides; empty where they agree.

    >>> differences({"delta": 1, "method": "dis"}, {"delta": 2, "method": "dis"})
    'delta 1 and 2'
    """
    keys = dict.fromkeys([*own, *other])
    return ", ".join(f"{key} {own.get(key)} and {other.get(key)}" for key in keys if own.get(key) != other.get(key))


@dataclass(frozen=True)
class Pair:
    """A frame and the one that it is compared with, on the canvas.

    Attributes:
        image, other: RGB uint8 ``(h, w, 3)``.
        forward: float16 ``(h, w, 2)``, from ``other`` to ``image``, at the pixels of ``other``.
        backward: from ``image`` to ``other``, at the pixels of ``image``.
        foreground: uint8 ``(h, w)``, the difference of grey levels.
        turned: whether ``other`` is the frame after, because there is none before.
        still: whether there is no other frame at all, and nothing is taken to have moved.
    """

    image: Image
    other: Image
    forward: NDArray[np.float16]
    backward: NDArray[np.float16]
    foreground: Grey
    turned: bool = False
    still: bool = False

    @property
    def motion(self) -> NDArray[np.float32]:
        """The network's flow ``(h, w, 2)`` in pixels: from the frame before to this one, whichever was compared."""
        forward = self.forward.astype(np.float32)
        return -forward if self.turned else forward

    def under(self, into: Affine) -> Pair:
        """Both frames and what is between them under a map of the canvas; black, still and equal beyond the border.

        `seen_in_both` is that of the pair before, as a mask under the same map: beyond the border nothing is seen.
        """
        size = self.image.shape[:2]
        image, other, difference = (into.image(one, size) for one in (self.image, self.other, self.foreground))
        forward, backward = (flow_under(into, one, size).astype(np.float16) for one in (self.forward, self.backward))
        return replace(self, image=image, other=other, forward=forward, backward=backward, foreground=difference)

    def seen_in_both(self) -> NDArray[np.bool_]:
        """``(h, w)`` of ``image``: where flow there and back come to the same place."""
        return consistent(self.backward.astype(np.float32), self.forward.astype(np.float32))


def channels(motion: Flow, foreground: Grey, *, scale: float = SCALE) -> NDArray[np.float32]:
    """The three channels ``(3, h, w)`` that a network gets beside the colours, in -1..1: no difference is -1, not 0."""
    flow = np.clip(motion.astype(np.float32) / scale, -1, 1)
    difference = foreground.astype(np.float32) / 255 * 2 - 1
    return np.concatenate([np.moveaxis(flow, 2, 0), difference[None]])


def flow(first: Image, second: Image, method: str = "farneback") -> NDArray[np.float32]:
    """The flow ``(h, w, 2)`` from one RGB picture to another of its size."""
    return METHODS[method](_grey(first), _grey(second))


def foreground(first: Image, second: Image) -> Grey:
    """The absolute difference of grey levels ``(h, w)``."""
    return cv2.absdiff(_grey(first), _grey(second))  # type: ignore[return-value]


def consistent(there: Flow, back: Flow) -> NDArray[np.bool_]:
    """Where a flow and the one back cancel out, ``(h, w)`` at the pixels of ``there``; not where it leaves the picture.

    What is covered in one of the two pictures, or badly found, is False.
    """
    height, width = there.shape[:2]
    there = there.astype(np.float32)
    across = there[..., 0] + np.arange(width, dtype=np.float32)  # indices, as OpenCV has them: fast on whole pictures
    down = there[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    returned = _remapped(back, across, down)
    apart, there = there + returned, np.square(there)
    length = there[..., 0] + there[..., 1] + np.square(returned[..., 0]) + np.square(returned[..., 1])
    agree = np.square(apart[..., 0]) + np.square(apart[..., 1]) <= SHARE * length + SLACK
    (left, top), (right, bottom) = PIXELS.to_index([[0, 0], [width, height]]).tolist()
    return agree & (across >= left) & (across <= right) & (down >= top) & (down <= bottom)


def sampled(field: Flow, points: FloatArray) -> FloatArray:
    """A flow at points ``(N, 2)`` in continuous pixels, bilinear; beyond the border as at it, NaN for NaN."""
    known = np.isfinite(points).all(axis=1, keepdims=True)
    places = PIXELS.to_index(np.where(known, points, 0.0)).astype(np.float32)
    parts = [places[start : start + ROWS] for start in range(0, len(places), ROWS)]
    found = [_remapped(field, part[:, :1], part[:, 1:]).reshape(-1, 2) for part in parts]
    return np.where(known, np.concatenate([np.zeros((0, 2)), *found]), np.nan)


def partner(number: int, delta: int, count: int | None = None) -> tuple[int, bool]:
    """The frame that a frame is compared with, and whether it comes after: the first ones have none before them.

    >>> partner(29, 1), partner(0, 1)
    ((28, False), (1, True))

    Raises:
        InputError: a video so short that there is neither.
    """
    if number >= delta:
        return number - delta, False
    if count is not None and number + delta >= count:
        reason = f"frame {number} has no frame {delta} before or after it in a video of {count}"
        raise InputError(reason, remedy="use a smaller --flow-delta, or --missing-flow zero")
    return number + delta, True


class PairSource:
    """The pairs of one video, or of frames in a row, computed once where there is a cache.

    Args:
        read: gives a frame by its number, at its own size.
        identity: of the content: the hash of the video's file, or a function that gives that of a frame's image.
        view: how frames come onto the canvas.
        settings: of the flow.
        cache: of computed pairs; None computes each again.
        count: of frames, where it is known.
    """

    def __init__(
        self,
        read: Reader,
        identity: str | Callable[[int], str],
        view: View,
        settings: FlowSettings,
        *,
        cache: ArrayCache | None = None,
        count: int | None = None,
    ) -> None:
        self.read, self.identity, self.view, self.settings = read, identity, view, settings
        self.cache, self.count = cache, count

    def key(self, number: int) -> str:
        """The name of a frame's entry: everything it is computed from."""
        other, _ = partner(number, self.settings.delta, self.count)
        content = [self.identity] if isinstance(self.identity, str) else [self.identity(one) for one in (number, other)]
        facts = [FORMAT, *content, f"{number} {other}", self.settings.method, str(self.view.to_dict())]
        return content_key([*facts, cv2.__version__])

    def has(self, number: int) -> bool:
        """Whether a frame's pair is in the cache."""
        return self.cache is not None and self.cache.get(self.key(number)) is not None

    def pair(self, number: int) -> Pair:
        """A frame with the one ``delta`` before it, or after it where there is none before.

        Raises:
            InputError: what ``read`` raises, or a video so short that there is no other frame.
        """
        other, turned = partner(number, self.settings.delta, self.count)
        key = self.key(number) if self.cache is not None else ""
        stored = self.cache.get(key) if self.cache is not None else None
        if stored is None:
            made = pair_of(self._placed(number), self._placed(other), self.settings.method)
            stored = {name: getattr(made, name) for name in ("image", "other", "forward", "backward", "foreground")}
            if self.cache is not None:
                self.cache.put(key, stored)
        return Pair(**stored, turned=turned)  # type: ignore[arg-type]

    def still(self, number: int) -> Pair:
        """A frame of which nothing is known to have moved."""
        return still(self._placed(number))

    def _placed(self, number: int) -> Image:
        image = self.read(number)
        return self.view.into(image.shape[:2]).image(image, self.view.input_size)  # type: ignore[return-value]


def pair_of(image: Image, other: Image, method: str = "farneback") -> Pair:
    """The pair of two pictures of one size."""
    forward, backward = (flow(*both, method).astype(np.float16) for both in ((other, image), (image, other)))
    return Pair(image, other, forward, backward, foreground(image, other))


def still(image: Image) -> Pair:
    """A picture of which nothing is known to have moved."""
    nothing = np.zeros((*image.shape[:2], 2), np.float16)
    return Pair(image, image, nothing, nothing, np.zeros(image.shape[:2], np.uint8), still=True)


def _remapped(field: Flow, across: NDArray[np.float32], down: NDArray[np.float32]) -> NDArray[np.float32]:
    """A field at indices ``(rows, columns)``, bilinear."""
    grid = np.ascontiguousarray(across), np.ascontiguousarray(down)
    source = np.ascontiguousarray(field, np.float32)
    found = cv2.remap(source, *grid, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(*across.shape, 2)


def _grey(image: Image) -> Grey:
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]


def _farneback(first: Grey, second: Grey) -> NDArray[np.float32]:
    """Farnebäck: Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003; numbers of the original."""
    found = cv2.calcOpticalFlowFarneback(
        first, second, None, pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0
    )  # type: ignore[call-overload]
    return np.asarray(found, np.float32)


def _dis(first: Grey, second: Grey) -> NDArray[np.float32]:
    """Kroeger et al.: Fast Optical Flow using Dense Inverse Search, ECCV 2016 (arXiv 1603.03590)."""
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(method.calc(first, second, None), np.float32)  # type: ignore[call-overload]


METHODS: dict[str, Callable[[Grey, Grey], NDArray[np.float32]]] = {"farneback": _farneback, "dis": _dis}
