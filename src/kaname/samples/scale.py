"""The scale of a dial: which values it carries, where its notches stand and what their ticks look like.

Lengths are in radii of the printed face; angles in radians, clockwise as seen, 0 to the right (image axes).

**Which ticks are notches, and where their point lies**, as annotators of real photographs place it (read off enlarged
crops of real labels):

* The notches are the major ticks, those of the longest or thickest kind, whether each of them has a numeral or every
  second one. Minor and medium ticks, and ticks of a second scale, are not labelled.
* The point is on the tick's middle line, half-way along its whole length, even where the tick crosses an arc.
* Of ticks made of a thin outer and a thick inner part some annotators take the middle of the whole, some the middle
  of the thick part. The samples take the mean of the two.
* Notches under the needle are labelled like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from .camera import Array, Colour, pick, polar

TAU = 2 * np.pi

STEPS = (0.01, 0.02, 0.05, 0.1, 0.1, 0.1, 0.2, 0.2, 0.25, 0.5, 0.5, 1, 1, 1, 2, 2, 2.5, 4, 5, 5, 10, 10, 10, 20, 20,
         20, 25, 30, 40, 50, 50, 100, 100, 200, 250, 500, 1000)  # fmt: skip
COUNTS = (4, 5, 6, 6, 6, 6, 7, 7, 7, 8, 9, 9, 10, 11, 11, 11, 11, 11, 11, 12, 13, 13, 14, 15, 16, 17, 19, 21, 21, 25)


@dataclass(frozen=True)
class Ticks:
    """One kind of tick: from ``inner`` to ``outer`` radius, ``width`` across; ``form`` as in ``FORMS``."""

    inner: float
    outer: float
    width: float
    form: str = "plain"
    joint: float = 0.5  # of a two-part tick: where the thick part begins, from its inner end (0) to its outer (1)
    thin: float = 0.01  # of a two-part tick: the width of its thin part


FORMS = ("plain", "two-part", "wedge", "dot")


@dataclass(frozen=True)
class Scale:
    """Where the ticks of a scale stand and what they look like; a kind of tick that is absent is None."""

    angles: Array  # (N,) of the major notches, from start to end
    values: Array  # (N,) their values
    major: Ticks
    medium: Ticks | None
    minor: Ticks | None
    medium_angles: Array
    minor_angles: Array
    arcs: tuple[tuple[float, float], ...]  # the radius and width of each line
    colour: Colour  # of ticks and arcs
    numbered: int = 1  # every how many-th notch carries a numeral
    inside: bool = True  # whether the numerals stand inside the ticks

    @property
    def inner(self) -> float:
        """The smallest radius that any of its ticks reaches."""
        return min(t.inner for t in (self.major, self.medium, self.minor) if t is not None)

    @property
    def outer(self) -> float:
        """The largest radius that any of its ticks reaches."""
        return max(t.outer for t in (self.major, self.medium, self.minor) if t is not None)

    def points(self) -> Array:
        """``(N, 2)`` points of the notches in the dial's plane, as an annotator would set them."""
        t = self.major
        middle = (t.inner + t.outer) / 2
        if t.form == "two-part":
            thick = t.inner + (t.outer - t.inner) * t.joint / 2
            middle = (middle + thick) / 2
        return polar(middle, self.angles)


def spread(rng: Generator, count: int, divisions: int, start: float, sweep: float) -> tuple[Array, Array]:
    """Angles of the majors ``(count,)`` and of all subdivisions between them ``(count - 1, divisions - 1)``."""
    power = rng.uniform(0.75, 1.35) if rng.random() < 0.04 else 1.0
    t = np.linspace(0, 1, (count - 1) * divisions + 1) ** power
    angles = start + sweep * t
    grid = angles[:-1].reshape(count - 1, divisions)
    return np.append(grid[:, 0], angles[-1]), grid[:, 1:]


