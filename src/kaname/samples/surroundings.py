"""What stands, lies, flies and is shown around a match without being the ball: people, things, graphics."""

from __future__ import annotations

import cv2
import numpy as np

from ..types import Image, Size
from . import rally
from .axes import Drawn, Draws
from .ball import ball_radius, shadow, stamp_ball
from .camera import CIRCLE, Array, Colour, fill_convex, pick, whole
from .court import View, letter
from .lettering import maker
from .painting import mix
from .players import SHIRTS, Cover, dressed, figure, paint

Layer = tuple[int, int, Image, Cover]  # laid over the picture: corner (x, y), colours, opacity 0..1


def furnish(draws: Draws, canvas: Image, stage: View, sun: Array, sigma: float, ball: Colour) -> None:
    """Paint onlookers, furniture and balls that lie about: none of them is the ball."""
    far, people = rally.BACK_WALL, draws("onlookers")
    things = draws("furniture")
    for _ in range(round(things.value)):
        _thing(things, canvas, stage)
    rng = people.rng
    uniform = pick(rng, SHIRTS), pick(rng, SHIRTS[:4])
    spots = []
    for _ in range(round(people.value)):
        behind = rng.random() < 0.65
        beside = float(rng.choice([-1, 1])) * rng.uniform(7.0, 8.6), float(rng.uniform(-9, 10))
        spots.append((float(rng.uniform(-8, 8)), far - 0.4) if behind else beside)
    for number, (x, y) in enumerate(sorted(spots, key=lambda spot: -spot[1])):
        kit, place = dressed(draws, f"onlooker {number}", uniform), np.array([x, y])
        shadow(canvas, stage, place, sun, sigma, float(draws("cast").value))
        paint(canvas, figure(stage, kit, place, 1, 0.0, np.zeros(2)), sigma)
    lying = draws("balls")
    for _ in range(round(lying.value)):
        y = lying.rng.choice([0.4, -0.4, far - 1, lying.rng.uniform(-16, 16)])
        place = np.array([lying.rng.uniform(-7, 7), y, rally.RADIUS])
        radius = ball_radius(stage, place, float(draws("swell").value))
        stamp_ball(canvas, stage.project(place[None]), radius, sigma, ball)


def _thing(drawn: Drawn, canvas: Image, stage: View) -> None:
    """A box, bench, bag, parasol, towel or clock beside the court or before the wall."""
    rng = drawn.rng
    x, y = float(rng.choice([-1, 1])) * rng.uniform(6.6, 9.0), float(rng.uniform(-8, 12))
    if rng.random() < 0.3:
        x, y = float(rng.uniform(-9, 9)), rally.BACK_WALL + 0.4
    colour = whole(rng.integers(0, 256, 3)) if rng.random() < 0.6 else pick(rng, ((245, 245, 245), (20, 25, 40)))
    wide, high, low = rng.uniform(0.2, 1.2), rng.uniform(0.2, 1.2), 0.0
    kind = pick(rng, ("box", "box", "bench", "parasol", "clock", "towel"))
    if kind == "parasol":
        pole = stage.upright(y, (x - 0.03, x + 0.03), (0, 2.3))
        fill_convex(canvas, pole, (210, 210, 210))
        top = np.array([[x - 1, y, 2.1], [x, y, 2.6], [x + 1, y, 2.1]])
        fill_convex(canvas, stage.project(top), colour)
        return
    if kind == "bench":
        wide, high, low = rng.uniform(0.8, 1.6), rng.uniform(0.6, 0.9), 0.3
    elif kind == "towel":
        wide, high = rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.3)
    fill_convex(canvas, stage.upright(y, (x - wide / 2, x + wide / 2), (low, high)), colour)
    corners = np.array([[-wide, 0], [wide, 0], [wide, 1.2 * wide], [-wide, 1.2 * wide]]) / 2
    above = np.column_stack([corners + np.array([x, y]), np.full(4, high)])
    fill_convex(canvas, stage.project(above), mix(colour, (255, 255, 255), 0.25))
    if kind == "clock":
        middle = stage.project(np.array([[x, y, high * 0.6]]))
        ring = middle + CIRCLE * 0.3 * min(wide, high) * stage.pixels(np.array([x, y, high]))
        fill_convex(canvas, ring, (245, 245, 235))


