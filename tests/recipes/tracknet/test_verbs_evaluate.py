"""The verb ``evaluate``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import without_torch
from kaname.apps.compare import compare
from kaname.tracking.table import read_rows, write_rows
from kaname.tracking.trajectory import DETECTED, Row
from recipes.tracknet.clips import TINY, call, flight, write_clip
from recipes.tracknet.conftest import Trained


@pytest.fixture(scope="module")
def scored(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model on its test game."""
    out = tmp_path_factory.mktemp("scored")
    call("evaluate", "--checkpoint", trained.model, "--out", out).done()
    return out


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def test_the_model_on_its_own_test_game(scored: Path) -> None:
    found = metrics(scored)
    settings = found["settings"]
    assert settings["set"] == "test" and settings["games"] == ["game4"] and settings["frames"] == 16
    assert settings["absent"] == "negative" and settings["occluded_counts_as_absent"] is False
    assert settings["detect"] == {"method": "dark", "score_threshold": 0.5, "tolerance": 4.0}
    assert settings["intervals"].startswith("95 % bootstrap over blocks")
    assert found["all"]["f1_4px"]["value"] > 0.9 and found["all"]["l2_median_px"]["value"] < 2
    assert {"easy", "hard", "occluded", "absent", "flying"} <= set(found) and found["absent"]["tn_4px"]["n"] == 4
    rows = read_rows(scored / "test" / "predictions.csv")
    assert len(rows) == 16 and {row.clip for row in rows} == {"game4/Clip1"} and rows[3].file == "0003.png"
    text = (scored / "metrics.json").read_text(encoding="utf-8")
    assert text.split() == json.dumps(found, indent=1, sort_keys=True).split() and "NaN" not in text


def test_predictions_score_alike_without_torch(trained: Trained, scored: Path, tmp_path: Path) -> None:
    words = ["--data", trained.data, "--predictions", scored / "test" / "predictions.csv", "--out", tmp_path]
    answer = without_torch([["tracknet", "evaluate", *words]])[0].done()
    ours, theirs = metrics(scored), metrics(tmp_path)
    assert {name: value for name, value in ours.items() if name != "settings"} == {
        name: value for name, value in theirs.items() if name != "settings"
    }
    assert theirs["settings"]["absent"] == "negative", "the report names what the model was trained with"
    assert "absent: negative" in answer.out and "f1_4px" in answer.out
    assert theirs["settings"]["model"] == ours["settings"]["model"]


def test_settings_change_the_figures(trained: Trained, scored: Path, tmp_path: Path) -> None:
    words = (
        "evaluate",
        "--overwrite",
        "--data",
        trained.data,
        "--predictions",
        scored / "test" / "predictions.csv",
        "--out",
        tmp_path,
    )
    call(*words, "--tolerance", 0.01).done()
    found = metrics(tmp_path)
    assert found["all"]["f1_0.01px"]["value"] < found["all"]["f1_5px"]["value"]
    call(*words, "--score-threshold", 0.99999).done()
    assert metrics(tmp_path)["all"]["recall_4px"]["value"] == 0
    call(*words, "--occluded-absent").done()
    assert metrics(tmp_path)["settings"]["occluded_counts_as_absent"] is True
    call(*words, "--smooth", "inpaint").done()
    assert metrics(tmp_path)["settings"]["smooth"] == "inpaint"
    call(*words, "--method", "argmax").refused("--method belongs to prediction")
    call(*words, "--tolerance", -1).refused("tolerance")
    call(*words, "--split", "val").refused("no row for frame 0 of game3/Clip1")


def test_the_method_is_written_down(trained: Trained, tmp_path: Path) -> None:
    words = ("evaluate", "--checkpoint", trained.model, "--out", tmp_path, "--method", "argmax", "--split", "val")
    call(*words, "--data", trained.data).done()
    assert metrics(tmp_path)["settings"]["detect"]["method"] == "argmax"
    stored = json.loads((tmp_path / "val" / "predictions.json").read_text(encoding="utf-8"))
    assert stored["detect"]["method"] == "argmax" and stored["absent"] == "negative"


