"""Rendered faces of characters, people and beasts, with their 28 points exactly, in the recipe's own file format.

``render`` gives one picture, ``write`` a whole set. Truth is exact: the points are those that the features were drawn
through (``kaname.samples.head``), and a point is ``hidden`` where hair, a hat or a hand lies over it.

Adding a new look: a line in ``face_axes.AXES``, and code that asks for it in the room it belongs to (``head``:
proportions and pose, ``features``: what is in the face, ``hair`` and ``attire``: what is around it, ``ink``: colours
and lines, ``paper``: ground, dirt, light and file). Pictures of a seed change only by what the new axis draws.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..data.formats.landmarks import ABSENT, HIDDEN, SEEN, Annotation, write_annotation
from ..files import whole_folder
from ..geometry.grid import PIXELS
from ..types import Image
from .attire import paint_body, paint_ears, paint_glasses, paint_hand, paint_hat, paint_marks, paint_patch
from .axes import Draws, Value, check_without
from .camera import Array, blend, pick
from .face_axes import AXES, UPRIGHT
from .features import THROUGH, paint_brows, paint_eyes, paint_mouth, paint_nose, paint_skin
from .hair import paint_back, paint_front
from .head import Head, draw_head
from .ink import Painter, draw_style
from .paper import finish, paint_ground, paint_over
from .writing import SIDE, check_choice, check_ranges, save_jpeg

SKELETON = "anime-face-28"
VARIETIES = ("rich", "plain")
WIDENING = 1.2  # from the extent of the points to the box that a detector would give


@dataclass(frozen=True)
class Face:
    """A picture with its truth.

    ``points`` ``(28, 2)``, whether each is ``visible`` (in the picture) and ``hidden``; ``traits``: each axis's value.
    """

    image: Image
    points: Array
    visible: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    traits: Mapping[str, Value] = field(default_factory=dict)

    @property
    def box(self) -> Array:
        """``(x1, y1, x2, y2)``: the extent of the points, widened as detectors' boxes are."""
        low, high = np.nanmin(self.points, axis=0), np.nanmax(self.points, axis=0)
        middle, half = (low + high) / 2, (high - low) / 2 * WIDENING
        return np.concatenate([middle - half, middle + half])


def render(rng: Generator, size: int = 384, *, variety: str = "rich", without: Iterable[str] = ()) -> Face:
    """One character in a ``size`` x ``size`` picture.

    ``rich`` has all axes of ``kaname.samples.face_axes`` but those named in ``without`` (axes or groups of them);
    ``plain`` faces have but a few: they are upright, clean and look ahead.

    Raises:
        InputError: an unknown axis.
    """
    off = check_without(AXES, without)
    draws = Draws(int(rng.integers(2**62)), AXES, off if variety == "rich" else off | (AXES.keys() - UPRIGHT))
    head = _placed(draws, size)
    style = draw_style(draws)
    image = paint_ground(draws, size, white=style.medium == "line")
    if (other := draws("neighbour")).on:
        _neighbour(draws, image, head, other.rng)
    painter = Painter(draws, image, head, style, np.zeros((size, size), np.uint8))
    _paint(painter)
    image = paint_over(draws, painter.image, painter.cover)
    points = head.landmarks()
    inside = np.all((points >= 0) & (points <= size), axis=1)
    index = np.clip(np.floor(points).astype(int), 0, size - 1)
    hidden = inside & (painter.cover[index[:, 1], index[:, 0]] > 127)
    points[~inside] = np.nan
    return Face(finish(draws, image), points, inside, hidden, draws.traits)


def _placed(draws: Draws, size: int) -> Head:
    """A head of some size somewhere in the picture."""
    rng = draws.own("place")
    unit = size * float(draws("extent").value) * rng.uniform(0.88, 1.12)
    free = max(0.0, size / 2 - 1.25 * unit)
    place = size / 2 + rng.uniform(-1, 1, 2) * free * float(draws("place").value) - [0, 0.1 * unit]
    return draw_head(draws, unit, place)


