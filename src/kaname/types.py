"""The values that travel between the rooms: frozen dataclasses, no behaviour, no torch.

Points are ``(x, y)`` in continuous coordinates of the original image: (0, 0) is the top-left corner of the
top-left pixel and pixel *i* has its centre half a pixel further. Sizes are ``(height, width)``, boxes
``(x1, y1, x2, y2)``. A missing point has visibility 0 and NaN coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Size = tuple[int, int]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One labelled image, as every format reader returns it and every writer takes it.

    Attributes:
        image: path of the image file.
        points: for each name, ``(N, 2)`` points; a skeleton's point has N = 1, a set of notches any N.
        visible: for each name, ``(N,)`` integers: 0 missing, 1 hidden, 2 visible (formats without the notion: 2).
        size: ``(height, width)`` of the image in pixels where the format states it.
        boxes: ``(M, 4)`` boxes in pixels.
        polygons: for each box, its polygons, each ``(K, 2)``.
        ids: for each box (or for each track) the identifier in the file.
        labels: for each box its class name.
        frame: frame number, where the image is one of a video.
        meta: whatever else the format knows (``task`` id, annotator, clip, ...); plain values.
    """

    image: Path
    points: Mapping[str, FloatArray] = field(default_factory=dict)
    visible: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    size: Size | None = None
    boxes: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    polygons: Sequence[Sequence[FloatArray]] = ()
    ids: Sequence[int | str] = ()
    labels: Sequence[str] = ()
    frame: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Points:
    """Predicted points of one image, in its original pixels.

    Attributes:
        xy: for each name, ``(N, 2)``; N = 0 where nothing was found.
        scores: for each name, ``(N,)`` in 0..1.
        size: ``(height, width)`` of the image.
    """

    xy: Mapping[str, FloatArray]
    scores: Mapping[str, FloatArray]
    size: Size


@dataclass(frozen=True)
class Masks:
    """Predicted masks of one image: ``probabilities`` is ``(N, classes, height, width)`` in 0..1, one row a box."""

    probabilities: NDArray[np.float32]
    boxes: FloatArray
    classes: Sequence[str]


@dataclass(frozen=True)
class Tracks:
    """Predictions along a video: one ``Points`` a frame, with the frame's number and its time in seconds."""

    frames: Sequence[int]
    times: Sequence[float]
    points: Sequence[Points]


@dataclass(frozen=True)
class Batch:
    """What a step receives.

    Attributes:
        images: uint8 ``(B, 3, H, W)``, RGB.
        targets: tensors by name, each with B as its first axis.
        index: ``(B,)`` positions in the data set, for messages that name the sample.
    """

    images: Tensor
    targets: Mapping[str, Tensor]
    index: Tensor


@dataclass(frozen=True)
class StepOutput:
    """What a step returns: sums, never means, so that any split into batches or processes gives one gradient.

    Attributes:
        loss_sum: scalar tensor, the loss summed over whatever counts.
        weight: scalar tensor, how much counted; the loop divides by its sum over accumulation and processes.
        logs: further sums by name, divided by the same weight and written to the logs.
    """

    loss_sum: Tensor
    weight: Tensor
    logs: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """One image's answer with the image it belongs to, as it is written to disk."""

    image: Path
    points: Points
