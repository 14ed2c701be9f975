"""The head of a drawn character: its 28 points and its outline on a curved face, and the pose that shows them.

The face's own plane has its origin between the eyes, x to the image's right, y downwards, and the distance between the
middles of the eyes as its unit. Every point of it lies at some depth (``Head.project``), so that a turned head has its
far side narrower and its nose aside. What is drawn and what is told go through the same function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from .axes import Draws
from .camera import Array, pick

Kind = Literal["human", "beast"]
MIRROR = np.array([-1.0, 1.0])
LEFT_EYE, RIGHT_EYE = (11, 12, 13, 14, 15, 16), (19, 18, 17, 22, 21, 20)  # outer to inner, upper lid, then lower
LEFT_BROW, RIGHT_BROW = (5, 6, 7), (10, 9, 8)
CLOSED = 8  # pieces between two points of the line of a closed eye
BROWS = 0.03  # how far they stand out of the face


@dataclass(frozen=True)
class Head:
    """A head in its pose.

    Attributes:
        points: ``(28, 2)`` in the face's plane.
        lifts: ``(28,)``, how far each stands out of the curved face.
        contour: ``(N, 2)`` from one temple over the chin to the other.
        crown: height of the skull's top above the eyes.
        eyes: what each eye does: open, happy (closed, bent upwards), asleep (closed, bent downwards).
        mouth: line, open or cat.
        muzzle: how far nose and mouth stand out, 0 for people.
        yaw: radians, positive where the face looks to the image's left.
        pitch: radians, positive where it looks down.
        turn: ``(2, 2)`` roll and size, face plane to pixels.
        place: ``(2,)`` pixels of the point between the eyes.
    """

    kind: Kind
    points: Array
    lifts: Array
    contour: Array
    crown: float
    eyes: tuple[str, str]
    mouth: str
    muzzle: float
    depth: float
    yaw: float
    pitch: float
    turn: Array
    place: Array

    @property
    def unit(self) -> float:
        """Pixels between the middles of the eyes of this head seen from the front, if it is not stretched."""
        return math.sqrt(abs(float(self.turn[0, 0] * self.turn[1, 1] - self.turn[0, 1] * self.turn[1, 0])))

    def project(self, points: Array, lift: float | Array = 0.0) -> Array:
        """``(N, 2)`` continuous image points of ``(N, 2)`` points of the face; ``lift`` brings them to the front."""
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        z = self.depth * (1 - np.minimum(x * x, 1.5**2)) + lift
        z -= 0.3 * np.maximum(y - 0.6, 0) ** 2 + 0.25 * np.minimum(np.maximum(-0.5 - y, 0), 1.2) ** 2
        seen = np.empty((len(x), 2))
        seen[:, 0] = x * math.cos(self.yaw) - z * math.sin(self.yaw)
        seen[:, 1] = y * math.cos(self.pitch) + z * math.sin(self.pitch)
        return seen @ self.turn.T + self.place

    def landmarks(self) -> Array:
        """``(28, 2)`` continuous image points."""
        return self.project(self.points, self.lifts)


def at(x: float, y: float) -> Array:
    """A place or a step ``(x, y)``."""
    return np.array([x, y])


def mirrored(*right: tuple[float, float]) -> Array:
    """A shape and its mirror image: the places of its right half in turn, then those of its left half back."""
    half = np.array(right)
    return np.concatenate([half, (half * MIRROR)[::-1]])


def smooth(points: Array, *, closed: bool = False, steps: int = 6) -> Array:
    """A curve through all the points (Catmull-Rom), ``steps`` pieces between two of them."""
    points = np.asarray(points, np.float64)
    around = (
        np.concatenate([points[-1:], points, points[:2]])
        if closed
        else np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    )
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (around[i : len(around) - 3 + i, None] for i in range(4))
    curve = b + t * (c - a) / 2 + t**2 * (a - 2.5 * b + 2 * c - d / 2) + t**3 * (3 * b - a - 3 * c + d) / 2
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def draw_head(draws: Draws, unit: float, place: Array) -> Head:
    """A random head whose eyes are ``unit`` pixels apart around ``place``."""
    rng = draws.own("head")
    kind: Kind = "beast" if draws("beast").on else "human"
    muzzle = float(draws("muzzle").value) if kind == "beast" else 0.0
    calm = float(draws("proportions").value)
    long = float(np.clip(rng.normal(1, 0.13 * calm), 0.68, 1.4))  # of the lower face
    points, lifts = np.zeros((28, 2)), np.zeros(28)
    contour = _contour(draws, points, long, calm)
    eyes = _moods(draws)
    _eyes(draws, points, calm, eyes)
    _brows(draws.own("brows"), points, calm)
    lifts[5:11] = BROWS
    mouth = _mouth(draws, points, long, calm)
    lifts[23:28] = rng.uniform(0.05, 0.15) + muzzle  # turned heads are drawn with noses and mouths well aside
    lifts[23] += rng.uniform(0.05, 0.25)
    depth, crown = rng.uniform(0.3, 0.55), rng.uniform(1.15, 1.5)
    roll, yaw, pitch = _pose(draws)
    cos, sin = np.cos(roll) * unit, np.sin(roll) * unit
    wide = np.sqrt(float(draws("stretch").value))
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([wide, 1 / wide])
    return Head(kind, points, lifts, contour, crown, eyes, mouth, muzzle, depth, yaw, pitch, turn, np.asarray(place))


def _moods(draws: Draws) -> tuple[str, str]:
    """What each eye does."""
    drawn = draws("eyes")
    if drawn.value == "wink":
        shut = pick(drawn.rng, ("happy", "asleep"))
        return pick(drawn.rng, ((shut, "open"), ("open", shut)))
    return drawn.value, drawn.value


def _pose(draws: Draws) -> tuple[float, float, float]:
    """Roll, yaw and pitch in radians: mostly small, sometimes as far as the axis goes."""
    rng = draws.own("pose")
    angles = rng.normal(0, [0.06, 0.05, 0.03])
    for number, (name, usual, far) in enumerate((("roll", 15, 0.04), ("yaw", 18, 0.25), ("pitch", 9, 0.25))):
        drawn = draws(name)
        if not drawn.on:
            continue
        kind, value = drawn.rng.random(), drawn.rng.normal(0, usual)
        if name == "roll" and kind > 0.86:
            value = drawn.rng.uniform(-70, 70)
        if kind > 1 - far:
            value = drawn.value
        angles[number] = np.radians(draws.keep(name, float(np.clip(value, *draws.axes[name].span))))
    return float(angles[0]), float(angles[1]), float(angles[2])


def _contour(draws: Draws, points: Array, long: float, calm: float) -> Array:
    """The face's outline; sets points 0 to 4 on it."""
    rng = draws.own("contour")
    wide, chin = rng.normal(0.9, 0.05 * calm), 0.97 * long * rng.normal(1, 0.04 * calm)
    jaw = np.array([wide * rng.normal(0.75, 0.05 * calm), chin * 0.56])
    if draws("beast").on:
        jaw[0] = wide * draws.own("beast's jaw").uniform(0.75, 0.98)
    tip = np.array([jaw[0] * rng.uniform(0.36, 0.62), chin * rng.uniform(0.86, 0.93)])
    half = np.array([[-wide * 1.01, -0.5], [-wide, rng.normal(0, 0.03)], jaw * MIRROR, tip * MIRROR])
    bottom = np.array([[0.0, chin]])
    points[[0, 1, 2, 3, 4]] = np.concatenate([half[1:3], bottom, half[2:0:-1] * MIRROR])
    return smooth(np.concatenate([half, bottom, half[::-1] * MIRROR]), steps=8)


