"""Masks of many instances as runs of pixels down the columns of an image, drawn as COCO's own tools draw polygons.

Statistics count runs instead of pixels: no mask of the image's size is ever made. COCO's drawing differs from taking
the pixels whose centre lies inside (`kaname.codecs.roi_mask`): it walks the outline on a grid five times as fine and
notes where the walk crosses the middle of a column (``rleFrPoly`` in cocoapi's ``maskApi.c``; parity is tested).

>>> runs = Runs.of([[np.array([[1.0, 1.0], [3.0, 1.0], [3.0, 4.0], [1.0, 4.0]])]], (5, 5))
>>> runs.areas()
array([6])
>>> runs.in_boxes([[0, 0, 2, 5]])
array([[3]])
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaname.errors import InputError
from kaname.geometry.grid import HALF, whole_size
from kaname.shapes import Bool, Float64, Int64

Shape: TypeAlias = "Sequence[ArrayLike] | NDArray[np.int64]"

FINER = 5  # steps of the outline in a pixel
FEW = 4  # pairs of boxes that meet, which are counted faster than the union of all
TOGETHER = 1 << 18  # runs of pairs that are compared in one go
MIDDLE = 2  # the step of a column after which its middle is crossed


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of pixels ``start..end - 1`` in a column, each of one instance; those of one instance never overlap.

    Attributes:
        owner: ``(R,)`` the instance; sorted, within it by column and start.
        column, start, end: ``(R,)``; ``start < end``.
        count: how many instances there are, those without a pixel included.
        size: ``(height, width)`` of the image.
    """

    owner: Int64[np.ndarray, "runs"]
    column: Int64[np.ndarray, "runs"]
    start: Int64[np.ndarray, "runs"]
    end: Int64[np.ndarray, "runs"]
    count: int
    size: tuple[int, int]

    @classmethod
    def of(cls, shapes: Sequence[Shape], size: tuple[int, int]) -> Runs:
        """The runs of some instances of one image.

        Args:
            shapes: for each its polygons, a list of ``(K, 2)`` in pixels, together the instance; or the lengths of the
                runs of COCO's encoding, an array ``(L,)`` of integers (`kaname.data.formats.rle.counts`).
            size: ``(height, width)`` of the image.

        Raises:
            InputError: a corner that is not finite, or lengths that do not fill the image.
        """
        return cls.of_each([shapes], [size])[0]

    @classmethod
    def of_each(cls, images: Sequence[Sequence[Shape]], sizes: Sequence[tuple[int, int]]) -> list[Runs]:
        """Those of several images, drawn at once: of one alone NumPy's calls cost more than the pixels. See `of`."""
        sides = np.array([whole_size(size, "the image") for size in sizes], np.int64).reshape(-1, 2)
        begin = np.cumsum([0, *(len(shapes) for shapes in images)])
        of_instance = np.repeat(sides, np.diff(begin), axis=0)
        heights, widths = of_instance[:, 0], of_instance[:, 1]
        whole = int(sides.prod(axis=1).max(initial=0))
        corners: list[NDArray[np.float64]] = []
        owners: list[int] = []
        encoded: list[NDArray[np.int64]] = []  # (3, R): instance, first and last + 1 pixel down the columns
        for number, shape in enumerate(itertools.chain.from_iterable(images)):
            if isinstance(shape, np.ndarray) and shape.ndim == 1:
                ends = np.cumsum(shape)
                if len(ends) == 0 or ends[-1] != heights[number] * widths[number] or (shape < 0).any():
                    reason = f"runs of {int(shape.sum())} pixels for an image of {widths[number]} x {heights[number]}"
                    raise InputError(reason)
                first, last = ends[:-1:2], ends[1::2]
                encoded.append(np.stack([np.full(len(first), number), first, last]))
                continue
            corners += [np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in shape]
            owners += [number] * len(shape)
        drawn = np.zeros((3, 0), np.int64)
        if corners:
            of = np.asarray(owners)
            polygon, place = _crossings(corners, heights[of], widths[of])
            drawn = np.stack([of[polygon[::2]], place[::2], place[1::2]])
        owner, first, last = np.concatenate([drawn, *encoded], axis=1)
        owner, first, last = merged(owner, first, last, whole)
        owner, column, start, end = _by_column(owner, first, last, heights[owner])
        cuts = np.searchsorted(owner, begin).tolist()
        found: list[Runs] = []
        for number, shapes in enumerate(images):
            part = slice(cuts[number], cuts[number + 1])
            size = int(sides[number, 0]), int(sides[number, 1])
            own = owner[part] - begin[number]
            found.append(Runs(own, column[part], start[part], end[part], len(shapes), size))
        return found

    @cached_property
    def _parts(self) -> tuple[Int64[np.ndarray, "_parts"], Int64[np.ndarray, "_parts"]]:
        """The instances that have runs, and where those of each begin."""
        fresh = np.ones(len(self.owner), bool)
        np.not_equal(self.owner[1:], self.owner[:-1], out=fresh[1:])
        begin = np.flatnonzero(fresh)
        return self.owner[begin], begin

    def areas(self) -> Int64[np.ndarray, "instances"]:
        """Pixels of each instance."""
        return _sums(self.owner, self.end - self.start, self.count)

    @cached_property
    def union(self) -> Runs:
        """All instances as one."""
        first = self.column * self.size[0]
        nobody = np.zeros_like(self.owner)
        whole = self.size[0] * self.size[1]
        owner, first, last = merged(nobody, first + self.start, first + self.end, whole)
        return Runs(*_by_column(owner, first, last, np.full(len(owner), self.size[0])), 1, self.size)

    def in_boxes(self, boxes: ArrayLike) -> Int64[np.ndarray, "boxes instances"]:
        """Pixels of each instance in each box ``(N, 4)``, whose corners are whole numbers: ``(N, count)``."""
        corners = np.asarray(boxes, np.int64)
        x1, y1, x2, y2 = (corners[:, side, None] for side in range(4))
        inside = np.minimum(self.end, y2) - np.maximum(self.start, y1)
        np.maximum(inside, 0, out=inside)
        inside *= (self.column >= x1) & (self.column < x2)
        found = np.zeros((len(inside), self.count), np.int64)
        present, begin = self._parts
        if len(present):
            found[:, present] = np.add.reduceat(inside, begin, axis=1)
        return found

    def shared(self) -> list[tuple[int, int, int]]:
        """Pairs of instances that share pixels: both numbers, the smaller first, and how many pixels."""
        present, begin = self._parts
        last = np.append(begin[1:], len(self.owner))
        if len(present) < 2:
            return []
        low = np.column_stack([self.column[begin], np.minimum.reduceat(self.start, begin)])
        high = np.column_stack([self.column[last - 1] + 1, np.maximum.reduceat(self.end, begin)])
        before = np.asarray((low[:, None] < high).all(axis=2), np.bool_)
        meeting = np.triu(before & np.transpose(before), 1)
        pairs = np.argwhere(meeting)
        if len(pairs) > FEW and self.areas().sum() == self.union.areas()[0]:
            return []
        runs = np.cumsum((last - begin)[pairs[:, 1]])
        turns = [*range(0, int(runs[-1]) if len(runs) else 0, TOGETHER)]
        cuts: list[int] = [*np.searchsorted(runs, np.array(turns)).tolist(), len(pairs)]
        found: list[tuple[int, int, int]] = []
        for start, stop in itertools.pairwise(cuts):
            part = pairs[start:stop]
            pixels = self._common(begin[part], last[part])
            for row in np.flatnonzero(pixels).tolist():
                one, other = part[row].tolist()
                found.append((int(present[one]), int(present[other]), int(pixels[row])))
        return found

    def _common(
        self, begin: Int64[np.ndarray, "pairs 2"], end: Int64[np.ndarray, "pairs 2"]
    ) -> Int64[np.ndarray, "pairs"]:
        """How many pixels two instances share, for pairs of them whose runs are ``begin..end - 1``."""
        beyond = self.size[0] * self.size[1] + 1
        opened = self.column * self.size[0] + self.start
        closed = opened + self.end - self.start
        before = np.concatenate([[0], np.cumsum(closed - opened)])
        counts = end[:, 1] - begin[:, 1]
        pair = np.repeat(np.arange(len(begin)), counts)
        run = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts - begin[:, 1], counts)
        first, key = begin[pair, 0], self.owner * beyond + opened

        def covered(place: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
            """Pixels of all instances up to a place in the first of each pair."""
            passed = np.searchsorted(key, self.owner[first] * beyond + place)
            over = np.maximum(closed[np.maximum(passed - 1, 0)] - place, 0) * (passed > first)
            return before[passed] - over

        shared = covered(closed[run]) - covered(opened[run])
        return _sums(pair, shared, len(begin))

    def mask(self, number: int) -> Bool[np.ndarray, "{self.size[0]} {self.size[1]}"]:
        """The mask of one instance."""
        height, width = self.size
        changes = np.zeros(height * width + 1, np.int8)
        mine = self.owner == number
        first = self.column[mine] * height
        np.add.at(changes, first + self.start[mine], 1)
        np.add.at(changes, first + self.end[mine], -1)
        return np.cumsum(changes[:-1]).astype(bool).reshape((height, width), order="F")


def _crossings(
    polygons: Sequence[Float64[np.ndarray, "_corners 2"]],
    heights: Int64[np.ndarray, "polygons"],
    widths: Int64[np.ndarray, "polygons"],
) -> tuple[Int64[np.ndarray, "crossings"], Int64[np.ndarray, "crossings"]]:
    """Where the outlines of polygons cross the middles of columns: which polygon, and the pixel down the columns.

    Sorted by both; the pixels between the first and the second, the third and the fourth, ... lie inside.
    """
    every = np.concatenate(polygons)
    if not np.isfinite(every).all():
        raise InputError("a corner of a polygon is NaN or infinite")
    lengths = np.array([len(one) for one in polygons])
    after = np.arange(1, len(every) + 1)
    ends = np.cumsum(lengths)
    after[ends[lengths > 0] - 1] = (ends - lengths)[lengths > 0]  # the last corner goes back to the first
    polygon = np.repeat(np.arange(len(polygons)), lengths)  # of each edge, and then of each crossing
    steps = np.trunc(FINER * every + HALF).astype(np.int64)
    edges = np.transpose(np.concatenate([steps, steps[after]], axis=1))
    # Each edge is walked along its longer side, always towards greater coordinates.
    flat = np.abs(edges[2] - edges[0]) >= np.abs(edges[3] - edges[1])
    turn = (flat & (edges[0] > edges[2])) | (~flat & (edges[1] > edges[3]))
    edges = np.where(turn, edges[[2, 3, 0, 1]], edges)
    first = np.maximum((np.minimum(edges[0], edges[2]) + MIDDLE) // FINER, 0)
    last = np.minimum((np.maximum(edges[0], edges[2]) - MIDDLE - 1) // FINER, widths[polygon] - 1)
    columns = np.maximum(last - first + 1, 0)
    edge = np.repeat(np.arange(len(every)), columns)
    column = np.arange(len(edge)) - np.repeat(np.cumsum(columns) - columns - first, columns)
    flat, steep, edges = flat[edge], ~flat[edge], edges[:, edge]
    before = FINER * column + MIDDLE  # the walk crosses between this step and the next
    row = np.empty(len(edge), np.int64)
    row[flat] = _row_of_flat(before[flat], edges[:, flat])
    row[steep] = _row_of_steep(before[steep], edges[:, steep])
    polygon = polygon[edge]
    height, beyond = heights[polygon], int((heights * widths).max()) + 1
    pixel = np.clip((row + MIDDLE) // FINER, 0, height)
    key = np.sort(polygon * beyond + column * height + pixel)
    return key // beyond, key % beyond


def _row_of_flat(before: Int64[np.ndarray, "n"], edges: Int64[np.ndarray, "4 n"]) -> Int64[np.ndarray, "n"]:
    """The smaller row of the two steps that cross, on edges that advance a column a step."""
    x1, y1, x2, y2 = edges
    slope = (y2 - y1) / (x2 - x1)
    rows = [np.trunc(y1 + slope * (step - x1) + HALF) for step in (before, before + 1)]
    return np.minimum(*rows).astype(np.int64)


def _row_of_steep(before: Int64[np.ndarray, "n"], edges: Int64[np.ndarray, "4 n"]) -> Int64[np.ndarray, "n"]:
    """The same on edges that advance a row a step: the row before the first step on the other side."""
    x1, y1, x2, y2 = edges
    slope = (x2 - x1) / (y2 - y1)
    rising = slope > 0

    def crossed(step: Int64[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        return (np.trunc(x1 + slope * step + HALF) > before) == rising

    step = np.ceil((before + HALF - x1) / slope).astype(np.int64)  # to within one, since floats are rounded
    step -= crossed(step - 1)
    step += ~crossed(step)
    return y1 + step - 1


def merged(
    owner: Int64[np.ndarray, "n"], first: Int64[np.ndarray, "n"], last: Int64[np.ndarray, "n"], whole: int
) -> tuple[Int64[np.ndarray, "m"], Int64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
    """The unions of the intervals ``first..last - 1`` of each owner, sorted; ``whole`` is beyond every place."""
    used = last > first
    base = owner[used] * (whole + 1)
    first, last = base + first[used], base + last[used]
    order = np.argsort(first, kind="stable")
    first, last = first[order], np.maximum.accumulate(last[order])
    fresh = np.ones(len(first), bool)
    fresh[1:] = first[1:] > last[:-1]
    begin = np.flatnonzero(fresh)
    last = last[np.append(begin[1:], len(last)) - 1] if len(begin) else last
    owner, first = np.divmod(first[begin], whole + 1)
    return owner, first, last - owner * (whole + 1)


def _by_column(
    owner: Int64[np.ndarray, "n"],
    first: Int64[np.ndarray, "n"],
    last: Int64[np.ndarray, "n"],
    height: Int64[np.ndarray, "n"],
) -> tuple[Any, Any, Any, Any]:
    """Intervals of pixels down the columns of images so high, cut where one ends: owner, column, start and end."""
    column, until = first // height, (last - 1) // height
    pieces = until - column + 1
    which = np.repeat(np.arange(len(owner)), pieces)
    columns = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces - column, pieces)
    height = height[which]
    top = columns * height
    start = np.maximum(first[which] - top, 0)
    end = np.minimum(last[which] - top, height)
    return owner[which], columns, start, end


def _sums(owner: Int64[np.ndarray, "n"], values: Int64[np.ndarray, "n"], count: int) -> Int64[np.ndarray, "count"]:
    return np.rint(np.bincount(owner, values, minlength=count)).astype(np.int64)
