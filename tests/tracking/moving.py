"""Rendered video in which points move, are covered, leave and come in, with the truth; and a tracker that knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from kaname.tracking.bridge import Found
from kaname.types import Frame

SIZE = (200, 280)
COUNT = 60
POINTS = ("goes", "covered", "leaves", "comes")


def texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5).astype(float)
    return ((soft - soft.mean()) * 3 + 128).clip(0, 255).astype(np.uint8)


GROUND, BAR = texture(0, SIZE), texture(9, (90, 40))
PATCHES = [texture(seed, (41, 41)) for seed in range(1, 5)]


def places(frame: int) -> np.ndarray:
    """``(4, 2)`` the truth, also of points that are not in the picture."""
    t = frame
    return np.array([
        [40.5 + 2 * t, 40.5 + round(8 * np.sin(t / 6))],
        [40.5 + 3 * t, 150.5],
        [200.5 + 3 * t, 100.5],
        [-30.5 + 3 * t, 100.5 - 0 * t],
    ])  # fmt: skip


def visibility(frame: int) -> np.ndarray:
    xy = places(frame)
    visible = np.where(((xy >= 0) & (xy <= SIZE[::-1])).all(axis=1), 2, 0)
    covered = (120 <= xy[1, 0] <= 160) and visible[1] == 2
    visible[1] = 1 if covered else visible[1]
    return visible


def image(frame: int) -> np.ndarray:
    """Patches of 41 x 41 pixels around the points, and a bar that stands in front of the second; its corner tells the
    frame's number."""
    made = np.pad(GROUND, ((60, 60), (260, 260), (0, 0)), mode="wrap")
    for patch, (x, y) in zip(PATCHES, places(frame), strict=True):
        left, top = int(x - 20.5) + 260, int(y - 20.5) + 60
        if 0 <= left <= made.shape[1] - 41:
            made[top : top + 41, left : left + 41] = patch
    made = np.ascontiguousarray(made[60:-60, 260:-260])
    made[105:195, 120:160] = BAR
    made[0, 0] = frame
    return made


def video(count: int = COUNT) -> Iterator[Frame]:
    return (Frame(number, number / 25, image(number)) for number in range(count))


def found(frame: int) -> Found:
    """What a perfect detector says."""
    visible = visibility(frame)
    xy = np.where((visible > 0)[:, None], places(frame), np.nan)
    return Found(xy, visible.astype(np.int64), np.where(visible > 0, 0.9, 0.0))


def reference(
    truth: Callable[[int], tuple[np.ndarray, np.ndarray]], *, lag: int = 1
) -> Callable[[Iterator[np.ndarray], np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """A tracker that knows where points are: that nearest to each point it is asked for; it answers ``lag`` at once."""

    def follow(images: Iterator[np.ndarray], points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        number = int(next(images)[0, 0, 0])
        apart = np.linalg.norm(truth(number)[0][None] - points[:, None], axis=2)
        which = apart.argmin(axis=1)
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        for one in images:
            xy, probability = truth(int(one[0, 0, 0]))
            waiting.append((xy[which], probability[which]))
            if len(waiting) == lag:
                yield from waiting
                waiting = []
        yield from waiting

    return follow
