"""Pyramidal Lucas-Kanade with a check there and back: the light way from one detection to the next."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.geometry.grid import PIXELS
from kaname.tracking.bridge import Followed
from kaname.types import FloatArray, Image

WINDOW = (21, 21)
LEVELS = 3  # halvings of the picture
STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)
RETURN_PX = 1.0  # how far from its beginning a point may come back


def klt(images: Iterator[Image], points: FloatArray) -> Iterator[Followed]:
    """Follow points from image to image (Bouguet, Pyramidal Implementation of the Lucas Kanade Feature Tracker).

    A point that is not found, or that, followed back, does not come to where it was, is lost: it keeps its last place
    with the probability 0 up to the next detection. What is lost is covered or blurred; where a point has gone from
    there nobody knows, and what is found at its place later may be something else.
    """
    before = _grey(next(images))
    places = np.array(points, np.float64)
    kept = np.ones(len(places), np.bool_)
    for image in images:
        now = _grey(image)
        if kept.any():
            moved, good = _step(before, now, places[kept])
            kept[kept] = good
            places[kept] = moved[good]
        yield places.copy(), kept.astype(np.float64)
        before = now


def _step(
    before: NDArray[np.uint8], now: NDArray[np.uint8], places: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    start = PIXELS.to_index(places).astype(np.float32)[:, None]
    there, found = _flow(before, now, start)
    back, returned = _flow(now, before, there)
    apart = np.linalg.norm((back - start)[:, 0], axis=1)
    good = found & returned & (apart < RETURN_PX)
    return PIXELS.from_index(there[:, 0].astype(np.float64)), good


def _flow(
    before: NDArray[np.uint8], now: NDArray[np.uint8], start: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        before, now, start, None, winSize=WINDOW, maxLevel=LEVELS, criteria=STOP
    )  # type: ignore[call-overload]
    return np.asarray(moved, np.float32), np.asarray(status).reshape(-1) == 1


def _grey(image: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)
