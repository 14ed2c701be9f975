"""Filling a gap between two pieces of flight, where it could have been flown.

What is asked of a gap's ends, and of the way between them:

- Both ends move. What rests, on either side, is joined to nothing.
- The mean velocity over the gap is between those of its ends, but for free fall: what goes from one velocity to the
  other, gradually or by a hit or a bounce, covers that distance. Two far ends are not joined.
- No step is longer than the object may go in a frame. Where one parabola passes through all detections, its
  acceleration is bounded; else the object flies on from both ends until a hit or a bounce, at the time that the mean
  velocity says.

Bounds are in pixels of a frame 1280 wide, scaled to others, plus what a detection's own error makes of them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import polynomial

from kaname.types import FloatArray

REFERENCE_PX = 1280.0
NOISE_PX = 1.0  # of a detection, in a frame REFERENCE_PX wide
ACCELERATION = 12.0  # px / frame^2 at REFERENCE_PX: from gravity, drag, bounces and the camera
SEEN = 3  # detections that are looked at on each side
CLOSE = 3  # frames between two of them at most
STILL = 0.001  # widths of the frame per frame: what is slower rests
LEAST_STILL_PX = 0.5
FALL = 1.0  # px / frame^2: free fall seen from near
FITS_PX = 1.5  # how far detections may be from one parabola through both ends


def flown(before: FloatArray, after: FloatArray, width: int, fastest: float) -> FloatArray | None:
    """Places for the frames between two pieces of flight, ``(gap, 2)`` px; None where it cannot have been so.

    Args:
        before, after: ``(K, 3)`` frame, x and y of the detections next to the gap, in the order of frames.
        width: of the frame in pixels.
        fastest: px that the object moves per frame at most.
    """
    scale = width / REFERENCE_PX
    noise = NOISE_PX * max(1.0, scale)
    left, right = _close(before[::-1])[::-1], _close(after)
    if len(left) < 2 or len(right) < 2:
        return None
    start, end = _velocity(left), _velocity(right)
    if min(math.hypot(*start), math.hypot(*end)) < slowest(width):
        return None
    frames = right[0, 0] - left[-1, 0]
    share, off = _between((right[0, 1:] - left[-1, 1:]) / frames, start, end)
    if off > 2 * noise + FALL * scale * frames / 2:
        return None
    curve = _parabola(left, right, FITS_PX * noise)
    if curve is None:
        places = _kicked(left[-1], right[0], start, end, 1 - share)
    elif math.hypot(*curve[2]) * 2 <= ACCELERATION * scale:
        places = polynomial.polyval(np.arange(1, frames), curve).T
    else:
        return None
    steps = np.diff(np.concatenate([left[-1:, 1:], places, right[:1, 1:]]), axis=0)
    return places if np.hypot(*steps.T).max() <= fastest else None


def slowest(width: int) -> float:
    """Pixels per frame; what is slower rests."""
    return max(LEAST_STILL_PX, STILL * width)


def _close(rows: FloatArray) -> FloatArray:
    """The first few rows, the gap's neighbour first, that follow each other closely."""
    apart = np.abs(np.diff(rows[:SEEN, 0])) > CLOSE
    return rows[: int(apart.argmax()) + 1 if apart.any() else SEEN]


def _velocity(rows: FloatArray) -> FloatArray:
    return (rows[-1, 1:] - rows[0, 1:]) / (rows[-1, 0] - rows[0, 0])


def _between(value: FloatArray, start: FloatArray, end: FloatArray) -> tuple[float, float]:
    """Where on the way from one velocity to another a third is nearest, 0..1, and how far from it."""
    way = end - start
    length = float(way @ way)
    share = min(1.0, max(0.0, float((value - start) @ way) / length)) if length else 0.5
    return share, float(np.hypot(*(value - start - share * way)))


def _parabola(left: FloatArray, right: FloatArray, tolerance: float) -> FloatArray | None:
    """``(3, 2)`` coefficients by frames since the last detection before the gap; None where detections lie off it."""
    known = np.concatenate([left, right])
    times = known[:, 0] - left[-1, 0]
    curve = polynomial.polyfit(times, known[:, 1:], 2)
    return curve if np.abs(known[:, 1:] - polynomial.polyval(times, curve).T).max() <= tolerance else None


def _kicked(one: FloatArray, other: FloatArray, start: FloatArray, end: FloatArray, share: float) -> FloatArray:
    """On with ``start`` for ``share`` of the time, then with ``end``; what is left between both is spread over all."""
    frames = other[0] - one[0]
    kick = share * frames
    rest = (other[1:] - end * (frames - kick)) - (one[1:] + start * kick)
    times = np.arange(1, frames)[:, None]
    early = one[1:] + start * times + rest * times / frames
    late = other[1:] - end * (frames - times) - rest * (frames - times) / frames
    return np.where(times <= kick, early, late)


class Budget:
    """How many rows may be filled: ``share`` for each detection, so that never more than that share is invented.

    A row without a position takes back what a detection has allowed, and no more than ``most`` are saved up: what was
    seen long ago allows nothing.
    """

    def __init__(self, share: float, most: int) -> None:
        self.share, self.most, self.left = share, float(most), 0.0

    def detected(self) -> None:
        """One more detection."""
        self.left = min(self.left + self.share, self.most)

    def missed(self) -> None:
        """A row that has no position and gets none."""
        self.left = max(0.0, self.left - self.share)

    def spend(self, count: int) -> bool:
        """Whether so many may be filled; if so they are."""
        if count > self.left + 1e-9:
            return False
        self.left -= count
        return True
