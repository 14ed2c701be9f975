"""The printed face of a dial, painted flat: ticks, arcs, numerals, bands, texts, screws."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator

from ..geometry.grid import PIXELS
from ..types import Image
from . import lettering
from .camera import Array, Colour, blend, fill, fill_convex, grey, pick, polar
from .painting import EXTENT, WIDENING, arc, bars, mix, to_canvas
from .prints import paint_prints
from .scale import Scale, Ticks, draw_scale, second_scale


@dataclass(frozen=True)
class Face:
    """A painted face: the canvas covers ``-EXTENT .. EXTENT`` of the dial's plane both ways."""

    canvas: Image
    scale: Scale
    paper: Colour
    ink: Colour
    second: bool


def paint_kind(canvas: Image, angles: Array, kind: Ticks, colour: Colour) -> None:
    """All ticks of one kind."""
    if kind.form == "two-part":
        joint = kind.inner + kind.joint * (kind.outer - kind.inner)
        bars(canvas, angles, kind.inner, kind.outer, (kind.thin, kind.thin), colour)
        bars(canvas, angles, kind.inner, joint, (kind.width, kind.width), colour)
    elif kind.form == "wedge":
        bars(canvas, angles, kind.inner, kind.outer, (kind.width * 0.2, kind.width), colour)
    elif kind.form == "dot":
        pixel = 2 * EXTENT / canvas.shape[0]
        ring = polar(kind.width / 2 - WIDENING * pixel, np.linspace(0, 2 * np.pi, 16, endpoint=False))
        for middle in polar((kind.inner + kind.outer) / 2, angles):
            fill_convex(canvas, to_canvas(middle + ring, canvas.shape[0]), colour)
    else:
        bars(canvas, angles, kind.inner, kind.outer, (kind.width, kind.width), colour)


def paint_ticks(canvas: Image, scale: Scale) -> None:
    """All ticks and arcs of a scale."""
    kinds = ((scale.minor, scale.minor_angles), (scale.medium, scale.medium_angles), (scale.major, scale.angles))
    for kind, angles in kinds:
        if kind is not None and len(angles):
            paint_kind(canvas, angles, kind, scale.colour)
    for radius, width in scale.arcs:
        arc(canvas, radius, width, (scale.angles[0], scale.angles[-1]), scale.colour)


def captions(rng: Generator, values: Array) -> list[str]:
    """Values as they are printed: only as many decimals as needed, "0" alone, sometimes ".5" or "0,5"."""
    decimals = next((d for d in range(4) if np.allclose(np.round(values, d), values, atol=1e-6)), 3)
    texts = [f"{v:.{decimals}f}" for v in values + 0.0]
    if rng.random() < 0.8:
        texts = [t.rstrip("0").rstrip(".") if "." in t else t for t in texts]
    if decimals and rng.random() < 0.1:
        texts = [t.replace("0.", ".", 1) if t.startswith("0.") else t for t in texts]
    if decimals and rng.random() < 0.12:
        texts = [t.replace(".", ",") for t in texts]
    return ["0" if t in ("-0", "-0.0", "0.0", "0.00") else t for t in texts]


def paint_numerals(rng: Generator, canvas: Image, scale: Scale, height: float, colour: Colour) -> float:
    """Print the numerals; returns the radius that they leave free inside."""
    side = canvas.shape[0]
    unit = side / (2 * EXTENT)
    font = pick(rng, lettering.PLAIN_FONTS)
    squeeze = rng.uniform(0.6, 1.1) if rng.random() < 0.7 else 1.0
    turned = rng.random() < 0.18
    gap = rng.uniform(0.015, 0.07)
    step = abs(scale.angles[1] - scale.angles[0]) * scale.numbered
    texts = captions(rng, scale.values)[:: scale.numbered]
    height = min(height, step * (scale.inner if scale.inside else scale.outer) * 0.6)
    # neighbours at the top stand side by side: the longest must not run into them, or hardly
    widest = lettering.text_mask(max(texts, key=len), font, 40)
    room = step * (max(0.3, scale.inner - gap - height) if scale.inside else scale.outer + gap)
    squeeze = min(squeeze, max(0.55, room * rng.uniform(0.8, 1.15) / (height * widest.shape[1] / 29)))
    height = min(height, room * rng.uniform(0.85, 1.25) * 29 / (widest.shape[1] * squeeze))
    height = max(height, 0.05)
    free = scale.inner
    for angle, text in zip(scale.angles[:: scale.numbered], texts, strict=True):
        mask = lettering.text_mask(text, font, height * unit / 0.73)
        half_w, half_h = mask.shape[1] * squeeze / unit / 2, mask.shape[0] / unit / 2
        if turned:
            reach, rotation = half_h, angle + np.pi / 2
        else:
            # the half-extent of an ellipse around the text, in the direction of the axis
            reach = float(np.hypot(np.cos(angle) * half_w, np.sin(angle) * half_h))
            rotation = 0.0
        radius = scale.inner - gap - reach if scale.inside else scale.outer + gap + reach
        free = min(free, radius - reach) if scale.inside else free
        centre = PIXELS.to_index(to_canvas(polar(radius, angle), side))[0]
        lettering.stamp(canvas, mask, centre, colour, rotation, squeeze, 1.0)
    return free


