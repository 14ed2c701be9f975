"""RoIAlign in NumPy: what a feature map says inside a box, on a grid of a fixed size.

Each cell of the grid is the mean of ``sampling_ratio x sampling_ratio`` places, between cells of the map bilinear (He,
Gkioxari, Dollár, Girshick: Mask R-CNN, arXiv 1703.06870; half-pixel semantics, ``aligned=True``). Rows and columns do
not mix in it, so that it is ``A_y F A_x^T`` with one small weight matrix for each axis. The numbers are those of
`torchvision.ops.roi_align`, and of ONNX's ``RoiAlign`` (`kaname.models.roi_align`).

Boxes are ``(x1, y1, x2, y2)`` in *cells* of the map: continuous, (0, 0) is the outer corner of its first cell, so a box
in pixels of the network's input over the map's stride. They may have any size and reach outside the map.

>>> ramp = np.arange(8.0).reshape(1, 1, 8)
>>> pool(ramp, [[2, 0, 6, 1]], (1, 2))
array([[[[2.5, 4.5]]]])
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.grid import PIXELS, centres, whole_size
from kaname.shapes import Float, Float64, Real

SAMPLING_RATIO = 2
"""Fixed, not adaptive: where a box's side is a multiple of the grid's, rounding alone decides the adaptive number."""


@dataclass(frozen=True)
class Window:
    """A part of a map: its first row and column there, and the ``(rows, columns)`` of the whole map."""

    top: int
    left: int
    size: tuple[int, int]

    def cut(self, features: Real[np.ndarray, "channels _rows _columns"], rows: slice, columns: slice) -> Any:
        """Some rows and columns of the map from the ``features`` of the window.

        Raises:
            InputError: it does not hold them.
        """
        parts: list[slice] = []
        for first, held, wanted in zip((self.top, self.left), features.shape[1:], (rows, columns), strict=True):
            if wanted.start < first or wanted.stop > first + held:
                reason = (
                    f"a box reads cells {wanted.start}..{wanted.stop - 1} of its map, the window holds "
                    f"{first}..{first + held - 1}"
                )
                raise InputError(reason, remedy="keep windows with a larger margin, or move boxes less")
            parts.append(slice(wanted.start - first, wanted.stop - first))
        return features[:, parts[0], parts[1]]


def pool(
    features: Real[np.ndarray, "channels rows columns"],
    boxes: ArrayLike,
    size: tuple[int, int],
    *,
    sampling_ratio: int = SAMPLING_RATIO,
    window: Window | None = None,
) -> Float[np.ndarray, "boxes channels {size[0]} {size[1]}"]:
    """The map inside each box.

    Args:
        features: one map, or a window of it; half precision is added up in float32.
        boxes: ``(N, 4)`` in cells of the map. Given as float32 the places are computed in float32, as torch does.
        size: ``(height, width)`` of the grid.
        sampling_ratio: places in a cell of the grid along each axis; 0: as many as a cell has cells of the map,
            rounded up, so that a box without extent answers 0.
        window: which part of the map ``features`` are. Boxes stay in cells of the map, and the answer is that of the
            whole map to the last bit.

    Raises:
        InputError: a box that is not finite or ends before it begins, a negative ratio, a box that reads cells which
            the window does not hold.
    """
    height, width = whole_size(size, "the grid of a box")
    kind = np.float32 if np.asarray(boxes).dtype == np.float32 else np.float64
    corners = _corners(boxes)
    sums = np.promote_types(features.dtype, np.float32)
    pooled = np.empty((len(corners), len(features), height, width), sums)
    held = window or Window(0, 0, (features.shape[1], features.shape[2]))
    for number, (x1, y1, x2, y2) in enumerate(corners):
        down = axis_weights((kind(y1), kind(y2)), height, held.size[0], sampling_ratio).astype(sums)
        across = axis_weights((kind(x1), kind(x2)), width, held.size[1], sampling_ratio).astype(sums)
        # Only the cells that count are read: those of a file on disk, or of a corner of a large map.
        rows, columns = _used(down), _used(across)
        if rows is None or columns is None:  # it lies outside the map
            pooled[number] = 0
            continue
        cells = held.cut(features, rows, columns).astype(sums, order="C", copy=False)
        pooled[number] = down[:, rows] @ cells @ across[:, columns].T
    return pooled


def axis_weights(
    span: tuple[np.floating, np.floating], count: int, cells: int, sampling_ratio: int = SAMPLING_RATIO
) -> Float64[np.ndarray, "{count} {cells}"]:
    """What each of ``cells`` cells along an axis adds to each of ``count`` cells of a grid that covers ``span``.

    Args:
        span: where a box begins and ends, in cells; its precision is that of the places.
        sampling_ratio: see :func:`pool`.
    """
    if sampling_ratio < 0:
        raise InputError(f"sampling_ratio must not be negative, got {sampling_ratio}", remedy="0 adapts it to the box")
    kind = type(span[0])
    low, high = PIXELS.to_index([[float(end)] * 2 for end in span])[:, 0].astype(kind)
    step = (high - low) / kind(count)
    places = sampling_ratio or int(np.ceil(step))
    if places == 0:
        return np.zeros((count, cells))
    # In the order of torchvision's kernel, so that float32 rounds alike.
    inside = centres(places).astype(kind) * step / kind(places)
    index = low + np.arange(count).astype(kind)[:, None] * step + inside
    weights = np.clip(1 - np.abs(np.clip(index, 0, cells - 1)[..., None] - np.arange(cells)), 0, None)
    # More than one cell outside there is nothing, up to there the outermost cells go on.
    weights[(index < -1) | (index > cells)] = 0
    return weights.mean(axis=1, dtype=np.float64)


def cells_of(box: ArrayLike, size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a map of ``size`` that pooling from a box ``(4,)`` in its cells can read; at least one.

    ``features[:, rows, columns]`` is the window to keep; a margin for a box that will move is the caller's
    (`kaname.geometry.boxes.pad`).
    """
    x1, y1, x2, y2 = _corners(box)[0]
    low, high = np.floor(PIXELS.to_index([[x1, y1], [x2, y2]]))
    rows, columns = whole_size(size, "the map")
    sides: list[slice] = []
    for axis, count in ((1, rows), (0, columns)):
        first = min(max(int(low[axis]), 0), count - 1)
        sides.append(slice(first, min(max(int(high[axis]) + 2, first + 1), count)))
    return sides[0], sides[1]


def _used(weights: Float[np.ndarray, "count cells"]) -> slice | None:
    """The cells of an axis that add anything."""
    used = np.flatnonzero(weights.any(axis=0))
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else None


def _corners(boxes: ArrayLike) -> Float64[np.ndarray, "boxes 4"]:
    return box_arithmetic.check(box_arithmetic.box_rows(boxes))
