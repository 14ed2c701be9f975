"""The optional channels of the needle: labels in, targets, a head of its own, points out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kaname
from kaname.data.formats import labelstudio
from kaname.errors import InputError
from kaname.pipeline.train import run
from kaname.recipes.gauge import NEEDLE, RECIPE
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig, ModelSettings
from kaname.recipes.gauge.data import Dials
from kaname.recipes.gauge.evaluate import score
from kaname.recipes.gauge.labels import read, training_sets
from kaname.recipes.gauge.predictions import write as write_predictions
from kaname.recipes.gauge.step import step_of
from kaname.samples.gauge import LABELS, render, write
from kaname.samples.photograph import reading
from kaname.training.settings import RunOptions, TrainSettings
from kaname.types import Batch, Points, Prediction


def config(data: Path, **changes: Any) -> GaugeConfig:
    model = ModelSettings("small:8", pretrained=False, decoder="fpn", freeze=False)
    train = TrainSettings(epochs=1, batch_size=2, num_workers=0, precision="fp32", logger="none")
    return replace(GaugeConfig(data=data, size=64, needle=True, model=model, train=train), **changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("needle") / "data", 6, 3, size=96, variety="plain", processes=1)


def test_rendered_labels_hold_the_needle(data: Path) -> None:
    dials = read(data / "train")
    for number, dial in enumerate(dials):
        truth = render(np.random.default_rng([3, number]), 96, variety="plain")
        assert dial.points is not None
        for name in NEEDLE:
            np.testing.assert_allclose(dial.points[name], truth.needle[name], atol=0.02)


def test_targets_peak_at_the_needle(data: Path) -> None:
    dials = read(data / "train")
    row = Dials(config(data), dials, augment=False).sample(0, -1)
    assert row["needle"].shape == (2, 64, 64) and row["needle_known"].ravel().tolist() == [1, 1]
    assert dials[0].points is not None
    for name, heatmap in zip(NEEDLE, row["needle"], strict=True):
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        np.testing.assert_allclose([x + 0.5, y + 0.5], dials[0].points[name][0] * 64 / 96, atol=0.75)


def test_a_dial_without_these_labels_does_not_count(data: Path) -> None:
    """Its loss of the needle's maps is 0, whatever the network answers; the notches count as before."""
    dials = read(data / "train")
    bare = [replace(one, points={**(one.points or {}), "needle_tip": np.zeros((0, 2))}) for one in dials[:1]]
    both, half = (Dials(config(data), chosen, augment=False).sample(0, -1) for chosen in (dials, bare))
    assert half["needle_known"].ravel().tolist() == [0, 1]
    model, terms = RECIPE.build(config(data)).eval(), []
    for row in (both, half):
        arrays = {name: torch.from_numpy(np.asarray(value)[None]) for name, value in row.items()}
        images = {"images": arrays.pop("images").permute(0, 3, 1, 2)}
        with torch.no_grad():
            terms.append(step_of(config(data))(model, Batch(images, arrays, torch.arange(1))).terms)
    assert float(terms[1]["needle"].weight) == float(terms[0]["needle"].weight) / 2
    assert float(terms[1]["bce"].sum) == float(terms[0]["bce"].sum)


@pytest.mark.parametrize("decoder", ["fpn", "linear"])
def test_trained_with_the_needle_it_answers_five_names(data: Path, tmp_path: Path, decoder: Any) -> None:
    chosen = config(data, model=ModelSettings("small:8", pretrained=False, decoder=decoder, freeze=False))
    run(RECIPE, chosen, RunOptions(out_dir=tmp_path / "run"))
    answer = kaname.load(tmp_path / "run" / "model.pt").predict(np.zeros((50, 80, 3), np.uint8))
    assert list(answer.xy) == ["start", "middle", "end", *NEEDLE]
    assert all(len(answer.xy[name]) <= 1 for name in NEEDLE)


def test_data_without_any_such_label_is_refused_where_it_is_asked_for(data: Path, tmp_path: Path) -> None:
    """Its maps would stay as they began, and nothing would say so."""
    for part in ("train", "val"):
        (tmp_path / part / "labels").mkdir(parents=True)
        (tmp_path / part / "images").symlink_to(data / part / "images")
        samples = labelstudio.read(data / part / "labels" / "annotation.json", images=tmp_path / part / "images",
                                   names={label.lower(): name for name, label in LABELS.items()})  # fmt: skip
        bare = [replace(one, points={k: v for k, v in one.points.items() if k not in NEEDLE}) for one in samples]
        labelstudio.write(tmp_path / part / "labels" / "annotation.json", bare, names=LABELS)
    with pytest.raises(InputError, match=r"no training dial has the label 'Needle Tip'.*without --needle"):
        training_sets(config(tmp_path))
    assert len(training_sets(config(tmp_path, needle=False))["train"]) == len(read(data / "train"))