def graphics(draws: Draws, size: Size) -> list[Layer]:
    """A scoreboard, a station's logo, a line of text, and spots on the lens."""
    height, width = size
    shown: list[Layer] = []
    for name, make in (("score", _score), ("logo", _logo), ("ticker", _ticker), ("lens_spots", _spots)):
        if (drawn := draws(name)).on:
            shown += make(drawn, size)
    return [(x, y, layer[: height - y, : width - x], share[: height - y, : width - x]) for x, y, layer, share in shown]


def _score(drawn: Drawn, size: Size) -> list[Layer]:
    """Names, numbers and the dot of who serves."""
    (height, width), rng = size, drawn.rng
    tall, wide = max(6, int(height * rng.uniform(0.06, 0.11))), max(12, int(width * rng.uniform(0.16, 0.24)))
    board = np.empty((tall, wide, 3), np.uint8)
    board[:] = rng.integers(10, 90, 3)
    board[:, int(wide * 0.86) :] = rng.integers(60, 240, 3)
    for line in (0, 1):
        top, bottom = (line * tall / 2 + share * tall / 2 for share in (0.25, 0.75))
        texts = (maker(rng), str(rng.integers(7)), str(rng.integers(5) * 10))
        for text, (left, right) in zip(texts, ((0.06, 0.5), (0.78, 0.83), (0.88, 0.97)), strict=True):
            x0, x1 = left * wide, right * wide
            quad = np.array([[x0, top], [x1, top], [x1, bottom], [x0, bottom]])
            letter(board, text, quad, (245, 245, 245))
    dot = np.array([[wide * 0.7, tall * rng.choice([0.25, 0.75])]])
    stamp_ball(board, dot, max(0.8, tall * 0.05), 0.5, (240, 230, 40))
    x = int(width * rng.uniform(0.04, 0.1)) if rng.random() < 0.8 else int(width * 0.72)
    y = int(height * rng.uniform(0.8, 0.88)) if rng.random() < 0.75 else int(height * 0.04)
    return [(x, y, board, np.full((tall, wide), rng.uniform(0.8, 1), np.float32))]


def _logo(drawn: Drawn, size: Size) -> list[Layer]:
    """Letters that are seen through, in a corner."""
    (height, width), rng = size, drawn.rng
    tall, wide = max(5, int(height * 0.05)), max(10, int(width * 0.09))
    sign, cover = np.full((tall, wide, 3), 250, np.uint8), np.zeros((tall, wide, 3), np.uint8)
    letter(cover, maker(rng), np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]]), (255, 255, 255))
    share = cover[..., 0].astype(np.float32) * np.float32(rng.uniform(0.4, 0.9) / 255)
    return [(int(width * (0.88 if rng.random() < 0.7 else 0.03)), int(height * 0.05), sign, share)]


def _ticker(drawn: Drawn, size: Size) -> list[Layer]:
    """Words in a bar along the lower edge."""
    (height, width), rng = size, drawn.rng
    tall = max(6, int(height * rng.uniform(0.04, 0.07)))
    bar = np.empty((tall, width, 3), np.uint8)
    bar[:] = rng.integers(0, 256, 3)
    ink = (20, 20, 25) if bar[0, 0].mean() > 120 else (245, 245, 245)
    for left in np.arange(0.02, 0.95, 0.12) * width:
        quad = np.array([[left, 0.2], [left + 0.1 * width, 0.2], [left + 0.1 * width, 0.8], [left, 0.8]]) * [1, tall]
        letter(bar, maker(rng), quad, ink)
    return [(0, height - tall, bar, np.full((tall, width), rng.uniform(0.7, 1), np.float32))]


def _spots(drawn: Drawn, size: Size) -> list[Layer]:
    """Drops and dust on the lens: soft, dark or bright, always in the same place."""
    (height, width), rng = size, drawn.rng
    layers: list[Layer] = []
    for _ in range(round(drawn.value)):
        side = max(5, int(width * rng.uniform(0.008, 0.05)))
        share = np.zeros((side, side), np.float32)
        cv2.circle(share, (side // 2, side // 2), max(1, side // 3), float(rng.uniform(0.1, 0.5)), -1)
        share = cv2.GaussianBlur(share, (0, 0), max(0.5, side / 8))
        tone = int(rng.choice([20, 200]))
        place = int(rng.uniform(0, width - side)), int(rng.uniform(0, height - side))
        layers.append((*place, np.full((side, side, 3), tone, np.uint8), share))
    return layers