def _eyes(draws: Draws, points: Array, calm: float, eyes: tuple[str, str]) -> None:
    """Points 11 to 22."""
    rng = draws.own("eyes")
    wide = np.clip(rng.normal(0.47, 0.06 * calm), 0.3, 0.62)
    high = wide * np.clip(rng.normal(0.93, 0.24 * calm), 0.35, 1.5) * float(draws("narrow_eyes").value)
    tilt = rng.normal(0.05, 0.1 * calm)  # of the outer corner; positive hangs down
    top, foot = -0.55 * high, 0.45 * high
    narrow = rng.uniform(0.22, 0.4)
    shape = np.array(
        [
            [-wide * rng.uniform(0.48, 0.55), top * rng.uniform(0.15, 0.5) + tilt * wide],
            [-rng.uniform(-0.02, 0.08) * wide, top],
            [wide * rng.uniform(0.46, 0.52), top * rng.uniform(0.35, 0.75) - tilt * wide * 0.5],
            [wide * (0.05 - narrow * rng.uniform(0.9, 1.1)), foot * rng.uniform(0.8, 0.97) + tilt * wide * 0.4],
            [wide * rng.uniform(0.03, 0.12), foot],
            [wide * (0.05 + narrow * rng.uniform(0.9, 1.1)), foot * rng.uniform(0.75, 0.92)],
        ]
    )
    bend = rng.uniform(0.1, 0.32)
    levels = rng.uniform(-0.05, 0.25, 2)
    for mirror, names, state, level in ((1, LEFT_EYE, eyes[0], levels[0]), (MIRROR, RIGHT_EYE, eyes[1], levels[1])):
        place = shape.copy()
        if state != "open":  # both lids on one line: an arc that is highest (happy) or lowest (asleep) in the middle
            rise = -bend * wide if state == "happy" else bend * wide
            place[:, 1] = high * level + rise * (1 - (2 * place[:, 0] / wide) ** 2).clip(0)
            x, y = smooth(place[:3], steps=CLOSED).T  # the line that is drawn
            place[3:, 1] = np.interp(place[3:, 0], x, y)
        points[list(names)] = (place - [0.51, 0]) * mirror


