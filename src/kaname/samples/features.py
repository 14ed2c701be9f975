"""Eyes, brows, nose, mouth and colour of a drawn face, exactly at the points of its head."""

from __future__ import annotations

import numpy as np

from .camera import Array, Colour, fill, pick, strokes
from .head import BROWS, CLOSED, LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE, at, mirrored, smooth
from .ink import BLACK, WHITE, Painter, darker, hsv, oval
from .painting import mix

THROUGH = 0.45  # opacity from which on a feature over the hair, or seen through it, is not hidden
LOWER_EDGE = np.array([[0, 0], [0, 1], [0, 1], [0, 1], [0, 0]]) * 0.018  # points lie at the outer edge of the lower lid


def paint_skin(painter: Painter) -> None:
    """The face itself with its shades, cheeks and markings."""
    head, style, rng = painter.head, painter.style, painter.own("skin")
    outline = face_outline(painter)
    painter.area(outline, style.skin)
    within = head.project(outline)
    shade = darker(style.skin, rng.uniform(0.75, 0.92))
    soft = rng.uniform(0.05, 0.2) * (style.medium != "cel")
    if style.medium != "line" and (side := painter.draws("side_shadow")).on:
        way, inner, outer = at(side.rng.choice([-1, 1]), 1), side.rng.uniform(0.2, 0.5), side.rng.uniform(0.5, 0.9)
        patch = np.array([[1.2, -0.8], [1.2, 1.3], [0, 1.3], [inner, 0.7], [outer, 0]])
        painter.veil(head.project(patch * way), shade, float(side.value), soft, within)
    if style.medium == "soft":  # light and shade melt into each other
        for colour in (shade, darker(mix(style.skin, (255, 170, 150), 0.5), 0.95), mix(style.skin, WHITE, 0.6)):
            patch = oval(rng.normal(0, [0.6, 0.5]), (rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9)))
            painter.veil(head.project(patch), colour, rng.uniform(0, 0.6), rng.uniform(0.15, 0.4), within)
        painter.veil(head.project(oval(np.array([0, -1.0]), (1.2, 0.7))), shade, rng.uniform(0, 0.8), 0.2, within)
    if head.kind == "beast":
        _markings(painter, within)
    if painter.draws("cheeks").on:
        _cheeks(painter, within)


def face_outline(painter: Painter) -> Array:
    """Contour and skull, closed; beasts may have tufts on the cheeks."""
    head = painter.head
    turn = np.linspace(0, np.pi, 14)[1:-1]
    skull = np.column_stack([np.cos(turn) * head.contour[-1, 0], -0.5 - np.sin(turn) * (head.crown - 0.5)])
    contour = head.contour
    if head.kind == "beast" and painter.own("tufted").random() < 0.4:
        painter.area(_tufts(painter), painter.style.skin, -0.1)
    return np.concatenate([contour, skull])


def _tufts(painter: Painter) -> Array:
    """Spikes of fur that stand out of the cheeks, behind the face's own outline."""
    rng, contour = painter.own("tufts"), painter.head.contour[6:-6]
    count = len(contour)
    out = 1 + np.where(np.arange(count) % 4 == 2, rng.uniform(0.08, 0.3), 0.0) * (np.abs(contour[:, 0]) > 0.35)
    return contour * np.column_stack([out, np.ones(count)])


def _markings(painter: Painter, within: Array) -> None:
    """Lighter muzzle, mask or cheeks."""
    head, rng, second = painter.head, painter.own("markings"), painter.style.second
    nose, mouth = head.points[23], head.points[24:28].mean(axis=0)
    soft = rng.choice([0.0, 0.03, 0.08])
    kind = rng.random()
    if kind < 0.35:  # the lower half
        patch = mirrored((0, rng.uniform(-0.3, 0.25)), (0.5, 0.35), (1.1, 0.3), (1.0, 1.5))[1:]
        painter.veil(head.project(smooth(patch, closed=True)), second, 1.0, soft, within)
    elif kind < 0.6:  # around the eyes
        for side in (-1, 1):
            patch = oval(np.array([0.5 * side, 0.0]), (rng.uniform(0.35, 0.5), rng.uniform(0.35, 0.55)))
            painter.veil(head.project(patch), second, 1.0, soft, within)
    if rng.random() < 0.3:  # a blaze
        patch = np.array([[-0.12, 0.2], [0.12, 0.2], [rng.uniform(0.1, 0.3), -1.3], [-rng.uniform(0.1, 0.3), -1.3]])
        painter.veil(head.project(patch), second, 1.0, soft, within)
    if head.muzzle:
        wide, high = rng.uniform(0.28, 0.5), (mouth[1] - nose[1]) * rng.uniform(0.8, 1.1) + 0.08
        centre = np.array([0, (mouth[1] + nose[1]) / 2 + 0.02])
        colour = second if rng.random() < 0.7 else painter.style.skin
        painter.area(oval(centre, (wide, high)), colour, head.muzzle * 0.7, line=float(rng.random() < 0.3), soft=soft)


