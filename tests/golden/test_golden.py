"""Files that earlier versions wrote open with ``kaname.load`` and answer as they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaname
from kaname.inference.card import VERSION, grid_of, heads_of, inputs_of, view_of
from kaname.types import Points, Tracks

HERE = Path(__file__).parent
FILES = sorted(path for path in HERE.iterdir() if path.suffix in (".pt", ".onnx"))
TOLERANCE = 1e-4
POINT_PX = 1e-2  # a point follows its map, and the maps are flat


def picture() -> np.ndarray:
    """A bright dial with a dark needle on grey, 90 x 130."""
    y, x = np.mgrid[:90, :130] + 0.5
    away = np.hypot(x - 70, y - 42)
    image = np.where(away < 34, 220, 90) - 120 * ((np.abs(x - y - 28) < 3) & (away < 30))
    return np.stack([image, image * 0.9, image * 0.8], axis=2).astype(np.uint8)


def frames(count: int = 5) -> list[np.ndarray]:
    """A yellow ball that flies over green, 54 x 96."""
    y, x = np.mgrid[:54, :96] + 0.5
    found = []
    for number in range(count):
        ball = np.hypot(x - 20 - 12 * number, y - 15 - 4 * number) < 3
        found.append(np.where(ball[..., None], (240, 230, 60), (40, 120, 50)).astype(np.uint8))
    return found


def listed(points: Points) -> dict[str, Any]:
    return {name: [*points.xy[name].round(5).tolist(), points.scores[name].round(6).tolist()] for name in points.xy}


def answers(path: Path) -> dict[str, Any]:
    """What a file finds, as plain values."""
    model = kaname.load(path, runtime="auto" if path.suffix == ".onnx" else "cpu")
    if model.of_video:
        maps, found = model.maps(np.concatenate(frames(model.frames), axis=2)), model.predict(frames())
        assert isinstance(found, Tracks)
        points = [listed(one) for one in found.points]
    else:
        maps, found = model.maps(picture()), model.predict(picture())
        assert isinstance(found, Points)
        points = [listed(found)]
    return {"shape": list(maps.shape), "cells": maps[:, ::8, ::8].ravel().round(7).tolist(), "points": points}


def test_all_files_are_here() -> None:
    assert {path.name for path in FILES} == set(json.loads((HERE / "answers.json").read_text("utf-8")))
    assert sum(path.stat().st_size for path in FILES) < 3_000_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_old_file_answers_as_it_did(path: Path) -> None:
    wanted, found = json.loads((HERE / "answers.json").read_text("utf-8"))[path.name], answers(path)
    assert found["shape"] == wanted["shape"]
    np.testing.assert_allclose(found["cells"], wanted["cells"], atol=TOLERANCE, rtol=0)
    assert any(rows[:-1] for one in wanted["points"] for rows in one.values()), "it finds something"
    for one, other in zip(found["points"], wanted["points"], strict=True):
        assert one.keys() == other.keys()
        for name, rows in other.items():
            assert len(one[name]) == len(rows)
            np.testing.assert_allclose(one[name][-1], rows[-1], atol=TOLERANCE, rtol=0)
            np.testing.assert_allclose(one[name][:-1], rows[:-1], atol=POINT_PX, rtol=0)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_old_card_says_what_a_new_one_says(path: Path) -> None:
    card = kaname.load(path).card
    assert card["version"] == VERSION
    assert view_of(card).fit == "letterbox" and list(view_of(card).input_size) == card["input_size"]
    assert list(heads_of(card)) == ["heatmaps"] and heads_of(card)["heatmaps"].activation == "sigmoid"
    assert heads_of(card)["heatmaps"].channels == card["channels"]
    assert inputs_of(card)["images"].shape == [None, None, 3 * card.get("frames", 1)]
    assert grid_of(card).stride_yx == tuple(
        a / b for a, b in zip(card["input_size"], card["heatmap_size"], strict=True)
    )
