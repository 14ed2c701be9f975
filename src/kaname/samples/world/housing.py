"""What holds the face: a ring or frame of any material, its own marks, the wall within, covers before the face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from ...types import Image
from .. import weather
from ..axes import Draws
from ..camera import Array, Camera, Colour, fill_all, fill_convex, filled, grey, polar, whole
from ..painting import mix
from .plate import Plate

TONES = {"steel": (185, 186, 190), "brass": (190, 150, 80), "white": (232, 232, 228), "clear": (205, 215, 212)}
LIGHTER = {"steel": 1.0, "brass": 0.8, "black": 0.5, "white": 0.35, "painted": 0.3, "clear": 0.5, "none": 0.1}


@dataclass(frozen=True)
class Housing:
    """Measures in face radii: the opening's outline, the ring's width and height, its colour and shine."""

    opening: Array
    width: float
    height: float
    colour: Colour
    shine: float
    wall: Colour

    def outline(self, share: float) -> Array:
        """The ring's outline, from the opening (0) to its outer edge (1)."""
        middle = self.opening.mean(axis=0)
        reach = float(np.abs(self.opening - middle).max())
        return middle + (self.opening - middle) * (1 + share * self.width / reach)


def draw_housing(draws: Draws, plate: Plate) -> Housing:
    """The housing of one picture."""
    casing, rng = draws("casing"), draws("casing").rng
    kind = str(casing.value)
    colour: Colour = grey(rng, 12, 75)
    if kind == "painted":
        colour = whole(rng.uniform(20, 225, 3))
    elif kind == "none":
        colour = mix(plate.paper, (90, 90, 90), rng.uniform(0, 0.6))
    elif kind in TONES:
        colour = whole(np.clip(np.array(TONES[kind]) * rng.uniform(0.55, 1.1), 0, 255))
    width = float(draws("ring").value) * (0.3 if kind == "none" else 1.0)
    wall = mix(plate.paper, colour, 0.2 if rng.random() < 0.5 else 0.9)
    opening = plate.layout.outline * rng.uniform(0.99, 1.03)
    return Housing(opening, width, float(draws("depth").value), colour, LIGHTER[kind] * rng.uniform(0.4, 1.2), wall)


def paint_body(rng: Generator, image: Image, housing: Housing, camera: Camera) -> None:
    """The sides of the casing behind the ring, and the wall between the opening and the face."""
    depth = rng.uniform(0.05, 0.5)
    for share in np.linspace(-1, 0.8, 4):
        tone = rng.uniform(0.35, 0.8) + 0.1 * share
        height = depth * (share - 1) / 2 + housing.height * (share + 1) / 2
        fill_convex(image, camera.project(housing.outline(0.98), height), whole(c * tone for c in housing.colour))
    for share in (1.0, 0.6, 0.25):
        colour = whole(c * (0.5 + 0.5 * (1 - share)) for c in housing.wall)
        fill_convex(image, camera.project(housing.opening, housing.height * share), colour)


def paint_ring(draws: Draws, image: Image, housing: Housing, camera: Camera, opening: Image) -> None:
    """The ring around the opening, shaded across and around, with marks of its own."""
    rng = draws.own("ring shade")
    size = image.shape[:2]
    ring = image.copy()
    profile = rng.normal(0, 0.3) + np.cumsum(rng.normal(0, 0.35, 7)) * housing.shine
    for share, light in zip(np.linspace(1, 0, 7), profile, strict=True):
        colour = whole(np.clip(np.array(housing.colour) * np.exp(np.clip(light, -1.2, 0.8)), 0, 255))
        fill_convex(ring, camera.project(housing.outline(share), housing.height), colour)
    middle = camera.project(housing.opening.mean(axis=0)[None], housing.height)[0]
    xs, ys = weather.small_grid((size[0], size[1]))
    turn = np.arctan2(ys - middle[1], xs - middle[0])
    around = np.float32(1)
    for _ in range(int(rng.integers(1, 4))):
        gap = np.cos(turn - np.float32(rng.uniform(0, 6.3)))
        strength = np.float32(rng.normal(0, 0.6) * housing.shine)
        around = around + strength * np.exp((gap - 1) * np.float32(rng.uniform(1, 40)))
    light = cv2.resize(np.clip(around, 0.15, 1.95).astype(np.float32), (size[1], size[0]))
    ring = weather.times(ring, light)
    _ring_marks(draws, ring, housing, camera)
    outside = filled((size[0], size[1]), camera.project(housing.outline(1.0), housing.height))
    cv2.copyTo(ring, cv2.bitwise_and(outside, cv2.bitwise_not(opening)), image)


