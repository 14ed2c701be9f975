"""Rendered faces of characters, people and beasts, with their 28 points exactly, in the recipe's own file format.

``render`` gives one picture, ``write`` a whole set. Truth is exact: the points are those that the features were drawn
through (``kaname.samples.head``), and a point is ``hidden`` where hair, a hat or a hand lies over it.

Adding a new look: add a branch with a probability of its own to the room it belongs to (``head``: proportions and pose,
``features``: what is in the face, ``hair`` and ``attire``: what is around it, ``ink``: colours and lines); nothing else
changes, but every picture of a given seed does, so say so in the change log.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..data.formats.landmarks import ABSENT, HIDDEN, SEEN, Annotation, write_annotation
from ..files import whole_folder
from ..geometry.grid import PIXELS
from ..types import Image
from .attire import paint_body, paint_ears, paint_glasses, paint_hand, paint_hat
from .background import clouds, paint_background
from .camera import Array, blend, pick
from .features import paint_brows, paint_eyes, paint_mouth, paint_nose, paint_skin
from .hair import paint_back, paint_front
from .head import draw_head
from .ink import Painter, draw_style, hsv
from .weather import jpeg, noise
from .writing import SIDE, check_choice, check_ranges, save_jpeg

SKELETON = "anime-face-28"
VARIETIES = ("rich", "plain")
WIDENING = 1.2  # from the extent of the points to the box that a detector would give


@dataclass(frozen=True)
class Face:
    """A picture with its truth: ``points`` ``(28, 2)``, whether each is ``visible`` (in the picture) and ``hidden``."""

    image: Image
    points: Array
    visible: NDArray[np.bool_]
    hidden: NDArray[np.bool_]

    @property
    def box(self) -> Array:
        """``(x1, y1, x2, y2)``: the extent of the points, widened as detectors' boxes are."""
        low, high = np.nanmin(self.points, axis=0), np.nanmax(self.points, axis=0)
        middle, half = (low + high) / 2, (high - low) / 2 * WIDENING
        return np.concatenate([middle - half, middle + half])


def render(rng: Generator, size: int = 384, *, variety: str = "rich") -> Face:
    """One character in a ``size`` x ``size`` picture; ``plain`` faces are upright, clean and look ahead."""
    plain = variety == "plain"
    unit = size * (rng.uniform(0.26, 0.34) if plain else np.exp(rng.uniform(np.log(0.12), np.log(0.4))))
    free = max(0.0, size / 2 - 1.25 * unit)
    place = size / 2 + rng.uniform(-1, 1, 2) * free * (0.3 if plain else 1) - [0, 0.1 * unit]
    head = draw_head(rng, unit, place, plain=plain)
    style = draw_style(rng, beast=head.kind == "beast", plain=plain)
    image = _background(rng, size, line=style.medium == "line", plain=plain)
    painter = Painter(rng, image, head, style, np.zeros((size, size), np.uint8))
    _paint(painter, plain=plain)
    points = head.landmarks()
    inside = np.all((points >= 0) & (points <= size), axis=1)
    index = np.clip(np.floor(points).astype(int), 0, size - 1)
    hidden = inside & (painter.cover[index[:, 1], index[:, 0]] > 127)
    points[~inside] = np.nan
    return Face(painter.image if plain else _finish(rng, painter.image), points, inside, hidden)