def _brows(rng: Generator, points: Array, calm: float) -> None:
    """Points 5 to 10."""
    inner, wide = rng.normal(0.28, 0.04 * calm), rng.normal(0.49, 0.05 * calm)
    height, arch = rng.normal(0.54, 0.08 * calm), rng.normal(0.06, 0.05 * calm)
    slope = rng.normal(0, 0.08 * calm)  # positive: the inner end down, angry
    brow = np.array([[-inner - wide, 0.05 - slope], [-inner - wide * 0.52, -arch], [-inner, slope]])
    for mirror, names in ((1, LEFT_BROW), (MIRROR, RIGHT_BROW)):
        points[list(names)] = (brow - [0, height + rng.normal(0, 0.03 * calm)]) * mirror


def _mouth(draws: Draws, points: Array, long: float, calm: float) -> str:
    """Points 23 to 27."""
    rng, opened = draws.own("mouth"), draws("mouth_open")
    nose, level = 0.27 * long * rng.normal(1, 0.12 * calm), 0.565 * long * rng.normal(1, 0.05 * calm)
    kind = "cat" if draws("mouth_cat").on else "open" if opened.on else "line"
    half = np.clip(rng.normal(0.19, 0.055 * calm), 0.06, 0.4) * (1.25 if draws("beast").on else 1)
    smile = rng.normal(0.02, 0.03)
    upper, gap = level + smile * (1 if kind != "cat" else -0.3), 0.0
    if kind == "open":
        gap = opened.value * long
        upper -= gap * 0.15
    points[23] = 0, nose
    points[24:28] = [[-half, level], [0, upper], [half, level], [0, upper + gap + (0.0 if kind == "cat" else 0.008)]]
    if (crooked := draws("crooked")).on:
        points[[24, 25, 26, 27], 0] += crooked.rng.normal(0, 0.05)
        points[[24, 26], 1] += np.array([1, -1]) * crooked.rng.normal(0, 0.03)
    return kind
