from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.reporting import page as page_module
from kaname.reporting.curves import curves
from kaname.reporting.page import (
    Cell,
    Figure,
    Figures,
    Interval,
    Notes,
    Picture,
    Pictures,
    Svg,
    Table,
    Text,
    decimals_of,
    facts_table,
    metrics_table,
    show_number,
    write_page,
)

VOID = {"meta", "link", "img", "input", "br", "path", "circle", "polyline"}


class Balance(HTMLParser):
    """Checks that every element that opens is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def sections() -> list[Text | Table | Pictures | Svg]:
    picture = np.full((60, 90, 3), (200, 30, 30), np.uint8)
    return [
        Text(["A <b>plain</b> paragraph & more."], code="kaname demo gauge", heading="What ran"),
        Table(["", "pck", "n"], [["middle", Interval(0.912, 0.87, 0.95, 40), 40], ["end", None, 3]], "Figures", "95 %"),
        Pictures([Picture(picture, 'a "quoted" caption'), Picture(picture)], "Pictures"),
        Svg([curves([{"epoch": 0, "a": 1}, {"epoch": 1, "a": 2}], ["a"])], "Curves"),
    ]


def test_page_is_whole_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    path = write_page(tmp_path / "new" / "index.html", "Kaname <demo> 要", sections(), subtitle="now")
    html = path.read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert not re.search(r"https?:|<script|@import|url\(", html)
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert "&lt;b&gt;plain" in html and "&lt;demo&gt; 要" in html
    assert "0.870 to 0.950" in html and "n = 40" in html and "prefers-color-scheme: dark" in html
    assert [item.name for item in path.parent.iterdir()] == ["index.html"]


def test_pictures_come_from_files_too(tmp_path: Path) -> None:
    picture = tmp_path / "図.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    write_page(tmp_path / "a.html", "a", [Pictures([Picture(picture)])])
    assert "data:image/png;base64,iVBORw0KGgo=" in (tmp_path / "a.html").read_text(encoding="utf-8")
    for wrong in (tmp_path / "no.jpg", tmp_path / "a.html"):
        with pytest.raises(InputError):
            write_page(tmp_path / "b.html", "b", [Pictures([Picture(wrong)])])
    assert not (tmp_path / "b.html").exists()


def test_metrics_table_shows_intervals_and_reasons() -> None:
    table = metrics_table(
        {
            "middle": {"pck": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}, "f1": {"value": 1, "low": None}},
            "end": {"pck": {"value": None, "reason": "no true point"}},
            "settings": {"threshold": 10},
        }
    )
    assert table.columns == ["", "pck", "f1"]
    assert table.rows[0] == ["middle", Interval(0.5, 0.4, 0.6, 9), Interval(1)]
    assert table.rows[1] == ["end", None, None]
    assert table.note == "No value: end, found (PCK) (no true point)."


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (2.0, "2"), (0.91234, "0.912"), (0.00123456, "0.001235"), (1234.567, "1235"), (None, "–")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert show_number(value) == text
    assert show_number(float("nan")) == "–"


def test_figures_notes_and_what_is_folded(tmp_path: Path) -> None:
    found = [
        Figures(
            [Figure("F1 <a>", Interval(0.9, 0.8, 0.95), "px", "n = 7"), Figure("pck", None, note="no truth")], "Top"
        ),
        Notes(["mind the <gap>"], "Notes"),
        Text(code="a: 1", heading="Config", folded=True),
        Table(["a"], [[1]], "Rows", folded=True),
    ]
    html = write_page(tmp_path / "a.html", "a", found, contents=True).read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(html)
    assert parser.open == [] and html.lstrip().startswith("<!doctype html>")
    assert "0.800 to 0.950" in html and "F1 &lt;a&gt;" in html and "no truth" in html and "&lt;gap&gt;" in html
    assert html.count("<details>") == 2
    assert re.findall(r'<a href="#part-(\d)">(.*?)</a>', html) == [
        ("1", "Top"), ("2", "Notes"), ("3", "Config"), ("4", "Rows"),
    ]  # fmt: skip


def test_pictures_shrink_into_the_budget(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    pictures = [Pictures([Picture(noise, "a"), Picture(noise, "b")])]
    sizes = []
    for budget in (None, 400_000, 100_000, 10):
        html = write_page(tmp_path / "a.html", "a", pictures, budget=budget).read_text(encoding="utf-8")
        sizes.append(sum(map(len, re.findall(r'src="(data:[^"]+)"', html))))
    assert sizes[0] > 400_000 >= sizes[1] > 100_000 >= sizes[2] > 0 == sizes[3]
    assert html.count("left out") == 2


def test_chromium_shows_the_page(tmp_path: Path, chromium: str) -> None:
    """Renders without a console message, no wider than a telephone."""
    page = write_page(tmp_path / "index.html", "Kaname", sections())
    shot = tmp_path / "shot.png"
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
         "--window-size=500,900", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert shot.is_file(), done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr


def test_facts_in_words() -> None:
    table = facts_table({"passed": True, "warned": False, "names": ["a", 3], "left": [], "error": 0.5}, "Parity")
    assert [row[1] for row in table.rows] == ["yes", "no", "a, 3", "none", 0.5] and table.heading == "Parity"


def test_a_column_has_one_precision_and_names_in_words(tmp_path: Path) -> None:
    """What files call the figure is there for a pointer that rests on it; ``all`` comes first."""
    entry = {"value": 0.5, "low": 0.4321, "high": 0.6, "n": 9}
    metrics = {
        "absent": {"f1_5px": entry, "mean_distance_px": {"value": 123.456}},
        "all": {"f1_5px": {**entry, "note": "nothing predicted"}, "mean_distance_px": {"value": 7.0}},
    }
    page = write_page(tmp_path / "a.html", "a", [metrics_table(metrics)]).read_text(encoding="utf-8")
    assert page.index('row">all') < page.index('row">absent')
    assert 'title="f1_5px">F1 within 5 px</span>' in page and "mean distance, px" in page
    cells = re.findall(r'<td class="numeric">\s*([\d.]+)', page)
    assert cells == ["0.500", "7.0", "0.500", "123.5"] and "0.432 to 0.600" in page and "nothing predicted" in page


def test_a_column_of_facts_keeps_its_numbers(tmp_path: Path) -> None:
    """They are of different kinds."""
    table = facts_table({"images": 16, "difference": 0.0000123}, "facts")
    page = write_page(tmp_path / "a.html", "a", [table]).read_text(encoding="utf-8")
    assert re.findall(r'<td class="numeric">([^<]*)', page) == ["16", "1.23e-05"]


def test_shares_that_are_whole_have_decimals_too() -> None:
    """Beside a recall of 0.864 a precision of 1 and a share of 0 would look like counts."""
    rows: list[list[Cell]] = [["start", Interval(1.0), Interval(0.0), Interval(0.864), 7, Interval(12.0)]]
    assert decimals_of(Table(["group", "precision", "wrong", "recall", "n", "steps"], rows))[1:] == [
        3,
        3,
        3,
        None,
        None,
    ]


def test_words_of_a_tables_first_column_are_not_broken() -> None:
    """Beside many columns, as of landmarks, "each landmark" was three lines."""
    rule = re.search(
        r"tbody th \{[^}]*\}", (Path(page_module.__file__).parent / "page.css").read_text(encoding="utf-8")
    )
    assert rule is not None and "overflow-wrap: break-word" in rule[0]
