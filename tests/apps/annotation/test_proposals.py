"""The one place where a model is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kaname.apps.annotation.proposals import predictor_of
from kaname.errors import InputError
from kaname.types import Masks, Points


def stand_in(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Any]:
    asked: list[Any] = []

    def predict(image: Any, boxes: Any = None) -> Any:
        asked.append(boxes)
        return answer if boxes is None else [answer]

    monkeypatch.setattr("kaname.loading.load", lambda path: SimpleNamespace(predict=predict))
    return asked


def test_points_come_in_the_order_of_the_skeleton(monkeypatch: pytest.MonkeyPatch) -> None:
    xy = {"b": np.array([[3.0, 4.0]]), "a": np.array([[1.5, 2.5]]), "c": np.zeros((0, 2))}
    asked = stand_in(monkeypatch, Points(xy, {"b": np.array([0.7]), "a": np.array([0.9]), "c": np.zeros(0)}, (10, 10)))
    predict = predictor_of(Path("x.pth"), ("a", "b", "c"))
    for box in (None, (10.0, 20.0, 30.0, 40.0)):
        points, scores = predict(np.zeros((10, 10, 3), np.uint8), box)
        assert points[:2].tolist() == [[1.5, 2.5], [3.0, 4.0]] and np.isnan(points[2]).all()
        assert scores.tolist() == [0.9, 0.7, 0.0]
    assert asked == [None, [[10.0, 20.0, 40.0, 60.0]]], "corners, as every model takes boxes"


def test_other_models_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    stand_in(monkeypatch, Points({"a": np.zeros((1, 2))}, {"a": np.zeros(1)}, (10, 10)))
    with pytest.raises(InputError, match="1 points, the skeleton 2"):
        predictor_of(Path("x.pth"), ("a", "b"))(image, None)
    stand_in(monkeypatch, Masks(np.zeros((0, 3, 1, 1), np.float32), np.zeros((0, 4)), ["x"], (10, 10)))
    with pytest.raises(InputError, match="another kind"):
        predictor_of(Path("x.pth"), ("a", "b"))(image, None)
