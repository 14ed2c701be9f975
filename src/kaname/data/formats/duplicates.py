"""What is annotated twice: points of one name within a pixel of each other, boxes that are the same within a pixel."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from kaname.errors import InputError
from kaname.types import FloatArray, Sample

NEAR = 1.0  # pixels; nobody marks two things so close to each other
FEW = 1000  # points up to which all are compared with all at once


def double_points(xy: FloatArray) -> list[int]:
    """The rows of ``(N, 2)`` points that lie within a pixel of an earlier one that counts; NaN rows never do.

    >>> double_points(np.array([[1.0, 1.0], [5.0, 5.0], [1.2, 1.0], [np.nan, 2.0]]))
    [2]
    """
    kept: list[int] = []
    double: list[int] = []
    if len(xy) < FEW and not (np.triu(np.hypot(*(xy[:, None] - xy).T), 1) + np.tri(len(xy)) < NEAR).any():
        return double
    for row, place in enumerate(xy):
        near = any(np.hypot(*(place - xy[other])) < NEAR for other in kept)
        (double if near else kept).append(row)
    return double


def same_places(xy: FloatArray, other: FloatArray) -> bool:
    """Whether the points ``(N, 2)`` of two objects are there alike, at least two, and within a pixel of each other."""
    if xy.shape != other.shape:
        return False
    there = np.isfinite(xy).all(axis=1)
    if there.sum() < 2 or (there != np.isfinite(other).all(axis=1)).any():
        return False
    return bool((np.hypot(*(xy[there] - other[there]).T) < NEAR).all())


def without_double_points(points: Mapping[str, FloatArray]) -> tuple[dict[str, FloatArray], list[str]]:
    """Sets of points by name in which each is there once, and a line for each name of which some were there twice."""
    kept: dict[str, FloatArray] = {}
    lines: list[str] = []
    for name, xy in points.items():
        double = double_points(xy)
        kept[name] = np.delete(xy, double, axis=0) if double else xy
        if double:
            x, y = xy[double[0]].tolist()
            lines.append(
                f"{len(double)} of the points {name!r} lie within a pixel of another one, the first at "
                f"({x:.1f}, {y:.1f}): each counts once"
            )
    return kept, lines


def across_names(points: Mapping[str, FloatArray]) -> list[str]:
    """A line for each pair of names of which two points lie within a pixel of each other.

    >>> across_names({"a": np.array([[1.0, 1.0]]), "b": np.array([[1.5, 1.0]]), "c": np.array([[9.0, 9.0]])})
    ["the points 'a' and 'b' lie within a pixel of each other at (1.5, 1.0)"]
    """
    lines: list[str] = []
    for (name, xy), (other, places) in itertools.combinations(points.items(), 2):
        far = np.hypot(*(xy[:, None] - places[None]).T).T
        for column in np.flatnonzero((far < NEAR).any(axis=0))[:1]:
            x, y = places[column].tolist()
            lines.append(f"the points {name!r} and {other!r} lie within a pixel of each other at ({x:.1f}, {y:.1f})")
    return lines


def double_boxes(sample: Sample) -> Iterator[tuple[int, int]]:
    """The rows of boxes that are the same as an earlier one of the same label, within a pixel on every side, each with
    that one."""
    boxes, labels = np.asarray(sample.boxes, dtype=np.float64).reshape(-1, 4), list(sample.labels)
    double: set[int] = set()
    for row in range(1, len(boxes)):
        near = np.flatnonzero((np.abs(boxes[:row] - boxes[row]) < NEAR).all(axis=1))
        same = [int(one) for one in near if one not in double and (not labels or labels[one] == labels[row])]
        if same:
            double.add(row)
            yield row, same[0]


def without_double_boxes(sample: Sample, path: Path) -> tuple[Sample, list[str]]:
    """The sample with each box once, and a line that says so.

    Raises:
        InputError: two boxes are the same, but not what belongs to them (the points of a COCO file).
    """
    pairs = list(double_boxes(sample))
    if not pairs:
        return sample, []
    by_row = bool(len(sample.ids)) and all(len(xy) == len(sample.boxes) for xy in sample.points.values())
    for row, first in pairs if by_row else ():
        for name, xy in sample.points.items():
            if not np.allclose(xy[row], xy[first], rtol=0, atol=NEAR, equal_nan=True):
                reason = f"annotations {sample.ids[first]} and {sample.ids[row]} have the same box and other points"
                raise InputError(reason, path=path, row=sample.image.name, remedy=f"keep one of them ({name})")
    rows = [row for row in range(len(sample.boxes)) if row not in {row for row, _ in pairs}]
    kept = replace(
        sample,
        boxes=sample.boxes[rows],
        polygons=[sample.polygons[row] for row in rows] if len(sample.polygons) else [],
        labels=[sample.labels[row] for row in rows] if len(sample.labels) else [],
        ids=[sample.ids[row] for row in rows] if len(sample.ids) else [],
    )
    if by_row:
        points = {name: xy[rows] for name, xy in sample.points.items()}
        kept = replace(kept, points=points, visible={name: one[rows] for name, one in sample.visible.items()})
    count = f"{len(pairs)} of {len(sample.boxes)} boxes"
    return kept, [f"{sample.image.name}: {count} are the same as another one, which counts once"]
