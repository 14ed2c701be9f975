"""What a drawn character has besides face and hair: ears, neck and clothes, glasses, hats, hands."""

from __future__ import annotations

import numpy as np

from .camera import pick
from .hair import strand
from .head import at, mirrored, smooth
from .ink import WHITE, Painter, darker, oval
from .painting import mix


def paint_ears(painter: Painter, kind: str, *, low: bool, front: bool = False) -> None:
    """Human ears beside the face (``low``), or those of a cat, fox, dog, rabbit or bear on the head; painted last
    (``front``) they cover points."""
    head, style = painter.head, painter.style
    for side in np.array([[-1.0, 1.0], [1.0, 1.0]]):
        if low:
            rim = np.array([[0.85, -0.2], [1.02, -0.28], [1.1, -0.05], [1.0, 0.25], [0.85, 0.3]])
            ear = smooth(rim * side, closed=True)
            painter.area(ear, style.skin, -0.3)
            shell = (ear - ear.mean(axis=0)) * 0.5 + ear.mean(axis=0)
            painter.stroke(head.project(shell[3:18], -0.3), painter.edge(style.skin), 0.6)
            continue
        top = -head.crown + 0.12
        spread, tall = (
            painter.own("ears").uniform(0.95, 1.05),
            {"cat": 0.6, "fox": 0.9, "dog": 0.7, "rabbit": 1.7, "bear": 0.4}[kind],
        )
        shape = np.array([[0.2, top], [0.62 * spread, top - tall], [0.98, top + 0.45]])
        if kind == "dog":  # hanging
            shape = np.array([[0.55, top + 0.1], [1.05, top], [1.35, top + tall * 1.5], [0.95, top + tall * 1.2]])
        elif kind == "bear":
            shape = oval(np.array([0.72, top - 0.02]), (0.32, 0.34), 10)
        elif kind == "rabbit":
            shape = np.array([[0.2, top], [0.15, top - tall], [0.45, top - tall * 1.05], [0.65, top + 0.1]])
        ear = smooth(shape * side, closed=True, steps=4) if kind in ("dog", "bear", "rabbit") else shape * side
        colour = style.hair if head.kind == "human" else style.skin
        painter.area(ear, colour, -0.2, covers=front)
        middle = ear.mean(axis=0)
        if kind != "dog":
            pink = mix(style.second, (240, 170, 170), 0.4)
            painter.area((ear - middle) * 0.6 + middle + at(0, 0.05), pink, -0.2, line=0.4)


def paint_body(painter: Painter) -> None:
    """Neck, shoulders and clothes."""
    head, style, rng = painter.head, painter.style, painter.own("body")
    chin = head.points[2, 1]
    neck, wide = rng.uniform(0.28, 0.5), rng.uniform(1.0, 2.2)
    base = chin + rng.uniform(0.3, 0.7)
    half = (neck, base), (wide * 0.75, base + 0.12), (wide, base + 0.7), (wide, 6.0)
    painter.area(mirrored(*half), style.cloth, -0.5)
    opening = at(rng.uniform(0, 0.2), base + rng.uniform(0.1, 0.9))
    throat = np.array([[neck, base], [neck, 0.3], [-neck, 0.3], [-neck, base], opening])
    painter.area(throat, style.skin, -0.4)
    below = darker(style.skin, rng.uniform(0.7, 0.9))
    if style.medium != "line":
        painter.area(mirrored((neck, 0.3), (neck, chin + 0.15), (0, chin + 0.3)), below, -0.4, line=0)
    if (collar := painter.draws("collar")).on:
        band = mirrored((neck + 0.1, base - 0.1), (neck + 0.2, base + 0.2), (0, base + 0.5))
        painter.area(band, pick(collar.rng, (style.second, WHITE, style.cloth)), -0.35)
    _trimmings(painter, neck, base, wide)


