"""What lies on and in a dial's glass: light, liquid and bubbles, stickers; and what stands before its rim."""

from __future__ import annotations

import cv2
import numpy as np

from ...data.photo import add, glare_band, times
from ...types import Image
from .. import lettering, weather
from ..axes import Draws
from ..camera import Array, Camera, Colour, fill, fill_convex, filled, grey, pick, polar, whole
from .layout import room
from .plate import Plate

SPOTS = ((40, 70, 160), (200, 35, 35), (40, 150, 70), (240, 200, 40), (235, 110, 30), (30, 30, 32), (240, 240, 240))


def paint_glass(draws: Draws, image: Image, plate: Plate, camera: Camera, opening: Image, height: float) -> Image:
    """Liquid, stickers, reflections, glare and dirt, inside the opening alone."""
    size = (image.shape[0], image.shape[1])
    middle = camera.project(np.zeros((1, 2)))[0]
    if draws("liquid").on:
        image = _liquid(draws, image, plate, camera, opening)
    if draws("sticker").on:
        _stickers(draws, image, plate, camera, height)
    if draws("spots").on:
        _spots(draws, image, plate, camera, height)
    light = np.zeros(size, np.float32)
    if draws("reflections").on:
        light += weather.reflections(draws("reflections").rng, size, middle, camera.focal)
    if draws("glare").on:
        light += np.float32(draws("glare").value) * glare_band(draws("glare").rng, size)
    if draws("reflections").on or draws("glare").on:
        light[opening == 0] = 0
        image = add(image, light, (1.0, 1.0, draws.own("shine").uniform(0.85, 1.15)))
    if draws("soil").on:
        image = weather.dirt(draws("soil").rng, image, middle, camera.focal)
    return image


def _liquid(draws: Draws, image: Image, plate: Plate, camera: Camera, opening: Image) -> Image:
    """A filling up to a level, with its surface as a line, and bubbles."""
    rng, level = draws("liquid").rng, -float(draws("liquid").value)
    low, high = plate.layout.outline.min(0), plate.layout.outline.max(0)
    size = (image.shape[0], image.shape[1])
    below = np.array([[low[0], level], [high[0], level], [high[0], high[1]], [low[0], high[1]]])
    mask = cv2.bitwise_and(filled(size, camera.project(below, 0.05)), opening)
    colour = np.array(pick(rng, ((255, 245, 205), (250, 250, 245), (245, 225, 170)))) * rng.uniform(0.8, 1.0)
    wet = cv2.LUT(image, np.clip(np.outer(np.arange(256), colour / 255), 0, 255).astype(np.uint8)[None])
    image = image.copy()
    cv2.copyTo(wet, mask, image)
    edge = camera.project(np.array([[low[0], level], [high[0], level]]), 0.05)
    line = np.zeros(size, np.uint8)
    cv2.line(
        line,
        *(tuple(int(v) for v in np.round(p)) for p in edge),
        255,
        max(1, round(camera.focal * rng.uniform(0.005, 0.03))),
    )
    tone = grey(rng, 20, 255)
    share = cv2.bitwise_and(line, opening).astype(np.float32) / 255 * np.float32(rng.uniform(0.2, 0.7))
    image = np.round(image + (np.array(tone, np.float32) - image) * share[..., None]).astype(np.uint8)
    for _ in range(int(rng.integers(0, 9))):
        big = rng.random() < 0.3
        radius = rng.uniform(0.08, 0.3) if big else rng.uniform(0.01, 0.06)
        centre = np.array([rng.uniform(low[0], high[0]) * 0.8, level + rng.uniform(0, 0.15 if big else 0.8)])
        ring = camera.project(centre + polar(radius, np.linspace(0, 2 * np.pi, 24)) * [1, 0.5 if big else 1], 0.05)
        pixels = np.round(ring).astype(np.int32)
        cv2.polylines(image, [pixels], True, grey(rng, 60, 150), 1, cv2.LINE_AA)
        cv2.polylines(image, [pixels[12:18]], False, grey(rng, 200, 256), 1, cv2.LINE_AA)
    return image


