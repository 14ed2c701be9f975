"""Coordinates in the wrong unit: shares of the image where pixels or percent are meant, percent where pixels are.

One label alone may lie anywhere; that every label of a file lies in the first pixel of its image does not happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Sample, Size

Stored = Literal["index", "continuous", "percent"]
"""What the points of a format are: pixel indices, continuous pixels, or percent of the image."""

ROUNDING = 1e-3
SMALLEST = 8  # pixels a side: of a smaller image a label may well lie in the first pixel
LARGE = 400  # pixels a side, from which labels within the first hundred pixels are doubted
SPREAD = 30  # of the numbers of several images, from which they look like percent
ALONE = 60  # of those of one image, along each axis: a small object may well lie in the corner
SHARES = "they look like shares of the image"
Places = tuple[FloatArray, Size | None]  # (N, 2) and the size of their image


def doubted(read: Iterable[Sample | InputError], path: Path, stored: Stored) -> Iterator[Sample | InputError]:
    """What a reader read; where all points or all boxes of the file are in another unit, that in place of the samples.

    Args:
        read: what the reader of a file gives.
        path: the file, for the message.
        stored: what its points are; boxes are percent where points are, else continuous pixels.
    """
    found = list(read)
    wrong = fault_of([item for item in found if isinstance(item, Sample)], path, stored)
    yield from found if wrong is None else [wrong, *(item for item in found if isinstance(item, InputError))]


def fault_of(samples: Sequence[Sample], path: Path, stored: Stored) -> InputError | None:
    """The error of samples of one file whose points, boxes or polygons are all in another unit."""
    places = [(np.concatenate(list(sample.points.values())), sample.size) for sample in samples if sample.points]
    points = [(PIXELS.to_index(xy) if stored == "index" else xy, size) for xy, size in places]
    boxes = [(np.reshape(sample.boxes, (-1, 2)), sample.size) for sample in samples]
    drawn = [(sample, [np.reshape(one, (-1, 2)) for shape in sample.polygons for one in shape]) for sample in samples]
    outlines = [(_extent(np.concatenate(shapes)), sample.size) for sample, shapes in drawn if shapes]
    for places, what in ((points, "points"), (boxes, "boxes"), (outlines, "polygons")):
        remedy = percent_remedy(places) if stored == "percent" else pixel_remedy(places, whole=what == "points")
        if remedy is not None:
            meant, range_ = ("percent", "0..1") if stored == "percent" else ("pixels", remedy[0])
            return InputError(f"all {what} lie in {range_}, and {meant} are meant", path=path, remedy=remedy[1])
    return None


def pixel_remedy(places: Iterable[Places], *, whole: bool = False) -> tuple[str, str] | None:
    """The range that all numbers lie in, and what to do, where they are hardly pixels; else None.

    Args:
        places: of all labels of a file, with the sizes of their images.
        whole: whether whole numbers in 0..1 are pixels all the same, as of points in the first two pixels.
    """
    numbers, sizes = _numbers(places)
    if not len(numbers) or numbers.min() < 0 or not numbers.any():
        return None
    if numbers.max() <= 1 + ROUNDING and not _tiny(sizes):
        if whole and (numbers == np.round(numbers)).all():
            return None
        return "0..1", f"{SHARES}: multiply them by its width and height"
    large = all(size is not None and min(size) >= LARGE for size in sizes)
    spread = np.ptp(numbers) >= SPREAD if len(sizes) > 1 else np.ptp(numbers, axis=0).min() >= ALONE
    if numbers.max() <= 100 + ROUNDING and large and spread:
        return "0..100", "they look like percent of the image: multiply them by its width and height / 100"
    return None


def percent_remedy(places: Iterable[Places]) -> tuple[str, str] | None:
    """The same of places that were percent of their image and now are pixels."""
    shares = [(xy / (size[1], size[0]) * 100, size) for xy, size in places if size is not None]
    numbers, _ = _numbers(shares)
    if not len(numbers) or numbers.max() > 1 + ROUNDING or not numbers.any():
        return None
    return "0..1", f"{SHARES}: multiply them by 100"


def _extent(xy: FloatArray) -> FloatArray:
    """Two corners of the box around points ``(N, 2)``: they stand for all where many millions are judged together."""
    there = xy[np.isfinite(xy).all(axis=1)]
    return np.stack([there.min(axis=0), there.max(axis=0)]) if len(there) else there


def _numbers(places: Iterable[Places]) -> tuple[FloatArray, list[Size | None]]:
    """All places ``(N, 2)`` that are there, and the sizes of their images."""
    given = [(xy[np.isfinite(xy).all(axis=1)], size) for xy, size in places]
    given = [(xy, size) for xy, size in given if len(xy)]
    numbers = np.concatenate([xy for xy, _ in given]) if given else np.zeros((0, 2))
    return numbers, [size for _, size in given]


def _tiny(sizes: Sequence[Size | None]) -> bool:
    return any(size is not None and max(size) <= SMALLEST for size in sizes)