def paint_bands(rng: Generator, canvas: Image, scale: Scale) -> None:
    """Coloured sectors (safe, warning, danger) beside or behind the ticks."""
    palette = ((200, 40, 35), (30, 140, 60), (235, 200, 40), (40, 80, 180), (240, 130, 30))
    radius = rng.choice([scale.outer + 0.02, scale.inner - 0.01, (scale.inner + scale.outer) / 2])
    width = rng.uniform(0.02, 0.09)
    cuts = np.sort(rng.uniform(0, 1, int(rng.integers(2, 5))))
    first, last = scale.angles[0], scale.angles[-1]
    for low, high in pairwise(cuts):
        if rng.random() < 0.75:
            colour = pick(rng, palette)
            arc(canvas, min(radius, 0.97), width, (first + (last - first) * low, first + (last - first) * high), colour)


def paint_paper(rng: Generator, side: int) -> tuple[Image, Colour, Colour]:
    """An empty face with the colour of its paper and of its ink."""
    kind = rng.random()
    tone = int(rng.integers(215, 256))
    white: Colour = (tone, tone, min(255, tone + int(rng.integers(-6, 7))))
    if kind < 0.72:
        paper = white
    elif kind < 0.80:
        paper = mix(white, (235, 215, 160), rng.uniform(0.3, 1.0))
    elif kind < 0.83:
        paper = mix(white, (240, 205, 60), rng.uniform(0.4, 1.0))
    elif kind < 0.9:
        paper = mix(white, (150, 155, 165), rng.uniform(0.2, 1.0))
    else:
        dark = int(rng.integers(5, 50))
        paper = (dark, dark, dark + int(rng.integers(0, 12)))
    if paper[0] < 60:
        light = int(rng.integers(190, 256))
        ink: Colour = (light, light, light - int(rng.integers(0, 40)))
    else:
        ink = grey(rng, 0, 45)
        ink = ink if rng.random() < 0.88 else pick(rng, ((20, 30, 90), (110, 20, 20)))
    canvas = np.empty((side, side, 3), np.uint8)
    cv2.rectangle(canvas, (0, 0), (side, side), paper, -1)
    return canvas, paper, ink


def paint_face(rng: Generator, side: int, *, plain: bool = False) -> Face:
    """A whole face, everything about it random; ``side`` is the canvas in pixels; ``plain``: no bands, one scale."""
    canvas, paper, ink = paint_paper(rng, side)
    scale = draw_scale(rng, ink, plain=plain)
    if not plain and rng.random() < 0.14:
        paint_bands(rng, canvas, scale)
    elif not plain and rng.random() < 0.1:  # a disc of another shade inside the ticks
        ring = polar(scale.inner - 0.02, np.linspace(0, 2 * np.pi, 90))
        fill(canvas, to_canvas(ring, side), mix(paper, ink, rng.uniform(0.03, 0.2)))
    paint_ticks(canvas, scale)
    height = rng.uniform(0.085, 0.2) if scale.inside else rng.uniform(0.08, 0.15)
    free = paint_numerals(rng, canvas, scale, height, ink)
    second = not plain and bool(rng.random() < 0.2)
    if second:
        colours = ((190, 30, 30), (25, 60, 160), (20, 110, 50), ink)
        colour = pick(rng, colours)
        low, high = (free - 0.16, free - 0.02) if scale.inside else (scale.inner - 0.2, scale.inner - 0.02)
        other = second_scale(rng, scale, low, high, colour)
        paint_ticks(canvas, other)
        paint_numerals(rng, canvas, other, rng.uniform(0.06, 0.09), colour)
        free = min(free, other.inner - 0.12)
    paint_prints(rng, canvas, scale, paper, ink, max(free, 0.3))
    if not plain and rng.random() < 0.1:
        wear(rng, canvas, paper)
    return Face(canvas, scale, paper, ink, second)


def wear(rng: Generator, canvas: Image, paper: Colour) -> None:
    """Let the print fade in places: sun, water, age."""
    side = canvas.shape[0]
    spots = cv2.resize(rng.random((9, 9), dtype=np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    blend(canvas, paper, np.clip((spots - rng.uniform(0.3, 0.7)) * rng.uniform(1, 4), 0, rng.uniform(0.2, 0.65)))
