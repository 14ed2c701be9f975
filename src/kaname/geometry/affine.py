"""Affine maps of the plane: every change of geometry, for points and for images, with its inverse.

>>> into = Affine.letterbox((720, 1280), (448, 448))
>>> into.points([[640.0, 360.0]])
array([[224., 224.]])
>>> (into.inverse() @ into).points([[3.0, 4.0]]).round(9)
array([[3., 4.]])
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.grid import PIXELS, centres, round_half_up, whole_size
from kaname.geometry.resampling import planes, resample
from kaname.shapes import Float64, Int64, Real, Shaped

Size: TypeAlias = tuple[int, int]

SINGULAR = 1e-12  # |determinant| over the squared norm below which a map counts as having no inverse
STRAIGHT = 1e-7  # pixels of drift across an image below which a map counts as axis-aligned
TIE = 1e-9  # pixels within which a centre counts as lying on a border between two
OPENCV_SIDE = 32767  # warpAffine counts in 16 bits
OPENCV_CHANNELS = 4


@dataclass(frozen=True, eq=False)
class Affine:
    """A map ``target = matrix @ (x, y, 1)`` between two images, in continuous coordinates.

    Attributes:
        matrix: float64 ``(2, 3)``, read-only.

    ``b @ a`` applies a first. Scales are the true ones of each axis, after sizes were rounded to whole pixels.

    Raises:
        InputError: wrong shape, values that are not finite, or a map without an inverse.
    """

    matrix: Float64[np.ndarray, "2 3"]

    def __post_init__(self) -> None:
        try:
            matrix = np.array(self.matrix, np.float64)
        except (TypeError, ValueError) as error:
            raise InputError("an affine matrix must contain numbers") from error
        if matrix.shape != (2, 3):
            raise InputError(f"an affine matrix must have the shape (2, 3), got {matrix.shape}")
        (a, b, c), (d, e, f) = matrix.tolist()
        if not math.isfinite(a + b + c + d + e + f):
            raise InputError(f"an affine matrix must be finite, got {matrix.tolist()}")
        if not abs(a * e - b * d) > SINGULAR * (a * a + b * b + d * d + e * e):
            remedy = "scales must not be 0 and axes not parallel"
            raise InputError(f"the map {matrix.tolist()} has no inverse", remedy=remedy)
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> Affine:
        """The map that leaves everything in its place."""
        return cls(np.eye(2, 3))

    @classmethod
    def shift(cls, dx: float, dy: float) -> Affine:
        """Move by ``dx`` to the right and ``dy`` down."""
        return cls(np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]]))

    @classmethod
    def scaling(cls, sx: float, sy: float, centre: ArrayLike | None = None) -> Affine:
        """Scale x by ``sx`` and y by ``sy`` about ``centre`` (x, y), by default (0, 0); a negative scale mirrors."""
        x, y = (0.0, 0.0) if centre is None else _pair(centre, "a centre")
        return cls(np.array([[sx, 0.0, x - sx * x], [0.0, sy, y - sy * y]]))

    @classmethod
    def resize(cls, source: Size, target: Size) -> Affine:
        """Stretch an image of ``source`` (height, width) onto one of ``target``."""
        height, width = whole_size(source, "the source")
        rows, columns = whole_size(target, "the target")
        return cls.scaling(columns / width, rows / height)

    @classmethod
    def letterbox(cls, source: Size, target: Size) -> Affine:
        """Fit an image of ``source`` (height, width) into ``target``, in the middle, keeping its shape.

        The inner size is rounded to whole pixels (half up, at least 1), the padding split with the smaller half left
        and on top. So the two axes' scales may differ a little, and they are what the map holds.
        """
        height, width = whole_size(source, "the source")
        rows, columns = whole_size(target, "the target")
        scale = min(rows / height, columns / width)
        inner_rows, inner_columns = (max(1, round_half_up(side * scale)) for side in (height, width))
        top, left = (rows - inner_rows) // 2, (columns - inner_columns) // 2
        return cls(np.array([[inner_columns / width, 0.0, left], [0.0, inner_rows / height, top]]))

    @classmethod
    def crop(cls, box: ArrayLike, target: Size) -> Affine:
        """Stretch the box ``(x1, y1, x2, y2)``, which may reach outside the image, onto ``target`` (height, width)."""
        rows, columns = whole_size(target, "the target")
        array = np.asarray(box, np.float64)
        if array.shape != (4,) or not np.isfinite(array).all():
            raise InputError(f"a box must be four finite numbers (x1, y1, x2, y2), got {array.tolist()}")
        x1, y1, x2, y2 = array.tolist()
        if x2 <= x1 or y2 <= y1:
            remedy = "boxes are (x1, y1, x2, y2), x1 < x2, y1 < y2"
            raise InputError(f"the box {array.tolist()} is empty", remedy=remedy)
        sx, sy = columns / (x2 - x1), rows / (y2 - y1)
        return cls(np.array([[sx, 0.0, -sx * x1], [0.0, sy, -sy * y1]]))

    @classmethod
    def rotate(cls, degrees: float, centre: ArrayLike) -> Affine:
        """Turn counter-clockwise on the screen, about ``centre`` (x, y). Multiples of 90 degrees are exact."""
        x, y = _pair(centre, "a centre")
        if not math.isfinite(degrees):
            raise InputError(f"an angle must be finite, got {degrees}")
        quarter, rest = divmod(degrees, 90)
        if rest == 0:
            cos, sin = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
        else:
            cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return cls(np.array([[cos, sin, x - cos * x - sin * y], [-sin, cos, y + sin * x - cos * y]]))

    @classmethod
    def flip(cls, width: float) -> Affine:
        """Mirror left and right an image of ``width`` pixels, odd or even."""
        if not (math.isfinite(width) and width > 0):
            raise InputError(f"a width must be finite and greater than 0, got {width}")
        return cls(np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]]))

    def __matmul__(self, first: Affine) -> Affine:
        (a, b, c), (d, e, f) = self.matrix.tolist()
        (p, q, r), (s, t, u) = first.matrix.tolist()
        first_row = [a * p + b * s, a * q + b * t, a * r + b * u + c]
        return Affine(np.array([first_row, [d * p + e * s, d * q + e * t, d * r + e * u + f]]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Affine) and np.array_equal(self.matrix, other.matrix)

    def __hash__(self) -> int:
        return hash(tuple(self.matrix.ravel().tolist()))

    @property
    def scale(self) -> float:
        """Length in the target of a length 1 in the source, on average: the square root of ``|determinant|``."""
        (a, b, _), (d, e, _) = self.matrix.tolist()
        return math.sqrt(abs(a * e - b * d))

    def inverse(self) -> Affine:
        """The map back."""
        (a, b, c), (d, e, f) = self.matrix.tolist()
        det = a * e - b * d
        a, b, d, e = e / det, -b / det, -d / det, a / det
        return Affine(np.array([[a, b, -(a * c + b * f)], [d, e, -(d * c + e * f)]]))

    def points(self, xy: ArrayLike) -> Float64[np.ndarray, "points 2"]:
        """Map points ``(N, 2)``; a point with NaN in it stays NaN in both coordinates."""
        array = np.asarray(xy, np.float64)
        if array.shape == (0,):
            array = array.reshape(0, 2)
        if array.ndim != 2 or array.shape[1] != 2:
            raise InputError(f"points must have the shape (N, 2), got {array.shape}")
        (a, b, c), (d, e, f) = self.matrix.tolist()
        x, y = array[:, 0], array[:, 1]
        mapped = np.empty_like(array)
        mapped[:, 0] = a * x + b * y + c  # a NaN reaches both, since 0 * NaN is NaN
        mapped[:, 1] = d * x + e * y + f
        return mapped

    def boxes(self, boxes: ArrayLike) -> Float64[np.ndarray, "boxes 4"]:
        """Map boxes ``(N, 4)``: the upright boxes around the mapped corners; NaN boxes stay NaN."""
        array = box_arithmetic.check(boxes).reshape(-1, 4)
        corners = self.points(array[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)).reshape(-1, 4, 2)
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def image(
        self, array: Real[np.ndarray, "rows columns *channels"], size: Size, *, exact: bool = False
    ) -> Real[np.ndarray, "{size[0]} {size[1]} *channels"]:
        """The image under this map, on a canvas of ``size`` (height, width); black outside.

        Maps along the axes (and by quarter turns) use the one antialiased filter of ``geometry.resampling``. Others
        reduce the image with that filter first, if they shrink it, and then sample bilinearly.

        Args:
            array: ``(h, w)`` or ``(h, w, channels)``, uint8 or floating point with finite values.
            exact: float32 for uint8 too, without rounding.

        Returns:
            uint8 (rounded) for uint8, else float32.
        """
        size = whole_size(size, "the result")
        array = np.asarray(array)
        pixels = planes(array)
        (a, b, c), (d, e, f) = self.matrix.tolist()
        height, width = pixels.shape[:2]
        if abs(a) * width + abs(e) * height < STRAIGHT:  # x becomes y: a quarter turn
            array, a, b, d, e = np.moveaxis(array, 0, 1), b, a, e, d
            height, width = width, height
        if abs(b) * height + abs(d) * width < STRAIGHT:
            return resample(array, size, (e, a), (f, c), exact=exact)
        pixels = pixels.astype(np.float32) if exact else pixels
        return _slanted(pixels, self, size).reshape((*size, *array.shape[2:]))

    def mask(
        self, array: Shaped[np.ndarray, "rows columns *channels"], size: Size, outside: int | float | bool = 0
    ) -> Shaped[np.ndarray, "{size[0]} {size[1]} *channels"]:
        """Labels under this map, never blended: each pixel takes the one that its centre falls into.

        Args:
            array: ``(h, w)`` or ``(h, w, channels)`` of any type.
            outside: the value beyond the border.

        Returns:
            The array's own type. A centre on a border between two pixels of an image that shrinks takes the one before
            and the one after in turn, so that halving a mask does not shift it.
        """
        rows, columns = whole_size(size, "the result")
        if array.ndim not in {2, 3} or array.size == 0:
            raise InputError(f"a mask must have the shape (h, w) or (h, w, channels) and pixels, got {array.shape}")
        if array.shape[:2] == (rows, columns) and np.array_equal(self.matrix, np.eye(2, 3)):
            return np.array(array)
        return picked(array, *self.cells((rows, columns)), outside)

    def cells(self, size: Size) -> tuple[Int64[np.ndarray, "_rows _columns"], Int64[np.ndarray, "_rows _columns"]]:
        """The row and the column in the source that the centre of each pixel of ``size`` falls into.

        May lie beyond the source. A side is 1 where the index is constant along it; for borders see :meth:`mask`.
        """
        (a, b, c), (d, e, f) = self.inverse().matrix.tolist()
        return _cells(d, e, f, size), _cells(a, b, c, size)


def picked(
    array: Shaped[np.ndarray, "height width *channels"],
    row: Int64[np.ndarray, "_rows _columns"],
    column: Int64[np.ndarray, "_rows _columns"],
    outside: int | float | bool = 0,
) -> Shaped[np.ndarray, "_rows _columns *channels"]:
    """The pixels of an array at rows and columns, which are broadcast; ``outside`` where it has none."""
    inside = (column >= 0) & (column < array.shape[1]) & (row >= 0) & (row < array.shape[0])
    found = array[row.clip(0, array.shape[0] - 1), column.clip(0, array.shape[1] - 1)]
    found[~inside] = outside
    return found


def _pair(values: ArrayLike, what: str) -> tuple[float, float]:
    array = np.asarray(values, np.float64)
    if array.shape != (2,) or not np.isfinite(array).all():
        raise InputError(f"{what} must be two finite numbers (x, y), got {array.tolist()}")
    return float(array[0]), float(array[1])


def _cells(step_x: float, step_y: float, offset: float, size: Size) -> Int64[np.ndarray, "rows columns"]:
    """One source index of each target pixel, ``size`` or with a side of 1 where it is constant along that side."""
    xs = centres(size[1]) if step_x else np.zeros(1)
    ys = centres(size[0]) if step_y else np.zeros(1)
    place = step_x * xs + (step_y * ys)[:, None] + offset
    cell = np.floor(place + TIE).astype(np.int64)
    if (step_x == 0 or step_y == 0) and abs(step_x + step_y) > 1:
        tie = np.abs(place - np.rint(place)) < TIE
        turn = np.arange(place.size).reshape(place.shape) % 2
        cell -= tie * turn
    return cell


def _slanted(
    pixels: Real[np.ndarray, "rows columns channels"], into: Affine, size: Size
) -> Real[np.ndarray, "{size[0]} {size[1]} channels"]:
    """``Affine.image`` for a map not along the axes."""
    result = np.zeros((*size, pixels.shape[2]), np.uint8 if pixels.dtype == np.uint8 else np.float32)
    (a, b, _), (d, e, _) = into.matrix.tolist()
    scale_x, scale_y = min(1.0, math.hypot(a, d)), min(1.0, math.hypot(b, e))
    # What the canvas sees, with a margin for the filters; the rest of a large photograph costs nothing.
    x1, y1, x2, y2 = into.inverse().boxes([[0, 0, size[1], size[0]]])[0].tolist()
    left, right = max(0.0, x1 - 3 / scale_x), min(float(pixels.shape[1]), x2 + 3 / scale_x)
    top, bottom = max(0.0, y1 - 3 / scale_y), min(float(pixels.shape[0]), y2 + 3 / scale_y)
    if left >= right or top >= bottom:
        return result
    seen = pixels[math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)]
    into = into @ Affine.shift(math.floor(left), math.floor(top))
    whole = seen.shape[:2]
    smaller = max(1, round_half_up(whole[0] * scale_y)), max(1, round_half_up(whole[1] * scale_x))
    if smaller != whole:
        reduce = Affine.resize(whole, smaller)
        seen, into = reduce.image(seen, smaller), into @ reduce.inverse()
    if max(*seen.shape[:2], *size) > OPENCV_SIDE:
        raise InputError(f"cannot turn an image of {seen.shape[:2]} into one of {size}", remedy="scale it down first")
    matrix = PIXELS.opencv_matrix(into.matrix)
    seen = np.ascontiguousarray(seen, result.dtype)
    for start in range(0, seen.shape[2], OPENCV_CHANNELS):
        part = np.ascontiguousarray(seen[:, :, start : start + OPENCV_CHANNELS])
        turned = cv2.warpAffine(part, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        result[:, :, start : start + OPENCV_CHANNELS] = turned.reshape((*size, -1))
    return result
