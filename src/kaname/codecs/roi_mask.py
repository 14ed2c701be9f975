"""Masks inside boxes: from polygons to the classes on a box's grid, and from that grid back onto the image.

The grid of a box is stretched over it: ``size`` = ``(height, width)`` cells whose centres lie as those of an image's
pixels do. Boxes are ``(x1, y1, x2, y2)`` and polygons ``(K, 2)``, in continuous pixels of the image.

>>> square = [np.array([[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]])]
>>> targets([square], [[0, 0, 8, 8]], 0, (4, 4))
array([[0, 0, 0, 0],
       [0, 1, 1, 0],
       [0, 1, 1, 0],
       [0, 0, 0, 0]], dtype=uint8)
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kaname.codecs.runs import merged
from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.affine import Affine, picked
from kaname.geometry.grid import PIXELS, centres, centres_before, whole_size
from kaname.shapes import Bool, Float32, Float64, Int64, Real, UInt8

BACKGROUND, TARGET, NON_TARGET = 0, 1, 2
BORDER = 1e-3  # pixels from a box's border, within which rounding decides which side a pixel is on
UNSEEN = 1e-2  # of the most that pixels take of any cells: what they take less of cannot be read from them
MOST_CELLS = 1 << 21  # that are filled in one go, all boxes together


class Region(NamedTuple):
    """A part of the image, and which of its pixels belong to the mask."""

    rows: slice
    columns: slice
    inside: Bool[np.ndarray, "height width"]

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "rows columns"], row: int = 0, column: int = 0) -> Region:
        """The least part that holds all of a mask, whose own first pixel is that of a ``row`` and a ``column``."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return NOWHERE
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        across = slice(column + left, column + right)
        return cls(slice(row + top, row + bottom), across, mask[top:bottom, left:right])

    @property
    def extent(self) -> list[float]:
        """``[x, y, width, height]`` in pixels, as COCO writes a box; zeros where there is no pixel."""
        height, width = self.inside.shape
        return [float(self.columns.start), float(self.rows.start), float(width), float(height)]

    def within(self, rows: slice, columns: slice) -> Bool[np.ndarray, "_height _width"]:
        """The mask in another part of the image."""
        found = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        top, bottom = max(rows.start, self.rows.start), min(rows.stop, self.rows.stop)
        left, right = max(columns.start, self.columns.start), min(columns.stop, self.columns.stop)
        if top < bottom and left < right:
            part = self.inside[top - self.rows.start : bottom - self.rows.start, left - self.columns.start :]
            found[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = part[
                :, : right - left
            ]
        return found


Shape: TypeAlias = Sequence[ArrayLike] | np.ndarray[Any, Any] | Region
NOWHERE = Region(slice(0, 0), slice(0, 0), np.zeros((0, 0), bool))


def targets(
    polygons: Sequence[Shape], boxes: ArrayLike, target_index: int, size: tuple[int, int], *, classes: int = 3
) -> UInt8[np.ndarray, "{size[0]} {size[1]}"]:
    """The classes inside ``boxes[target_index]``: 0 background, 1 the target, 2 another instance.

    A cell has the class of its centre; where instances overlap the target wins.

    Args:
        polygons: for each instance its polygons, a list of ``(K, 2)``, or its mask, an array ``(h, w)`` of the image's
            size in which everything but 0 belongs to it, or a `Region`. A polygon that crosses itself is filled by the
            even-odd rule.
        boxes: ``(M, 4)``, the region of each instance as it is, without padding; may reach outside the image.
        target_index: which instance is the target.
        size: ``(height, width)`` of the result in cells.
        classes: 3, or 2: other instances are background.

    Raises:
        InputError: an empty box, not one box per instance, an index out of range, a corner that is not finite.
    """
    height, width = whole_size(size, "the grid of a box")
    regions = box_arithmetic.check(boxes).reshape(-1, 4)
    if len(regions) != len(polygons):
        raise InputError(f"{len(polygons)} instances and {len(regions)} boxes", remedy="give each instance its box")
    if not 0 <= target_index < len(polygons):
        raise InputError(f"no instance {target_index}: there are {len(polygons)}, counted from 0")
    into = Affine.crop(regions[target_index], (height, width))
    found = np.zeros((height, width), np.uint8)
    each = inside_each(polygons, into, (height, width))
    if classes > NON_TARGET:
        found[each.any(axis=0)] = NON_TARGET
    found[each[target_index]] = TARGET
    return found


def inside(shape: Shape, into: Affine, size: tuple[int, int]) -> Bool[np.ndarray, "{size[0]} {size[1]}"]:
    """Which cells of a grid have their centre in an instance.

    Args:
        shape: its polygons, or its mask, as in :func:`targets`.
        into: from pixels of the image to cells of the grid.
        size: ``(height, width)`` in cells.
    """
    return in_any([shape], into, size)


def in_any(shapes: Sequence[Shape], into: Affine, size: tuple[int, int]) -> Bool[np.ndarray, "{size[0]} {size[1]}"]:
    """Which cells of a grid have their centre in at least one of several instances, as :func:`inside` says it."""
    return _inside(shapes, [0] * len(shapes), 1, [into], size)[0, 0]


def inside_each(
    shapes: Sequence[Shape], into: Affine, size: tuple[int, int]
) -> Bool[np.ndarray, "shapes {size[0]} {size[1]}"]:
    """Which cells of a grid have their centre in each of several instances, as :func:`inside` says it."""
    return _inside(shapes, range(len(shapes)), len(shapes), [into], size)[0]


def inside_boxes(
    shapes: Sequence[Shape], boxes: Float64[np.ndarray, "boxes 4"], size: tuple[int, int]
) -> Bool[np.ndarray, "boxes shapes {size[0]} {size[1]}"]:
    """Which cells of the grid of each box have their centre in each of several instances; all boxes at once."""
    return _inside(shapes, range(len(shapes)), len(shapes), [Affine.crop(box, size) for box in boxes], size)


def cut_out(shapes: Sequence[Shape], size: tuple[int, int]) -> list[Region]:
    """The pixels of an image of ``size`` in each of several instances, as :func:`inside` says it.

    Each in the least part of the image that holds them all: what polygons cost does not grow with the image.
    """
    found = [_region(shape) or NOWHERE for shape in shapes]
    owner, row, start, end = _runs(*_rings(shapes, range(len(shapes))), [Affine.identity()], size)
    present, begin = np.unique(owner, return_index=True)
    if not len(present):
        return found
    top, left = np.minimum.reduceat(row, begin), np.minimum.reduceat(start, begin)
    height, width = np.maximum.reduceat(row, begin) + 1 - top, np.maximum.reduceat(end, begin) - left
    cells = height * (width + 1)
    corner = np.cumsum(cells) - cells
    part = np.repeat(np.arange(len(present)), np.diff(begin, append=len(owner)))
    place = corner[part] + (row - top[part]) * (width + 1)[part] - left[part]
    whole = _filled(place + start, place + end, int(cells.sum()))
    facts = np.stack([present, top, left, height, width, corner], axis=1).tolist()
    for number, y, x, rows, columns, first in facts:
        drawn = whole[first : first + rows * (columns + 1)].reshape(rows, columns + 1)[:, :columns]
        found[number] = Region(slice(y, y + rows), slice(x, x + columns), drawn)
    return found


def _region(shape: Shape) -> Region | None:
    """Where a mask is; None of polygons."""
    if isinstance(shape, np.ndarray) and shape.ndim == 2:
        return Region.of(shape != 0)
    return shape if isinstance(shape, Region) else None


def _rings(shapes: Sequence[Shape], owners: Sequence[int]) -> tuple[list[Float64[np.ndarray, "_ 2"]], list[int]]:
    """The polygons of all shapes that are no masks, and whose each is."""
    rings: list[Float64[np.ndarray, "_ 2"]] = []
    belongs: list[int] = []
    for shape, owner in zip(shapes, owners, strict=True):
        if isinstance(shape, Region) or (isinstance(shape, np.ndarray) and shape.ndim == 2):
            continue
        own = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in shape if len(ring)]  # pyright: ignore
        rings += own
        belongs += [owner] * len(own)
    return rings, belongs


