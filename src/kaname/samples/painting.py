"""Painting on a flat canvas of the dial's plane: bars, arcs, ellipses, at sub-pixel places and true widths."""

from __future__ import annotations

import cv2
import numpy as np

from ..geometry.grid import PIXELS
from ..types import Image
from .camera import SHIFT, Array, Colour, fill, fixed, polar, strokes, whole

EXTENT = 1.06  # the canvas reaches a little beyond the face's radius of 1
WIDENING = 0.6  # what OpenCV's antialiased polygons add on each side, in pixels (measured)


def to_canvas(points: Array, side: int) -> Array:
    """Points of the dial's plane as continuous points of a canvas of ``side`` pixels."""
    return (points + EXTENT) * (side / (2 * EXTENT))


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Colour between a (share 0) and b (share 1)."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def bar(canvas: Image, angle: float, inner: float, outer: float, widths: tuple[float, float], colour: Colour) -> None:
    """A radial bar of the given widths at its inner and outer end, true to its size down to hair lines."""
    bars(canvas, np.array([angle]), inner, outer, widths, colour)


def bars(canvas: Image, angles: Array, inner: float, outer: float, widths: tuple[float, float], colour: Colour) -> None:
    """Radial bars at angles ``(N,)``, each as ``bar`` draws one."""
    side = canvas.shape[0]
    pixel = 2 * EXTENT / side
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    half = [max(w / 2 - WIDENING * pixel, 0.02 * pixel) for w in widths]
    low, high = inner + WIDENING * pixel, outer - WIDENING * pixel
    corners = [along * low + across * half[0], along * high + across * half[1],
               along * high - across * half[1], along * low - across * half[0]]  # fmt: skip
    polygons = fixed(to_canvas(np.stack(corners, axis=1), side).reshape(-1, 2)).reshape(-1, 4, 2)
    # a line thinner than the thinnest that OpenCV can draw becomes a fainter one
    strength = min(1.0, max(widths) / pixel / 1.3)
    spots = PIXELS.to_index(to_canvas(along * outer * 1.03, side)).astype(int).clip(0, side - 1)
    for polygon, (x, y) in zip(polygons, spots, strict=True):
        seen = colour if strength == 1 else mix(whole(canvas[y, x]), colour, strength)
        cv2.fillConvexPoly(canvas, polygon, seen, cv2.LINE_AA, SHIFT)


def arc(canvas: Image, radius: float, width: float, span: tuple[float, float], colour: Colour) -> None:
    """A line or band along a circle between two angles."""
    side = canvas.shape[0]
    angles = np.linspace(*span, 100)
    pixels = width * side / (2 * EXTENT)
    if pixels < 2.4:
        strokes(canvas, [to_canvas(polar(radius, angles), side)], colour, 1 if pixels < 1.6 else 2)
        return
    edge = np.concatenate([polar(radius - width / 2, angles), polar(radius + width / 2, angles[::-1])])
    fill(canvas, to_canvas(edge, side), colour)


def ellipse(canvas: Image, centre: Array, radii: tuple[float, float], colour: Colour, *, width: int = 0) -> None:
    """An upright ellipse of the plane, filled (width 0) or drawn as a line of ``width`` pixels."""
    angles = np.linspace(0, 2 * np.pi, 33)
    ring = centre + np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1)
    indices = np.round(PIXELS.to_index(to_canvas(ring, canvas.shape[0])) * 16).astype(np.int32)
    if width:
        cv2.polylines(canvas, [indices], True, colour, width, cv2.LINE_AA, 4)
    else:
        cv2.fillConvexPoly(canvas, indices, colour, cv2.LINE_AA, 4)
