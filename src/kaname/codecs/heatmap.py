"""Points to Gaussian heatmaps and back, without a shift at any stride, size or origin.

A heatmap is ``(height, width)`` cells, a stack of them ``(K, height, width)``. A ``Grid`` says where a cell lies in
the image; a number or ``(x, y)`` as ``stride`` means a grid of centred cells. Points are ``(x, y)`` in
continuous coordinates of the network's input image.

Adding a new way of decoding
    1. Write ``_name(maps, peaks)`` below: maps ``(K, h, w)``, peaks ``(K, 2)`` as (row, column) of the highest cells;
       it returns the offsets ``(K, 2)`` from those cells' centres, in cells, as (x, y).
    2. Give it its name in ``METHODS`` and in the choices of recipes that offer it (``config.py``, ``verbs.py``), and
       its test three lines in ``tests/codecs/test_heatmap.py``: a class that inherits ``Heatmaps`` and names it.
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.geometry.grid import Grid, whole_size
from kaname.shapes import Bool, Float32, Float64, Int64, Shaped

Stride: TypeAlias = "float | tuple[float, float] | Grid"

NOTHING = 1e-18  # a factor of a Gaussian below this is 0: products of two stay out of float32's slow denormal range
REACH = 6  # cells around the peak that soft-argmax reads; its window has a sigma of a quarter of that
BLUR_SIGMA, BLUR_REACH = 2.0, 5  # DARK's smoothing: the 11-cell kernel of the paper
ROUNDS = 4  # of soft-argmax
FIT_REACH = 2  # cells around a peak at the border that its Gaussian is fitted to
EPSILON = 1e-10
FARTHEST = 1.0  # cells from the peak beyond which a refinement is noise


def encode(
    points: ArrayLike, visible: ArrayLike, size: tuple[int, int], stride: Stride, sigma: float
) -> Float32[np.ndarray, "points {size[0]} {size[1]}"]:
    """One Gaussian per point: ``exp(-d^2 / (2 sigma^2))`` with d in cells, 1 at the point itself (sub-pixel).

    Args:
        points: ``(N, 2)``; may lie outside, then the map holds the Gaussian's tail; NaN where ``visible`` is 0.
        visible: ``(N,)``; 0 gives a map of zeros.
        size: ``(height, width)`` of a map in cells.
        stride: input pixels in a cell, a number or ``(x, y)``, or the ``Grid``.
        sigma: in cells, greater than 0.

    Returns:
        float32 ``(N, height, width)`` in 0..1.

    Raises:
        InputError: shapes that do not fit, a sigma or stride that is not positive, a visible point that is not finite.
    """
    array = _points(points)
    seen = np.asarray(visible)
    if seen.shape != (len(array),):
        raise InputError(f"visible must have the shape ({len(array)},) as there are points, got {seen.shape}")
    seen = seen > 0
    lost = seen & ~np.isfinite(array).all(axis=1)
    if lost.any():
        number = int(np.flatnonzero(lost)[0])
        raise InputError(f"point {number} is visible but at {array[number].tolist()}", remedy="set its visible to 0")
    down, across = _profiles(np.where(seen[:, None], array, 0), size, stride, sigma)
    down[~seen] = 0
    return down[:, :, None] * across[:, None, :]


def encode_sets(
    points: Sequence[ArrayLike], size: tuple[int, int], stride: Stride, sigma: float
) -> Float32[np.ndarray, "channels {size[0]} {size[1]}"]:
    """One map per set of points; overlaps take the maximum.

    Args:
        points: for each channel ``(N_i, 2)``, N_i may be 0; all finite.
        size, stride, sigma: as in ``encode``.

    Returns:
        float32 ``(C, height, width)`` in 0..1.
    """
    height, width = whole_size(size, "a heatmap")
    maps = np.zeros((len(points), height, width), np.float32)
    for channel, chosen in enumerate(points):
        array = _points(chosen)
        if not np.isfinite(array).all():
            raise InputError(f"channel {channel} has a point that is not finite", remedy="leave missing points out")
        down, across = _profiles(array, size, stride, sigma)
        for column, row in zip(down, across, strict=True):
            np.maximum(maps[channel], column[:, None] * row[None, :], out=maps[channel])
    return maps


def decode(
    heatmaps: Shaped[np.ndarray, "points height width"], stride: Stride, method: str = "argmax"
) -> tuple[Float64[np.ndarray, "points 2"], Float64[np.ndarray, "points"]]:
    """The position of each map's peak.

    Args:
        heatmaps: ``(K, height, width)``, one point each.
        stride: input pixels in a cell, a number or ``(x, y)``, or the ``Grid``.
        method: ``"argmax"``: the centre of the highest cell, in a plateau of the middle one. ``"soft-argmax"``: the
            centre of mass around it.
            ``"dark"``: the peak of the Gaussian through it (Zhang et al., Distribution-Aware Coordinate Representation
            for Human Pose Estimation, CVPR 2020). The last two are free of bias between cells.

    Returns:
        Points ``(K, 2)`` in input pixels and scores ``(K,)``, the highest values. A map without a value above 0, or
        with one that is not finite, has no point: NaN, score 0.

    Raises:
        InputError: another shape, no cells, an unknown method.
    """
    grid = Grid.of(stride)
    refine = METHODS.get(method)
    if refine is None:
        raise InputError(f"unknown decoding method {method!r}", remedy=f"one of: {', '.join(METHODS)}")
    maps = np.asarray(heatmaps)
    if maps.ndim != 3 or 0 in maps.shape[1:] or maps.dtype.kind not in "fiub":
        raise InputError(f"heatmaps must be numbers of shape (K, height, width), got {maps.dtype} {maps.shape}")
    number, height, width = maps.shape
    flat = maps.reshape(number, height * width)
    highest, lowest = flat.max(axis=1).astype(np.float64), flat.min(axis=1).astype(np.float64)
    peaked = np.isfinite(highest) & np.isfinite(lowest) & (highest > 0)
    peaks = np.stack(np.divmod(flat.argmax(axis=1), width), axis=1).astype(np.int64)
    several = peaked & ((flat == flat.max(axis=1, keepdims=True)).sum(axis=1) > 1)
    for row in np.flatnonzero(several).tolist():
        peaks[row] = _middle(maps[row] == maps[row].max(), peaks[row])
    index = peaks[:, ::-1].astype(np.float64)
    if peaked.any():
        index[peaked] += refine(maps[peaked], peaks[peaked])
    points = grid.from_index(index)
    points[~peaked] = np.nan
    return points, np.where(peaked, highest, 0.0)


def _middle(highest: Bool[np.ndarray, "height width"], first: Int64[np.ndarray, "2"]) -> Int64[np.ndarray, "2"]:
    """Of the cells that are as high as the first one and touch each other, the one nearest to their middle."""
    import cv2  # takes a while, and plateaus are rare

    regions = cv2.connectedComponents(highest.astype(np.uint8))[1]
    cells = np.argwhere(regions == regions[first[0], first[1]])
    return cells[((cells - cells.mean(axis=0)) ** 2).sum(axis=1).argmin()].astype(np.int64)


def _points(points: ArrayLike) -> Float64[np.ndarray, "points 2"]:
    array = np.asarray(points, np.float64)
    if array.size == 0 and array.ndim <= 2:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"points must have the shape (N, 2), got {array.shape}")
    return array


def _profiles(
    points: Float64[np.ndarray, "points 2"], size: tuple[int, int], stride: Stride, sigma: float
) -> tuple[Float32[np.ndarray, "points {size[0]}"], Float32[np.ndarray, "points {size[1]}"]]:
    """The Gaussians' two factors, down and across."""
    height, width = whole_size(size, "a heatmap")
    if not 0 < sigma < math.inf:
        raise InputError(f"sigma must be finite and greater than 0 cells, got {sigma}")
    index = Grid.of(stride).to_index(points)
    factors: list[np.ndarray] = []
    for axis, count in ((1, height), (0, width)):
        # Beyond 60 sigma nothing is left; the limit keeps the square of a far point finite.
        distance = np.clip((np.arange(count) - index[:, axis, None]) / sigma, -60, 60)
        factor = np.exp(-(distance**2) / 2)
        factors.append(np.where(factor < NOTHING, 0, factor).astype(np.float32))
    return factors[0], factors[1]