def test_without_it_three_names_as_before(data: Path, tmp_path: Path) -> None:
    run(RECIPE, config(data, needle=False), RunOptions(out_dir=tmp_path / "run"))
    assert list(kaname.load(tmp_path / "run" / "model.pt").predict(np.zeros((64, 64, 3), np.uint8)).xy) == [
        "start", "middle", "end"
    ]  # fmt: skip


def test_two_tips_are_refused_with_what_to_do(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "labels").mkdir(parents=True)
    (folder / "images").symlink_to(data / "train" / "images")
    samples = labelstudio.read(data / "train" / "labels" / "annotation.json", images=folder / "images",
                               names={label.lower(): name for name, label in LABELS.items()})  # fmt: skip
    tips = np.array([[10.0, 10.0], [40.0, 40.0]])
    samples[0] = replace(samples[0], points={**samples[0].points, "needle_tip": tips})
    labelstudio.write(folder / "labels" / "annotation.json", samples, names=LABELS)
    with pytest.raises(InputError, match=r"2 points 'Needle Tip' on one dial.*keep one"):
        read(folder)


@pytest.mark.parametrize("angle", [0, 45, 90, 135, 270, -20, 290])
@pytest.mark.parametrize("mirror", [1, -1])
def test_reading_by_angle(angle: float, mirror: int) -> None:
    """Even steps: the share of the angle, in both senses of rotation, and on beyond the ends."""
    notches = np.array([[np.cos(a), mirror * np.sin(a)] for a in np.radians([0, 90, 180, 270])])
    tip = 0.7 * np.array([np.cos(np.radians(angle)), mirror * np.sin(np.radians(angle))])
    assert reading(notches, tip) == pytest.approx(angle / 270)


def test_reading_counts_steps_not_degrees() -> None:
    """Uneven notches: each step is worth the same."""
    notches = np.array([[np.cos(a), np.sin(a)] for a in np.radians([10, 30, 130])])
    for angle, expected in ((20, 0.25), (30, 0.5), (80, 0.75)):
        tip = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        assert reading(notches, tip) == pytest.approx(expected)


@pytest.mark.parametrize("mirror", [1, -1])
def test_a_step_wider_than_half_a_turn(mirror: int) -> None:
    """The sense of rotation is that in which the scale is less than a turn."""
    notches = np.array([[np.cos(a), mirror * np.sin(a)] for a in np.radians([0, 30, 90, 290])])
    tip = np.array([np.cos(np.radians(190)), mirror * np.sin(np.radians(190))])
    assert reading(notches, tip) == pytest.approx(2.5 / 3)


def test_its_figures_stand_beside_those_of_the_notches(data: Path, tmp_path: Path) -> None:
    """Only dials that have the label count for it; without any such label there is no such group."""
    dials, rows = read(data / "train"), []
    for dial in dials:
        points = {**(dial.points or {})}
        points["middle"] = np.concatenate([points[name] for name in ("start", "middle", "end")])
        points["needle_tip"] = points["needle_tip"] + [3.0, 0.0]
        rows.append(Prediction(dial.source, Points(points, {k: np.ones(len(v)) for k, v in points.items()}, (96, 96))))
    write_predictions(tmp_path / "points.json", rows, {"recipe": "gauge", "model": "", "sigma": 8.0, "extract": {}})
    dials[0] = replace(dials[0], points={**(dials[0].points or {}), "needle_tip": np.zeros((0, 2))})
    groups = score(tmp_path / "points.json", dials, ExtractSettings(), {}).groups
    assert groups["middle"]["f1"]["value"] == 1
    assert groups["needle_tip"]["mean_distance_px"]["value"] == pytest.approx(14, abs=0.1)
    assert groups["needle_tip"]["mean_distance_px"]["n"] == len(dials) - 1
    assert groups["needle_pivot"]["pck"]["value"] == 1 and "note" not in groups["needle_pivot"]["non_assigned"]
    bare = [replace(one, points={k: v for k, v in (one.points or {}).items() if k not in NEEDLE}) for one in dials]
    assert not set(NEEDLE) & set(score(tmp_path / "points.json", bare, ExtractSettings(), {}).groups)


def test_a_needle_that_is_nowhere_found_is_not_perfect(data: Path, tmp_path: Path) -> None:
    dials, nothing = read(data / "train"), np.zeros((0, 2))
    rows = []
    for dial in dials:
        points = {**(dial.points or {}), "needle_tip": nothing, "middle": nothing}
        rows.append(Prediction(dial.source, Points(points, {k: np.ones(len(v)) for k, v in points.items()}, (96, 96))))
    write_predictions(tmp_path / "points.json", rows, {"recipe": "gauge", "model": "", "sigma": 8.0, "extract": {}})
    groups = score(tmp_path / "points.json", dials, ExtractSettings(), {}).groups
    noted = {name for name, figures in groups.items() if figures["non_assigned"].get("note") == "nothing predicted"}
    assert noted == {"middle", "needle_tip"}
