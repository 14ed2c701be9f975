"""Marks on a picture: rings and crosses with edges that stand out from any ground. They are drawn with OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.geometry.grid import PIXELS

Colour = tuple[int, int, int]
RGBImage = NDArray[np.uint8]

INK: Colour = (20, 20, 20)
PAPER: Colour = (255, 255, 255)
DARK = 60  # mean brightness below which a mark has a light edge
# OpenCV draws at fractions of a pixel: coordinates are integers in units of 2 ** -SHIFT pixels.
SHIFT = 4
LABELS = ("true", "labelled", "annotated")  # how the names of labels begin


def rings(
    image: RGBImage,
    points: NDArray[Any],
    colour: Colour,
    radius: float,
    thickness: int,
    *,
    ground: RGBImage | None = None,
) -> None:
    """Draws circles into ``image``, each with a rim so that it stands on any background.

    Args:
        points: ``(N, 2)`` pixels of ``image``; those that are not finite or lie outside are left out.
        radius: in pixels.
        thickness: in whole pixels.
        ground: the picture before anything was drawn into it.
    """
    xy = np.asarray(points, np.float64).reshape(-1, 2)
    xy = xy[np.isfinite(xy).all(axis=1)]
    height, width = image.shape[:2]
    xy = xy[((xy >= -radius) & (xy <= (width + radius, height + radius))).all(axis=1)]
    edges = [rim(image if ground is None else ground, place, radius) for place in xy]
    centres = np.rint(PIXELS.to_index(xy) * (1 << SHIFT)).astype(int).tolist()
    for own, wide in ((True, thickness + 2), (False, thickness)):
        for centre, edge in zip(centres, edges, strict=True):
            ink = edge if own else colour
            cv2.circle(image, centre, round(radius * (1 << SHIFT)), ink, wide, cv2.LINE_AA, SHIFT)


def rim(image: RGBImage, place: NDArray[Any], radius: float) -> Colour:
    """The colour of a mark's edge: dark, and on a dark ground light."""
    x, y = (round(float(value)) for value in place)
    reach = max(2, round(radius))
    seen = image[max(0, y - reach) : max(0, y + reach + 1), max(0, x - reach) : max(0, x + reach + 1)]
    return PAPER if seen.size and float(seen.mean()) < DARK else INK


def crosses(image: RGBImage, points: NDArray[Any], colour: Colour, radius: float) -> None:
    """Draws diagonal crosses into ``image``, each with a rim so that it stands on any background."""
    xy = np.asarray(points, np.float64).reshape(-1, 2)
    xy = xy[np.isfinite(xy).all(axis=1)]
    height, width = image.shape[:2]
    xy = xy[((xy >= -radius) & (xy <= (width + radius, height + radius))).all(axis=1)]
    unit = 1 << SHIFT
    centres = np.rint(PIXELS.to_index(xy) * unit).astype(int)
    reach = round(radius * unit)
    thin = max(1, round(radius / 4))
    rims = [rim(image, place, radius) for place in xy]
    for own, thickness in ((True, thin + 2), (False, thin)):
        for (x, y), edge in zip(centres.tolist(), rims, strict=True):
            ink = edge if own else colour
            for slope in (1, -1):
                start, end = (x - reach, y - slope * reach), (x + reach, y + slope * reach)
                cv2.line(image, start, end, ink, thickness, cv2.LINE_AA, SHIFT)


def steps_of(points: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """How many steps wider than the narrowest the rings of each set are; the widest come first."""
    steps: dict[str, float] = {}
    for own, base in ((False, 0.0), (True, 2.0)):
        counts = {name: count(xy) for name, xy in points.items() if name.startswith(LABELS) == own}
        few = [name for name, number in counts.items() if number < max(counts.values())]
        steps |= {name: base + (1 + few.index(name) / 2 if name in few else 0) for name in counts}
    return dict(sorted(steps.items(), key=lambda item: -item[1]))


def count(xy: NDArray[Any]) -> int:
    """How many points are finite."""
    return int(np.isfinite(np.asarray(xy, np.float64).reshape(-1, 2)).all(axis=1).sum())
