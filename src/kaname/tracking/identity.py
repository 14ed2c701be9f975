"""Which of a class's objects is which along a video: a detector fills slots anew in every frame it looks at.

There are as many ids as the class has instances at once, and never more. At every detection (a seam) objects get the
ids of the objects last seen nearest to them; between detections a tracker follows them, and they keep their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError, require
from kaname.geometry.assignment import assigned
from kaname.types import FloatArray

FAR = 1e9  # pixels; no picture is that large
GATE = 0.1  # of the frame's width, beyond which an object is usually not taken for one that was last seen there


class Identity:
    """The ids of one class's objects.

    Args:
        ids: as many as there can be objects at once.
        gate: pixels; an object is not taken for one that was last seen farther away than this while an id is free
            that no object has had yet.

    Raises:
        InputError: no id, one twice, or a gate that is not positive.
    """

    def __init__(self, ids: Sequence[int], *, gate: float) -> None:
        require(len(ids) > 0 and len(set(ids)) == len(ids), f"ids must differ, got {list(ids)}")
        require(gate > 0, f"the gate must be positive, got {gate}", "a tenth of the frame's width is usual")
        self.ids, self.gate = list(ids), float(gate)
        self.last: dict[int, FloatArray] = {}  # by id, where each object was last seen

    def assign(self, objects: Sequence[FloatArray]) -> list[int]:
        """An id for each object of a frame that the detector looked at.

        First as many as possible get the id of an object last seen within the gate, so that distances are least in all;
        then ids that nobody has had, in their order; then the others, by the least distances.

        Args:
            objects: ``(K, 2)`` points of each, NaN where absent.

        Raises:
            InputError: more objects than ids.
        """
        if len(objects) > len(self.ids):
            raise InputError(f"{len(objects)} objects, but only {len(self.ids)} ids", remedy="raise the instances")
        if len(self.ids) == 1 or not objects:
            given = self.ids[: len(objects)]
            self.follow(objects, given)
            return given
        found: dict[int, int] = {}
        seen = [one for one in self.ids if one in self.last]
        fresh = [one for one in self.ids if one not in self.last]
        apart = self._distances(objects, seen)
        # Whatever is beyond the gate costs more than any number of matches within it.
        for row, column in zip(*assigned(np.where(apart <= self.gate, -apart, -FAR)), strict=True):
            if apart[row, column] <= self.gate:
                found[int(row)] = seen[int(column)]
        for row in [row for row in range(len(objects)) if row not in found][: len(fresh)]:
            found[row] = fresh.pop(0)
        left = [row for row in range(len(objects)) if row not in found]
        free = [column for column, one in enumerate(seen) if one not in found.values()]
        rows, columns = assigned(-np.minimum(apart[left][:, free], FAR))
        found |= {left[row]: seen[free[column]] for row, column in zip(rows.tolist(), columns.tolist(), strict=True)}
        given = [found[row] for row in range(len(objects))]
        self.follow(objects, given)
        return given

    def follow(self, objects: Sequence[FloatArray], ids: Sequence[int]) -> None:
        """Tell where objects whose ids are known are now; points that are absent keep their last place."""
        for points, one in zip(objects, ids, strict=True):
            points = np.asarray(points, np.float64)
            there = np.isfinite(points).all(axis=1, keepdims=True)
            if there.any():
                self.last[one] = np.where(there, points, self.last.get(one, np.full(points.shape, np.nan)))

    def state(self) -> dict[str, Any]:
        """Where each object was last seen, as plain values, so that a run that stopped may go on."""
        return {str(one): [[None if np.isnan(x) else x for x in point] for point in points.tolist()]
                for one, points in self.last.items()}  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        known = {str(one): one for one in self.ids}
        self.last = {known[name]: np.array(points, np.float64) for name, points in state.items() if name in known}

    def _distances(self, objects: Sequence[FloatArray], ids: Sequence[int]) -> FloatArray:
        """Mean distance ``(objects, ids)`` over the points that both have; infinite without any."""
        apart = np.full((len(objects), len(ids)), np.inf)
        for row, points in enumerate(objects):
            for column, one in enumerate(ids):
                each = np.linalg.norm(np.asarray(points, np.float64) - self.last[one], axis=1)
                both: NDArray[np.bool_] = np.isfinite(each)
                if both.any():
                    apart[row, column] = each[both].mean()
        return apart
