"""Points between detections: a detector looks at every K-th frame that is asked for, a point tracker walks between.

Everything is in pixels of the original frames, which come in as a plain iterator, so that memory stays that of what the
tracker keeps of one stretch. A stretch begins at a detection and ends before the next; nothing is carried over this
seam, so a run that stopped may go on at any detection. Frames that are not asked for are walked through all the same:
a point that moves far in 29 frames moves little in each of them.

Adding a new point tracker: a function with the signature `Follow`, such as `kaname.tracking.klt.klt`. It is told where
the points are in the first frame and answers for each later one, in order; it may look at several frames before it
answers, because a stretch ends after K frames that are asked for.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError, require
from kaname.types import FloatArray, Frame, Image

ABSENT, HIDDEN, VISIBLE = 0, 1, 2
THRESHOLD = 0.5

Followed: TypeAlias = tuple[FloatArray, FloatArray]
"""Of a frame: the places ``(N, 2)`` and how probable it is that each point is to be seen, ``(N,)``."""
Follow: TypeAlias = Callable[[Iterator[Image], FloatArray], Iterator[Followed]]
"""Images, the first with points ``(N, 2)``, N >= 1 -> for each later image where these points are."""


@dataclass(frozen=True)
class Found:
    """The points of one frame, one for each channel.

    Attributes:
        xy: ``(C, 2)`` pixels of the frame; NaN where absent.
        visible: ``(C,)``: 0 out of frame, 1 hidden, 2 visible.
        scores: ``(C,)``.
    """

    xy: FloatArray
    visible: NDArray[np.int64]
    scores: FloatArray


@dataclass(frozen=True)
class Bridged:
    """What is known of one frame that was asked for.

    Attributes:
        frame, seconds: its number and its time.
        found: its points.
        detected: whether the detector looked at it.
    """

    frame: int
    seconds: float
    found: Found
    detected: bool


def bridged(
    frames: Iterable[Frame],
    detect: Callable[[Frame], Found],
    follow: Follow | None,
    *,
    k: int,
    threshold: float = THRESHOLD,
    wanted: Container[int] | None = None,
) -> Iterator[Bridged]:
    """Every frame that is asked for, with its points.

    A point that is out of frame at a detection stays so until the next; one that leaves the picture is out of frame
    from there on. A hidden point is followed and stays hidden; a visible one is hidden where the tracker holds it for
    less probable than ``threshold``. Its score is the detection's times that probability.

    Args:
        frames: of one video, in order; those before the first that is asked for are passed over.
        detect: the detector.
        follow: the point tracker; None: the detector looks at every frame.
        k: the detector looks at every K-th of the frames that are asked for.
        threshold: 0..1.
        wanted: numbers of the frames that are asked for; None: all.

    Raises:
        InputError: ``k`` below 1, or a threshold outside 0..1.
    """
    require(k >= 1, f"--k must be at least 1, got {k}", "1 detects in every frame, 10 is usual")
    require(0 <= threshold <= 1, f"--vis-th must lie in 0..1, got {threshold}", f"{THRESHOLD} is usual")
    return _bridged(iter(frames), detect, follow, 1 if follow is None else k, threshold, wanted)


def _bridged(
    frames: Iterator[Frame],
    detect: Callable[[Frame], Found],
    follow: Follow | None,
    k: int,
    threshold: float,
    wanted: Container[int] | None,
) -> Iterator[Bridged]:
    first = next((frame for frame in frames if wanted is None or frame.index in wanted), None)
    while first is not None:
        found = detect(first)
        yield Bridged(first.index, first.seconds, found, detected=True)
        stretch = _Stretch(frames, wanted, k)
        yield from _walk(first, found, stretch, follow, threshold)
        first = stretch.next


class _Stretch:
    """The frames after a detection up to the next one, which is kept."""

    def __init__(self, frames: Iterator[Frame], wanted: Container[int] | None, k: int) -> None:
        self.frames, self.wanted, self.left = frames, wanted, k
        self.next: Frame | None = None
        self.passed: deque[tuple[int, float, bool]] = deque()  # of frames that the tracker has not answered for

    def images(self) -> Iterator[Image]:
        """The images of the frames between, as they are asked for."""
        for frame in self.frames:
            asked = self.wanted is None or frame.index in self.wanted
            self.left -= asked
            if self.left == 0:
                self.next = frame
                return
            self.passed.append((frame.index, frame.seconds, asked))
            yield frame.image


def _walk(first: Frame, found: Found, stretch: _Stretch, follow: Follow | None, threshold: float) -> Iterator[Bridged]:
    known = (found.visible > ABSENT) & np.isfinite(found.xy).all(axis=1)
    images = stretch.images()
    if follow is None or not known.any():
        nothing = np.zeros((int(known.sum()), 2)), np.zeros(int(known.sum()))
        answers: Iterator[Followed] = (nothing for _ in images)
    else:
        answers = follow(itertools.chain([first.image], images), found.xy[known])
    size = first.image.shape[:2]
    gone = np.zeros(int(known.sum()), np.bool_)
    for places, probability in answers:
        frame, seconds, asked = stretch.passed.popleft()
        gone = gone | ~((places >= 0) & (places <= size[::-1])).all(axis=1)
        if asked:
            yield Bridged(frame, seconds, _moved(found, known, places, probability, gone, threshold), detected=False)
    if stretch.passed or next(images, None) is not None:
        raise InputError(f"the point tracker gave no answer for {len(stretch.passed)} frames of a stretch",
                         row=f"frame {first.index}", remedy="use --tracker klt")  # fmt: skip


def _moved(
    found: Found,
    known: NDArray[np.bool_],
    places: FloatArray,
    probability: FloatArray,
    gone: NDArray[np.bool_],
    threshold: float,
) -> Found:
    xy, visible, scores = np.full(found.xy.shape, np.nan), np.zeros_like(found.visible), np.zeros_like(found.scores)
    xy[known] = np.where(gone[:, None], np.nan, places)
    seen = np.where(probability >= threshold, found.visible[known], HIDDEN)
    visible[known] = np.where(gone, ABSENT, seen)
    scores[known] = np.where(gone, 0.0, found.scores[known] * probability)
    return Found(xy, visible, scores)


def hold(images: Iterator[Image], points: FloatArray) -> Iterator[Followed]:
    """Points stay where they were: what a bridge has to be better than."""
    next(images)
    sure = np.ones(len(points))
    for _ in images:
        yield points, sure
