"""One object's way through a video as an SVG file: x and y over time, each kind of row with a mark of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kaname.reporting.curves import COLOURS, LEFT, RIGHT, Drawing, labelled, ticks
from kaname.types import FloatArray, Size

WIDTH, PANEL, HEAD, FOOT = 1200, 330, 18, 40  # CSS pixels
MANY = 4000  # marks, from which on those that would lie on each other are drawn once
INK, PAPER = "#26323a", "#ffffff"
CROSS = "m-3.2-3.2l6.4 6.4m0-6.4l-6.4 6.4"
RING = "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0"
DOT: dict[str, Any] = {"stroke_width": 4.5, "stroke_linecap": "round"}
# The mark at a place, and how it is drawn. A dot is a line without length and with round ends.
MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "static, left out": (CROSS, {"stroke": COLOURS[5], "stroke_width": 1.2}),
    "jump, left out": (CROSS, {"stroke": COLOURS[1], "stroke_width": 1.6}),
    "detected": ("h0", {"stroke": COLOURS[0], **DOT}),
    "filled": (RING, {"stroke": COLOURS[2], "stroke_width": 1.4}),
}


def trajectory(rows: Mapping[str, FloatArray], size: Size, *, title: str = "") -> str:
    """An SVG file of its own, of a bounded length for any number of rows.

    Args:
        rows: for each kind of `MARKS` that is to be in the legend its ``(N, 3)`` seconds, x and y (px).
        size: ``(height, width)`` of the frame in pixels: what the axes reach to. The one of y points down.
        title: written above, and the picture's name for screen readers.
    """
    times = np.concatenate([np.zeros(0), *(one[:, 0] for one in rows.values())])
    first, last = (float(times.min()), float(times.max())) if len(times) else (0.0, 1.0)
    unit, name = (60.0, "minutes") if last > 300 else (1.0, "seconds")
    across = (first / unit, max(last, first + 0.1) / unit)
    coarse = sum(map(len, rows.values())) > MANY
    height = HEAD + 2 * PANEL + FOOT
    whole = Drawing((height, WIDTH), (0, 1), (0, 1), title=title, name=title or "trajectory")
    whole.parts[0] = whole.parts[0].replace(
        "<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" color="{INK}" ', 1
    )
    whole.parts.insert(1, f'<rect width="100%" height="100%" fill="{PAPER}"/>')
    for number, (axis, reach) in enumerate((("x, px", (0.0, float(size[1]))), ("y, px (down)", (float(size[0]), 0.0)))):
        panel = Drawing((PANEL, WIDTH), across, reach, title="", name="")
        panel.axes(labelled(ticks(*across, 12)), labelled(ticks(0.0, max(reach), 6)), name)
        panel.text((LEFT, 36), axis, font_weight=600)
        for kind, (mark, look) in MARKS.items():
            one = rows.get(kind, np.zeros((0, 3)))
            places = [panel.place(place) for place in zip(one[:, 0] / unit, one[:, number + 1], strict=True)]
            if coarse:
                places = list(dict.fromkeys((round(x / 2) * 2, round(y / 2) * 2) for x, y in places))
            if places:
                panel.path("".join(f"M{x:g} {y:g}{mark}" for x, y in places), fill="none", **look)
        whole.parts += [f'<g transform="translate(0 {HEAD + number * PANEL})">', *panel.parts[1:], "</g>"]
    _legend(whole, rows, height - 16)
    return whole.svg()


def _legend(whole: Drawing, rows: Mapping[str, FloatArray], bottom: int) -> None:
    across = LEFT + 4
    for kind, (mark, look) in MARKS.items():
        if kind in rows:
            label = f"{kind}: {len(rows[kind])}"
            whole.path(f"M{across} {bottom - 4}{mark}", fill="none", **look)
            whole.text((across + 12, bottom), label)
            across = min(across + 36 + round(6.6 * len(label)), WIDTH - RIGHT)
