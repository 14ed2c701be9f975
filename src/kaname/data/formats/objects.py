"""Objects of several classes in an image: with a row for each object of a class, or for each object at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kaname.data.formats.dlc import SINGLE
from kaname.data.formats.files import visibility
from kaname.types import Sample


def boxed(samples: Sequence[Sample]) -> tuple[list[Sample], int]:
    """Samples of MOT-KP or DeepLabCut with a box for each object, and how many objects had no point to make one of.

    Every name has a row for each object, NaN where the object has no such point; a box is the extent of its points.
    Without ``labels`` the rows of all names are the same objects, and names with fewer rows are one object more.
    """
    made = [_boxed(sample) for sample in samples]
    return [sample for sample, _ in made], sum(left for _, left in made)


def _boxed(sample: Sample) -> tuple[Sample, int]:
    count = max((len(xy) for xy in sample.points.values()), default=0)
    labels = list(sample.labels) or [""] * count
    own = {name for name, xy in sample.points.items() if not sample.labels and len(xy) < count}
    if own:  # DeepLabCut's parts of no animal
        labels.append(SINGLE)
        sample = replace(sample, ids=[*sample.ids, SINGLE] if len(sample.ids) == count else ())
    seen: Counter[str] = Counter()
    places: list[tuple[str, int]] = []
    for label in labels:
        places.append((label, seen[label]))
        seen[label] += 1
    points: dict[str, Any] = {}
    visible: dict[str, Any] = {}
    for name, given in sample.points.items():
        known = visibility(sample, name)
        rows = [row if _is_of(label, name, own) and row < len(given) else None for label, row in places]
        there = [row is not None and known[row] > 0 for row in rows]
        points[name] = np.array(
            [given[row] if fine else (np.nan, np.nan) for row, fine in zip(rows, there, strict=True)]
        )
        visible[name] = np.array([known[row] if fine else 0 for row, fine in zip(rows, there, strict=True)], np.int64)
    stacked = np.stack([one.reshape(-1, 2) for one in points.values()]) if points else np.zeros((0, len(labels), 2))
    kept = np.flatnonzero(np.isfinite(stacked).all(axis=2).any(axis=0)).tolist()
    boxes = [[*np.nanmin(stacked[:, row], axis=0), *np.nanmax(stacked[:, row], axis=0)] for row in kept]
    return replace(
        sample,
        points={name: xy.reshape(-1, 2)[kept] for name, xy in points.items()},
        visible={name: one[kept] for name, one in visible.items()},
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        ids=[sample.ids[row] for row in kept] if len(sample.ids) == len(labels) else (),
        labels=[labels[row] or "object" for row in kept],
    ), len(labels) - len(kept)


def _is_of(label: str, name: str, single: Collection[str]) -> bool:
    """Whether a point is one of an object's; ``single`` are those of no animal."""
    return (name in single) == (label == SINGLE) if single else not label or name.startswith(f"{label}.")
