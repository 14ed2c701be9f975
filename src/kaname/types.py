"""The values that travel between the packages: frozen dataclasses that import no torch.

Points are ``(x, y)`` in continuous coordinates of the original image: (0, 0) is the top-left corner of the
top-left pixel and pixel *i* has its centre half a pixel further. Sizes are ``(height, width)``, boxes
``(x1, y1, x2, y2)``. A missing point has visibility 0 and NaN coordinates.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaname.compared import Compared

if TYPE_CHECKING:
    from torch import Tensor

Size = tuple[int, int]
FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]
"""RGB uint8 ``(height, width, 3)``."""

Activation = Literal["sigmoid", "softmax", "none"]


@dataclass(frozen=True, eq=False)
class Sample(Compared):
    """One labelled image, as every format reader returns it and every writer takes it.

    Attributes:
        image: path of the image file; of a frame of a video what stands for it (`kaname.data.frame_source`).
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


@dataclass(frozen=True, eq=False)
class Frame(Compared):
    """One image of a video or of a folder.

    Attributes:
        index: its number from 0.
        seconds: its time, from the stream's time stamps.
        image: RGB uint8 ``(h, w, 3)``.
        name: of a folder, the name of its file.
        path: its file, or that of its video, for whatever needs a neighbour of the frame; None: it has none.
        lost: in a damaged packet: the picture is that of a neighbour, and there is no answer.
    """

    index: int
    seconds: float
    image: Image
    name: str = ""
    path: Path | None = None
    lost: bool = False


class Shown(Compared):
    """What every answer does with itself. The work is done in ``kaname.pipeline.showing``, imported when it is asked:
    values stay values, on their low floor."""

    def plot(self, image: Any = None) -> Image:
        """This answer drawn on ``image`` (a path, an RGB array, a PIL image), or on dark grey: RGB uint8 ``(h, w, 3)``.

        Raises:
            InputError: an image of another size.
        """
        return _showing().plot(self, image)

    def save(self, path: str | PathLike[str], image: Any = None) -> None:
        """Write the picture of `plot` (.png, .jpg, ...) or the table of `to_csv` (.csv), by the ending of ``path``."""
        _showing().save(self, path, image)

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the rows of `to_pandas` as CSV."""
        _showing().to_csv(self, path)

    def to_pandas(self) -> Any:
        """A pandas ``DataFrame``: a row a point (or a mask), of tracks for each frame.

        Raises:
            InputError: pandas is not installed.
        """
        return _showing().to_pandas(self)

    def __repr__(self) -> str:
        return _showing().described(self)


def _showing() -> Any:
    return importlib.import_module("kaname.pipeline.showing")


@dataclass(frozen=True, repr=False, eq=False)
class Points(Shown):
    """Predicted points of one image, in its original pixels.

    Attributes:
        xy: for each name, ``(N, 2)``; N = 0 where nothing was found, NaN where a row's point is absent.
        scores: for each name, ``(N,)`` in 0..1.
        size: ``(height, width)`` of the image.
        visible: for each name, ``(N,)`` integers: 0 absent, 1 hidden, 2 visible; empty where the model does not tell,
            then every point is visible.
        ids: where rows are instances, the identifier of each.
    """

    xy: Mapping[str, FloatArray]
    scores: Mapping[str, FloatArray]
    size: Size
    visible: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    ids: Sequence[int | str] = ()


@dataclass(frozen=True, repr=False, eq=False)
class Masks(Shown):
    """Predicted masks of one image, kept on the grid of each box; `kaname.codecs.roi_mask` pastes them when asked.

    Attributes:
        probabilities: ``(N, classes, h, w)`` in 0..1, one row per box; class 0 is the background.
        boxes: ``(N, 4)`` the region of each row, in pixels of the image.
        classes: the name of each class.
        size: ``(height, width)`` of the image.
        ids: the identifier of each box, where there is one.
        asked: ``(N, 4)`` the boxes that were asked about, where the regions are these with something around them.
    """

    probabilities: NDArray[np.float32]
    boxes: FloatArray
    classes: Sequence[str]
    size: Size
    ids: Sequence[int | str] = ()
    asked: FloatArray | None = None


Answer = Points | Masks
"""What a model answers for one image."""


@dataclass(frozen=True, repr=False, eq=False)
class Tracks(Shown):
    """Predictions along a video: one ``Points`` per frame, with the frame's number and its time in seconds."""

    frames: Sequence[int]
    times: Sequence[float]
    points: Sequence[Points]


@dataclass(frozen=True, eq=False)
class Prediction(Compared):
    """An answer with what it belongs to, as it is written to disk.

    Attributes:
        source: name of the image, of the video or of the clip.
        answer: the model's.
        frame: number of the frame, where the source has several.
        seconds: its time.
        file: name of the frame's file, where it has one of its own.
        box: number of the box (from 1) that was cut out of the image, where boxes were given.
        image_id: what a label file calls the image, where that is known.
        category_id: what a label file calls that which was found, where that is known.
    """

    source: str
    answer: Answer
    frame: int | None = None
    seconds: float = 0.0
    file: str = ""
    box: int | None = None
    image_id: int | str | None = None
    category_id: int | None = None


@dataclass(frozen=True)
class Head:
    """One named output of a network.

    Attributes:
        channels: the name of each channel.
        activation: what turns its raw values into an answer: ``sigmoid``, ``softmax`` (over ``groups`` of channels) or
            ``none``.
        groups: of ``softmax``: how many equal groups the channels fall into, each with a softmax of its own.
    """

    channels: Sequence[str]
    activation: Activation = "sigmoid"
    groups: int = 1


@dataclass(frozen=True)
class Input:
    """One named input of a network, as a file of it is fed.

    Attributes:
        shape: without the batch axis; None stands for any size. ``images`` are served channels
            last, ``(None, None, 3)``.
        dtype: of the array, as NumPy calls it.
        batch: name of the batch axis: inputs of one name have as many rows.
    """

    shape: Sequence[int | None]
    dtype: str = "float32"
    batch: str = "batch"


@dataclass(frozen=True)
class Batch:
    """What a step receives.

    Attributes:
        inputs: what the network is fed, by name; ``images`` are uint8 ``(B, 3, H, W)``, RGB.
        targets: tensors by name, each with B as its first axis unless the recipe collates them itself.
        index: ``(B,)`` positions in the data set, for messages that name the sample.
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]
    index: Tensor


class Term(NamedTuple):
    """One term of a loss, as a sum: the loop divides it by its weight, summed over accumulation and processes.

    Attributes:
        sum: scalar tensor, the term summed over whatever counts.
        weight: scalar tensor, how much counted. Terms with one weight share one tensor: that spares work.
        factor: of the term's mean in the loss.
    """

    sum: Tensor
    weight: Tensor
    factor: float = 1.0


@dataclass(frozen=True)
class StepOutput:
    """What a step returns: sums, never means, so that any split into batches or processes gives one gradient.

    Attributes:
        terms: by name; the loss is the sum over terms of ``factor * sum / weight``. A term whose weight is 0
            everywhere adds nothing.
        counts: further sums by name, which a task's ``summarise`` turns into figures of the validation set.
    """

    terms: Mapping[str, Term]
    counts: Mapping[str, Tensor] = field(default_factory=dict)
