"""Curves and bars as SVG text that a page can hold: no file, no script, readable on light and on dark paper.

Own code, because the page holds no address of any kind and a report is to be there at once: matplotlib's SVG backend
takes 0.2 s per chart and a second for its import (here: 0.6 ms), five times the bytes, colours that do not follow the
reader's light or dark setting, and metadata, ``url(...)`` and identifiers that would have to be taken out again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from kaname.data.log import read_rows
from kaname.errors import InputError
from kaname.metrics.calibration import Bin

# Readable on white and on near-black; axes and text take the colour of the page's text.
COLOURS = ("#2a9d8f", "#e76f51", "#4f7cff", "#c531b0", "#ad8200", "#6c757d")
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 44, 42
ROW = 16  # of the legend

Place = tuple[float, float]


def curves(
    log: str | PathLike[str] | Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    x: str = "epoch",
    title: str = "",
    logarithmic: bool = False,
    dots: Collection[str] = (),
    broken: bool = False,
    size: tuple[int, int] = (300, 560),
) -> str:
    """Draws columns of a log against one of its columns.

    Args:
        log: a run's ``log.csv``, or rows; values may be numbers or their text. Cells that are empty, missing or not
            finite are left out, so that columns written at different times go together.
        columns: what to draw, one line each; a column without any value is named in the legend as "no values".
        x: the column of the horizontal axis.
        title: written above, and the picture's name for screen readers.
        logarithmic: powers of ten on the vertical axis; values of 0 and below are left out.
        dots: columns that are drawn as dots instead of a line.
        broken: lines end before a row without a value and begin again after it.
        size: ``(height, width)`` in CSS pixels; the picture scales with the page.

    Returns:
        One ``<svg>`` element without addresses of any kind.

    Raises:
        InputError: if ``log`` is a path that cannot be read, or a column is in none of its rows.
    """
    if isinstance(log, (str, PathLike)) and not Path(log).is_file():
        raise InputError("the log cannot be read (no such file)", path=log)
    rows = read_rows(Path(log)) if isinstance(log, (str, PathLike)) else list(log)
    known = sorted({str(key) for row in rows for key in row})
    unknown = [name for name in (x, *columns) if rows and name not in known]
    if unknown:
        raise InputError(f"the log has no column {unknown[0]!r}", remedy=f"it has {', '.join(known)}")
    lines = {
        name: _pieces(rows, x, name, logarithmic=logarithmic, broken=broken, dots=name in dots) for name in columns
    }
    points = [point for line in lines.values() for piece in line for point in piece]
    across = _range([a for a, _ in points], margin=0.0 if len({a for a, _ in points}) > 1 else 0.5)
    up = _range([b for _, b in points], margin=0.05)
    labels = [name if line else f"{name} (no values)" for name, line in lines.items()]
    rows = _legend_rows(labels, size[1] - LEFT - RIGHT - _width(x))
    drawing = _Drawing(size, across, up, title=title, name=title or ", ".join(lines), rows=max(rows) + 1 if rows else 1)
    powers = {value: f"{10**value:.3g}" for value in _powers(*up)} if logarithmic else None
    counted = all(a.is_integer() for a, _ in points)  # epochs, of which there are no halves
    drawing.axes(_labelled(_ticks(*across, 6, least=float(counted))), powers or _labelled(_ticks(*up, 5)), x)
    _draw_lines(drawing, lines, labels, rows)
    return drawing.svg()


def reliability(bins: Sequence[Bin], *, title: str = "", size: tuple[int, int] = (260, 420)) -> str:
    """Draws the share of right points by score: bars, the number of points above each, and the line of a perfect score.

    Args:
        bins: from ``kaname.metrics.calibration.calibration``; those without points stay empty.
        title: written above, and the picture's name for screen readers.
        size: ``(height, width)`` in CSS pixels; the picture scales with the page.

    Returns:
        One ``<svg>`` element without addresses of any kind.
    """
    drawing = _Drawing(size, (0.0, 1.0), (0.0, 1.0), title=title, name=title or "share right by score")
    quarters = _labelled([0.0, 0.25, 0.5, 0.75, 1.0])
    drawing.axes(quarters, quarters, "score")
    (left, bottom), (right, top) = drawing.place((0, 0)), drawing.place((1, 1))
    for one in bins:
        if one.correct is None:
            continue
        (x, y), (end, _) = drawing.place((one.low, one.correct)), drawing.place((one.high, 0))
        drawing.add("rect", x=x + 1, y=y, width=round(end - x - 2, 1), height=round(bottom - y, 1),
                    fill=COLOURS[0], fill_opacity=0.75)  # fmt: skip
        count = str(one.count) if one.count < 10_000 else f"{one.count / 1000:.0f}k"
        drawing.text((round((x + end) / 2, 1), round(y - 4, 1)), count, text_anchor="middle", font_size=10)
    drawing.path(f"M{left} {bottom}L{right} {top}", stroke_width=1.5, stroke_dasharray="5 4")
    drawing.text((left, size[0] - 8), "share right, number of points")
    return drawing.svg()


class _Drawing:
    """The parts of an SVG, placed by values: ``across`` and ``up`` are what the axes reach from and to; the legend has
    so many ``rows``."""

    def __init__(
        self, size: tuple[int, int], across: Place, up: Place, *, title: str, name: str, rows: int = 1
    ) -> None:
        self.size, self.across, self.up, self.bottom = size, across, up, BOTTOM + (rows - 1) * ROW
        self.parts = [
            f'<svg viewBox="0 0 {size[1]} {size[0]}" role="img" aria-label="{escape(name)}" '
            f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        ]
        if title:
            self.text((LEFT, 16), title, font_weight=600)

    def place(self, value: Place) -> Place:
        """Where a pair of values is drawn."""
        (height, width), (left, right), (low, high) = self.size, self.across, self.up
        x = LEFT + (value[0] - left) / (right - left) * (width - LEFT - RIGHT)
        return round(x, 1), round(TOP + (high - value[1]) / (high - low) * (height - TOP - self.bottom), 1)

    def add(self, tag: str, text: str | None = None, **attributes: object) -> None:
        """An element; ``_`` in an attribute's name stands for ``-``."""
        written = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.parts.append(f"<{tag} {written}/>" if text is None else f"<{tag} {written}>{escape(text)}</{tag}>")

    def text(self, place: Place, words: str, **attributes: object) -> None:
        """Words that begin at a place, unless ``text_anchor`` says otherwise."""
        self.add("text", words, x=place[0], y=place[1], **attributes)

    def path(self, way: str, **attributes: object) -> None:
        """A line in the colour of the page's text."""
        self.add("path", d=way, **{"stroke": "currentColor", **attributes})

    def axes(self, across: Mapping[float, str], up: Mapping[float, str], name: str) -> None:
        """Labels below and on the left by their values, a faint line for each on the left, and the name below."""
        bottom, right = self.size[0] - self.bottom, self.size[1] - RIGHT
        for value, label in up.items():
            _, y = self.place((self.across[0], value))
            self.path(f"M{LEFT} {y}H{right}", stroke_opacity=0.15)
            self.text((LEFT - 6, y + 4), label, text_anchor="end")
        for value, label in across.items():
            self.text((self.place((value, self.up[0]))[0], bottom + 17), label, text_anchor="middle")
        self.path(f"M{LEFT} {bottom}H{right}", stroke_opacity=0.5)
        self.text((right, self.size[0] - 8), name, text_anchor="end")

    def svg(self) -> str:
        """The whole drawing."""
        return "\n".join(self.parts) + "\n</svg>"