def _cheeks(painter: Painter, within: Array) -> None:
    head, drawn = painter.head, painter.draws("cheeks")
    rng = drawn.rng
    red = hsv(rng.normal(0.98, 0.02), rng.uniform(0.3, 0.7), 1.0)
    red = mix(painter.style.skin, red, rng.uniform(0.4, 1))
    red = red if painter.style.medium != "line" else (200, 200, 200)
    level, wide = head.points[23, 1] + rng.uniform(-0.02, 0.12), rng.uniform(0.12, 0.26)
    strength, hatched = float(drawn.value), rng.random() < 0.2
    for side in (-1, 1):
        place = np.array([0.58 * side, level])
        painter.veil(head.project(oval(place, (wide, wide * 0.6))), red, strength, wide * 0.4, within)
        for step in range(3 * hatched):
            mark = place + np.array([(step - 1) * 0.08, 0]) + np.array([[0.03, -0.04], [-0.03, 0.04]])
            painter.stroke(head.project(mark), mix(red, (160, 40, 40), 0.5), 0.6)


def paint_nose(painter: Painter) -> None:
    """Its tip is point 23; many a face is drawn without, and the point is where it would be."""
    head, style, rng = painter.head, painter.style, painter.own("nose")
    tip, lift = head.points[23], head.lifts[23]
    ink = mix(style.skin, painter.edge(style.skin), 1 - rng.uniform(0, 0.6) ** 2)
    if head.kind == "beast" and rng.random() < 0.85:
        colour = pick(rng, (BLACK, (40, 30, 35), (220, 130, 140), (90, 60, 60)))
        wide = rng.uniform(0.05, 0.16)
        shape = mirrored((0.0, -wide * 0.85), (wide, -wide * 0.7), (wide * 0.3, wide * 0.5))[1:]
        painter.area(smooth(tip + shape, closed=True), colour, lift)
        if wide > 0.08:
            gloss = oval(tip + at(-0.02, -wide * 0.55), (wide * 0.3, wide * 0.15), 10)
            painter.area(gloss, mix(colour, WHITE, 0.6), lift, line=0)
        painter.stroke(head.project(np.array([tip + at(0, wide * 0.5), head.points[25]]), lift), ink)
        return
    kind = painter.draws("nose").value
    rng = painter.own(f"nose {kind}")
    if kind == "dot":
        size = rng.uniform(0.012, 0.03)
        painter.area(oval(tip, (size, size), 10), ink, lift, line=0)
    elif kind == "line":  # a short one that ends in the tip
        bend = rng.uniform(-0.05, 0.05)
        curve = np.array([tip + at(bend, -rng.uniform(0.05, 0.16)), tip])
        painter.ribbon(smooth(curve), np.array([0.005, 0.03]), ink, lift)
    elif kind == "shadow":
        shape = np.array([[-0.03, -0.03], [0.03, -0.03], [0.0, 0.05]]) * rng.uniform(0.7, 1.8)
        painter.area(tip + shape, darker(style.skin, 0.7), lift, line=0, opacity=rng.uniform(0.5, 1), soft=0.01)
    elif kind == "underside":
        wide = rng.uniform(0.03, 0.09)
        curve = smooth(tip + np.array([[-wide, -0.03], [0, 0], [wide, -0.03]]))
        painter.ribbon(curve, np.array([0.005, 0.025, 0.005]), ink, lift)
    if rng.random() < 0.2:
        painter.area(oval(tip - at(0, 0.04), (0.02, 0.025), 10), WHITE, lift, line=0, opacity=0.7)


def paint_mouth(painter: Painter) -> None:
    """Corners at points 24 and 26, lips' middles at 25 and 27."""
    head, style, rng = painter.head, painter.style, painter.own("lips")
    left, upper, right, lower = head.points[24:28]
    lift = head.lifts[24]
    ink = painter.edge(mix(style.skin, (160, 40, 40), rng.uniform(0, 0.6)))
    if head.mouth == "cat":
        middle = (left + upper) / 2, (right + upper) / 2
        down = rng.uniform(0.04, 0.09)
        curve = smooth(np.array([left, middle[0] + at(0, down), upper, middle[1] + at(0, down), right]))
        painter.ribbon(curve, np.full(2, style.width * 1.2), ink, lift)
    elif head.mouth == "line":
        curve = smooth(np.array([left, (upper + lower) / 2, right]), steps=8)
        painter.ribbon(curve, style.width * np.array([0.5, 1.4, 1.4, 0.5]), ink, lift)
        if rng.random() < 0.15:  # a lower lip
            painter.stroke(head.project(lower + np.array([[-0.05, 0.06], [0.05, 0.06]]), lift), ink, 0.5)
    else:
        _open_mouth(painter, ink)


