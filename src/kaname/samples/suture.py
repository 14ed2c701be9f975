"""A suturing scene that moves: two hands, tools, needles and a thread over a pad, with every key point exactly.

Lengths are in heights of the picture, places ``(x, y)`` from its top left corner; a frame depends on its time alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..geometry.grid import PIXELS, centres
from ..types import Image, Size
from .background import clouds
from .camera import SHIFT, Array, Colour

HANDS = ("left_hand", "right_hand")
TOOLS = ("scissors", "tweezers", "needle_holder")
NEEDLE = "needle"
RATE = 30.0  # frames a second
SEEN = 128  # cover of a pixel from which on it belongs to a thing
BLUR = (-0.25, 0.25)  # moments of an exposure around a frame's time, in frames
GLOVES: Sequence[Colour] = ((214, 222, 230), (196, 206, 190), (176, 196, 224))
STEEL: dict[str, Colour] = {"scissors": (226, 178, 40), "tweezers": (70, 190, 130), "needle_holder": (150, 90, 200)}


@dataclass(frozen=True)
class Part:
    """A stroke ``(N, 2)`` of a width, or with width 0 a filled outline; in the picture's pixels."""

    outline: Array
    width: float
    colour: Colour


@dataclass(frozen=True)
class Thing:
    """One object: its class, its track, its key points ``(K, 2)`` in pixels and what is drawn."""

    group: str
    track: int
    points: Array
    parts: Sequence[Part]


@dataclass(frozen=True)
class Shot:
    """A frame with its truth.

    Attributes:
        image: RGB uint8 ``(h, w, 3)``.
        things: those of which a point is in the picture.
        visible: of each ``(K,)``: 0 out of frame, 1 covered, 2 seen.
        masks: of each bool ``(h, w)``, the pixels that are seen of it.
    """

    image: Image
    things: Sequence[Thing]
    visible: Sequence[NDArray[np.int64]]
    masks: Sequence[NDArray[np.bool_]]