def _span(rng: Generator) -> tuple[float, float]:
    """Start angle and signed sweep. Most dials open downwards; some are turned, a few run the other way round."""
    kind = rng.random()
    if kind < 0.5:
        sweep = np.radians(270 + rng.normal(0, 2.5))
    elif kind < 0.9:
        sweep = np.radians(rng.uniform(230, 320))
    else:
        sweep = np.radians(rng.uniform(180, 332))
    middle = -TAU / 4
    kind = rng.random()
    if kind < 0.12:
        middle += np.radians(rng.uniform(-60, 60))
    elif kind < 0.16:
        middle += rng.uniform(-np.pi, np.pi)
    if rng.random() < 0.02:
        return middle + sweep / 2, -sweep
    return middle - sweep / 2, sweep


def _values(rng: Generator, count: int) -> Array:
    step = pick(rng, STEPS)
    kind = rng.random()
    first = 0.0
    if kind < 0.12:
        first = -step * int(rng.integers(1, count))
    elif kind < 0.18:
        first = step * int(rng.integers(1, 6))
    return first + step * np.arange(count, dtype=np.float64)


def _kinds(rng: Generator, base: float, side: float, narrow: bool) -> tuple[Ticks, Ticks | None, Ticks]:
    """Major, medium and minor ticks on a base radius; ``side`` is -1 for ticks that grow inwards, +1 outwards."""
    minor_length = rng.uniform(0.035, 0.13)
    minor_width = rng.uniform(0.005, 0.013)
    major_length = minor_length * rng.uniform(1.35, 2.6)
    major_width = rng.uniform(max(0.009, 1.2 * minor_width), 0.045 if rng.random() < 0.4 else 0.027)
    if narrow:
        major_width, minor_width = max(0.007, major_width * 0.6), minor_width * 0.8

    def between(near: float, far: float) -> tuple[float, float]:
        ends = (base + side * near, base + side * far)
        return min(ends), max(ends)

    low, high = between(0, minor_length)
    minor = Ticks(low, high, minor_width)
    kind = rng.random()
    form, near, joint = "plain", 0.0, rng.uniform(0.35, 0.62)
    if kind < 0.22:  # crosses the base line to the other side
        near, major_length = -(major_length - minor_length) * rng.uniform(0.6, 1.2), minor_length
        major_length *= rng.uniform(0.95, 1.1)
    elif kind < 0.46:
        form = "two-part"
        major_width = rng.uniform(0.016, 0.04)
        major_length = max(major_length, minor_length * 1.4)
    elif kind < 0.51:
        form, major_width = "wedge", rng.uniform(0.025, 0.06)
    elif kind < 0.55:
        form, major_width = "dot", rng.uniform(0.03, 0.06)
        near, major_length = major_length / 2 - major_width / 2, major_length / 2 + major_width / 2
    elif kind < 0.6:  # all ticks of one length: only thickness tells
        major_length, major_width = minor_length, minor_width * rng.uniform(2.2, 4)
    low, high = between(near, major_length)
    if form == "two-part" and rng.random() < 0.1:
        joint = 0.999  # nearly all of it thick
    major = Ticks(low, high, major_width, form, joint, minor_width)
    medium = None
    if rng.random() < 0.65:
        share = rng.uniform(0.15, 0.75)
        low, high = between(0, minor_length + share * max(0.0, abs(major_length) - minor_length))
        medium = Ticks(low, high, minor_width * rng.uniform(1.0, 1.5))
    return major, medium, minor


def _arcs(rng: Generator, base: float, major: Ticks, minor: Ticks) -> tuple[tuple[float, float], ...]:
    width = rng.uniform(0.005, 0.014)
    kind = rng.random()
    if major.inner < base - 0.01 and major.outer > base + 0.01:  # majors that cross: mostly a ladder for the minors
        kind = rng.uniform(0.2, 1.0) if kind < 0.4 else 0.8
    if kind < 0.38:
        return ()
    if kind < 0.68:
        return ((base, width),)
    if kind < 0.9:  # a ladder between two arcs
        return ((minor.inner, width), (minor.outer, width))
    if kind < 0.96:
        return ((base, rng.uniform(0.02, 0.04)),)
    return ((major.inner, width), (major.outer, width))


