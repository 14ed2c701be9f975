"""The marks of a scale: which stand where, how long, how wide, of which shape, and which of them are notches.

What counts as a notch follows the labels of real photographs: numbered or bold marks do, thin marks without a number
and whatever belongs to a second scale do not; the point lies on the middle of a mark's length and width. So where the
notches are hardly bolder than the marks between them every one has a number, and where numbers lack they are bold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ..axes import Draws
from ..camera import Array, polar
from .axes import AXES
from .layout import Layout

DIVISIONS = np.array([1, 2, 2, 3, 4, 5, 5, 5, 6, 8, 10, 10, 20])
CLOSEST = 0.11  # radii between neighbouring notches


@dataclass(frozen=True)
class Row:
    """Marks of one look: ``angles``, ``inner`` and ``outer`` radii ``(N,)``, ``width``, ``form``."""

    angles: Array
    inner: Array
    outer: Array
    width: float
    form: str = "bar"
    thin: float = 0.01  # of two-part marks: the width of the thin part
    joint: float = 0.5  # of two-part marks: the share of the length, from within, that is thick

    def outlines(self) -> Array:
        """The polygons of all marks in the plane, ``(polygons, corners, 2)``."""
        if self.form == "two-part":
            joint = self.inner + (self.outer - self.inner) * self.joint
            thick = Row(self.angles, self.inner, joint, self.width)
            return np.concatenate([Row(self.angles, joint, self.outer, self.thin).outlines(), thick.outlines()])
        half = self.width / 2
        if self.form == "dot":
            ring = polar(half, np.linspace(0, 2 * np.pi, 14, endpoint=False))
            return self.points()[:, None] + ring
        shape = np.array(SHAPES.get(self.form, SHAPES["bar"]))
        along = np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        radius = self.inner[:, None] + (self.outer - self.inner)[:, None] * shape[:, 0]
        side = half * shape[:, 1]
        return radius[..., None] * along[:, None] + side[None, :, None] * across[:, None]

    def points(self) -> Array:
        """``(N, 2)``: the middle of each mark; of two-part marks half-way between the whole's and the thick part's."""
        middle = (self.inner + self.outer) / 2
        if self.form == "two-part":
            middle = (middle + self.inner + (self.outer - self.inner) * self.joint / 2) / 2
        return polar(middle, self.angles)


Line = tuple[float, float, float]  # along a scale: its radius, its width, and how much ink it has, 0..1

SHAPES = {  # corners as (share of the length from within, share of half the width)
    "bar": ((0, -1), (1, -1), (1, 1), (0, 1)),
    "wedge": ((0, -0.25), (1, -1), (1, 1), (0, 0.25)),
    "triangle": ((0, 0), (1, -1), (1, 1)),
    "diamond": ((0, 0), (0.5, -1), (1, 0), (0.5, 1)),
}


@dataclass(frozen=True)
class Scale:
    """A scale: its notches, its other marks, the lines along it."""

    notches: Row
    others: tuple[Row, ...]
    lines: tuple[Line, ...]
    span: tuple[float, float]  # angles of the first and the last mark
    numerals: str  # inside, outside, turned, missing or on the ladder
    numbered: str
    alternate: str
    all_round: bool = False  # whether the lines go round the whole circle

    @property
    def inner(self) -> float:
        """The smallest radius of its marks."""
        return min(float(row.inner.min()) for row in (self.notches, *self.others))

    @property
    def outer(self) -> float:
        """The largest radius of its marks."""
        return max(float(row.outer.max()) for row in (self.notches, *self.others))


def steps(draws: Draws, layout: Layout, radius: float) -> tuple[Array, Array, int]:
    """Angles of the notches ``(N,)``, of the marks between them ``(N - 1, D - 1)``, and D."""
    count = draws("count")
    sweep = abs(layout.sweep)
    most = max(3, int(sweep * radius / CLOSEST) + 1)
    number = int(np.clip(round(count.value), 3 if sweep < 5 else 4, most))
    if layout.closed and count.on and count.rng.random() < 0.6:
        number = min(most, (10, 12, 8, 4)[int(count.rng.integers(4))])
    if count.on:
        draws.keep("count", float(number))
    division = draws("divisions")
    parts = 5
    step = sweep * radius / (number if layout.closed else number - 1)
    if division.on:
        fitting = DIVISIONS[step / DIVISIONS > 0.013]
        nearest = np.abs(fitting - division.value)
        parts = int(fitting[int(np.argmin(nearest + division.rng.uniform(0, 3, len(fitting))))]) if len(fitting) else 1
        draws.keep("divisions", float(parts))
    power = 1.0 if layout.closed else draws("spacing").value
    if layout.closed and draws("spacing").on:
        draws.keep("spacing", 1.0)
    if not 0.7 < power < 1.45 and number > 9:  # else the narrow end runs together
        power = draws.keep("spacing", float(np.clip(power, 0.75, 1.35)))
    spaces = number if layout.closed else number - 1
    angles = layout.start + layout.sweep * np.linspace(0, 1, spaces * parts + 1) ** power
    grid = angles[:-1].reshape(spaces, parts)
    notches = grid[:, 0] if layout.closed else np.append(grid[:, 0], angles[-1])
    return notches, grid[:, 1:], parts


def _hierarchy(draws: Draws, numerals: str, numbered: str) -> tuple[float, float]:
    """How many times wider and longer than a thin mark a notch's is; clear where no number tells."""
    bold, tall = draws("boldness"), draws("stature")
    wide, long = bold.value, tall.value
    clear = numerals == "missing" or numbered in ("every second", "ends alone")
    if clear and wide < 2.0 and long < 1.5:
        if bold.on:
            wide = draws.keep("boldness", 2.0 + wide)
        else:
            long = draws.keep("stature", 1.5) if tall.on else long
    return float(wide), float(long)


