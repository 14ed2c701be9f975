"""The one file that knows about half a pixel.

Everywhere else a place is a continuous coordinate: (0, 0) is the top-left corner of the top-left pixel, so that
resizing, cropping and flipping are affine maps without a correction. Whatever counts in whole pixels or cells
(OpenCV, heatmaps, CSV files with pixel indices, clicks) passes through a ``Grid``, which says where the centre of
cell *i* lies. ``PIXELS`` is the grid of an image's own pixels.

>>> PIXELS.from_index([[0, 0]])
array([[0.5, 0.5]])
>>> Grid((4.0, 4.0)).to_index([[2.0, 6.0]])
array([[0., 1.]])
>>> Grid((4.0, 4.0), "aligned").to_index([[0.5, 4.5]])
array([[0., 1.]])
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.shapes import Float64, Int64

Origin: TypeAlias = Literal["centred", "aligned"]
ORIGINS = ("centred", "aligned")

HALF = 0.5  # from a pixel's corner to its centre


@dataclass(frozen=True)
class Grid:
    """Where the cells of a raster lie in the image that they cover.

    Attributes:
        stride_yx: pixels of the image in a cell, ``(down, across)``; finite and positive, may differ.
        origin: ``"centred"``: cell *i* covers ``[i, i + 1] * stride`` and its centre is the middle of that, as a
            network with its bilinear (align_corners=False) upsampling sees it. ``"aligned"``: cell *i* sits at pixel
            index ``i * stride``, so at ``i * stride`` plus half a pixel, as mmpose's weights are trained.

    Raises:
        InputError: a stride that is not finite and positive, or an unknown origin.
    """

    stride_yx: tuple[float, float] = (1.0, 1.0)
    origin: Origin = "centred"

    def __post_init__(self) -> None:
        try:
            down, across = (float(value) for value in self.stride_yx)
        except (TypeError, ValueError) as error:
            raise InputError(f"a stride is two numbers (down, across), got {self.stride_yx!r}") from error
        if not (0 < down < math.inf and 0 < across < math.inf):
            raise InputError(f"a stride must be finite and greater than 0, got {self.stride_yx!r}")
        if self.origin not in ORIGINS:
            raise InputError(f"a grid has no origin {self.origin!r}", remedy=f"one of: {', '.join(ORIGINS)}")
        object.__setattr__(self, "stride_yx", (down, across))

    @classmethod
    def of(cls, stride: float | tuple[float, float] | Grid) -> Grid:
        """A grid from what a caller holds: a number, ``(x, y)`` strides (centred), or a ``Grid``."""
        if isinstance(stride, Grid):
            return stride
        across, down = np.broadcast_to(np.asarray(stride, np.float64), (2,)) if np.size(stride) in {1, 2} else (0, 0)
        return cls((float(down), float(across)))

    @classmethod
    def between(cls, image: tuple[int, int], cells: tuple[int, int], origin: Origin = "centred") -> Grid:
        """The grid of ``cells`` (rows, columns) that covers an image of ``(height, width)``."""
        height, width = whole_size(image, "the image")
        rows, columns = whole_size(cells, "the grid")
        return cls((height / rows, width / columns), origin)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a card."""
        return {"stride_yx": list(self.stride_yx), "origin": self.origin}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Grid:
        """A grid from such values.

        Raises:
            InputError: values that do not describe a grid.
        """
        try:
            return cls(tuple(values["stride_yx"]), values["origin"])
        except (KeyError, TypeError) as error:
            raise InputError(f"not a grid: {values!r}", remedy="it has stride_yx and an origin") from error

    def to_index(self, xy: ArrayLike) -> Float64[np.ndarray, "*points 2"]:
        """Cell indices ``(column, row)``, not rounded, of points ``(..., 2)``; NaN stays NaN."""
        return (_pairs(xy) - self._first) / self._step

    def from_index(self, index: ArrayLike) -> Float64[np.ndarray, "*points 2"]:
        """The points ``(x, y)`` of cell indices ``(..., 2)`` given as ``(column, row)``; inverse of ``to_index``."""
        return _pairs(index) * self._step + self._first

    def opencv_matrix(self, matrix: ArrayLike, target: Grid | None = None) -> Float64[np.ndarray, "2 3"]:
        """The affine map of continuous coordinates as OpenCV wants it, between indices.

        Args:
            matrix: ``(2, 3)``, source image to target image in continuous coordinates (``Affine.matrix``).
            target: the grid of the target raster; by default the same as this, which is the source's.

        Returns:
            ``(2, 3)`` for ``cv2.warpAffine(source, result, (width, height))``, without ``WARP_INVERSE_MAP``.
        """
        target = self if target is None else target
        move = np.asarray(matrix, np.float64)
        if move.shape != (2, 3):
            raise InputError(f"an affine matrix has the shape (2, 3), got {move.shape}")
        linear = move[:, :2] * self._step / target._step[:, None]
        offset = (move[:, :2] @ self._first + move[:, 2] - target._first) / target._step
        return np.column_stack([linear, offset])

    @cached_property
    def _step(self) -> Float64[np.ndarray, "2"]:
        return np.array([self.stride_yx[1], self.stride_yx[0]])

    @cached_property
    def _first(self) -> Float64[np.ndarray, "2"]:
        """The centre (x, y) of cell (0, 0)."""
        return np.array([HALF, HALF]) if self.origin == "aligned" else self._step * HALF


PIXELS = Grid()


def centres_before(places: Float64[np.ndarray, "n"], count: int) -> Int64[np.ndarray, "n"]:
    """How many of the centres of ``count`` pixels lie before each place, in continuous coordinates.

    >>> centres_before(np.array([-1.0, 0.5, 0.6, 9.0]), 3)
    array([0, 0, 1, 3])
    """
    return np.clip(np.ceil(places - HALF), 0, count).astype(np.int64)


def centres(count: int) -> Float64[np.ndarray, "{count}"]:
    """The centres of ``count`` pixels in a row, ``(count,)``."""
    return np.arange(count, dtype=np.float64) + HALF


def round_half_up(value: float) -> int:
    """The nearest whole number; ties go up (Python's ``round`` takes the even one)."""
    return math.floor(value + HALF)


def whole_size(size: tuple[int, int], what: str) -> tuple[int, int]:
    """``(height, width)`` as two ints of at least 1; otherwise an ``InputError`` that names ``what``."""
    try:
        height, width = (operator.index(side) for side in size)
    except (TypeError, ValueError) as error:
        raise InputError(f"the size of {what} must be two whole numbers (height, width), got {size!r}") from error
    if height < 1 or width < 1:
        raise InputError(f"the size of {what} must be at least (1, 1), got ({height}, {width})")
    return height, width


def _pairs(values: ArrayLike) -> Float64[np.ndarray, "*points 2"]:
    pairs = np.asarray(values, np.float64)
    if pairs.shape == (0,):
        return pairs.reshape(0, 2)
    if pairs.ndim == 0 or pairs.shape[-1] != 2:
        raise InputError(f"points must have the shape (..., 2), got {pairs.shape}")
    return pairs
