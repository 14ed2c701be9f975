"""What holds a dial: body, bezel, the wall between the glass and the face, pipe and flange."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from ..types import Image
from .camera import CIRCLE, Array, Camera, Colour, fill_convex, grey, whole


@dataclass(frozen=True)
class Casing:
    """Measures in face radii."""

    hole: float  # radius of the bezel's opening
    outer: float  # radius of the bezel
    height: float  # of the bezel above the face
    depth: float  # of the body below it
    colour: Colour  # of the metal or plastic
    contrast: float  # how strongly it mirrors its surroundings, 0..1
    wall: Colour  # of the inside


def draw_casing(rng: Generator, paper: Colour) -> Casing:
    """A random casing."""
    kind = rng.random()
    tone = int(rng.integers(110, 220))
    colour: Colour = (tone, tone, min(255, tone + int(rng.integers(-8, 12))))
    contrast = rng.uniform(0.3, 1.0)
    if kind < 0.34:  # black
        colour, contrast = grey(rng, 12, 70), rng.uniform(0.1, 0.9)
    elif kind < 0.44:  # brass
        colour = (int(rng.integers(150, 220)), int(rng.integers(115, 165)), int(rng.integers(50, 110)))
    elif kind < 0.52:  # painted
        colour, contrast = whole(rng.integers(20, 210, 3)), rng.uniform(0.1, 0.4)
    wall = whole(c * rng.uniform(0.5, 1.0) for c in (paper if rng.random() < 0.5 else colour))
    hole = rng.uniform(0.98, 1.05)
    width = rng.uniform(0.03, 0.28)
    return Casing(hole, hole + width, rng.uniform(0.0, 0.22), rng.uniform(0.1, 0.6), colour, contrast, wall)


def ring_canvas(rng: Generator, casing: Casing, side: int) -> tuple[Image, float]:
    """The bezel painted flat on a square canvas, and the canvas' half-extent in radii."""
    rings, sectors = 40, 256
    t = np.linspace(0, 1, rings)
    profile = np.zeros(rings)
    for _ in range(int(rng.integers(1, 4))):  # bulges and grooves across the bezel
        profile += rng.normal(0, 0.5) * np.exp(-(((t - rng.uniform(0, 1)) / rng.uniform(0.05, 0.4)) ** 2))
    profile += rng.normal(0, 0.4) * (t - 1 / 2)
    turn = np.linspace(0, 2 * np.pi, sectors, endpoint=False)
    around = rng.normal(0, 0.5) * np.cos(turn - rng.uniform(0, 6.3))
    for _ in range(int(rng.integers(1, 6))):  # mirrored lights and dark things
        gap = np.angle(np.exp(1j * (turn - rng.uniform(0, 6.3))))
        around += rng.normal(0, 0.7) * np.exp(-((gap / rng.uniform(0.05, 0.7)) ** 2))
    light = np.outer(around, np.ones(rings)) + profile + np.outer(around, profile) + rng.normal(0, 0.03, (sectors, 1))
    base = np.array(casing.colour, np.float64)
    shade = np.exp(np.clip(light * casing.contrast * 0.7, -1.6, 1.2))[..., None]
    texture = base * shade + np.clip(light - 0.8, 0, 1)[..., None] * 90 * casing.contrast
    # place it between hole and outer on the radial axis of a polar picture
    extent = casing.outer * 1.02
    columns = 160
    radii = np.linspace(0, extent * np.sqrt(2), columns, endpoint=False)
    pick = np.clip((radii - casing.hole) / (casing.outer - casing.hole), 0, 1) * (rings - 1)
    image = np.clip(texture[:, pick.astype(int)], 0, 255).astype(np.uint8)
    half = (side - 1) / 2
    flags = cv2.WARP_POLAR_LINEAR | cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return cv2.warpPolar(image, (side, side), (half, half), half * np.sqrt(2), flags), extent


def silhouette(camera: Camera, radius: float, height: float) -> Array:
    """The image of a circle of the dial's plane, as a polygon."""
    return camera.project(CIRCLE * radius, height)


def paint_body(rng: Generator, image: Image, casing: Casing, camera: Camera) -> None:
    """The body behind the bezel, with a pipe that leaves it."""
    tone = rng.uniform(0.25, 0.9)
    if rng.random() < 0.5:
        pipe(rng, image, casing, camera)
    for share in np.linspace(-1, 1, 8):
        height = casing.depth * (share - 1) / 2 + casing.height * (share + 1) / 2
        shade = tone * (0.8 + 0.25 * share)
        colour = whole(min(255, c * shade) for c in casing.colour)
        fill_convex(image, silhouette(camera, casing.outer * rng.uniform(0.985, 1.0), height), colour)


def pipe(rng: Generator, image: Image, casing: Casing, camera: Camera) -> None:
    """A pipe or stem, mostly downwards, shaded like a cylinder."""
    wide = rng.uniform(0.08, 0.3)
    angle = np.pi / 2 + (rng.normal(0, 0.05) if rng.random() < 0.8 else rng.uniform(0, 6.3))
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    base = np.array(casing.colour) if rng.random() < 0.6 else rng.uniform(30, 200) * np.array([1.0, 0.92, 0.8])
    highlight = rng.uniform(-0.6, 0.6)
    for low in np.linspace(-1, 0.8, 10):
        middle = low + 0.1
        shade = 0.35 + 0.8 * np.exp(-(((middle - highlight) / 0.5) ** 2))
        colour = whole(np.clip(base * shade, 0, 255))
        ends = ((0.5, low), (4.0, low), (4.0, low + 0.22), (0.5, low + 0.22))
        corners = [along * reach + across * wide * side for reach, side in ends]
        fill_convex(image, camera.project(np.array(corners), -casing.depth / 2), colour)


def paint_wall(image: Image, casing: Casing, camera: Camera) -> None:
    """The inside between the bezel's opening and the face."""
    for share in np.linspace(1, 0, 5):
        colour = whole(c * (0.55 + 0.45 * (1 - share)) for c in casing.wall)
        fill_convex(image, silhouette(camera, casing.hole, casing.height * share), colour)
