"""Smoothing of the key points of objects along a video, looking back alone, so that a run that stopped may go on.

A point is smoothed over frames in a row in which its object has one id and the point is seen. Where it was absent or
hidden, where an object has got another id, or where a point is farther away than an object may be in one frame, it
begins anew. Hidden points keep their places as they are.

Adding another way: a function with the signature `Filter`, and one line in `FILTERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaname.tracking.smooth import NONE, Smooth
from kaname.types import FloatArray

SPEED_CUTOFF = 1.0  # Hz, of the speed that the one-euro filter follows: its authors' choice
LEAST_STEP = 1e-6  # seconds; time stamps of damaged videos may stand still


Kept: TypeAlias = FloatArray
"""What a filter remembers of points, ``(R, K, 2)``, NaN where it begins; the first row is what it answers."""
Filter: TypeAlias = Callable[[Smooth, Kept, FloatArray, float], Kept]
"""``(how, kept or (0, K, 2), points (K, 2), seconds since the last) -> kept``."""


def one_euro(how: Smooth, kept: Kept, points: FloatArray, seconds: float) -> Kept:
    """The one-euro filter (Casiez, Roussel, Vogel: 1 euro Filter, CHI 2012): a low pass whose cutoff grows with the
    speed; both coordinates of a point have that of its speed."""
    if not len(kept):
        return np.stack([points, np.zeros_like(points)])
    before, speed = kept
    begins = ~np.isfinite(before).all(axis=1, keepdims=True)
    now = (points - before) / seconds
    speed = np.where(begins, 0.0, speed + _share(SPEED_CUTOFF, seconds) * (now - speed))
    cutoff = how.cutoff + how.beta * np.linalg.norm(speed, axis=1, keepdims=True)
    return np.stack([np.where(begins, points, before + _share(cutoff, seconds) * (points - before)), speed])


def _share(cutoff: Any, seconds: float) -> Any:
    """How much of a difference an exponential low pass of a cutoff in Hz takes in so many seconds."""
    turn = 2 * np.pi * cutoff * seconds
    return turn / (turn + 1)


def median(how: Smooth, kept: Kept, points: FloatArray, seconds: float) -> Kept:
    """The median of each coordinate over the last frames, fewer at the beginning: single outliers vanish."""
    del seconds
    recent = np.concatenate([kept[1:], points[None]])[-how.window :]
    seen = np.isfinite(points).all(axis=1, keepdims=True)
    middle = np.nanmedian(np.where(seen, recent, 0.0), axis=0)
    return np.concatenate([np.where(seen, middle, np.nan)[None], recent])


FILTERS: dict[str, Filter] = {"one-euro": one_euro, "median": median}


class Filtered:
    """The smoothed points of a video's objects, frame after frame.

    Args:
        how: which filter.
        reach: pixels; a point that is farther away than this in the next frame is another one.
    """

    def __init__(self, how: Smooth, *, reach: float) -> None:
        self.how, self.reach = how, reach
        self.kept: dict[str, Kept] = {}
        self.last: dict[str, FloatArray] = {}  # the places before smoothing
        self.seconds = 0.0

    def of(self, one: Hashable, points: FloatArray, seen: NDArray[np.bool_], seconds: float) -> FloatArray:
        """The places ``(K, 2)`` of an object with the id ``one`` in the next frame; once in each.

        Args:
            seen: ``(K,)`` which points are; the others come back as they are.
            seconds: the frame's time; all objects of a frame before `end`.
        """
        if self.how.name == NONE:
            return points
        key, own = str(one), np.where(seen[:, None], points, np.nan)
        kept = self.kept.get(key, np.zeros((0, *points.shape)))
        if key in self.last:
            goes_on = np.linalg.norm(own - self.last[key], axis=1) <= self.reach  # not where either is NaN
            kept = np.where(goes_on[:, None], kept, np.nan)
        self.last[key] = own
        self.kept[key] = FILTERS[self.how.name](self.how, kept, own, max(seconds - self.seconds, LEAST_STEP))
        return np.where(seen[:, None], self.kept[key][0], points)

    def end(self, there: Collection[Hashable], seconds: float) -> None:
        """A frame is over in which the objects with these ids were there: others begin anew."""
        self.seconds = seconds
        names = {str(one) for one in there}
        self.kept = {key: value for key, value in self.kept.items() if key in names}
        self.last = {key: value for key, value in self.last.items() if key in names}

    def state(self) -> dict[str, Any]:
        """All of it as plain values, so that a run that stopped may go on."""
        plain = {name: {key: _plain(value) for key, value in own.items()}
                 for name, own in (("kept", self.kept), ("last", self.last))}  # fmt: skip
        return {**plain, "seconds": self.seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        self.kept, self.last = ({key: np.array(value, np.float64) for key, value in state[name].items()}
                                for name in ("kept", "last"))  # fmt: skip
        self.seconds = float(state["seconds"])


def _plain(values: FloatArray) -> list[Any]:
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    return plain.tolist()
