"""Frames of ``kpnet`` with points and classes drawn on them. No torch."""

from __future__ import annotations

import cv2
import numpy as np

from kaname.data.formats.skeleton import Skeleton
from kaname.geometry.grid import PIXELS
from kaname.recipes.kpnet.labels import Picture
from kaname.reporting import draw
from kaname.reporting.pairs import BETWEEN, PREDICTED, TRUE
from kaname.types import Image

COLOURS = {"labelled": TRUE, "predicted": PREDICTED}


def classes_overlay(image: Image, classes: np.ndarray, picture: Picture, predicted: np.ndarray, alpha: float) -> Image:
    """A frame under the class of each of its pixels, in the skeleton's colours, with its points."""
    return joined(painted(image, classes, picture.skeleton, alpha), picture, predicted)


def painted(image: Image, classes: np.ndarray, skeleton: Skeleton, alpha: float) -> Image:
    """A frame under the class of each of its pixels, in the skeleton's colours."""
    own = [group.colour or draw.PALETTE[number % len(draw.PALETTE)]
           for number, group in enumerate(skeleton.groups.values())]  # fmt: skip
    colours = np.array([(0, 0, 0), *own], np.float64)[classes]
    share = np.where(classes > 0, alpha, 0.0)[..., None]
    return np.rint(image * (1 - share) + colours * share).astype(np.uint8)


def joined(image: Image, picture: Picture, predicted: np.ndarray) -> Image:
    """An image with labelled points, predicted ones ``(C, 2)``, and lines between them."""
    image = np.array(image, order="C")
    true = np.where((picture.channels[1] > 0)[:, None], picture.channels[0], np.nan)
    for start, end in zip(true, predicted, strict=True):
        if np.isfinite([start, end]).all():
            first, last = (tuple(np.rint(PIXELS.to_index(place)).astype(int).tolist()) for place in (start, end))
            cv2.line(image, first, last, BETWEEN, 1, cv2.LINE_AA)
    layers = {"labelled": true, "predicted": predicted}
    kept = {name: xy[np.isfinite(xy).all(axis=1)] for name, xy in layers.items()}
    return draw.points_overlay(image, kept, COLOURS)