def _ring_marks(draws: Draws, ring: Image, housing: Housing, camera: Camera) -> None:
    """Graduations, milled notches, dots or screws on the ring itself."""
    drawn = draws("ring_marks")
    if not drawn.on:
        return
    if housing.width < 0.05:
        draws.keep("ring_marks", "none")
        return
    rng, kind = drawn.rng, drawn.value
    count = int(rng.integers(8, 73)) if kind != "screws" else int(rng.integers(3, 9))
    inner, outer = np.sort(rng.uniform(0.1, 0.95, 2))
    first, last = housing.outline(inner), housing.outline(max(outer, inner + 0.2))
    angles = rng.uniform(0, 6.3) + np.arange(count) * 2 * np.pi / count
    colour = grey(rng, 200, 256) if sum(housing.colour) < 330 else grey(rng, 10, 90)
    middle = housing.opening.mean(axis=0)
    turn = np.arctan2(*(housing.opening - middle).T[::-1])
    order = np.argsort(turn)
    low, high = (np.stack([np.interp(angles, turn[order], line[order, k], period=2 * np.pi) for k in (0, 1)], axis=1)
                 for line in (first, last))  # fmt: skip
    if kind in ("bars", "notches"):
        wide = rng.uniform(0.004, 0.009) * (3 if kind == "notches" else 1)
        across = np.stack([-np.sin(angles), np.cos(angles)], axis=1) * wide
        end = high if kind == "notches" else np.where(np.arange(count)[:, None] % 5 == 0, high, (low + high) / 2)
        shapes = np.stack([low - across, end - across, end + across, low + across], axis=1)
    else:
        radius = 0.25 * housing.width if kind == "screws" else 0.01
        shapes = ((low + high) / 2)[:, None] + polar(radius, np.linspace(0, 2 * np.pi, 12, endpoint=False))
    fill_all(ring, camera.project(shapes.reshape(-1, 2), housing.height).reshape(shapes.shape), colour)


def paint_cover(draws: Draws, image: Image, plate: Plate, camera: Camera) -> None:
    """A disc over the axis, a corner piece, or a strip over the lower part of the face."""
    cover, kind = draws("cover"), plate.layout.kind
    rng = cover.rng
    colour = (
        whole(np.clip(np.array(plate.paper) * rng.uniform(0.3, 1.0), 0, 255))
        if rng.random() < 0.5
        else grey(rng, 10, 200)
    )
    low, high = plate.layout.outline.min(0), plate.layout.outline.max(0)
    if kind == "round":
        shape = polar(rng.uniform(0.12, 0.3), np.linspace(0, 2 * np.pi, 32, endpoint=False))
    elif kind == "corner":
        shape = polar(
            min(rng.uniform(0.2, 0.5), plate.scale.inner - 0.05), np.linspace(0, 2 * np.pi, 32, endpoint=False)
        )
        shape = np.clip(shape, low, high)
    else:
        lowest = -np.cos((plate.scale.span[1] - plate.scale.span[0]) / 2) * np.array(
            [plate.scale.inner, plate.scale.outer]
        )
        top = float(lowest.max()) + 0.08
        shape = np.array([[low[0], top], [high[0], top], high, [low[0], high[1]]])
        if top > high[1] - 0.06:
            draws.keep("cover", False)
            return
    before = image.copy()
    fill_convex(before, camera.project(shape, 0.04), colour)
    share = rng.uniform(0.55, 1.0)
    image[:] = cv2.addWeighted(before, share, image, 1 - share, 0)
