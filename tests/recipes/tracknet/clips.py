"""Clips of a bright dot on a dark ground with exact labels, and the command line to call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import calling
from calling import Answer
from kaname.geometry.image import write_image

SIZE = (64, 96)
HEADER = "file name,visibility,x-coordinate,y-coordinate,status"
FINE = 8  # a dot is drawn on so many times as fine a grid
# A network that a test can train: the frames' own size, heatmaps of half of it.
TINY = (
    "--model", "small_unet", "--backbone", "small:8", "--device", "cpu", "--num-workers", 0, "--precision", "fp32",
    "--training", "default", "data.sequence.stride=1",
    "data.resize=[96,64]", "model.heatmap.size=[48,32]", "model.heatmap.sigma=1.5",
)  # fmt: skip


def call(*words: object) -> Answer:
    """``kaname tracknet WORDS`` in this process."""
    return calling.call("tracknet", *words)


def picture(
    place: Sequence[float] | None, size: tuple[int, int] = SIZE, *, radius: float = 2.5, ground: int = 40
) -> np.ndarray:
    """One frame; ``place`` is the dot's centre in continuous pixels."""
    image = np.full((size[0] * FINE, size[1] * FINE, 3), ground, np.uint8)
    if place is not None and np.isfinite(place).all():
        centre = tuple(round((value * FINE - 0.5) * 16) for value in place)
        cv2.circle(image, centre, round(radius * FINE * 16), (230, 240, 120), cv2.FILLED, shift=4)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def flight(frames: int, seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """``(frames, 2)`` places on parabolas that bounce off the frame's sides."""
    random = np.random.default_rng(seed)
    place = random.uniform(0.2, 0.8, 2) * size[::-1]
    speed = random.uniform(2, 4, 2) * random.choice([-1, 1], 2)
    places = []
    for _ in range(frames):
        places.append(place.copy())
        speed[1] += 0.15
        place = place + speed
        for axis, side in enumerate(size[::-1]):
            if not 6 <= place[axis] <= side - 6:
                speed[axis] *= -1
                place[axis] = np.clip(place[axis], 6, side - 6)
    return np.array(places)


def write_clip(
    folder: Path, places: np.ndarray, *, visibility: Sequence[int] | None = None, size: tuple[int, int] = SIZE,
    status: Sequence[int] | None = None, ending: str = "png",
) -> Path:  # fmt: skip
    """Frames and ``Label.csv``; where the visibility is 0 there is no dot."""
    folder.mkdir(parents=True)
    seen = [1] * len(places) if visibility is None else list(visibility)
    rows = [HEADER]
    for number, (place, value) in enumerate(zip(places, seen, strict=True)):
        write_image(folder / f"{number:04d}.{ending}", picture(place if value else None, size))
        index = ",".join(f"{axis - 0.5:.4f}" for axis in place) if value else ","
        state = (0 if status is None else status[number]) if value else ""
        rows.append(f"{number:04d}.{ending},{value},{index},{state}")
    (folder / "Label.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def write_set(folder: Path, games: int = 4, frames: int = 16, clips: int = 1, **more: object) -> Path:
    """``games`` games of ``clips`` clips each."""
    for game in range(games):
        for clip in range(clips):
            places = flight(frames, 10 * game + clip)
            write_clip(folder / f"game{game + 1}" / f"Clip{clip + 1}", places, **more)  # type: ignore[arg-type]
    return folder
