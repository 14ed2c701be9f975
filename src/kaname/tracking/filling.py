"""Filling a gap between two pieces of flight, where it could have been flown.

What is asked of a gap's ends, and of the way between them:

- Both ends move. What rests, on either side, is joined to nothing.
- The mean velocity over the gap is between those of its ends, but for what free fall and one hit or bounce change: a
  body that goes from one end's velocity to the other's covers that distance. Two far ends are not joined.
- No step is longer than the object may go in a frame, and no change of velocity greater than a kick.

Bounds are in pixels of a frame 1280 wide, scaled to others, plus what a detection's own error makes of them.
"""

from __future__ import annotations

import math

import numpy as np

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
    mean = (right[0, 1:] - left[-1, 1:]) / frames
    if _off(mean, start, end) > 2 * noise + FALL * scale * frames / 2:
        return None
    places = _way(left, right, noise)
    times = np.array([left[-2, 0], *np.arange(left[-1, 0], right[0, 0] + 1), right[1, 0]])
    way = np.concatenate([left[-2:, 1:], places, right[:2, 1:]])
    steps = np.diff(way, axis=0) / np.diff(times)[:, None]
    changes = np.hypot(*np.diff(steps, axis=0).T)
    if np.hypot(*steps.T).max() > fastest or changes.max() > ACCELERATION * scale + 4 * noise:
        return None
    return places


def slowest(width: int) -> float:
    """Pixels per frame; what is slower rests."""
    return max(LEAST_STILL_PX, STILL * width)


def _close(rows: FloatArray) -> FloatArray:
    """The first few rows, the gap's neighbour first, that follow each other closely."""
    apart = np.abs(np.diff(rows[:SEEN, 0])) > CLOSE
    return rows[: int(apart.argmax()) + 1 if apart.any() else SEEN]


def _velocity(rows: FloatArray) -> FloatArray:
    return (rows[-1, 1:] - rows[0, 1:]) / (rows[-1, 0] - rows[0, 0])


def _off(value: FloatArray, start: FloatArray, end: FloatArray) -> float:
    """How far a velocity is from all those between two others."""
    way = end - start
    length = float(way @ way)
    share = min(1.0, max(0.0, float((value - start) @ way) / length)) if length else 0.0
    return float(np.hypot(*(value - start - share * way)))


def _way(left: FloatArray, right: FloatArray, noise: float) -> FloatArray:
    """One parabola where all detections lie on it, else the cubic through the two on each side."""
    known = np.concatenate([left, right])
    middle, spread = known[:, 0].mean(), max(1.0, float(np.ptp(known[:, 0])) / 2)
    times, places = (known[:, 0] - middle) / spread, known[:, 1:]
    missing = (np.arange(left[-1, 0] + 1, right[0, 0]) - middle) / spread
    curve = np.polynomial.polynomial.polyfit(times, places, 2)
    rest = places - np.polynomial.polynomial.polyval(times, curve).T
    if np.abs(rest).max() > FITS_PX * noise:
        nearest = slice(len(left) - 2, len(left) + 2)
        curve = np.polynomial.polynomial.polyfit(times[nearest], places[nearest], 3)
    return np.polynomial.polynomial.polyval(missing, curve).T


class Budget:
    """How many rows may be filled: ``share`` for each detection, so that never more than that share is invented.

    What is not used is kept for ``most`` rows: detections of long ago allow nothing.
    """

    def __init__(self, share: float, most: int) -> None:
        self.share, self.most, self.left = share, float(most), 0.0

    def detected(self) -> None:
        """One more detection."""
        self.left = min(self.left + self.share, self.most)

    def spend(self, count: int) -> bool:
        """Whether so many may be filled; if so they are."""
        if count > self.left + 1e-9:
            return False
        self.left -= count
        return True
