"""What else is printed or mounted on a face: texts, units, logos, class marks, serial numbers, screws, limit marks."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..geometry.grid import PIXELS
from ..types import Image
from . import lettering
from .camera import Array, Colour, grey, pick, polar, strokes
from .painting import EXTENT, arc, bar, ellipse, mix, to_canvas
from .scale import Scale


def write(canvas: Image, mask: Image, place: Array, colour: Colour, squeeze: float, strength: float = 1.0) -> None:
    """Print a mask at a place ``(2,)`` of the dial's plane."""
    centre = PIXELS.to_index(to_canvas(place, canvas.shape[0]))
    lettering.stamp(canvas, mask, centre, colour, 0.0, squeeze, strength)


def line(rng: Generator, pixels: float, free: float, unit: float) -> tuple[NDArray[np.uint8], float]:
    """One line of print as a mask with its stretch, not wider than ``free`` radii."""
    kind = rng.random()
    if kind < 0.25:
        mask = lettering.glyph_mask(rng, int(rng.integers(2, 11)), pixels)
    else:
        font = pick(rng, lettering.PLAIN_FONTS)
        if kind < 0.55:
            text = pick(rng, lettering.WORDS)
        elif kind < 0.8:
            text = lettering.maker(rng)
        else:
            text = lettering.serial(rng)
        mask = lettering.text_mask(text, font, pixels / 0.73)
    squeeze = rng.uniform(0.6, 1.3)
    return mask, min(squeeze, free * unit / mask.shape[1])


def star(centre: Array, radius: float) -> Array:
    """A five-pointed star's closed outline."""
    angles = np.arange(11) * np.pi / 5 - np.pi / 2
    return centre + polar(np.where(np.arange(11) % 2 == 0, radius, 0.4 * radius), angles)


def logo(rng: Generator, canvas: Image, place: Array, size: float, colour: Colour) -> None:
    """A mark of quality: letters or a figure in a ring, a star, a polygon."""
    side = canvas.shape[0]
    kind = int(rng.integers(5))
    pen = 1 if rng.random() < 0.6 else 2
    if kind == 0:
        strokes(canvas, [to_canvas(star(place, size), side)], colour, pen)
    elif kind == 1:
        corners = int(rng.integers(3, 7))
        outline = place + polar(size, np.arange(corners + 1) * 2 * np.pi / corners - np.pi / 2)
        strokes(canvas, [to_canvas(outline, side)], colour, pen)
    elif kind == 2:
        ellipse(canvas, place, (size, size), colour)
        return
    else:
        ellipse(canvas, place, (size * rng.uniform(1.0, 1.9), size), colour, width=pen)
    texts = ("1.6", "1.5", "2.5", "1.0", "CE", "KL", "MC", lettering.maker(rng)[:3])
    mask = lettering.text_mask(pick(rng, texts), "DejaVuSans", size * side / (2 * EXTENT) / 0.75)
    write(canvas, mask, place, colour, squeeze=min(1.0, 1.5 * size * side / (2 * EXTENT) / mask.shape[1]))


def screws(rng: Generator, canvas: Image, paper: Colour) -> None:
    """Two, three or four screw heads that hold the face."""
    radius = rng.uniform(0.02, 0.07)
    ring = rng.uniform(0.25, 0.75)
    first = rng.uniform(0, np.pi) if rng.random() < 0.3 else np.pi / 2 - rng.uniform(0.15, 1.2)
    places = [first, first + np.pi] if rng.random() < 0.3 else [first, np.pi - first]
    metal = int(rng.integers(70, 200))
    for angle in places:
        centre = polar(ring, angle)[0]
        ellipse(canvas, centre + 0.012, (radius * 1.15, radius * 1.1), mix(paper, (0, 0, 0), 0.25))
        for share in (1.0, 0.85, 0.6, 0.35):
            tone = int(np.clip(metal + (1 - share) * 90 + rng.normal(0, 12), 0, 255))
            warm = max(0, tone - int(rng.integers(0, 25)))
            ellipse(canvas, centre - (1 - share) * radius * 0.3, (radius * share, radius * share), (tone, tone, warm))
        slot = rng.uniform(0, np.pi)
        for turn in (0.0, np.pi / 2)[: int(rng.integers(1, 3))]:
            reach = polar(radius * 0.7, np.array([slot + turn, slot + turn + np.pi]))
            strokes(canvas, [to_canvas(centre + reach, canvas.shape[0])], (40, 40, 40), 1)


