"""Images as arrays: the one reader, the one writer, the one way to change a size.

An image is RGB uint8 ``(height, width, 3)``. Whatever shrinks or grows an image along its axes goes through
``resample``: one separable triangle filter, antialiased, as in ``torch.nn.functional.interpolate(mode="bilinear",
antialias=True, align_corners=False)`` and Pillow's ``BILINEAR``. Training, prediction and export use the same formula.
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import math
import os
import threading
import uuid
import warnings
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kaname.errors import InputError
from kaname.geometry.grid import centres, whole_size

FloatArray: TypeAlias = NDArray[np.float64]
ImageArray: TypeAlias = NDArray[np.uint8]
AnyArray: TypeAlias = NDArray[Any]
PathLike: TypeAlias = "str | os.PathLike[str]"

# Read by Pillow without loading all of its plugins, and then the others that photographs come in. Formats that run
# foreign programs (EPS) or hold no photographs are left out.
COMMON_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM")
OTHER_FORMATS = ("WEBP", "TIFF", "AVIF", "JPEG2000", "MPO", "TGA")
ORIENTATION = 0x0112  # the EXIF tag
QUARTER_TURNS = (5, 6, 7, 8)
MEGAPIXELS = 200.0
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LONGEST_SIDES = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
JPEG_END = b"\xff\xd9"
# The bits of the part alone, to be joined with those of RGB; OpenCV's names for colour hold those of BGR.
REDUCED = {
    1: 0, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}  # fmt: skip

_header_lock = threading.Lock()


def read_image(
    path: PathLike, *, max_megapixels: float = MEGAPIXELS, at_least: tuple[int, int] | None = None
) -> ImageArray:
    """Read an image file.

    The EXIF orientation is applied. Grey, palette, CMYK and 16-bit images become 8-bit RGB (65535 becomes 255);
    transparency is dropped; of several frames the first is taken.

    Args:
        path: the file; any name.
        max_megapixels: refused above, before any pixel is decoded.
        at_least: ``(height, width)`` that are enough: a JPEG file that is at least two, four or eight times as large
            (as it is shown), and whose sides divide by that, may be decoded to that part of its size, which is faster
            and the mean over its pixels.

    Returns:
        RGB uint8 ``(height, width, 3)``, contiguous, the caller's own.

    Raises:
        InputError: missing, a folder, empty, no image, damaged or truncated, too large, or 32-bit values.
    """
    with _opened(Path(path)) as file:
        return _decode(file, Path(path), max_megapixels, at_least)


def image_size(path: PathLike, *, max_megapixels: float = MEGAPIXELS) -> tuple[int, int]:
    """``(height, width)`` of what :func:`read_image` would return (EXIF orientation applied), from the header alone.

    Raises:
        InputError: what :func:`read_image` raises, as far as the header shows it.
    """
    with _opened(Path(path)) as file:
        image = _open(file, Path(path), max_megapixels)
        width, height = image.size
        return (width, height) if _orientation(image) in QUARTER_TURNS else (height, width)


@contextlib.contextmanager
def _opened(path: Path) -> Generator[Any]:
    """The file, open for reading; whatever goes wrong with it is an ``InputError``."""
    try:
        if path.is_dir():
            raise InputError("this is a folder, not an image", path=path, remedy="name one image file")
        if path.stat().st_size == 0:
            raise InputError("the file is empty (0 bytes)", path=path, remedy="copy or download it again")
        with path.open("rb") as file:
            yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError("there is no such file", path=path, remedy="check the path") from error
    except PermissionError as error:
        raise InputError("the file may not be read (permission denied)", path=path) from error
    except Exception as error:  # damaged files make the decoders raise almost anything
        reason = f"the image is damaged or truncated ({' '.join(str(error).split()) or type(error).__name__})"
        raise InputError(reason, path=path, remedy="copy or download it again") from error


def _decode(file: Any, path: Path, max_megapixels: float, at_least: tuple[int, int] | None = None) -> ImageArray:
    image = _open(file, path, max_megapixels)
    width, height = image.size
    part = _part(image, at_least)
    if image.format in {"JPEG", "MPO"} and image.mode in {"RGB", "L"}:
        file.seek(0)
        data = np.frombuffer(file.read(), np.uint8)
        # OpenCV decodes the same values in 60 % of Pillow's time, but fills up truncated files without a word; inside
        # the compressed data these two bytes cannot follow each other, so a whole file is one that ends in them.
        if data[-64:].tobytes().rstrip(b"\0\r\n").endswith(JPEG_END):
            flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | REDUCED[part]
            decoded = cv2.imdecode(data, flags)
            if decoded is not None and decoded.shape == (height // part, width // part, 3):
                return _upright(np.asarray(decoded, np.uint8), image)
        file.seek(0)
        image = _open(file, path, max_megapixels)
    image.load()
    return _upright(_rgb(image, path), image)


def _part(image: Image.Image, at_least: tuple[int, int] | None) -> int:
    """By how much a decoder may shrink an image: 1, 2, 4 or 8."""
    if at_least is None:
        return 1
    width, height = image.size
    rows, columns = at_least[::-1] if _orientation(image) in QUARTER_TURNS else at_least
    fits = (
        part for part in (8, 4, 2)
        if height % part == width % part == 0 and height // part >= rows and width // part >= columns
    )  # fmt: skip
    return next(fits, 1)


def _open(file: Any, path: Path, max_megapixels: float) -> Image.Image:
    """The image with its header read and nothing decoded."""
    try:
        with _quiet():
            image = _identified(file)
    except Image.UnidentifiedImageError as error:
        reason = "this is not an image that can be read"
        raise InputError(reason, path=path, remedy="convert it to JPEG or PNG") from error
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        reason = f"{width} x {height} = {width * height / 1e6:.0f} megapixels, more than {max_megapixels:g}"
        raise InputError(f"the image has {reason}", path=path, remedy="scale it down first")
    return image


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Pillow's own guard is a global that warns at 89 and fails at 179 megapixels; ours stands in ``_open``. It also
    warns of damaged EXIF blocks, beside which the picture is whole."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = theirs


def _identified(file: Any) -> Image.Image:
    try:
        return Image.open(file, formats=COMMON_FORMATS)
    except Image.UnidentifiedImageError:
        Image.init()
        file.seek(0)
        return Image.open(file, formats=[name for name in OTHER_FORMATS if name in Image.OPEN])


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8."""
    try:
        with _quiet():
            return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # an EXIF block that cannot be read says nothing
        return 1


