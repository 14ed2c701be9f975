"""The boxes that a network looks at: from a file or from a detector. No torch.

A recipe opts in: its ``predict`` has the flags `kaname.pipeline.flags.BoxFlags` and hands ``source_of(flags)`` to
`kaname.pipeline.predict`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kaname.data.boxes import Find, finder
from kaname.data.video import is_video
from kaname.errors import InputError
from kaname.inference.detector import Detector, open_detector
from kaname.inference.model import Model
from kaname.pipeline.flags import BoxFlags
from kaname.types import FloatArray, Frame

LISTED = 5  # images without a box that are named


@dataclass(frozen=True)
class BoxSource:
    """Where boxes come from.

    Attributes:
        open: from what is predicted (images, videos, folders of frames) to what finds its boxes.
        about: what a file of predictions says of it.
        detector: the one that finds them, where it is one.
    """

    open: Callable[[Sequence[Path]], Find]
    about: Mapping[str, Any] = field(default_factory=dict)
    detector: Detector | None = None

    def beside(self, model: Model) -> BoxSource:
        """The same; where the model reads features out of the detector's own file, found in that pass over an image."""
        beside = getattr(model.feed, "beside", None)
        joint = None if self.detector is None or beside is None else beside(self.detector)
        if joint is None:
            return self
        find, about = joint
        return replace(self, open=lambda sources: find, about={"boxes": about})


def source_of(flags: BoxFlags, **named: Any) -> BoxSource | None:
    """The source that flags name; None where they name none.

    Args:
        named: of a file of labels, as in `kaname.data.boxes.read`.

    Raises:
        InputError: a file and a detector, flags of the other one, a detector that cannot be opened.
    """
    if flags.boxes is not None and flags.detector is not None:
        raise InputError("boxes come from --boxes or from --detector, not from both", remedy="leave one out")
    alone = {
        "--boxes": ("box_format", "box_units", "label", "box_score"),
        "--detector": ("detector_config", "detector_score"),
    }
    for flag, given in (("--boxes", flags.boxes), ("--detector", flags.detector)):
        for name in alone[flag]:
            either = name == "label" and flags.detector is not None
            if given is None and getattr(flags, name) is not None and not either:
                raise InputError(
                    f"--{name.replace('_', '-')} belongs to {flag}", remedy=f"give {flag}, or leave it out"
                )
    if flags.boxes is not None:
        reading = {"form": flags.box_format, "units": flags.box_units, "label": flags.label, "score": flags.box_score}
        return BoxSource(partial(finder, flags.boxes, **reading, **named), {"boxes": {"file": flags.boxes.name}})
    if flags.detector is None:
        return None
    detector = open_detector(flags.detector, flags.detector_config, score=flags.detector_score, label=flags.label)

    def find(source: Path, frame: Frame) -> FloatArray:
        return detector(frame.image).xyxy

    return BoxSource(lambda sources: find, {"boxes": {"detector": detector.description}}, detector)


class Counted:
    """Boxes as they are found, and where there were none: nothing is left out in silence."""

    def __init__(self, find: Find, detector: Detector | None = None) -> None:
        self.find, self.detector = find, detector
        self.seen: dict[Path, int] = {}
        self.empty: dict[Path, int] = {}

    def __call__(self, source: Path, frame: Frame) -> FloatArray:
        boxes = self.find(source, frame)
        self.seen[source] = self.seen.get(source, 0) + 1
        if not len(boxes):
            self.empty[source] = self.empty.get(source, 0) + 1
        return boxes

    def warn_labels(self) -> None:
        """Say so where a detector has found things of several labels and none was chosen: all of them count."""
        if self.detector is not None and not self.detector.mapping.keep and len(self.detector.found) > 1:
            listed = ", ".join(f"{label} ({count})" for label, count in self.detector.found.most_common(LISTED))
            more = ", ..." if len(self.detector.found) > LISTED else ""
            known = f"boxes of {len(self.detector.found)} labels: {listed}{more}"
            warnings.warn(f"{self.detector.path}: {known}; all count: choose one with --label", stacklevel=2)

    def said(self) -> list[str]:
        """A line for each video with empty frames, one for all empty images."""
        films = [path for path in self.seen if path.is_dir() or is_video(path)]
        lines = [f"{p.name}: no box in {self.empty[p]} of {self.seen[p]} frames" for p in films if p in self.empty]
        images = [path.name for path in self.empty if path not in films]
        if images:
            more = f" and {len(images) - LISTED} more" if len(images) > LISTED else ""
            listed = f"{', '.join(images[:LISTED])}{more}"
            lines.append(f"no box in {len(images)} of {len(self.seen) - len(films)} image(s): {listed}")
        return lines
