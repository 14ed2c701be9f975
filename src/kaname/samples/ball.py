"""How a ball, moving or lying, and shadows look in a picture of a match."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..geometry.grid import centres
from ..types import Image, Size
from . import rally
from .camera import Array, Colour, blend
from .court import View
from .players import Cover, Part, capsule, paint

AROUND, BLOCK = 16, 16  # pixels around a thing that are developed with it, in whole blocks of a codec


def ball_radius(view: View, place: Array, swell: float) -> float:
    """Pixels of a ball at a place ``(3,)`` of the world, swollen; small pictures still show something."""
    return max(0.75, rally.RADIUS * swell * view.pixels(place))


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


def comb_cover(paths: tuple[Array, Array], radius: float, sigma: float, size: Size) -> tuple[int, int, Cover]:
    """As ``ball_cover``, of two half frames: even rows show the first path, odd rows the second."""
    x, y, whole = ball_cover(np.concatenate(paths), radius, sigma, size)
    combed = np.zeros_like(whole)
    for parity, path in enumerate(paths):
        left, top, half = ball_cover(path, radius, sigma, size)
        rows = np.arange(half.shape[0])[(np.arange(half.shape[0]) + top) % 2 == parity]
        combed[rows + top - y, left - x : left - x + half.shape[1]] = half[rows]
    return x, y, combed


def developed(
    image: Image, corner: tuple[int, int], content: NDArray[np.float32], develop: Callable[[Image], Image]
) -> NDArray[np.float32]:
    """How ``content`` ``(h, w, 3)`` comes out at ``corner`` ``(x, y)`` of the image, where it stays."""
    (x, y), (height, width) = corner, content.shape[:2]
    image[y : y + height, x : x + width] = np.round(content).astype(np.uint8)
    left, top = (max(0, at - AROUND) // BLOCK * BLOCK for at in corner)
    part = develop(image[top : y + height + AROUND, left : x + width + AROUND])
    return part[y - top :, x - left :][:height, :width].astype(np.float32)


def shadow(image: Image, view: View, place: Array, sun: Array, sigma: float, strength: float = 0.4) -> None:
    """The shadow of somebody at ``place`` on the ground."""
    tip = place + sun * 1.6
    ends = view.project(np.array([[*place, 0.0], [*tip, 0.0]]))
    radius = 0.22 * view.pixels(np.array([*place, 0.0]))
    part = Part(capsule(ends[0], ends[1], radius, radius * 0.7), (12, 14, 20))
    paint(image, [part], max(sigma, radius * 0.25), strength)


def bled(colour: Colour, share: float, around: Array | NDArray[np.float32]) -> NDArray[np.float32]:
    """A ball's colour ``(3,)``, as bright as it is, with a share of the tint of what is around it ``(h, w, 3)``.

    Sensors and codecs store colours coarser than brightness, so that small things lose theirs.
    """
    own = np.array(colour, np.float32)
    if not share or not around.size:
        return own
    tint = around.reshape(-1, 3).mean(axis=0)
    return np.clip(own + np.float32(share) * ((tint - tint.mean()) - (own - own.mean())), 0, 255)