def _neighbour(draws: Draws, image: Image, head: Head, rng: Generator) -> None:
    """A second face, smaller, beside the first and behind it."""
    others = Draws(int(rng.integers(2**62)), AXES, draws.without)
    way = rng.uniform(0, 2 * np.pi)
    place = head.place + head.unit * rng.uniform(1.8, 3.5) * np.array([np.cos(way), np.sin(way)])
    beside = draw_head(others, head.unit * rng.uniform(0.4, 0.85), place)
    _paint(Painter(others, image, beside, draw_style(others), np.zeros(image.shape[:2], np.uint8)))


def _paint(painter: Painter) -> None:
    """From the back to the front."""
    rng, draws, head = painter.own("order"), painter.draws, painter.head
    before, under = rng.random() < 0.3, rng.random() < 0.4
    ears, opacity = pick(rng, ("cat", "fox", "dog", "rabbit", "bear")), rng.uniform(0.35, 1)
    animal = head.kind == "beast" or draws("animal_ears").on
    paint_back(painter)
    paint_body(painter)
    if animal and not before:
        paint_ears(painter, ears, low=False)
    if head.kind == "human":
        paint_ears(painter, ears, low=True)
    paint_skin(painter)
    paint_nose(painter)
    paint_mouth(painter)
    if under:
        paint_brows(painter, 1.0)
    paint_eyes(painter)
    bare = painter.image.copy()
    paint_front(painter)
    if not under:
        paint_brows(painter, opacity)
    if (seen := draws("see_through")).on:  # eyes and brows are seen through the hair
        for names in (slice(11, 17), slice(17, 23)):
            hull = cv2.convexHull(head.project(head.points[names]).astype(np.float32))[:, 0].astype(np.float64)
            _see_through(painter, bare, (hull - hull.mean(axis=0)) * 1.25 + hull.mean(axis=0), float(seen.value))
    if animal and before:
        paint_ears(painter, ears, low=False, front=True)
    over = {"paint": paint_marks, "patch": paint_patch, "glasses": paint_glasses, "hat": paint_hat, "hand": paint_hand}
    for name, put in over.items():
        if draws(name).on:
            put(painter)


def _see_through(painter: Painter, bare: Image, outline: Array, opacity: float) -> None:
    low = np.maximum(np.floor(outline.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 1, painter.cover.shape[0])
    if (high <= low).any():
        return
    part = slice(low[1], high[1]), slice(low[0], high[0])
    mask = np.zeros(high[::-1] - low[::-1], np.float32)
    cv2.fillPoly(mask, [np.round(outline - low).astype(np.int32)], opacity)
    blend(painter.image[part], bare[part], mask)
    if opacity > THROUGH:
        painter.cover[part][mask > 0] = 0


def write(
    folder: str | os.PathLike[str],
    *,
    count: int,
    size: int = 384,
    seed: int = 0,
    variety: str = "rich",
    without: Iterable[str] = (),
) -> Path:
    """Write ``count`` faces as ``images/face_000000.jpg`` with ``annotated/face_000000.json``, and return the folder.

    Image i depends on ``(seed, i)`` alone, whatever ``count``.

    Args:
        folder: one that does not exist yet or is empty.
        count: number of images, at least 1.
        size: side of the square images in pixels.
        seed: 0 or more.
        variety: ``rich`` (everything this package can draw) or ``plain``, as in :func:`render`.
        without: axes, or groups of axes, to switch off.

    Raises:
        InputError: a value outside its range, an unknown axis, or the folder holds something already.
    """
    check_choice("variety", variety, VARIETIES)
    check_ranges({"count": (count, 1, math.inf), "seed": (seed, 0, math.inf), "size": (size, *SIDE)})
    off = check_without(AXES, without)
    with whole_folder(folder) as out:
        for name in ("images", "annotated"):
            (Path(out) / name).mkdir()
        for index in range(count):
            face = render(np.random.default_rng([seed, index]), size, variety=variety, without=off)
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