def _trimmings(painter: Painter, neck: float, base: float, wide: float) -> None:
    """Folds, straps, frills, necklaces, bows: whatever draws lines below a chin."""
    style, drawn = painter.style, painter.draws("trimmings")
    rng = drawn.rng
    colours = (style.second, WHITE, darker(style.cloth, 0.7), style.hair, mix(style.cloth, WHITE, 0.5))
    for _ in range(round(drawn.value)):
        colour, kind = pick(rng, colours), rng.random()
        place = at(rng.normal(0, 0.4) * wide, base + rng.uniform(0, 1.6))
        if kind < 0.35:  # a fold or a strap
            path = smooth(np.array([place, place + rng.normal(0, 0.3, 2), place + rng.normal(0, 0.7, 2)]))
            painter.ribbon(path, rng.uniform(0.02, 0.25) * np.array([0.3, 1, 0.3]), colour, -0.4)
        elif kind < 0.6:  # a necklace or a seam
            drop = rng.uniform(0.05, 0.8)
            path = smooth(np.array([[-neck, base - 0.05], [0, base + drop], [neck, base - 0.05]]))
            painter.ribbon(path, np.full(2, rng.uniform(0.02, 0.1)), colour, -0.3)
        elif kind < 0.8:  # a frill
            path = place + np.column_stack([np.linspace(-0.6, 0.6, 17), 0.07 * (np.arange(17) % 2)])
            painter.area(np.concatenate([path, path[[-1, 0]] - at(0, rng.uniform(0.1, 0.3))]), colour, -0.3)
        else:  # a bow
            size = rng.uniform(0.15, 0.45)
            for side in (-1, 1):
                wing = np.array([[0, 0], [1, -0.6], [1.1, 0.5]]) * at(side * size, size)
                painter.area(at(0, base + 0.3) + wing, colour, -0.25)


def paint_glasses(painter: Painter) -> None:
    """Frames around the eyes; they are seen through."""
    head, rng = painter.head, painter.draws("glasses").rng
    colour = darker(painter.style.second, rng.uniform(0.2, 0.9))
    radii, pens = (rng.uniform(0.32, 0.42), rng.uniform(0.25, 0.42)), rng.uniform(1, 2.5)
    for side in (-1, 1):
        rim = oval(np.array([0.5 * side, 0.02]), radii)
        if rng.random() < 0.3:
            painter.veil(head.project(rim, 0.15), WHITE, 0.2, 0)
        painter.stroke(head.project(rim, 0.15), colour, pens, closed=True)
        arm = np.array([[(0.5 + radii[0]) * side, -0.02], [1.0 * side, -0.08]])
        painter.stroke(head.project(arm, 0.1), colour, pens)
    painter.stroke(
        head.project(smooth(np.array([[-0.5 + radii[0], 0], [0, -0.05], [0.5 - radii[0], 0]])), 0.15), colour, pens
    )


def paint_hat(painter: Painter) -> None:
    """A cap, hood or band, or a ribbon or flower in the hair; covers what is under it."""
    head, style, drawn = painter.head, painter.style, painter.draws("hat")
    rng = drawn.rng
    colour = pick(rng, (style.cloth, style.second))
    if drawn.value == "cap":
        brim, top = rng.uniform(-1.0, -0.6), -head.crown - rng.uniform(0.1, 0.5)
        turn = np.linspace(np.pi, 2 * np.pi, 16)
        dome = np.column_stack([np.cos(turn) * 1.18, brim + np.sin(turn) * (brim - top)])
        painter.area(dome, colour, 0.1, covers=True)
        edge = oval(np.array([0, brim]), (rng.uniform(1.2, 1.6), rng.uniform(0.08, 0.25)))
        painter.area(edge, darker(colour, 0.85), 0.2, covers=True)
    elif drawn.value == "band":
        turn = np.linspace(np.pi * 1.05, np.pi * 1.95, 16)
        arc = np.column_stack([np.cos(turn), np.sin(turn)])
        band = np.concatenate([arc * [1.1, head.crown + 0.1], arc[::-1] * [1.1, head.crown - 0.08]])
        painter.area(band, colour, 0.1, covers=True)
    else:
        middle = np.array([rng.choice([-1, 1]) * rng.uniform(0.5, 0.95), -rng.uniform(0.7, 1.2)])
        for turn in np.arange(5) * 1.257 + rng.uniform(0, 1):
            painter.area(
                oval(middle + 0.16 * np.array([np.cos(turn), np.sin(turn)]), (0.15, 0.15), 12),
                colour,
                0.15,
                covers=True,
            )
        painter.area(oval(middle, (0.09, 0.09), 10), mix(colour, WHITE, 0.6), 0.2, covers=True)


