"""Instances of a skeleton drawn on an image: its edges as lines, its points as rings in the colours of their groups."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kaname.data.formats.skeleton import Skeleton
from kaname.geometry.grid import PIXELS
from kaname.reporting.draw import PALETTE
from kaname.types import FloatArray, Image

SHIFT = 4  # OpenCV draws at fractions of a pixel: integers in units of 2 ** -SHIFT pixels
DOT = 110  # of an instance's extent or so in the radius of a point
OUTLINE = (20, 20, 20)


@dataclass(frozen=True)
class Instances:
    """Objects to draw: ``points`` ``(N, C, 2)`` in the channels of a skeleton, NaN where one is not there; ``name``
    says what they are."""

    name: str
    points: FloatArray
    skeleton: Skeleton


def skeleton_overlay(image: Image, instances: FloatArray, skeleton: Skeleton | None) -> Image:
    """A copy of an image with instances ``(N, C, 2)`` on it; points that are NaN are left out.

    Args:
        skeleton: whose channels they are; without one all rings have one colour and there are no lines.
    """
    drawn = np.array(image, order="C")
    for points in instances:
        there = np.isfinite(points).all(axis=1)
        if not there.any():
            continue
        extent = float(np.ptp(points[there], axis=0).max())
        radius = float(np.clip(max(extent, min(image.shape[:2]) / 4) / DOT, 1.2, max(12, max(image.shape[:2]) / 350)))
        places = np.rint(PIXELS.to_index(np.where(there[:, None], points, 0)) * 2**SHIFT).astype(int)
        thickness = max(1, round(radius / 2))
        names = [""] * len(points) if skeleton is None else list(skeleton.channels)
        colours = {} if skeleton is None else skeleton.colours
        for one, other in [] if skeleton is None else skeleton.edges:
            if there[one] and there[other]:
                ends = (tuple(places[one].tolist()), tuple(places[other].tolist()))
                cv2.line(drawn, *ends, colours.get(names[one], PALETTE[0]), thickness, cv2.LINE_AA, SHIFT)
        for number in np.flatnonzero(there):
            centre, colour = tuple(places[number].tolist()), colours.get(names[number], PALETTE[0])
            for thick, ink in ((thickness + 2, OUTLINE), (thickness, colour)):
                cv2.circle(drawn, centre, round(1.6 * radius * 2**SHIFT), ink, thick, cv2.LINE_AA, SHIFT)
    return drawn
