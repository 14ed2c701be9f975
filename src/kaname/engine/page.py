"""One self-contained page: text, tables, pictures and curves in a single HTML file.

The page asks nothing of the network (pictures travel inside it, there are no scripts and no fonts to load), follows
the reader's light or dark setting, and is written whole or not at all.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.geometry.image import resize

MEDIA = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}


@dataclass(frozen=True)
class Interval:
    """A measured value with its 95 % interval (or None) and the number of samples behind it (or None)."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


Cell = str | int | float | Interval | None


@dataclass(frozen=True)
class Text:
    """Paragraphs, and commands or other text to show as it is.

    Attributes:
        paragraphs: plain text; everything that HTML would read as markup is escaped.
        code: lines in a fixed-width block, below the paragraphs.
        heading: the section's heading; "" for none.
    """

    paragraphs: Sequence[str] = ()
    code: str = ""
    heading: str = ""
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: the headings.
        rows: a sequence of cells each; None shows as a dash, an ``Interval`` as "value low to high".
        heading: the section's heading.
        note: a remark below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    heading: str = ""
    note: str = ""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Picture:
    """A picture with its caption: an RGB uint8 array ``(h, w, 3)``, or a JPEG, PNG, WebP or GIF file to embed."""

    image: NDArray[np.uint8] | str | PathLike[str]
    caption: str = ""


@dataclass(frozen=True)
class Pictures:
    """A grid of pictures; a click shows one large.

    Attributes:
        pictures: what to show, in reading order.
        heading: the section's heading.
        width: the least width of a grid column in CSS pixels: about 200 for photographs, 480 for sheets.
    """

    pictures: Sequence[Picture]
    heading: str = ""
    width: int = 200
    kind: str = field(default="pictures", init=False)


@dataclass(frozen=True)
class Svg:
    """Drawings as SVG text (from ``kaname.engine.curves``), side by side where there is room. Written as they are."""

    drawings: Sequence[str]
    heading: str = ""
    kind: str = field(default="svg", init=False)


Section = Text | Table | Pictures | Svg


def write_page(path: str | PathLike[str], title: str, sections: Sequence[Section], *, subtitle: str = "") -> Path:
    """Writes the page.

    Args:
        path: the HTML file; its folder is made where it is missing.
        title: the page's title and first heading.
        sections: what to show, in order.
        subtitle: one line under the title.

    Returns:
        ``path``.

    Raises:
        InputError: if a picture cannot be read or is of an unknown kind.
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = show_number
    environment.filters["source"] = _source
    environment.tests["interval"] = lambda cell: isinstance(cell, Interval)
    environment.tests["numeric"] = lambda cell: isinstance(cell, (int, float, Interval)) or cell is None
    html = environment.from_string(TEMPLATE).render(title=title, subtitle=subtitle, sections=sections, style=STYLE)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(html, encoding="utf-8")
    os.replace(partial, target)
    return target


def metrics_table(metrics: Mapping[str, Any], *, heading: str = "", note: str = "") -> Table:
    """The table of a ``metrics.json``: a row for each group, a column for each metric.

    Args:
        metrics: ``{group: {metric: {"value", "low", "high", "n"}}, "settings": {...}}``; a null value may carry a
            "reason", which the table's note then names.
        heading: the section's heading.
        note: a remark below the table, before the reasons.
    """
    groups = {name: values for name, values in metrics.items() if name != "settings"}
    columns = list(dict.fromkeys(metric for values in groups.values() for metric in values))
    rows: list[list[Cell]] = []
    reasons = []
    for group, values in groups.items():
        row: list[Cell] = [group]
        for metric in columns:
            entry = values.get(metric) or {}
            value = entry.get("value")
            row.append(None if value is None else Interval(value, entry.get("low"), entry.get("high"), entry.get("n")))
            if value is None and entry.get("reason"):
                reasons.append(f"{group} {metric}: {entry['reason']}")
        rows.append(row)
    return Table(["", *columns], rows, heading, " ".join([note, "; ".join(reasons)]).strip())


def show_number(value: float | None) -> str:
    """``value`` as the page shows it: whole numbers as they are, others with four significant digits."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):
        return str(int(value))
    return f"{value:.3f}" if 0.1 <= abs(value) < 10 else f"{value:.4g}"


def _source(image: NDArray[np.uint8] | str | PathLike[str]) -> str:
    """The picture as a data URI."""
    if isinstance(image, np.ndarray):
        media, content = "image/jpeg", _jpeg(image)
    else:
        media = MEDIA.get(Path(image).suffix.lower(), "")
        if not media:
            raise InputError("a page holds JPEG, PNG, WebP and GIF only", path=image)
        try:
            content = Path(image).read_bytes()
        except OSError as error:
            raise InputError(f"the picture cannot be read ({error.strerror})", path=image) from error
    return f"data:{media};base64,{base64.b64encode(content).decode('ascii')}"


