"""Faces with known landmarks for the tests of ``landmark``: noise pictures with a random face in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaname.data.formats.landmarks import Annotation, write_annotation
from kaname.data.formats.skeleton import Skeleton, find
from kaname.geometry.image import write_image

BONES: Skeleton = find("anime-face-28")


def face(random: np.random.Generator, corner: float = 20.0, side: float = 60.0) -> np.ndarray:
    """``(28, 2)`` pixel indices; left is left of right."""
    points = random.uniform(0, 1, (28, 2))
    for one, other in BONES.mirrored:
        left, right = BONES.names.index(one), BONES.names.index(other)
        points[left, 0], points[right, 0] = random.uniform(0, 0.45), random.uniform(0.55, 1)
    return np.round(corner + side * points, 2)


def folder(place: Path, faces: dict[str, list[np.ndarray]], size: tuple[int, int] = (120, 100), **more) -> Path:
    """``place/images`` and ``place/annotated``: for each image its faces."""
    random = np.random.default_rng(len(faces))
    for image, members in faces.items():
        path = place / "images" / image
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, random.integers(0, 256, (*size, 3), dtype=np.uint8))
        for number, points in enumerate(members, 1):
            visible = np.where(np.isnan(points[:, 0]), 0, 2)
            stem = image.replace("/", "__").rsplit(".", 1)[0]
            ending = f".face{number}" if number > 1 else ""
            given = dict(more)
            if len(members) > 1:  # each of several has a box
                low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
                given["box"] = (*low.tolist(), *(high - low).tolist())
            annotation = Annotation(image, size, points, visible, skeleton=BONES.name, **given)
            write_annotation(place / "annotated" / f"{stem}{ending}.json", annotation)
    return place