def _inside(
    shapes: Sequence[Shape], owners: Sequence[int], count: int, maps: Sequence[Affine], size: tuple[int, int]
) -> Bool[np.ndarray, "maps {count} {size[0]} {size[1]}"]:
    """The masks of ``count`` owners of shapes, whose numbers do not fall, under each of several maps."""
    height, width = size
    filled = np.zeros((len(maps), count, height, width), bool)
    rings, belongs = _rings(shapes, owners)
    together = max(1, MOST_CELLS // max(1, count * height * (width + 1)))
    for first in range(0, len(maps) if rings else 0, together):
        some = filled[first : first + together]
        owner, row, start, end = _runs(rings, belongs, maps[first : first + together], size, count)
        place = (owner * height + row) * (width + 1)
        drawn = _filled(place + start, place + end, len(some) * count * height * (width + 1))
        some[:] = drawn.reshape(len(some), count, height, width + 1)[..., :width]
    parts = [(owner, _region(shape) or NOWHERE) for shape, owner in zip(shapes, owners, strict=True)]
    parts = [(owner, region) for owner, region in parts if region.inside.size]
    if not parts:
        return filled
    for one, into in zip(filled, maps, strict=True):
        row, column = into.cells(size)
        for owner, region in parts:
            one[owner] |= picked(region.inside, row - region.rows.start, column - region.columns.start, outside=False)
    return filled


def _runs(
    rings: Sequence[Float64[np.ndarray, "_ 2"]],
    belongs: Sequence[int],
    maps: Sequence[Affine],
    size: tuple[int, int],
    count: int = 0,
) -> Int64[np.ndarray, "4 runs"]:
    """The runs of cells whose centre lies in a polygon: owner, row, first cell and the one after the last.

    Inside and outside alternate where the edges of a polygon cross a row. All polygons in one go: those of a crowd are
    many and small. They are sorted by owner; under each further map owners count on by ``count``.
    """
    if not rings:
        return np.zeros((4, 0), np.int64)
    height, width = size
    every = np.concatenate(rings)
    corners = np.concatenate([into.points(every) for into in maps])
    if not np.isfinite(corners).all():
        raise InputError("a corner of a polygon is NaN or infinite")
    lengths = np.tile([len(ring) for ring in rings], len(maps))
    owners = (np.arange(len(maps))[:, None] * count + belongs).ravel()
    following = np.arange(1, len(corners) + 1)
    following[np.cumsum(lengths) - 1] = np.cumsum(lengths) - lengths  # the last corner of a ring leads to its first
    above = centres_before(corners[:, 1], height)
    below = above[following]
    crossing = np.flatnonzero(above != below)  # an edge owns its upper end and not its lower one
    begin, end, ring = corners[crossing], corners[following[crossing]], np.repeat(np.arange(len(lengths)), lengths)
    above, below = above[crossing], below[crossing]
    crossed = np.abs(below - above)  # rows whose centre each edge crosses
    edge = np.repeat(np.arange(len(crossing)), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed - np.minimum(above, below), crossed)
    start, step, ring = begin[edge], (end - begin)[edge], ring[crossing][edge]
    column = start[:, 0] + step[:, 0] * (centres(height)[row] - start[:, 1]) / step[:, 1]
    column = centres_before(column, width)
    line, column = np.divmod(np.sort((ring * height + row) * (width + 1) + column), width + 1)
    ring, row = np.divmod(line[::2], height)  # a ring comes back: it crosses each row an even number of times
    found = np.stack([owners[ring], row, column[::2], column[1::2]])
    return found[:, found[2] < found[3]]


def _filled(
    first: Int64[np.ndarray, "runs"], last: Int64[np.ndarray, "runs"], count: int
) -> Bool[np.ndarray, "{count}"]:
    """Which of ``count`` places lie in at least one of the runs ``first..last - 1``."""
    _, first, last = merged(np.zeros_like(first), first, last, count)
    changes = np.zeros(count + 1, np.int8)
    changes[first], changes[last] = 1, -1
    return np.cumsum(changes[:-1], dtype=np.int8).view(np.bool_)


def paste(
    logits: Real[np.ndarray, "boxes classes rows columns"], boxes: ArrayLike, height: int, width: int
) -> Float32[np.ndarray, "boxes classes {height} {width}"]:
    """Probabilities on the image from logits on the grid of each box: the softmax over classes, then pasted.

    Args:
        logits: ``(N, C, h, w)``.
        boxes: ``(N, 4)`` in pixels of the image.
        height, width: of the image.

    Returns:
        float32 ``(N, C, height, width)``; see :func:`paste_probabilities`.
    """
    return paste_probabilities(softmax(logits), boxes, (height, width))


def softmax(
    logits: Real[np.ndarray, "boxes classes rows columns"],
) -> Float32[np.ndarray, "boxes classes rows columns"]:
    """The softmax over the classes of ``(N, C, h, w)``."""
    raw = np.asarray(logits, np.float32)
    shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def paste_probabilities(
    probabilities: Real[np.ndarray, "boxes classes rows columns"], boxes: ArrayLike, size: tuple[int, int]
) -> Float32[np.ndarray, "boxes classes {size[0]} {size[1]}"]:
    """Probabilities on the image from those on the grid of each box.

    Between the centres of cells they are bilinear, beyond the outermost ones constant; a pixel whose centre lies
    outside the box is background: 1 for class 0 and 0 for the others. All boxes at once take ``N * C`` images of
    memory; :func:`patch` gives one box alone.

    Args:
        probabilities: ``(N, C, h, w)``.
        boxes: ``(N, 4)`` in pixels of the image; may reach outside it.
        size: ``(height, width)`` of the image.

    Raises:
        InputError: not one box per mask, or a box that is not finite.
    """
    height, width = whole_size(size, "the image")
    regions = box_arithmetic.check(boxes).reshape(-1, 4)
    if len(regions) != len(probabilities):
        raise InputError(f"{len(probabilities)} masks and {len(regions)} boxes", remedy="give each mask its box")
    pasted = np.zeros((len(regions), probabilities.shape[1], height, width), np.float32)
    pasted[:, BACKGROUND] = 1
    for image, mask, box in zip(pasted, probabilities, regions, strict=True):
        rows, columns, values = patch(mask, box, (height, width))
        image[:, rows, columns] = values
    return pasted


def patch(
    probabilities: Real[np.ndarray, "classes rows columns"], box: ArrayLike, size: tuple[int, int]
) -> tuple[slice, slice, Float32[np.ndarray, "classes _height _width"]]:
    """The part of the image whose pixels have their centre in the box: its rows, its columns and its pixels.

    Args:
        probabilities: ``(C, h, w)`` on the grid of the box.
        box: ``(4,)`` in pixels of the image.
        size: ``(height, width)`` of the image.

    Returns:
        Two slices of the image, and float32 ``(C, rows, columns)``; empty where the box holds no centre.
    """
    x1, y1, x2, y2 = box_arithmetic.check(box).reshape(4).tolist()
    if not np.isfinite([x1, y1, x2, y2]).all():
        raise InputError(f"a box is four finite numbers (x1, y1, x2, y2), got {[x1, y1, x2, y2]}")
    down, across = _within(size[0], y1, y2), _within(size[1], x1, x2)
    if down.start == down.stop or across.start == across.stop or x1 == x2 or y1 == y2:
        return slice(0, 0), slice(0, 0), np.zeros((len(probabilities), 0, 0), np.float32)
    cells = np.asarray(probabilities, np.float32)
    rows, columns = _shares((x1, y1, x2, y2), size, (down, across), (cells.shape[1], cells.shape[2]))
    return down, across, np.matmul(np.matmul(rows, cells), np.transpose(columns))


def unpasted(
    image: Float32[np.ndarray, "classes height width"], box: ArrayLike, cells: Real[np.ndarray, "classes rows columns"]
) -> Real[np.ndarray, "classes rows columns"]:
    """The cells of a box's grid whose `patch` is what an image holds: those given, changed by as little as that takes.

    Args:
        image: ``(C, H, W)`` probabilities that were pasted.
        box: ``(4,)`` in pixels of the image.
        cells: ``(C, h, w)`` about what they are; of a box of few pixels that many cells have no say in any.
    """
    x1, y1, x2, y2 = box_arithmetic.check(box).reshape(4).tolist()
    size, grid = (image.shape[1], image.shape[2]), (cells.shape[1], cells.shape[2])
    # Not those on the very border, which belong to the box or not by the last bit.
    parts = _within(size[0], y1 + BORDER, y2 - BORDER), _within(size[1], x1 + BORDER, x2 - BORDER)
    if any(part.start >= part.stop for part in parts):
        return cells
    rows, columns = _shares((x1, y1, x2, y2), size, parts, grid)
    missing = image[:, parts[0], parts[1]] - np.matmul(np.matmul(rows, cells), np.transpose(columns))
    back, over = (np.linalg.pinv(share, rcond=UNSEEN) for share in (rows, columns))
    return cells + np.matmul(np.matmul(back, missing), np.transpose(over))


def _shares(
    box: tuple[float, float, float, float], size: tuple[int, int], part: tuple[slice, slice], grid: tuple[int, int]
) -> tuple[Float32[np.ndarray, "_ _"], Float32[np.ndarray, "_ _"]]:
    """What rows, and columns, of a part of an image of ``size`` take of each row, and column, of a box's grid."""
    x1, y1, _, _ = box
    into = Affine.crop(box, grid)
    ys, xs = centres(size[0])[part[0]], centres(size[1])[part[1]]
    row = PIXELS.to_index(into.points(np.column_stack([np.full_like(ys, x1), ys])))[:, 1]
    column = PIXELS.to_index(into.points(np.column_stack([xs, np.full_like(xs, y1)])))[:, 0]
    return _weights(row, grid[0]), _weights(column, grid[1])


def _within(count: int, low: float, high: float) -> slice:
    """The pixels whose centre lies in ``low..high``."""
    places = centres(count)
    return slice(int(np.searchsorted(places, low)), int(np.searchsorted(places, high, side="right")))


def _weights(index: Float64[np.ndarray, "n"], count: int) -> Float32[np.ndarray, "n {count}"]:
    """The matrix of linear interpolation at fractional cell indices; constant beyond the outermost cells."""
    distance = np.clip(index, 0, count - 1)[:, None] - np.arange(count)
    return np.clip(1 - np.abs(distance), 0, None).astype(np.float32)