def _jpeg(image: NDArray[np.uint8], longest: int = 1600) -> bytes:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"a picture must be RGB uint8 (height, width, 3), got {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale < 1:
        image = resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    # 4:4:4 keeps thin red crosses red, which JPEG's usual halved colour smears.
    options = [cv2.IMWRITE_JPEG_QUALITY, 88, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1d2327; --soft: #5d666d; --line: #dcd9d0; --card: #ffffff;
  --accent: #b3402c; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181b; --ink: #e6e4df; --soft: #9aa3a9; --line: #32383d; --card: #1d2226; --accent: #ef8b73; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", "Helvetica Neue",
  "Noto Sans", "Noto Sans CJK JP", "Hiragino Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 2.5rem) 4rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.2rem); line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h1::after { content: ""; display: block; width: 3.2rem; height: 3px; margin-top: .8rem; background: var(--accent); }
.subtitle { color: var(--soft); margin: .8rem 0 0; }
section { margin-top: 2.4rem; }
h2 { font-size: 1.2rem; margin: 0 0 .7rem; }
p { margin: 0 0 .7rem; max-width: 70ch; overflow-wrap: anywhere; }
pre { margin: 0; padding: .8rem 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; font: .86rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .9rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
.numeric { text-align: right; white-space: nowrap; }
.between { display: block; color: var(--soft); font-size: .8rem; }
.note { color: var(--soft); font-size: .86rem; margin-top: .5rem; }
.grid { display: grid; gap: 1rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
figure img { display: block; width: 100%; cursor: zoom-in; }
figcaption { padding: .5rem .75rem; font-size: .84rem; color: var(--soft); overflow-wrap: anywhere; }
figure input { position: absolute; opacity: 0; }
input:focus-visible + img { outline: 3px solid var(--accent); outline-offset: -3px; }
input:checked + img { position: fixed; inset: 0; z-index: 1; width: 100vw; height: 100vh; padding: 2vmin;
  object-fit: contain; background: rgb(0 0 0 / .88); cursor: zoom-out; }
.drawing { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .75rem; }
.drawing svg { display: block; width: 100%; height: auto; }
@media print { figure, .drawing, pre { break-inside: avoid; } }
"""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>{{ style | safe }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% if subtitle %}<p class="subtitle">{{ subtitle }}</p>{% endif %}

{% for section in sections %}
<section>
{% if section.heading %}<h2>{{ section.heading }}</h2>{% endif %}

{% if section.kind == "text" %}
{% for paragraph in section.paragraphs %}
<p>{{ paragraph }}</p>
{% endfor %}
{% if section.code %}<pre><code>{{ section.code }}</code></pre>{% endif %}

{% elif section.kind == "table" %}
<div class="scroll"><table>
<thead><tr>
{% for column in section.columns %}
{% set cell = (section.rows[0] if section.rows else section.columns)[loop.index0] %}
<th{% if cell is numeric %} class="numeric"{% endif %}>{{ column }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in section.rows %}
<tr>
{% for cell in row %}
{% if cell is interval %}
<td class="numeric">{{ cell.value | number }}
{% if cell.low is not none and cell.high is not none %}
<span class="between">{{ cell.low | number }} to {{ cell.high | number }}</span>
{% endif %}
{% if cell.n is not none %}<span class="between">n = {{ cell.n }}</span>{% endif %}
</td>
{% elif cell is numeric %}
<td class="numeric">{{ cell | number }}</td>
{% else %}
<td>{{ cell }}</td>
{% endif %}
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table></div>
{% if section.note %}<p class="note">{{ section.note }}</p>{% endif %}

{% elif section.kind == "pictures" %}
<div class="grid" style="grid-template-columns: repeat(auto-fill, minmax(min({{ section.width }}px, 100%), 1fr))">
{% for picture in section.pictures %}
<figure><label><input type="checkbox" aria-label="enlarge: {{ picture.caption }}">
<img src="{{ picture.image | source }}" alt="{{ picture.caption }}" loading="lazy"></label>
{% if picture.caption %}<figcaption>{{ picture.caption }}</figcaption>{% endif %}

</figure>
{% endfor %}
</div>

{% elif section.kind == "svg" %}
<div class="grid" style="grid-template-columns: repeat(auto-fit, minmax(min(360px, 100%), 1fr))">
{% for drawing in section.drawings %}
<div class="drawing">{{ drawing | safe }}</div>
{% endfor %}
</div>
{% endif %}
</section>
{% endfor %}
</main>
</body>
</html>
"""
