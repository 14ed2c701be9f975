"""Any number of points of one name in COCO, which holds one point of a name for each instance.

Several points of one name in an instance become several key points: ``middle`` becomes ``middle#1``, ``middle#2``, ...,
as many as the fullest instance has; the others lack the last ones. :func:`joined` undoes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import visibility
from kaname.types import FloatArray, Sample

_NUMBERED = re.compile(r"^(.+)#([1-9][0-9]*)$")
Share = tuple[NDArray[np.int64], FloatArray, NDArray[np.int64]]  # owners, points and visibility of one name


def numbered(samples: Sequence[Sample]) -> tuple[list[Sample], dict[str, int], int]:
    """Samples whose points are sets (Label Studio's), as samples with one row of points per instance (COCO's).

    A point belongs to the box that its file says, else to the smallest one that it lies in; where an image has one box
    or none, to that instance.

    Returns:
        the samples, how many key points each numbered name became, and how many points were left out because they lie
        outside all boxes of an image with several.
    """
    shares = [_shares(sample) for sample in samples]
    most: dict[str, int] = {}
    for share in shares:
        for name, (owners, *_) in share.items():
            most[name] = max(most.get(name, 1), int(np.bincount(owners[owners >= 0], minlength=1).max(initial=1)))
    lost = sum(int((owners < 0).sum()) for share in shares for owners, *_ in share.values())
    changed = [_by_row(sample, share, most) for sample, share in zip(samples, shares, strict=True)]
    return changed, {name: count for name, count in most.items() if count > 1}, lost


def joined(samples: Iterable[Sample]) -> list[Sample]:
    """Samples in which ``middle#1``, ``middle#2``, ... are again points of one name, missing ones left out.

    Boxes that nobody drew (the writer's, around points without a box) are dropped.
    """
    return [_joined(sample) for sample in samples]


def _shares(sample: Sample) -> dict[str, Share]:
    """For each name the box of every point that is there (-1: none), the points and their visibility."""
    boxes = np.asarray(sample.boxes, dtype=np.float64).reshape(-1, 4)
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    shares: dict[str, Share] = {}
    for name, points in sample.points.items():
        visible = visibility(sample, name)
        there = visible > 0
        xy, visible = points[there], visible[there]
        owners = np.zeros(len(xy), dtype=np.int64)
        stated = np.array(sample.meta.get("parents", {}).get(name, [-1]), dtype=np.int64)
        if len(boxes) > 1 and (stated >= 0).all():
            owners = stated[there]
        elif len(boxes) > 1:
            inside = (xy[:, None] >= boxes[None, :, :2]).all(axis=2) & (xy[:, None] <= boxes[None, :, 2:]).all(axis=2)
            owners = np.where(np.any(inside, axis=1), np.where(inside, sizes, np.inf).argmin(axis=1), -1)
        shares[name] = (owners, xy, visible)
    return shares


def _by_row(sample: Sample, share: Mapping[str, Share], most: Mapping[str, int]) -> Sample:
    rows = len(sample.boxes) or int(any(map(len, sample.points.values())))  # COCO's writer gives lone points a box
    points: dict[str, FloatArray] = {}
    visible: dict[str, NDArray[np.int64]] = {}
    for name, (owners, xy, seen) in share.items():
        for number in range(most[name]):
            key = name if most[name] == 1 else f"{name}#{number + 1}"
            points[key], visible[key] = np.full((rows, 2), np.nan), np.zeros(rows, dtype=np.int64)
            for row in range(rows):
                mine = np.flatnonzero(owners == row)[number : number + 1]
                if len(mine):
                    points[key][row], visible[key][row] = xy[mine[0]], seen[mine[0]]
    return replace(sample, points=points, visible=visible)


def _joined(sample: Sample) -> Sample:
    parts: dict[str, list[str]] = {}
    for name in sample.points:
        match = _NUMBERED.match(name)
        family = match[1] if match and f"{match[1]}#1" in sample.points and f"{match[1]}#2" in sample.points else name
        parts.setdefault(family, []).append(name)
    points: dict[str, FloatArray] = {}
    visible: dict[str, NDArray[np.int64]] = {}
    for family, names in parts.items():
        xy = np.concatenate([sample.points[name] for name in names])
        seen = np.concatenate([sample.visible.get(name, np.full(len(sample.points[name]), 2)) for name in names])
        there = seen > 0 if len(names) > 1 else np.ones(len(xy), dtype=bool)
        points[family], visible[family] = xy[there], seen[there]
    sample = replace(sample, points=points, visible=visible)
    if not sample.meta.get("extents") or len(sample.meta["extents"]) < len(sample.boxes):
        return sample
    return replace(sample, boxes=np.zeros((0, 4)), polygons=[], ids=[], labels=[])  # boxes that nobody drew
