from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.metrics.calibration import calibration
from kaname.reporting.curves import COLOURS, curves, reliability

ROWS = [{"epoch": i, "train": 1 / (i + 1), "val": 1.2 / (i + 1) if i % 2 else ""} for i in range(10)]


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def test_a_line_for_each_column_and_empty_cells_left_out() -> None:
    svg = parsed(curves(ROWS, ["train", "val"], title="Loss <a&b>"))
    lines = [line.attrib["points"].split() for line in svg.iter("polyline")]
    assert [len(line) for line in lines] == [10, 5]
    assert svg.attrib["aria-label"] == "Loss <a&b>"


def test_values_rise_upwards_and_stay_inside() -> None:
    svg = parsed(curves([{"epoch": 0, "a": 1}, {"epoch": 1, "a": 5}], ["a"], size=(200, 400)))
    (line,) = svg.iter("polyline")
    (x0, y0), (x1, y1) = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert 0 < x0 < x1 < 400 and 0 < y1 < y0 < 200


def test_reads_a_log_file(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("epoch,loss\n0,0.5\n1,nan\n2,0.25\n", encoding="utf-8")
    (line,) = parsed(curves(log, ["loss"])).iter("polyline")
    assert len(line.attrib["points"].split()) == 2


@pytest.mark.parametrize("value", [0, 3.5, -2, 1e-9, 1e12])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_one_value_and_constant_values(value: float, logarithmic: bool) -> None:
    for count in (1, 3):
        rows = [{"epoch": i, "a": value} for i in range(count)]
        assert parsed(curves(rows, ["a"], logarithmic=logarithmic)).tag.endswith("svg")


def test_nothing_to_draw_is_said() -> None:
    assert "a (no values)" in curves([{"epoch": 0, "a": math.nan}], ["a"])
    assert "a (no values)" in curves([], ["a"])


def test_wrong_column_and_file() -> None:
    with pytest.raises(InputError, match="no column 'loss'; it has epoch, train, val"):
        curves(ROWS, ["loss"])
    with pytest.raises(InputError, match="cannot be read"):
        curves("nowhere.csv", ["loss"])


def test_lines_break_where_there_is_no_value() -> None:
    rows = [{"epoch": i, "loss": None if i in (3, 6) else i} for i in range(8)]
    whole, broken = curves(rows, ["loss"]), curves(rows, ["loss"], broken=True)
    assert whole.count("<polyline") == 1 and broken.count("<polyline") == 2 and broken.count("<circle") == 1


def test_columns_of_dots() -> None:
    rows = [{"epoch": i, "a": i, "b": 2 * i if i % 2 else None} for i in range(6)]
    drawing = curves(rows, ["a", "b"], dots=["b"])
    assert drawing.count("<polyline") == 1 and drawing.count("<circle") == 3


def test_a_bar_for_each_bin_with_points_as_high_as_its_share() -> None:
    scores, errors = np.array([0.05, 0.55, 0.55, 0.95, 0.95]), np.array([9.0, 1.0, 9.0, 1.0, 1.0])
    svg = ElementTree.fromstring(reliability(calibration(scores, errors, 5.0), title="a <b> & c"))
    bars = [(float(bar.attrib["x"]), float(bar.attrib["height"])) for bar in svg.iter("rect")]
    assert [x for x, _ in bars] == sorted(x for x, _ in bars)
    heights = [height for _, height in bars]
    assert heights[0] == 0 and heights[1] == pytest.approx(heights[2] / 2, abs=0.2)
    texts = [item.text for item in svg.iter("text")]
    assert "a <b> & c" in texts and svg.attrib["aria-label"] == "a <b> & c"
    assert texts.count("2") == 2


def test_everything_stays_inside() -> None:
    rng = np.random.default_rng(0)
    svg = ElementTree.fromstring(reliability(calibration(rng.random(99_999), rng.random(99_999), 0.5)))
    for item in svg.iter("text"):
        assert 0 < float(item.attrib["x"]) <= 420 and 8 < float(item.attrib["y"]) < 260
    assert reliability([]).startswith("<svg")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("paper", ["#ffffff", "#1d2226"])
def test_lines_stand_out_on_light_and_dark_paper(colour: str, paper: str) -> None:
    low, high = sorted([luminance(colour), luminance(paper)])
    assert (high + 0.05) / (low + 0.05) >= 3


def test_labels_do_not_run_into_each_other() -> None:
    """Neither into the name of the axis: two rows where one has no room."""
    names = ["found", "wrong", "label", "missed"]
    drawing = curves([{"frame": 0, **dict.fromkeys(names, 1)}, {"frame": 9, **dict.fromkeys(names, 2)}], names,
                     x="frame", size=(260, 420))  # fmt: skip
    placed = [
        (float(x), float(y), text) for x, y, text in re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(\w+)<', drawing)
    ]
    placed = [one for one in placed if one[2] in names]
    assert len(placed) == 4
    begins = 420 - 14 - 7.4 * len("frame")  # of the axis's name, which ends at the right
    for x, y, text in placed:
        assert x + 7.4 * len(text) < begins
        assert all(other[1] != y or other[0] >= x + 7.4 * len(text) for other in placed if other[0] > x)


@pytest.mark.parametrize("epochs", [1, 2, 4, 9])
def test_there_are_no_halves_of_an_epoch(epochs: int) -> None:
    rows = [{"epoch": i + 1, "loss": 0.1 / (i + 1)} for i in range(epochs)]
    svg = curves(rows, ["loss"])
    assert not re.search(r">\d+\.5<", svg) and all(f">{i}<" in svg for i in (1, epochs) if epochs < 5)