def _open_mouth(painter: Painter, ink: Colour) -> None:
    head, rng = painter.head, painter.draws("mouth_open").rng
    left, upper, right, lower = head.points[24:28]
    lift = head.lifts[24]
    bulge = rng.uniform(0.55, 0.95)
    below = [right + (lower - right) * [0.35, bulge], lower, left + (lower - left) * [0.35, bulge]]
    top, bottom = smooth(np.array([left, upper, right])), smooth(np.array([right, *below, left]))
    lips = np.concatenate([top, bottom[1:-1]])
    inside = hsv(rng.normal(0.98, 0.02), rng.uniform(0.3, 0.75), rng.uniform(0.4, 1.0))
    if painter.style.medium == "line":
        inside = pick(painter.own("inked mouth"), (WHITE, BLACK, (120, 120, 120)))
    painter.area(lips, inside, lift, line=0)
    within, gap = head.project(lips, lift), lower[1] - upper[1]
    if rng.random() < 0.6:  # tongue
        tongue = oval(lower, ((right[0] - left[0]) * 0.3, gap * rng.uniform(0.2, 0.5)))
        painter.veil(head.project(tongue, lift), mix(inside, (255, 150, 150), 0.6), 1.0, 0, within)
    kind = rng.random()
    if kind < 0.35:  # teeth
        teeth = np.concatenate([top, top[::-1] + at(0, gap * rng.uniform(0.2, 0.35))])
        painter.veil(head.project(teeth, lift), WHITE, 1.0, 0, within)
    elif kind < 0.5:  # a fang
        root = upper + at((right[0] - left[0]) * rng.choice([-0.25, 0.25]), 0)
        fang = root + np.array([[-0.04, -0.01], [0.04, -0.01], [0, 0.08]])
        painter.area(fang, WHITE, lift, line=0.5)
    bare = rng.random() < 0.4 and painter.style.medium == "soft"  # painted: a line above only
    painter.stroke(head.project(top, lift) if bare else within, ink, 1.0, closed=not bare)


def paint_brows(painter: Painter, opacity: float) -> None:
    """Ribbons along points 5 to 10; whatever they are painted over, they are seen if they are strong enough."""
    head, style, rng = painter.head, painter.style, painter.own("brows' look")
    colour = mix(darker(style.hair, 0.6), style.line, rng.uniform(0, 1))
    if style.medium == "line":
        colour = style.line
    thick, taper = float(painter.draws("brow_width").value) * rng.uniform(0.6, 1.4), rng.uniform(0.3, 1)
    for names in (LEFT_BROW, RIGHT_BROW):
        curve = smooth(head.points[list(names)])
        painter.ribbon(curve, thick * np.array([0.2, 0.8, 1, taper]), colour, BROWS, opacity)
        if opacity > THROUGH:
            strokes(painter.cover, [head.project(curve, BROWS)], 0, 3)


def paint_eyes(painter: Painter) -> None:
    """Both eyes, alike but for what each does."""
    rng = painter.own("eyes' look")
    look = {
        "gaze": rng.normal(0, [0.05, 0.03]),
        "iris": (rng.uniform(0.6, 1.0), rng.uniform(0.97, 1.2) if rng.random() < 0.8 else rng.uniform(0.75, 0.97)),
        "pupil": rng.choice(["round", "none", "slit", "ring"], p=[0.55, 0.15, 0.15, 0.15]),
        "simple": painter.draws("simple_eyes").on,
        "lash": rng.uniform(0.03, 0.11),
        "wing": rng.uniform(0.0, 0.12),
        "light": rng.random() < 0.9,
        "lower": rng.uniform(0, 0.035),
        "crease": rng.random() < 0.5,
        "wrap": int(rng.integers(2, 9)),  # how far the upper lashes go around the outer corner
        "spikes": max(0, int(rng.integers(-3, 4))),
        "side": rng.choice([-1, 1]),
        "sclera": mix(WHITE, painter.style.skin if rng.random() < 0.5 else (200, 205, 225), rng.uniform(0, 0.8)),
        "shadow": rng.uniform(0.12, 0.3),
        "ink": mix(painter.style.line, painter.style.iris[0], rng.uniform(0, 0.5)),
    }
    for names, state, mirror in zip((LEFT_EYE, RIGHT_EYE), painter.head.eyes, (1, -1), strict=True):
        shape = painter.head.points[list(names)]
        if state == "open":
            _open_eye(painter, shape, mirror, look)
        else:
            widths = look["lash"] * np.array([0.3, 0.8, 0.8, 0.3])
            painter.ribbon(smooth(shape[:3], steps=CLOSED), widths, look["ink"])