def _inwards(kind: Ticks, distance: float) -> Ticks:
    return replace(kind, inner=kind.inner - distance, outer=kind.outer - distance)


def draw_scale(rng: Generator, colour: Colour, *, plain: bool = False) -> Scale:
    """A main scale, everything about it random; ``plain``: of the one everyday kind, only its numbers random."""
    if plain:
        return _plain_scale(rng, colour)
    count = pick(rng, COUNTS)
    start, sweep = _span(rng)
    options = [d for d in (1, 2, 2, 4, 5, 5, 5, 5, 10, 10) if d * (count - 1) <= (130 if d == 10 else 100)]
    divisions = pick(rng, options)
    angles, between = spread(rng, count, divisions, start, sweep)
    inside = rng.random() < 0.85
    side = -1.0 if rng.random() < (0.8 if inside else 0.3) else 1.0
    base = rng.uniform(0.76, 0.95) if inside else rng.uniform(0.5, 0.7)
    if inside and side > 0:
        base -= 0.1
    major, medium, minor = _kinds(rng, base, side, count > 17)
    # nothing may leave the face, and numerals outside need their room
    over = max(0.0, max(major.outer, minor.outer) - (0.97 if inside else 0.78))
    base -= over
    major, minor, medium = _inwards(major, over), _inwards(minor, over), medium and _inwards(medium, over)
    half = between[:, divisions // 2 - 1] if divisions in (2, 4, 10) else np.zeros(0)
    if divisions in (2, 4) and rng.random() < 1 / 3:
        medium = None
    if medium is None:
        half = np.zeros(0)
    other = np.setdiff1d(between.ravel(), half)
    small_step = abs(sweep) / (count - 1) * base < 0.32
    numbered = 1
    if count > 16 or (count >= 9 and (count - 1) % 2 == 0 and rng.random() < 0.45):
        numbered = 2
    if count > 20 and small_step and rng.random() < 1 / 3:
        numbered = 5
    values, arcs = _values(rng, count), _arcs(rng, base, major, minor)
    small = minor if divisions > 1 else None
    return Scale(angles, values, major, medium, small, half, other, arcs, colour, numbered, inside)


def _plain_scale(rng: Generator, colour: Colour) -> Scale:
    """Five to thirteen numbered notches over about 270 degrees, open at the bottom, four fine ticks between them."""
    count, divisions = int(rng.integers(5, 14)), 5
    sweep = np.radians(rng.uniform(250, 290))
    angles, between = spread(rng, count, divisions, -TAU / 4 - sweep / 2, sweep)
    base, length = rng.uniform(0.85, 0.95), rng.uniform(0.05, 0.08)
    major = Ticks(base - length * rng.uniform(1.7, 2.2), base, rng.uniform(0.022, 0.034))
    minor = Ticks(base - length, base, rng.uniform(0.007, 0.011))
    return Scale(angles, _values(rng, count), major, None, minor, np.zeros(0), between.ravel(), (), colour, 1, True)


def second_scale(rng: Generator, main: Scale, low: float, high: float, colour: Colour) -> Scale:
    """A subordinate scale in other units between two radii; its ticks are thin and its notches are not labelled."""
    sweep, start = main.angles[-1] - main.angles[0], main.angles[0]
    share = rng.uniform(0.86, 1.0)
    count, divisions = int(rng.integers(4, 16)), int(rng.choice([1, 2, 5]))
    angles, between = spread(rng, count, divisions, start, sweep * share)
    length = min(rng.uniform(0.03, 0.06), (high - low) / 3)
    inside = rng.random() < 0.7
    base = high - 0.01 if inside else low + length * 1.5 + 0.01
    width = rng.uniform(0.004, 0.009)
    major = Ticks(base - length * 1.5, base, width * 1.3)
    minor = Ticks(base - length, base, width) if divisions > 1 else None
    arcs = ((base, width),) if rng.random() < 0.7 else ()
    values, every = _values(rng, count), 1 if count < 9 else 2
    return Scale(angles, values, major, None, minor, np.zeros(0), between.ravel(), arcs, colour, every, inside)
