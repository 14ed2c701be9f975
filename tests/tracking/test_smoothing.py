"""Smoothing as commands ask for it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kaname.errors import InputError
from kaname.tracking.smoothing import Smoothing
from kaname.tracking.trajectory import DETECTED, FILLED, Row

SIZES = {"a": (100, 200), "b": (100, 200)}


def rows(clip: str, scores: list[float]) -> list[Row]:
    return [Row(number, 0, 10.0 + 4 * number, 50.0, score, DETECTED, clip) for number, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("values", "words"),
    [({"name": "butter"}, "butter.*none, kalman, inpaint"), ({"max_gap": -1}, "--max-gap"),
     ({"fastest": 0.0}, "--fastest"), ({"fastest": math.nan}, "--fastest")],
)  # fmt: skip
def test_settings_that_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Smoothing(**values)


def test_clips_are_smoothed_apart_and_filled_places_count() -> None:
    """A low score is a gap; what fills it scores just above the threshold; other clips do not help."""
    table = [*reversed(rows("a", [0.9, 0.9, 0.2, 0.9, 0.9])), *rows("b", [0.2, 0.9, 0.9])]
    assert Smoothing().of_clips(table, SIZES, 0.5) == table
    found = Smoothing("inpaint").of_clips(table, SIZES, 0.5)
    assert [(row.clip, row.frame) for row in found] == [("a", n) for n in range(5)] + [("b", n) for n in range(3)]
    assert found[2].source == FILLED and found[2].score > 0.5 and (found[2].x, found[2].y) == pytest.approx((18, 50))
    assert not found[5].there and found[6].there
    late = Smoothing("inpaint").of_clips(table, SIZES, 0.8)[2]
    assert late.source == FILLED and 0.8 < late.score < 0.80001
    assert not Smoothing("inpaint", max_gap=0).of_clips(table, SIZES, 0.5)[2].there
