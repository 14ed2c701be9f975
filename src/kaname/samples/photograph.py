"""One dial from its plane to a picture: face, casing, needle, glass, light, lens and sensor put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from ..types import Image, Size
from . import weather
from .background import paint_background
from .camera import CIRCLE, Array, Camera, filled, turn
from .casing import Casing, draw_casing, paint_body, paint_wall, ring_canvas, silhouette
from .dial import Face, paint_face
from .needle import Needle, draw_needle, paint_needle, shadow
from .painting import EXTENT

MARGIN = 3.0  # pixels that a notch keeps from the image's border and from the bezel, at 448


@dataclass(frozen=True)
class Dial:
    """One rendered dial.

    Attributes:
        image: RGB uint8 ``(height, width, 3)``.
        points: ``start`` ``(1, 2)``, ``middle`` ``(N, 2)``, ``end`` ``(1, 2)``, float64, continuous pixels.
        boxes: ``(1, 4)``: x1, y1, x2, y2 of the bezel, clipped to the image.
        traits: what was drawn, in words and numbers, to look at the variety of a data set.
        needle_tip: ``(1, 2)``: where the tip of the pointer is seen.
        pivot: ``(1, 2)``: where the axis is seen that the pointer turns about, at the pointer's height.
        reading: what the pointer shows, as a share of the scale (`reading`).
    """

    image: Image
    points: Mapping[str, Array]
    boxes: Array
    traits: Mapping[str, object]
    needle_tip: Array
    pivot: Array
    reading: float

    @property
    def needle(self) -> dict[str, Array]:
        """``needle_tip`` and ``needle_pivot``, each ``(1, 2)``, or ``(0, 2)`` where it lies outside the picture."""
        size = np.array([self.image.shape[1], self.image.shape[0]])
        both = {"needle_tip": self.needle_tip, "needle_pivot": self.pivot}
        return {name: at[((at > 0) & (at < size)).all(axis=1)] for name, at in both.items()}


def reading(notches: Array, tip: Array) -> float:
    """What a pointer shows, as a share of the scale: 0 at the first notch, 1 at the last, between two notches by the
    angle; beyond the ends negative or more than 1.

    Args:
        notches: ``(N, 2)`` in order, in the dial's plane with the pivot at (0, 0).
        tip: ``(2,)`` of the pointer, in the same plane.
    """
    angles = np.arctan2(notches[:, 1], notches[:, 0])
    ways = [np.append(0.0, np.cumsum(sense * np.diff(angles) % (2 * np.pi))) for sense in (1, -1)]
    sense = 1 if ways[0][-1] <= ways[1][-1] else -1  # the other way the notches in between cost whole turns
    turns = ways[0] if sense == 1 else ways[1]
    angle = (np.arctan2(tip[1], tip[0]) - angles[0]) * sense
    middle = turns[-1] / 2
    angle = (angle - middle + np.pi) % (2 * np.pi) - np.pi + middle  # the turn nearest to the scale
    step = np.clip(np.searchsorted(turns, angle) - 1, 0, len(turns) - 2)
    return float((step + (angle - turns[step]) / (turns[step + 1] - turns[step])) / (len(turns) - 1))


def take(rng: Generator, size: Size, wide: float, centre: Array, *, crop: bool, plain: bool = False) -> Dial:
    """Photograph one dial; ``plain``: an everyday dial, head-on, behind clean glass, in focus."""
    side = int(np.clip(wide * 1.3, 96, 1200))
    face = paint_face(rng, side, plain=plain)
    casing = draw_casing(rng, face.paper)
    plane = face.scale.points()
    for attempt in range(40):
        calm = 0.93**attempt
        damp = 0.3 * calm if plain else calm
        camera = _camera(rng, casing, size, wide * (calm if crop else 1), centre, damp)
        points = camera.bend_points(camera.project(plane))
        if _visible(points, camera, casing, size):
            break
    else:  # head-on and whole: always visible
        camera = _camera(rng, casing, size, min(min(size) * 0.9, wide), np.array([size[1], size[0]]) / 2, 0.0)
        points = camera.bend_points(camera.project(plane))
    image, needle = _photograph(rng, face, casing, camera, size, plain=plain)
    outline = camera.bend_points(silhouette(camera, casing.outer, casing.height))
    box = np.clip(np.concatenate([outline.min(0), outline.max(0)]), 0, [size[1], size[0]] * 2)
    if crop and not plain and rng.random() < 0.12:
        image = _bars(rng, image, points)
    image = weather.jpeg(rng, weather.develop(rng, image)) if plain else _finish(rng, image)
    scale = face.scale
    traits = {
        "notches": len(points), "tilt": float(np.degrees(np.arccos(np.clip(camera.rotation[2, 2], -1, 1)))),
        "form": scale.major.form, "inside": scale.inside, "second": face.second, "dark": face.paper[0] < 60,
        "arcs": len(scale.arcs), "numbered": scale.numbered,
        "sweep": float(np.degrees(scale.angles[-1] - scale.angles[0])),
    }  # fmt: skip
    named = {"start": points[:1], "middle": points[1:-1], "end": points[-1:]}
    tip, pivot = (camera.bend_points(camera.project(at[None], needle.height)) for at in (needle.tip, np.zeros(2)))
    return Dial(image, named, box[None], traits, tip, pivot, reading(plane, needle.tip))


def _camera(rng: Generator, casing: Casing, size: Size, wide: float, centre: Array, calm: float) -> Camera:
    """A camera that sees the bezel ``wide`` pixels wide around ``centre``; ``calm`` 1..0 damps tilt and roll."""
    kind = rng.random()
    tilt = rng.uniform(0, 12) if kind < 0.55 else rng.uniform(12, 30) if kind < 0.88 else rng.uniform(30, 46)
    roll = rng.normal(0, 4) if (kind := rng.random()) < 0.75 else rng.normal(0, 15)
    if kind > 0.95 and calm > 0.3:
        roll = rng.uniform(-180, 180)
    rotation = turn(np.radians(roll) * calm, np.radians(tilt) * calm, rng.uniform(0, 2 * np.pi))
    camera = Camera(rotation, rng.uniform(4, 14), 1.0, (0.0, 0.0))
    outline = silhouette(camera, casing.outer, casing.height)
    low, high = outline.min(0), outline.max(0)
    focal = wide / float((high - low).max())
    middle = centre - focal * (low + high) / 2
    bend = rng.uniform(-0.06, 0.06) if rng.random() < 0.25 else 0.0
    lens = (size[1] / 2, size[0] / 2)
    camera = replace(camera, focal=focal, centre=(middle[0], middle[1]), bend=bend)
    return replace(camera, lens_centre=lens, lens_radius=float(np.hypot(*lens)))


def _visible(points: Array, camera: Camera, casing: Casing, size: Size) -> bool:
    margin = MARGIN * min(size) / 448
    if (points < margin).any() or (points > np.array([size[1], size[0]]) - margin).any():
        return False
    opening = camera.bend_points(silhouette(camera, casing.hole, casing.height)).astype(np.float32)
    return all(cv2.pointPolygonTest(opening, (float(x), float(y)), True) > margin for x, y in points)


def _photograph(
    rng: Generator, face: Face, casing: Casing, camera: Camera, size: Size, *, plain: bool
) -> tuple[Image, Needle]:
    """Everything that the lens sees, before sensor and file, and the needle in it."""
    image = paint_background(rng, size)
    paint_body(rng, image, casing, camera)
    paint_wall(image, casing, camera)
    opening = filled(size, silhouette(camera, casing.hole, casing.height))
    needle = draw_needle(rng, face.scale.angles, face.scale.inner, face.scale.outer, face.paper)
    flat = _lit_face(rng, face, casing, camera, needle, size)
    disc = filled(size, silhouette(camera, min(1.05, casing.hole + 0.01), 0.0))
    cv2.copyTo(flat, cv2.bitwise_and(disc, opening), image)
    paint_needle(rng, image, needle, camera)
    if not plain:
        middle = camera.project(np.zeros((1, 2)))[0]
        shine = weather.reflections(rng, size, middle, camera.focal)
        shine[opening == 0] = 0
        image = weather.add(image, shine, (1.0, 1.0, rng.uniform(0.85, 1.15)))
        image = weather.dirt(rng, image, middle, camera.focal)
    ring, extent = ring_canvas(rng, casing, int(np.clip(camera.focal * 1.4, 64, 800)))
    seen = camera.warp(ring, extent, size, casing.height)
    around = filled(size, silhouette(camera, casing.outer, casing.height))
    cv2.copyTo(seen, cv2.bitwise_and(around, cv2.bitwise_not(opening)), image)
    if casing.height < 0.02:  # an open dial: a dark seam instead of a step
        seam = np.round(silhouette(camera, casing.hole, 0)).astype(np.int32)
        cv2.polylines(image, [seam], True, (60, 60, 60), 1, cv2.LINE_AA)
    return camera.bend_image(weather.light(rng, image)), needle


def _lit_face(rng: Generator, face: Face, casing: Casing, camera: Camera, needle: Needle, size: Size) -> Image:
    """The face as seen, with the bezel's and the needle's shadow on it."""
    direction = rng.uniform(0, 2 * np.pi)
    fall = np.array([np.cos(direction), np.sin(direction)]) * rng.uniform(0.1, 1.6)
    dark = rng.uniform(0.05, 0.6)
    # shadows are soft: half the resolution is enough
    small = camera.halved()
    half = (size[0] // 2, size[1] // 2)
    cover = shadow(half, needle, small, fall, small.focal * rng.uniform(0.005, 0.07))
    lit = filled(half, small.project(CIRCLE * casing.hole + fall * casing.height))
    lit = cv2.GaussianBlur(lit, (0, 0), max(0.5, small.focal * rng.uniform(0.005, 0.05)))
    light = (1 - np.float32(dark / 255) * cover) * (np.float32(1 - dark) + np.float32(dark / 255) * lit)
    light = cv2.resize(light, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return weather.times(camera.warp(face.canvas, EXTENT, size), light)


def _bars(rng: Generator, image: Image, points: Array) -> Image:
    """Black bars on two opposite sides, as of a crop that was padded to a square; never over a notch."""
    image = image.copy()
    axis = int(rng.integers(2))
    room = min(points[:, axis].min(), image.shape[1 - axis] - points[:, axis].max()) - MARGIN
    width = int(max(0.0, min(room, image.shape[1 - axis] * rng.uniform(0, 0.2))))
    if width:
        view = image if axis else image.transpose(1, 0, 2)
        view[:width] = view[-width:] = 0
    return image


def _finish(rng: Generator, image: Image) -> Image:
    """Lens blur, development, noise, sharpening and JPEG."""
    scale = min(image.shape[:2]) / 448
    image = weather.develop(rng, weather.blur(rng, image, scale))
    if rng.random() < 0.85:
        image = weather.noise(rng, image)
    if rng.random() < 0.3:
        image = weather.sharpen(rng, image)
    return weather.jpeg(rng, image) if rng.random() < 0.8 else image
