"""Static spots: places that a detector takes for the object again and again, such as a sponsor's logo.

A ball is never for long where it was. Detections within a spot (half a percent of the frame's width) are taken together
into stays: one ends where the object is seen far away (a tenth of the width). A spot is static where

- one stay has detections of five seconds; of twenty where the object came there, that is where the detection before
  lies close by. A logo is there all at once; a ball rolls to where it lies at the end of a rally, and is fetched, or
- within half a minute it is stayed in three times, and has detections of a second: an object that was far away does not
  come back to the same few pixels again and again. (A server comes back twice, and a ball that flies through is there
  for a frame or two.)

This needs the whole video. So its rows are held as columns of numbers, about 50 bytes a frame: 16 MB for three hours.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.tracking.trajectory import DETECTED, STATIC, Row
from kaname.types import FloatArray, Size

RADIUS, LEAST_RADIUS_PX = 0.005, 2.0  # of a spot: in widths of the frame, and at least
FRINGE = 1.5  # times the radius: where a static spot's detections are left out
FAR = 0.1  # widths of the frame
LONG_SECONDS, LYING_SECONDS = 5.0, 20.0
CLOSE, JUST_SECONDS = 0.05, 0.4  # widths of the frame and time within which the object came there
WITHIN_SECONDS, STAYS, SECONDS = 30.0, 3, 1.0
USUAL_RATE = 25.0  # frames per second where the times do not say


@dataclass(frozen=True)
class Spot:
    """Attributes:
    x, y: the median of its detections, continuous pixels of the frame.
    rows: how many detections are left out.
    first, last: frames of the first and the last of them.
    """

    x: float
    y: float
    rows: int
    first: int
    last: int


def find_spots(
    frames: NDArray[np.int64], places: FloatArray, size: Size, rate: float
) -> tuple[list[Spot], NDArray[np.bool_]]:
    """The static spots among the detections of one video, the fullest first, and which detections they take.

    Args:
        frames: ``(N,)`` numbers, rising.
        places: ``(N, 2)`` continuous pixels.
        size: ``(height, width)`` of the frame in pixels.
        rate: frames per second.
    """
    radius = max(LEAST_RADIUS_PX, RADIUS * size[1])
    taken, spots = np.zeros(len(frames), bool), list[Spot]()
    if not len(frames):
        return spots, taken
    # A spot covers parts of four cells as wide as it is: at least one of them holds a quarter of its detections.
    cells = np.floor(places / (2 * radius)).astype(np.int64)
    _, cell, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(cell.ravel(), kind="stable"), np.cumsum(counts)[:-1])
    order = np.argsort(places[:, 0], kind="stable")  # so that what is near is found without looking at all
    across = places[order, 0]
    for number in np.argsort(-counts, kind="stable"):
        if counts[number] < SECONDS * rate / 4:
            break
        rest = members[number][~taken[members[number]]]
        if not len(rest):
            continue
        middle = np.median(places[rest], axis=0)
        for _ in range(2):  # the first middle is the cell's, the second the spot's
            near = _near(places, order, across, middle, radius)
            near = near[~taken[near]]
            middle = np.median(places[near], axis=0) if len(near) else middle
        if _is_static(near, frames, places, middle, size[1], rate):
            left = _near(places, order, across, middle, FRINGE * radius)
            left = left[~taken[left]]
            taken[left] = True
            x, y = middle.tolist()
            spots.append(Spot(round(x, 1), round(y, 1), len(left), int(frames[left[0]]), int(frames[left[-1]])))
    return sorted(spots, key=lambda spot: -spot.rows), taken


def _near(
    places: FloatArray, order: NDArray[np.int64], across: FloatArray, middle: FloatArray, radius: float
) -> NDArray[np.int64]:
    """Which detections are within ``radius``, in the order of frames."""
    low, high = np.searchsorted(across, [middle[0] - radius, middle[0] + radius])
    chosen = order[low:high]
    return np.sort(chosen[np.hypot(*(places[chosen] - middle).T) <= radius])


def _is_static(
    near: NDArray[np.int64], frames: NDArray[np.int64], places: FloatArray, middle: FloatArray, width: int, rate: float
) -> bool:
    # For each detection: how many there are from it to half a minute later.
    ends = np.searchsorted(frames[near], frames[near] + WITHIN_SECONDS * rate)
    enough = ends - np.arange(len(near)) >= SECONDS * rate
    if not enough.any():
        return False
    distance = np.hypot(*(places - middle).T)
    away = np.cumsum(distance > FAR * width)
    stay = np.concatenate([[0], np.cumsum(np.diff(away[near]) > 0)])  # the number of each detection's stay
    first = near[np.searchsorted(stay, np.arange(stay[-1] + 1))]  # of each stay
    came = (first > 0) & (distance[first - 1] < CLOSE * width)
    came &= frames[first] - frames[first - 1] <= JUST_SECONDS * rate
    if (np.bincount(stay) >= np.where(came, LYING_SECONDS, LONG_SECONDS) * rate).any():
        return True
    return bool((enough & (stay[ends - 1] - stay + 1 >= STAYS)).any())


class Course:
    """The rows of one video, held until all are known.

    Attributes:
        spots: the static ones, once they have been looked for.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.spots: list[Spot] = []
        self._frames, self._numbers = array("q"), array("d")
        self._names: list[tuple[str, str]] = []
        self._static: NDArray[np.bool_] | None = None
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """The next row, as it was detected."""
        self._frames.append(row.frame)
        self._numbers.extend((row.seconds, row.x, row.y, row.score))
        name = (row.clip, row.file)
        self._names.append(self._names[-1] if self._names and self._names[-1] == name else name)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def numbers(self) -> FloatArray:
        """``(N, 4)``: seconds, x, y and score as they were detected; NaN where nothing was."""
        return np.array(self._numbers, dtype=np.float64).reshape(-1, 4)

    def leave_out_static(self, size: Size) -> None:
        """Look for the static spots of a video with frames of ``size``; from now on their rows have no position."""
        numbers, frames = self.numbers, np.array(self._frames, dtype=np.int64)
        there = np.isfinite(numbers[:, 1:3]).all(axis=1)
        self.spots, taken = find_spots(frames[there], numbers[there, 1:3], size, _rate(numbers[:, 0]))
        self._static = np.zeros(len(self), bool)
        self._static[there] = taken

    @property
    def static(self) -> NDArray[np.bool_]:
        """``(N,)`` which rows are left out."""
        return np.zeros(len(self), bool) if self._static is None else self._static

    def __iter__(self) -> Iterator[Row]:
        """The rows, those of static spots with the source ``static`` and without a position."""
        static = self.static.tolist()
        for number, (frame, (clip, file)) in enumerate(zip(self._frames, self._names, strict=True)):
            seconds, x, y, score = self._numbers[4 * number : 4 * number + 4]
            if static[number]:
                yield Row(frame, seconds, math.nan, math.nan, score, STATIC, clip, file)
            else:
                yield Row(frame, seconds, x, y, score, DETECTED if math.isfinite(x) else "", clip, file)

    def about(self) -> list[dict[str, Any]]:
        """The spots as plain values."""
        return [asdict(spot) for spot in self.spots]


def _rate(seconds: FloatArray) -> float:
    steps = np.diff(seconds)
    steps = steps[np.isfinite(steps) & (steps > 0)]
    # np.median would import 10 ms worth of masked arrays
    return 1 / float(np.sort(steps)[(len(steps) - 1) // 2 : len(steps) // 2 + 1].mean()) if len(steps) else USUAL_RATE