def _width(label: str) -> int:
    """Room for a label and what stands before it, in a wide font."""
    return 36 + round(7.4 * len(label))


def _legend_rows(labels: Sequence[str], room: int) -> list[int]:
    """The row of each label, so that none runs into the next or into the name of the axis."""
    rows: list[int] = []
    row, used = 0, 0
    for label in labels:
        if used and used + _width(label) > room:
            row, used = row + 1, 0
        used += _width(label)
        rows.append(row)
    return rows


def _draw_lines(
    drawing: _Drawing, lines: Mapping[str, list[list[Place]]], labels: Sequence[str], rows: Sequence[int]
) -> None:
    """Each line in the pieces it has, the dots on top of them, and the legend below."""
    dots: list[tuple[Place, str]] = []
    across = LEFT
    for i, (line, label, row) in enumerate(zip(lines.values(), labels, rows, strict=True)):
        across = LEFT if i and row > rows[i - 1] else across
        bottom = drawing.size[0] - 8 - (rows[-1] - row) * ROW
        colour = COLOURS[i % len(COLOURS)]
        for piece in line:
            places = [drawing.place(point) for point in piece]
            if len(places) == 1:
                dots.append((places[0], colour))
                continue
            path = " ".join(f"{a},{b}" for a, b in places)
            drawing.add("polyline", points=path, fill="none", stroke=colour, stroke_width=1.8)
        drawing.path(f"M{across} {bottom - 4}h16", stroke=colour, stroke_width=3)
        drawing.text((across + 21, bottom), label)
        across += _width(label)
    for (x, y), colour in dots:
        drawing.add("circle", cx=x, cy=y, r=3, fill=colour)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _pieces(
    rows: Sequence[Mapping[str, Any]], x: str, y: str, *, logarithmic: bool, broken: bool, dots: bool
) -> list[list[Place]]:
    """The column's points in the pieces that are drawn without a break; a piece of one point is a dot."""
    pieces: list[list[Place]] = [[]]
    for row in rows:
        a, b = _number(row.get(x)), _number(row.get(y))
        if logarithmic:
            b = math.log10(b) if b > 0 and math.isfinite(b) else math.nan
        if math.isfinite(a) and math.isfinite(b):
            pieces[-1].append((a, b))
        if dots or (broken and not math.isfinite(b)):
            pieces.append([])
    return [piece for piece in pieces if piece]


def _labelled(values: Iterable[float]) -> dict[float, str]:
    return {value: f"{value:g}" for value in values}


def _ticks(low: float, high: float, wanted: int, least: float = 0.0) -> list[float]:
    """Round numbers inside ``low..high``, about ``wanted`` of them: steps of 1, 2 or 5 times a power of ten, and not
    under ``least``."""
    rough = max((high - low) / wanted, least)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    """Logarithms of round numbers inside ``low..high``: powers of ten over many decades, more between them over few."""
    step = max(1, math.ceil((high - low) / 6))
    ticks: list[float] = []
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        exponents = range(math.floor(low), math.ceil(high) + 1)
        places = (power + math.log10(factor) for power in exponents if power % step == 0 for factor in factors)
        ticks = [tick for tick in places if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks if len(ticks) == 2 else _ticks(low, high, 4)


def _range(values: list[float], *, margin: float) -> Place:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    spread = (high - low) or abs(high) or 1.0
    return low - margin * spread, high + margin * spread


# For charts that have a module of their own.
Drawing = _Drawing
labelled, ticks = _labelled, _ticks
