"""What is behind a dial: walls, cloth, pipes, planks, bricks, snow, grass, blurred things; never a real place."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..types import Image, Size
from .camera import whole


def clouds(rng: Generator, size: Size, cells: int, octaves: int) -> NDArray[np.float32]:
    """Smooth noise, mean 0, about 1 in size: octaves of random lattices, each finer and fainter by half."""
    height, width = size
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        lattice = rng.standard_normal((max(2, count * height // width), max(2, count)), dtype=np.float32)
        total += cv2.resize(lattice, (width, height), interpolation=cv2.INTER_LINEAR) / 2**octave
    return total


def _colour(rng: Generator) -> NDArray[np.float32]:
    """A colour as real things have: mostly greys and browns, sometimes strong."""
    value = rng.uniform(15, 235)
    spread = rng.uniform(0, 0.12) if rng.random() < 0.65 else rng.uniform(0.2, 0.7)
    return np.clip(value * (1 + rng.uniform(-spread, spread, 3)), 0, 255).astype(np.float32)


def _shade(colour: NDArray[np.float32], light: NDArray[np.float32]) -> Image:
    """One colour under a light map (1 = as it is), as uint8."""
    return cv2.merge([cv2.convertScaleAbs(np.maximum(light, 0), alpha=float(c)) for c in colour])


def _things(rng: Generator, image: Image) -> None:
    """Pipes, posts, planks and boxes: rectangles with shaded sides, at any angle."""
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 7))):
        colour = _colour(rng)
        angle = rng.choice([0, 90]) + rng.normal(0, 4) if rng.random() < 0.8 else rng.uniform(0, 180)
        centre = (rng.uniform(0, width), rng.uniform(0, height))
        across = width * rng.uniform(0.02, 0.3)
        length = width * rng.uniform(0.5, 3)
        round_body = rng.random() < 0.5
        for low in np.linspace(0, 0.9, 10 if round_body else 1):
            share = (low + 0.05) * 2 - 1
            tone = colour * (np.sqrt(max(0.05, 1 - share**2)) if round_body else 1)
            across_axis = np.array([-np.sin(np.radians(angle)), np.cos(np.radians(angle))])
            middle = np.array(centre) + across_axis * across * (share / 2 if round_body else 0)
            box = cv2.boxPoints(((middle[0], middle[1]), (length, across * (0.12 if round_body else 1)), angle))
            cv2.fillConvexPoly(image, np.round(box).astype(np.int32), whole(tone), cv2.LINE_AA)


def _bricks(rng: Generator, image: Image) -> None:
    height, width = image.shape[:2]
    row = int(width * rng.uniform(0.05, 0.2))
    long = int(row * rng.uniform(1, 2.6))
    colour = whole(_colour(rng))
    pen = max(1, row // 12)
    for i, y in enumerate(range(-row, height + row, row)):
        cv2.line(image, (0, y), (width, y), colour, pen)
        for x in range((i % 2) * long // 2 - long, width + long, long):
            cv2.line(image, (x, y), (x, y + row), colour, pen)


def _weave(rng: Generator, size: Size) -> NDArray[np.float32]:
    """Cloth: fine threads both ways over soft folds."""
    height, width = size
    light = 1 + 0.12 * clouds(rng, size, 3, 2)
    light += 0.06 * rng.standard_normal((1, width), dtype=np.float32)
    light += 0.06 * rng.standard_normal((height, 1), dtype=np.float32)
    return light


def paint_background(rng: Generator, size: Size) -> Image:
    """A random background ``(height, width, 3)``."""
    height, width = size
    kind = rng.random()
    if kind < 0.1:
        light = _weave(rng, size)
    elif kind < 0.2:  # grass, gravel: fine strong noise
        light = 1 + 0.3 * clouds(rng, size, 60, 2) + 0.1 * clouds(rng, size, 3, 1)
    else:
        strength = rng.uniform(0.02, 0.2)
        light = 1 + strength * clouds(rng, size, int(rng.integers(2, 9)), int(rng.integers(1, 5)))
    slope = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(rng.normal(0, 0.2))
    light += slope + np.linspace(-1, 1, width, dtype=np.float32)[None] * np.float32(rng.normal(0, 0.2))
    image = _shade(_colour(rng), light)
    if rng.random() < 0.12:
        _bricks(rng, image)
    if rng.random() < 0.55:
        _things(rng, image)
    if rng.random() < 0.15:  # ground, snow or a bench along the lower edge
        edge = rng.uniform(0.4, 0.95) * height
        bow = edge + height * 0.03 * np.cumsum(rng.normal(0, 1, 12))
        outline = np.column_stack([np.linspace(-5, width + 5, 12), bow])
        outline = np.concatenate([outline, [[width + 5, height + 5], [-5, height + 5]]])
        colour = whole(_colour(rng) if rng.random() < 0.5 else rng.uniform(200, 255, 3))
        cv2.fillPoly(image, [np.round(outline).astype(np.int32)], colour, cv2.LINE_AA)
    if rng.random() < 0.75:  # out of focus
        image = cv2.blur(image, (k := int(rng.integers(1, max(3, width // 40)) * 2 + 1), k))
    return image