class Scene:
    """One video's scene; whatever is random is drawn here.

    Args:
        size: ``(height, width)``.
        duration: seconds, within which things come and go.
    """

    def __init__(self, rng: Generator, size: Size, duration: float) -> None:
        self.size, self.wide = size, size[1] / size[0]
        self.stage = _stage(rng, size)
        self.blurs = bool(rng.random() < 0.5)
        self.glove = GLOVES[int(rng.integers(len(GLOVES)))]
        self.hands = [_way(rng, (self.wide * share, 0.62), 0.14) for share in (0.27, 0.73)]
        self.grips = [_swing(rng, 0.5, 0.35) for _ in HANDS]
        self.tools = {
            name: (_way(rng, (self.wide * rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.6)), 0.22),
                   _swing(rng, float(rng.uniform(-2.6, -0.5)), 0.4), _swing(rng, 0.25, 0.18))
            for name in TOOLS
        }  # fmt: skip
        self.left_out = str(rng.choice(TOOLS)) if rng.random() < 0.6 else ""  # a tool that leaves the picture
        self.leaving = float(rng.uniform(0.2, 0.8)) * duration
        self.needles = [(_way(rng, (self.wide * 0.5, 0.5), 0.1), _swing(rng, float(rng.uniform(0, 6)), 0.8))
                        for _ in range(2)]  # fmt: skip
        second = np.sort(rng.uniform(0, duration, 2))
        self.second = (float(second[0]), float(second[1])) if rng.random() < 0.5 else (np.inf, np.inf)

    def shot(self, time: float) -> Shot:
        """The frame at a time in seconds."""
        things = self.things(time)
        image, owner = self._painted(things)
        if self.blurs:
            others = [self._painted(self.things(time + share / RATE))[0] for share in BLUR]
            image = np.rint(np.mean([image, *others], axis=0)).astype(np.uint8)
        height, width = self.size
        kept: list[tuple[Thing, NDArray[np.int64], NDArray[np.bool_]]] = []
        for number, thing in enumerate(things):
            inside = np.asarray(((thing.points >= 0) & (thing.points < [width, height])).all(axis=1), np.bool_)
            visible = np.zeros(len(inside), np.int64)
            for row in np.flatnonzero(inside):
                column, line = np.floor(thing.points[row]).astype(int)
                around = owner[max(0, line - 1) : line + 2, max(0, column - 1) : column + 2]
                visible[row] = 2 if (around == number).any() else 1
            if inside.any():
                kept.append((thing, visible, owner == number))
        return Shot(image, [one[0] for one in kept], [one[1] for one in kept], [one[2] for one in kept])

    def things(self, time: float) -> list[Thing]:
        """What there is at a time, from the farthest to the nearest."""
        count = 2 if self.second[0] <= time < self.second[1] else 1
        found = [
            self._needle(number, way(time), swing(time)) for number, (way, swing) in enumerate(self.needles[:count])
        ]
        for name, (way, swing, opening) in self.tools.items():
            place = way(time)
            if name == self.left_out:
                place = place - [0, 1.2 * max(0.0, time - self.leaving)]
            found.append(self._tool(name, place, swing(time), abs(opening(time)) + 0.05))
        for number, (way, grip) in enumerate(zip(self.hands, self.grips, strict=True)):
            found.append(self._hand(number, way(time), grip(time)))
        return found

    def _hand(self, number: int, back: Array, grip: float) -> Thing:
        side = 1 if number == 0 else -1  # where the thumb is
        angles = {"thumb": 1.15, "index": 0.45, "middle": 0.1, "ring": -0.22, "pinky": -0.55}
        lengths = {"thumb": 0.2, "index": 0.3, "middle": 0.32, "ring": 0.3, "pinky": 0.24}
        tips: dict[str, Array] = {}
        parts: list[Part] = []
        dark = _shaded(self.glove, 0.72)
        for name, angle in angles.items():
            bent = side * angle * (1.2 - 0.6 * grip)
            reach = lengths[name] * (1.1 - 0.35 * grip)
            way = np.array([np.sin(bent), -np.cos(bent)])
            tips[name] = back + way * reach
            knuckle = back + np.array([np.sin(bent * 0.8), -np.cos(bent * 0.8)]) * 0.09
            parts += [self._stroke([knuckle, tips[name]], 0.075, dark), self._stroke([knuckle, tips[name]], 0.055)]
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        palm = back + np.stack([0.1 * np.cos(turn), 0.12 * np.sin(turn)], axis=1)
        arm = back + np.array([-side * 0.25, 0.6])
        parts = [self._stroke([back, arm], 0.2, dark), *parts, Part(palm * self.size[0], 0, self.glove)]
        spot = back + np.stack([0.022 * np.cos(turn), 0.022 * np.sin(turn)], axis=1)
        parts.append(Part(spot * self.size[0], 0, (60, 70, 90)))
        order = ("thumb", "middle", "index", "ring", "pinky")
        points = np.array([*(tips[name] for name in order), back])
        return Thing(HANDS[number], number, points * self.size[0], parts)

    def _tool(self, name: str, joint: Array, angle: float, opening: float) -> Thing:
        colour = STEEL[name]
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([along[1], -along[0]])  # to the left of the way the tool points
        reach = {"scissors": 0.2, "tweezers": 0.34, "needle_holder": 0.13}[name]
        spread = reach * (0.6 if name == "scissors" else 0.25) * opening / 0.45
        left, right = joint + along * reach + across * spread, joint + along * reach - across * spread
        wide = {"scissors": 0.03, "tweezers": 0.022, "needle_holder": 0.04}[name]
        parts = [self._stroke([joint, tip], wide, colour) for tip in (left, right)]
        if name != "tweezers":
            turn = np.linspace(0, 2 * np.pi, 20)
            for one in (1, -1):
                grip = joint - along * 0.22 + across * one * (0.05 + spread * 0.4)
                ring = grip + np.stack([0.045 * np.cos(turn), 0.045 * np.sin(turn)], axis=1)
                parts += [self._stroke([joint, grip], wide * 0.8, colour), self._stroke(ring, 0.014, colour)]
        parts.append(self._stroke([joint, joint + along * 0.004], wide * 1.6, _shaded(colour, 0.6)))
        return Thing(name, 2 + TOOLS.index(name), np.array([left, right, joint]) * self.size[0], parts)

    def _needle(self, number: int, middle: Array, angle: float) -> Thing:
        turn = np.linspace(-1.3, 1.3, 17)
        radius = 0.085
        curve = np.stack([np.cos(turn) - 1, np.sin(turn)], axis=1) * radius
        cos, sin = np.cos(angle), np.sin(angle)
        curve = middle + curve @ np.array([[cos, sin], [-sin, cos]])
        end, tip = curve[0], curve[-1]
        thread = end + np.cumsum(np.array([[0.05, 0.02], [0.05, -0.03], [0.06, 0.04]]), axis=0)
        parts = [self._stroke(np.concatenate([[end], thread]), 0.008, (40, 60, 170)), self._stroke(curve, 0.02,
                 (250, 250, 250)), self._stroke([tip, tip], 0.026, (240, 60, 60))]  # fmt: skip
        return Thing(NEEDLE, 5 + number, np.array([end, tip, curve[8]]) * self.size[0], parts)

    def _stroke(self, places: Sequence[Array] | Array, width: float, colour: Colour | None = None) -> Part:
        scale = self.size[0]
        return Part(np.asarray(places, np.float64) * scale, max(1.0, width * scale), colour or self.glove)

    def _painted(self, things: Sequence[Thing]) -> tuple[Image, NDArray[np.int16]]:
        """The picture, and which thing each of its pixels belongs to (-1: none)."""
        image, owner = self.stage.copy(), np.full(self.size, -1, np.int16)
        for number, thing in enumerate(things):
            cover = np.zeros(self.size, np.uint8)
            for part in thing.parts:
                _paint(image, part, part.colour)
                _paint(cover, part, 255)
            owner[cover >= SEEN] = number
        return image, owner


