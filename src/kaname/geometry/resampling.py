"""The one filter: whatever shrinks or grows an image along its axes goes through ``resample``.

A separable triangle filter, antialiased, as in ``torch.nn.functional.interpolate(mode="bilinear", antialias=True,
align_corners=False)`` and Pillow's ``BILINEAR``. Training, prediction and export use the same formula.

Pillow itself is not used: it rounds to 8 bits between its two passes (one grey level off in 6 to 20 % of the values),
refuses boxes that reach beyond the image, takes floating point one channel at a time, and needs 1.3 to 4.5 times as
long for uint8 and 3 to 9 times for float32.
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kaname.errors import InputError
from kaname.geometry.grid import centres, whole_size
from kaname.shapes import Float32, Float64, Int64, Real


class Bands(NamedTuple):
    """The filter of one axis without its zeros: out *i* = sum over k of ``weights[i, k] * in[first[i] + k]``."""

    first: Int64[np.ndarray, "n_out"]
    weights: Float64[np.ndarray, "n_out taps"]  # all zero where out i lies outside the input


def resample_bands(n_in: int, n_out: int, scale: float, offset: float = 0.0) -> Bands:
    """The filter that ``resample_weights`` describes, as bands."""
    if n_in < 1 or n_out < 1:
        raise InputError(f"cannot resample {n_in} pixels to {n_out}", remedy="both must be at least 1")
    if not (math.isfinite(scale) and math.isfinite(offset)) or scale == 0:
        raise InputError(f"cannot resample with scale {scale} and offset {offset}", remedy="both finite, scale not 0")
    place = (centres(n_out) - offset) / scale
    radius = max(1 / abs(scale), 1.0)
    taps = min(n_in, math.ceil(2 * radius) + 1)
    first = np.clip(np.floor(place - radius), 0, n_in - taps).astype(np.int64)
    distance = (first[:, None] + centres(taps)) - place[:, None]
    weights = np.clip(1 - np.abs(distance) / radius, 0, None)
    weights[(place < 0) | (place > n_in)] = 0
    total = weights.sum(axis=1, keepdims=True)
    return Bands(first, np.divide(weights, total, out=weights, where=total > 0))


def resample_weights(
    n_in: int, n_out: int, scale: float | None = None, offset: float = 0.0
) -> Float64[np.ndarray, "{n_out} {n_in}"]:
    """The one filter, as a matrix ``(n_out, n_in)``: ``out = weights @ in``.

    The place ``x`` of the input lies at ``scale * x + offset`` in the output (continuous coordinates), so the centre of
    output pixel *i* looks at ``u = (centre - offset) / scale``. It takes the input pixels with triangle weights of half
    width ``max(1 / |scale|, 1)`` around u, normalized over the pixels that exist. Where u lies outside ``[0, n_in]``
    all weights are 0.

    Args:
        n_in, n_out: numbers of pixels, at least 1.
        scale: output pixels in an input pixel; negative mirrors; by default ``n_out / n_in``.
        offset: where the input's 0 lies in the output.
    """
    bands = resample_bands(n_in, n_out, n_out / n_in if scale is None else scale, offset)
    weights = np.zeros((n_out, n_in))
    columns = bands.first[:, None] + np.arange(bands.weights.shape[1], dtype=np.int64)
    np.put_along_axis(weights, columns, bands.weights, axis=1)
    return weights


# Multiplications below which OpenBLAS works in the thread that asks. Its other threads would wait for each of many
# small products, and take the processor from whatever decodes the next frame meanwhile.
ALONE = 1 << 18
STEP = 8  # columns of the input in a block: smaller ones multiply fewer zeros, larger ones make fewer products


class _Block(NamedTuple):
    """Out rows ``low:high`` = ``weights @ in rows first:last``."""

    low: int
    high: int
    first: int
    last: int
    weights: Float32[np.ndarray, "out_rows in_rows"]


@lru_cache(maxsize=64)
def _blocks(n_in: int, n_out: int, scale: float, offset: float) -> tuple[_Block, ...]:
    """The bands in small dense pieces, for matrix products that stay in the processor's cache; no rows outside."""
    first, exact = resample_bands(n_in, n_out, scale, offset)
    weights, taps = exact.astype(np.float32), exact.shape[1]
    live = np.flatnonzero(weights.any(axis=1))  # without gaps, because u moves steadily
    if len(live) == 0:
        return ()
    begin, end = int(live[0]), int(live[-1]) + 1
    step = min(64, max(4, round(STEP * abs(scale))))
    rows, columns = np.arange(step, dtype=np.int64)[:, None], np.arange(taps, dtype=np.int64)
    blocks: list[_Block] = []
    for low in range(begin, end, step):
        high = min(low + step, end)
        ends = int(first[low]), int(first[high - 1])
        start, stop = min(ends), max(ends) + taps
        dense = np.zeros((high - low, stop - start), np.float32)
        dense[rows[: high - low], first[low:high, None] - start + columns] = weights[low:high]
        blocks.append(_Block(low, high, start, stop, dense))
    return tuple(blocks)


