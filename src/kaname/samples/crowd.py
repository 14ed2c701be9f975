"""Crowded scenes: figures that touch, cover and resemble each other, with the pixels of each exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..types import Image, Size
from .background import paint_background
from .camera import Array, pick
from .court import View
from .players import SHIRTS, Part, Pose, dress, figure, paint
from .weather import noise

FAR = -2  # owner of the pixels of the people in the distance
SEEN = 0.5  # cover from which on a pixel belongs to a figure
TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)


@dataclass(frozen=True)
class Scene:
    """A picture with its truth.

    Attributes:
        image: RGB uint8 ``(height, width, 3)``.
        people: ``(N, height, width)`` the visible pixels of each figure, from the farthest to the nearest; nobody is in
            two masks, and nobody without a pixel is listed.
        crowd: the pixels of a group in the distance; nothing where there is none.
    """

    image: Image
    people: NDArray[np.bool_]
    crowd: NDArray[np.bool_]


def render(rng: Generator, size: Size, count: int, *, crowd: bool = False, hoop: bool = False) -> Scene:
    """``count`` figures in a picture of ``size`` (height, width).

    ``crowd`` adds a group in the distance, ``hoop`` gives the nearest one a hoop, whose inside is not theirs.
    """
    view = _camera(rng, size)
    image = _stage(rng, view)
    owner = np.full(size, -1, np.int16)
    softness = float(rng.uniform(0.4, 1.0))
    if crowd:
        for x in np.sort(rng.uniform(-3.5, 3.5, 14)):
            place = np.array([x, rng.uniform(14, 18)])
            _put(image, owner, FAR, figure(view, dress(rng, _uniform(rng)), place, 1, 0.0, np.zeros(2)), softness)
    uniforms = [_uniform(rng) for _ in range(1 if rng.random() < 0.5 else 2)]
    spacing = rng.uniform(0.2, 0.65)
    xs = rng.permutation(np.arange(count) - (count - 1) / 2) * spacing + rng.normal(0, 0.08, count)
    for number, (x, y) in enumerate(zip(xs, np.sort(rng.uniform(3.6, 6.5, count))[::-1], strict=True)):
        kit = dress(rng, pick(rng, uniforms)) if rng.random() < 0.8 else dress(rng)
        place, speed = np.array([x, y]), rng.normal(0, 1.0, 2)
        parts = figure(view, kit, place, int(pick(rng, (-1, 1))), float(rng.uniform(0, 5)), speed)
        holds = rng.random() < 0.1
        if holds or (hoop and number == count - 1):
            parts += _hoop(rng, Pose(view, place, kit.height / 1.8, view.pixels(np.array([*place, 1.0]))))
        _put(image, owner, number, parts, softness)
    masks = owner == np.arange(count)[:, None, None]
    return Scene(noise(rng, image), masks[masks.any(axis=(1, 2))], owner == FAR)


def _camera(rng: Generator, size: Size) -> View:
    """Eyes at a man's height that look ahead and a little down."""
    tilt = float(rng.uniform(0.0, 0.12))
    forward = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    right = np.array([1.0, 0.0, 0.0])
    focal = size[0] * rng.uniform(0.5, 0.8) * 5 / 1.75
    place = np.array([0.0, 0.0, rng.uniform(1.2, 1.8)])
    middle = (size[1] / 2, size[0] * float(rng.uniform(0.35, 0.5)))
    return View(np.stack([right, np.cross(forward, right), forward]), place, focal, middle, size)


def _stage(rng: Generator, view: View) -> Image:
    """What stands behind, and the ground."""
    image = paint_background(rng, view.size)
    edge = int(np.clip(view.project(np.array([[0.0, 25.0, 0.0]]))[0, 1], 1, view.size[0] - 8))
    image[edge:] = paint_background(rng, (view.size[0] - edge, view.size[1]))
    return image


def _uniform(rng: Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    return pick(rng, SHIRTS), pick(rng, SHIRTS[2:])


def _hoop(rng: Generator, pose: Pose) -> list[Part]:
    centre, radius = pose.at(0.62 * pick(rng, (-1, 1)), 1.0), 0.27 * pose.pixels
    ring: Array = centre + radius * np.stack([np.cos(TURN), np.sin(TURN)], axis=1)
    return [Part(ring, pick(rng, SHIRTS[4:]), max(3, round(0.05 * pose.pixels)))]


def _put(image: Image, owner: NDArray[np.int16], number: int, parts: list[Part], softness: float) -> None:
    """Paint a figure; what it covers is its own from now on."""
    covered = paint(image, parts, softness)
    if covered is not None:
        x, y, cover = covered
        owner[y : y + cover.shape[0], x : x + cover.shape[1]][cover > SEEN] = number
