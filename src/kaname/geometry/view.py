"""How a picture, or a box of it, becomes the input of a network: a value that the card keeps.

Training, prediction, the graph of an export (`kaname.models.preprocess`) and decoding all take it from there.

>>> view = View("letterbox", (448, 448))
>>> view.into((720, 1280)).points([[640.0, 360.0]])
array([[224., 224.]])
>>> View("crop", (256, 256), factor=1.25).region([10, 10, 90, 50]).tolist()
[0.0, -20.0, 100.0, 80.0]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.affine import Affine
from kaname.geometry.grid import whole_size
from kaname.shapes import Float64

Fit: TypeAlias = Literal["letterbox", "stretch", "crop"]
FITS = ("letterbox", "stretch", "crop")


@dataclass(frozen=True)
class View:
    """How pictures of any size become the input.

    Attributes:
        fit: ``"letterbox"``: the whole picture in the middle of ``size``, its shape kept, black around.
            ``"stretch"``: the whole picture onto ``size``. ``"crop"``: a box grown by ``factor``, extended to the
            aspect ratio of ``size``, stretched onto ``size``; black outside the picture.
        size: ``(height, width)`` of what is fitted.
        canvas: ``(height, width)`` of the input where it is larger: the fitted picture lies in its middle, black
            around (of odd margins the smaller half is left and on top). Not for ``"crop"``.
        factor: of ``"crop"``: by how much a box grows about its centre.

    Raises:
        InputError: an unknown fit, or an impossible size or factor.
    """

    fit: Fit
    size: tuple[int, int]
    canvas: tuple[int, int] | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise InputError(f"unknown fit {self.fit!r}", remedy=f"one of: {', '.join(FITS)}")
        object.__setattr__(self, "size", whole_size(self.size, "a view"))
        if not 0 < self.factor < math.inf:
            raise InputError(f"the factor of a view must be finite and greater than 0, got {self.factor}")
        if self.canvas is not None:
            object.__setattr__(self, "canvas", whole_size(self.canvas, "a canvas"))
            if self.fit == "crop":
                raise InputError("a crop fills its size and has no canvas", remedy="leave the canvas out")
            if self.canvas[0] < self.size[0] or self.canvas[1] < self.size[1]:
                raise InputError(f"the canvas {self.canvas} is smaller than the picture {self.size} on it")

    @property
    def input_size(self) -> tuple[int, int]:
        """``(height, width)`` of the network's input."""
        return self.size if self.canvas is None else self.canvas

    @property
    def margin(self) -> tuple[int, int]:
        """Rows above and columns left of the fitted picture on the canvas."""
        rows, columns = self.input_size
        return (rows - self.size[0]) // 2, (columns - self.size[1]) // 2

    def into(self, image_size: tuple[int, int], box: ArrayLike | None = None) -> Affine:
        """The map from pixels of an image to pixels of the input.

        Args:
            image_size: ``(height, width)`` of the image.
            box: ``(4,)`` in pixels of the image. A crop shows it, by default the whole image. The other fits take it,
                grown to whole pixels, for a picture of its own, which the caller has cut out.
        """
        if self.fit == "crop":
            height, width = whole_size(image_size, "the image")
            return Affine.crop(self.region([0, 0, width, height] if box is None else box), self.size)
        corner = (0, 0)
        if box is not None:
            x1, y1, x2, y2 = (int(value) for value in box_arithmetic.pixel_boxes(box, image_size)[0])
            corner, image_size = (x1, y1), (y2 - y1, x2 - x1)
        fitted = (Affine.letterbox if self.fit == "letterbox" else Affine.resize)(image_size, self.size)
        down, right = self.margin
        return Affine.shift(right, down) @ fitted @ Affine.shift(-corner[0], -corner[1])

    def region(self, boxes: ArrayLike) -> Float64[np.ndarray, "*boxes 4"]:
        """What a crop of boxes ``(..., 4)`` sees: grown by ``factor``, then in the shape of ``size``; same centres."""
        centres, sizes = box_arithmetic.centre_size(boxes)
        rows, columns = self.size
        side = np.maximum(sizes[..., 0] / columns, sizes[..., 1] / rows) * self.factor
        return box_arithmetic.from_centre_size(centres, np.stack([side * columns, side * rows], axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a card."""
        canvas = None if self.canvas is None else list(self.canvas)
        return {"fit": self.fit, "size": list(self.size), "canvas": canvas, "factor": self.factor}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> View:
        """A view from such values; ``canvas`` and ``factor`` may be missing.

        Raises:
            InputError: values that do not describe a view.
        """
        try:
            fit, size, canvas = values["fit"], tuple(values["size"]), values.get("canvas")
            canvas, factor = None if canvas is None else tuple(canvas), float(values.get("factor", 1.0))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a view: {values!r}", remedy="it has a fit and a size") from error
        return cls(fit, size, canvas, factor)