def _way(rng: Generator, centre: tuple[float, float], reach: float) -> Callable[[float], Array]:
    """A smooth way around a place."""
    phases, speeds = rng.uniform(0, 2 * np.pi, (2, 2)), rng.uniform(0.4, 1.6, (2, 2))
    sizes = reach * rng.uniform(0.3, 1.0, (2, 2)) * [[0.75, 0.75], [0.25, 0.25]]
    return lambda time: np.array(centre) + (sizes * np.sin(phases + speeds * time)).sum(axis=0)


def _swing(rng: Generator, middle: float, reach: float) -> Callable[[float], float]:
    """A number that goes up and down around its middle."""
    phase, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.6)
    return lambda time: middle + reach * float(np.sin(phase + speed * time))


def _paint(canvas: NDArray[np.uint8], part: Part, colour: Colour | int) -> None:
    places = np.rint(PIXELS.to_index(part.outline) * 2**SHIFT).astype(np.int32)
    if part.width == 0:
        cv2.fillPoly(canvas, [places], colour, cv2.LINE_AA, SHIFT)  # type: ignore[call-overload]
    else:
        width = max(1, round(part.width))
        cv2.polylines(canvas, [places], isClosed=False, color=colour, thickness=width, lineType=cv2.LINE_AA,
                      shift=SHIFT)  # type: ignore[call-overload]  # fmt: skip


def _shaded(colour: Colour, light: float) -> Colour:
    red, green, blue = (round(value * light) for value in colour)
    return red, green, blue


def _stage(rng: Generator, size: Size) -> Image:
    """Drapes around a pad of artificial skin with a cut."""
    height, width = size
    cloth = np.array(rng.uniform((30, 80, 90), (60, 120, 130)))
    light = 1 + 0.08 * clouds(rng, size, 4, 3)
    image = cloth * light[..., None]
    ys, xs = centres(height)[:, None] / height, centres(width)[None] / height
    wide = width / height
    pad = (abs(xs - wide / 2) < wide * rng.uniform(0.22, 0.32)) & (abs(ys - 1 / 2) < rng.uniform(0.28, 0.38))
    skin = np.array(rng.uniform((190, 140, 110), (225, 175, 150)))
    image = np.where(pad[..., None], skin * (1 + 0.04 * clouds(rng, size, 6, 2))[..., None], image)
    cut = abs(ys - 1 / 2 - 0.02 * np.sin(xs * 9)) < 0.01
    image = np.where((cut & pad)[..., None], np.array([130.0, 50.0, 50.0]), image)
    return np.clip(np.rint(image + rng.normal(0, 2, (*size, 1))), 0, 255).astype(np.uint8)
