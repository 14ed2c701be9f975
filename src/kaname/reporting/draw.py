"""Pictures: points and heatmaps over photographs, and the comparison sheets of a validation run.

Everything is drawn with OpenCV on plain arrays (a sheet is drawn for every validated image, so it has to cost
milliseconds, where a matplotlib figure costs half a second); text goes through Pillow, so that names in any script are
safe. Images are RGB uint8 ``(height, width, 3)`` and points are ``(x, y)`` in continuous coordinates of that image;
points that are NaN or lie outside the picture are left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kaname.errors import InputError
from kaname.geometry.image import resize, write_image
from kaname.metrics.points import matched
from kaname.reporting.marks import INK, LABELS, PAPER, SHIFT, Colour, RGBImage, count, crosses, rings, steps_of

__all__ = [
    "INK",
    "PAPER",
    "SHIFT",
    "Colour",
    "comparison",
    "heatmap_grid",
    "heatmap_overlay",
    "key_point_grid",
    "points_overlay",
    "with_legend",
]


HIDDEN = 1 / 3  # of a picture that a legend may cover
# Distinct for most colour-blind readers too, and bright enough to stand on a photograph.
PALETTE: tuple[Colour, ...] = (
    (0, 214, 143),
    (255, 196, 0),
    (255, 84, 112),
    (64, 169, 255),
    (199, 125, 255),
    (255, 140, 61),
    (0, 224, 230),
    (181, 224, 46),
)
RIGHT, MISSED, WRONG = PALETTE[:3]
RED: Colour = (230, 0, 0)
PANEL = (280, 640)  # the longest side of a panel in a sheet, in pixels, lies between these
# Fonts for scripts that DejaVu lacks, by file name: Pillow looks for them in the system's own folders.
WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSansJP-Regular.otf", "ipaexg.ttf", "YuGothM.ttc", "msgothic.ttc")


def points_overlay(
    image: RGBImage,
    points: Mapping[str, NDArray[Any]],
    colours: Mapping[str, Colour] | None = None,
    *,
    legend: bool = True,
) -> RGBImage:
    """Draws each named set of points as rings on a copy of ``image``; what lies in a ring stays visible.

    No ring hides another at the same place: sets with fewer points (start and end among all notches) have wider ones,
    and those of labels are the widest.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        points: for each name ``(N, 2)`` points in pixels of ``image``; the order of the names gives the colours. Names
            that begin like `LABELS` are labels.
        colours: RGB by name; names without one take the next of ``PALETTE``.
        legend: names and counts in the first corner where they hide no mark.

    Returns:
        A new RGB uint8 array ``(h, w, 3)``. The marks' size follows the size of the image.
    """
    drawn = _copy(image)
    chosen = _colours(list(points), colours)
    radius = _radius(drawn)
    thin = max(2, round(radius / 4))
    for name, steps in steps_of(points).items():
        wide = max(0.8 * radius, thin + 2.5) + steps * max(0.5 * radius, thin + 2)  # so that none covers the next
        rings(drawn, points[name], chosen[name], wide, thin, ground=image)
    if legend and points:
        rows = [(f"{name}  {count(xy)}", chosen[name]) for name, xy in points.items()]
        drawn = with_legend(drawn, rows, image)
    return drawn


def comparison(
    image: RGBImage,
    predicted: NDArray[Any],
    truth: NDArray[Any],
    tolerance: float,
    *,
    legend: bool = True,
    strength: float = 1.0,
) -> RGBImage:
    """Draws true points as rings as wide as the tolerance, and predicted ones as small rings in them; where the
    tolerance is too narrow for that, as rings round them.

    Points are paired one to one within the tolerance; a pair is green, a true point without a partner (missed) amber,
    a predicted one (wrong) red.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        predicted: ``(P, 2)`` in pixels of ``image``.
        truth: ``(T, 2)``.
        tolerance: pixels of ``image``, > 0.
        legend: counts in the first corner where they hide no mark.
        strength: how thick the lines are, as a factor.

    Returns:
        A new RGB uint8 array ``(h, w, 3)``.
    """
    drawn = _copy(image)
    ours, real = (np.asarray(points, np.float64).reshape(-1, 2) for points in (predicted, truth))
    ours, real = ours[np.isfinite(ours).all(axis=1)], real[np.isfinite(real).all(axis=1)]
    pairs = matched(ours, real, tolerance)[3]
    lone = np.setdiff1d(np.arange(len(ours)), pairs[:, 0])
    missed = np.setdiff1d(np.arange(len(real)), pairs[:, 1])
    thin = max(2, round(strength * max(drawn.shape[:2]) / 300))
    wide = max(3.0, tolerance)
    small = (
        wide / 2 if wide >= 4 * thin + 2 else wide + 2 * thin
    )  # of a narrow ring nothing would be seen in the middle
    rings(drawn, real[pairs[:, 1]], RIGHT, wide, thin, ground=image)
    rings(drawn, real[missed], MISSED, wide, thin, ground=image)
    rings(drawn, ours[pairs[:, 0]], RIGHT, small, thin, ground=image)
    rings(drawn, ours[lone], WRONG, small, thin, ground=image)
    if not legend:
        return drawn
    rows = [(f"found  {len(pairs)}", RIGHT), (f"missed  {len(missed)}", MISSED), (f"wrong  {len(lone)}", WRONG)]
    return with_legend(drawn, rows, image)


def heatmap_overlay(
    image: RGBImage,
    heatmaps: NDArray[Any],
    names: Sequence[str],
    colours: Mapping[str, Colour] | None = None,
    *,
    legend: bool = True,
) -> RGBImage:
    """Lays heatmaps over a photograph, one colour per channel, stronger where the value is higher.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        heatmaps: ``(C, h', w')`` in 0..1, of any size with the same borders as ``image``; NaN counts as 0.
        names: C names.
        colours: RGB by name; names without one take the next of ``PALETTE``.
        legend: names in the top left corner.

    Returns:
        A new RGB uint8 array ``(h, w, 3)``.

    Raises:
        InputError: if the number of names is not the number of channels.
    """
    maps = _channels(heatmaps, names)
    base = _copy(image)
    chosen = _colours(names, colours)
    drawn = base.astype(np.float32) * 0.75  # a little darker, so that the colours read on a white dial as well
    for name, heatmap in zip(names, maps, strict=True):
        weight = np.clip(_fit(np.nan_to_num(heatmap, nan=0.0), base.shape[:2]), 0, 1)[..., None]
        drawn += weight * (np.asarray(chosen[name], np.float32) - drawn)
    result = np.rint(drawn).astype(np.uint8)
    return with_legend(result, [(name, chosen[name]) for name in names]) if legend and names else result


def heatmap_grid(
    predicted: NDArray[Any], truth: NDArray[Any], names: Sequence[str], path: str | PathLike[str]
) -> RGBImage:
    """Writes predicted heatmaps above the true ones, a column per channel, viridis from 0 to 1 with colour bars.

    Args:
        predicted: ``(C, h, w)`` in 0..1; cells that are not finite are drawn in grey.
        truth: the same shape.
        names: C names, as the titles show them ("Predicted Heatmap Start").
        path: the picture to write; its folder must exist.

    Returns:
        The sheet that was written, RGB uint8.

    Raises:
        InputError: if names and channels differ in number.
    """
    rows = [
        [
            (f"{kind} Heatmap {_title(name)}", _viridis(_panel(heatmap)))
            for name, heatmap in zip(names, _channels(heatmaps, names), strict=True)
        ]
        for kind, heatmaps in (("Predicted", predicted), ("True", truth))
    ]
    return _sheet(rows, path, bars=True)


def key_point_grid(
    image: RGBImage,
    predicted: Mapping[str, NDArray[Any]],
    truth: Mapping[str, NDArray[Any]],
    names: Sequence[str],
    path: str | PathLike[str],
) -> RGBImage:
    """Writes the image with predicted key points above the same with the true ones, a column per name, red crosses.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        predicted: for each name ``(N, 2)`` in pixels of ``image``; a name that is missing has no points.
        truth: the same.
        names: the columns, as the titles show them ("True Key Points Start").
        path: the picture to write; its folder must exist.

    Returns:
        The sheet that was written, RGB uint8.
    """
    picture = _panel(_copy(image))
    # Both sizes are whole pixels, so each axis has its own true scale.
    scale = np.array([picture.shape[1] / image.shape[1], picture.shape[0] / image.shape[0]])
    rows: list[list[tuple[str, RGBImage]]] = [[], []]
    for row, kind, points in zip(rows, ("Predicted", "True"), (predicted, truth), strict=True):
        for name in names:
            panel = picture.copy()
            xy = np.asarray(points.get(name, np.zeros((0, 2))), np.float64).reshape(-1, 2)
            crosses(panel, xy * scale, RED, _radius(picture))
            row.append((f"{kind} Key Points {_title(name)}  ({count(xy)})", panel))
    return _sheet(rows, path, bars=False)


def _copy(image: NDArray[Any]) -> RGBImage:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"a picture must be RGB uint8 (height, width, 3), got {image.dtype} {image.shape}")
    return np.array(image, order="C")  # OpenCV draws into contiguous memory only


def _channels(heatmaps: NDArray[Any], names: Sequence[str]) -> NDArray[np.float32]:
    maps = np.asarray(heatmaps, np.float32)
    if maps.ndim != 3 or len(maps) != len(names):
        raise InputError(f"{len(names)} names ({', '.join(names)}) for heatmaps of shape {maps.shape}")
    return maps


def _colours(names: Sequence[str], given: Mapping[str, Colour] | None) -> dict[str, Colour]:
    """By name; a name has the same colour with and without labels beside it, and the labels then have a paler one."""
    labels = [name for name in names if name.startswith(LABELS)]
    others = [name for name in names if not name.startswith(LABELS)]
    chosen = {name: PALETTE[i % len(PALETTE)] for own in (others, labels) for i, name in enumerate(own)}
    if others:
        chosen |= {name: _pale(chosen[name]) for name in labels}
    return {name: (given or {}).get(name, chosen[name]) for name in names}


def _pale(colour: Colour) -> Colour:
    red, green, blue = (round(value + 0.6 * (255 - value)) for value in colour)
    return red, green, blue


def _radius(image: RGBImage) -> float:
    """Half the length of a cross in pixels: 7 on a picture of 448 pixels."""
    return float(max(4.0, 7 * max(image.shape[:2]) / 448))


def _fit(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    return array if array.shape[:2] == size else resize(array, size)


def _panel(array: NDArray[Any]) -> NDArray[Any]:
    """``array`` at a size that reads well in a sheet; most are left as they are."""
    height, width = array.shape[:2]
    longest = max(height, width)
    wanted = min(max(longest, PANEL[0]), PANEL[1])
    if wanted == longest:
        return array
    return resize(array, (max(1, round(height * wanted / longest)), max(1, round(width * wanted / longest))))


def _viridis(heatmap: NDArray[Any]) -> RGBImage:
    finite = np.isfinite(heatmap)
    levels = np.rint(np.clip(np.where(finite, heatmap, 0), 0, 1) * 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    picture[~finite] = (128, 128, 128)
    return np.asarray(picture, np.uint8)


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _sheet(rows: Sequence[Sequence[tuple[str, RGBImage]]], path: str | PathLike[str], *, bars: bool) -> RGBImage:
    """Writes titled panels of one size on white, in rows; ``bars`` adds a colour bar from 0 to 1 beside each."""
    if not rows or not rows[0]:
        raise InputError("a sheet needs at least one name")
    height, width = rows[0][0][1].shape[:2]
    text = max(13, round(max(height, width) / 28))
    gap, head, bar = text, 2 * text, round(3.4 * text) if bars else 0
    step_y, step_x = height + head + gap, width + bar + gap
    sheet = np.full((len(rows) * step_y + gap // 2, len(rows[0]) * step_x + gap, 3), 255, np.uint8)
    labels: list[tuple[tuple[float, float], str, str, int]] = []
    for i, row in enumerate(rows):
        for j, (title, panel) in enumerate(row):
            top, left = i * step_y + head, j * step_x + gap
            sheet[top : top + height, left : left + width] = _fit(panel, (height, width))
            labels.append(((left + width / 2, top - head / 2 + text / 8), title, "mm", text))
            if bars:
                labels += _bar(sheet, (top, left + width + text // 2), (height, round(0.7 * text)), text)
    sheet = _write(sheet, labels, INK, width + bar)
    write_image(path, sheet)
    return sheet


def _bar(
    sheet: RGBImage, corner: tuple[int, int], size: tuple[int, int], text: int
) -> list[tuple[tuple[float, float], str, str, int]]:
    """Draws the viridis scale, 1 above 0, and returns its labels."""
    (top, left), (height, width) = corner, size
    levels = np.linspace(1, 0, height)[:, None].repeat(width, axis=1)
    sheet[top : top + height, left : left + width] = _viridis(levels)
    small = max(10, round(0.75 * text))
    labels = []
    for value in (0.0, 0.5, 1.0):
        y = min(max(top + (1 - value) * height, top + small / 2), top + height - small / 2)
        labels.append(((left + width + text / 4, y), f"{value:g}", "lm", small))
    return labels


def with_legend(image: RGBImage, rows: Sequence[tuple[str, Colour]], ground: RGBImage | None = None) -> RGBImage:
    """A dark box with a coloured square and a text for each row, in the top left corner; not where it would hide what
    is drawn, as in a very small picture. With the ``ground`` that was drawn on it goes to the corner where it hides
    least."""
    height, width = image.shape[:2]
    text = max(11, round(max(height, width) / 32))
    line, pad = round(1.35 * text), text // 2
    rows = rows[: max(1, (height - 2 * pad) // line)]
    widest = max(_font(text, row).getlength(row) for row, _ in rows)
    box_height = min(height, len(rows) * line + pad)
    box_width = min(width, round(widest) + round(1.5 * text) + 2 * pad)
    if box_height * box_width > HIDDEN * height * width:
        return image
    down, right = slice(height - box_height, height), slice(width - box_width, width)
    corners = [(y, x) for y in (slice(0, box_height), down) for x in (slice(0, box_width), right)]
    place = corners[0] if ground is None else min(corners, key=lambda at: np.count_nonzero(image[at] != ground[at]))
    box = np.array(image[place] * 0.25, np.uint8, order="C")
    labels = []
    for i, (row, colour) in enumerate(rows):
        middle = pad // 2 + i * line + line // 2
        half = round(0.35 * text)
        cv2.rectangle(box, (pad, middle - half), (pad + 2 * half, middle + half), colour, cv2.FILLED)
        labels.append(((pad + 1.3 * text, float(middle)), row, "lm", text))
    image[place] = _write(box, labels, PAPER, width)
    return image


def _write(
    image: RGBImage, labels: Sequence[tuple[tuple[float, float], str, str, int]], colour: Colour, limit: float
) -> RGBImage:
    """Writes ``(place, text, Pillow's anchor, height in pixels)``; centred texts are cut at ``limit`` pixels."""
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    for place, label, anchor, size in labels:
        text = label.replace("\n", " ")
        font = _font(size, text)
        room = limit if anchor == "mm" else image.shape[1] - place[0]
        while len(text) > 1 and font.getlength(text) > room:
            text = text[:-2] + "…"
        pen.text(place, text, fill=colour, font=font, anchor=anchor)
    return np.array(canvas)


def _font(size: int, text: str) -> ImageFont.FreeTypeFont:
    # From U+2E80 on come the scripts of East Asia; below, DejaVu has nearly everything.
    return _load_font(size, wide=any(ord(letter) >= 0x2E80 for letter in text))


@lru_cache(maxsize=32)
def _load_font(size: int, *, wide: bool) -> ImageFont.FreeTypeFont:
    # The other engine, raqm, fails on some texts and is not in every build of Pillow.
    basic = ImageFont.Layout.BASIC
    for name in WIDE_FONTS if wide else ():
        try:
            return ImageFont.truetype(name, size, layout_engine=basic)
        except OSError:
            continue  # not on this machine: the next one, and at last DejaVu with its empty boxes
    # matplotlib carries DejaVu; its folder is looked up without the import, which costs a second.
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    font = folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(font), size, layout_engine=basic)
