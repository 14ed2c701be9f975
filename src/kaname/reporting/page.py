"""One self-contained page: text, tables, pictures and curves in a single HTML file.

The page fetches nothing from the network (pictures travel inside it, there are no scripts and no fonts to load, and its
own policy forbids the browser to fetch any), follows the reader's light or dark setting, and is written whole or not
at all. Its looks are in ``page.html.jinja`` and ``page.css`` beside this file.

Adding a new kind of section: a dataclass, its branch in ``page.html.jinja``, and its name in ``Section``.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError, shown
from kaname.files import write_text
from kaname.geometry.image import read_image, resize
from kaname.reporting.names import readable
from kaname.reporting.results import all_first

MEDIA = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}
LONGEST = 1600  # pixels of an embedded picture's longer side
SHRUNK = (960, 640, 480, 320, 200)  # the same, where all pictures together outgrow the page's budget


@dataclass(frozen=True)
class Interval:
    """A measured value with its 95 % interval (or None), the number of samples behind it (or None), and a few words."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    note: str = ""


Cell = str | int | float | Interval | None


@dataclass(frozen=True)
class Text:
    """Paragraphs, and commands or other text to show as it is.

    Attributes:
        paragraphs: plain text; everything that HTML would read as markup is escaped.
        code: lines in a fixed-width block, below the paragraphs.
        heading: the section's heading; "" for none.
        folded: show the code only after a click on "show".
    """

    paragraphs: Sequence[str] = ()
    code: str = ""
    heading: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: the headings.
        rows: a sequence of cells each; None shows as a dash, an ``Interval`` as "value low to high".
        heading: the section's heading.
        note: a remark below the table; each line is a paragraph.
        folded: show the table only after a click on "show".
        figures: whether the columns and the first cells are names of figures, to be shown in words; a pointer that
            rests on one shows the name that files have.

    The numbers of a column have the same number of decimals, but for a column called "value", which holds quantities of
    different kinds.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    heading: str = ""
    note: str = ""
    folded: bool = False
    figures: bool = False


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
        note: a remark above them.
        width: the least width of a grid column in CSS pixels: about 200 for photographs, 480 for sheets.
    """

    pictures: Sequence[Picture]
    heading: str = ""
    note: str = ""
    width: int = 200


@dataclass(frozen=True)
class Svg:
    """Drawings as SVG text (from ``kaname.reporting.curves``), side by side where there is room."""

    drawings: Sequence[str]
    heading: str = ""
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """One headline figure: what it is, its value (None shows as a dash), its unit and a few words below it."""

    label: str
    value: Interval | None
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """Headline figures, large and side by side."""

    figures: Sequence[Figure]
    heading: str = ""


@dataclass(frozen=True)
class Notes:
    """What a reader must know before believing the rest: a list in a marked box."""

    lines: Sequence[str]
    heading: str = ""


Section = Text | Table | Pictures | Svg | Figures | Notes


def write_page(
    path: str | PathLike[str],
    title: str,
    sections: Sequence[Section],
    *,
    subtitle: str = "",
    contents: bool = False,
    budget: int | None = None,
) -> Path:
    """Writes the page.

    Args:
        path: the HTML file; its folder is made if missing.
        title: the page's title and first heading.
        sections: what to show, in order.
        subtitle: one line under the title.
        contents: begin with links to the headings.
        budget: bytes that all pictures together may take in the page: they shrink until they fit, and what still does
            not fit shows its caption alone.

    Returns:
        ``path``.

    Raises:
        InputError: if a picture cannot be read or is of an unknown kind.
    """
    import jinja2

    pictures = [picture for section in sections if isinstance(section, Pictures) for picture in section.pictures]
    sources = _sources([picture.image for picture in pictures], budget)
    room = files("kaname.reporting")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    by_picture = {id(picture): source for picture, source in zip(pictures, sources, strict=True)}
    environment.filters["number"] = show_number
    environment.filters["decimals"] = decimals_of
    environment.filters["places"] = _places
    environment.filters["readable"] = readable
    environment.filters["kind"] = lambda section: type(section).__name__
    environment.filters["source"] = lambda picture: by_picture[id(picture)]
    environment.tests["interval"] = lambda cell: isinstance(cell, Interval)
    environment.tests["numeric"] = lambda cell: isinstance(cell, (int, float, Interval)) or cell is None
    template = environment.from_string((room / "page.html.jinja").read_text(encoding="utf-8"))
    style = (room / "page.css").read_text(encoding="utf-8")
    html = template.render(title=title, subtitle=subtitle, sections=sections, contents=contents, style=style)
    write_text(Path(path), shown(html))
    return Path(path)


def metrics_table(metrics: Mapping[str, Any], *, heading: str = "", note: str = "") -> Table:
    """The table of a ``metrics.json``: a row for each group (``all`` first), a column for each metric.

    Args:
        metrics: ``{group: {metric: {"value", "low", "high", "n"}}, "settings": {...}}``; a null value may carry a
            "reason", which the table's note then names.
        heading: the section's heading.
        note: a remark below the table, before the reasons.
    """
    groups = {name: values for name, values in all_first(metrics).items() if name != "settings"}
    columns = list(dict.fromkeys(metric for values in groups.values() for metric in values))
    rows: list[list[Cell]] = []
    reasons: dict[str, list[str]] = {}
    for group, values in groups.items():
        row: list[Cell] = [group]
        for metric in columns:
            entry = values.get(metric) or {}
            row.append(interval(entry))
            if row[-1] is None and entry.get("reason"):
                reasons.setdefault(str(entry["reason"]), []).append(f"{readable(group)}, {readable(metric)}")
        rows.append(row)
    lines = [f"No value: {'; '.join(names)} ({reason})." for reason, names in reasons.items()]
    return Table(["", *columns], rows, heading, "\n".join([note, *lines]).strip(), figures=True)


def interval(entry: Mapping[str, Any]) -> Interval | None:
    """The value of an entry of ``metrics.json``; None where it has none."""
    value = entry.get("value")
    return (
        None
        if value is None
        else Interval(value, entry.get("low"), entry.get("high"), entry.get("n"), entry.get("note", ""))
    )


def facts_table(facts: Mapping[str, Any], heading: str) -> Table:
    """A row for each fact: its name, and its value in words."""

    def shown(value: Any) -> Cell:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return (", ".join(map(str, value)) or "none") if isinstance(value, list) else value

    return Table(["quantity", "value"], [[name, shown(value)] for name, value in facts.items()], heading)


def decimals_of(table: Table) -> list[int | None]:
    """For each column how many decimals all its numbers have; None where each has its own."""
    found: list[int | None] = []
    for number, name in enumerate(table.columns):
        cells = [row[number] for row in table.rows if number < len(row)]
        values = [part for cell in cells for part in _numbers(cell) if math.isfinite(part)]
        # Shares that happen to be 0.0 and 1.0 alone are shares still, and have the decimals of those beside them.
        shares = any(isinstance(value, float) for value in values) and max(map(abs, values)) <= 1
        whole = not shares and all(float(value).is_integer() for value in values)
        if name == "value" or whole or not values:
            found.append(None)
            continue
        highest = max(map(abs, values)) or 1
        found.append(min(6, max(0, 2 - math.floor(math.log10(highest)))) if highest < 0.1 else 3 if highest < 10 else 1)
    return found


def _places(figure: Interval) -> int | None:
    """The decimals of a headline figure, those of the others beside it; of a very small one its own."""
    size = abs(figure.value)
    return None if isinstance(figure.value, int) or 0 < size < 0.001 else 3 if size < 10 else 1


def _numbers(cell: Cell) -> list[float]:
    parts = [cell.value, cell.low, cell.high] if isinstance(cell, Interval) else [cell]
    return [part for part in parts if isinstance(part, (int, float))]


def show_number(value: float | None, decimals: int | None = None) -> str:
    """``value`` as the page shows it: with so many decimals, or whole numbers as they are, others with four significant
    digits."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if decimals is not None and math.isfinite(value):
        return f"{value:.{decimals}f}"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):
        return str(int(value))
    return f"{value:.3f}" if 0.1 <= abs(value) < 10 else f"{value:.4g}"


