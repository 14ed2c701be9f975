"""The ground of a tennis court from above: its colours, what it is made of, and what lies on it."""

from __future__ import annotations

from colorsys import hsv_to_rgb

import cv2
import numpy as np

from ..types import Image
from .axes import Draws
from .background import clouds
from .camera import Colour, blend, fill_convex, pick, strokes, whole
from .painting import mix
from .rally import HALF_LENGTH, HALF_WIDTH
from .weather import times

# court and surroundings
HARD = (((58, 110, 168), (58, 96, 150)), ((62, 97, 160), (118, 148, 116)), ((90, 80, 150), (86, 140, 110)),
        ((74, 124, 96), (150, 84, 70)), ((70, 130, 160), (60, 80, 120)))  # fmt: skip
CLAY = (((188, 104, 66), (180, 98, 62)), ((200, 122, 84), (192, 116, 80)), ((172, 92, 58), (172, 92, 58)))
GRASS = (((104, 142, 66), (84, 124, 58)), ((120, 150, 80), (112, 142, 74)))
Surface = tuple[Colour, Colour]  # of the court and of what lies around it
Room = tuple[float, float, float, float]  # metres to the side, nearest and farthest y, height of the back wall


def draw_colours(draws: Draws) -> Surface:
    """Of the court and of what lies around it. Without axes blue on blue: nothing has the colour of a ball."""
    kind, scheme = draws("surface"), draws("scheme")
    if kind.value == "any":
        hues, strengths, values = kind.rng.uniform([[0.0], [0.05], [0.25]], [[1.0], [0.7], [0.85]], (3, 2)).tolist()
        colours = zip(hues, strengths, values, strict=True)
        court, around = (whole(255 * share for share in hsv_to_rgb(*one)) for one in colours)
    else:
        usual = {"hard": HARD, "clay": CLAY, "grass": GRASS}[kind.value]
        court, around = pick(scheme.rng, usual) if scheme.on else usual[0]
    tone = draws("shade_of_ground")
    shades = float(tone.value) * np.exp(tone.rng.normal(0, 0.05, 2)) if tone.on else (1.0, 1.0)
    court, around = (np.minimum(np.array(c) * s, 255) for c, s in zip((court, around), shades, strict=True))
    return whole(court), whole(around)


def paint_ground(draws: Draws, pixels: int, surface: Surface, room: Room) -> Image:
    """The ground from above, for a picture ``pixels`` wide: colours, wear, stripes, marks, the edge of a shadow."""
    side, low, far, _ = room
    scale = float(np.clip(pixels / 60, 6, 28))
    height, width = int((far - low) * scale), int(2 * side * scale)
    court, around = surface
    image = np.full((height, width, 3), around, np.uint8)

    def spot(x: float, y: float) -> tuple[int, int]:
        return int((x + side) * scale), int((far - y) * scale)

    cv2.rectangle(image, spot(-HALF_WIDTH, HALF_LENGTH), spot(HALF_WIDTH, -HALF_LENGTH), court, -1)
    if (mown := draws("stripes")).on:
        wide = mown.rng.uniform(0.8, 1.6)
        for x in np.arange(-side, side, 2 * wide):
            left, right = spot(x, 0)[0], spot(x + wide, 0)[0]
            if left < min(right, width):  # the last one may begin at the very edge
                image[:, left:right] = cv2.convertScaleAbs(image[:, left:right], alpha=float(mown.value))
    texture, fine = draws("texture"), draws("grain")
    light = 1 + np.float32(texture.value) * clouds(draws.own("ground"), (height, width), 6, 5)
    if fine.on:
        light += np.float32(fine.value) * clouds(fine.rng, (height, width), 60, 2)
    if (wear := draws("wear")).on:
        earth = (170, 140, 95) if draws("surface").value == "grass" else mix(court, (255, 225, 190), 0.3)
        for end in (-1, 1):  # worn earth or dragged sand where the players stand
            x, y = spot(wear.rng.normal(0, 0.4), end * 12.2)
            worn = np.zeros((height, width), np.uint8)
            cv2.ellipse(worn, (x, y), (int(4.2 * scale), int(1.5 * scale)), 0, 0, 360, 255, -1)
            worn = cv2.blur(worn, (k := int(2 * scale) | 1, k)).astype(np.float32) / 255
            blend(image, earth, worn * np.float32(wear.value))
    if (shade := draws("stand_shadow")).on:  # over part of the ground
        rng = shade.rng
        edge = rng.uniform(-HALF_WIDTH, HALF_WIDTH) if rng.random() < 0.6 else side
        slope = rng.normal(0, 0.25)
        x0, x1 = spot(edge - slope * 20, 0)[0], spot(edge + slope * 20, 0)[0]
        dark = np.zeros((height, width), np.uint8)
        cv2.fillPoly(dark, [np.array([[-9, 0], [x0, 0], [x1, height], [-9, height]])], 255)
        dark = cv2.GaussianBlur(dark, (0, 0), rng.uniform(0.05, 0.6) * scale).astype(np.float32) / 255
        light -= dark * np.float32(shade.value)
    return times(_littered(draws, image, scale), np.maximum(light, 0))


def _littered(draws: Draws, ground: Image, scale: float) -> Image:
    """The ground with scuffs, prints of balls, leaves and scraps, ``scale`` pixels a metre."""
    height, width = ground.shape[:2]
    marks, litter = draws("marks"), draws("litter")
    for _ in range(round(marks.value)):
        rng, start = marks.rng, marks.rng.uniform(0, [width, height])
        tone, share = (15, 15, 18) if rng.random() < 0.5 else (235, 230, 215), rng.uniform(0.1, 0.5)
        end = start + rng.normal(0, [0.3 * scale, 0.8 * scale])
        colour = mix(whole(ground[int(start[1]), int(start[0])]), tone, share)
        strokes(ground, [np.array([start, end])], colour, max(1, round(rng.uniform(0.02, 0.12) * scale)))
    for _ in range(round(litter.value)):
        rng, place = litter.rng, litter.rng.uniform(0, [width, height])
        reach = rng.uniform(0.03, 0.15, 2) * scale
        box = cv2.boxPoints(((place[0], place[1]), (reach[0], reach[1]), rng.uniform(0, 180)))
        fill_convex(ground, box, pick(rng, ((150, 110, 50), (110, 130, 60), (230, 230, 225), (90, 60, 40))))
    return ground