def _rgb(image: Image.Image, path: Path) -> ImageArray:
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InputError("the image has 32-bit values", path=path, remedy="convert it to 8 or 16 bits")
        grey = ((values + 128) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise InputError("the image has floating-point values", path=path, remedy="convert it to 8 or 16 bits")
    return np.array(image.convert("RGB"))


def _upright(array: ImageArray, image: Image.Image) -> ImageArray:
    """Apply the EXIF orientation (1..8) to what was decoded as stored."""
    orientation = _orientation(image)
    if orientation in QUARTER_TURNS:
        array = np.moveaxis(array, 0, 1)
    if orientation in {3, 4, 7, 8}:
        array = array[::-1]
    if orientation in {2, 3, 6, 7}:
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def write_image(path: PathLike, rgb: AnyArray) -> None:
    """Write an image; the file appears at its name whole or not at all.

    Args:
        path: the file; its ending chooses the format: .png, .jpg, .jpeg (quality 95), .webp, .bmp, .tif, .tiff.
        rgb: uint8 ``(height, width, 3)`` or grey ``(height, width)``; PNG and TIFF also take grey uint16.

    Raises:
        InputError: another ending, shape or type, or the folder is missing or not writable.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"no image format has the ending {suffix!r}", path=path, remedy=f"use {', '.join(SUFFIXES)}")
    grey = rgb.ndim == 2
    deep = rgb.dtype == np.uint16 and grey and suffix in {".png", ".tif", ".tiff"}
    if not (grey or (rgb.ndim == 3 and rgb.shape[2] == 3)) or not (rgb.dtype == np.uint8 or deep) or rgb.size == 0:
        raise InputError(f"cannot write {rgb.dtype} of shape {rgb.shape}; uint8 (height, width, 3) is meant", path=path)
    ordered = rgb if grey else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in {".jpg", ".jpeg"} else []
    limit = LONGEST_SIDES.get(suffix, 1 << 30)
    if max(rgb.shape[:2]) > limit:
        reason = f"an image of {rgb.shape[1]} x {rgb.shape[0]} is larger than {suffix} holds"
        raise InputError(reason, path=path, remedy=f"at most {limit} a side, or use .png")
    done, data = cv2.imencode(suffix, np.ascontiguousarray(ordered), options)
    if not done:
        raise InputError(f"the image cannot be written as {suffix}", path=path, remedy="use .png")
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data.tobytes())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"the image cannot be written ({error.strerror})", path=path) from error
    finally:
        part.unlink(missing_ok=True)


class Bands(NamedTuple):
    """The filter of one axis without its zeros: out *i* = sum over k of ``weights[i, k] * in[first[i] + k]``."""

    first: NDArray[np.int64]  # (n_out,)
    weights: FloatArray  # (n_out, taps); all zero where out i lies outside the input


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


def resample_weights(n_in: int, n_out: int, scale: float | None = None, offset: float = 0.0) -> FloatArray:
    """The one filter, as a matrix ``(n_out, n_in)``: ``out = weights @ in``.

    The place ``x`` of the input lies at ``scale * x + offset`` in the output (continuous coordinates), so the centre of
    output pixel *i* looks at ``u = (centre - offset) / scale``. It takes the input pixels with triangle weights of half
    width ``max(1 / |scale|, 1)`` around u, normalised over the pixels that exist. Where u lies outside ``[0, n_in]``
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


class _Block(NamedTuple):
    """Out rows ``low:high`` = ``weights @ in rows first:last``."""

    low: int
    high: int
    first: int
    last: int
    weights: NDArray[np.float32]


@lru_cache(maxsize=64)
def _blocks(n_in: int, n_out: int, scale: float, offset: float) -> tuple[_Block, ...]:
    """The bands in small dense pieces, for matrix products that stay in the processor's cache; no rows outside."""
    first, exact = resample_bands(n_in, n_out, scale, offset)
    weights, taps = exact.astype(np.float32), exact.shape[1]
    live = np.flatnonzero(weights.any(axis=1))  # without gaps, because u moves steadily
    if len(live) == 0:
        return ()
    begin, end = int(live[0]), int(live[-1]) + 1
    step = min(64, max(4, round(32 * abs(scale))))
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
    array: AnyArray, size: tuple[int, int], scale_yx: tuple[float, float], offset_yx: tuple[float, float]
) -> AnyArray:
    """The image under ``x -> scale * x + offset`` on each axis, antialiased, on a canvas of ``size``; black outside.

    Args:
        array: ``(h, w)`` or ``(h, w, channels)``, uint8 or floating point with finite values.
        size: ``(height, width)`` of the result.
        scale_yx, offset_yx: for the axes (down, across); a negative scale mirrors.

    Returns:
        uint8 (rounded) for uint8, else float32; channels as given.
    """
    height, width = whole_size(size, "the result")
    pixels = planes(array)
    if abs(scale_yx[0]) == abs(scale_yx[1]) == 1 and all(float(offset).is_integer() for offset in offset_yx):
        return _moved(pixels, (height, width), scale_yx, offset_yx).reshape((height, width, *array.shape[2:]))
    channels = pixels.shape[2]
    across = _blocks(pixels.shape[1], width, float(scale_yx[1]), float(offset_yx[1]))
    down = _blocks(pixels.shape[0], height, float(scale_yx[0]), float(offset_yx[0]))
    result = np.zeros((height, width, channels), np.float32)
    if across and down:
        left, right = min(block.first for block in across), max(block.last for block in across)
        top, bottom = down[0].low, down[-1].high
        tall = _down(down, pixels[:, left:right].reshape(len(pixels), -1), top, bottom)
        tall = tall.reshape(bottom - top, right - left, channels)
        result[top:bottom, across[0].low : across[-1].high] = _across(across, tall, left)
    result = result if array.ndim == 3 else result[:, :, 0]
    return np.rint(result, out=result).astype(np.uint8) if array.dtype == np.uint8 else result


