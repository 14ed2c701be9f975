"""Lettering of dials: numerals, units, maker's texts, logos; no system fonts are assumed.

The fonts are those that matplotlib carries (DejaVu, STIX, Computer Modern). Condensed and wide faces come from
stretching. Script that those fonts lack is imitated by glyphs of random strokes: nothing has to read it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from ..types import Image
from .camera import Array, Colour, pick

PLAIN_FONTS = ("DejaVuSans", "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif",
               "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralBol", "cmss10", "cmss10", "cmr10",
               "DejaVuSans-Oblique", "cmb10")  # fmt: skip
UNITS = ("bar", "psi", "MPa", "°C", "kPa", "kgf/cm²", "mbar", "kg/cm²", "lbf/in²", "°F", "Pa", "A", "V", "rpm",
         "l/min", "m³/h", "%", "x100", "inHg", "cmHg", "kV", "Hz", "mm", "kN")  # fmt: skip
WORDS = ("PRESSURE", "OXYGEN", "ACETYLENE", "WATER", "STEAM", "OIL", "AIR", "VACUUM", "FLOW", "LEVEL", "TEMP", "CO₂",
         "TEMPERATURE", "NH₃", "USE NO OIL", "MADE IN JAPAN", "CL 1.6", "KL 2.5", "STAINLESS", "EN 837-1", "316 SS",
         "INDUSTRIAL", "CLASS 1.0", "N₂", "REFRIGERANT", "GLYCERINE", "FUEL", "BOILER", "SAFETY",
         "FIRE SERVICE")  # fmt: skip
LETTERS = "ABCDEFGHIJKLMNOPRSTUVWXZ"


@lru_cache(maxsize=256)
def _font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), pixels)


def text_mask(text: str, font: str, pixels: float) -> NDArray[np.uint8]:
    """Coverage 0..255 of one line of text, cropped to its ink; capitals are about 0.73 x ``pixels`` high."""
    if font.startswith("cm") and not (text.isascii() and text.replace(".", "").replace(",", "").isalnum()):
        font = "STIXGeneral"  # Computer Modern has TeX's encoding: its other characters are not what they seem
    return _printed(text, font, max(5, round(pixels)))


@lru_cache(maxsize=4096)
def _printed(text: str, font: str, pixels: int) -> NDArray[np.uint8]:
    face = _font(font, pixels)
    left, top, right, bottom = face.getbbox(text)
    sheet = PillowImage.new("L", (max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)), 0)
    ImageDraw.Draw(sheet).text((1 - left, 1 - top), text, fill=255, font=face)
    mask = np.array(sheet)
    mask.flags.writeable = False  # the same for all who ask
    return mask


def glyph_mask(rng: Generator, count: int, pixels: float) -> NDArray[np.uint8]:
    """A line of ``count`` glyphs made of random strokes in a square, like a script that nobody here has to read."""
    side = 48
    sheet = np.zeros((side, side * count), np.uint8)
    for i in range(count):
        x0, pen = i * side + 4, int(rng.integers(2, 5))
        low, high = x0, x0 + side - 9
        for _ in range(int(rng.integers(2, 5))):  # level strokes
            y = int(rng.integers(5, side - 5))
            a, b = sorted(rng.integers(low, high, 2))
            cv2.line(sheet, (int(a), y), (int(max(b, a + 14)), y), 255, pen, cv2.LINE_AA)
        for _ in range(int(rng.integers(1, 4))):  # upright strokes
            x = int(rng.integers(low, high))
            a, b = sorted(rng.integers(4, side - 4, 2))
            cv2.line(sheet, (x, int(a)), (x, int(max(b, a + 12))), 255, pen, cv2.LINE_AA)
        for _ in range(int(rng.integers(0, 3))):  # falling strokes
            x, y = int(rng.integers(low + 6, high - 6)), int(rng.integers(6, 24))
            reach = int(rng.integers(8, 18)) * (1 if rng.random() < 1 / 2 else -1)
            cv2.line(sheet, (x, y), (x + reach, y + int(rng.integers(10, 20))), 255, pen, cv2.LINE_AA)
    scale = max(6.0, pixels) / side
    return cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def stamp(
    canvas: Image, mask: Image, centre: Array, colour: Colour, angle: float, squeeze: float, strength: float
) -> None:
    """Print a mask on the canvas, its middle at ``centre`` (pixel index), turned clockwise by ``angle`` radians.

    ``squeeze`` is the horizontal stretch before turning; ``strength`` the opacity. Parts outside are cut off.
    """
    height, width = mask.shape
    cos, sin = np.cos(angle), np.sin(angle)
    wide, high = width * squeeze, float(height)
    reach_x = int(abs(cos) * wide / 2 + abs(sin) * high / 2) + 2
    reach_y = int(abs(sin) * wide / 2 + abs(cos) * high / 2) + 2
    x0, y0 = max(0, int(centre[0]) - reach_x), max(0, int(centre[1]) - reach_y)
    x1, y1 = min(canvas.shape[1], int(centre[0]) + reach_x + 1), min(canvas.shape[0], int(centre[1]) + reach_y + 1)
    if x1 <= x0 or y1 <= y0:
        return
    linear = np.array([[cos * squeeze, -sin], [sin * squeeze, cos]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = np.array([centre[0] - x0, centre[1] - y0]) - linear @ middle
    matrix = np.column_stack([linear, offset])
    cover = cv2.warpAffine(mask, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    alpha = cover.astype(np.float32)[..., None] * np.float32(strength / 255)
    part = canvas[y0:y1, x0:x1]
    part[:] = (part + (np.array(colour, np.float32) - part) * alpha + np.float32(0.49)).astype(np.uint8)


def maker(rng: Generator) -> str:
    """A maker's name that does not exist."""
    name = "".join(rng.choice(list(LETTERS), int(rng.integers(2, 7))))
    return name if rng.random() < 1 / 2 else name.capitalize()


def serial(rng: Generator) -> str:
    """A serial number."""
    lead = pick(rng, ("No", "SN ", "NO. ", "", "JQ", "MC ", "CMC ", "S/N:"))
    return lead + "".join(str(d) for d in rng.integers(0, 10, int(rng.integers(4, 11))))
