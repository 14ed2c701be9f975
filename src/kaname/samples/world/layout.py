"""The shape of an instrument: its opening, where the pointer turns, over which angles the scale runs.

The plane's origin is the pointer's axis and its unit the radius that a round face would have; angles are radians,
clockwise as seen, 0 to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..axes import Draws
from ..camera import CIRCLE, Array
from ..painting import EXTENT

USUAL = {"round": 270.0, "square": 270.0, "corner": 88.0, "fan": 90.0, "half": 170.0}


@dataclass(frozen=True)
class Layout:
    """An instrument's shape.

    Attributes:
        kind: round, square, corner, fan or half.
        outline: ``(N, 2)`` convex opening of the casing.
        start: angle of the first notch.
        sweep: angle from the first to the last, negative against the clock.
        closed: whether the scale runs all the way round, its last notch a step before its first.
        reach: largest radius of anything on the scale that stays within the opening.
    """

    kind: str
    outline: Array
    start: float
    sweep: float
    closed: bool
    reach: float


def rounded_box(low: Array, high: Array, corner: float) -> Array:
    """A rectangle with round corners, ``(32, 2)``, clockwise as seen."""
    turn = np.linspace(0, np.pi / 2, 8)
    arc = np.stack([np.cos(turn), np.sin(turn)], axis=1) * corner
    middle, half = (low + high) / 2, (high - low) / 2 - corner
    parts = [middle + half * sign + arc @ np.array([[c, s], [-s, c]]) for sign, (c, s) in zip(
        ((1, 1), (-1, 1), (-1, -1), (1, -1)), ((1, 0), (0, 1), (-1, 0), (0, -1)), strict=True)]  # fmt: skip
    return np.concatenate(parts)


def room(outline: Array, angles: Array) -> Array:
    """How far a ray from the origin at each angle runs before it leaves a convex outline that holds its end."""
    after = np.roll(outline, -1, axis=0)
    edge = after - outline
    normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    distance = (normal * outline).sum(axis=1)
    middle = (normal * outline.mean(axis=0)).sum(axis=1)
    normal, distance = normal * np.sign(distance - middle)[:, None], distance * np.sign(distance - middle)
    rays = np.stack([np.cos(angles), np.sin(angles)])
    towards = normal @ rays
    far = np.where(towards > 1e-9, distance[:, None] / np.maximum(towards, 1e-9), np.inf)
    return far.min(axis=0)


def _sweep(rng: Generator, kind: str) -> float:
    """Degrees; 360 stands for a full circle."""
    if kind == "corner":
        return rng.uniform(76, 98)
    if kind == "fan":
        return rng.uniform(50, 125)
    if kind == "half":
        return rng.uniform(140, 186)
    share = rng.random()
    if share < 0.4:
        return 270 + rng.normal(0, 4)
    if share < 0.58:
        return rng.uniform(200, 345)
    if share < 0.74:
        return rng.uniform(165, 195)
    if share < 0.86:
        return rng.uniform(60, 160)
    return 360.0 if share < 0.93 else rng.uniform(50, 345)


def draw_layout(draws: Draws) -> Layout:
    """The shape of one picture's instrument."""
    layout, sweep = draws("layout"), draws("sweep")
    kind: str = layout.value
    degrees = USUAL[kind] if not sweep.on else float(_sweep(sweep.rng, kind))
    closed = degrees > 359
    if sweep.on:
        draws.keep("sweep", degrees)
    rng, span = draws.own("outline"), np.radians(degrees)
    middle = -np.pi / 2
    if kind == "corner":
        middle += np.pi / 4 * (1 if rng.random() < 0.35 else -1)
    elif kind in ("round", "square") and draws("turned").on and kind == "round":
        turned = draws("turned")
        middle += np.radians(turned.value if turned.rng.random() < 0.5 else turned.rng.normal(0, 30))
    if kind != "round" and draws("turned").on:
        draws.keep("turned", 0.0)
    outline = _outline(rng, kind, middle, span)
    outline = outline * min(1.0, (EXTENT - 0.01) / np.abs(outline).max())  # onto the canvas that all printing uses
    angles = middle + np.linspace(-span / 2, span / 2, 25)
    reach = float(room(outline, angles).min()) * 0.965
    start = middle - span / 2
    if closed:
        start = middle if rng.random() < 0.7 else middle + np.pi
    if draws("reversed").value:
        start, span = (start if closed else middle + span / 2), -span
    return Layout(kind, outline, float(start), float(span), closed, min(reach, 1.0))


def _outline(rng: Generator, kind: str, middle: float, span: float) -> Array:
    corner = rng.uniform(0.02, 0.2)
    if kind == "square":
        low, high = np.full(2, -rng.uniform(1.0, 1.12)), np.full(2, rng.uniform(1.0, 1.12))
        low[1] -= rng.uniform(-0.05, 0.1)
        return rounded_box(low, high, corner * 1.5)
    if kind == "corner":
        inner, outer = rng.uniform(0.12, 0.35), rng.uniform(1.02, 1.18)
        left = np.cos(middle) < 0
        low = np.array([-outer if left else -inner, -outer])
        high = np.array([inner if left else outer, rng.uniform(0.8, 1.2) * inner])
        return rounded_box(low, high, min(corner, 0.1))
    if kind == "fan":
        wide = np.sin(min(span, np.pi) / 2) + rng.uniform(0.1, 0.3)
        low = np.array([-wide, -rng.uniform(1.03, 1.25)])
        high = np.array([wide, rng.uniform(-0.3, 0.4)])
        high[1] = max(high[1], -np.cos(span / 2) * 0.6 + 0.12)
        return rounded_box(low, high, min(corner, 0.12))
    if kind == "half":
        below = max(rng.uniform(0.08, 0.5), -np.cos(span / 2) + 0.06)
        if rng.random() < 0.5:
            return rounded_box(np.array([-1.08, -1.08]), np.array([1.08, below + 0.05]), corner)
        circle = CIRCLE.copy()
        circle[:, 1] = np.minimum(circle[:, 1], below)
        return circle * rng.uniform(1.0, 1.06)
    return CIRCLE.copy()
