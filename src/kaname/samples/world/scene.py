"""One dial of the variety ``world`` from its axes to a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from ...data.photo import coarser, noisy, recompressed, shade_side, shaken, times, tinted
from ...types import Image, Size
from .. import casing
from ..axes import Draws, check_without
from ..background import paint_background
from ..camera import Array, Camera, fill_convex, filled, turn
from ..needle import Needle, paint_needle, shadow
from ..painting import EXTENT
from ..photograph import Dial, reading
from . import distractors, glass
from .axes import AXES
from .housing import Housing, draw_housing, paint_body, paint_cover, paint_ring
from .layout import draw_layout
from .plate import Plate, paint_plate
from .pointer import draw_pointer, draw_second, limit_flags

MARGIN = 0.012  # share of the picture that a notch keeps from its border
FINE = 1.5  # pixels of the painted face for one of the picture


@dataclass(frozen=True)
class Instrument:
    """A whole instrument, not yet seen by a camera."""

    plate: Plate
    housing: Housing
    needle: Needle


def picture(rng: Generator, size: int, without: Iterable[str] = ()) -> Dial:
    """One picture of ``size`` x ``size``; the axes ``without`` have their ``off`` values.

    ``Dial.traits`` holds the value of every axis, by its name.
    """
    draws = Draws(int(rng.integers(2**62)), AXES, check_without(AXES, without))
    wide = _extent(draws) * size
    tool = _build(draws, int(np.clip(FINE * EXTENT * wide / (1 + draws("ring").value), 64, 1400)))
    camera, points = _aim(draws, tool, size, wide)
    image = _seen(draws, tool, camera, (size, size))
    image = _sensor(draws, _light(draws, camera.bend_image(image)), camera)
    image = _bars(draws, image, points)
    outline = camera.bend_points(camera.project(tool.housing.outline(1.0), tool.housing.height))
    box = np.clip(np.concatenate([outline.min(0), outline.max(0)]), 0, size)
    needle = tool.needle
    tip, pivot = (camera.bend_points(camera.project(at[None], needle.height)) for at in (needle.tip, np.zeros(2)))
    named = {"start": points[:1], "middle": points[1:-1], "end": points[-1:]}
    shown = reading(tool.plate.scale.notches.points(), needle.tip)
    return Dial(image, named, box[None], draws.traits, tip, pivot, shown)


def _build(draws: Draws, side: int) -> Instrument:
    layout = draw_layout(draws)
    plate = paint_plate(draws, layout, side)
    return Instrument(plate, draw_housing(draws, plate), draw_pointer(draws, plate))


def _extent(draws: Draws) -> float:
    """Mostly a crop around the instrument, sometimes anything."""
    extent = draws("extent")
    if extent.on and extent.rng.random() < 0.7:
        draws.keep("extent", extent.rng.uniform(0.78, 1.12))
    return float(extent.value)


def _roll(draws: Draws) -> float:
    """Degrees: mostly a little."""
    roll = draws("roll")
    if not roll.on:
        return 0.0
    kind = roll.rng.random()
    value = roll.rng.normal(0, 5) if kind < 0.75 else roll.rng.normal(0, 22) if kind < 0.93 else roll.value
    return draws.keep("roll", float(value))


def _aim(draws: Draws, tool: Instrument, size: int, wide: float) -> tuple[Camera, Array]:
    """A camera that sees every notch within the picture and within the opening, and where they are seen."""
    rng, plane = draws.own("camera"), tool.plate.scale.notches.points()
    roll, axis = np.radians(_roll(draws)), rng.uniform(0, 2 * np.pi)
    tilt, height = float(draws("tilt").value), tool.housing.height
    opening = tool.housing.opening
    for _ in range(12):
        camera = Camera(turn(roll, np.radians(tilt), axis), 1 / float(draws("nearness").value), 1.0, (0.0, 0.0))
        rim = camera.project(opening, height).astype(np.float32)
        marks = camera.project(plane)
        if min(cv2.pointPolygonTest(rim, (float(x), float(y)), True) for x, y in marks) > 0.012:
            break
        tilt *= 0.8
    if draws("tilt").on:
        draws.keep("tilt", tilt)
    margin = MARGIN * size + 1
    ring = camera.project(tool.housing.outline(1.0), height)
    focal = wide / float(np.ptp(ring, axis=0).max())
    focal = min(focal, (size - 2 * margin) / float(np.ptp(marks, axis=0).max()) * 0.98)
    middle = (ring.min(0) + ring.max(0)) / 2
    centre = size / 2 - focal * middle
    seen = np.asarray(marks * focal)
    least, most = margin - seen.min(axis=0), size - margin - seen.max(axis=0)
    centre = np.clip(centre, least, most)
    place = draws("place")
    if place.on:
        goal = place.rng.uniform(least, most)
        centre = centre + (goal - centre) * place.value
    bend = float(draws("lens").value)
    camera = replace(camera, focal=focal, centre=(float(centre[0]), float(centre[1])), bend=bend)
    camera = replace(camera, lens_centre=(size / 2, size / 2), lens_radius=float(np.hypot(size / 2, size / 2)))
    points = camera.bend_points(camera.project(plane))
    if bend and not ((points > margin / 2) & (points < size - margin / 2)).all():
        draws.keep("lens", 0.0)
        camera = replace(camera, bend=0.0)
        points = camera.project(plane)
    return camera, points


def _seen(draws: Draws, tool: Instrument, camera: Camera, size: Size) -> Image:
    """All that the lens sees, before light and sensor."""
    rng, plate, housing = draws.own("scene"), tool.plate, tool.housing
    ground = draws("background")
    image = paint_background(ground.rng, size) if ground.on else np.full((*size, 3), 128, np.uint8)
    if draws("neighbour").on:
        image = _neighbour(draws, image, camera, housing)
    grille = draws("grille")
    for _ in range(round(grille.value)):
        distractors.grille(
            grille.rng, image, grille.rng.uniform(0, size[0], 2), camera.focal * grille.rng.uniform(0.3, 1)
        )
    if draws("pipe").on:
        shape = casing.Casing(1.0, 1.0 + housing.width, housing.height, 0.3, housing.colour, 1.0, housing.wall)
        casing.pipe(draws("pipe").rng, image, shape, camera)
    paint_body(rng, image, housing, camera)
    opening = filled(size, camera.project(housing.opening, housing.height))
    fall = np.array([np.cos(angle := rng.uniform(0, 6.3)), np.sin(angle)]) * rng.uniform(0.1, 1.6)
    half = (size[0] // 2, size[1] // 2)
    dark = np.zeros(half, np.uint8)
    if draws("cast").on:
        small = camera.halved()
        dark = shadow(half, tool.needle, small, fall, small.focal * draws("cast").rng.uniform(0.005, 0.07))
    face = camera.warp(plate.canvas, EXTENT, size)
    if draws("back_lit").on:  # what surrounds a shining face is dim
        image = cv2.convertScaleAbs(image, alpha=draws("back_lit").rng.uniform(0.15, 0.6))
        glow = cv2.GaussianBlur(face, (0, 0), max(1.0, camera.focal * 0.02))
        face = cv2.addWeighted(face, 1.0, glow, draws("back_lit").rng.uniform(0.1, 0.6), 0)
    else:
        face = glass.shadows(draws, face, fall, camera, housing.opening, housing.height, dark)
    inside = cv2.bitwise_and(filled(size, camera.project(plate.layout.outline, 0.0)), opening)
    within = image.copy()
    cv2.copyTo(face, inside, within)
    for shape, colour in limit_flags(draws, plate):
        fill_convex(within, camera.project(shape, 0.01), colour)
    second = draw_second(draws, plate, tool.needle)
    if second is not None:
        paint_needle(rng, within, second, camera)
    paint_needle(rng, within, tool.needle, camera)
    if draws("cover").on:
        paint_cover(draws, within, plate, camera)
    within = glass.paint_glass(draws, within, plate, camera, opening, housing.height)
    cv2.copyTo(within, opening, image)
    paint_ring(draws, image, housing, camera, opening)
    if draws("finger").on:
        glass.paint_finger(draws, image, camera.project(housing.outline(0.5), housing.height))
    return image


def _neighbour(draws: Draws, image: Image, camera: Camera, housing: Housing) -> Image:
    """A second instrument or a name plate beside the first, smaller or mostly out of view."""
    drawn = draws("neighbour")
    rng, size = drawn.rng, (image.shape[0], image.shape[1])
    ring = camera.project(housing.outline(1.0), housing.height)
    reach = float(np.ptp(ring, axis=0).max()) / 2
    way = rng.uniform(0, 2 * np.pi) if rng.random() < 0.3 else float(rng.choice([0, 0.5, 1, 1.5])) * np.pi
    share = rng.uniform(0.2, 0.5) if drawn.value == "dial" else rng.uniform(0.8, 1.1)
    middle = ring.mean(axis=0) + np.array([np.cos(way), np.sin(way)]) * reach * (1 + share) * rng.uniform(1.0, 1.15)
    if drawn.value == "plate":
        distractors.name_plate(rng, image, middle, reach)
        return image
    other = Draws(int(rng.integers(2**62)), AXES, draws.without)
    focal = camera.focal * share
    tool = _build(other, int(np.clip(FINE * 2 * EXTENT * focal, 64, 800)))
    beside = replace(camera, focal=focal, centre=(float(middle[0]), float(middle[1])))
    paint_body(rng, image, tool.housing, beside)
    opening = filled(size, beside.project(tool.housing.opening, tool.housing.height))
    inside = cv2.bitwise_and(filled(size, beside.project(tool.plate.layout.outline)), opening)
    face = beside.warp(tool.plate.canvas, EXTENT, size)
    cv2.copyTo(face, inside, image)
    paint_needle(rng, image, tool.needle, beside)
    paint_ring(other, image, tool.housing, beside, opening)
    return image


def _light(draws: Draws, image: Image) -> Image:
    """Uneven light and shade, as one map."""
    slope, shade = draws("uneven"), draws("shade")
    size = (image.shape[0], image.shape[1])
    if not (slope.on or shade.on):
        return image
    ys, xs = np.mgrid[-1 : 1 : size[0] // 8 * 1j, -1 : 1 : size[1] // 8 * 1j].astype(np.float32)
    field = np.ones(xs.shape, np.float32)
    if slope.on:
        way = slope.rng.uniform(0, 6.3)
        field += np.float32(slope.value) * (xs * np.float32(np.cos(way)) + ys * np.float32(np.sin(way)))
        if slope.rng.random() < 0.4:
            field *= 1 - np.float32(slope.value) * (xs**2 + ys**2) / 2
    full = cv2.resize(np.clip(field, 0.1, 1.9), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    if shade.on:
        full = full * (1 - np.float32(shade.value) * shade_side(shade.rng, size))
    return times(image, full.astype(np.float32))


def _sensor(draws: Draws, image: Image, camera: Camera) -> Image:
    """Lens blur, shaking, exposure, colour, noise, sharpening and file."""
    scale = min(image.shape[:2]) / 448
    for name, change in (("coarse", coarser), ("shake", shaken)):
        if (drawn := draws(name)).on:
            image = change(drawn.rng, image, drawn.value * (scale if name == "shake" else 1.0))
    soft = 0.4 + float(draws("focus").value)
    image = cv2.GaussianBlur(image, (0, 0), max(0.3, soft * scale))
    image = _expose(draws, image, camera)
    if draws("tint").on:
        image = tinted(image, draws("tint").value * float(draws("tint").rng.choice([-1, 1])))
    if draws("colourless").on:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if draws("noise").on:
        image = noisy(draws("noise").rng, image, draws("noise").value)
    if draws("sharpening").on:
        blurred = cv2.GaussianBlur(image, (0, 0), draws("sharpening").rng.uniform(0.8, 2.2))
        image = cv2.addWeighted(image, 1 + draws("sharpening").value, blurred, -draws("sharpening").value, 0)
    return recompressed(image, round(draws("jpeg").value)) if draws("jpeg").on else image


def _expose(draws: Draws, image: Image, camera: Camera) -> Image:
    """Bring the face's brightest parts to the level that is wanted, with a soft shoulder instead of a hard cut."""
    drawn, reach = draws("exposure"), camera.focal * 0.7
    (left, top), (right, bottom) = (
        np.clip(np.array(camera.centre) + way * reach, 0, len(image)).astype(int) for way in (-1, 1)
    )
    part = image[top:bottom:4, left:right:4, 1]
    bright = max(40.0, float(np.percentile(part if part.size > 20 else image[::8, ::8, 1], 92)))
    gamma = np.exp(drawn.rng.normal(0, 0.25)) if drawn.on else 1.0
    level = (np.arange(256) / bright) ** gamma * drawn.value
    level = np.where(level > 225, 225 + 30 * np.tanh((level - 225) / 45), level)
    return cv2.LUT(image, np.clip(level + 0.5, 0, 255).astype(np.uint8))


def _bars(draws: Draws, image: Image, points: Array) -> Image:
    """Black bars on two opposite sides, as of a crop that was padded to a square; never over a notch."""
    drawn = draws("bars")
    if not drawn.on:
        return image
    axis, size = int(drawn.rng.integers(2)), image.shape[0]
    space = min(points[:, axis].min(), size - points[:, axis].max()) - MARGIN * size
    width = int(max(0.0, min(space, size * drawn.value)))
    draws.keep("bars", width / size)
    if width:
        image = image.copy()
        view = image if axis else image.transpose(1, 0, 2)
        view[:width] = view[-width:] = 0
    return image
