"""Random changes to a training image: each is a draw and a map, so that points and heatmaps move along.

A geometric change is an `Affine` on the network's input canvas; a change of colour is applied to the image alone.
"""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.geometry.affine import Affine
from kaname.types import Image, Size

Map = NDArray[np.float32]
NORMAL = np.array([NormalDist().inv_cdf((i + 1) / 257) for i in range(256)])


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


def times(image: Image, light: Map) -> Image:
    """Image times a light map ``(height, width)`` of 0..2, clipped. In bytes: floats would take four times as long."""
    level = cv2.convertScaleAbs(light, alpha=128)
    return cv2.multiply(image, cv2.merge([level, level, level]), scale=1 / 128)


def add(image: Image, light: Map, colour: tuple[float, float, float]) -> Image:
    """Image plus coloured light in grey levels, clipped."""
    return cv2.add(image, cv2.merge([cv2.convertScaleAbs(light, alpha=c) for c in colour]))


def bell(strength: float) -> NDArray[np.uint8]:
    """A table from even bytes to a normal distribution around 128."""
    return np.clip(np.round(128 + strength * NORMAL), 0, 255).astype(np.uint8)


def shaken(random: np.random.Generator, image: Image, length: float) -> Image:
    """Blurred along a line of ``length`` pixels in any direction, as by a shaking hand; nothing moves on average."""
    reach = max(1, round(length / 2))
    turn = random.uniform(0, np.pi)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    end = np.round(np.array([np.cos(turn), np.sin(turn)]) * reach).astype(int)
    cv2.line(kernel, (reach - int(end[0]), reach - int(end[1])), (reach + int(end[0]), reach + int(end[1])), 1.0)
    kernel = kernel + kernel[::-1, ::-1]
    return cv2.filter2D(image, -1, kernel / kernel.sum())  # type: ignore[return-value]


def coarser(random: np.random.Generator, image: Image, factor: float) -> Image:
    """Made smaller by ``factor`` (under 1) and enlarged again, as a small crop is; the size stays."""
    height, width = image.shape[:2]
    small = (max(8, round(width * factor)), max(8, round(height * factor)))
    way = cv2.INTER_LINEAR if random.random() < 1 / 2 else cv2.INTER_CUBIC
    return cv2.resize(cv2.resize(image, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=way)  # type: ignore[return-value]


def noisy(random: np.random.Generator, image: Image, deviation: float) -> Image:
    """A sensor's noise of ``deviation`` grey levels, fine in brightness and coarser in colour."""
    height, width = image.shape[:2]
    grain = cv2.LUT(random.integers(0, 256, (height, width), dtype=np.uint8), bell(deviation))
    stain = cv2.LUT(random.integers(0, 256, (height // 2, width // 2, 3), dtype=np.uint8), bell(deviation * 0.8))
    total = cv2.resize(stain, (width, height), interpolation=cv2.INTER_LINEAR)
    total = cv2.addWeighted(total, 1, cv2.merge([grain, grain, grain]), 1, -128)
    return cv2.addWeighted(image, 1, total, 1, -128)  # type: ignore[return-value]


def recompressed(image: Image, quality: int) -> Image:
    """Once through JPEG of this quality, 0..100."""
    code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(code, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def tinted(image: Image, warmth: float) -> Image:
    """Red over blue by the factor exp(``warmth``), as in light of another colour temperature."""
    factors = np.exp(warmth * np.array([0.5, 0.05 * np.sign(warmth), -0.5]))
    return cv2.LUT(image, np.clip(np.outer(np.arange(256), factors) + 0.5, 0, 255).astype(np.uint8)[None])  # type: ignore[return-value]


def _across(size: Size, turn: float) -> Map:
    """For a quarter of the pixels each way: the distance from the middle along a direction, in half the longer side."""
    height, width = size
    ys, xs = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
    half = np.float32(max(size) / 2)
    return ((xs - width / 2) * np.float32(np.cos(turn)) + (ys - height / 2) * np.float32(np.sin(turn))) / half


def glare_band(random: np.random.Generator, size: Size) -> Map:
    """A bright band across the picture, ``(height, width)`` of 0..1: lamps and windows in a glass."""
    across = _across(size, random.uniform(0, 2 * np.pi)) - np.float32(random.normal(0, 0.35))
    width, edge = random.uniform(0.02, 0.35), random.uniform(0.02, 0.25)
    band = np.clip((width - np.abs(across)) / np.float32(edge) + 0.5, 0, 1).astype(np.float32)
    return cv2.resize(band, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def shade_side(random: np.random.Generator, size: Size) -> Map:
    """Which part of the picture lies in a shadow with a straight edge, ``(height, width)`` of 0..1."""
    across = _across(size, random.uniform(0, 2 * np.pi)) - np.float32(random.normal(0, 0.3))
    dark = 1 / (1 + np.exp(-np.clip(across * np.float32(random.uniform(4, 60)), -30, 30)))
    return cv2.resize(dark.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def glaring(random: np.random.Generator, image: Image, strength: float) -> Image:
    """With a band of light of up to ``strength`` grey levels across it."""
    level = random.uniform(0.2, 1) * strength
    return add(image, glare_band(random, (image.shape[0], image.shape[1])), (level, level, level))


def shaded(random: np.random.Generator, image: Image, darkest: float) -> Image:
    """Partly in a shadow that takes up to the share ``darkest`` of the light."""
    lost = np.float32(random.uniform(0.2, 1) * darkest)
    return times(image, 1 - lost * shade_side(random, (image.shape[0], image.shape[1])))
