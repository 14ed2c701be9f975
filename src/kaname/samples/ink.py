"""How a character is drawn: its colours, its lines, and what paints them and keeps count of what they cover."""

from __future__ import annotations

import colorsys
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from ..types import Image
from .axes import Draws
from .camera import Array, Colour, blend, fill, fixed, grey, whole
from .head import Head
from .painting import mix

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class Style:
    """Colours and lines of one picture.

    Attributes:
        medium: cel (flat with hard shades), soft (painted) or line (ink on white paper).
        width: of the lines, in distances between the eyes.
        tint: how much a line takes the colour of what it surrounds, 0..1.
        edge: brightness of a line that takes the colour of what it surrounds, over that colour's.
        rough: 0 for clean lines, more for a sketch; in distances between the eyes.
    """

    medium: str
    line: Colour
    width: float
    tint: float
    edge: float
    rough: float
    skin: Colour
    hair: Colour
    second: Colour  # markings, inner ears, ribbons
    iris: tuple[Colour, Colour]
    cloth: Colour


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from values in 0..1."""
    return whole(255 * c for c in colorsys.hsv_to_rgb(hue % 1, float(np.clip(saturation, 0, 1)), min(value, 1.0)))


def darker(colour: Colour, share: float = 0.75) -> Colour:
    """The colour in shadow: darker, and a little towards blue or red as painters do."""
    return whole(np.array(colour) * share * np.array([1.02, 0.95, 1.0]).clip(0, 255) // 1)


def draw_style(draws: Draws) -> Style:
    """Random colours and lines."""
    medium = "line" if draws("line_art").on else "soft" if draws("painted").on else "cel"
    skin, hair, second = _colours(draws)
    rng = draws.own("style")
    hue = rng.random()
    dark = hsv(hue, rng.uniform(0.3, 1), rng.uniform(0.08, 0.5))
    light = hsv(hue + rng.normal(0, 0.05), rng.uniform(0.3, 0.95), rng.uniform(0.45, 1))
    line = hsv(rng.normal(0.03, 0.08), rng.uniform(0, 0.6), rng.uniform(0, 0.3))
    width, tint = float(draws("line").value) * rng.uniform(0.6, 1.5), rng.uniform(0, 0.75)
    cloth = hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.15, 1))
    if medium == "line":
        grain = draws("line_art").rng
        skin, second = WHITE if grain.random() < 0.7 else grey(grain, 200, 256), grey(grain, 120, 256)
        hair = WHITE if grain.random() < 0.5 else grey(grain, 20, 256)
        dark, light, tint = grey(grain, 0, 256), grey(grain, 120, 256), grain.uniform(0, 0.2)
    elif draws("lineless").on:
        tint = 1.0
    edge, rough = float(draws("lineless").value), float(draws("sketch").value)
    return Style(medium, line, width, tint, edge, rough, skin, hair, second, (dark, light), cloth)


def _colours(draws: Draws) -> tuple[Colour, Colour, Colour]:
    """Of skin, hair, and markings or ribbons."""
    rng, tone = draws.own("colours"), draws("skin")
    skin = hsv(rng.normal(0.06, 0.015), abs(rng.normal(0.12, 0.07)), rng.uniform(0.93, 1.0))
    if tone.value == "unreal":
        skin = hsv(tone.rng.random(), tone.rng.uniform(0.1, 0.5), tone.rng.uniform(0.4, 1))
    elif tone.on:
        low, high = (0.6, 0.9) if tone.value == "tanned" else (0.2, 0.6)
        skin = hsv(tone.rng.normal(0.06, 0.01), tone.rng.uniform(0.3, 0.65), tone.rng.uniform(low, high))
    hair = hsv(rng.normal(0.08, 0.025), rng.uniform(0.1, 0.6), rng.uniform(0.12, 1))
    vivid, white = draws("vivid_hair"), draws("white_hair")
    if white.on:
        hair = hsv(white.rng.random(), white.rng.uniform(0, 0.12), white.rng.uniform(0.75, 1))
    elif vivid.on:
        hair = hsv(vivid.rng.random(), vivid.rng.uniform(0.1, 0.75), vivid.rng.uniform(0.4, 1))
    second = hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.3, 1))
    if (beast := draws("beast")).on:
        fur = hsv(beast.rng.normal(0.08, 0.03), beast.rng.uniform(0, 0.75), beast.rng.uniform(0.3, 1))
        skin = fur if beast.rng.random() < 0.6 else second
        hair = skin if beast.rng.random() < 0.3 else hair
        second = mix(skin, WHITE, beast.rng.uniform(0.4, 1)) if beast.rng.random() < 0.7 else darker(skin, 0.5)
    return skin, hair, second


@dataclass
class Painter:
    """A picture in the making: ``cover`` is 255 where something lies before the face."""

    draws: Draws
    image: Image
    head: Head
    style: Style
    cover: Image

    def own(self, name: str) -> Generator:
        """A generator for what no axis draws, by what it is for; asked for again it begins again."""
        return self.draws.own(name)

    @property
    def pen(self) -> float:
        """Width of a line in pixels."""
        return max(0.6, self.style.width * self.head.unit)

    def edge(self, colour: Colour) -> Colour:
        """The colour of lines around this colour."""
        return mix(self.style.line, darker(colour, self.style.edge), self.style.tint)

    def area(
        self,
        points: Array,
        colour: Colour,
        lift: float | Array = 0.0,
        *,
        line: float = 1.0,
        covers: bool = False,
        opacity: float = 1.0,
        soft: float = 0.0,
    ) -> None:
        """Fill a polygon of the face; ``line`` is the width of its outline in pens, ``soft`` the blur of its edge."""
        outline = self.head.project(points, lift)
        if line:
            self.stroke(outline, self.edge(colour), line, closed=True)
        if opacity < 1 or soft:
            self.veil(outline, colour, opacity, soft)
        else:
            fill(self.image, outline, colour)
        if covers:
            fill(self.cover, outline, 255)

    def stroke(self, curve: Array, colour: Colour, pens: float = 1.0, *, closed: bool = False) -> None:
        """A line of even width along image points; a sketch draws it twice, hair lines faintly."""
        pixels = self.pen * pens
        if self.style.medium == "line" and pens >= 1:
            pixels = max(pixels, 1.0)
        colour = mix(WHITE if self.style.medium == "line" else self.style.skin, colour, min(1.0, 0.25 + pixels))
        width, shifts = max(1, round(pixels)), np.zeros((1, 2))
        if self.style.rough:  # as far as the line itself says: no other line changes it
            rng = np.random.default_rng(zlib.crc32(fixed(curve).tobytes()))
            shifts = rng.normal(0, self.style.rough * self.head.unit, (2, 2))
        for shift in shifts:
            cv2.polylines(self.image, [fixed(curve + shift)], closed, colour, width, cv2.LINE_AA, 5)

    def ribbon(
        self, curve: Array, widths: Array, colour: Colour, lift: float | Array = 0.0, opacity: float = 1.0
    ) -> None:
        """A line along points of the face whose width changes; ``widths`` in distances between the eyes."""
        path = self.head.project(curve, lift)
        places = np.arange(len(path)) * ((len(widths) - 1) / (len(path) - 1))
        half = np.maximum(np.interp(places, np.arange(len(widths)), widths), 0)
        side = across(path) * half[:, None] * self.head.unit / 2
        outline = np.concatenate([path + side, (path - side)[::-1]])
        if opacity < 1:
            self.veil(outline, colour, opacity, 0)
        else:
            fill(self.image, outline, colour)

    def veil(self, outline: Array, colour: Colour, opacity: float, soft: float, within: Array | None = None) -> None:
        """Lay a colour over an image polygon, its edge blurred by ``soft`` distances, only ``within`` another one."""
        margin = 2 * soft * self.head.unit + 2
        size = np.array(self.image.shape[1::-1])
        low = np.clip(np.floor(outline.min(axis=0) - margin), 0, size).astype(int)
        high = np.clip(np.ceil(outline.max(axis=0) + margin), 0, size).astype(int)
        if (high <= low).any():
            return
        sigma = soft * self.head.unit
        coarse = max(1, int(sigma / 1.5))  # a wide blur needs no fine mask
        mask = np.zeros(-(-(high - low)[::-1] // coarse), np.uint8)
        fill(mask, (outline - low) / coarse, 255)
        if soft:
            mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, sigma / coarse))
            mask = cv2.resize(mask, None, fx=coarse, fy=coarse)[: high[1] - low[1], : high[0] - low[0]]
        if within is not None:
            limit = np.zeros_like(mask)
            fill(limit, within - low, 255)
            mask = cv2.min(mask, limit)
        part = self.image[low[1] : high[1], low[0] : high[0]]
        blend(part, colour, mask.astype(np.float32) * (opacity / 255))


def across(path: Array) -> Array:
    """Unit steps to the side of a path ``(N, 2)``, at each of its places."""
    along = np.empty_like(path)
    along[1:-1], along[0], along[-1] = path[2:] - path[:-2], path[1] - path[0], path[-1] - path[-2]
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)
    return np.stack([-along[:, 1] / length, along[:, 0] / length], axis=1)


def oval(centre: Array, radii: tuple[float, float], steps: int = 20) -> Array:
    """An ellipse of the face's plane."""
    turn = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.asarray(centre) + np.column_stack([np.cos(turn) * radii[0], np.sin(turn) * radii[1]])
