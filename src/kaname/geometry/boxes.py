"""The arithmetic of boxes ``(x1, y1, x2, y2)`` in continuous coordinates: width is ``x2 - x1``, with no pixel added.

Every function takes one box ``(4,)`` or many ``(..., 4)`` and returns float64 arrays of the same leading shape. Boxes
with NaN stay NaN; a box whose corners are the wrong way round is an ``InputError``.
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.geometry.grid import whole_size
from kaname.shapes import Float64, Int64

Format: TypeAlias = Literal["xyxy", "xywh", "cxcywh"]

TINY = 8  # pixels a side: a box in the first pixel of a larger image is a share of it
ROUNDING_PX = 1e-6  # percent of a size come back with rounding errors, which must not grow a box by a pixel
ASK = "give x1, y1, x2, y2 for each"


def check(boxes: ArrayLike) -> Float64[np.ndarray, "*boxes 4"]:
    """The boxes as float64 ``(..., 4)``; an ``InputError`` names the first that makes no sense."""
    array = np.asarray(boxes, np.float64)
    if array.shape == (0,):
        return array.reshape(0, 4)
    if array.ndim == 0 or array.shape[-1] != 4:
        raise InputError(f"boxes must have the shape (..., 4), got {array.shape}")
    wrong = (array[..., 2] < array[..., 0]) | (array[..., 3] < array[..., 1])
    if wrong.any():
        first = array.reshape(-1, 4)[np.flatnonzero(wrong)[0]].tolist()
        raise InputError(
            f"box {first} ends before it begins", remedy="boxes are (x1, y1, x2, y2) with x1 <= x2, y1 <= y2"
        )
    return array


def area(boxes: ArrayLike) -> Float64[np.ndarray | np.float64, "*boxes"]:
    """``(...,)`` areas in square pixels; of one box a single number."""
    _, sizes = centre_size(boxes)
    return sizes[..., 0] * sizes[..., 1]


def centre_size(boxes: ArrayLike) -> tuple[Float64[np.ndarray, "*boxes 2"], Float64[np.ndarray, "*boxes 2"]]:
    """The centres ``(..., 2)`` as ``(x, y)`` and the sizes ``(..., 2)`` as ``(width, height)``."""
    array = check(boxes)
    return (array[..., :2] + array[..., 2:]) / 2, array[..., 2:] - array[..., :2]


def from_centre_size(centres: ArrayLike, sizes: ArrayLike) -> Float64[np.ndarray, "*boxes 4"]:
    """Boxes ``(..., 4)`` from centres ``(x, y)`` and sizes ``(width, height)``; the inverse of ``centre_size``."""
    middle, half = np.asarray(centres, np.float64), np.asarray(sizes, np.float64) / 2
    return check(np.concatenate([middle - half, middle + half], axis=-1))


def corners(boxes: ArrayLike, form: Format) -> Float64[np.ndarray, "*boxes 4"]:
    """Boxes ``(..., 4)`` from how others write them, not checked.

    Args:
        form: ``xyxy``: corners; ``xywh``: the first corner and the size; ``cxcywh``: the centre and the size.
    """
    array = np.asarray(boxes, np.float64)
    first, second = array[..., :2], array[..., 2:]
    if form == "cxcywh":
        first, second = first - second / 2, first + second / 2
    elif form == "xywh":
        second = first + second
    return np.concatenate([first, second], axis=-1)


def around(points: ArrayLike) -> Float64[np.ndarray, "4"]:
    """The smallest box ``(4,)`` that holds the points ``(N, 2)``; NaN points are left out, no point gives NaN."""
    array = np.asarray(points, np.float64).reshape(-1, 2)
    array = array[np.isfinite(array).all(axis=1)]
    if len(array) == 0:
        return np.full(4, np.nan)
    return np.concatenate([array.min(axis=0), array.max(axis=0)])


def pad(boxes: ArrayLike, ratio: float = 0.0, *, pixels: float = 0.0) -> Float64[np.ndarray, "*boxes 4"]:
    """Boxes grown on each of their four sides by ``ratio`` of their width (height) plus ``pixels``.

    A negative amount shrinks; a box never shrinks beyond its centre. ``pad(box, 0.125)`` is the box x 1.25.
    """
    centre, sizes = centre_size(boxes)
    return from_centre_size(centre, np.maximum(sizes * (1 + 2 * ratio) + 2 * pixels, 0))


def square(boxes: ArrayLike) -> Float64[np.ndarray, "*boxes 4"]:
    """The smallest squares with the same centres that hold the boxes."""
    centre, sizes = centre_size(boxes)
    return from_centre_size(centre, np.broadcast_to(sizes.max(axis=-1, keepdims=True), sizes.shape))


def clip(boxes: ArrayLike, size: tuple[int, int]) -> Float64[np.ndarray, "*boxes 4"]:
    """What of the boxes lies in an image of ``(height, width)``; a box outside becomes one of area 0 on the border."""
    height, width = whole_size(size, "the image")
    return np.clip(check(boxes), 0, np.array([width, height, width, height], np.float64))


def iou(first: ArrayLike, second: ArrayLike) -> Float64[np.ndarray, "first second"]:
    """Intersection over union of each of ``(N, 4)`` with each of ``(M, 4)``: ``(N, M)`` in 0..1.

    Two boxes without any area have 0.
    """
    one, other = check(first).reshape(-1, 1, 4), check(second).reshape(1, -1, 4)
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = area(one) + area(other) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def box_rows(boxes: ArrayLike) -> Float64[np.ndarray, "boxes 4"]:
    """The boxes ``(N, 4)`` that a user gave; one box ``(4,)`` is one row, an empty list none.

    Raises:
        InputError: not ``(N, 4)``, or not finite.
    """
    try:
        array = np.asarray(boxes, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("boxes must be (N, 4) numbers", remedy=ASK) from error
    given = array.shape
    array = array.reshape(-1, 4) if given in ((4,), (0,)) else array
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise InputError(f"boxes must be (N, 4) finite numbers, got {given}", remedy=ASK)
    return array


def refuse_shares(boxes: ArrayLike, size: tuple[int, int]) -> None:
    """Refuse boxes ``(N, 4)`` that are plainly shares of the image of ``(height, width)``, not pixels.

    Raises:
        InputError: all of their numbers lie in 0..1, and the image is larger than a few pixels.
    """
    array = np.asarray(boxes, np.float64)
    if array.size and max(size) > TINY and array.min() >= 0 and array.max() <= 1:
        remedy = f"they look like shares of the image: multiply them by its width {size[1]} and its height {size[0]}"
        raise InputError("all numbers of the boxes lie in 0..1, and pixels are meant", remedy=remedy)


def pixel_boxes(boxes: ArrayLike, size: tuple[int, int]) -> Int64[np.ndarray, "boxes 4"]:
    """Boxes ``(N, 4)`` grown to whole pixels and clipped to the image of ``(height, width)``.

    Raises:
        InputError: not ``(N, 4)``, not finite, or a box without a pixel inside the image; shares of the image.
    """
    array = box_rows(boxes)
    refuse_shares(array, size)
    low, high = np.floor(array[:, :2] + ROUNDING_PX), np.ceil(array[:, 2:] - ROUNDING_PX)
    whole = np.concatenate([low, high], axis=1)
    clipped = np.clip(whole, 0, [size[1], size[0], size[1], size[0]]).astype(np.int64)
    empty = np.flatnonzero((clipped[:, 2:] <= clipped[:, :2]).any(axis=1))
    if len(empty):
        raise InputError(
            f"the box {array[empty[0]].tolist()} has no pixel inside the image of {size[1]} x {size[0]}",
            remedy="give x1, y1, x2, y2 in pixels",
        )
    return clipped
