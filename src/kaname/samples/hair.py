"""What is around a drawn face: hair behind and before it, ears, hats, glasses, hands, neck and clothes."""

from __future__ import annotations

import numpy as np

from .camera import Array, pick
from .head import at, smooth
from .ink import WHITE, Painter, darker, oval
from .painting import mix

Strands = list[Array]


def paint_back(painter: Painter) -> None:
    """The hair behind the head: none, short, a bob, long, tails."""
    head, style, rng = painter.head, painter.style, painter.rng
    colour = darker(style.hair, rng.uniform(0.75, 1.0))
    top, wide = -head.crown - rng.uniform(0.05, 0.2), rng.uniform(1.1, 1.4)
    kind = rng.random()
    if head.kind == "beast" and kind < 0.5:
        return
    length = rng.uniform(0.2, 0.9) if kind < 0.4 else rng.uniform(0.9, 1.5) if kind < 0.6 else rng.uniform(1.8, 4)
    foot = np.linspace(-1, 1, 9) * wide * rng.uniform(0.8, 1.35)
    ends = np.column_stack([foot[::-1], length + rng.uniform(-0.15, 0.15, 9) + 0.12 * (np.arange(9) % 2)])
    crown = oval(np.array([0, -0.35]), (wide, -0.35 - top), 24)
    crown = crown[crown[:, 1] <= -0.3]
    crown = crown[np.argsort(crown[:, 0])]
    painter.area(np.concatenate([crown, ends]), colour, -0.55)
    if rng.random() < 0.25:  # tails or buns on both sides
        for side in (-1, 1):
            root = np.array([side * rng.uniform(0.9, 1.15), rng.uniform(-1.2, -0.2)])
            if rng.random() < 0.25:
                painter.area(oval(root, (0.4, 0.4)), style.hair, -0.5)
                continue
            end = root + at(side * rng.uniform(0.2, 0.9), rng.uniform(1.2, 3))
            middle = (root + end) / 2 + at(side * rng.uniform(0.1, 0.5), 0)
            painter.area(strand(root, middle, end, rng.uniform(0.35, 0.6)), style.hair, -0.5)


def strand(root: Array, middle: Array, tip: Array, width: float, taper: float = 1.0) -> Array:
    """A lock of hair that starts ``width`` wide and ends in a tip, or blunt (``taper`` under 1)."""
    path = smooth(np.array([root, middle, tip]), steps=7)
    along = np.gradient(path, axis=0)
    across = np.column_stack([-along[:, 1], along[:, 0]]) / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
    t = np.linspace(0, 1, len(path))[:, None]
    side = across * width / 2 * (1 - taper * t**2.2) * np.minimum(1, 0.45 + 2 * t)
    return np.concatenate([path + side, (path - side)[::-1]])


def _bangs(painter: Painter) -> Strands:
    """Locks from the crown over the forehead, of one cut: fringe, parted, aside, curtains, wild."""
    head, rng = painter.head, painter.rng
    cut = str(
        rng.choice(["fringe", "straight", "parted", "aside", "curtains", "wild"], p=[0.3, 0.1, 0.15, 0.2, 0.15, 0.1])
    )
    count = int(rng.integers(5, 14))
    xs = np.linspace(-0.95, 0.95, count) + rng.normal(0, 0.05, count)
    low, part = rng.uniform(-0.65, -0.05), rng.uniform(-0.5, 0.5)
    crown = np.array([part * 0.4, -head.crown - 0.05])
    locks = []
    for x in xs:
        tip, lean = low + rng.normal(0, 0.1), rng.normal(0, 0.06)
        if cut == "straight":
            tip, lean = low + rng.normal(0, 0.015), 0.0
        elif cut == "parted":
            tip -= 0.5 * max(0.0, 1 - abs(x - part) / 0.4)
            lean = 0.12 * np.sign(x - part)
        elif cut == "aside":
            lean = 0.3 * np.sign(part)
        elif cut == "curtains":
            tip = -1.0 + 1.2 * min(1.0, abs(x - part) / 0.8) ** 1.5 + rng.normal(0, 0.08)
            lean = 0.15 * np.sign(x - part)
        elif cut == "wild":
            tip, lean = low + rng.normal(0, 0.2), rng.normal(0, 0.2)
        tip += 0.12 * abs(x) ** 2
        root = crown + at(x * 0.75, 0.12 + 0.25 * x**2)
        middle = np.array([x * 1.02 - lean * 0.2, (root[1] + tip) / 2])
        width = 2.4 / count * rng.uniform(0.9, 1.3) * (1.25 if cut == "straight" else 1.0)
        locks.append(strand(root, middle, np.array([x + lean, tip]), width, 0.25 if cut == "straight" else 1.0))
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.4, 0.3, 0.2, 0.1]))):  # thin ones that fall into the face
        x = rng.normal(0, 0.35)
        tip, root = np.array([x + rng.normal(0, 0.08), rng.uniform(-0.3, 0.15)]), crown + at(x * 0.7, 0.2)
        locks.append(strand(root, np.array([x + rng.normal(0, 0.06), -0.6]), tip, rng.uniform(0.08, 0.25)))
    return locks


