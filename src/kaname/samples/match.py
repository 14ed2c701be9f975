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
from ..types import Image, Size
from .axes import Draws
from .ball import ball_radius
from .camera import Array, Colour, whole
from .court import View, aim, paint_venue
from .match_axes import AXES, PLAIN
from .players import Cover, Kit, dressed
from .surroundings import furnish, graphics
from .weather import bell, even_bytes, times

RATE = 30  # frames per second
MARGIN = 0.08  # how much more than the picture is painted on each side, for the camera to turn
ROOM = 48  # pixels by which the noise is larger than a frame


@dataclass(frozen=True)
class Match:
    """What all clips of one match share: the court as the camera sees it, the players, the ball, light and lens."""

    draws: Draws  # its axes
    view: View  # the camera at rest
    stage: View  # the view of the canvas, which reaches beyond the picture
    canvas: Image  # everything that stands still, RGB
    net: NDArray[np.uint8]  # cover 0..255 of the net on the canvas
    kits: dict[int, Kit]  # looks of the near (-1) and the far player (1)
    colour: Colour  # of the ball
    swell: float  # how much larger than life the ball is drawn; television sharpens it up, too
    sigma: float  # of the lens, pixels
    exposure: float  # seconds
    grain: NDArray[np.uint8]  # noise around 128, larger than a frame by ``ROOM``
    tone: NDArray[np.uint8]  # (1, 256) or (1, 256, 3): brightness, contrast and colour of the broadcast
    sun: Array  # (2,) metres that the shadow of something one metre high reaches
    graphics: Sequence[tuple[int, int, Image, Cover]]  # laid over the picture: corner (x, y), colours, opacity 0..1

    def ball_radius(self, view: View, place: Array) -> float:
        """Radius in pixels of a ball at a place ``(3,)`` of the world; small pictures still show something."""
        return ball_radius(view, place, self.swell)


@lru_cache(maxsize=24)
def stage_match(seed: int, game: int, size: Size, without: frozenset[str], *, plain: bool) -> Match:
    """Everything about match ``game``, which depends on the arguments alone; ``without`` are names of axes."""
    draws = draw_axes(generator(seed, 0, game, "match"), without, plain=plain)
    view = aim(draws, size)
    sigma = max(0.45, float(draws("focus").value) * size[1] / 1280)
    fine = 2 if size[1] <= 800 else 1  # small pictures are painted finer, for lines thinner than a pixel
    venue = paint_venue(draws, view.canvas(MARGIN, fine))
    stage = view.canvas(MARGIN, 1)
    layers = [cv2.resize(layer, stage.size[::-1], interpolation=cv2.INTER_AREA) for layer in (venue.image, venue.net)]
    canvas = cv2.GaussianBlur(layers[0], (0, 0), max(0.3, sigma * 0.8))
    away = draws.own("sun").uniform(0, 2 * np.pi)
    sun = float(draws("sun").value) * np.array([np.cos(away), 0.6 * np.sin(away)])
    exposure = float(draws("shutter").value) / RATE
    lens = (float(draws("swell").value), sigma, exposure, _grain(draws, size), _tone(draws, canvas))
    looks = ({side: dressed(draws, f"player {side}") for side in (-1, 1)}, _ball_colour(draws))
    furnish(draws, canvas, stage, sun, sigma, looks[1])
    if (dark := draws("vignette")).on:
        ys, xs = np.mgrid[-1 : 1 : canvas.shape[0] * 1j, -1 : 1 : canvas.shape[1] * 1j].astype(np.float32)
        canvas = times(canvas, 1 - np.float32(dark.value) * (xs**2 + ys**2) / 2)
    return Match(draws, view, stage, canvas, layers[1], *looks, *lens, sun, graphics(draws, size))


def draw_axes(rng: Generator, without: frozenset[str], *, plain: bool) -> Draws:
    """The axes of a match or of a clip."""
    draws = Draws(int(rng.integers(2**62)), AXES, frozenset(AXES) if plain else without)
    if plain:
        for name, value in PLAIN.items():
            draws.keep(name, value)
    return draws


def _ball_colour(draws: Draws) -> Colour:
    """From nearly white to optic yellow, new or worn."""
    yellow, bright = float(draws("ball_colour").value), float(draws("ball_dull").value)
    colour = np.array([255 + (c - 255) * (0.15 + 0.85 * yellow) for c in (222, 248, 110)])
    if (grade := draws("saturation")).on:
        colour = colour.mean() + (colour - colour.mean()) * float(grade.value)
    return whole(np.clip(colour * bright, 0, 255))


def _grain(draws: Draws, size: Size) -> NDArray[np.uint8]:
    """The sensor's noise around 128, for a little more than a frame: each frame shows another part of it."""
    spread = bell(float(draws("noise").value))
    return cv2.LUT(even_bytes(draws.own("grain"), (size[0] + ROOM, size[1] + ROOM, 3)), spread)


def _tone(draws: Draws, canvas: Image) -> NDArray[np.uint8]:
    """``(1, 256)`` or ``(1, 256, 3)``: brightness, contrast and colour of the broadcast."""
    black, tint, wanted = float(draws("haze").value), draws("tint"), draws("exposure")
    level = np.linspace(0, 1, 256) ** np.exp(float(draws("tone").value))
    bright = float(level[canvas[::8, ::8, 1]].mean())
    gain = float(np.clip(wanted.value / 255 / bright, 0.6, 2.5)) if wanted.on else 1.0
    level = black + (255 - black) * gain * level
    level = np.where(level > 225, 225 + 30 * np.tanh((level - 225) / 45), level)  # a soft shoulder
    warmth = float(tint.value) * float(tint.rng.choice([-1, 1]))
    factors = np.exp(warmth * np.array([0.5, 0.0, -0.5]))
    table = np.clip(np.outer(level, factors), 0, 255).astype(np.uint8)[None]
    return table if tint.on else table[..., 0].copy()  # one table for all colours takes half the time
