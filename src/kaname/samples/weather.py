"""What happens to a dial between the factory and the file: glass, dirt, light, lens, sensor, JPEG."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..data.photo import add, bell, times
from ..types import Image, Size
from .background import clouds
from .camera import Array, grey, pick

__all__ = ("add", "times")  # what those who paint look for here

Map = NDArray[np.float32]


def small_grid(size: Size, step: int = 4) -> tuple[Map, Map]:
    """Coarse coordinates x, y of an image, for smooth maps that are resized up afterwards."""
    ys, xs = np.mgrid[0 : size[0] : step, 0 : size[1] : step].astype(np.float32)
    return xs, ys


def reflections(rng: Generator, size: Size, centre: Array, radius: float) -> Map:
    """Light that the glass mirrors, 0..255: lamps, windows, a veil, bright crescents along the rim."""
    xs, ys = small_grid(size)
    light = np.zeros(xs.shape, np.float32)
    for _ in range(int(rng.integers(0, 3))):  # lamps
        x, y = centre + radius * rng.normal(0, 0.6, 2)
        a, b, turn = *(radius * rng.uniform(0.04, 0.45, 2)), rng.uniform(0, np.pi)
        u = ((xs - x) * np.cos(turn) + (ys - y) * np.sin(turn)) / a
        v = ((ys - y) * np.cos(turn) - (xs - x) * np.sin(turn)) / b
        light += rng.uniform(20, 200) * np.exp(-((u**2 + v**2) ** rng.uniform(0.6, 2)))
    if rng.random() < 0.2:  # a window
        mask = np.zeros(xs.shape, np.uint8)
        corner = (centre + radius * rng.normal(0, 0.5, 2)) / 4
        span = radius * rng.uniform(0.2, 1.2, 2) / 4
        turn = rng.normal(0, 12)
        box = cv2.boxPoints(((corner[0], corner[1]), (span[0], span[1]), turn))
        cv2.fillConvexPoly(mask, np.round(box).astype(np.int32), 255, cv2.LINE_AA)
        if rng.random() < 0.6:
            middle = box.mean(0)
            pen = max(1, int(np.linalg.norm(box[0] - middle) / 10))
            for a, b in ((box[0] + box[1], box[2] + box[3]), (box[1] + box[2], box[3] + box[0])):
                start, end = (tuple(int(v) for v in np.round(corners / 2)) for corners in (a, b))
                cv2.line(mask, start, end, 0, pen)
        light += cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 3)).astype(np.float32) * rng.uniform(0.1, 0.6)
    if rng.random() < 0.3:  # a veil, brighter to one side
        turn = rng.uniform(0, 6.3)
        away = ((xs - centre[0]) * np.cos(turn) + (ys - centre[1]) * np.sin(turn)) / radius
        light += rng.uniform(10, 90) * np.clip(away * rng.uniform(1, 6) + rng.uniform(-1, 1), 0, 1)
    if rng.random() < 0.3:  # a crescent along the rim
        far = np.hypot(xs - centre[0], ys - centre[1]) / radius
        side = np.cos(np.arctan2(ys - centre[1], xs - centre[0]) - rng.uniform(0, 6.3))
        crescent = np.exp(-(((far - rng.uniform(0.85, 1)) / rng.uniform(0.01, 0.06)) ** 2))
        light += rng.uniform(40, 200) * crescent * np.clip(side, 0, 1) ** 2
    return cv2.resize(light, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def dirt(rng: Generator, image: Image, centre: Array, radius: float) -> Image:
    """Dust, scratches, drops, stains on the glass."""

    def place(spread: float = 0.6) -> tuple[int, int]:
        x, y = centre + radius * rng.uniform(-1, 1, 2) * spread * 1.6
        return int(x), int(y)

    if rng.random() < 0.35:
        for _ in range(int(rng.integers(3, 40))):
            tone = grey(rng, 20, 130) if rng.random() < 0.7 else grey(rng, 180, 256)
            x, y = place()
            step = rng.normal(0, radius * 0.012, 2)
            cv2.line(image, (x, y), (int(x + step[0]), int(y + step[1])), tone, 1, cv2.LINE_AA)
    if rng.random() < 0.2:
        for _ in range(int(rng.integers(1, 7))):
            tone = grey(rng, 30, 240)
            steps = np.cumsum(rng.normal(0, radius * 0.05, (6, 2)) + rng.normal(0, radius * 0.08, 2), axis=0)
            line = np.round(np.array(place()) + steps).astype(np.int32)
            cv2.polylines(image, [line], False, tone, 1, cv2.LINE_AA)
    if rng.random() < 0.1:
        for _ in range(int(rng.integers(2, 25))):
            x, y = place()
            a = max(1, int(radius * rng.uniform(0.008, 0.045)))
            dark, light = grey(rng, 60, 140), grey(rng, 190, 256)
            cv2.ellipse(image, (x, y), (a, int(a * rng.uniform(1, 1.6))), 0, 0, 360, dark, 1, cv2.LINE_AA)
            cv2.circle(image, (x - a // 3, y - a // 3), max(1, a // 4), light, -1, cv2.LINE_AA)
    if rng.random() < 0.2:  # stains and yellowing
        stain = clouds(rng, (image.shape[0] // 4, image.shape[1] // 4), int(rng.integers(2, 12)), 3)
        stain = 1 - np.clip(stain - rng.uniform(0.2, 1.2), 0, 1) * np.float32(rng.uniform(0.1, 0.6))
        image = times(image, cv2.resize(stain, (image.shape[1], image.shape[0])))
    return image


def light(rng: Generator, image: Image) -> Image:
    """Uneven light: a slope, vignetting, the shadow of something."""
    size = image.shape[:2]
    xs, ys = small_grid((size[0], size[1]), 8)
    half = max(size) / 2
    u, v = (xs - size[1] / 2) / half, (ys - size[0] / 2) / half
    turn = rng.uniform(0, 6.3)
    field = 1 + np.float32(rng.normal(0, 0.15)) * (u * np.cos(turn) + v * np.sin(turn))
    if rng.random() < 0.4:
        field *= 1 - np.float32(rng.uniform(0, 0.35)) * (u**2 + v**2)
    if rng.random() < 0.2:
        turn = rng.uniform(0, 6.3)
        edge = (u * np.cos(turn) + v * np.sin(turn) - rng.uniform(-0.5, 0.5)) * rng.uniform(3, 40)
        field *= 1 - np.float32(rng.uniform(0.1, 0.5)) / (1 + np.exp(-np.clip(edge, -30, 30)))
    field = field.astype(np.float32)
    return times(image, cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def blur(rng: Generator, image: Image, scale: float) -> Image:
    """Focus, motion, and the enlargement of a small crop; ``scale`` is the image's size over 448."""
    kind = rng.random()
    sigma = rng.uniform(0.35, 0.9) if kind < 0.55 else rng.uniform(0.6, 2.4)
    if rng.random() < 0.3:  # a small crop, enlarged
        height, width = image.shape[:2]
        factor = rng.uniform(0.3, 0.8)
        smaller = (max(8, int(width * factor)), max(8, int(height * factor)))
        small = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
        if rng.random() < 1 / 2:
            small = jpeg(rng, small)
        image = cv2.resize(small, (width, height), interpolation=pick(rng, (cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
        sigma *= 0.6
    if rng.random() < 0.12:  # motion; an odd kernel, symmetrical, so that nothing is moved
        length = int(rng.integers(1, max(2, round(5 * scale)))) * 2 + 1
        kernel = np.zeros((length, length), np.float32)
        turn = rng.uniform(0, np.pi)
        middle = length // 2
        ends = np.round(np.array([np.cos(turn), np.sin(turn)]) * middle).astype(int)
        cv2.line(kernel, (middle - ends[0], middle - ends[1]), (middle + ends[0], middle + ends[1]), 1.0)
        kernel = kernel + kernel[::-1, ::-1]
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    return cv2.GaussianBlur(image, (0, 0), max(0.3, sigma * scale))


def develop(rng: Generator, image: Image) -> Image:
    """Exposure, white balance, contrast, gamma and saturation, as one table per channel.

    Exposure aims the brightest parts at a level, as cameras do: blown out past its contrast, a dial has no notches.
    """
    bright = max(40.0, float(np.percentile(image[::8, ::8, 1], 96)))
    aim = rng.uniform(170, 262) if rng.random() < 0.75 else rng.uniform(75, 200)
    cast = np.exp(rng.normal(0, 0.04, 3)) if rng.random() < 0.85 else np.exp(rng.normal(0, 0.09, 3))
    gamma, contrast, lift = np.exp(rng.normal(0, 0.15)), np.exp(rng.normal(-0.05, 0.12)), rng.normal(0, 6)
    tone = np.arange(256) / bright
    pivot = aim / 2
    tables = []
    for channel in range(3):
        level = (tone * cast[channel]) ** gamma * aim
        level = (level - pivot) * contrast + pivot + lift
        # a soft shoulder instead of a hard cut
        tables.append(np.where(level > 225, 225 + 30 * np.tanh((level - 225) / 45), level))
    image = cv2.LUT(image, np.clip(np.stack(tables, axis=1), 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.25:  # towards grey
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = rng.uniform(0.2, 1.0)
        image = cv2.addWeighted(image, 1 - share, grey, share, 0)
    return image


def noise(rng: Generator, image: Image) -> Image:
    """The sensor's noise: fine in brightness, coarser in colour. Random bytes through a table: normal and fast."""
    strength = rng.uniform(0.5, 4) if rng.random() < 0.8 else rng.uniform(4, 16)
    height, width = image.shape[:2]
    grain = cv2.LUT(rng.integers(0, 256, (height, width), dtype=np.uint8), bell(strength))
    stain = cv2.LUT(rng.integers(0, 256, (height // 2, width // 2, 3), dtype=np.uint8), bell(strength * 0.8))
    if rng.random() < 0.4:
        grain = cv2.GaussianBlur(grain, (3, 3), 0.8)
    total = cv2.resize(stain, (width, height), interpolation=cv2.INTER_LINEAR)
    total = cv2.addWeighted(total, 1, cv2.merge([grain, grain, grain]), 1, -128)
    return cv2.addWeighted(image, 1, total, 1, -128)


def even_bytes(rng: Generator, shape: tuple[int, ...]) -> Image:
    """Random bytes, drawn eight at once: those of ``rng.integers(0, 256, shape, np.uint8)`` of a generator that has
    drawn nothing yet."""
    count = math.prod(shape)
    drawn = rng.integers(0, 1 << 64, -(-count // 8), dtype=np.uint64).astype("<u8", copy=False)
    return drawn.view(np.uint8)[:count].reshape(shape)


def sharpen(rng: Generator, image: Image) -> Image:
    """A camera's own sharpening, with its light seams."""
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 2.2))
    share = rng.uniform(0.2, 1.3)
    return cv2.addWeighted(image, 1 + share, soft, -share, 0)


def jpeg(rng: Generator, image: Image) -> Image:
    """Once through JPEG."""
    quality = int(rng.integers(55, 97)) if rng.random() < 0.8 else int(rng.integers(20, 55))
    code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(code, cv2.IMREAD_COLOR)
