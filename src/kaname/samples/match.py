"""One tennis match as a broadcaster shows it: court, onlookers, lens, graphics; and how a ball looks in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..data.randomness import generator
from ..geometry.grid import centres
from ..types import Image, Size
from . import rally
from .camera import Array, Colour, blend, pick, whole
from .court import View, aim, letter, paint_venue
from .lettering import maker
from .players import SHIRTS, Cover, Kit, Part, capsule, dress, figure, paint

RATE = 30  # frames per second
MARGIN = 0.08  # how much more than the picture is painted on each side, for the camera to turn


@dataclass(frozen=True)
class Match:
    """What all clips of one match share: the court as the camera sees it, the players, the ball, light and lens."""

    view: View  # the camera at rest
    stage: View  # the view of the canvas, which reaches beyond the picture
    canvas: Image  # everything that stands still, RGB
    net: NDArray[np.uint8]  # cover 0..255 of the net on the canvas
    kits: dict[int, Kit]  # looks of the near (-1) and the far player (1)
    colour: Colour  # of the ball
    swell: float  # how much larger than life the ball is drawn; television sharpens it up, too
    sigma: float  # of the lens, pixels
    exposure: float  # seconds
    noise: float  # standard deviation in grey levels
    tone: NDArray[np.uint8]  # (256, 1): brightness and contrast of the broadcast
    sun: Array  # (2,) metres that the shadow of something one metre high reaches
    graphics: Sequence[tuple[int, int, Image, Cover]]  # laid over the picture: corner (x, y), colours, opacity 0..1

    def ball_radius(self, view: View, place: Array) -> float:
        """Radius in pixels of a ball at a place ``(3,)`` of the world; small pictures still show something."""
        return max(0.75, rally.RADIUS * self.swell * view.pixels(place))


@lru_cache(maxsize=24)
def stage_match(seed: int, game: int, size: Size, *, plain: bool) -> Match:
    """Everything about match ``game``, which depends on ``(seed, game, size, plain)`` alone."""
    rng = generator(seed, 0, game, "match")
    view = aim(rng, size, plain=plain)
    sigma = max(0.45, rng.uniform(0.55, 0.9) * size[1] / 1280)
    kits = {-1: dress(rng), 1: dress(rng)}
    green = rng.uniform(0.25, 1.0)  # from nearly white to optic yellow
    colour = whole(255 + (c - 255) * green for c in (222, 248, 110))
    gamma, gain = (1.0, 1.0) if plain else np.exp(rng.normal(0, [0.12, 0.06]))
    tone = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)[:, None]
    exposure = rng.uniform(0.1, 0.2) if plain else rng.uniform(0.25, 0.7)
    fine = 2 if size[1] <= 800 else 1  # small pictures are painted finer, for lines thinner than a pixel
    venue = paint_venue(rng, view.canvas(MARGIN, fine), plain=plain)
    stage = view.canvas(MARGIN, 1)
    layers = [cv2.resize(layer, stage.size[::-1], interpolation=cv2.INTER_AREA) for layer in (venue.image, venue.net)]
    canvas = cv2.GaussianBlur(layers[0], (0, 0), max(0.3, sigma * 0.8))
    sun = rng.uniform(-1, 1, 2) * [1.0, 0.5]
    graphics = [] if plain else _graphics(rng, size)
    swell = 4.0 if plain else rng.uniform(1.1, 1.4)
    noise = rng.uniform(0.4, 1) if plain else rng.uniform(0.6, 3.5)
    lens = (swell, sigma, exposure / RATE, noise, tone)
    match = Match(view, stage, canvas, layers[1], kits, colour, *lens, sun, graphics)
    if not plain:
        _furnish(rng, match)
    return match


def _furnish(rng: Generator, match: Match) -> None:
    """Onlookers beside the court, and sometimes balls lying about: none of them is the ball."""
    far = rally.BACK_WALL
    spots = [(x, far - 0.4) for x in rng.uniform(-8, 8, int(rng.integers(0, 5)))]
    spots += [(x * rng.uniform(7.0, 8.6), y) for x in (-1, 1) for y in rng.uniform(-9, 10, int(rng.integers(0, 2)))]
    uniform = pick(rng, SHIRTS), pick(rng, SHIRTS[:4])
    for x, y in sorted(spots, key=lambda spot: -spot[1]):
        kit = dress(rng, uniform)
        shadow(match.canvas, match.stage, np.array([x, y]), match.sun, match.sigma)
        paint(match.canvas, figure(match.stage, kit, np.array([x, y]), 1, 0.0, np.zeros(2)), match.sigma)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.5 else 0):
        place = np.array([rng.uniform(-7, 7), rng.choice([0.4, -0.4, far - 1, rng.uniform(-16, 16)]), rally.RADIUS])
        point = match.stage.project(place[None])
        stamp_ball(match.canvas, point, match.ball_radius(match.stage, place), match.sigma, match.colour)


def _graphics(rng: Generator, size: Size) -> list[tuple[int, int, Image, Cover]]:
    """A scoreboard with names, numbers and the dot of who serves, and a station's logo."""
    height, width = size
    shown: list[tuple[int, int, Image, Cover]] = []
    if rng.random() < 0.85:
        tall, wide = max(6, int(height * 0.09)), max(12, int(width * rng.uniform(0.16, 0.24)))
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
        shown.append((x, y, board, np.full((tall, wide), rng.uniform(0.8, 1), np.float32)))
    if rng.random() < 0.7:
        tall, wide = max(5, int(height * 0.05)), max(10, int(width * 0.09))
        sign, cover = np.full((tall, wide, 3), 250, np.uint8), np.zeros((tall, wide, 3), np.uint8)
        letter(cover, maker(rng), np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]]), (255, 255, 255))
        share = cover[..., 0].astype(np.float32) * np.float32(rng.uniform(0.4, 0.9) / 255)
        shown.append((int(width * 0.88), int(height * 0.05), sign, share))
    return [(x, y, layer[: height - y, : width - x], share[: height - y, : width - x]) for x, y, layer, share in shown]