def _sources(images: Sequence[NDArray[np.uint8] | str | PathLike[str]], budget: int | None) -> list[str]:
    """The pictures as data URIs, "" for those that do not fit the budget."""
    sources = [_source(image) for image in images]
    for longest in SHRUNK if budget is not None else ():
        if sum(map(len, sources)) <= (budget or 0):
            break
        sources = [
            _source(image if isinstance(image, np.ndarray) else read_image(Path(image)), longest) for image in images
        ]
    used = 0
    for i, source in enumerate(sources):
        used += len(source)
        if budget is not None and used > budget:
            sources[i] = ""
    return sources


def _source(image: NDArray[np.uint8] | str | PathLike[str], longest: int = LONGEST) -> str:
    """The picture as a data URI."""
    if isinstance(image, np.ndarray):
        media, content = "image/jpeg", _jpeg(image, longest)
    else:
        media = MEDIA.get(Path(image).suffix.lower(), "")
        if not media:
            raise InputError("a page takes JPEG, PNG, WebP and GIF only", path=image)
        try:
            content = Path(image).read_bytes()
        except OSError as error:
            raise InputError(f"the picture cannot be read ({error.strerror})", path=image) from error
    return f"data:{media};base64,{base64.b64encode(content).decode('ascii')}"


def _jpeg(image: NDArray[np.uint8], longest: int) -> bytes:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"a picture must be RGB uint8 (height, width, 3), got {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale < 1:
        image = resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    # 4:4:4 keeps thin red crosses red, which JPEG's usual halved colour smears.
    options = [cv2.IMWRITE_JPEG_QUALITY, 88, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()
