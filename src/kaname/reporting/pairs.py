"""Labelled and predicted points on one picture: which belong together, how far apart they are, what was missed and what
is false."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from kaname.geometry.grid import PIXELS
from kaname.reporting.draw import with_legend
from kaname.reporting.marks import INK, Colour, rings
from kaname.types import FloatArray, Image

TRUE: Colour = (0, 214, 90)
PREDICTED: Colour = (240, 30, 30)
BETWEEN: Colour = (250, 220, 40)
MISSED: Colour = (255, 140, 61)
FALSE: Colour = (199, 125, 255)
SHIFT = 4  # OpenCV draws at fractions of a pixel, in units of 2 ** -SHIFT


def pairs_overlay(
    image: Image, true: FloatArray, predicted: FloatArray, *, missed: FloatArray, false: FloatArray, hidden: FloatArray
) -> Image:
    """Draws points on a copy of an image, with a legend that counts them: wide rings are labels, small ones answers.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        true, predicted: ``(N, 2)`` pixels of the image; a line joins each pair, with its length in pixels beside it.
        missed: ``(M, 2)`` true points without a predicted one: rings in a colour of their own.
        false: ``(K, 2)`` predicted points without a true one: crosses.
        hidden: ``(H, 2)`` true points that are hidden: a thin ring round the other, also those of pairs.
    """
    drawn = np.array(image, order="C")
    side = max(drawn.shape[:2])
    radius, thick = max(3, round(side / 220)), max(2, round(side / 600))
    for start, end in zip(true, predicted, strict=True):
        _line(drawn, start, end, thick)
    rings(drawn, true, TRUE, 2.4 * radius, thick, ground=image)
    rings(drawn, predicted, PREDICTED, 1.4 * radius, thick, ground=image)
    rings(drawn, hidden, TRUE, 3.2 * radius, 1, ground=image)
    rings(drawn, missed, MISSED, 2.4 * radius, thick + 1, ground=image)
    for xy in false:
        _cross(drawn, xy, FALSE, 2 * radius, thick + 1)
    for start, end in zip(true, predicted, strict=True):
        _distance(drawn, start, end, side)
    counts: Sequence[tuple[str, int, Colour]] = (
        ("labelled", len(true) + len(missed), TRUE),
        ("predicted", len(predicted) + len(false), PREDICTED),
        ("hidden", len(hidden), TRUE),
        ("missed", len(missed), MISSED),
        ("false", len(false), FALSE),
    )
    return with_legend(drawn, [(f"{name}  {count}", colour) for name, count, colour in counts], image)


def _places(xy: FloatArray) -> tuple[int, int]:
    x, y = np.rint(PIXELS.to_index(xy) * (1 << SHIFT)).astype(int).tolist()
    return x, y


def _line(image: Image, start: FloatArray, end: FloatArray, thick: int) -> None:
    for ink, width in ((INK, thick + 2), (BETWEEN, thick)):
        cv2.line(image, _places(start), _places(end), ink, width, cv2.LINE_AA, SHIFT)


def _cross(image: Image, xy: FloatArray, colour: Colour, radius: int, thick: int) -> None:
    for ink, width in ((INK, thick + 2), (colour, thick)):
        for slope in (1, -1):
            ends = [_places(xy + np.array([way * radius, way * slope * radius])) for way in (-1, 1)]
            cv2.line(image, *ends, ink, width, cv2.LINE_AA, SHIFT)


def _distance(image: Image, start: FloatArray, end: FloatArray, side: int) -> None:
    """The length of a line beside its middle."""
    scale = max(0.35, side / 2400)
    middle = np.rint(PIXELS.to_index((start + end) / 2)).astype(int) + round(8 * scale)
    text = f"{np.linalg.norm(end - start):.1f}"
    for ink, width in ((INK, max(2, round(4 * scale))), ((255, 255, 255), max(1, round(1.5 * scale)))):
        cv2.putText(image, text, tuple(middle.tolist()), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, width, cv2.LINE_AA)
