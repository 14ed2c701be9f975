from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.recipes.gauge.reading import read_points
from kaname.samples.gauge import render
from kaname.samples.photograph import Dial
from kaname.types import Points

COUNTS = {"plain": 30, "full": 40, "world": 60}


@pytest.fixture(scope="module")
def dials() -> dict[str, list[Dial]]:
    return {
        variety: [render(np.random.default_rng([9, index]), 160, variety=variety) for index in range(count)]
        for variety, count in COUNTS.items()
    }


def points_of(dial: Dial, noise: float = 0.0, seed: int = 0) -> Points:
    """What a model answers that errs by ``noise`` pixels at 448."""
    rng = np.random.default_rng(seed)
    xy = {**dial.points, **dial.needle}
    xy["middle"] = np.concatenate([dial.points[name] for name in ("start", "middle", "end")])
    moved = {name: one + rng.normal(0, 1, one.shape) * noise * 160 / 448 for name, one in xy.items()}
    return Points(moved, {name: np.ones(len(one)) for name, one in moved.items()}, (160, 160))


def without(points: Points, *names: str) -> Points:
    """The same with nothing found of these names."""
    return replace(points, xy={**points.xy, **{name: np.zeros((0, 2)) for name in names}})


def errors(dials: list[Dial], noise: float = 0.0, *left_out: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each dial with an answer the error over the range, and the confidence."""
    found = []
    for index, dial in enumerate(dials):
        reading = read_points(without(points_of(dial, noise, index), *left_out), 0, 1)
        if reading.share is not None:
            found.append((abs(reading.share - dial.reading), reading.confidence))
    return np.array(found)[:, 0], np.array(found)[:, 1]


@pytest.mark.parametrize(
    ("variety", "noise", "median", "percentile"),
    [
        ("plain", 0, 0.0005, 0.004), ("plain", 2, 0.005, 0.02),
        ("full", 0, 0.0015, 0.008), ("full", 2, 0.006, 0.02),
        ("world", 0, 0.002, 0.04), ("world", 2, 0.009, 0.08),
    ],
)  # fmt: skip
def test_error_over_the_range(
    dials: dict[str, list[Dial]], variety: str, noise: float, median: float, percentile: float
) -> None:
    """Exact points, and points 2 px off at 448."""
    off, _ = errors(dials[variety], noise)
    assert len(off) >= 0.96 * len(dials[variety])
    assert np.median(off) < median and np.percentile(off, 95) < percentile


def test_more_confidence_means_a_smaller_error(dials: dict[str, list[Dial]]) -> None:
    off, sure = errors(dials["world"], 2)
    ranks = [np.argsort(np.argsort(values)) for values in (sure, off)]
    assert np.corrcoef(*ranks)[0, 1] < -0.2
    better = sure >= np.median(sure)
    assert off[better].mean() < 0.5 * off[~better].mean()
    assert ((sure >= 0) & (sure <= 1)).all()


def test_what_is_missing_costs_confidence(dials: dict[str, list[Dial]]) -> None:
    whole = errors(dials["plain"])[1].mean()
    for left_out in (("start",), ("end",), ("start", "end"), ("needle_pivot",)):
        off, sure = errors(dials["plain"], 0, *left_out)
        assert np.median(off) < 0.01, left_out
        assert sure.mean() < 0.85 * whole, left_out


def test_the_ellipse_stands_in_for_the_pivot(dials: dict[str, list[Dial]]) -> None:
    off, _ = errors(dials["full"], 0, "needle_pivot")
    assert np.median(off) < 0.006


@pytest.fixture
def dial() -> Points:
    """Eleven notches over 270 degrees, open below; the needle shows three tenths."""
    around = np.radians(135 + 27.0 * np.arange(11))
    notches = 100 + 80 * np.stack([np.cos(around), np.sin(around)], axis=1)
    angle = np.radians(135 + 81)
    tip = np.array([[100 + 70 * np.cos(angle), 100 + 70 * np.sin(angle)]])
    xy = {"start": notches[:1] + 0.5, "middle": notches, "end": notches[-1:] - 0.5}
    xy |= {"needle_tip": tip, "needle_pivot": np.array([[100.0, 100.0]])}
    return Points(xy, {name: np.ones(len(one)) for name, one in xy.items()}, (200, 200))


def test_a_value_in_its_unit(dial: Points) -> None:
    reading = read_points(dial, 0, 1.6, "MPa")
    assert reading.value == pytest.approx(0.48, abs=1e-3) and reading.share == pytest.approx(0.3, abs=1e-3)
    assert reading.unit == "MPa" and str(reading).startswith("0.48 MPa (confidence ")
    np.testing.assert_allclose(reading.notches, dial.xy["middle"])
    assert reading.steps.tolist() == list(range(11)) and reading.confidence > 0.8
    assert reading.ellipse is not None and reading.ellipse.radius == pytest.approx(80, rel=1e-3)


def test_a_falling_scale(dial: Points) -> None:
    assert read_points(dial, 10, -10).value == pytest.approx(4, abs=0.02)


def test_start_and_end_that_the_map_of_all_notches_lacks(dial: Points) -> None:
    some = replace(dial, xy={**dial.xy, "middle": dial.xy["middle"][1:-1]})
    some = replace(some, scores={**dial.scores, "middle": np.ones(9)})
    reading = read_points(some, 0, 10)
    assert reading.value == pytest.approx(3, abs=0.05) and len(reading.notches) == 11


def test_scores_count(dial: Points) -> None:
    doubtful = replace(dial, scores={**dial.scores, "needle_tip": np.array([0.2])})
    assert read_points(doubtful, 0, 1).confidence < 0.8 * read_points(dial, 0, 1).confidence


@pytest.mark.parametrize(("angle", "share"), [(121.5, -0.05), (58.5, 1.05), (85, None), (135, 0), (45, 1)])
def test_beyond_the_ends(dial: Points, angle: float, share: float | None) -> None:
    """At rest a little below zero it is read on; in the middle of the gap there is no answer."""
    tip = 100 + 70 * np.array([[np.cos(np.radians(angle)), np.sin(np.radians(angle))]])
    reading = read_points(replace(dial, xy={**dial.xy, "needle_tip": tip}), 0, 1)
    if share is None:
        assert reading.value is None and reading.reason == "the needle points into the gap of the scale"
    else:
        assert reading.share == pytest.approx(share, abs=2e-3)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("sweep", [90, 180])
def test_few_notches_about_the_pivot(count: int, sweep: float) -> None:
    """Quarter and half circles, the pivot in their corner."""
    around = np.radians(np.linspace(180, 180 + sweep, count))
    notches = np.array([190, 190]) + 150 * np.stack([np.cos(around), np.sin(around)], axis=1)
    angle = np.radians(180 + sweep * 0.4)
    xy = {"start": notches[:1], "middle": notches, "end": notches[-1:]}
    xy |= {"needle_tip": np.array([[190 + 120 * np.cos(angle), 190 + 120 * np.sin(angle)]])}
    xy["needle_pivot"] = np.array([[190.0, 190.0]])
    reading = read_points(Points(xy, {name: np.ones(len(one)) for name, one in xy.items()}, (200, 200)), 0, 10)
    assert reading.value == pytest.approx(4, abs=0.02)


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (("needle_tip",), "no needle tip was found"),
        (("start", "middle", "end"), "no notches were found"),
        (("middle", "end"), "only one notch was found"),
        (("middle", "needle_pivot"), "only 2 notches and no pivot were found"),
    ],
)
def test_an_empty_answer_says_why(dial: Points, left_out: tuple[str, ...], reason: str) -> None:
    reading = read_points(without(dial, *left_out), 0, 1)
    assert (reading.value, reading.share, reading.confidence, reading.reason) == (None, None, 0.0, reason)
    assert str(reading) == f"no answer: {reason}"


@pytest.mark.parametrize(("low", "high"), [(1, 1), (0, float("nan")), (float("-inf"), 0)])
def test_a_range_that_is_none(dial: Points, low: float, high: float) -> None:
    with pytest.raises(InputError, match="range"):
        read_points(dial, low, high)


def test_a_model_without_the_needle(dial: Points) -> None:
    bare = {name: xy for name, xy in dial.xy.items() if not name.startswith("needle")}
    with pytest.raises(InputError, match=r"finds no needle.*--needle"):
        read_points(Points(bare, dial.scores, dial.size), 0, 1)
