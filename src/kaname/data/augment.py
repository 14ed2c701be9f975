"""Random changes to a training image: each is a draw and a map, so that points and heatmaps move along.

A geometric change is an `Affine` on the network's input canvas; a change of colour is applied to the image alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from kaname.geometry.affine import Affine
from kaname.types import Image, Size


def rotated_window(random: np.random.Generator, size: Size, *, rotate: float, enlarge: float) -> Affine:
    """A rotation about the centre, an enlargement, and a window of the old size somewhere in it.

    Args:
        size: ``(height, width)`` of the canvas.
        rotate: largest angle in degrees, either way.
        enlarge: factor of the canvas, at least 1.
    """
    height, width = size
    turn = Affine.rotate(random.uniform(-rotate, rotate), (width / 2, height / 2))
    left, top = random.uniform(0, width * (enlarge - 1)), random.uniform(0, height * (enlarge - 1))
    return Affine.shift(-left, -top) @ Affine.scaling(enlarge, enlarge) @ turn


def mirrored_window(random: np.random.Generator, size: Size, *, flip: float, smallest: float) -> Affine:
    """Mirrored with probability ``flip``, then a centred window of at least ``smallest`` of the sides, enlarged."""
    height, width = size
    view = Affine.flip(width) if random.random() < flip else Affine.identity()
    enlarge = 1 / random.uniform(smallest, 1)
    return Affine.scaling(enlarge, enlarge, (width / 2, height / 2)) @ view


def brightness_contrast(random: np.random.Generator, image: Image, brightness: float, contrast: float) -> Image:
    """Brightness, then contrast about the image's mean grey, each by a factor drawn from 1 - amount .. 1 + amount."""
    bright = random.uniform(1 - brightness, 1 + brightness)
    strong = random.uniform(1 - contrast, 1 + contrast)
    grey = min(255.0, float(image.mean()) * bright)
    return apply_levels(image, np.arange(256) * (bright * strong) + grey * (1 - strong))


def contrast_brightness(random: np.random.Generator, brightness: float, contrast: float) -> np.ndarray:
    """Grey levels ``(256,)`` of a contrast about the middle grey, then a brightness: one table for many frames."""
    strong = random.uniform(1 - contrast, 1 + contrast)
    bright = random.uniform(1 - brightness, 1 + brightness)
    return ((np.arange(256) - 127.5) * strong + 127.5) * bright


def apply_levels(image: Image, levels: np.ndarray) -> Image:
    """The image with each grey level replaced: ``levels`` are ``(256,)``, rounded and kept in 0..255."""
    return cv2.LUT(image, np.rint(levels.clip(0, 255)).astype(np.uint8))  # type: ignore[return-value]