def _background(rng: Generator, size: int, *, line: bool, plain: bool) -> Image:
    kind = rng.random()
    image = np.full((size, size, 3), 255, np.uint8)
    if kind < (0.7 if line else 0.2):
        return image
    if kind < 0.45 or plain:
        image[:] = hsv(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.3, 1))
        return image
    if kind < 0.65:  # a gradient
        ramp = np.linspace(0, 1, size, dtype=np.float32)
        field = (
            ramp[:, None] * rng.uniform(-1, 1) + ramp[None] * rng.uniform(-1, 1) + 0.1 * clouds(rng, (size, size), 3, 2)
        )
        image[:] = hsv(rng.random(), rng.uniform(0, 0.7), rng.uniform(0.3, 1))
        blend(image, hsv(rng.random(), rng.uniform(0, 0.7), rng.uniform(0.3, 1)), np.clip(np.abs(field), 0, 1))
        return image
    image = paint_background(rng, (size, size))
    for _ in range(int(rng.integers(0, 25))):  # petals, lights, leaves
        place, radius = rng.integers(0, size, 2), int(rng.integers(2, max(3, size // 12)))
        cv2.circle(image, (int(place[0]), int(place[1])), radius, hsv(rng.random(), rng.random(), 1), -1, cv2.LINE_AA)
    return image


def _paint(painter: Painter, *, plain: bool) -> None:
    """From the back to the front."""
    rng, head = painter.rng, painter.head
    ears = pick(rng, ("cat", "fox", "dog", "rabbit", "bear"))
    animal = head.kind == "beast" or rng.random() < 0.2
    before = rng.random() < 0.3
    paint_back(painter)
    paint_body(painter)
    if animal and not before:
        paint_ears(painter, ears, low=False)
    if head.kind == "human":
        paint_ears(painter, ears, low=True)
    paint_skin(painter)
    paint_nose(painter)
    paint_mouth(painter)
    under = rng.random() < 0.4
    if under:
        paint_brows(painter, 1.0)
    paint_eyes(painter)
    bare = painter.image.copy()
    paint_front(painter)
    if not under:
        paint_brows(painter, rng.uniform(0.35, 1))
    if rng.random() < 0.5:  # eyes and brows are seen through the hair
        for names in (slice(11, 17), slice(17, 23)):
            hull = cv2.convexHull(head.project(head.points[names]).astype(np.float32))[:, 0].astype(np.float64)
            _see_through(painter, bare, (hull - hull.mean(axis=0)) * 1.25 + hull.mean(axis=0), rng.uniform(0.2, 0.9))
    if animal and before:
        paint_ears(painter, ears, low=False)
    if plain:
        return
    if rng.random() < 0.15:
        paint_glasses(painter)
    if rng.random() < 0.25:
        paint_hat(painter)
    if rng.random() < 0.15:
        paint_hand(painter)


def _see_through(painter: Painter, bare: Image, outline: Array, opacity: float) -> None:
    mask = np.zeros(painter.cover.shape, np.float32)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], opacity)
    blend(painter.image, bare, mask)
    if opacity > 0.45:
        painter.cover[mask > 0] = 0


def _finish(rng: Generator, image: Image) -> Image:
    """Light, tone, screen, blur, noise and compression of the whole picture."""
    size = image.shape[0]
    if rng.random() < 0.3:  # coloured light
        field = np.clip(0.25 + 0.25 * clouds(rng, (size, size), 2, 2), 0, 0.6).astype(np.float32)
        blend(image, hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0, 1)), field * rng.uniform(0, 1))
    kind = rng.random()
    if kind < 0.12:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if kind < 0.03:  # printed dots
            period, (y, x) = rng.uniform(3, 6), np.mgrid[:size, :size].astype(np.float32)
            dots = np.sin((x + y) * np.pi / period) * np.sin((x - y) * np.pi / period) * 60
            grey = np.clip(np.where((grey > 60) & (grey < 215), grey + dots, grey), 0, 255).astype(np.uint8)
        paper = hsv(0.1, rng.uniform(0, 0.3) if kind < 0.06 else 0, 1)
        image = (grey[..., None] * (np.array(paper) / 255)).astype(np.uint8)
    if rng.random() < 0.5:
        image = cv2.LUT(
            image, np.clip(255 * np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25)), 0, 255).astype(np.uint8)
        )
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6) * size / 384)
    if rng.random() < 0.3:
        image = noise(rng, image)
    return jpeg(rng, image) if rng.random() < 0.3 else image


def write(
    folder: str | os.PathLike[str],
    *,
    count: int,
    size: int = 384,
    seed: int = 0,
    variety: str = "rich",
) -> Path:
    """Write ``count`` faces as ``images/face_000000.jpg`` with ``annotated/face_000000.json``, and return the folder.

    Image i depends on ``(seed, i)`` alone, whatever ``count``.

    Args:
        folder: one that does not exist yet or is empty.
        count: number of images, at least 1.
        size: side of the square images in pixels.
        seed: 0 or more.
        variety: ``rich`` (everything this package can draw) or ``plain``, as in :func:`render`.

    Raises:
        InputError: a value outside its range, or the folder holds something already.
    """
    check_choice("variety", variety, VARIETIES)
    check_ranges({"count": (count, 1, math.inf), "seed": (seed, 0, math.inf), "size": (size, *SIDE)})
    with whole_folder(folder) as out:
        for name in ("images", "annotated"):
            (Path(out) / name).mkdir()
        for index in range(count):
            face = render(np.random.default_rng([seed, index]), size, variety=variety)
            stem = f"face_{index:06d}"
            save_jpeg(Path(out) / "images" / f"{stem}.jpg", face.image, 95)
            write_annotation(Path(out) / "annotated" / f"{stem}.json", _annotation(face, f"{stem}.jpg"))
    return Path(folder)


def _annotation(face: Face, name: str) -> Annotation:
    """What the recipe's file holds, in pixel indices to a hundredth."""
    left, top, right, bottom = np.round(face.box, 2).tolist()
    return Annotation(
        image=name,
        size=(face.image.shape[0], face.image.shape[1]),
        points=PIXELS.to_index(face.points).round(2),
        visible=np.where(face.visible, np.where(face.hidden, HIDDEN, SEEN), ABSENT),
        box=(left, top, round(right - left, 2), round(bottom - top, 2)),
        skeleton=SKELETON,
    )
