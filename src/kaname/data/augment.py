"""Random changes to a training image: each is a draw and a map, so that points and heatmaps move along.

A geometric change is an `Affine` on the network's input canvas; a change of colour is applied to the image alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from kaname.geometry.affine import Affine
from kaname.types import Image, Size


def rotated_window(
    random: np.random.Generator, size: Size, *, rotate: float, enlarge: float, smallest: float = 1.0
) -> Affine:
    """A rotation about the centre, an enlargement, and a window of the old size somewhere in it.

    Args:
        size: ``(height, width)`` of the canvas.
        rotate: largest angle in degrees, either way.
        enlarge: factor of the canvas, at least 1.
        smallest: what is seen is made smaller about the centre, down to this factor; 1 leaves it.
    """
    height, width = size
    centre = (width / 2, height / 2)
    turn = Affine.rotate(random.uniform(-rotate, rotate), centre)
    left, top = random.uniform(0, width * (enlarge - 1)), random.uniform(0, height * (enlarge - 1))
    window = Affine.shift(-left, -top) @ Affine.scaling(enlarge, enlarge) @ turn
    if smallest == 1:
        return window
    factor = random.uniform(smallest, 1)
    return Affine.scaling(factor, factor, centre) @ window


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


def turned_window(random: np.random.Generator, size: Size, *, rotate: float, scale: float, shift: float) -> Affine:
    """A rotation and an enlargement about the centre, then a shift.

    Args:
        size: ``(height, width)`` of the canvas.
        rotate: largest angle in degrees, either way; the likeliest is 0.
        scale: the factor is drawn from 1 - scale .. 1 + scale.
        shift: largest shift along each axis, as a share of the side.
    """
    height, width = size
    centre = (width / 2, height / 2)
    turn = Affine.rotate(random.triangular(-rotate, 0, rotate) if rotate else 0.0, centre)
    factor = random.uniform(1 - scale, 1 + scale)
    right, down = random.uniform(-shift, shift, 2) * (width, height)
    return Affine.shift(right, down) @ Affine.scaling(factor, factor, centre) @ turn


def turned(random: np.random.Generator, size: Size, rotate: float) -> Affine:
    """A rotation about the canvas's centre by an angle of at most ``rotate`` degrees either way, all as likely."""
    return Affine.rotate(random.uniform(-rotate, rotate), (size[1] / 2, size[0] / 2))


def flow_under(into: Affine, flow: np.ndarray, size: Size) -> np.ndarray:
    """A field of displacements under a map of the picture: its vectors turn and grow as well as move.

    Args:
        into: the map, applied to both pictures that the flow is between.
        flow: ``(h, w, 2)`` pixels (right, down).
        size: ``(height, width)`` of the result.

    Returns:
        float32 ``(height, width, 2)``; 0 beyond the border.
    """
    moved = into.image(flow.astype(np.float32), size)
    return np.asarray(moved @ into.matrix[:, :2].T, np.float32)


def saturated(random: np.random.Generator, image: Image, saturation: float, *, grey: float) -> Image:
    """Colours stronger or weaker by a factor drawn from 1 - saturation .. 1 + saturation; with probability ``grey``
    none."""
    factor = 0.0 if random.random() < grey else random.uniform(1 - saturation, 1 + saturation)
    plain = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, factor, plain, 1 - factor, 0)  # type: ignore[return-value]


def blurred(random: np.random.Generator, image: Image, strongest: float) -> Image:
    """Blurred by a Gaussian whose deviation is drawn up to ``strongest`` pixels."""
    return cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, strongest))  # type: ignore[return-value]


def cut_out(random: np.random.Generator, image: Image, largest: float) -> Image:
    """A rectangle with sides of up to the share ``largest`` of the image's is covered by one colour."""
    height, width = image.shape[:2]
    rows, columns = (max(1, round(random.uniform(0.1, largest) * side)) for side in (height, width))
    top, left = int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1))
    covered = image.copy()
    covered[top : top + rows, left : left + columns] = random.integers(0, 256, 3, dtype=np.uint8)
    return covered
