"""Images as arrays: the one reader, the one writer, the one way to change a size.

An image is RGB uint8 ``(height, width, 3)``. ``resize`` uses the filter of ``geometry.resampling``.
"""

# NumPy's stubs leave an overload of reshape, clip and swapaxes untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import os
import struct
import sys
import threading
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from kaname.errors import InputError
from kaname.files import whole_file
from kaname.geometry.grid import whole_size
from kaname.geometry.resampling import planes, resample
from kaname.shapes import Real, UInt, UInt8

if TYPE_CHECKING:  # Pillow takes 10 ms to import, and videos do without
    from PIL import Image

PathLike: TypeAlias = "str | os.PathLike[str]"

# Read by Pillow without loading all of its plugins, and then the others that photographs come in. Formats that run
# foreign programs (EPS) or hold no photographs are left out.
COMMON_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM")
OTHER_FORMATS = ("WEBP", "TIFF", "AVIF", "JPEG2000", "MPO", "TGA")
ORIENTATION = 0x0112  # the EXIF tag
QUARTER_TURNS = (5, 6, 7, 8)
MEGAPIXELS = 120.0  # the largest cameras of phones; a network's view of more takes gigabytes
STRIP = 1 << 22  # pixels that are converted at once
LIMIT = "KANAME_MAX_MEGAPIXELS"  # names another limit
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LONGEST_SIDES = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
SIZES = 1 << 17  # of how many files the size is kept
PNG = b"\x89PNG\r\n\x1a\n"
LATE = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")  # parts of a PNG that may hold its orientation
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
# The bits of the fraction alone, to be combined with those of RGB; OpenCV's names for colour include BGR's.
REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}

_sizes: dict[tuple[int, ...], tuple[int, int]] = {}  # of files as they were when they were asked for
_header_lock = threading.Lock()
_guard_lock = threading.Lock()
_guards: list[int | None] = []  # Pillow's own while it is switched off, and one more for each that wants it so


