"""Pointers of the variety ``world``: where they stand and what they look like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from ..axes import Draws
from ..camera import Array, Colour, grey, pick, polar, whole
from ..needle import Needle, blade, tail
from .layout import room
from .plate import STRONG, Plate


def _turned(parts: list[Array], angle: float) -> tuple[Array, ...]:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return tuple(part @ turn for part in parts)


def _broader(part: Array, factor: float) -> Array:
    return part * [1.0, factor]


def _angle(draws: Draws, plate: Plate) -> float:
    """Somewhere on the scale, or at rest near an end."""
    rng, (first, last) = draws.own("reading"), plate.scale.span
    share = rng.random()
    if draws("rest").on:
        share = rng.normal(0, 0.012) if rng.random() < 0.75 else float(rng.choice([-1, 1])) * 0.05 + (share > 0.5)
    return float(first + (last - first) * share)


def _colour(rng: Generator, look: str, plate: Plate) -> Colour:
    dark = sum(plate.paper) < 300
    if look == "red":
        return int(rng.integers(170, 250)), int(rng.integers(10, 70)), int(rng.integers(10, 60))
    if look == "coloured":
        return pick(rng, STRONG)
    if look == "light" or dark:
        return grey(rng, 170, 256) if dark else grey(rng, 70, 170)
    return grey(rng, 5, 50)


def draw_pointer(draws: Draws, plate: Plate) -> Needle:
    """The pointer that the reading is taken from."""
    pointer, shape = draws("pointer"), draws.own("pointer shape")
    rng, look = pointer.rng, str(pointer.value)
    scale = plate.scale
    reach = float(np.clip(shape.uniform(scale.inner - 0.15, scale.outer + 0.02), 0.3, 0.98))
    kind = np.array([[0, 0.03], [reach * 0.97, 0.006], [reach, 0], [reach * 0.97, -0.006], [0, -0.03]])
    parts = [blade(shape, reach) if pointer.on else kind]
    if look == "thin":
        parts = [_broader(parts[0], shape.uniform(0.25, 0.5))]
    elif look == "broad":
        parts = [_broader(parts[0], shape.uniform(1.6, 3.0))]
    if look == "two-ended":
        back = shape.uniform(0.5, 1.0) * reach
        parts.append(blade(shape, back) * [-1.0, 1.0])
    elif pointer.on:
        parts += tail(shape)
    angle = _angle(draws, plate)
    tone = np.array(_colour(rng, look, plate), float)
    if shape.random() < 0.7:
        tone = np.array((205, 200, 195)) * shape.uniform(0.12, 1.05)
    shades = np.clip(np.outer((0.4, 0.85, 1.0, 1.2), tone), 0, 255)
    tones = tuple(whole(shade) for shade in shades[: int(shape.integers(1, 5))])
    hub = shape.uniform(0.03, 0.18) if pointer.on else 0.07
    height = shape.uniform(0.0, 0.1) if draws("depth").on else 0.02
    return Needle(_turned(parts, angle), _colour(rng, look, plate), hub, tones, height, polar(reach, angle)[0])


def draw_second(draws: Draws, plate: Plate, first: Needle) -> Needle | None:
    """A set pointer or a drag pointer: thin, coloured, anywhere on the scale."""
    drawn = draws("second_pointer")
    if not drawn.on:
        return None
    rng, span = drawn.rng, plate.scale.span
    tones = {"red": (205, 30, 30), "green": (30, 130, 55), "yellow": (235, 195, 30), "black": (25, 25, 25)}
    angle = span[0] + (span[1] - span[0]) * rng.uniform(-0.03, 1.03)
    reach = rng.uniform(plate.scale.inner - 0.1, plate.scale.outer + 0.05)
    wide = rng.uniform(0.004, 0.02)
    inner = 0.0 if rng.random() < 0.7 else reach - rng.uniform(0.1, 0.25)
    part = np.array([[inner, wide], [reach, wide * rng.uniform(0.2, 1.4)], [reach, -wide], [inner, -wide]])
    return replace(first, parts=_turned([part], angle), colour=tones[drawn.value], hub=first.hub * 0.8,
                   height=first.height * rng.uniform(0.3, 1.4), tip=polar(reach, angle)[0])  # fmt: skip


def limit_flags(draws: Draws, plate: Plate) -> list[tuple[Array, Colour]]:
    """Limit marks: polygons of the plane with their colours, on the rim or across the scale."""
    flags, shapes = draws("flags"), []
    if not flags.on:
        return shapes
    rng, (first, last), scale = flags.rng, plate.scale.span, plate.scale
    colour = pick(rng, STRONG)
    for _ in range(round(flags.value)):
        angle = first + (last - first) * rng.uniform(-0.05, 1.05)
        rim = float(room(plate.layout.outline, np.array([angle]))[0])
        outer = min(rim, scale.outer + rng.uniform(0.0, 0.3)) if rng.random() < 0.4 else rim
        inner = max(0.2, scale.outer - rng.uniform(-0.03, 0.25))
        wide, narrow = sorted(rng.uniform(0.01, 0.07, 2), reverse=True)
        if rng.random() < 0.3:
            wide, narrow = narrow, wide
        part = np.array(
            [[inner, narrow], [max(outer, inner + 0.05), wide], [max(outer, inner + 0.05), -wide], [inner, -narrow]]
        )
        shapes.append((_turned([part], angle)[0], colour if rng.random() < 0.6 else pick(rng, STRONG)))
    return shapes