def _stickers(draws: Draws, image: Image, plate: Plate, camera: Camera, height: float) -> None:
    """Labels and dots stuck on glass or rim, where they hide no notch."""
    rng, size = draws("sticker").rng, float(draws("sticker").value)
    for _ in range(int(rng.integers(1, 4))):
        wide, high = size * rng.uniform(0.3, 1.0), size * rng.uniform(0.2, 0.6)
        reach = plate.free - np.hypot(wide, high) / 2 - 0.05
        gap = (plate.scale.span[0] + plate.scale.span[1]) / 2 + np.pi
        outside = reach < 0.1 or rng.random() < 0.4
        angle = gap + rng.normal(0, 0.1) if outside else rng.uniform(0, 2 * np.pi)
        rim = float(room(plate.layout.outline, np.array([angle]))[0])
        centre = polar(rim + 0.6 * high if outside else reach * rng.uniform(0.3, 1.0), angle)[0]
        turn = rng.normal(0, 0.3)
        axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        shape = np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]]) / 2
        if rng.random() < 0.3:
            shape = polar(high / 2, np.linspace(0, 2 * np.pi, 24, endpoint=False))
        colour: Colour = whole(rng.uniform(120, 256, 3)) if rng.random() < 0.7 else (245, 245, 240)
        fill_convex(image, camera.project(centre + shape @ axes, height), colour)
        if rng.random() < 0.7:
            mask = lettering.text_mask(pick(rng, lettering.WORDS), "DejaVuSans", high * 0.35 * camera.focal / 0.73)
            place = camera.project(centre[None], height)[0]
            lettering.stamp(
                image, mask, place, grey(rng, 0, 80), turn, min(1.0, wide * 0.85 * camera.focal / mask.shape[1]), 0.9
            )


def _spots(draws: Draws, image: Image, plate: Plate, camera: Camera, height: float) -> None:
    """Small dots, strips and arrows of one colour, on the face or on the glass, that touch no notch."""
    rng, size = draws("spots").rng, float(draws("spots").value)
    notches = plate.scale.notches
    ends = np.concatenate(
        [polar(notches.inner, notches.angles), polar(notches.outer, notches.angles), notches.points()]
    )
    low, high = sorted(plate.scale.span)
    for _ in range(int(rng.integers(1, 4))):
        angle = rng.uniform(low, high) if rng.random() < 0.5 else pick(rng, plate.scale.span)
        if rng.random() < 0.7:  # beside an end, or beside any mark
            angle += rng.normal(0, 0.2)
        radius = rng.uniform(plate.scale.inner - 0.2, plate.scale.outer + 0.15)
        centre = polar(radius, angle)[0]
        lies_in = radius + size / 2 < float(room(plate.layout.outline, np.array([angle]))[0])
        if not lies_in or np.hypot(*(ends - centre).T).min() < size * 0.6 + 0.035:
            continue
        colour: Colour = whole(np.clip(np.array(pick(rng, SPOTS)) * rng.uniform(0.6, 1.1), 0, 255))
        shape = polar(size / 2, np.linspace(0, 2 * np.pi, 24, endpoint=False))
        if rng.random() < 0.4:
            along = polar(1.0, angle)[0]
            corners = pick(rng, (((-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3)), ((-1, 0), (1, -0.7), (1, 0.7))))
            shape = np.array(corners) * size / 2 @ np.array([along, [-along[1], along[0]]])
        fill_convex(image, camera.project(centre + shape, height if rng.random() < 0.5 else 0.0), colour)


def paint_finger(draws: Draws, image: Image, outline: Array) -> None:
    """A finger, a cable or a lever from outside that ends at the ring; ``outline`` is the ring in the image."""
    rng, wide = draws("finger").rng, float(draws("finger").value) * image.shape[1]
    rim = outline[int(rng.integers(len(outline)))]
    middle = outline.mean(axis=0)
    away = (rim - middle) / max(1e-6, float(np.hypot(*(rim - middle))))
    across = np.array([-away[1], away[0]])
    tip = polar(wide / 2, np.linspace(np.pi, 2 * np.pi, 12)) * [1, -1]
    shape = np.concatenate([tip, [[wide / 2, -4 * wide], [-wide / 2, -4 * wide]]])
    base = np.array(pick(rng, ((225, 180, 155), (150, 105, 80), (60, 60, 62), (200, 60, 40)))) * rng.uniform(0.7, 1.1)
    for share in (1.0, 0.8, 0.55):
        points = rim + away * wide * 0.45 + (shape * [share, 1]) @ np.array([across, -away])
        fill(image, points, whole(np.clip(base * (1.25 - 0.35 * share), 0, 255)))


def shadows(
    draws: Draws, image: Image, light: Array, camera: Camera, opening: Array, height: float, needle: Image
) -> Image:
    """The face under the shadows of the ring and of the pointer; ``needle`` are its coverage 0..255 at half size."""
    cast = draws("cast")
    if not cast.on:
        return image
    size = (image.shape[0], image.shape[1])
    half = (size[0] // 2, size[1] // 2)
    small = camera.halved()
    dark = np.float32(cast.value)
    lit = filled(half, small.project(opening + light * height))
    lit = cv2.GaussianBlur(lit, (0, 0), max(0.5, small.focal * cast.rng.uniform(0.005, 0.05)))
    field = (1 - dark / 255 * needle) * (1 - dark + dark / 255 * lit)
    return times(image, cv2.resize(field.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR))
