"""A pinhole camera that looks at a round dial: from the dial's own plane to image coordinates, exactly.

The dial's plane has its origin at the needle's axis, x to the right, y downwards, and the radius of the printed face
as its unit; height grows towards the camera. Image points are continuous coordinates, so that drawing (which OpenCV
does in pixel indices) goes through ``kaname.geometry.grid``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..geometry.grid import PIXELS
from ..types import Image, Size

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
Option = TypeVar("Option")

SHIFT = 5  # OpenCV draws at 1/32 pixel
TURN = np.linspace(0, 2 * np.pi, 96, endpoint=False)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, and its lens."""

    rotation: Array  # (3, 3), from the dial's axes to the camera's
    distance: float  # from the camera to the dial's centre, in face radii
    focal: float  # pixels per radius at the dial's centre
    centre: tuple[float, float]  # (x, y) of the dial's centre in the image
    bend: float = 0.0  # radial distortion k1 for radii in units of lens_radius; 0 is none
    lens_centre: tuple[float, float] = (0.0, 0.0)  # (x, y) of the distortion's centre
    lens_radius: float = 1.0  # pixels

    def straight(self, height: float = 0.0) -> Array:
        """The 3x3 matrix from the plane at this height to the image, before lens distortion."""
        r, d = self.rotation, self.distance
        f, (cx, cy) = self.focal, self.centre
        # depth = distance - z, with z towards the camera; scaled so that focal is pixels per radius at the centre
        (a, b, c), (e, g, h), (k, m, n) = r.tolist()
        rows = (a, b, c * height), (e, g, h * height), (0.0 - k, 0.0 - m, d - n * height)
        return np.array([[f * d * x + cx * z for x, z in zip(rows[0], rows[2], strict=True)],
                         [f * d * y + cy * z for y, z in zip(rows[1], rows[2], strict=True)], rows[2]])  # fmt: skip

    def halved(self) -> Camera:
        """The same view at half the size."""
        return replace(self, focal=self.focal / 2, centre=(self.centre[0] / 2, self.centre[1] / 2))

    def project(self, points: Array, height: float = 0.0) -> Array:
        """``(N, 2)`` points of the plane at this height -> ``(N, 2)`` image points before lens distortion."""
        points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        xyw = np.ones((len(points), 3))
        xyw[:, :2] = points
        xyw = xyw @ self.straight(height).T
        return xyw[:, :2] / xyw[:, 2:]

    def bend_points(self, points: Array) -> Array:
        """Where the lens puts image points: the inverse of ``source``, by fixed-point iteration.

        Points so far outside of the picture that the lens cannot see them are not finite afterwards.
        """
        bent = np.array(points, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(20 if self.bend else 0):
                before, bent = bent, points - (self.source(bent) - bent)
                if np.array_equal(before, bent):
                    break
        return bent

    def source(self, points: Array) -> Array:
        """For points of the distorted image the places in the straight one, where their colour comes from."""
        centre = np.asarray(self.lens_centre)
        away = (points - centre) / self.lens_radius
        return points + (points - centre) * self.bend * np.sum(away**2, axis=1, keepdims=True)

    def bend_image(self, image: Image) -> Image:
        """The image as the lens shows it (bilinear; replicated edges)."""
        if self.bend == 0.0:
            return image
        height, width = image.shape[:2]
        xs = PIXELS.from_index(np.column_stack([np.arange(width), np.zeros(width)]))[:, 0] - self.lens_centre[0]
        ys = PIXELS.from_index(np.column_stack([np.zeros(height), np.arange(height)]))[:, 1] - self.lens_centre[1]
        xx, yy = (v.astype(np.float32) for v in (xs, ys))
        extra = (self.bend / self.lens_radius**2) * (xx[None] ** 2 + yy[:, None] ** 2)
        map_x = np.arange(width, dtype=np.float32)[None] + xx[None] * extra
        map_y = np.arange(height, dtype=np.float32)[:, None] + yy[:, None] * extra
        return cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def warp(self, canvas: Image, extent: float, size: Size, height: float = 0.0) -> Image:
        """A square canvas that covers ``-extent .. extent`` of the plane, as seen; ``size`` is (height, width)."""
        scale = 2 * extent / canvas.shape[0]
        to_plane = np.array([[scale, 0, -extent], [0, scale, -extent], [0, 0, 1.0]])
        matrix = between_indices(self.straight(height) @ to_plane)
        return cv2.warpPerspective(canvas, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR)


def between_indices(matrix: Array) -> Array:
    """A ``(3, 3)`` map of continuous coordinates as OpenCV wants it, between pixel indices."""
    offset = PIXELS.from_index(np.zeros((1, 2)))[0]
    shift = np.array([[1, 0, offset[0]], [0, 1, offset[1]], [0, 0, 1.0]])
    return np.linalg.inv(shift) @ matrix @ shift


def turn(roll: float, tilt: float, direction: float) -> Array:
    """Rotation matrix: ``roll`` in the dial's own plane, then ``tilt`` out of the image plane; all in radians.

    ``direction`` is the angle of the tilt's axis in the image plane.
    """
    axis = np.array([np.cos(direction), np.sin(direction), 0.0])
    return cv2.Rodrigues(axis * tilt)[0] @ cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0]