def paint_hand(painter: Painter) -> None:
    """A hand or paw at chin, cheek or mouth; it covers points."""
    head, style, rng = painter.head, painter.style, painter.draws("hand").rng
    side = rng.choice([-1, 1])
    touch = np.array([side * rng.uniform(0.1, 0.9), rng.uniform(0.5, 1.2)])
    wrist = touch + at(side * rng.uniform(0.2, 0.9), rng.uniform(0.7, 1.4))
    along = (touch - wrist) / np.hypot(*(touch - wrist))
    across = np.array([-along[1], along[0]])
    thick, size = rng.uniform(0.1, 0.15), rng.uniform(0.7, 1.1)
    palm = touch - along * 0.1
    arm = strand(wrist - along, wrist, palm, 0.55, 0.3)
    parts = [arm, oval(palm, (0.28 * size, 0.28 * size), 14)]
    for step in np.linspace(-1, 1, 4):
        root = palm + across * 0.2 * size * step
        tip = root + (along * rng.uniform(0.3, 0.55) + across * step * rng.uniform(0, 0.15)) * size
        knuckle = (root + tip) / 2 + across * rng.normal(0, 0.03)
        parts.append(strand(root, knuckle, tip, thick * 1.3 * size, 0.6))
    for part in parts[:2]:
        painter.stroke(head.project(part, 0.3), painter.edge(style.skin), 1.6, closed=True)
    for part in parts[:2]:
        painter.area(part, style.skin, 0.3, line=0, covers=True)
    for part in parts[2:]:
        painter.area(part, style.skin, 0.3, covers=True)


def paint_patch(painter: Painter) -> None:
    """A patch over an eye, a mask over mouth and nose, a plaster on a cheek; they cover points."""
    head, drawn = painter.head, painter.draws("patch")
    rng, side = drawn.rng, float(drawn.rng.choice([-1, 1]))
    colour = pick(rng, (WHITE, (30, 28, 32), painter.style.cloth, painter.style.second))
    if drawn.value == "eye patch":
        middle = np.array([0.5 * side, rng.uniform(-0.05, 0.1)])
        band = np.array([[-0.95 * side, -0.75], middle, [1.0 * side, 0.05]])
        painter.stroke(head.project(smooth(band), 0.1), painter.edge(colour), rng.uniform(1, 3))
        painter.area(oval(middle, (rng.uniform(0.32, 0.42), rng.uniform(0.3, 0.42))), colour, 0.15, covers=True)
    elif drawn.value == "mask":
        top, chin = head.points[23, 1] - rng.uniform(0.0, 0.15), head.points[2, 1]
        edge = mirrored((0.0, top), (0.45, top + 0.05), (0.8, top + 0.2), (0.5, chin * 0.95), (0.0, chin * 1.02))[1:]
        painter.area(smooth(edge, closed=True), colour, 0.15, covers=True)
    else:
        middle = np.array([rng.uniform(0.3, 0.7) * side, rng.uniform(0.25, 0.6)])
        turn = rng.uniform(-0.6, 0.6)
        along, across = at(np.cos(turn), np.sin(turn)) * 0.2, at(-np.sin(turn), np.cos(turn)) * 0.06
        corners = [middle - along - across, middle + along - across, middle + along + across, middle - along + across]
        painter.area(np.array(corners), mix(colour, (230, 190, 150), 0.5), 0.08, covers=True)


def paint_marks(painter: Painter) -> None:
    """Scars, tears and painted marks: they are seen through, or beside what they could cover."""
    drawn = painter.draws("paint")
    rng = drawn.rng
    for _ in range(round(drawn.value)):
        place = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.6, 0.8)])
        colour = pick(rng, (darker(painter.style.skin, 0.6), (190, 40, 50), (120, 190, 240), painter.style.second))
        path = place + np.cumsum(rng.normal(0, 0.12, (3, 2)), axis=0)
        painter.ribbon(smooth(path), rng.uniform(0.01, 0.09) * np.array([0.2, 1, 0.3]), colour, 0.03,
                       rng.uniform(0.4, 0.95))  # fmt: skip