def resample(
    array: Real[np.ndarray, "rows columns *channels"],
    size: tuple[int, int],
    scale_yx: tuple[float, float],
    offset_yx: tuple[float, float],
    *,
    exact: bool = False,
) -> Real[np.ndarray, "{size[0]} {size[1]} *channels"]:
    """The image under ``x -> scale * x + offset`` on each axis, antialiased, on a canvas of ``size``; black outside.

    Args:
        array: ``(h, w)`` or ``(h, w, channels)``, uint8 or floating point with finite values.
        size: ``(height, width)`` of the result.
        scale_yx, offset_yx: for the axes (down, across); a negative scale mirrors.
        exact: float32 for uint8 too, without rounding.

    Returns:
        uint8 (rounded) for uint8, else float32; channels as given.
    """
    height, width = whole_size(size, "the result")
    pixels = planes(array)
    if abs(scale_yx[0]) == abs(scale_yx[1]) == 1 and all(float(offset).is_integer() for offset in offset_yx):
        moved = _moved(pixels, (height, width), scale_yx, offset_yx).reshape((height, width, *array.shape[2:]))
        return moved.astype(np.float32, copy=False) if exact else moved
    channels = pixels.shape[2]
    axis = (pixels.shape[1], width, float(scale_yx[1]), float(offset_yx[1]))
    across = _blocks(*axis)
    down = _blocks(pixels.shape[0], height, float(scale_yx[0]), float(offset_yx[0]))
    result = np.zeros((height, width, channels), np.float32)
    if across and down:
        left, right = min(block.first for block in across), max(block.last for block in across)
        top, bottom = down[0].low, down[-1].high
        tall = _down(down, pixels[:, left:right].reshape(len(pixels), -1), top, bottom)
        tall = tall.reshape(bottom - top, right - left, channels)
        result[top:bottom, across[0].low : across[-1].high] = _across(axis, tall, left)
    result = result if array.ndim == 3 else result[:, :, 0]
    return np.rint(result, out=result).astype(np.uint8) if array.dtype == np.uint8 and not exact else result


def _moved(
    pixels: Real[np.ndarray, "rows columns channels"],
    size: tuple[int, int],
    scale_yx: tuple[float, float],
    offset_yx: tuple[float, float],
) -> Real[np.ndarray, "{size[0]} {size[1]} channels"]:
    """What ``resample`` gives where pixels only change places (scale 1 or -1, whole offsets), by slices."""
    result = np.zeros((*size, pixels.shape[2]), np.uint8 if pixels.dtype == np.uint8 else np.float32)
    to: list[slice] = []
    source = pixels
    for axis in (0, 1):
        n_in, n_out, offset = pixels.shape[axis], size[axis], int(offset_yx[axis])
        if scale_yx[axis] < 0:  # mirrored in place, it covers offset - n_in to offset
            source, offset = np.flip(source, axis), offset - n_in
        low, high = max(0, offset), min(n_out, n_in + offset)
        if low >= high:
            return result
        to.append(slice(low, high))
        source = source[(slice(None),) * axis + (slice(low - offset, high - offset),)]
    result[tuple(to)] = source
    return result


def _down(
    blocks: tuple[_Block, ...], lines: Real[np.ndarray, "rows values"], top: int, bottom: int
) -> Float32[np.ndarray, "{bottom-top} values"]:
    """Filter the rows; out rows ``top:bottom``."""
    result = np.empty((bottom - top, lines.shape[1]), np.float32)
    for low, high, first, last, weights in blocks:
        step = max(1, ALONE // weights.size)
        for at in range(0, lines.shape[1], step):
            part = lines[first:last, at : at + step].astype(np.float32)
            np.matmul(weights, part, out=result[low - top : high - top, at : at + step])
    return result


@lru_cache(maxsize=64)
def _spread(
    n_in: int, n_out: int, scale: float, offset: float, channels: int
) -> tuple[Float32[np.ndarray, "_in_values _out_values"], ...]:
    """The weights of ``_blocks``, turned and spread over interleaved channels."""
    eye = np.eye(channels, dtype=np.float32)
    spreads: list[np.ndarray] = []
    for block in _blocks(n_in, n_out, scale, offset):
        spreads.append(np.kron(np.transpose(block.weights), eye))
    return tuple(spreads)


def _across(
    axis: tuple[int, int, float, float], tall: Float32[np.ndarray, "rows columns channels"], left: int
) -> Float32[np.ndarray, "rows _out_columns channels"]:
    """Filter the columns, of which the first is column ``left`` of the input."""
    rows, _, channels = tall.shape
    blocks = _blocks(*axis)
    low, high = blocks[0].low, blocks[-1].high
    if channels > 4:
        turned = np.ascontiguousarray(np.moveaxis(tall, 0, 1)).reshape(tall.shape[1], -1)
        moved = tuple(block._replace(first=block.first - left, last=block.last - left) for block in blocks)
        return np.moveaxis(_down(moved, turned, low, high).reshape(high - low, rows, channels), 0, 1)
    # Few channels: one product with the weights spread over the interleaved channels spares turning the image.
    result = np.empty((rows, (high - low) * channels), np.float32)
    flat = tall.reshape(rows, -1)
    for block, spread in zip(blocks, _spread(*axis, channels), strict=True):
        part = flat[:, (block.first - left) * channels : (block.last - left) * channels]
        out = result[:, (block.low - low) * channels : (block.high - low) * channels]
        step = max(1, ALONE // spread.size)
        for at in range(0, rows, step):
            np.matmul(part[at : at + step], spread, out=out[at : at + step])
    return result.reshape(rows, high - low, channels)


def planes(
    array: Real[np.ndarray, "height width *channels"],
) -> Real[np.ndarray, "height width _channels"]:
    """The image as ``(h, w, channels)`` if it is one that can be resampled, else an ``InputError``."""
    if array.ndim not in {2, 3} or array.size == 0:
        raise InputError(f"an image has the shape (h, w) or (h, w, channels) and pixels, got {array.shape}")
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"cannot blend {array.dtype} values", remedy="use uint8 or floating point, or Affine.mask for labels"
        )
    return array if array.ndim == 3 else array[:, :, None]
