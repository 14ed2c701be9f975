"""Annotated faces drawn at random, for the tests of every format that holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaname.data.formats.landmarks import ABSENT, HIDDEN, SEEN, Annotation, write_annotation
from kaname.data.formats.skeleton import find
from kaname.geometry.image import write_image

NAMES = find("anime-face-28").names
SIZE = (48, 64)
FOLDERS = ("", "furry/", "furry/fox/", "猫 1/")


def drawn(random: np.random.Generator, image: str, *, box: bool, whole: bool) -> Annotation:
    """A face whose points lie anywhere in the image, some hidden, some absent; ``whole`` pixels or fractions."""
    height, width = SIZE
    visible = random.choice([ABSENT, HIDDEN, SEEN], len(NAMES), p=[0.15, 0.2, 0.65])
    visible[int(random.integers(len(NAMES)))] = SEEN  # a face without any point is none
    xy = random.random((len(NAMES), 2)) * (width - 1, height - 1)
    xy = np.round(xy) if whole else np.round(xy, 3)
    sides = None
    if box:
        x, y = random.integers(0, width // 2), random.integers(0, height // 2)
        sides = (float(x), float(y), float(random.integers(2, width // 2)), float(random.integers(2, height // 2)))
    points = np.where(visible[:, None] > 0, xy, np.nan)
    return Annotation(image, SIZE, points, visible, sides, "anime-face-28")


def write_faces(folder: Path, seed: int, count: int) -> dict[str, Annotation]:
    """``count`` images below ``folder/images``, in sub-folders, of one to three faces each; by annotation file."""
    random = np.random.default_rng(seed)
    written: dict[str, Annotation] = {}
    for number in range(count):
        image = f"{FOLDERS[number % len(FOLDERS)]}face-{number}.png"
        faces = int(random.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))
        for face in range(1, faces + 1):
            ending = f".face{face}" if face > 1 else ""
            annotation = drawn(random, image, box=faces > 1 or bool(number % 2), whole=bool(number % 3))
            written[f"face-{number}{ending}.json"] = annotation
        file = folder / "images" / image
        file.parent.mkdir(parents=True, exist_ok=True)
        write_image(file, np.full((*SIZE, 3), number % 256, np.uint8))
    for name, annotation in written.items():
        write_annotation(folder / "annotated" / name, annotation)
    return written
