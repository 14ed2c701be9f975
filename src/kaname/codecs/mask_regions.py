"""Which pixels of the image belong to each box's mask, one box in memory at a time, and the outlines of what does.

>>> cells = np.zeros((1, 3, 2, 2), np.float32)
>>> cells[0, 1], cells[0, 2] = 0.6, 0.3
>>> masks = Masks(cells, np.array([[1.0, 1.0, 3.0, 2.0]]), ("background", "target", "non_target"), (4, 4))
>>> [region.inside.tolist() for region in regions(masks, Choice(threshold=0.5))]
[[[True, True]]]
>>> outer, holes = outlines(next(regions(masks)))
>>> outer[0].tolist(), len(holes)
([[1.0, 1.0], [1.0, 2.0], [3.0, 2.0], [3.0, 1.0]], 0)
"""

# NumPy's and OpenCV's stubs leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from kaname.codecs.roi_mask import BACKGROUND, NON_TARGET, TARGET, Region, patch
from kaname.errors import InputError
from kaname.shapes import Bool, Float32, Float64
from kaname.types import Masks

OVERLAPS = ("keep", "exclusive")


@dataclass(frozen=True)
class Choice:
    """How probabilities become masks.

    Attributes:
        threshold: a pixel belongs to the mask where the target's probability is above; None: where the target is the
            most probable class.
        rescore: what is compared with the threshold, and what the mask's score is the mean of, is p1 / (p1 + p2), the
            target's share among persons; a pixel that is rather background than any person stays outside.
        overlap: ``keep`` each mask as it is, or ``exclusive``: a pixel of several goes to the one with the highest p1
            (of equal ones the first).
    """

    threshold: float | None = None
    rescore: bool = False
    overlap: Literal["keep", "exclusive"] = "keep"

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise InputError(f"the threshold must be at least 0 and below 1, got {self.threshold}")
        if self.overlap not in OVERLAPS:
            raise InputError(f"unknown overlap {self.overlap!r}", remedy=f"one of {', '.join(OVERLAPS)}")


PLAIN = Choice()


def regions(masks: Masks, choice: Choice = PLAIN) -> Iterator[Region]:
    """The mask of each box, in the order of the boxes.

    ``exclusive`` runs over the boxes twice and keeps one number a pixel of the image; else there is one box in memory.

    Raises:
        InputError: ``rescore`` without a class of other persons.
    """
    best = np.zeros(masks.size, np.float32) if choice.overlap == "exclusive" else None
    if best is not None:
        for rows, columns, values in _patches(masks):
            mine = np.where(_inside(values, choice), values[TARGET], 0)
            np.maximum(best[rows, columns], mine, out=best[rows, columns])
    for rows, columns, values in _patches(masks):
        inside = _inside(values, choice)
        if best is not None:
            inside &= values[TARGET] >= best[rows, columns]
            best[rows, columns][inside] = np.inf  # given away
        yield Region(rows, columns, inside)


def score(cells: Float32[np.ndarray, "classes rows columns"], choice: Choice = PLAIN) -> float:
    """How sure a mask is: the mean of the target's probability over the cells where it is the most probable class."""
    inside = cells.argmax(axis=0) == TARGET
    return float(_sureness(cells, choice)[inside].mean()) if inside.any() else 0.0


def outlines(region: Region) -> tuple[list[Float64[np.ndarray, "_corners 2"]], list[Float64[np.ndarray, "_corners 2"]]]:
    """The outer rings and the holes of a mask, along the edges of its pixels, in pixels of the image.

    The outer rings filled and the holes taken out are exactly the mask.
    """
    # At twice the size the way through the outermost quarters of pixels tells on which side of them the edge lies.
    quarters = region.inside.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    rings, tree = cv2.findContours(quarters, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer: list[Float64[np.ndarray, "_corners 2"]] = []
    holes: list[Float64[np.ndarray, "_corners 2"]] = []
    corner = np.array([region.columns.start, region.rows.start])
    parents: list[int] = np.asarray(tree)[0, :, 3].tolist() if rings else []  # of an outer ring -1
    for ring, parent in zip(rings, parents, strict=True):
        corners = (ring[:, 0].astype(np.int64) + 1) // 2
        corners = corners[(corners != np.roll(corners, 1, axis=0)).any(axis=1)]
        (outer if parent < 0 else holes).append((corners + corner).astype(np.float64))
    return outer, holes


def _patches(masks: Masks) -> Iterator[tuple[slice, slice, Float32[np.ndarray, "classes height width"]]]:
    for cells, box in zip(masks.probabilities, masks.boxes, strict=True):
        yield patch(cells, box, masks.size)


def _inside(values: Float32[np.ndarray, "classes height width"], choice: Choice) -> Bool[np.ndarray, "height width"]:
    if choice.threshold is None:
        return values.argmax(axis=0) == TARGET
    inside = _sureness(values, choice) > choice.threshold
    return inside & (values[BACKGROUND] < values[TARGET] + values[NON_TARGET]) if choice.rescore else inside


def _sureness(
    values: Float32[np.ndarray, "classes height width"], choice: Choice
) -> Float32[np.ndarray, "height width"]:
    target = values[TARGET]
    if not choice.rescore:
        return target
    if len(values) <= NON_TARGET:
        raise InputError("the model has no class of other persons", remedy="leave out --rescore")
    persons = target + values[NON_TARGET]
    return np.divide(target, persons, out=np.zeros_like(target), where=persons > 0)