def _sides(painter: Painter) -> Strands:
    """Locks beside the face, from the temples down; they often cover the contour's upper points."""
    rng, locks = painter.rng, []
    if rng.random() < 0.2:
        return locks
    length, inward, width = rng.uniform(0.1, 1.9), rng.uniform(-0.22, 0.08), rng.uniform(0.2, 0.45)
    for side in (-1, 1):
        for _ in range(int(rng.integers(1, 3))):
            x = side * (rng.uniform(0.93, 1.08) - width * 0.1)
            end = np.array([x + side * inward * rng.uniform(0.3, 1.6), length * rng.uniform(0.7, 1.1)])
            middle = np.array([x + side * rng.uniform(-0.04, 0.12), end[1] * 0.4 - 0.2])
            locks.append(strand(np.array([x * 0.65, -0.95]), middle, end, width))
    return locks


def paint_front(painter: Painter) -> None:
    """The hair before the face with its shadow on the skin, its own shades and its shine; it covers points."""
    head, style, rng = painter.head, painter.style, painter.rng
    locks = [*_sides(painter), *_bangs(painter)] if head.kind == "human" or rng.random() < 0.6 else []
    if not locks:
        return
    if style.medium != "line" and rng.random() < 0.7:
        shade, drop = darker(style.skin, rng.uniform(0.7, 0.9)), rng.uniform(0.03, 0.12)
        within = head.project(head.contour)
        for lock in locks:
            painter.veil(
                head.project(lock + at(0, drop), 0.05), shade, 0.8, 0.0 if style.medium == "cel" else 0.03, within
            )
    turn = np.linspace(np.pi * 0.92, np.pi * 2.08, 22)
    wide, high = rng.uniform(1.03, 1.28), head.crown + rng.uniform(0.03, 0.3)
    rim = np.column_stack([np.cos(turn) * wide, -0.35 + np.sin(turn) * (high - 0.35)])
    inner = np.column_stack([np.cos(turn[::-1]) * 0.9, -0.35 + np.sin(turn[::-1]) * (head.crown - 0.75)])
    locks.append(np.concatenate([rim, inner]))
    for lock in locks:  # all outlines, then all surfaces: lines remain around the whole
        painter.stroke(head.project(lock, 0.12), painter.edge(style.hair), 1.6, closed=True)
    for lock in locks:
        painter.area(lock, style.hair, 0.12, line=0, covers=True)
    _shades(painter, locks[:-1])
    _shine(painter, head.project(locks[-1], 0.12))


