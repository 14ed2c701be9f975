"""How detectors write down what they have found, and how a layout is recognised by the shapes of the outputs.

Adding a layout
    1. Write a reader: outputs by name, the mapping and the input's size in; boxes as the file has them, scores and
       labels out (`Read`).
    2. Add it to ``LAYOUTS`` with what is usual for it, its name to `DetectorMapping.layout`, and a
       case to ``tests/inference/test_detector.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.inference.detector_mapping import DetectorMapping
from kaname.types import FloatArray, Size

Outputs: TypeAlias = Mapping[str, NDArray[Any]]
Read: TypeAlias = Callable[[Outputs, DetectorMapping, Size], tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]

YUNET = re.compile(r"(cls|obj|bbox)_(\d+)")
YOLO_STRIDES = (8, 16, 32)
END_TO_END = ("x1", "y1", "x2", "y2", "score", "label")
PINTO = ("batch", "label", "score", "x1", "y1", "x2", "y2")  # what its exports spell out in the output's name
CONFIG = "the --detector-config"
CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Layout:
    """A reader, and the values of a mapping that are usual for such files and count where it states none."""

    read: Read
    usual: Mapping[str, Any] = field(default_factory=dict)


def recognise(outputs: Outputs, size: Size) -> DetectorMapping | None:
    """What an answer's names and shapes say of its layout; None where they do not tell.

    Args:
        outputs: of one run.
        size: ``(height, width)`` of the input.
    """
    if {"cls", "obj", "bbox"} <= {found[1] for name in outputs if (found := YUNET.fullmatch(name))}:
        return DetectorMapping(layout="yunet")
    if len(outputs) > 1:
        return _boxes_and_scores(outputs)
    ((name, value),) = outputs.items()
    shape = value.shape[1:] if value.ndim == 3 and value.shape[0] == 1 else value.shape
    if len(shape) != 2:
        return None
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in YOLO_STRIDES)
    if shape[1] == len(PINTO) and "classid_score_x1y1x2y2" in name:
        return DetectorMapping(layout="rows", boxes=name, columns=PINTO)
    if shape[1] == len(END_TO_END) and shape[0] not in (cells, 3 * cells):
        return DetectorMapping(layout="rows", boxes=name, columns=END_TO_END)
    few, many = sorted(shape)
    if value.ndim == 3 and few < many and few >= (6 if shape[0] > shape[1] else 5):
        return DetectorMapping(layout="yolo", boxes=name)
    return None


def _boxes_and_scores(outputs: Outputs) -> DetectorMapping | None:
    """Two or three outputs of which one is four numbers a row; whole numbers are labels."""
    boxes = [name for name, value in outputs.items() if value.ndim in (2, 3) and value.shape[-1] == 4]
    whole = [name for name, value in outputs.items() if value.dtype.kind in "iu" and value.ndim in (1, 2)]
    rest = [name for name in outputs if name not in (*boxes, *whole)]
    if len(boxes) > 1:  # four classes, say: the name decides
        rest += [name for name in boxes if "box" not in name.lower()]
        boxes = [name for name in boxes if "box" in name.lower()]
    if len(boxes) != 1 or len(rest) != 1 or len(whole) > 1:
        return None
    rows = _without_batch(outputs[boxes[0]], 2).shape[0]
    scores = outputs[rest[0]]
    if scores.ndim not in (1, 2, 3) or rows not in (scores.shape[0], *scores.shape[1:2]):
        return None
    return DetectorMapping(layout="boxes", boxes=boxes[0], scores=rest[0], labels=whole[0] if whole else None)


def _read_boxes(outputs: Outputs, mapping: DetectorMapping, size: Size):
    """Boxes ``(N, 4)``, scores ``(N,)`` or ``(N, C)``, and labels ``(N,)`` where there are any."""
    boxes, scores = _without_batch(_output(outputs, mapping, "boxes"), 2), _output(outputs, mapping, "scores")
    if scores.ndim == 3 or (scores.ndim == 2 and scores.shape[0] == 1 != len(boxes)):
        scores = scores[0]
    table = scores[:, None] if scores.ndim == 1 else scores
    if len(table) != len(boxes):
        reason = f"{len(boxes)} boxes have scores of the shape {scores.shape}"
        raise InputError(reason, remedy=f"put scores: and another of {', '.join(outputs)} into {CONFIG}")
    if mapping.labels is None:
        return boxes, *_best(table, mapping)
    return boxes, _activated(table, mapping)[:, 0], _output(outputs, mapping, "labels").reshape(-1)


def _read_rows(outputs: Outputs, mapping: DetectorMapping, size: Size):
    """One table; its columns have names."""
    table, columns = _without_batch(_output(outputs, mapping, "boxes"), 2), list(mapping.columns)
    if table.shape[1] != len(columns) or not {*CORNERS, "score"} <= set(columns):
        reason = f"the rows have {table.shape[1]} numbers, and the columns are {', '.join(columns) or 'not named'}"
        raise InputError(
            reason, remedy=f"name each under columns in {CONFIG}: {', '.join(CORNERS)}, score, label, batch, other"
        )
    table = table[table[:, columns.index("batch")] == 0] if "batch" in columns else table
    labels = table[:, columns.index("label")] if "label" in columns else np.zeros(len(table))
    return table[:, [columns.index(name) for name in CORNERS]], table[:, columns.index("score")], labels


def _read_yolo(outputs: Outputs, mapping: DetectorMapping, size: Size):
    """``(1, 4 + C, N)``: box and classes; ``(1, N, 5 + C)``: box, objectness and classes, whose product counts."""
    value = _without_batch(_output(outputs, mapping, "boxes"), 2)
    upright = value.shape[0] < value.shape[1]
    table = value.T if upright else value
    objectness = not upright if mapping.objectness is None else mapping.objectness
    first = 5 if objectness else 4
    classes = table[:, first:] if mapping.classes is None else table[:, first : first + mapping.classes]
    if not classes.shape[1]:
        reason = f"rows of {table.shape[1]} numbers leave no class"
        raise InputError(reason, remedy=f"put layout: rows and its columns, or objectness: false, into {CONFIG}")
    scores, labels = _best(classes, mapping)
    return table[:, :4], scores * table[:, 4] if objectness else scores, labels


def _read_yunet(outputs: Outputs, mapping: DetectorMapping, size: Size):
    """For each stride S ``cls_S``, ``obj_S`` ``(1, N, 1)`` and ``bbox_S`` ``(1, N, 4)``: shift of the centre and
    logarithm of the size, in cells. As OpenCV's FaceDetectorYN reads them: the score is the root of class x objectness.
    """
    boxes: list[NDArray[Any]] = []
    scores: list[NDArray[Any]] = []
    for stride in sorted({int(found[2]) for name in outputs if (found := YUNET.fullmatch(name))}):
        shift, face, there = (_without_batch(outputs[f"{kind}_{stride}"], 2) for kind in ("bbox", "cls", "obj"))
        rows, columns = np.divmod(np.arange(len(shift)), size[1] // stride)
        if len(shift) != (size[0] // stride) * (size[1] // stride):
            reason = f"{len(shift)} cells of {stride} pixels do not tile {size[0]} x {size[1]}"
            raise InputError(reason, remedy=f"put a size whose sides divide by 32 into {CONFIG}")
        centres = (np.stack([columns, rows], axis=1) + shift[:, :2]) * stride
        boxes.append(np.concatenate([centres, np.exp(shift[:, 2:]) * stride], axis=1))
        scores.append(np.sqrt(face.clip(0, 1) * there.clip(0, 1))[:, 0])
    found = np.concatenate(boxes)
    return found, np.concatenate(scores), np.zeros(len(found))


def _read_fastestdet(outputs: Outputs, mapping: DetectorMapping, size: Size):
    """``(1, 5 + C, h, w)``: objectness, shift of the centre in cells, size as a share of the image, classes."""
    value = _without_batch(_output(outputs, mapping, "boxes"), 3).astype(np.float64)
    rows, columns = value.shape[1:]
    row, column = np.indices((rows, columns))
    x, y = (column + np.tanh(value[1])) / columns, (row + np.tanh(value[2])) / rows
    width, height = 1 / (1 + np.exp(-value[3:5]))
    classes = value[5:].reshape(len(value) - 5, -1).T
    scores, labels = _best(classes, mapping)
    found = np.stack([x, y, width, height], axis=-1).reshape(-1, 4)
    return found, value[0].clip(0, 1).reshape(-1) ** 0.6 * scores.clip(0, 1) ** 0.4, labels


LAYOUTS: dict[str, Layout] = {
    "boxes": Layout(_read_boxes),
    "rows": Layout(_read_rows),
    "yolo": Layout(_read_yolo, {"box_format": "cxcywh"}),
    "yunet": Layout(_read_yunet, {"box_format": "cxcywh", "order": "BGR", "white": 255.0}),
    "fastestdet": Layout(
        _read_fastestdet, {"box_format": "cxcywh", "box_units": "normalised", "order": "BGR", "fit": "stretch"}
    ),
}


def _output(outputs: Outputs, mapping: DetectorMapping, key: str) -> NDArray[Any]:
    """The output that a key of the mapping names; the only one there is needs no name."""
    name: str = getattr(mapping, key) or (next(iter(outputs)) if len(outputs) == 1 else "")
    if name not in outputs:
        reason = f"has no output {name!r}" if name else f"nothing says which output holds the {key}"
        raise InputError(reason, remedy=f"put {key}: and one of {', '.join(outputs)} into {CONFIG}")
    return outputs[name]


def _without_batch(value: NDArray[Any], axes: int) -> NDArray[Any]:
    if value.ndim == axes + 1 and value.shape[0] == 1:
        value = value[0]
    if value.ndim != axes:
        raise InputError(f"an output has the shape {value.shape}", remedy=f"put another layout into {CONFIG}")
    return value


def _activated(scores: NDArray[Any], mapping: DetectorMapping) -> FloatArray:
    values = scores.astype(np.float64)
    if mapping.activation == "sigmoid":
        return 1 / (1 + np.exp(-values))
    if mapping.activation == "softmax":
        values = np.exp(values - values.max(axis=1, keepdims=True, initial=-np.inf))
        return values / values.sum(axis=1, keepdims=True)
    return values


def _best(scores: NDArray[Any], mapping: DetectorMapping) -> tuple[FloatArray, NDArray[np.int64]]:
    """Of each row ``(N, C)`` the highest score and its column."""
    values = _activated(scores, mapping)
    labels = values.argmax(axis=1) if len(values) else np.zeros(0, np.int64)
    return values[np.arange(len(values)), labels], labels