def ball_cover(path: Array, radius: float, sigma: float, size: Size) -> tuple[int, int, Cover]:
    """Where and how much a moving ball covers the picture: a disc, moved along a path, seen through a soft lens.

    The disc is filled with points, each a Gaussian; the exact centre of the cover is the mean of the path.

    Args:
        path: ``(K, 2)`` centres at even moments of the exposure, continuous pixels.
        radius: pixels.
        sigma: of the lens, pixels.
        size: ``(height, width)`` of the picture.

    Returns:
        The corner ``x, y`` of a patch inside the picture, and the cover 0..1 of its pixels (empty: outside).
    """
    count = int(np.clip(4 * (radius / sigma) ** 2, 16, 200))
    turn, away = np.arange(count) * np.pi * (3 - 5**0.5), radius * np.sqrt(centres(count) / count)
    disc = np.stack([away * np.cos(turn), away * np.sin(turn)], axis=1)
    points = (path[:, None] + disc - disc.mean(axis=0)).reshape(-1, 2)
    reach = radius + 4 * sigma
    low = np.maximum(np.floor(path.min(axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(path.max(axis=0) + reach), [size[1], size[0]]).astype(int)
    if (high <= low).any():
        return 0, 0, np.zeros((0, 0), np.float32)
    across, down = (centres(high[axis] - low[axis]) + low[axis] for axis in (0, 1))
    bells = [np.exp(-((at[:, None] - points[:, axis]) ** 2) / (2 * sigma**2)) for axis, at in ((0, across), (1, down))]
    share = radius**2 / (2 * sigma**2 * len(points))  # the disc's area, spread over all points
    return int(low[0]), int(low[1]), np.minimum((bells[1] @ bells[0].T) * share, 1).astype(np.float32)


def stamp_ball(image: Image, path: Array, radius: float, sigma: float, colour: Colour, strength: float = 1.0) -> None:
    """Paint a ball (or, with less strength, its shadow) that nothing covers."""
    x, y, cover = ball_cover(path, radius, sigma, (image.shape[0], image.shape[1]))
    region = image[y : y + cover.shape[0], x : x + cover.shape[1]]
    blend(region, colour, cover * np.float32(strength), rounded=True)


def shadow(image: Image, view: View, place: Array, sun: Array, sigma: float) -> None:
    """The shadow of somebody at ``place`` on the ground."""
    tip = place + sun * 1.6
    ends = view.project(np.array([[*place, 0.0], [*tip, 0.0]]))
    radius = 0.22 * view.pixels(np.array([*place, 0.0]))
    paint(image, [Part(capsule(ends[0], ends[1], radius, radius * 0.7), (12, 14, 20))], max(sigma, radius * 0.25), 0.4)
