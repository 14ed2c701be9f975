"""The hair of a drawn character, behind and before its face."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.random import Generator

from .axes import Drawn
from .camera import Array, Colour, pick
from .head import at, smooth
from .ink import WHITE, Painter, across, darker, oval
from .painting import mix

Strands = list[Array]


def paint_back(painter: Painter) -> None:
    """The hair behind the head, with tails or buns where there are some."""
    head, style, rng = painter.head, painter.style, painter.own("back hair")
    colour = darker(style.hair, rng.uniform(0.75, 1.0))
    top, wide = -head.crown - rng.uniform(0.05, 0.2), rng.uniform(1.1, 1.4)
    if head.kind == "beast" and rng.random() < 0.5:
        return
    length = float(painter.draws("back_hair").value)
    foot = np.linspace(-1, 1, 9) * wide * rng.uniform(0.8, 1.35)
    ends = np.column_stack([foot[::-1], length + rng.uniform(-0.15, 0.15, 9) + 0.12 * (np.arange(9) % 2)])
    crown = oval(np.array([0, -0.35]), (wide, -0.35 - top), 24)
    crown = crown[crown[:, 1] <= -0.3]
    crown = crown[np.argsort(crown[:, 0])]
    painter.area(np.concatenate([crown, ends]), colour, -0.55)
    if (tails := painter.draws("tails")).on:
        _tails(painter, tails.rng)


def _tails(painter: Painter, rng: Generator) -> None:
    """Tails or buns on both sides."""
    for side in (-1, 1):
        root = np.array([side * rng.uniform(0.9, 1.15), rng.uniform(-1.2, -0.2)])
        if rng.random() < 0.25:
            painter.area(oval(root, (0.4, 0.4)), painter.style.hair, -0.5)
            continue
        end = root + at(side * rng.uniform(0.2, 0.9), rng.uniform(1.2, 3))
        middle = (root + end) / 2 + at(side * rng.uniform(0.1, 0.5), 0)
        painter.area(strand(root, middle, end, rng.uniform(0.35, 0.6)), painter.style.hair, -0.5)


def strand(root: Array, middle: Array, tip: Array, width: float, taper: float = 1.0) -> Array:
    """A lock of hair that starts ``width`` wide and ends in a tip, or blunt (``taper`` under 1)."""
    path = smooth(np.array([root, middle, tip]), steps=7)
    t = (np.arange(len(path)) / (len(path) - 1))[:, None]
    side = across(path) * width / 2 * (1 - taper * t**2.2) * np.minimum(1, 0.45 + 2 * t)
    return np.concatenate([path + side, (path - side)[::-1]])


def _bangs(painter: Painter) -> Strands:
    """Locks from the crown over the forehead, of one cut: fringe, parted, aside, curtains, wild."""
    head, rng = painter.head, painter.own("fringe")
    cut = painter.draws("fringe").value
    count = int(rng.integers(5, 14))
    xs = np.linspace(-0.95, 0.95, count) + rng.normal(0, 0.05, count)
    low, part = rng.uniform(-0.65, -0.05), rng.uniform(-0.5, 0.5)
    crown = np.array([part * 0.4, -head.crown - 0.05])
    locks = []
    for x, stray, sway, broad in zip(xs, *rng.normal(0, 1, (2, count)), rng.uniform(0.9, 1.3, count), strict=True):
        tip, lean = low + 0.1 * stray, 0.06 * sway
        if cut == "straight":
            tip, lean = low + 0.015 * stray, 0.0
        elif cut == "parted":
            tip -= 0.5 * max(0.0, 1 - abs(x - part) / 0.4)
            lean = 0.12 * np.sign(x - part)
        elif cut == "aside":
            lean = 0.3 * np.sign(part)
        elif cut == "curtains":
            tip = -1.0 + 1.2 * min(1.0, abs(x - part) / 0.8) ** 1.5 + 0.08 * stray
            lean = 0.15 * np.sign(x - part)
        elif cut == "wild":
            tip, lean = low + 0.2 * stray, 0.2 * sway
        tip += 0.12 * abs(x) ** 2
        root = crown + at(x * 0.75, 0.12 + 0.25 * x**2)
        middle = np.array([x * 1.02 - lean * 0.2, (root[1] + tip) / 2])
        width = 2.4 / count * broad * (1.25 if cut == "straight" else 1.0)
        locks.append(strand(root, middle, np.array([x + lean, tip]), width, 0.25 if cut == "straight" else 1.0))
    if cut == "none":
        locks = []
    thin = painter.draws("strands")
    for _ in range(round(thin.value)):  # thin ones that fall into the face
        rng = thin.rng
        x = rng.normal(0, 0.35)
        tip, root = np.array([x + rng.normal(0, 0.08), rng.uniform(-0.3, 0.15)]), crown + at(x * 0.7, 0.2)
        locks.append(strand(root, np.array([x + rng.normal(0, 0.06), -0.6]), tip, rng.uniform(0.08, 0.25)))
    return locks


def _sides(painter: Painter) -> Strands:
    """Locks beside the face, from the temples down; they often cover the contour's upper points."""
    drawn, locks = painter.draws("side_locks"), []
    if not drawn.on:
        return locks
    rng, length = drawn.rng, float(drawn.value)
    inward, width = rng.uniform(-0.22, 0.08), rng.uniform(0.2, 0.45)
    for side in (-1, 1):
        for _ in range(int(rng.integers(1, 3))):
            x = side * (rng.uniform(0.93, 1.08) - width * 0.1)
            end = np.array([x + side * inward * rng.uniform(0.3, 1.6), length * rng.uniform(0.7, 1.1)])
            middle = np.array([x + side * rng.uniform(-0.04, 0.12), end[1] * 0.4 - 0.2])
            locks.append(strand(np.array([x * 0.65, -0.95]), middle, end, width))
    return locks


