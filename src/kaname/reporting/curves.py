"""Learning curves as SVG text that a page can hold: no file, no script, readable on light and on dark paper."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from kaname.errors import InputError

# Readable on white and on near-black; axes and text take the colour of the page's text.
COLOURS = ("#2a9d8f", "#e76f51", "#4f7cff", "#c531b0", "#ad8200", "#6c757d")
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 42

Line = list[tuple[float, float]]


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
        log: a ``log.csv`` or its rows; values may be numbers or their text. Cells that are empty, missing or not
            finite are left out, so that columns written at different times go together.
        columns: what to draw, a line each; a column without any value is named in the legend as "no values".
        x: the column of the horizontal axis.
        title: written above, and the picture's name for screen readers.
        logarithmic: powers of ten on the vertical axis; values of 0 and below are left out.
        dots: columns that are drawn as dots instead of a line.
        broken: lines end before a row without a value and begin again behind it.
        size: ``(height, width)`` in CSS pixels; the picture scales with the page.

    Returns:
        One ``<svg>`` element without addresses of any kind.

    Raises:
        InputError: if ``log`` is a path that cannot be read, or a column stands in none of its rows.
    """
    rows = _rows(log)
    known = sorted({str(key) for row in rows for key in row})
    unknown = [name for name in (x, *columns) if rows and name not in known]
    if unknown:
        raise InputError(f"the log has no column {unknown[0]!r}", remedy=f"it has {', '.join(known)}")
    lines = {
        name: _pieces(rows, x, name, logarithmic=logarithmic, broken=broken, dots=name in dots) for name in columns
    }
    return _svg(lines, x, title, size, logarithmic=logarithmic)


def _rows(log: str | PathLike[str] | Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if not isinstance(log, (str, PathLike)):
        return list(log)
    try:
        with Path(log).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the log cannot be read ({error})", path=log) from error


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _pieces(
    rows: list[Mapping[str, Any]], x: str, y: str, *, logarithmic: bool, broken: bool, dots: bool
) -> list[Line]:
    """The column's points in the pieces that are drawn without a break; a piece of one point is a dot."""
    pieces: list[Line] = [[]]
    for row in rows:
        a, b = _number(row.get(x)), _number(row.get(y))
        if logarithmic:
            b = math.log10(b) if b > 0 and math.isfinite(b) else math.nan
        if math.isfinite(a) and math.isfinite(b):
            pieces[-1].append((a, b))
        if dots or (broken and not math.isfinite(b)):
            pieces.append([])
    return [piece for piece in pieces if piece]


def _ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers inside ``low..high``, about ``wanted`` of them: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / wanted
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
        found = (power + math.log10(factor) for power in exponents if power % step == 0 for factor in factors)
        ticks = [tick for tick in found if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks if len(ticks) == 2 else _ticks(low, high, 4)


def _range(values: list[float], *, margin: float) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    spread = (high - low) or abs(high) or 1.0
    return low - margin * spread, high + margin * spread


def _svg(lines: Mapping[str, list[Line]], x: str, title: str, size: tuple[int, int], *, logarithmic: bool) -> str:
    height, width = size
    points = [point for line in lines.values() for piece in line for point in piece]
    low_x, high_x = _range([a for a, _ in points], margin=0.0 if len({a for a, _ in points}) > 1 else 0.5)
    low_y, high_y = _range([b for _, b in points], margin=0.05)

    def place(a: float, b: float) -> tuple[float, float]:
        across = LEFT + (a - low_x) / (high_x - low_x) * (width - LEFT - RIGHT)
        down = TOP + (high_y - b) / (high_y - low_y) * (height - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title or ", ".join(lines))}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
    ]
    if title:
        parts.append(f'<text x="{LEFT}" y="16" font-weight="600">{escape(title)}</text>')
    for value in _powers(low_y, high_y) if logarithmic else _ticks(low_y, high_y, 5):
        _, down = place(low_x, value)
        label = f"{10**value:.3g}" if logarithmic else f"{value:g}"
        parts.append(f'<path d="M{LEFT} {down}H{width - RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{down + 4}" text-anchor="end">{label}</text>')
    for value in _ticks(low_x, high_x, 6):
        across, _ = place(value, low_y)
        parts.append(f'<text x="{across}" y="{height - BOTTOM + 17}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<path d="M{LEFT} {height - BOTTOM}H{width - RIGHT}" stroke="currentColor" stroke-opacity=".5"/>')
    parts.append(f'<text x="{width - RIGHT}" y="{height - 8}" text-anchor="end">{escape(x)}</text>')
    placed = [[[place(a, b) for a, b in piece] for piece in line] for line in lines.values()]
    parts += _drawn_lines(list(lines), placed, height)
    return "\n".join(parts) + "\n</svg>"


def _drawn_lines(names: list[str], placed: list[list[Line]], height: int) -> list[str]:
    parts, dots, across = [], [], LEFT
    for i, (name, line) in enumerate(zip(names, placed, strict=True)):
        colour = COLOURS[i % len(COLOURS)]
        for piece in line:
            if len(piece) == 1:
                dots.append(f'<circle cx="{piece[0][0]}" cy="{piece[0][1]}" r="3" fill="{colour}"/>')
                continue
            path = " ".join(f"{a},{b}" for a, b in piece)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        label = name if line else f"{name} (no values)"
        parts.append(f'<path d="M{across} {height - 12}h16" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{across + 21}" y="{height - 8}">{escape(label)}</text>')
        across += 36 + round(6.6 * len(label))
    return [*parts, *dots]  # dots on the lines
