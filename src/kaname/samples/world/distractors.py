"""What stands around an instrument and can be taken for one: name plates, grilles, rulers, lids; and no dial at all."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from ...data.photo import glaring, noisy, recompressed, shaded
from ...types import Image
from .. import lettering
from ..background import paint_background
from ..camera import Array, fill_all, fill_convex, grey, pick, polar, whole


def name_plate(rng: Generator, image: Image, middle: Array, reach: float) -> None:
    """A plate with lines of print."""
    wide, high = reach * rng.uniform(0.4, 1.2), reach * rng.uniform(0.1, 0.4)
    corners = middle + np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]])
    fill_convex(
        image, corners, grey(rng, 120, 256) if rng.random() < 0.6 else pick(rng, ((30, 80, 170), (220, 190, 40)))
    )
    for row in range(int(rng.integers(1, 5))):
        mask = lettering.text_mask(pick(rng, lettering.WORDS), pick(rng, lettering.PLAIN_FONTS), high * 0.5)
        lettering.stamp(image, mask, middle + np.array([0, (row - 1) * high * 0.45]), grey(rng, 0, 60), 0.0, 1.0, 0.9)


def grille(rng: Generator, image: Image, middle: Array, reach: float) -> None:
    """Short strokes side by side, as of a ruler, a vent, a thread or a fence; straight or around a centre."""
    count, turn = int(rng.integers(5, 40)), rng.uniform(0, np.pi)
    length, wide = reach * rng.uniform(0.08, 0.5), reach * rng.uniform(0.008, 0.04)
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    lengths = length * np.where(np.arange(count) % int(rng.integers(2, 11)) == 0, 1.0, rng.uniform(0.4, 1.0))
    if rng.random() < 0.75:
        step = wide * rng.uniform(2, 5)
        base = middle + (np.arange(count) - count / 2)[:, None] * step * across
        end, side = base + lengths[:, None] * along, across * wide / 2
        shapes = np.stack([base - side, end - side, end + side, base + side], axis=1)
    else:
        angles = turn + np.arange(count) * 2 * np.pi / count
        rays, ring = polar(1.0, angles), reach * rng.uniform(0.2, 0.6)
        sides = np.stack([-rays[:, 1], rays[:, 0]], axis=1) * wide / 2
        base, end = middle + rays * ring, middle + rays * (ring + lengths[:, None])
        shapes = np.stack([base - sides, end - sides, end + sides, base + sides], axis=1)
    fill_all(image, shapes, grey(rng, 0, 90) if rng.random() < 0.6 else grey(rng, 170, 256))


def lid(rng: Generator, image: Image, middle: Array, reach: float) -> None:
    """Something round without a scale: a lid, a button, a lamp, a wheel."""
    base = rng.uniform(20, 240, 3) if rng.random() < 0.4 else np.full(3, rng.uniform(20, 250))
    circle = polar(1.0, np.linspace(0, 2 * np.pi, 48, endpoint=False)) * [1, rng.uniform(0.6, 1.0)]
    for share in np.linspace(1, 0.3, int(rng.integers(2, 7))):
        tone = np.clip(base * rng.uniform(0.6, 1.3), 0, 255)
        fill_convex(image, middle + circle * reach * share, whole(tone))
    if rng.random() < 0.5:
        mask = lettering.text_mask(pick(rng, lettering.WORDS), pick(rng, lettering.PLAIN_FONTS), max(6.0, reach * 0.3))
        lettering.stamp(image, mask, middle, grey(rng, 0, 256), rng.normal(0, 0.3), 1.0, 0.9)


def nothing(rng: Generator, size: int) -> Image:
    """A picture ``size`` x ``size`` without any dial, in which other things have marks, print and round edges."""
    image = paint_background(rng, (size, size))
    for _ in range(int(rng.integers(0, 6))):
        middle, reach = rng.uniform(0, size, 2), size * rng.uniform(0.08, 0.45)
        pick(rng, (name_plate, grille, grille, lid))(rng, image, middle, reach)
    if rng.random() < 0.3:
        image = glaring(rng, image, 200)
    if rng.random() < 0.3:
        image = shaded(rng, image, 0.7)
    image = cv2.GaussianBlur(image, (0, 0), max(0.3, size / 448 * (0.4 + 2.5 * rng.random() ** 2)))
    if rng.random() < 0.6:
        image = noisy(rng, image, 0.5 + 12 * rng.random() ** 3)
    return recompressed(image, int(rng.integers(20, 96))) if rng.random() < 0.6 else image
