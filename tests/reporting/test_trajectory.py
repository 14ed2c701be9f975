"""The picture of a way through a video: one mark for each row, at its place, and a file of a bounded length."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from kaname.reporting.trajectory import MARKS, trajectory

SIZE = (720, 1280)


def drawn(svg: str) -> dict[str, list[list[tuple[float, float]]]]:
    """Places of each kind's marks in the panels of x and of y."""
    root = ElementTree.fromstring(svg)
    panels = [child for child in root if child.tag.endswith("}g")]
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for kind, (mark, look) in MARKS.items():
        lines = [one for panel in panels for one in panel if one.get("stroke") == look["stroke"]]
        paths = [line.get("d", "") for line in lines if line.get("d", "").endswith(mark)]
        found[kind] = [
            [(float(x), float(y)) for x, y in re.findall(r"M([\d.-]+) ([\d.-]+)" + re.escape(mark), path)]
            for path in paths
        ]
    return found


def test_each_row_has_a_mark_of_its_kind() -> None:
    detected = np.array([[0.0, 0.0, 720.0], [1.0, 640.0, 360.0], [2.0, 1280.0, 0.0]])
    rows = {
        "detected": detected,
        "filled": detected[:1] + np.array([0.5, 10, -10]),
        "static, left out": detected[:2] + np.array([0.25, 0, -9]),
    }
    svg = trajectory(rows, SIZE, title="a <b> & c.mp4")
    found = drawn(svg)
    assert [len(one) for one in found["detected"]] == [3, 3] and [len(one) for one in found["filled"]] == [1, 1]
    assert [len(one) for one in found["static, left out"]] == [2, 2] and found["jump, left out"] == []
    across, down = found["detected"]
    assert across[0][1] > across[1][1] > across[2][1], "x rises upwards"
    assert down[0][1] > down[1][1] > down[2][1], "y = 0 is above, as in the picture"
    assert np.diff([x for x, _ in across]).tolist() == [across[1][0] - across[0][0]] * 2, "time is even"
    text = "".join(ElementTree.fromstring(svg).itertext())
    assert "detected: 3" in text and "filled: 1" in text and "static, left out: 2" in text and "jump" not in text
    assert "a <b> & c.mp4" in text and "seconds" in text


def test_nothing_at_all_is_a_picture_too() -> None:
    for rows in ({}, {"detected": np.zeros((0, 3))}, {"detected": np.array([[3.0, 1, 1]])}):
        assert ElementTree.fromstring(trajectory(rows, SIZE)).tag.endswith("svg")


def test_hours_make_no_long_file() -> None:
    count = 100_000
    random = np.random.default_rng(0)
    rows = np.column_stack([np.arange(count) / 25, np.full(count, 300.0), random.normal(360, 2, count)])
    svg = trajectory({"detected": rows}, SIZE)
    assert len(svg) < 100_000 and "minutes" in svg
