"""What lies behind and over a drawn face, and what light, scanner and file do to the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..data.photo import coarser, noisy, recompressed, shade_side, times, tinted
from ..types import Image
from .axes import Draws
from .background import clouds, paint_background
from .camera import Array, blend, fill, grey, strokes
from .head import smooth
from .ink import hsv
from .lettering import glyph_mask, maker, stamp, text_mask

FULL = 384  # side of a picture in which lengths of the camera's axes are pixels


def paint_ground(draws: Draws, size: int, *, white: bool) -> Image:
    """What is behind everybody, ``(size, size, 3)``; ``white``: more often than not the bare paper."""
    rng = draws.own("ground")
    image = np.full((size, size, 3), 255, np.uint8)
    if white and rng.random() < 0.7:
        return image
    if draws("ground").on:
        image[:] = hsv(rng.random(), rng.uniform(0, 0.65), rng.uniform(0.3, 1))
    scene, gradient = draws("scene"), draws("gradient")
    if scene.on:
        image = paint_background(scene.rng, (size, size))
    elif gradient.on:
        ramp = np.linspace(0, 1, size, dtype=np.float32)
        down, across = (np.float32(share) for share in gradient.rng.uniform(-1, 1, 2))
        field = ramp[:, None] * down + ramp[None] * across + np.float32(0.1) * clouds(gradient.rng, (size, size), 3, 2)
        other = hsv(gradient.rng.random(), gradient.rng.uniform(0, 0.7), gradient.rng.uniform(0.3, 1))
        blend(image, other, np.clip(np.abs(field), 0, 1))
    if draws("pattern").on:
        _pattern(draws, image)
    petals = draws("petals")
    for _ in range(round(petals.value)):
        place, radius = petals.rng.integers(0, size, 2), int(petals.rng.integers(2, max(3, size // 12)))
        colour = hsv(petals.rng.random(), petals.rng.random(), 1)
        cv2.circle(image, (int(place[0]), int(place[1])), radius, colour, -1, cv2.LINE_AA)
    signs = draws("signs")
    for _ in range(round(signs.value)):
        mask = glyph_mask(signs.rng, int(signs.rng.integers(1, 7)), size * signs.rng.uniform(0.04, 0.16))
        turn = float(signs.rng.choice([0, np.pi / 2])) + signs.rng.normal(0, 0.2)
        colour = hsv(signs.rng.random(), signs.rng.uniform(0, 0.9), signs.rng.uniform(0, 1))
        stamp(image, mask, signs.rng.uniform(0, size, 2), colour, turn, 1.0, 0.95)
    return image


def _pattern(draws: Draws, image: Image) -> None:
    drawn, size = draws("pattern"), image.shape[0]
    rng, step = drawn.rng, max(4, int(size * drawn.rng.uniform(0.03, 0.15)))
    turn = rng.uniform(0, np.pi)
    along, over = np.arange(size) * (2 * np.pi / step) * np.array([[np.cos(turn)], [np.sin(turn)]])
    wave = _waves(over, along)
    if drawn.value != "stripes":
        other = _waves(along, -over)
        wave = wave * other * 2 if drawn.value == "checks" else wave + other - np.float32(rng.uniform(0.4, 1.4))
    share = np.clip(wave * 4, 0, 1).astype(np.float32) * np.float32(rng.uniform(0.2, 1))
    blend(image, hsv(rng.random(), rng.uniform(0, 0.7), rng.uniform(0.3, 1)), share)


def _waves(down: Array, right: Array) -> NDArray[np.float32]:
    """The sine of each sum of two angles."""
    rows, columns = (np.stack([np.sin(a), np.cos(a)]).astype(np.float32) for a in (down, right))
    return np.outer(rows[0], columns[1]) + np.outer(rows[1], columns[0])


def paint_over(draws: Draws, image: Image, cover: Image) -> Image:
    """Writing, scribbles, creases and stains, frames and bars; what nobody sees through is marked in ``cover``."""
    size = image.shape[0]
    if draws("panels").on:
        _panels(draws, image, cover)
    scribbles = draws("scribbles")
    for _ in range(round(scribbles.value)):
        rng = scribbles.rng
        path = rng.uniform(0, size, 2) + np.cumsum(rng.normal(0, size * 0.12, (5, 2)), axis=0)
        colour = hsv(rng.random(), rng.uniform(0, 1), rng.uniform(0, 1))
        strokes(image, [smooth(path)], colour, int(rng.integers(1, max(2, size // 90) + 1)))
    writing = draws("writing")
    for _ in range(round(writing.value)):
        rng, tall = writing.rng, size * writing.rng.uniform(0.025, 0.12)
        mask = text_mask(maker(rng), "DejaVuSans-Bold", tall) if rng.random() < 0.6 else glyph_mask(rng, 5, tall)
        turn = rng.normal(0, 0.1) if rng.random() < 0.7 else rng.uniform(-0.8, 0.8)
        stamp(image, mask, rng.uniform(0, size, 2), grey(rng, 0, 256), turn, rng.uniform(0.8, 2), rng.uniform(0.2, 0.9))
    if (fold := draws("fold")).on:
        rng = fold.rng
        middle, way = rng.uniform(0.2, 0.8, 2) * size, rng.normal(0, 1, 2)
        ends = middle + np.array([[-1], [1]]) * way / np.hypot(*way) * 2 * size
        for shift, tone in ((0.0, 30), (1.5, 250)):
            crease = np.zeros((size, size), np.uint8)
            strokes(crease, [ends + shift], 255, 1)
            blend(image, (tone, tone, tone), crease.astype(np.float32) * np.float32(fold.value / 255))
    if (stains := draws("stains")).on:
        rng, quarter = stains.rng, max(8, size // 4)
        field = clouds(rng, (quarter, quarter), int(rng.integers(2, 8)), 3) - np.float32(rng.uniform(-0.3, 0.8))
        share = cv2.resize(np.clip(field, 0, 1), (size, size), interpolation=cv2.INTER_LINEAR)
        blend(image, hsv(rng.normal(0.1, 0.03), rng.uniform(0.2, 0.7), rng.uniform(0.3, 1)), share * stains.value)
    if (bars := draws("bars")).on:
        width, tone = round(float(bars.value) * size), int(bars.rng.choice([0, 0, 255, 128]))
        upright = bars.rng.random() < 0.5
        for layer, value in ((image, tone), (cover, 255)):
            view = layer if upright else layer.swapaxes(0, 1)
            view[:width] = view[size - width :] = value
    return image


def _panels(draws: Draws, image: Image, cover: Image) -> None:
    """Frames along the picture's border, as the panel of a comic has them, sometimes with a slanted side."""
    rng, size = draws("panels").rng, image.shape[0]
    paper = 255 if rng.random() < 0.7 else 0
    for turn in range(int(rng.integers(1, 4))):
        depth = rng.uniform(0.01, 0.1, 2) * size
        band = np.array([[-2, -2], [size + 2, -2], [size + 2, depth[0]], [-2, depth[1]]])
        for _ in range(turn):
            band = np.stack([band[:, 1], size - band[:, 0]], axis=1)
        fill(image, band, (paper, paper, paper))
        fill(cover, band, 255)
        edge = 255 - paper
        strokes(image, [band[2:]], (edge, edge, edge), max(1, size // 130))


def finish(draws: Draws, image: Image) -> Image:
    """Light, tone, screen, blur, noise and compression of the whole picture."""
    size = image.shape[0]
    scale = size / FULL
    image = _lit(draws, image)
    for name in ("screen", "colourless"):
        if draws(name).on:
            image = _printed(draws, image, name)
    if (coarse := draws("coarse")).on:
        image = coarser(coarse.rng, image, coarse.value)
    if (focus := draws("focus")).on:
        image = cv2.GaussianBlur(image, (0, 0), max(0.3, float(focus.value) * scale))
    if (tint := draws("tint")).on:
        image = tinted(image, tint.value * float(tint.rng.choice([-1, 1])))
    if (grain := draws("noise")).on:
        image = noisy(grain.rng, image, grain.value)
    if (sharp := draws("sharpening")).on:
        soft = cv2.GaussianBlur(image, (0, 0), sharp.rng.uniform(0.6, 2.2))
        image = cv2.addWeighted(image, 1 + sharp.value, soft, -sharp.value, 0)
    return recompressed(image, round(draws("jpeg").value)) if draws("jpeg").on else image


def _lit(draws: Draws, image: Image) -> Image:
    """Coloured light, glow, shade and the tone curve."""
    size = (image.shape[0], image.shape[1])
    if (light := draws("coloured")).on:
        field = np.clip(0.25 + 0.25 * clouds(light.rng, size, 2, 2), 0, 0.6).astype(np.float32)
        colour = hsv(light.rng.random(), light.rng.uniform(0, 0.8), light.rng.uniform(0, 1))
        blend(image, colour, field * np.float32(light.value))
    if (glow := draws("glow")).on:
        bright = cv2.subtract(image, (150, 150, 150, 0))
        soft = cv2.GaussianBlur(bright, (0, 0), max(0.5, size[0] * glow.rng.uniform(0.01, 0.04)))
        image = cv2.addWeighted(image, 1, soft, 1.5 * glow.value, 0)
    if (shade := draws("shade")).on:
        image = times(image, 1 - np.float32(shade.value) * shade_side(shade.rng, size))
    tone, faded = draws("tone"), draws("faded")
    if tone.on or faded.on:
        level = 255 * np.linspace(0, 1, 256) ** np.exp(float(tone.value))
        ground = np.full(3, 255.0)
        if faded.on:
            ground = np.array(hsv(faded.rng.random(), faded.rng.uniform(0, 0.3), faded.rng.uniform(0.6, 1)), float)
        table = ground + (level[:, None] - ground) * float(faded.value)
        image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])
    return image


def _printed(draws: Draws, image: Image, kind: str) -> Image:
    """Printed dots in the middle tones, or one colour."""
    drawn, size = draws(kind), image.shape[0]
    if kind == "colourless":
        tone = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        paper = np.array(hsv(drawn.rng.normal(0.1, 0.05), float(drawn.value) * (drawn.rng.random() < 0.6), 1)) / 255
        return cv2.merge([cv2.convertScaleAbs(tone, alpha=float(share)) for share in paper])
    y, x = np.mgrid[:size, :size].astype(np.float32)
    period = np.float32(np.pi / float(drawn.value))
    dots = np.sin((x + y) * period) * np.sin((x - y) * period) * np.float32(drawn.rng.uniform(25, 80))
    tone = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    dots *= (tone > 60) & (tone < 215)
    return np.clip(image + dots[..., None], 0, 255).astype(np.uint8)
