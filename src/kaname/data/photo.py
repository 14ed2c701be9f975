"""What light, lens, sensor and file do to a picture: nothing moves, so that points and heatmaps stay as they are.

``photographed`` draws all of it from a section of the configuration; each change also stands alone.
"""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.data.augment import blurred
from kaname.data.augment_settings import PhotoSettings
from kaname.types import Image, Size

Map = NDArray[np.float32]
NORMAL = np.array([NormalDist().inv_cdf((i + 1) / 257) for i in range(256)])


def photographed(random: np.random.Generator, image: Image, settings: PhotoSettings, scale: float) -> Image:
    """The image as a worse photograph; ``scale`` are its pixels of one at the reference size."""

    def acts(strength: float) -> bool:
        return strength > 0 and random.random() < settings.probability

    if acts(settings.shade):
        image = shaded(random, image, settings.shade)
    if acts(settings.glare):
        image = glaring(random, image, settings.glare)
    if acts(settings.temperature):
        image = tinted(image, random.uniform(-settings.temperature, settings.temperature))
    if acts(1 - settings.coarse):
        image = coarser(random, image, random.uniform(settings.coarse, 1))
    if acts(settings.blur):
        image = blurred(random, image, max(0.3, settings.blur * scale))
    if acts(settings.shake):
        image = shaken(random, image, random.uniform(0, settings.shake) * scale)
    if acts(settings.noise):
        image = noisy(random, image, random.uniform(0, settings.noise))
    if acts(100 - settings.jpeg):
        image = recompressed(image, int(random.integers(settings.jpeg, 100)))
    return image


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
    return cv2.LUT(image, np.rint(np.clip(np.outer(np.arange(256), factors), 0, 255)).astype(np.uint8)[None])  # type: ignore[return-value]


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
    band = np.clip((width - np.abs(across)) / np.float32(edge), 0, 1).astype(np.float32)
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
