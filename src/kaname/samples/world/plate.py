"""The printed face: colours, fields, marks, numbers, texts, fittings, painted flat on a canvas of the dial's plane."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...geometry.grid import PIXELS
from ...types import Image
from .. import lettering, prints
from ..axes import Draws
from ..camera import Array, Colour, blend, fill, fill_all, fill_convex, grey, pick, polar, strokes, whole
from ..dial import captions
from ..painting import EXTENT, WIDENING, arc, ellipse, mix, to_canvas
from ..scale import STEPS
from .layout import Layout, room
from .marks import Row, Scale, draw_scale, second_scale

PAPERS = {"cream": (244, 232, 200), "grey": (172, 176, 180), "yellow": (242, 212, 70), "metal": (186, 186, 184)}
STRONG = ((200, 35, 30), (25, 135, 60), (235, 200, 40), (35, 80, 185), (240, 130, 30), (120, 60, 150))


@dataclass(frozen=True)
class Plate:
    """A painted face; the canvas covers ``-EXTENT .. EXTENT`` of the plane both ways."""

    canvas: Image
    layout: Layout
    scale: Scale
    paper: Colour
    ink: Colour
    free: float  # radius that scale and numbers leave free


def colours(draws: Draws) -> tuple[Colour, Colour]:
    """Paper and ink."""
    rng, paper = draws.own("colours"), draws("paper")
    tone = int(rng.integers(205, 256))
    sheet: Colour = (tone, tone, min(255, tone + int(rng.integers(-8, 9))))
    if paper.value == "pastel":
        sheet = whole(np.clip(paper.rng.uniform(150, 250, 3), 0, 255))
    elif paper.on:
        sheet = mix(sheet, whole(np.clip(np.array(PAPERS[paper.value]) * paper.rng.uniform(0.75, 1.05), 0, 255)),
                    paper.rng.uniform(0.3, 1.0))  # fmt: skip
    ink: Colour = grey(rng, 0, 50) if rng.random() < 0.85 else pick(rng, ((20, 30, 95), (110, 20, 20), (10, 60, 50)))
    dark = draws("dark")
    if draws("back_lit").on and not dark.on and draws("back_lit").rng.random() < 0.5:  # the face shines, not the marks
        sheet = whole(draws("back_lit").rng.uniform(215, 256, 3))
    if dark.on:
        base = dark.rng.uniform(3, 70) * np.exp(dark.rng.normal(0, 0.15, 3))
        if dark.rng.random() < 0.25:
            base = dark.rng.uniform(10, 110, 3)
        sheet = whole(np.clip(base, 0, 120))
        ink = whole(np.clip(dark.rng.uniform(185, 256) * np.array([1, 1, dark.rng.uniform(0.7, 1)]), 0, 255))
        if dark.rng.random() < 0.25:
            ink = pick(dark.rng, ((255, 150, 60), (140, 230, 140), (255, 225, 90), (120, 200, 255), (255, 90, 70)))
    return sheet, mix(sheet, ink, float(draws("contrast").value))


def paint_row(canvas: Image, row: Row, colour: Colour, paper: Colour) -> None:
    """Marks true to their size down to hair lines: what OpenCV cannot draw thin enough becomes fainter."""
    side = canvas.shape[0]
    pixel = 2 * EXTENT / side
    grow = WIDENING * pixel
    colour = mix(paper, colour, min(1.0, row.width / pixel / 1.3))

    def slim(width: float) -> float:
        return max(width - 2 * grow, 0.04 * pixel)

    length = np.maximum((row.outer - row.inner) / 2 - grow, 0.1 * pixel)
    middle = (row.inner + row.outer) / 2
    slender = replace(row, inner=middle - length, outer=middle + length, width=slim(row.width), thin=slim(row.thin))
    fill_all(canvas, to_canvas(slender.outlines(), side), colour)
    if row.form == "hollow" and row.width / pixel > 4:
        inside = replace(slender, width=slender.width * 0.5, form="bar", inner=middle - length * 0.75,
                         outer=middle + length * 0.75)  # fmt: skip
        fill_all(canvas, to_canvas(inside.outlines(), side), paper)


def paint_scale(canvas: Image, scale: Scale, colour: Colour, paper: Colour, accent: Colour | None = None) -> None:
    """All marks and lines of a scale; ``accent`` colours its notches."""
    for radius, width, strength in scale.lines:
        span = (scale.span[0], scale.span[0] + 2 * np.pi) if scale.all_round else scale.span
        arc(canvas, radius, width, span, mix(paper, colour, strength))
    for row in scale.others:
        paint_row(canvas, row, colour, paper)
    paint_row(canvas, scale.notches, accent or colour, paper)


def texts_of(rng: Generator, count: int) -> list[str]:
    """What stands at the notches."""
    kind = rng.random()
    if count == 3 and kind < 0.5:
        return list(pick(rng, (("E", "1/2", "F"), ("L", "M", "H"), ("C", "N", "H"), ("-", "0", "+"))))
    if count in (10, 12) and kind < 0.3:
        return [str(i + 1) for i in range(count)]
    step = pick(rng, STEPS)
    first = -step * int(rng.integers(1, count)) if kind > 0.85 else step * int(rng.integers(1, 6)) if kind > 0.78 else 0
    return captions(rng, first + step * np.arange(count, dtype=np.float64))


def _chosen(scale: Scale) -> NDArray[np.bool_]:
    """Which notches have a number."""
    count = len(scale.notches.angles)
    shown = np.ones(count, bool)
    if scale.numerals == "missing":
        shown[:] = False
    elif scale.numbered == "every second":
        shown[1::2] = False
    elif scale.numbered == "without ends":
        shown[[0, -1]] = False
    elif scale.numbered == "ends alone":
        shown[1:-1] = False
    return shown


def paint_numerals(draws: Draws, canvas: Image, scale: Scale, height: float, colour: Colour, *, main: bool) -> float:
    """The numbers of a scale; returns the radius that they leave free within."""
    side, rng = canvas.shape[0], draws.own("numerals" if main else "second numerals")
    unit = side / (2 * EXTENT)
    style = draws("lettering")
    font = pick(rng, lettering.PLAIN_FONTS) if style.on else "DejaVuSans"
    squeeze = float(style.value)
    outside, turned = scale.numerals == "outside", scale.numerals == "turned"
    texts, shown = texts_of(rng, len(scale.notches.angles)), _chosen(scale)
    if not shown.any():
        return scale.inner - 0.02
    gap = rng.uniform(0.012, 0.07)
    near = scale.outer if outside else scale.inner
    span = float(np.abs(np.diff(scale.notches.angles[shown])).min()) if shown.sum() > 1 else 2.0
    arc_step = max(span, abs(float(scale.notches.angles[1] - scale.notches.angles[0])))
    longest = lettering.text_mask(max(texts, key=len), font, 40)
    aspect = longest.shape[1] / 29 * squeeze
    space = arc_step * max(0.25, near + (gap if outside else -gap - height))
    height = max(0.05, min(height, space * rng.uniform(0.85, 1.15) / max(aspect, 0.7)))
    free = scale.inner
    flip = draws("alternate").value == "other"
    for i in np.flatnonzero(shown):
        mask = lettering.text_mask(texts[i], font, height * unit / 0.73)
        half_w, half_h = mask.shape[1] * squeeze / unit / 2, mask.shape[0] / unit / 2
        angle = float(scale.notches.angles[i])
        reach, rotation = float(np.hypot(np.cos(angle) * half_w, np.sin(angle) * half_h)), 0.0
        if turned:
            reach, rotation = half_h, angle + np.pi / 2
        away = outside
        if scale.alternate != "none":
            away = ((i % 2 == 0) == (scale.alternate == "out first")) != flip
        radius = scale.outer + gap + reach if away else scale.inner - gap - reach
        if scale.numerals == "on the ladder":
            radius = max(scale.inner - 0.6 * reach - 0.01, 0.2)
        free = free if away else min(free, radius - reach)
        centre = PIXELS.to_index(to_canvas(polar(radius, angle), side))[0]
        lettering.stamp(canvas, mask, centre, colour, rotation, squeeze, 1.0)
    return free


def paint_sectors(draws: Draws, canvas: Image, scale: Scale, paper: Colour, ink: Colour) -> Colour | None:
    """Coloured fields; returns the colour of the notches where they have one of their own."""
    kind, rng = draws("sectors").value, draws("sectors").rng
    first, last = scale.span
    if kind == "marks":
        return mix(ink, pick(rng, STRONG), rng.uniform(0.7, 1.0))
    if kind == "disc":
        ring = polar(max(0.15, scale.inner - rng.uniform(0.0, 0.3)), np.linspace(0, 2 * np.pi, 90))
        fill(canvas, to_canvas(ring, canvas.shape[0]), mix(paper, pick(rng, (ink, *STRONG)), rng.uniform(0.05, 0.3)))
        return None
    cuts = np.sort(rng.uniform(0, 1, int(rng.integers(1, 5))))
    cuts = np.concatenate([[0.0], cuts, [1.0]]) if rng.random() < 0.6 else np.concatenate([cuts, [1.0]])
    radius = min(0.97, float(rng.choice([scale.outer + 0.03, scale.inner - 0.03, (scale.inner + scale.outer) / 2])))
    width = rng.uniform(0.02, 0.14)
    shade = rng.uniform(0.35, 1.0)
    inner, outer = rng.uniform(0.0, 0.3), rng.uniform(0.4, 0.95) * scale.inner
    for low, high in pairwise(cuts):
        if rng.random() < 0.75:
            colour, ends = (
                mix(paper, pick(rng, STRONG), shade),
                (first + (last - first) * low, first + (last - first) * high),
            )
            if kind == "band":
                arc(canvas, radius, max(width, 0.02), ends, colour)
            else:
                arc(canvas, (inner + outer) / 2, max(outer - inner, 0.05), ends, colour)
    return None


def paint_texts(draws: Draws, plate: Plate) -> None:
    """Lines of print and stamps wherever the scale leaves room."""
    rng, canvas = draws("texts").rng, plate.canvas
    unit = canvas.shape[0] / (2 * EXTENT)
    outline, scale = plate.layout.outline, plate.scale
    low, high = outline.min(0), outline.max(0)
    for number in range(round(draws("texts").value)):
        size = float(rng.uniform(0.04, 0.13) if number else rng.uniform(0.07, 0.16))
        if number and rng.random() < 0.25:
            mask, squeeze, wide = None, 1.0, size * 1.5
        else:
            if number:
                mask, squeeze = prints.line(rng, size * unit, 1.2, unit)
            else:
                mask = lettering.text_mask(
                    pick(rng, lettering.UNITS), pick(rng, lettering.PLAIN_FONTS), size * unit / 0.73
                )
                squeeze = 1.0
            wide = mask.shape[1] * squeeze / unit / 2
        places = rng.uniform(low, high, (8, 2))
        places[:4, 0] *= 0.15  # print likes the middle
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [0, 0]]) * [wide, size * 0.7]
        spots = places[:, None] + corners
        radius = np.hypot(spots[..., 0], spots[..., 1])
        angle = np.arctan2(spots[..., 1], spots[..., 0])
        inside = radius < room(outline, angle.ravel()).reshape(angle.shape) - 0.02
        share = _along(angle, scale.span)
        clear = (radius < plate.free - 0.02) | ((share < -0.06) | (share > 1.06)) | (radius > scale.outer + 0.3)
        fits = np.flatnonzero((inside & clear).all(axis=1))
        if len(fits):
            place = places[fits[0]]
            colour = plate.ink if rng.random() < 0.8 else mix(plate.ink, pick(rng, STRONG), rng.uniform(0.4, 1))
            if mask is None:
                prints.logo(rng, canvas, place, size, colour)
            else:
                prints.write(canvas, mask, place, colour, squeeze, rng.uniform(0.5, 1.0))


def _along(angle: Array, span: tuple[float, float]) -> Array:
    """Where an angle lies along a scale: 0 at its first mark, 1 at its last; the gap is split between both ends."""
    sweep = span[1] - span[0]
    turn = np.angle(np.exp(1j * (angle - (span[0] + span[1]) / 2)))
    return turn / sweep + 1 / 2


def paint_fittings(draws: Draws, plate: Plate) -> None:
    """Screws, holes, pins and stamps: things that can look like a notch and are none."""
    kind, rng, canvas = draws("fittings").value, draws("fittings").rng, plate.canvas
    scale, side = plate.scale, plate.canvas.shape[0]
    sense = 1.0 if scale.span[1] > scale.span[0] else -1.0
    if kind in ("screws", "many"):
        prints.screws(rng, canvas, plate.paper)
    if kind in ("stop pin", "many"):
        end = scale.span[0] - sense * rng.uniform(0.02, 0.2) if rng.random() < 0.8 else scale.span[1] + 0.1 * sense
        centre, radius = polar(rng.uniform(scale.inner - 0.2, scale.outer), end)[0], rng.uniform(0.012, 0.035)
        ellipse(canvas, centre, (radius, radius), grey(rng, 30, 200))
        if rng.random() < 0.6:
            ellipse(canvas, centre - radius * 0.3, (radius * 0.4, radius * 0.4), (235, 235, 235))
    if kind in ("nail hole", "many"):
        for _ in range(int(rng.integers(1, 4))):
            angle = (scale.span[0] + scale.span[1]) / 2 + np.pi * rng.uniform(0.7, 1.3)
            centre, radius = polar(rng.uniform(0.3, 0.9), angle)[0], rng.uniform(0.008, 0.03)
            ellipse(canvas, centre, (radius, radius * rng.uniform(0.8, 2.5)), grey(rng, 0, 90))
    if kind in ("stamps", "many"):  # short strokes and ticks away from the scale
        for _ in range(int(rng.integers(1, 5))):
            centre = polar(rng.uniform(0.15, max(0.2, plate.free)), rng.uniform(0, 2 * np.pi))[0]
            along = rng.normal(0, 0.04, 2)
            strokes(
                canvas,
                [to_canvas(np.array([centre - along, centre + along]), side)],
                plate.ink,
                1 + int(rng.integers(2)),
            )
    if kind == "window":  # counters, date windows
        low = np.array([-rng.uniform(0.1, 0.25), rng.uniform(0.15, 0.45)])
        box = low + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [-2 * low[0], rng.uniform(0.08, 0.2)]
        fill_convex(canvas, to_canvas(box, side), mix(plate.paper, (0, 0, 0), rng.uniform(0.1, 0.95)))


def paint_sub_dial(draws: Draws, canvas: Image, plate: Plate) -> None:
    """A smaller scale, most often with numbers, and a pointer of its own."""
    rng = draws("sub_dial").rng
    size = draws.keep("sub_dial", min(float(draws("sub_dial").value), plate.free - 0.1))
    side = canvas.shape[0]
    angle = (plate.scale.span[0] + plate.scale.span[1]) / 2 + np.pi
    centre = polar(max(0.2, min(plate.free - size, 0.5)), angle + rng.normal(0, 0.2))[0]
    first, sweep = rng.uniform(np.pi * 0.6, np.pi), rng.uniform(np.pi, 1.7 * np.pi)
    half = int(size * side / (2 * EXTENT)) * EXTENT  # the small face's canvas is a part of the large one
    low = np.round(to_canvas(centre[None], side)[0] - half).astype(int)
    high = low + round(2 * half)
    if (low >= 0).all() and (high <= side).all():
        part = np.ascontiguousarray(canvas[low[1] : high[1], low[0] : high[0]])
        face = Scale(
            Row(np.zeros(1), np.ones(1), np.ones(1), 0.0), (), (), (first, first + sweep), "inside", "all", "none"
        )
        small = second_scale(rng, face, 0.45, 0.97, outwards=rng.random() < 0.4)
        if rng.random() < 0.5:  # two rails, as thermometers have them
            small = replace(small, lines=((small.inner, 0.012, 1.0), (small.outer, 0.012, 1.0)))
        paint_scale(part, small, plate.ink, plate.paper)
        if rng.random() < 0.75:
            paint_numerals(draws, part, small, rng.uniform(0.1, 0.24), plate.ink, main=False)
        canvas[low[1] : high[1], low[0] : high[0]] = part
    tip = polar(size * 0.8, first + sweep * rng.random())[0]
    across = np.array([-tip[1], tip[0]]) / size * 0.03
    colour = pick(rng, (plate.ink, (200, 30, 30)))
    fill_convex(canvas, to_canvas(np.array([centre + across, centre + tip, centre - across]), side), colour)
    ellipse(canvas, centre, (size * 0.12, size * 0.12), colour)


def paint_plate(draws: Draws, layout: Layout, side: int) -> Plate:
    """The whole face on a canvas of ``side`` pixels."""
    paper, ink = colours(draws)
    canvas = np.empty((side, side, 3), np.uint8)
    cv2.rectangle(canvas, (0, 0), (side, side), paper, -1)
    if draws("paper").value == "metal":
        brushed = draws("paper").rng.normal(0, 5, (side, 1, 1))
        canvas[:] = np.clip(canvas + brushed, 0, 255).astype(np.uint8)
    scale = draw_scale(draws, layout)
    if draws("home_made").on and draws("home_made").rng.random() < 0.5:  # squared paper
        for place in np.arange(-1, 1, draws("home_made").rng.uniform(0.08, 0.2)):
            strokes(
                canvas, [to_canvas(np.array([[place, -1.05], [place, 1.05]]), side)], mix(paper, (90, 140, 200), 0.35)
            )
            strokes(
                canvas, [to_canvas(np.array([[-1.05, place], [1.05, place]]), side)], mix(paper, (90, 140, 200), 0.35)
            )
    accent = paint_sectors(draws, canvas, scale, paper, ink) if draws("sectors").on else None
    paint_scale(canvas, scale, ink, paper, accent)
    figures = float(draws("figures").value)
    free = paint_numerals(draws, canvas, scale, figures, ink, main=True)
    free = _second(draws, canvas, scale, (paper, ink), free) if draws("second_scale").on else free
    plate = Plate(canvas, layout, scale, paper, ink, max(free, 0.2))
    if draws("sub_dial").on:
        if free < 0.45 or layout.kind not in ("round", "square"):
            draws.keep("sub_dial", 0.0)
        else:
            paint_sub_dial(draws, canvas, plate)
    paint_texts(draws, plate)
    if draws("fittings").on:
        paint_fittings(draws, plate)
    wear = draws("wear")
    if wear.on:
        spots = cv2.resize(wear.rng.random((8, 8), dtype=np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        blend(canvas, paper, np.clip((spots - wear.rng.uniform(0.3, 0.7)) * wear.rng.uniform(1, 4), 0, wear.value))
    return plate


def _second(draws: Draws, canvas: Image, scale: Scale, tones: tuple[Colour, Colour], free: float) -> float:
    """Scales in other units, within the main one or around it; returns the radius left free."""
    kind, rng = draws("second_scale").value, draws("second_scale").rng
    paper, ink = tones
    outer = kind in ("outer", "shared") and scale.outer < 0.9 and scale.numerals != "outside"
    if not outer and free < 0.4:
        draws.keep("second_scale", "none")
        return free
    draws.keep("second_scale", kind if outer or kind == "several" else "inner")
    colour = mix(paper, pick(rng, STRONG), rng.uniform(0.6, 1.0)) if rng.random() < 0.7 else ink
    if outer:
        low = scale.outer + (0.0 if kind == "shared" else rng.uniform(0.01, 0.04))
        other = second_scale(rng, scale, low, 0.97, outwards=True)
        _paint_other(draws, canvas, other, min(rng.uniform(0.05, 0.08), 0.96 - other.outer), colour, paper)
        return free
    for _ in range(3 if kind == "several" else 1):
        if free >= 0.4:
            high = free - rng.uniform(0.01, 0.05)
            other = replace(second_scale(rng, scale, high - 0.2, high, outwards=rng.random() < 0.4), numerals="inside")
            free = min(free, _paint_other(draws, canvas, other, rng.uniform(0.05, 0.1), colour, paper))
            colour = mix(paper, pick(rng, STRONG), rng.uniform(0.6, 1.0)) if rng.random() < 0.5 else colour
    return free


def _paint_other(draws: Draws, canvas: Image, other: Scale, height: float, colour: Colour, paper: Colour) -> float:
    paint_scale(canvas, other, colour, paper)
    return paint_numerals(draws, canvas, other, height, colour, main=False) if height > 0.045 else other.inner