def test_sets_and_overrides(trained: Trained, tmp_path: Path) -> None:
    words = ("evaluate", "--checkpoint", trained.model, "--out", tmp_path, "--overwrite")
    call(*words, "data.split.test_games=[1]").done()
    assert metrics(tmp_path)["settings"]["games"] == ["game1"]
    call(*words, "--split", "all").done()
    assert metrics(tmp_path)["settings"]["clips"] == 4
    call(*words, "data.split.test_game=[1]").refused("test_game", "test_games")
    call(*words, "model.freeze=all").refused("model.freeze")
    call(*words, "--data", trained.data, "detect.tolerance=9").refused("detect.tolerance")
    call(*words, "--data", trained.data, "occluded_absent=true").done()
    assert metrics(tmp_path)["settings"]["occluded_counts_as_absent"] is True
    call("evaluate", "--data", trained.data).refused("either --checkpoint or --predictions")
    call("evaluate", "--predictions", tmp_path / "test" / "predictions.csv").refused("give --data")
    call(*words, "--data", tmp_path / "none").refused("none")


def test_smoothing_scores_filled_places(tmp_path: Path) -> None:
    """A gap in perfect answers costs recall, a filled one none; the order of rows does not matter."""
    truth = flight(12, 3)
    write_clip(tmp_path / "data" / "game1" / "Clip1", truth, visibility=[1] * 9 + [0] * 3)
    rows = [Row(number, 0, *place, 0.9, DETECTED) for number, place in enumerate(truth[:9])]
    rows[4] = Row(4, 0, float("nan"), float("nan"), 0.1, "")
    rows += [Row(number, 0, float("nan"), float("nan"), 0.1, "") for number in (9, 10, 11)]
    write_rows(tmp_path / "ball.csv", rows)
    words = (
        "evaluate",
        "--data",
        tmp_path / "data",
        "--predictions",
        tmp_path / "ball.csv",
        "--out",
        tmp_path / "out",
        "--overwrite",
    )
    for smooth, recall, wrong in (("none", 8 / 9, 0), ("inpaint", 1.0, 0), ("kalman", 1.0, 3)):
        rows.reverse()
        write_rows(tmp_path / "ball.csv", rows)
        call(*words, "--smooth", smooth).done()
        found = metrics(tmp_path / "out")["all"]
        assert found["recall_4px"]["value"] == pytest.approx(recall), smooth
        assert found["fp2_4px"]["value"] <= wrong


def test_an_evaluation_is_compared_as_it_was_scored(trained: Trained, tmp_path: Path) -> None:
    """Smoothed, with its own threshold and tolerance, and with occluded balls as none."""
    how = ("--smooth", "inpaint", "--score-threshold", 0.2, "--tolerance", 6, "--occluded-absent")
    call("evaluate", "--checkpoint", trained.model, "--data", trained.data, "--out", tmp_path, *how).done()
    compare(tmp_path, tmp_path)
    made = json.loads(next(tmp_path.rglob("compare.json")).read_text(encoding="utf-8"))
    assert made["settings"]["smooth"] == metrics(tmp_path)["settings"]["smooth"] == "inpaint"
    assert made["settings"]["occluded_counts_as_absent"] is True
    for name in ("precision_6px", "recall_6px", "f1_6px", "accuracy_6px"):
        assert made["all"][name]["a"] == pytest.approx(metrics(tmp_path)["all"][name]["value"]), name


def test_a_clip_shorter_than_the_window_is_scored(trained: Trained, tmp_path: Path) -> None:
    write_clip(tmp_path / "data" / "game1" / "Clip1", flight(2, 0))
    words = ("evaluate", "--checkpoint", trained.model, "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert "2 frames are fewer than the 3" in call(*words).done().err
    assert sum(metrics(tmp_path / "out")["all"][f"{name}_4px"]["value"] for name in ("tp", "fp1", "fn")) == 2


def test_a_broken_frame_leaves_no_figures(trained: Trained, tmp_path: Path) -> None:
    data = shutil.copytree(trained.data, tmp_path / "data")
    victim = data / "game4" / "Clip1" / "0009.png"
    victim.write_bytes(victim.read_bytes()[:300])
    words = ("evaluate", "--checkpoint", trained.model, "--data", data, "--out", tmp_path / "out")
    call(*words).refused("0009.png")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_both_policies_are_named(dots: Path, tmp_path: Path) -> None:
    call("train", "--data", dots, *TINY, "--epochs", 1, "--limit", 4, "--out-dir", tmp_path / "run").done()
    answer = call("evaluate", "--checkpoint", tmp_path / "run" / "best.pt", "--out", tmp_path / "out").done()
    assert metrics(tmp_path / "out")["settings"]["absent"] == "mask" and "absent: mask" in answer.out