def read_image(
    path: PathLike,
    *,
    max_megapixels: float | None = None,
    at_least: tuple[int, int] | None = None,
    expected: tuple[int, int] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Read an image file.

    The EXIF orientation is applied. Grey, palette, CMYK and 16-bit images become 8-bit RGB (65535 becomes 255);
    transparency is dropped; of several frames the first is taken.

    Args:
        path: the file; any name.
        max_megapixels: a larger image is refused before any pixel is decoded; by default ``$KANAME_MAX_MEGAPIXELS``,
            else :data:`MEGAPIXELS`.
        at_least: ``(height, width)`` that suffices: a JPEG whose shown size is at least two, four or eight times that,
            and divides by it, may be decoded at that fraction of its size, which is faster and averages its pixels.
        expected: ``(height, width)`` that the whole image must have, also where it is decoded at a fraction.

    Returns:
        RGB uint8 ``(height, width, 3)``, contiguous, the caller's own.

    Raises:
        InputError: missing, a folder, empty, not an image, damaged or truncated, too large, 32-bit values, or of
            another size than expected.
    """
    with _opened(Path(path)) as file:
        return _decode(file, Path(path), max_megapixels, at_least, expected)


def image_size(path: PathLike, *, max_megapixels: float | None = None) -> tuple[int, int]:
    """``(height, width)`` of what :func:`read_image` would return (EXIF orientation applied), from the header alone.

    Raises:
        InputError: what :func:`read_image` raises, as far as the header shows it.
    """
    try:
        facts = os.stat(path)
        asked = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError):
        asked = None  # reading says what is wrong
    size = None if asked is None else _sizes.get(asked)
    if size is None:
        with _opened(Path(path)) as file:
            size = _shown(_open(file, Path(path), max_megapixels))
        if asked is not None and len(_sizes) < SIZES:
            _sizes[asked] = size
    refuse_large(size, path, max_megapixels)
    return size


def as_array(image: Any) -> Any:
    """A picture that Pillow holds as :func:`read_image` would give it (upright, 8-bit RGB); anything else as it is.

    Raises:
        InputError: damaged, or values that are not 8 or 16 bits.
    """
    pillow = sys.modules.get("PIL.Image")  # imported by whoever has such a picture
    if pillow is None or not isinstance(image, pillow.Image):
        return image
    path = Path(str(getattr(image, "filename", "") or "the picture"))
    try:
        image.load()
    except OSError as error:
        raise InputError(f"the image is damaged or truncated ({error})", path=path) from error
    return _upright(_rgb(image, path), image)


def exif_orientation(path: PathLike) -> int:
    """The EXIF orientation of an image file, 1..8; 1 where it has none.

    Raises:
        InputError: as :func:`image_size`.
    """
    with _opened(Path(path)) as file:
        return _orientation(_open(file, Path(path), None))


def refuse_large(size: tuple[int, int], path: PathLike, max_megapixels: float | None = None) -> None:
    """Refuse a picture of more pixels than ``max_megapixels``, as :func:`read_image` does; ``size`` is ``(height,
    width)``.

    Raises:
        InputError: it is larger, or ``$KANAME_MAX_MEGAPIXELS`` is no number.
    """
    if max_megapixels is None:
        named = os.environ.get(LIMIT, "").strip() or str(MEGAPIXELS)
        try:
            max_megapixels = float(named)
        except ValueError as error:
            raise InputError(f"{LIMIT} is {named!r}", remedy="give a number of megapixels, such as 200") from error
    height, width = size
    if not width * height <= max_megapixels * 1e6:
        reason = f"{width} x {height} = {width * height / 1e6:.0f} megapixels, more than {max_megapixels:g}"
        raise InputError(f"the image has {reason}", path=path, remedy=f"scale it down first, or set {LIMIT}")


@contextlib.contextmanager
def _opened(path: Path) -> Generator[Any]:
    """The file, open for reading; any failure becomes an ``InputError``."""
    try:
        if path.is_dir():
            raise InputError("a folder, not an image", path=path, remedy="name one image file")
        if path.stat().st_size == 0:
            raise InputError("the file is empty (0 bytes)", path=path, remedy="copy or download it again")
        with path.open("rb") as file:
            yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError("no such file", path=path, remedy="check the path") from error
    except PermissionError as error:
        raise InputError("the file cannot be read (permission denied)", path=path) from error
    except MemoryError as error:
        raise InputError("the image does not fit into memory", path=path, remedy="scale it down first") from error
    except Exception as error:  # damaged files make image libraries raise almost anything
        reason = f"the image is damaged or truncated ({' '.join(str(error).split()) or type(error).__name__})"
        raise InputError(reason, path=path, remedy="copy or download it again") from error


def _decode(
    file: Any,
    path: Path,
    max_megapixels: float | None,
    at_least: tuple[int, int] | None = None,
    expected: tuple[int, int] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    image = _open(file, path, max_megapixels)
    width, height = image.size
    if expected is not None and (shown := _shown(image)) != tuple(expected):
        reason = f"the image has {shown[1]} x {shown[0]} pixels, not {expected[1]} x {expected[0]} like the others"
        raise InputError(reason, path=path, remedy="save it again at that size")
    part = _part(image, at_least)
    if image.format in {"JPEG", "MPO"} and image.mode in {"RGB", "L"}:
        file.seek(0)
        data = np.frombuffer(file.read(), np.uint8)
        # OpenCV decodes the same values in 60 % of Pillow's time, but fills truncated files up silently. Inside the
        # compressed data these two bytes cannot follow each other, so a whole file is one that ends in them.
        if data[-64:].tobytes().rstrip(b"\0\r\n").endswith(JPEG_END):
            flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | REDUCED[part]
            decoded = cv2.imdecode(data, flags)
            if decoded is not None and decoded.shape == (height // part, width // part, 3):
                return _upright(np.asarray(decoded, np.uint8), image)
        file.seek(0)
        image = _open(file, path, max_megapixels)
    with _unguarded():  # TIFF asks it once more
        image.load()
        return _upright(_rgb(image, path), image)


def _shown(image: Image.Image) -> tuple[int, int]:
    """``(height, width)`` with the EXIF orientation applied; Pillow's reader of TIFF has done that already."""
    width, height = image.size
    turned = image.format != "TIFF" and _orientation(image) in QUARTER_TURNS
    return (width, height) if turned else (height, width)


def _part(image: Image.Image, at_least: tuple[int, int] | None) -> int:
    """By how much an image may be shrunk while it is read: 1, 2, 4 or 8."""
    if at_least is None:
        return 1
    width, height = image.size
    rows, columns = at_least[::-1] if _orientation(image) in QUARTER_TURNS else at_least
    for part in (8, 4, 2):
        if height % part == width % part == 0 and height // part >= rows and width // part >= columns:
            return part
    return 1


def _open(file: Any, path: Path, max_megapixels: float | None) -> Image.Image:
    """The image with its header read and nothing decoded."""
    from PIL import Image

    try:
        with _quiet():
            image = _identified(file)
    except Image.UnidentifiedImageError as error:
        raise InputError("not an image that can be read", path=path, remedy="convert it to JPEG or PNG") from error
    refuse_large((image.height, image.width), path, max_megapixels)
    return image


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Switch off Pillow's own guard, and its warnings of damaged EXIF blocks, with which the picture is still whole."""
    with _header_lock, _unguarded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _unguarded() -> Generator[None]:
    """Switch off Pillow's own guard, a global that warns at 89 and fails at 179 megapixels (ours is `refuse_large`),
    as long as any thread is in here."""
    from PIL import Image

    with _guard_lock:
        if not _guards:
            _guards.append(Image.MAX_IMAGE_PIXELS)
            Image.MAX_IMAGE_PIXELS = None
        _guards.append(None)
    try:
        yield
    finally:
        with _guard_lock:
            _guards.pop()
            if len(_guards) == 1:
                Image.MAX_IMAGE_PIXELS = _guards.pop()


def _identified(file: Any) -> Image.Image:
    from PIL import Image

    start = file.read(len(JPEG_START))
    file.seek(0)
    if start == JPEG_START:  # most photographs: `Image.open` would import four other readers first
        from PIL.JpegImagePlugin import jpeg_factory

        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):  # as it catches them
            return jpeg_factory(file, "")
        file.seek(0)
    try:
        return Image.open(file, formats=COMMON_FORMATS)
    except Image.UnidentifiedImageError:
        Image.init()
        file.seek(0)
        return Image.open(file, formats=[name for name in OTHER_FORMATS if name in Image.OPEN])


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8."""
    from PIL import Image

    try:
        with _quiet():
            # Pillow decodes a whole PNG to find what stands behind its pixels, whether anything does or not.
            early = image.format == "PNG" and not _says_more_behind(image)
            exif = Image.Image.getexif(image) if early else image.getexif()
            return int(exif.get(ORIENTATION, 1))
    except Exception:  # as if there were no EXIF block
        return 1


def _says_more_behind(image: Image.Image) -> bool:
    """Whether a PNG, of which the header was read, has parts behind its pixels that may hold an EXIF block."""
    file: Any = getattr(image, "fp", None)
    if file is None or not file.seekable():
        return True
    place, size = file.tell(), file.seek(0, os.SEEK_END)
    try:
        start, pixels = len(PNG), False
        while start + 8 <= size:
            file.seek(start)
            head = file.read(8)
            pixels = pixels or head[4:] == b"IDAT"
            if pixels and head[4:] in LATE:
                return True
            start += int.from_bytes(head[:4], "big") + 12
        return False
    finally:
        file.seek(place)


def _rgb(image: Image.Image, path: Path) -> UInt8[np.ndarray, "height width 3"]:
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        wide = image.mode == "I" and image.format == "TIFF"  # of others this is the mode of 16 bits
        if wide or values.min() < 0 or values.max() > 65535:
            raise InputError("the image has 32-bit values", path=path, remedy="convert it to 8 or 16 bits")
        grey = ((values + 128) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise InputError("the image has floating-point values", path=path, remedy="convert it to 8 or 16 bits")
    # Strip by strip: Pillow would hand over a whole picture in a copy of a copy.
    width, height = image.size
    array = np.empty((height, width, 3), np.uint8)
    rows = max(1, STRIP // max(1, width))
    for top in range(0, height, rows):
        array[top : top + rows] = np.asarray(image.crop((0, top, width, min(height, top + rows))).convert("RGB"))
    return array


def _upright(array: UInt8[np.ndarray, "rows columns 3"], image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Apply the EXIF orientation (1..8) to what was decoded as stored."""
    orientation = _orientation(image)
    if orientation in QUARTER_TURNS:
        array = np.moveaxis(array, 0, 1)
    if orientation in {3, 4, 7, 8}:
        array = array[::-1]
    if orientation in {2, 3, 6, 7}:
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def write_image(path: PathLike, rgb: UInt8[np.ndarray, "height width 3"] | UInt[np.ndarray, "height width"]) -> None:
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
        raise InputError(f"no image format for the ending {suffix!r}", path=path, remedy=f"use {', '.join(SUFFIXES)}")
    grey = rgb.ndim == 2
    deep = rgb.dtype == np.uint16 and grey and suffix in {".png", ".tif", ".tiff"}
    if not (grey or (rgb.ndim == 3 and rgb.shape[2] == 3)) or not (rgb.dtype == np.uint8 or deep) or rgb.size == 0:
        remedy = "give uint8 of shape (height, width, 3)"
        raise InputError(f"cannot write {rgb.dtype} of shape {rgb.shape}", path=path, remedy=remedy)
    ordered = rgb if grey else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in {".jpg", ".jpeg"} else []
    limit = LONGEST_SIDES.get(suffix, 1 << 30)
    if max(rgb.shape[:2]) > limit:
        reason = f"an image of {rgb.shape[1]} x {rgb.shape[0]} is larger than {suffix} allows"
        raise InputError(reason, path=path, remedy=f"at most {limit} a side, or use .png")
    done, data = cv2.imencode(suffix, np.ascontiguousarray(ordered), options)
    if not done:
        raise InputError(f"the image cannot be written as {suffix}", path=path, remedy="use .png")
    with whole_file(path, "wb") as file:
        file.write(data.tobytes())


def resize(
    array: Real[np.ndarray, "rows columns *channels"], size: tuple[int, int]
) -> Real[np.ndarray, "{size[0]} {size[1]} *channels"]:
    """The whole image at ``(height, width)``, antialiased bilinear; uint8 stays uint8, float becomes float32."""
    height, width = whole_size(size, "the result")
    rows, columns = planes(array).shape[:2]
    return resample(array, (height, width), (height / rows, width / columns), (0.0, 0.0))