def _numerals(draws: Draws, layout: Layout) -> str:
    """Where the numbers stand: beyond the marks on most instruments whose scale is an arc over the axis."""
    drawn = draws("numerals")
    if drawn.on and drawn.rng.random() < (0.6 if layout.kind in ("fan", "corner", "half") else 0.25):
        draws.keep("numerals", "outside")
    return str(drawn.value)


def draw_scale(draws: Draws, layout: Layout) -> Scale:
    """The main scale."""
    rng = draws.own("scale")
    numerals, numbered = _numerals(draws, layout), draws("numbered").value
    alternate, figures = draws("alternate").value, float(draws("figures").value)
    outer = layout.reach * (rng.uniform(0.8, 1.0) if rng.random() < 0.8 else rng.uniform(0.55, 0.8))
    if numerals == "outside" or alternate != "none":
        outer = min(outer, layout.reach - figures * 1.5 - 0.03)
    elif draws("second_scale").value in ("outer", "shared"):
        outer = min(outer, layout.reach - rng.uniform(0.12, 0.24))
    outer = max(outer, 0.42)
    angles, between, parts = steps(draws, layout, outer * 0.93)
    wide, long = _hierarchy(draws, numerals, numbered)
    thin, length = float(draws("hairline").value), float(draws("length").value)
    gap = float(np.abs(np.diff(angles)).min()) * outer * 0.85
    thin = max(min(thin, 0.35 * gap / parts), 0.003)
    width = min(thin * wide, 0.45 * gap)
    length = min(length, outer * 0.4)
    short = length / long
    form = draws("marks").value
    if form in ("block", "diamond", "triangle", "wedge", "dot", "hollow"):
        length, width, short = _broad(draws("marks").rng, form, length, thin, gap)
    if alternate != "none":
        for name in ("ends", "overrun", "all_round"):
            draws.keep(name, AXES[name].off)
        return _alternating(draws, (angles, between), outer, (length, short), (width, thin))
    inner_end = draws("outward").value
    centred = rng.random() < 0.07
    low = outer - max(length, short)
    near = low if inner_end else outer
    if centred:
        near = outer - length / 2
    angles = _unsteady(draws, angles, gap)
    notches = Row(angles, *_ends(angles, near, length, inner_end, centred), width, form, thin, rng.uniform(0.35, 0.65))
    others = _between(rng, between, near, (short, length), thin, inner_end, centred, wide, long)
    ends = _ends(angles[:1], near, short, inner_end, centred)
    lines = _lines(draws, float(ends[0][0]), float(ends[1][0]), inner_end)
    span = (float(angles[0]), float(angles[-1]) if not layout.closed else layout.start + layout.sweep)
    notches, others = _ends_apart(draws, notches, others, gap, wide)
    if draws("all_round").on:
        told = numerals != "missing" and numbered == "all"
        looks = {"thin": (short, thin), "inner_end": inner_end, "centred": centred}
        others = (*others, *_all_round(draws, layout, (notches, between), near, told=told, **looks))
    elif draws("overrun").on:
        others = _overrun(draws, layout, between, others, near, (short, thin), inner_end=inner_end, centred=centred)
    return Scale(notches, others, lines, span, numerals, numbered, "none", bool(draws("all_round").on))


