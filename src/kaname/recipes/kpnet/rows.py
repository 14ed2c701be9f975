"""From the points of frames to rows of MOT-KP text: which objects are there, and which is which. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kaname.data.formats.mot_kp_rows import Row, row_text
from kaname.data.formats.skeleton import Skeleton, Slot
from kaname.tracking.bridge import VISIBLE, Bridged
from kaname.tracking.filters import Filtered
from kaname.tracking.identity import GATE, Identity
from kaname.tracking.smooth import Smooth
from kaname.types import FloatArray, Size

DIGITS = 3  # of a coordinate: a thousandth of a pixel


@dataclass(frozen=True)
class Writing:
    """How objects become rows.

    Attributes:
        third: of a triple: the visibility, or the score of the peak (0 where it is out of frame).
        absent: whether an object that is not there has a row too.
        smooth: how points are smoothed along the video.
    """

    third: Literal["visibility", "confidence"] = "visibility"
    absent: bool = False
    smooth: Smooth = field(default_factory=Smooth)


class Rows:
    """The rows of a video, frame after frame.

    Ids count the slots of the skeleton. In a class with several instances an id stays with its object: at a detection
    objects take the ids of those last seen nearest to them, and keep them up to the next one. A point that is out of
    frame has the place that is likeliest, or where it was last.

    Args:
        size: of the frames.
    """

    def __init__(self, skeleton: Skeleton, size: Size, how: Writing) -> None:
        self.skeleton, self.how = skeleton, how
        self.slots: dict[str, list[tuple[int, Slot]]] = {}
        for number, slot in enumerate(skeleton.slots):
            self.slots.setdefault(slot.group, []).append((number, slot))
        gate = GATE * size[1]
        self.identities = {
            group: Identity([number for number, _ in slots], gate=gate)
            for group, slots in self.slots.items()
            if len(slots) > 1
        }
        self.filtered = Filtered(how.smooth, reach=gate)
        self.given: dict[int, int] = {}  # from slot to id since the last detection
        self.places = np.full((len(skeleton.channels), 2), np.nan)

    def of(self, frame: Bridged, places: FloatArray | None = None) -> Iterator[str]:
        """The lines of a frame.

        Args:
            places: ``(C, 2)`` of a detection: the likeliest of each point, also where it is out of frame.
        """
        if places is not None:
            self.places = np.array(places, np.float64)
        known = np.isfinite(frame.found.xy).all(axis=1)
        self.places[known] = frame.found.xy[known]
        rows: list[Row] = []
        present: list[int] = []
        for group, slots in self.slots.items():
            there = [(number, slot) for number, slot in slots if frame.found.visible[slot.start : slot.stop].any()]
            ids = self._ids(group, there, frame)
            rows += [self._row(frame, slot, one, smooth=True) for (_, slot), one in zip(there, ids, strict=True)]
            present += ids
            if self.how.absent:
                left = [slot for number, slot in slots if (number, slot) not in there]
                free = [number for number, _ in slots if number not in ids]
                rows += [self._row(frame, slot, one) for slot, one in zip(left, free, strict=True)]
        self.filtered.end(present, frame.seconds)
        for row in sorted(rows, key=lambda row: int(row.track)):
            yield row_text(row, self.skeleton)

    def state(self) -> dict[str, Any]:
        """Where objects were last seen, as plain values, so that a run that stopped may go on at a detection."""
        seen = {group: identity.state() for group, identity in self.identities.items()}
        return {"seen": seen, "filtered": self.filtered.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        for group, identity in self.identities.items():
            identity.restore(state["seen"][group])
        self.filtered.restore(state["filtered"])

    def _ids(self, group: str, there: list[tuple[int, Slot]], frame: Bridged) -> list[int]:
        identity = self.identities.get(group)
        if identity is None:
            return [number for number, _ in there]
        objects = [frame.found.xy[slot.start : slot.stop] for _, slot in there]
        if frame.detected:
            ids = identity.assign(objects)
            self.given.update(zip((number for number, _ in there), ids, strict=True))
            return ids
        ids = [self.given[number] for number, _ in there]
        identity.follow(objects, ids)
        return ids

    def _row(self, frame: Bridged, slot: Slot, track: int, *, smooth: bool = False) -> Row:
        chosen = slice(slot.start, slot.stop)
        visible, scores = frame.found.visible[chosen], frame.found.scores[chosen]
        third = visible if self.how.third == "visibility" else np.round(np.where(visible > 0, scores, 0), DIGITS)
        places = self.places[chosen]
        if smooth:
            places = self.filtered.of(track, places, visible == VISIBLE, frame.seconds)
        points = np.round(places, DIGITS)
        return Row(0, frame.frame, track, slot.group, points, np.asarray(third, np.float64))
