"""A small thing in a large picture: the frame, and below it the place enlarged, so that three pixels can be judged."""

from __future__ import annotations

import cv2
import numpy as np

from kaname.geometry.affine import Affine
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import resize
from kaname.reporting import draw
from kaname.types import FloatArray, Image, Size

WINDOW = 12  # width of an enlarged window, in tolerances
GAP, GREY = 4, 128
STRENGTH = 2.0  # of the marks in the windows


def closeup(image: Image, answer: FloatArray, true: FloatArray, tolerance: float, *, width: int = 480) -> Image:
    """The frame with boxes round the true place and the answer; below it two windows, each :data:`WINDOW` tolerances
    wide.

    Where the answer lies near the true place, and where one of the two is missing, the windows show one place without
    and with marks; otherwise the left one shows the true place and the right one the answer. The marks are those of
    ``draw.comparison``: a ring as wide as the tolerance round the true place, a small one at the answer.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        answer: ``(2,)`` the answer in pixels of ``image``; NaN for none.
        true: ``(2,)`` the true place; NaN for none.
        tolerance: pixels of ``image``, > 0.
        width: of the result in pixels.

    Returns:
        RGB uint8 ``(H, width, 3)``; without answer and true place the frame alone.
    """
    size: Size = (image.shape[0], image.shape[1])
    side = WINDOW * tolerance
    colours = _colours(answer, true, tolerance)
    frame = _frame(image, size, colours, side, width)
    if not colours:
        return frame
    centres = [xy for xy, _ in colours]
    near = len(centres) < 2 or float(np.abs(centres[0] - centres[1]).max()) < 0.4 * side
    half = (width - GAP) // 2
    places = [(centres[0], False), (centres[0], True)] if near else [(centres[0], True), (centres[1], True)]
    windows = [_window(image, xy, answer, true, tolerance, half, marked=marked) for xy, marked in places]
    sheet = np.full((frame.shape[0] + GAP + half, width, 3), GREY, np.uint8)
    sheet[: frame.shape[0]] = frame
    sheet[-half:, :half], sheet[-half:, -half:] = windows
    return sheet


def _colours(answer: FloatArray, true: FloatArray, tolerance: float) -> list[tuple[FloatArray, draw.Colour]]:
    """The places that are there, the true one first, with the colours of their boxes."""
    there, answered = bool(np.isfinite(true).all()), bool(np.isfinite(answer).all())
    right = there and answered and float(np.hypot(*(answer - true))) <= tolerance
    boxes: list[tuple[FloatArray, draw.Colour]] = []
    if there:
        boxes.append((true, draw.RIGHT if right else draw.MISSED))
    return boxes if right or not answered else [*boxes, (answer, draw.WRONG)]


def _frame(image: Image, size: Size, boxes: list[tuple[FloatArray, draw.Colour]], side: float, width: int) -> Image:
    target: Size = (max(1, round(size[0] * width / size[1])), width)
    into = Affine.resize(size, target)
    drawn = np.ascontiguousarray(resize(image, target))
    for centre, colour in boxes:
        corners = PIXELS.to_index(into.points(np.array([centre - side / 2, centre + side / 2])))
        low, high = (tuple(corner) for corner in np.rint(corners).astype(int).tolist())
        for ink, thickness in ((draw.INK, 4), (colour, 2)):
            cv2.rectangle(drawn, low, high, ink, thickness, cv2.LINE_AA)
    return drawn


def _window(
    image: Image, centre: FloatArray, answer: FloatArray, true: FloatArray, tolerance: float, side: int, *, marked: bool
) -> Image:
    """The surroundings of a place on ``side`` x ``side`` pixels."""
    reach = WINDOW * tolerance / 2
    box = (float(centre[0] - reach), float(centre[1] - reach), float(centre[0] + reach), float(centre[1] + reach))
    into = Affine.crop(box, (side, side))
    seen = into.image(image, (side, side))
    if not marked:
        return seen
    ours, real = into.points(answer[None]), into.points(true[None])
    return draw.comparison(seen, ours, real, tolerance * side / (2 * reach), legend=False, strength=STRENGTH)