def _open_eye(painter: Painter, shape: Array, mirror: int, look: dict) -> None:
    """``shape``: outer, top, inner of the upper lid, then of the lower one."""
    head, style = painter.head, painter.style
    upper, lower = smooth(shape[:3], steps=8), smooth(shape[[0, 3, 4, 5, 2]] - LOWER_EDGE, steps=6)
    opening = np.concatenate([upper, lower[::-1][1:-1]])
    within = head.project(opening)
    high, wide = shape[4, 1] - shape[1, 1], abs(shape[2, 0] - shape[0, 0])
    dark = style.iris[0]
    if look["simple"]:
        fill(painter.image, within, dark)
    else:
        fill(painter.image, within, look["sclera"])
        centre = np.array([(shape[1, 0] + shape[4, 0]) / 2, (shape[1, 1] + shape[4, 1]) / 2]) + look["gaze"] * [1, high]
        radii = (min(wide * look["iris"][0], high * 1.05) / 2, high * look["iris"][1] / 2)
        _iris(painter, centre, radii, within, look["pupil"])
        shadow = np.concatenate([upper, upper[::-1] + at(0, high * look["shadow"])])
        painter.veil(head.project(shadow), mix(dark, BLACK, 0.5), 0.45 if style.medium != "line" else 0.15, 0, within)
    if look["light"]:
        middle = (shape[1] + shape[4]) / 2
        for shift, size in (((0.12 * look["side"], -0.2), 0.13), ((-0.12 * look["side"], 0.22), 0.07)):
            spot = oval(middle + np.array(shift) * [wide, high], (size * wide * 0.8, size * high))
            painter.veil(head.project(spot), WHITE, 0.95, 0, within)
    out = np.sign(shape[0, 0]) * look["wing"]
    lash = np.concatenate([[shape[0] + at(out, -abs(out) * 0.4)] if look["wing"] > 0.03 else [shape[0]], upper[1:]])
    drop = np.array([0, look["lash"] * -0.1])
    painter.ribbon(lash + drop, look["lash"] * np.array([0.15, 1, 1.1, 0.8, 0.35]), look["ink"])
    painter.ribbon(lower[5:-5], look["lower"] * np.array([0.2, 1, 0.2]), look["ink"])
    painter.ribbon(lower[: look["wrap"]], look["lash"] * np.array([0.8, 0.4, 0.0]), look["ink"])
    for spike in upper[1 : 1 + look["spikes"]]:
        tip = spike + at(np.sign(shape[0, 0]) * 0.09, -0.05)
        painter.ribbon(
            np.array([spike, (spike + tip) / 2 + at(0, 0.01), tip]), np.array([0.04, 0.02, 0.0]), look["ink"]
        )
    if look["crease"]:
        crease = (upper - shape[1]) * [0.9, 0.7] + shape[1] - at(0, 0.05 + look["lash"] * 0.6)
        painter.stroke(head.project(crease[2:-2]), painter.edge(style.skin), 0.6)


def _iris(painter: Painter, centre: Array, radii: tuple[float, float], within: Array, pupil: str) -> None:
    """From a dark rim and top to a light foot."""
    project, (dark, light) = painter.head.project, painter.style.iris
    wide, high = radii
    painter.veil(project(oval(centre, radii)), dark, 1.0, 0, within)
    for step in np.linspace(0, 1, 4):
        ring = oval(
            centre + at(0, high * (0.08 + 0.3 * step)), (wide * (0.9 - 0.25 * step), high * (0.85 - 0.42 * step))
        )
        painter.veil(project(ring), mix(dark, light, 0.35 + 0.65 * step), 1.0, 0, within)
    black = mix(dark, BLACK, 0.6)
    if pupil == "round":
        painter.veil(project(oval(centre, (wide * 0.42, high * 0.42))), black, 0.9, 0, within)
    elif pupil == "slit":
        painter.veil(project(oval(centre, (wide * 0.14, high * 0.7))), black, 0.95, 0, within)
    elif pupil == "ring":
        painter.stroke(project(oval(centre, (wide * 0.45, high * 0.4))), black, 0.8, closed=True)
