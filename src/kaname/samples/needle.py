"""Needles: their outlines, hubs and shadows, drawn straight into the image through the camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..types import Image, Size
from .camera import Array, Camera, Colour, fill, fill_convex, grey, pick, polar, whole


@dataclass(frozen=True)
class Needle:
    """A needle: outlines ``(N, 2)`` in the dial's plane, the hub's radius, heights above the face in radii, its tip."""

    parts: tuple[Array, ...]
    colour: Colour
    hub: float
    hub_tones: tuple[Colour, ...]
    height: float
    tip: Array  # (2,) in the dial's plane


def blade(rng: Generator, reach: float) -> Array:
    """The pointing part along +x, from the axis to ``reach``."""
    wide, tip = rng.uniform(0.02, 0.055), rng.uniform(0.003, 0.012)
    kind = rng.random()
    if kind < 0.5:  # taper
        return np.array([[0, wide], [reach * 0.97, tip], [reach, 0], [reach * 0.97, -tip], [0, -wide]])
    if kind < 0.65:  # even bar with a point
        wide *= 0.6
        neck = reach * rng.uniform(0.75, 0.95)
        return np.array([[0, wide], [neck, wide], [reach, 0], [neck, -wide], [0, -wide]])
    if kind < 0.8:  # lance
        belly = reach * rng.uniform(0.3, 0.7)
        upper = np.array([[0, wide * 0.5], [belly, wide * 1.2], [reach, tip]])
        return np.concatenate([upper, upper[::-1] * [1, -1]])
    if kind < 0.9:  # thin rod
        return np.array([[0, tip + 0.004], [reach, tip], [reach, -tip], [0, -tip - 0.004]])
    head = reach * rng.uniform(0.7, 0.85)  # arrow
    upper = np.array([[0, wide * 0.4], [head, wide * 0.4], [head, wide * 1.3]])
    return np.concatenate([upper, [[reach, 0]], upper[::-1] * [1, -1]])


def tail(rng: Generator) -> list[Array]:
    """The counterweight along -x, or nothing."""
    length, wide = rng.uniform(0.15, 0.5), rng.uniform(0.02, 0.07)
    kind = rng.random()
    if kind < 0.18:
        return []
    if kind < 0.36:  # bar
        return [np.array([[0, wide], [-length, wide], [-length, -wide], [0, -wide]])]
    if kind < 0.55:  # swallow tail
        notch = length - rng.uniform(0.02, 0.08)
        broad = wide * rng.uniform(1.0, 1.5)
        return [np.array([[0, wide], [-length, broad], [-notch, 0], [-length, -broad], [0, -wide]])]
    if kind < 0.85:  # fan, its far edge round
        broad, t = rng.uniform(0.08, 0.17), np.linspace(-1, 1, 9)
        bow = rng.uniform(0.0, 0.08)
        far = np.stack([-length - bow * (1 - t**2), broad * t], axis=1)
        inner = np.array([[-length * 0.55, -wide * 0.8], [0, -wide * 0.5]])
        return [np.concatenate([far[::-1], inner, inner[::-1] * [1, -1]])]
    ring = np.array([-length, 0]) + polar(rng.uniform(0.05, 0.11), np.linspace(0, 2 * np.pi, 24))  # disc on a rod
    return [np.array([[0, 0.015], [-length, 0.015], [-length, -0.015], [0, -0.015]]), ring]


def draw_needle(rng: Generator, angles: Array, tick_inner: float, tick_outer: float, paper: Colour) -> Needle:
    """A random needle: somewhere on the scale, often at rest on the start."""
    first, last = float(angles[0]), float(angles[-1])
    kind = rng.random()
    angle = first + (last - first) * rng.random()
    if kind < 0.25:
        angle = first + np.sign(last - first) * rng.normal(0.0, 0.03)
    elif kind < 0.3:
        angle = first - np.sign(last - first) * rng.uniform(0, 0.25)
    reach = min(0.97, rng.uniform(tick_inner - 0.12, tick_outer + 0.02))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    parts = tuple(part @ turn for part in [blade(rng, reach), *tail(rng)])
    colour = grey(rng, 5, 60)
    kind = rng.random()
    if paper[0] < 60:
        light = grey(rng, 180, 256)
        colour = light if kind < 0.6 else pick(rng, ((235, 110, 30), (220, 45, 40), (240, 220, 60)))
    elif kind < 0.15:
        colour = (int(rng.integers(150, 230)), int(rng.integers(10, 60)), int(rng.integers(10, 50)))
    elif kind < 0.19:
        colour = (20, 40, int(rng.integers(90, 180)))
    tone = np.array((205, 205, 200)) * rng.uniform(0.15, 1.0)
    if rng.random() < 0.25:
        tone = np.array((190, 150, 90)) * rng.uniform(0.5, 1.1)
    shades = np.clip(np.outer((0.35, 0.85, 1.0, 1.2), tone), 0, 255)
    tones = tuple(whole(shade) for shade in shades[: int(rng.integers(1, 5))])
    return Needle(parts, colour, rng.uniform(0.045, 0.14), tones, rng.uniform(0.02, 0.09), polar(reach, angle)[0])


def shadow(size: Size, needle: Needle, camera: Camera, light: Array, blur: float) -> NDArray[np.uint8]:
    """Coverage 0..255 of the needle's shadow on the face; ``light`` is the way it falls, in radii per height."""
    mask = np.zeros(size, np.uint8)
    fall = light * needle.height
    for part in needle.parts:
        fill(mask, camera.project(part + fall), 255)
    fill_convex(mask, camera.project(polar(needle.hub, np.linspace(0, 2 * np.pi, 24)) + fall), 255)
    return cv2.GaussianBlur(mask, (0, 0), max(0.4, blur))


def paint_needle(rng: Generator, image: Image, needle: Needle, camera: Camera) -> None:
    """Needle and hub."""
    for part in needle.parts:
        fill(image, camera.project(part, needle.height), needle.colour)
    for i, tone in enumerate(needle.hub_tones):
        radius = needle.hub * (1 - 0.22 * i)
        shift = -0.1 * needle.hub * i / 3 * (1 if i == 3 else 0)
        ring = polar(radius, np.linspace(0, 2 * np.pi, 32)) + shift
        fill_convex(image, camera.project(ring, needle.height * 1.3), tone)
    if rng.random() < 0.4:  # the axis' end, or a slot
        dot = polar(needle.hub * 0.2, np.linspace(0, 2 * np.pi, 12))
        fill_convex(image, camera.project(dot, needle.height * 1.3), (60, 50, 40))
