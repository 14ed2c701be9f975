"""Charts of an evaluation as SVG text that a page can hold: no file, no script, readable on light and on dark paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from kaname.metrics.calibration import Bin
from kaname.reporting.curves import COLOURS

LEFT, RIGHT, TOP, BOTTOM = 44, 14, 46, 40  # at the top room for the counts above full bars


def reliability(bins: Sequence[Bin], *, title: str = "", size: tuple[int, int] = (260, 420)) -> str:
    """Draws the share of right points by score: bars, the number of points above each, and the line of a perfect score.

    Args:
        bins: from ``kaname.metrics.calibration.calibration``; those without points stay empty.
        title: written above, and the picture's name for screen readers.
        size: ``(height, width)`` in CSS pixels; the picture scales with the page.

    Returns:
        One ``<svg>`` element without addresses of any kind.
    """
    height, width = size

    def place(score: float, share: float) -> tuple[float, float]:
        across = LEFT + score * (width - LEFT - RIGHT)
        return round(across, 1), round(TOP + (1 - share) * (height - TOP - BOTTOM), 1)

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title or "share right by score")}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
    ]
    if title:
        parts.append(f'<text x="{LEFT}" y="16" font-weight="600">{escape(title)}</text>')
    (left, bottom), (right, top) = place(0, 0), place(1, 1)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        down, across = place(0, tick)[1], place(tick, 0)[0]
        parts.append(f'<path d="M{left} {down}H{right}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{left - 6}" y="{down + 4}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<text x="{across}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for found in bins:
        if found.correct is None:
            continue
        (x, y), (end, _) = place(found.low, found.correct), place(found.high, 0)
        parts.append(
            f'<rect x="{x + 1}" y="{y}" width="{round(end - x - 2, 1)}" height="{round(bottom - y, 1)}" '
            f'fill="{COLOURS[0]}" fill-opacity=".75"/>'
        )
        middle = round((x + end) / 2, 1)
        parts.append(
            f'<text x="{middle}" y="{round(y - 4, 1)}" text-anchor="middle" font-size="10">{_short(found.count)}</text>'
        )
    parts.append(
        f'<path d="M{left} {bottom}L{right} {top}" stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4"/>'
    )
    parts.append(f'<path d="M{left} {bottom}H{right}" stroke="currentColor" stroke-opacity=".5"/>')
    parts.append(f'<text x="{right}" y="{height - 8}" text-anchor="end">score</text>')
    parts.append(f'<text x="{left}" y="{height - 8}">share right, number of points</text>')
    return "\n".join(parts) + "\n</svg>"


def _short(count: int) -> str:
    """A count that fits above a bar."""
    return str(count) if count < 10_000 else f"{count / 1000:.0f}k"
