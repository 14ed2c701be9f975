"""What writing a rendered data set of any kind needs: values within their ranges, pictures as files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from ..errors import InputError
from ..files import whole_file
from ..types import Image

VARIETIES = ("full", "plain")
SIDE = (64, 4096)  # pixels of a picture


def check_ranges(values: Mapping[str, tuple[float, float, float]]) -> None:
    """Refuse the first value outside its range; ``values`` are (given, least, greatest) by name."""
    for name, (value, low, high) in values.items():
        if not low <= value <= high:
            limits = f"at least {low}" if high == math.inf else f"in {low}..{high}"
            remedy = f"nearest legal value: {min(max(value, low), high)}"
            raise InputError(f"{name} must be {limits}, got {value}", remedy=remedy)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of the choices."""
    if value not in choices:
        raise InputError(f"unknown {name} {value!r}", remedy=f"one of {', '.join(choices)}")


def save_jpeg(path: Path, image: Image, quality: int) -> None:
    """Write RGB ``(height, width, 3)``; not by ``imwrite``, which cannot name every path."""
    code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    with whole_file(path, "wb") as file:
        file.write(code.tobytes())
