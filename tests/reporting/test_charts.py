from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from kaname.metrics.calibration import calibration
from kaname.reporting.charts import reliability
from kaname.reporting.curves import COLOURS


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