def _ends_apart(
    draws: Draws, notches: Row, others: tuple[Row, ...], gap: float, wide: float
) -> tuple[Row, tuple[Row, ...]]:
    """The first mark, or both ends, thicker, longer, or with a box that says how exact the zero is."""
    drawn = draws("ends")
    if not drawn.on:
        return notches, others
    rng, kind = drawn.rng, drawn.value
    chosen = np.array([0, -1] if rng.random() < 0.6 else [0])
    if kind == "longer":
        inner, outer = notches.inner.copy(), notches.outer.copy()
        extra = rng.uniform(0.02, 0.08)
        if rng.random() < 0.5:
            inner[chosen] -= extra
        else:
            outer[chosen] = np.minimum(outer[chosen] + extra, 0.985)
        return replace(notches, inner=inner, outer=outer), others
    if kind == "block":
        width = min(notches.width * rng.uniform(1.5, 3.5), 0.5 * gap)
        return notches, (*others, Row(notches.angles[chosen], notches.inner[chosen], notches.outer[chosen], width))
    low = notches.inner[chosen] + rng.uniform(0, 0.7) * (notches.outer - notches.inner)[chosen]
    return notches, (*others, Row(notches.angles[chosen], low, low + 0.02, rng.uniform(0.15, 0.5) * gap))


def _overrun(
    draws: Draws, layout: Layout, between: Array, others: tuple[Row, ...], near: float, thin: tuple[float, float], *,
    inner_end: bool, centred: bool,
) -> tuple[Row, ...]:  # fmt: skip
    """Some thin marks before the first notch or after the last."""
    rng, parts = draws("overrun").rng, between.shape[1] + 1
    if layout.closed or parts == 1 or abs(layout.sweep) > 5.4:
        draws.keep("overrun", False)
        return others
    steps_on = np.arange(1, int(rng.integers(1, min(parts, 6))) + 1)
    if rng.random() < 0.5:
        angles = layout.start - steps_on * (between[0, 0] - layout.start)
    else:
        last = layout.start + layout.sweep
        angles = last + steps_on * (last - between[-1, -1])
    return (*others, Row(angles, *_ends(angles, near, thin[0], inner_end, centred), thin[1]))


def _all_round(
    draws: Draws,
    layout: Layout,
    places: tuple[Row, Array],
    near: float,
    *,
    told: bool,
    thin: tuple[float, float],
    inner_end: bool,
    centred: bool,
) -> tuple[Row, ...]:
    """Marks over the rest of the circle: thin ones, and bold ones; ``told``: numbers tell which marks are notches."""
    rng, (notches, between) = draws("all_round").rng, places
    rest = 2 * np.pi - abs(layout.sweep)
    even = np.allclose(np.diff(notches.angles), np.diff(notches.angles)[0], rtol=0.2)
    if layout.closed or layout.kind not in ("round", "square") or rest < 0.3 or not (told and even):
        draws.keep("all_round", False)
        return ()
    draws.keep("overrun", False)
    last, sense = layout.start + layout.sweep, np.sign(layout.sweep)
    parts = between.shape[1] + 1
    step = abs(layout.sweep) / (len(notches.angles) - 1)
    spaces = max(1, round(rest / step))
    fine = last + sense * rest / (spaces * parts) * np.arange(1, spaces * parts)
    bold = fine[parts - 1 :: parts] if rng.random() < 0.6 else np.zeros(0)
    fine = np.setdiff1d(fine, bold)
    rows = []
    if len(fine):
        rows.append(Row(fine, *_ends(fine, near, thin[0], inner_end, centred), thin[1]))
    if len(bold):
        inner, outer = (np.full(len(bold), ends.mean()) for ends in (notches.inner, notches.outer))
        rows.append(replace(notches, angles=bold, inner=inner, outer=outer))
    return tuple(rows)


def _unsteady(draws: Draws, angles: Array, gap: float) -> Array:
    """Angles as a hand would set them."""
    hand = draws("home_made")
    return angles + hand.rng.normal(0, 0.04 * hand.value * gap, len(angles)) if hand.on else angles


def _broad(rng: Generator, form: str, length: float, thin: float, gap: float) -> tuple[float, float, float]:
    """Length and width of marks that are shapes of their own, and the length of thin marks beside them."""
    if form == "dot":
        width = float(np.clip(rng.uniform(0.025, 0.07), thin * 1.5, 0.5 * gap))
        return width, width, min(length, 0.1) * rng.uniform(0.4, 1.0)
    width = float(np.clip(rng.uniform(0.02, 0.08), 1.8 * thin, 0.5 * gap))
    return float(np.clip(length, 0.05, 0.2)), width, min(length, 0.13) * rng.uniform(0.35, 1.0)


def _ends(angles: Array, near: float, length: float, inner_end: bool, centred: bool) -> tuple[Array, Array]:
    low = near - length / 2 if centred else near if inner_end else near - length
    return np.full(len(angles), low), np.full(len(angles), low + length)


