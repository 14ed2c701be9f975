"""Whether pictures are unlike those that a shipped model knows; never said of good ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kaname.pipeline.unlike import note, quantiles, surest

OWN = np.random.default_rng(0).normal(0.8, 0.08, 4000).clip(0.05, 1)
CARD: dict[str, Any] = {"recipe": "gauge", "zoo": {"name": "gauge", "scores": quantiles(OWN.tolist())}}


def test_the_score_of_a_picture_is_the_mean_of_what_its_maps_reach() -> None:
    maps = np.zeros((2, 3, 4, 5), np.float32)
    maps[0, 0, 1, 1], maps[0, 2, 3, 4], maps[1, :, 0, 0] = 0.9, 0.3, np.nan
    np.testing.assert_allclose(surest(maps), [0.4, 0], atol=1e-7)
    assert surest(np.zeros((0, 3, 4, 4))).shape == (0,) and surest(np.zeros((2, 9))).shape == (0,)


def test_quantiles_are_those_of_the_scores() -> None:
    kept = CARD["zoo"]["scores"]
    assert kept["pictures"] == 4000 and list(kept["quantiles"]) == ["0.01", "0.05", "0.25", "0.5", "0.75"]
    assert kept["quantiles"]["0.5"] == pytest.approx(np.median(OWN), rel=1e-3)


@pytest.mark.parametrize("count", [1, 3, 5, 10, 40, 2000])
def test_pictures_of_the_models_own_kind_are_hardly_ever_called_unlike(count: int) -> None:
    rng = np.random.default_rng(count)
    said = sum(note(CARD, rng.choice(OWN, count).tolist(), "image") is not None for _ in range(200))
    assert said <= 2


@pytest.mark.parametrize("count", [1, 3, 5, 10, 2000])
def test_pictures_of_another_kind_are(count: int) -> None:
    line = note(CARD, [0.2] * count, "image")
    assert line is not None and "\n" not in line and "`kaname gauge train --init zoo ...`" in line
    assert ("this image is" if count == 1 else f"{count} of {count} images are") in line


def test_a_part_of_many_is_enough_and_a_few_bad_ones_are_not() -> None:
    assert note(CARD, [0.2] * 12 + [0.8] * 18, "image") is not None
    assert note(CARD, [0.2] * 3 + [0.8] * 47, "image") is None
    assert note(CARD, [0.2, 0.8, 0.8], "image") is None
    assert note(CARD, [0.55], "image") is None  # low, and not far below


@pytest.mark.parametrize(
    "card", [{}, {"zoo": {"name": "gauge"}}, {"zoo": {"name": "gauge", "scores": {"quantiles": {}}}}]
)
def test_without_a_reference_nothing_is_said(card: dict[str, Any]) -> None:
    assert note({"recipe": "gauge", **card}, [0.0] * 50, "image") is None


def test_a_model_of_another_name_is_named() -> None:
    assert "--init dials" in str(note({"recipe": "gauge", "zoo": {**CARD["zoo"], "name": "dials"}}, [0.1], "image"))


def test_of_whole_pictures_boxes_are_asked_for_first() -> None:
    for boxless in (True, False):
        line = note(CARD, [0.2], "image", boxless=boxless)
        assert line is not None and ("--boxes, --detector" in line) is boxless
