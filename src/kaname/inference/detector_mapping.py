"""What a detector's file looks like, as a YAML file says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kaname import config as configuration
from kaname.errors import InputError, require_range
from kaname.geometry.boxes import Format


@dataclass(frozen=True)
class DetectorMapping:
    """Keys of a ``--detector-config``; what is left out is recognised by the outputs' shapes, or usual for the layout.

    Attributes:
        layout: ``boxes``: boxes and scores (and labels) are outputs of their own. ``rows``: one table with a row a
            find. ``yolo``: ``(1, 4 + C, N)``, or ``(1, N, 5 + C)`` with an objectness. ``yunet``: the face detector's
            twelve outputs. ``fastestdet``: its ``(1, 5 + C, h, w)``, which is not recognised without being named.
        boxes: name of the output that holds the boxes, or of the only one that counts.
        scores: of ``boxes``: name of the output of scores, ``(N,)`` or ``(N, C)``.
        labels: of ``boxes``: name of the output of labels ``(N,)``; without it the best of C scores is the label.
        columns: of ``rows``: the names of the columns, out of ``x1 y1 x2 y2 score label batch other``. With another
            ``box_format`` the four are what that says, in its order.
        objectness: of ``yolo``: whether the fifth number is one.
        classes: of ``yolo``: how many numbers are classes, where others follow them (key points, masks).
        box_format: ``xyxy`` (corners), ``xywh`` (a corner and the size) or ``cxcywh`` (the centre and the size).
        box_units: ``pixel`` of the input, or ``normalised`` to 0..1 of it.
        activation: what turns the file's scores into 0..1.
        size: ``[height, width]`` of the input, where the file leaves it open (640 x 640).
        fit: ``letterbox`` (in the middle, its shape kept, black around) or ``stretch``.
        order: of the colours, ``RGB`` or ``BGR``.
        white: what 255 becomes, 1 or 255; before ``mean`` and ``std``.
        mean: subtracted, one a colour in ``order``.
        std: divided by, after that.
        keep: labels that count; empty: all.
        score: finds below it are left out.
        nms: of two finds of one label whose IoU exceeds this, the lower score is left out; 1 keeps both.
    """

    layout: Literal["boxes", "rows", "yolo", "yunet", "fastestdet"] | None = None
    boxes: str | None = None
    scores: str | None = None
    labels: str | None = None
    columns: tuple[str, ...] = ()
    objectness: bool | None = None
    classes: int | None = None
    box_format: Format | None = None
    box_units: Literal["pixel", "normalised"] | None = None
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    size: tuple[int, int] | None = None
    fit: Literal["letterbox", "stretch"] | None = None
    order: Literal["RGB", "BGR"] | None = None
    white: float | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    keep: tuple[int, ...] = ()
    score: float = 0.5
    nms: float = 0.5

    def __post_init__(self) -> None:
        require_range(self, "score nms", 0, 1)
        known = {"x1", "y1", "x2", "y2", "score", "label", "batch", "other"}
        if wrong := sorted(set(self.columns) - known):
            raise InputError(f"columns holds {', '.join(wrong)}", remedy=f"known: {', '.join(sorted(known))}")
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"size must be at least [1, 1], got {list(self.size)}", remedy="height, width")


def read_mapping(path: Path) -> DetectorMapping:
    """The mapping of a YAML file.

    Raises:
        InputError: no such file, bad YAML, unknown keys or values (with the line).
    """
    return configuration.load(DetectorMapping, file=path)