def _between(
    rng: Generator, between: Array, near: float, lengths: tuple[float, float], thin: float, inner_end: bool,
    centred: bool, wide: float, long: float,
) -> tuple[Row, ...]:  # fmt: skip
    """The rows of medium and thin marks."""
    parts, (short, length) = between.shape[1] + 1, lengths
    if parts == 1:
        return ()
    half = between[:, parts // 2 - 1] if parts % 2 == 0 else np.zeros(0)
    if parts == 20 and rng.random() < 0.7:
        half = between[:, [4, 9, 14]].ravel()
    clear = wide > 1.6 or long > 1.4
    medium = len(half) > 0 and clear and rng.random() < 0.65
    fine = np.setdiff1d(between.ravel(), half) if medium else between.ravel()
    rows = [Row(fine, *_ends(fine, near, short, inner_end, centred), thin)] if len(fine) else []
    if medium:
        middling = short + (length - short) * rng.uniform(0.2, 0.8) * (1 if length > short else 0)
        width = thin * min(rng.uniform(1.0, 1.5), max(1.0, 0.7 * wide))
        rows.append(Row(half, *_ends(half, near, middling, inner_end, centred), width))
    return tuple(rows)


def _lines(draws: Draws, low: float, high: float, inner_end: bool) -> tuple[Line, ...]:
    """Lines along the marks between these radii."""
    kind, rng = draws("ladder").value, draws("ladder").rng
    width = rng.uniform(0.004, 0.018)
    base, tip = (low, high) if inner_end else (high, low)
    if kind == "base":
        return ((base, width, 1.0),)
    if kind == "tip":
        return ((tip, width, 1.0),)
    if kind == "rails":
        return ((base, width, 1.0), (tip, width, 1.0))
    if kind == "band":
        return ((base, rng.uniform(0.02, 0.05), 1.0),)
    if kind == "mirror":  # a strip of mirror within the marks
        wide = rng.uniform(0.04, 0.1)
        return ((low - wide / 2 - 0.01, wide, rng.uniform(0.08, 0.35)),)
    return ()


def _alternating(
    draws: Draws, places: tuple[Array, Array], outer: float, lengths: tuple[float, float], widths: tuple[float, float]
) -> Scale:
    """Thin marks across a band, notches that leave it outwards and inwards by turns."""
    rng, (angles, between) = draws("alternate").rng, places
    band = float(np.clip(lengths[1], 0.03, 0.09))
    sticks = rng.uniform(0.02, 0.07)
    high = outer - sticks
    low = high - band
    even = (np.arange(len(angles)) + int(rng.integers(2))) % 2 == 0
    through = rng.random() < 0.75  # else it is only the part outside the band that is drawn
    inner = np.where(even, low if through else high, low - sticks)
    end = np.where(even, high + sticks, high if through else low)
    fine = between.ravel()
    others = (Row(fine, np.full(len(fine), low), np.full(len(fine), high), widths[1]),) if len(fine) else ()
    line = rng.uniform(0.004, 0.012)
    width = max(widths[0], 1.2 * widths[1])
    span = (float(angles[0]), float(angles[-1]))
    numerals = "missing" if draws("numerals").value == "missing" else "inside"
    numbered = draws("numbered").value
    if numbered not in ("all", "without ends"):  # every mark that leaves the band has a number, but for the ends
        numbered = draws.keep("numbered", "all")
    notches, first = Row(angles, inner, end, width), "out first" if even[0] else "in first"
    return Scale(notches, others, ((low, line, 1.0), (high, line, 1.0)), span, numerals, numbered, first)


def second_scale(rng: Generator, main: Scale, low: float, high: float, *, outwards: bool) -> Scale:
    """A subordinate scale between two radii; its marks are none of the notches."""
    first, last = main.span
    count, parts = int(rng.integers(3, 16)), int(rng.choice([1, 2, 5, 5, 10]))
    share = rng.uniform(0.8, 1.0) if rng.random() < 0.6 else 1.0
    t = np.linspace(0, share, (count - 1) * parts + 1)
    angles = first + (last - first) * t
    length = min((high - low) * rng.uniform(0.25, 0.5), 0.1)
    thin = rng.uniform(0.003, 0.009)
    near = low + 0.005 if outwards else high - 0.005
    form = "block" if rng.random() < 0.15 else "bar"
    width = rng.uniform(0.015, 0.03) if form == "block" else thin * rng.uniform(1.0, 2.5)
    short = length * rng.uniform(0.45, 0.8)
    majors = angles[::parts]
    minors = np.setdiff1d(angles, majors)
    notches = Row(majors, *_ends(majors, near, length, outwards, False), width, form)
    others = (Row(minors, *_ends(minors, near, short, outwards, False), thin),) if len(minors) else ()
    lines = ((near, thin * rng.uniform(1, 2), 1.0),) if rng.random() < 0.7 else ()
    every = "all" if count < 9 else "every second"
    return Scale(notches, others, lines, (first, last), "outside" if outwards else "inside", every, "none")