def paint_front(painter: Painter) -> None:
    """The hair before the face with its shadow on the skin, its own shades and its shine; it covers points."""
    head, style, rng = painter.head, painter.style, painter.own("front hair")
    haired = head.kind == "human" or rng.random() < 0.6
    locks = [*_sides(painter), *_bangs(painter)] if haired else []
    if not haired:
        return
    if style.medium != "line" and (shadow := painter.draws("hair_shadow")).on:
        shade, drop = darker(style.skin, shadow.rng.uniform(0.7, 0.9)), shadow.rng.uniform(0.03, 0.12)
        within, soft = head.project(head.contour), 0.0 if style.medium == "cel" else 0.03
        for lock in locks:
            painter.veil(head.project(lock + at(0, drop), 0.05), shade, float(shadow.value), soft, within)
    turn = np.linspace(np.pi * 0.92, np.pi * 2.08, 22)
    wide, high = rng.uniform(1.03, 1.28), head.crown + rng.uniform(0.03, 0.3)
    rim = np.column_stack([np.cos(turn) * wide, -0.35 + np.sin(turn) * (high - 0.35)])
    inner = np.column_stack([np.cos(turn[::-1]) * 0.9, -0.35 + np.sin(turn[::-1]) * (head.crown - 0.75)])
    locks.append(np.concatenate([rim, inner]))
    for lock in locks:  # all outlines, then all surfaces: lines remain around the whole
        painter.stroke(head.project(lock, 0.12), painter.edge(style.hair), 1.6, closed=True)
    tones = _tones(painter, len(locks))
    for lock, colour in zip(locks, tones, strict=True):
        painter.area(lock, colour, 0.12, line=0, covers=True)
    _shades(painter, locks[:-1])
    if (shine := painter.draws("shine")).on and style.medium != "line":
        _shine(painter, shine)
    if painter.draws("antenna").on:
        _antenna(painter)


def _tones(painter: Painter, count: int) -> list[Colour]:
    """The colour of every lock and, last, of the crown."""
    hair, drawn = painter.style.hair, painter.draws("two_tone")
    if not drawn.on:
        return [hair] * count
    other = mix(hair, painter.style.second, float(drawn.value))
    return [*(other if drawn.rng.random() < 0.4 else hair for _ in range(count - 1)), hair]


def _antenna(painter: Painter) -> None:
    """A strand that stands up from the crown."""
    drawn, head = painter.draws("antenna"), painter.head
    root = at(drawn.rng.normal(0, 0.15), -head.crown)
    tip = root + at(drawn.rng.choice([-1, 1]) * drawn.rng.uniform(0.2, 0.8), -drawn.rng.uniform(0.1, 1.0)) * drawn.value
    middle = root + at(drawn.rng.normal(0, 0.1), -0.6 * float(drawn.value))
    painter.area(strand(root, middle, tip, drawn.rng.uniform(0.08, 0.2)), painter.style.hair, 0.1)


def _shades(painter: Painter, locks: Strands) -> None:
    """Every lock darker along one side, and lines from its tip upwards."""
    style, rng = painter.style, painter.own("locks")
    strength = rng.uniform(0, 0.8) * (style.medium != "line")
    shade, light = darker(style.hair, rng.uniform(0.65, 0.9)), mix(style.hair, WHITE, 0.35)
    soft = rng.uniform(0.0, 0.06) * (style.medium != "cel")
    fine = rng.uniform(0.3, 4)
    for lock in locks:
        rng = painter.own(f"lock {zlib.crc32(lock.tobytes())}")  # what other locks there are changes none
        bright = rng.random() < 0.5
        half = len(lock) // 2
        left, right = lock[:half], lock[half:][::-1]
        middle = (left * 0.6 + right * 0.4) if len(left) == len(right) else left
        within = painter.head.project(lock, 0.12)
        if strength > 0.1:
            side = np.concatenate([middle, right[::-1]])
            painter.veil(painter.head.project(side, 0.12), shade, strength, soft, within)
        if soft and bright:
            painter.veil(painter.head.project(np.concatenate([left, middle[::-1]]), 0.12), light, 0.4, soft, within)
        if len(left) != len(right):
            continue
        for _ in range(int(fine + rng.random())):
            share, start = rng.uniform(0.1, 0.9), int(len(left) * rng.uniform(0, 0.6))
            path = left * share + right * (1 - share)
            colour = pick(rng, (painter.edge(style.hair), shade, light if style.medium != "line" else style.line))
            painter.ribbon(path[start:], rng.uniform(0.01, 0.04) * np.array([0.2, 1, 0.1]), colour, 0.12)


def _shine(painter: Painter, drawn: Drawn) -> None:
    """A bright band across the hair."""
    style, rng = painter.style, drawn.rng
    xs = np.linspace(-0.8, 0.8, 17)
    level = -painter.head.crown * rng.uniform(0.7, 0.85) + 0.25 * xs**2
    thick = rng.uniform(0.03, 0.12) * (1 + rng.uniform(-0.7, 0.7, 17))
    band = np.concatenate([np.column_stack([xs, level - thick]), np.column_stack([xs, level + thick])[::-1]])
    soft = 0.0 if style.medium == "cel" else 0.05
    painter.veil(painter.head.project(band, 0.15), mix(style.hair, WHITE, float(drawn.value)), 0.9, soft)
