"""A small set of annotated faces that are well formed: upright, every point in the image, left on the left."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.landmarks import Annotation, write_annotation
from kaname.data.formats.skeleton import Skeleton, find
from kaname.geometry.image import write_image
from kaname.types import FloatArray

SKELETON = find("anime-face-28")
SIZE = (96, 128)


def points(skeleton: Skeleton = SKELETON) -> FloatArray:
    """``(N, 2)`` pixel indices: pairs mirror each other about the middle of the image, the others lie on it."""
    place = {name: number for number, name in enumerate(skeleton.names)}
    xy = np.full((len(place), 2), SIZE[1] / 2.0)
    xy[:, 1] = 20 + 2.0 * np.arange(len(place))
    for step, (left, right) in enumerate(skeleton.mirrored):
        xy[place[left], 0] -= 10 + step
        xy[place[right]] = xy[place[left]] + (20 + 2 * step, 0)
    return xy


def add(folder: Path, image: str, name: str = "", *, shade: int | None = None, **changes: Any) -> Path:
    """A face in ``folder/annotated`` whose image, if it is not there yet, is noise of its own (or one shade)."""
    path = folder / "images" / image
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(zlib.crc32(image.encode()))
        noise = random.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        write_image(path, noise if shade is None else np.full((*SIZE, 3), shade, np.uint8))
    face: dict[str, Any] = {
        "image": image,
        "size": SIZE,
        "points": points(),
        "visible": np.full(len(SKELETON.names), 2),
        "skeleton": SKELETON.name,
    }
    file = folder / "annotated" / (name or f"{Path(image).stem}.json")
    write_annotation(file, Annotation(**{**face, **changes}))
    return file