def _windows(
    maps: Shaped[np.ndarray, "points height width"], peaks: Int64[np.ndarray, "points 2"], reach: int
) -> Float64[np.ndarray, "points {2*reach+1} {2*reach+1}"]:
    """The values within ``reach`` cells of each peak; 0 for negative ones and outside the map."""
    number, height, width = maps.shape
    around = np.arange(-reach, reach + 1)
    rows, columns = peaks[:, 0, None] + around, peaks[:, 1, None] + around
    values = maps[
        np.arange(number)[:, None, None], rows.clip(0, height - 1)[:, :, None], columns.clip(0, width - 1)[:, None, :]
    ].astype(np.float64)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    return np.where(inside, values.clip(0, None), 0)


def _argmax(
    maps: Shaped[np.ndarray, "points height width"], peaks: Int64[np.ndarray, "points 2"]
) -> Float64[np.ndarray, "points 2"]:
    return np.zeros(peaks.shape)


def _soft_argmax(
    maps: Shaped[np.ndarray, "points height width"], peaks: Int64[np.ndarray, "points 2"]
) -> Float64[np.ndarray, "points 2"]:
    """The centre of mass under a Gaussian window around the peak, corrected for the window's pull.

    A window of sigma t at p sees of a Gaussian of sigma s at c a blob with mean m = p + (c - p) t^2 / (s^2 + t^2) and
    variance v = s^2 t^2 / (s^2 + t^2), so c = p + (m - p) / (1 - v / t^2). Where the blob is not a Gaussian, a few
    rounds still end with the window centred on it.
    """
    values = _windows(maps, peaks, REACH)
    values /= values.max(axis=(1, 2), keepdims=True)
    around = np.arange(-REACH, REACH + 1, dtype=np.float64)
    variance = (REACH / 4) ** 2
    offset = np.zeros(peaks.shape)
    for _ in range(ROUNDS):
        window = np.exp(-((around - offset[:, :, None]) ** 2) / (2 * variance))
        sides = (
            np.einsum("kij,kj,ki->kj", values, window[:, 0], window[:, 1]),
            np.einsum("kij,kj,ki->ki", values, window[:, 0], window[:, 1]),
        )
        for axis, mass in enumerate(sides):
            total = mass.sum(axis=1)
            mean = mass @ around / total
            spread = (mass * (around - mean[:, None]) ** 2).sum(axis=1) / total
            pull = np.clip(1 - spread / variance, 0.05, 1)
            offset[:, axis] += (mean - offset[:, axis]) / pull
        offset = offset.clip(-FARTHEST, FARTHEST)
    return _refit_at_borders(offset, maps, peaks, REACH)