def polar(radius: float | Array, angle: float | Array) -> Array:
    """Points of the dial's plane from radius and angle (radians, clockwise as seen, 0 to the right): ``(N, 2)``."""
    radius, angle = np.broadcast_arrays(np.asarray(radius, float), np.asarray(angle, float))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)


def fixed(points: Array) -> NDArray[np.int32]:
    """Continuous image points as OpenCV's fixed-point pixel indices."""
    return np.round(PIXELS.to_index(np.asarray(points, np.float64)) * (1 << SHIFT)).astype(np.int32)


def fill(image: Image, polygon: Array, colour: Colour | int) -> None:
    """Fill one polygon, antialiased. OpenCV widens it by two thirds of a pixel on each side; see ``bar``."""
    cv2.fillPoly(image, [fixed(polygon)], colour, cv2.LINE_AA, SHIFT)


def fill_convex(image: Image, polygon: Array, colour: Colour | int) -> None:
    """Fill one convex polygon, antialiased: unbiased, which ``fill`` is not to the last tenth of a pixel."""
    cv2.fillConvexPoly(image, fixed(polygon), colour, cv2.LINE_AA, SHIFT)


def fill_all(image: Image, polygons: Array, colour: Colour | int) -> None:
    """Fill many convex polygons ``(N, corners, 2)`` with one colour, as ``fill_convex`` does one by one."""
    for polygon in fixed(polygons.reshape(-1, 2)).reshape(polygons.shape):
        cv2.fillConvexPoly(image, polygon, colour, cv2.LINE_AA, SHIFT)


def strokes(image: Image, lines: Sequence[Array], colour: Colour | int, width: int = 1) -> None:
    """Draw open polylines, antialiased."""
    cv2.polylines(image, [fixed(line) for line in lines], False, colour, width, cv2.LINE_AA, SHIFT)


def filled(size: Size, outline: Array) -> Image:
    """A mask of ``size`` (height, width): 255 inside a convex outline, 0 outside."""
    mask = np.zeros(size, np.uint8)
    fill_convex(mask, outline, 255)
    return mask


def blend(image: Image, colour: Colour | Array | Image, share: NDArray[np.floating], *, rounded: bool = False) -> None:
    """Lay a colour, or another picture, over the image; ``share`` ``(height, width)`` is its opacity, 0..1."""
    mixed = image + (np.asarray(colour, np.float32) - image) * share[..., None]
    image[:] = (np.round(mixed) if rounded else mixed).astype(np.uint8)


def pick(rng: Generator, options: Sequence[Option]) -> Option:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def grey(rng: Generator, low: int, high: int) -> Colour:
    """A random grey, ``high`` excluded."""
    tone = int(rng.integers(low, high))
    return tone, tone, tone


def whole(values: Iterable[float]) -> Colour:
    """Three grey levels as a colour, truncated to whole numbers."""
    red, green, blue = (int(value) for value in values)
    return red, green, blue