def _shades(painter: Painter, locks: Strands) -> None:
    """Every lock darker along one side, and lines from its tip upwards."""
    style, rng = painter.style, painter.rng
    strength = 0.0 if style.medium == "line" else rng.uniform(0, 0.8)
    shade, light = darker(style.hair, rng.uniform(0.65, 0.9)), mix(style.hair, WHITE, 0.35)
    soft = 0.0 if style.medium == "cel" else rng.uniform(0.0, 0.06)
    fine = rng.uniform(0.3, 4)
    for lock in locks:
        half = len(lock) // 2
        left, right = lock[:half], lock[half:][::-1]
        middle = (left * 0.6 + right * 0.4) if len(left) == len(right) else left
        within = painter.head.project(lock, 0.12)
        if strength > 0.1:
            side = np.concatenate([middle, right[::-1]])
            painter.veil(painter.head.project(side, 0.12), shade, strength, soft, within)
        if soft and rng.random() < 0.5:
            painter.veil(painter.head.project(np.concatenate([left, middle[::-1]]), 0.12), light, 0.4, soft, within)
        if len(left) != len(right):
            continue
        for _ in range(int(fine + rng.random())):
            share, start = rng.uniform(0.1, 0.9), int(len(left) * rng.uniform(0, 0.6))
            path = left * share + right * (1 - share)
            colour = pick(rng, (painter.edge(style.hair), shade, light if style.medium != "line" else style.line))
            painter.ribbon(path[start:], rng.uniform(0.01, 0.04) * np.array([0.2, 1, 0.1]), colour, 0.12)


def _shine(painter: Painter, within: Array) -> None:
    style, rng = painter.style, painter.rng
    if style.medium == "line" or rng.random() < 0.4:
        return
    xs = np.linspace(-0.8, 0.8, 17)
    level = -painter.head.crown * rng.uniform(0.7, 0.85) + 0.25 * xs**2
    thick = rng.uniform(0.03, 0.12) * (1 + rng.uniform(-0.7, 0.7, 17))
    band = np.concatenate([np.column_stack([xs, level - thick]), np.column_stack([xs, level + thick])[::-1]])
    soft = 0.0 if style.medium == "cel" else 0.05
    painter.veil(painter.head.project(band, 0.15), mix(style.hair, WHITE, rng.uniform(0.4, 0.9)), 0.9, soft)


def paint_ears(painter: Painter, kind: str, *, low: bool) -> None:
    """Human ears beside the face (``low``), or those of a cat, fox, dog, rabbit or bear on the head."""
    head, style, rng = painter.head, painter.style, painter.rng
    for side in np.array([[-1.0, 1.0], [1.0, 1.0]]):
        if low:
            ear = smooth(
                np.array([[0.85, -0.2], [1.02, -0.28], [1.1, -0.05], [1.0, 0.25], [0.85, 0.3]]) * side, closed=True
            )
            painter.area(ear, style.skin, -0.3)
            painter.stroke(
                head.project((ear - ear.mean(axis=0)) * 0.5 + ear.mean(axis=0), -0.3)[3:18],
                painter.edge(style.skin),
                0.6,
            )
            continue
        top = -head.crown + 0.12
        spread, tall = rng.uniform(0.95, 1.05), {"cat": 0.6, "fox": 0.9, "dog": 0.7, "rabbit": 1.7, "bear": 0.4}[kind]
        shape = np.array([[0.2, top], [0.62 * spread, top - tall], [0.98, top + 0.45]])
        if kind == "dog":  # hanging
            shape = np.array([[0.55, top + 0.1], [1.05, top], [1.35, top + tall * 1.5], [0.95, top + tall * 1.2]])
        elif kind == "bear":
            shape = oval(np.array([0.72, top - 0.02]), (0.32, 0.34), 10)
        elif kind == "rabbit":
            shape = np.array([[0.2, top], [0.15, top - tall], [0.45, top - tall * 1.05], [0.65, top + 0.1]])
        ear = smooth(shape * side, closed=True, steps=4) if kind in ("dog", "bear", "rabbit") else shape * side
        colour = style.hair if head.kind == "human" else style.skin
        painter.area(ear, colour, -0.2)
        middle = ear.mean(axis=0)
        if kind != "dog":
            painter.area(
                (ear - middle) * 0.6 + middle + at(0, 0.05), mix(style.second, (240, 170, 170), 0.4), -0.2, line=0.4
            )