def _dark(
    maps: Shaped[np.ndarray, "points height width"], peaks: Int64[np.ndarray, "points 2"]
) -> Float64[np.ndarray, "points 2"]:
    """One Newton step on the logarithm of the smoothed map: exact for a Gaussian, whose logarithm is a parabola."""
    values = _windows(maps, peaks, BLUR_REACH + 2)
    around = np.arange(-BLUR_REACH, BLUR_REACH + 1)
    kernel = np.exp(-(around**2) / (2 * BLUR_SIGMA**2))
    # (5, window): the blurred values at the peak and two cells to either side.
    blur = np.stack([np.pad(kernel, (shift, 4 - shift)) for shift in range(5)])
    smooth = np.einsum("ai,kij,bj->kab", blur, values, blur)
    logs = np.log(np.maximum(smooth / smooth.max(axis=(1, 2), keepdims=True), EPSILON))
    dx, dy = (logs[:, 2, 3] - logs[:, 2, 1]) / 2, (logs[:, 3, 2] - logs[:, 1, 2]) / 2
    dxx = (logs[:, 2, 4] - 2 * logs[:, 2, 2] + logs[:, 2, 0]) / 4
    dyy = (logs[:, 4, 2] - 2 * logs[:, 2, 2] + logs[:, 0, 2]) / 4
    dxy = (logs[:, 3, 3] - logs[:, 3, 1] - logs[:, 1, 3] + logs[:, 1, 1]) / 4
    det = dxx * dyy - dxy**2
    peaked = (dxx < 0) & (det > 0)
    safe = np.where(peaked, det, 1)
    step = np.stack([-(dyy * dx - dxy * dy) / safe, -(dxx * dy - dxy * dx) / safe], axis=1)
    offset = np.where(peaked[:, None], step, 0).clip(-FARTHEST, FARTHEST)
    return _refit_at_borders(offset, maps, peaks, BLUR_REACH + 2)


def _refit_at_borders(
    offset: Float64[np.ndarray, "points 2"],
    maps: Shaped[np.ndarray, "points height width"],
    peaks: Int64[np.ndarray, "points 2"],
    reach: int,
) -> Float64[np.ndarray, "points 2"]:
    """Replace the offsets of peaks whose window of ``reach`` cells is cut off by the border, which would pull them.

    There a round Gaussian is fitted to the cells that exist: least squares on the logarithm, weighted by the squared
    value (Guo, A Simple Algorithm for Fitting a Gaussian Function, 2011), so that noise in the tails does not count.
    """
    last = np.array(maps.shape[1:]) - 1
    cut = (np.minimum(peaks, last - peaks) < reach).any(axis=1)
    if not cut.any():
        return offset
    values = _windows(maps[cut], peaks[cut], FIT_REACH)
    values = (values / values.max(axis=(1, 2), keepdims=True)).reshape(len(values), -1)
    y, x = (grid.ravel() for grid in np.mgrid[-FIT_REACH : FIT_REACH + 1, -FIT_REACH : FIT_REACH + 1])
    terms = np.stack([np.ones(x.size), x, y, x**2 + y**2], axis=1)
    weighted = values[:, :, None] ** 2 * terms
    right = np.einsum("knt,kn->kt", weighted, np.log(np.maximum(values, EPSILON)))
    # Where too few cells have a value the ridge wins: no curvature, so no offset.
    normal = np.einsum("knt,nu->ktu", weighted, terms) + 1e-12 * np.eye(4)
    parabola = cast("np.ndarray", np.linalg.solve(normal, right[:, :, None]))[:, :, 0]
    peaked = parabola[:, 3] < 0
    fitted = -parabola[:, 1:3] / np.where(peaked, 2 * parabola[:, 3], 1)[:, None]
    refitted = np.array(offset)
    refitted[cut] = np.where(peaked[:, None], fitted, 0).clip(-FARTHEST, FARTHEST)
    return refitted


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "argmax": _argmax,
    "soft-argmax": _soft_argmax,
    "dark": _dark,
}