def _moved(
    pixels: AnyArray, size: tuple[int, int], scale_yx: tuple[float, float], offset_yx: tuple[float, float]
) -> AnyArray:
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


def _down(blocks: tuple[_Block, ...], lines: AnyArray, top: int, bottom: int) -> NDArray[np.float32]:
    """Filter the rows of ``(rows, values)``; out rows ``top:bottom``."""
    result = np.empty((bottom - top, lines.shape[1]), np.float32)
    for low, high, first, last, weights in blocks:
        np.matmul(weights, lines[first:last].astype(np.float32), out=result[low - top : high - top])
    return result


def _across(blocks: tuple[_Block, ...], tall: NDArray[np.float32], left: int) -> NDArray[np.float32]:
    """Filter the columns of ``(rows, columns, channels)``, of which the first is column ``left`` of the input."""
    rows, _, channels = tall.shape
    low, high = blocks[0].low, blocks[-1].high
    if channels > 4:
        turned = np.ascontiguousarray(np.moveaxis(tall, 0, 1)).reshape(tall.shape[1], -1)
        moved = tuple(block._replace(first=block.first - left, last=block.last - left) for block in blocks)
        return np.moveaxis(_down(moved, turned, low, high).reshape(high - low, rows, channels), 0, 1)
    # Few channels: one product with the weights spread over the interleaved channels spares turning the image.
    result = np.empty((rows, (high - low) * channels), np.float32)
    flat = tall.reshape(rows, -1)
    eye = np.eye(channels, dtype=np.float32)
    for block in blocks:
        spread: NDArray[np.float32] = np.kron(np.transpose(block.weights), eye)
        part = flat[:, (block.first - left) * channels : (block.last - left) * channels]
        result[:, (block.low - low) * channels : (block.high - low) * channels] = part @ spread
    return result.reshape(rows, high - low, channels)


def planes(array: AnyArray) -> AnyArray:
    """The image as ``(h, w, channels)`` if it is one that can be resampled, else an ``InputError``."""
    if array.ndim not in {2, 3} or array.size == 0:
        raise InputError(f"an image has the shape (h, w) or (h, w, channels) and pixels, got {array.shape}")
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"cannot blend {array.dtype} values", remedy="use uint8 or floating point, or Affine.mask for labels"
        )
    return array if array.ndim == 3 else array[:, :, None]


def resize(array: AnyArray, size: tuple[int, int]) -> AnyArray:
    """The whole image at ``(height, width)``, antialiased bilinear; uint8 stays uint8, float becomes float32."""
    height, width = whole_size(size, "the result")
    rows, columns = planes(array).shape[:2]
    return resample(array, (height, width), (height / rows, width / columns), (0.0, 0.0))
