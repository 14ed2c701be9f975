"""Painting on a flat canvas of the dial's plane: bars, arcs, ellipses, at sub-pixel places and true widths."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.grid import PIXELS
from .camera import Colour, Image, fill, fill_convex, polar, strokes

Array = NDArray[np.float64]

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
    side = canvas.shape[0]
    pixel = 2 * EXTENT / side
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    half = [max(w / 2 - WIDENING * pixel, 0.02 * pixel) for w in widths]
    # a line thinner than the thinnest that OpenCV can draw becomes a fainter one
    strength = min(1.0, max(widths) / pixel / 1.3)
    if strength < 1:
        spot = PIXELS.to_index(to_canvas(along[None] * outer * 1.03, side))[0].astype(int).clip(0, side - 1)
        red, green, blue = (int(v) for v in canvas[spot[1], spot[0]])
        colour = mix((red, green, blue), colour, strength)
    inner, outer = inner + WIDENING * pixel, outer - WIDENING * pixel
    corners = [along * inner + across * half[0], along * outer + across * half[1],
               along * outer - across * half[1], along * inner - across * half[0]]  # fmt: skip
    fill_convex(canvas, to_canvas(np.array(corners), side), colour)


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
    if width:
        cv2.polylines(canvas, [_indices(ring, canvas)], True, colour, width, cv2.LINE_AA, 4)
    else:
        cv2.fillConvexPoly(canvas, _indices(ring, canvas), colour, cv2.LINE_AA, 4)


def _indices(points: Array, canvas: Image) -> NDArray[np.int32]:
    return np.round(PIXELS.to_index(to_canvas(points, canvas.shape[0])) * 16).astype(np.int32)
