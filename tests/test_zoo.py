"""The scripts that build and judge shipped models: samples of a run, its plan, the table by kind. No training here."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from kaname import config as configuration
from kaname.data.formats import labelstudio
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.config import GaugeConfig
from kaname.recipes.gauge.labels import LABEL_NAMES
from kaname.types import Points, Sample

ZOO = Path(__file__).resolve().parent.parent / "zoo"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"zoo_{name}", ZOO / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_training_pictures_are_new_in_every_epoch_and_the_same_for_whoever_asks() -> None:
    rendered = script("rendered")
    config = GaugeConfig(size=96)
    one, two = (rendered.RenderedDials(config, 8) for _ in range(2))
    first = one.sample(3, 1)
    assert first["images"].shape == (96, 96, 3) and first["images"].dtype == np.uint8
    assert first["heatmaps"].shape == (3, 96, 96) and first["heatmaps"].dtype == np.uint8
    assert all(np.array_equal(first[name], two.sample(3, 1)[name]) for name in first)
    assert not np.array_equal(first["images"], one.sample(3, 2)["images"])
    assert not np.array_equal(first["images"], one.sample(4, 1)["images"])


def test_some_training_pictures_are_empty_and_the_others_have_a_start_and_an_end() -> None:
    samples = script("rendered").RenderedDials(GaugeConfig(size=64), 64, ("glare",))
    peaks = np.array([samples.sample(i, 0)["heatmaps"].max(axis=(1, 2)) for i in range(120)])
    empty = (peaks == 0).all(axis=1)
    assert 0 < empty.sum() < 20
    assert (peaks[~empty] > 150).all()
    maps = samples.sample(int(np.flatnonzero(~empty)[0]), 0)["heatmaps"]
    assert np.array_equal(maps[1], maps.max(axis=0))  # start and end are notches too


def test_pictures_of_faces_and_windows_of_matches_are_samples_of_their_recipes() -> None:
    """Alike whoever asks, new in every epoch; an empty map where there is no point."""
    build, rendered = script("build"), script("rendered")
    for name, count in (("landmark", 28), ("tracknet", 3)):
        recipe, plan = importlib.import_module(f"kaname.recipes.{name}").RECIPE, build.PLANS[name]
        file = build.ROOT / "configs" / name / "small.yaml"
        config = configuration.load(recipe.schema.value, file=file, overrides=list(plan.settings))
        one, two = (rendered.SAMPLES[name](config, 64) for _ in range(2))
        first = one.sample(5, 0)
        assert all(np.array_equal(first[key], two.sample(5, 0)[key], equal_nan=True) for key in first)
        assert not np.array_equal(first["images"], one.sample(5, 1)["images"])
        assert first["heatmaps"].shape[0] == count
        places, known = ("points", "weight") if name == "landmark" else ("ball", "present")
        there = np.isfinite(first[places]).all(axis=1)
        assert (there == (first[known] > 0)).all()
        assert ((first["heatmaps"].max(axis=(1, 2)) > 100) == there).all()


def test_a_plan_is_kept_by_the_runs_that_go_on(tmp_path: Path) -> None:
    build = script("build")
    (tmp_path / "plan.json").write_text(json.dumps({"epochs": 7}), encoding="utf-8")
    options = argparse.Namespace(minutes=1.0, workers=0, without=[])
    assert build.planned(tmp_path, None, None, None, options) == 7


class Perfect:
    """A model that knows the truth of some photographs, and misses the last notch of those of one kind."""

    def __init__(self, truth: list[dict[str, np.ndarray]]) -> None:
        self.truth = truth

    def predict(self, image: np.ndarray) -> Points:
        known = self.truth[int(image[0, 0, 0]) // 20]
        scores = {name: np.ones(len(points)) for name, points in known.items()}
        return Points(known, scores, (image.shape[0], image.shape[1]))


def test_photographs_are_judged_by_kind(tmp_path: Path) -> None:
    judge = script("judge")
    samples, truth = [], []
    (tmp_path / "images").mkdir()
    for number, name in enumerate(("red_one_1", "red_one_2", "blue_1")):
        path = tmp_path / "images" / f"{name}.png"
        cv2.imwrite(str(path), np.full((200, 200, 3), number * 20, np.uint8))
        places = {"start": [[20.0, 150.0]], "middle": [[100.0, 30.0], [150.0, 90.0]], "end": [[180.0, 150.0]]}
        points = {key: np.array(value) for key, value in places.items()}
        samples.append(Sample(path, points, size=(200, 200)))
        found = {**points, "middle": np.concatenate([points[key] for key in CHANNELS])}
        if name.startswith("blue"):
            found |= {"middle": found["middle"][:2], "end": np.zeros((0, 2))}
        truth.append(found)
    labelstudio.write(tmp_path / "annotation.json", samples, names=LABEL_NAMES)
    judged = judge.judge(Perfect(truth), tmp_path)
    table = judge.rows(judged)
    assert list(table) == ["blue (1)", "red_one (2)", "all (3)", "all, by 2 kinds"]
    assert table["red_one (2)"]["F1"]["value"] == 1
    assert table["blue (1)"]["PCK"]["value"] == 0.5
    assert table["blue (1)"]["start/end PCK"]["value"] == 0.5
    assert table["all (3)"]["F1"]["value"] == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert "| blue (1) | 0.67 | 0.50 |" in judge.text(table)
    assert judge.montage(judged).shape == (judge.SIDE, 4 * judge.SIDE, 3)
