"""The path of one object drawn into the frames of a video."""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.geometry.grid import PIXELS
from kaname.reporting.draw import INK, SHIFT

FREE = 5.5  # pixels at least from the middle of a ring to its line, of which its dark edge takes two
SURE, FILLED = (255, 196, 0), (64, 169, 255)


def trail_overlay(image: NDArray[np.uint8], way: NDArray[Any], *, current: bool, sure: bool) -> NDArray[np.uint8]:
    """A copy of a frame with the path of the last moments, thinner with age, and a ring round the current position, in
    which nothing is drawn, however small the frame.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        way: ``(N, 2)`` positions in pixels of ``image``, the oldest first; the path is broken at a row of NaN.
        current: whether the last of them is this frame's.
        sure: whether it was detected (amber) or filled in (blue).
    """
    drawn = np.ascontiguousarray(image).copy()
    unit = 1 << SHIFT
    scale = max(drawn.shape[:2]) / 1280
    # Far outside nothing shows, and OpenCV's integers would overflow.
    kept = way[~(np.abs(way) >= 4 * max(drawn.shape[:2])).any(axis=1)]
    gaps = np.isnan(kept[:, 0])
    places = np.rint(PIXELS.to_index(np.nan_to_num(kept)) * unit).astype(int).tolist() if len(kept) else []
    for number, (start, end) in enumerate(itertools.pairwise(places), 1):
        if gaps[number - 1 : number + 1].any():
            continue
        thickness = max(1, round(4 * scale * number / len(places)))
        cv2.line(drawn, start, end, SURE, thickness, cv2.LINE_AA, SHIFT)
    if current and places:
        thin = max(1, round(2 * scale))
        radius = round(max(10 * scale, thin / 2 + FREE) * unit)
        inside = cv2.circle(np.zeros(drawn.shape[:2], np.uint8), places[-1], radius, 255, cv2.FILLED, shift=SHIFT)
        cv2.copyTo(image, inside, drawn)
        for colour, thickness in ((INK, thin + 2), (SURE if sure else FILLED, thin)):
            cv2.circle(drawn, places[-1], radius, colour, thickness, cv2.LINE_AA, SHIFT)
    return drawn