def paint_body(painter: Painter) -> None:
    """Neck, shoulders and clothes."""
    head, style, rng = painter.head, painter.style, painter.rng
    chin = head.points[2, 1]
    neck, wide = rng.uniform(0.28, 0.5), rng.uniform(1.0, 2.2)
    base = chin + rng.uniform(0.3, 0.7)
    shoulders = np.array(
        [
            [-wide, base + 0.7],
            [-wide * 0.75, base + 0.12],
            [-neck, base],
            [neck, base],
            [wide * 0.75, base + 0.12],
            [wide, base + 0.7],
            [wide, 6],
            [-wide, 6],
        ]
    )
    painter.area(np.concatenate([smooth(shoulders[:6]), shoulders[6:]]), style.cloth, -0.5)
    throat = np.array(
        [[-neck, 0.3], [neck, 0.3], [neck, base], [rng.uniform(0, 0.2), base + rng.uniform(0.1, 0.9)], [-neck, base]]
    )
    painter.area(throat, style.skin, -0.4)
    shade = np.array([[-neck, 0.3], [neck, 0.3], [neck, chin + 0.15], [0, chin + 0.3], [-neck, chin + 0.15]])
    if style.medium != "line":
        painter.area(shade, darker(style.skin, rng.uniform(0.7, 0.9)), -0.4, line=0)
    if rng.random() < 0.4:  # a collar, scarf or choker
        band = np.array(
            [
                [-neck - 0.1, base - 0.1],
                [neck + 0.1, base - 0.1],
                [neck + 0.2, base + 0.2],
                [0, base + 0.5],
                [-neck - 0.2, base + 0.2],
            ]
        )
        painter.area(band, pick(rng, (style.second, WHITE, style.cloth)), -0.35)


def paint_glasses(painter: Painter) -> None:
    """Frames around the eyes; they are seen through."""
    head, rng = painter.head, painter.rng
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
    head, style, rng = painter.head, painter.style, painter.rng
    colour, kind = pick(rng, (style.cloth, style.second)), rng.random()
    if kind < 0.45:
        brim, top = rng.uniform(-1.0, -0.6), -head.crown - rng.uniform(0.1, 0.5)
        turn = np.linspace(np.pi, 2 * np.pi, 16)
        dome = np.column_stack([np.cos(turn) * 1.18, brim + np.sin(turn) * (brim - top)])
        painter.area(dome, colour, 0.1, covers=True)
        edge = oval(np.array([0, brim]), (rng.uniform(1.2, 1.6), rng.uniform(0.08, 0.25)))
        painter.area(edge, darker(colour, 0.85), 0.2, covers=True)
    elif kind < 0.65:
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
    head, style, rng = painter.head, painter.style, painter.rng
    side = rng.choice([-1, 1])
    touch = np.array([side * rng.uniform(0.1, 0.9), rng.uniform(0.5, 1.2)])
    wrist = touch + at(side * rng.uniform(0.2, 0.9), rng.uniform(0.7, 1.4))
    along = (touch - wrist) / np.hypot(*(touch - wrist))
    across = np.array([-along[1], along[0]])
    thick, size = rng.uniform(0.1, 0.15), rng.uniform(0.7, 1.1)
    palm = touch - along * 0.1
    arm = np.array(
        [
            palm + across * 0.2 * size,
            palm - across * 0.2 * size,
            wrist - across * 0.25 - along,
            wrist + across * 0.25 - along,
        ]
    )
    parts = [arm, oval(palm, (0.28 * size, 0.28 * size), 14)]
    for step in np.linspace(-1, 1, 4):
        root = palm + across * 0.2 * size * step
        tip = root + (along * rng.uniform(0.25, 0.5) + across * step * rng.uniform(0, 0.15)) * size
        direction = (tip - root) / np.hypot(*(tip - root))
        normal = np.array([-direction[1], direction[0]]) * thick / 2 * size
        parts.append(
            smooth(
                np.array(
                    [
                        root + normal,
                        tip + normal * 0.8,
                        tip + direction * thick * 0.4,
                        tip - normal * 0.8,
                        root - normal,
                    ]
                ),
                steps=4,
            )
        )
    for part in parts[:2]:
        painter.stroke(head.project(part, 0.3), painter.edge(style.skin), 1.6, closed=True)
    for part in parts[:2]:
        painter.area(part, style.skin, 0.3, line=0, covers=True)
    for part in parts[2:]:
        painter.area(part, style.skin, 0.3, covers=True)