def red_line(rng: Generator, canvas: Image, scale: Scale) -> None:
    """A limit mark across the ticks, which is not a notch."""
    angle = rng.uniform(scale.angles.min(), scale.angles.max())
    width = rng.uniform(0.01, 0.025)
    bar(canvas, angle, scale.inner - 0.02, scale.outer + 0.02, (width, width), (205, 30, 30))


def stop_pin(rng: Generator, canvas: Image, scale: Scale) -> None:
    """The pin on which the needle rests, near the start."""
    sense = np.sign(scale.angles[-1] - scale.angles[0])
    angle = scale.angles[0] - sense * rng.uniform(0.02, 0.12)
    centre = polar(rng.uniform(scale.inner - 0.2, scale.inner), angle)[0]
    radius = rng.uniform(0.015, 0.03)
    ellipse(canvas, centre, (radius, radius), grey(rng, 60, 200))
    ellipse(canvas, centre - radius * 0.3, (radius * 0.4, radius * 0.4), (235, 235, 235))


def paint_prints(rng: Generator, canvas: Image, scale: Scale, paper: Colour, ink: Colour, free: float) -> None:
    """Texts above and below the axis, the unit, marks, screws, within the radius that the numerals left free."""
    unit = canvas.shape[0] / (2 * EXTENT)
    units = pick(rng, lettering.UNITS)
    colour = ink if rng.random() < 0.8 else mix(ink, (200, 40, 40), rng.uniform(0.5, 1))
    # below the axis the gap of the scale leaves room almost to the rim
    slots = rng.permutation([-0.62, -0.42, -0.25, 0.25, 0.4, 0.52, 0.64, 0.76, 0.86])[: int(rng.integers(1, 8))]
    open_below = np.cos(np.angle(np.exp(1j * (scale.angles - np.pi / 2)))).max() < 0.85
    for i, y in enumerate(slots):
        if y > 0.5 and open_below:
            chord = min(2 * np.sqrt(0.95**2 - (y + 0.04) ** 2), 1.05)
        else:
            chord = 2 * np.sqrt(max(0.0, free**2 - (abs(y) + 0.05) ** 2))
        if chord < 0.12:
            continue
        height = rng.uniform(0.04, 0.12)
        if i == 0:
            font = pick(rng, lettering.PLAIN_FONTS)
            mask = lettering.text_mask(units, font, max(height, 0.08) * unit / 0.73)
            squeeze = min(1.0, chord * unit / mask.shape[1])
        else:
            mask, squeeze = line(rng, height * unit, chord, unit)
        shift = rng.normal(0, 0.03) if rng.random() < 0.8 else rng.uniform(-0.25, 0.25)
        write(canvas, mask, np.array([shift, y]), colour, squeeze=squeeze, strength=rng.uniform(0.5, 1.0))
    for _ in range(int(rng.integers(0, 3))):
        place = polar(rng.uniform(0.25, max(0.3, free - 0.1)), rng.uniform(0, 2 * np.pi))[0]
        logo(rng, canvas, place, rng.uniform(0.035, 0.11), colour)
    if rng.random() < 0.35:
        screws(rng, canvas, paper)
    if rng.random() < 0.3:
        stop_pin(rng, canvas, scale)
    if rng.random() < 0.08:
        red_line(rng, canvas, scale)
    if rng.random() < 0.06:
        arc(canvas, rng.uniform(0.3, 0.6), 0.008, (0, 2 * np.pi), ink)
