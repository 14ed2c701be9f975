"""Where results go: nothing is written over, and the user's own folder holds the figures themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaname.reporting.results import print_table, publish, results_folder


def leave(place: Path, name: str, settings: dict[str, Any]) -> Path:
    folder = place / name
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"settings": settings}), encoding="utf-8")
    (folder / "report.html").write_text(f"page of {name}", encoding="utf-8")
    return folder


def test_a_folder_for_each_model_and_data(tmp_path: Path) -> None:
    model, data = tmp_path / "run" / "best.pt", tmp_path / "dials"
    place = results_folder(model, data)
    assert place == tmp_path / "run" / "evaluation" / "best-dials"
    leave(place, "val", {"source": "best.pt", "data": (data / "val").as_posix()})
    assert results_folder(model, data) == place, "the same once more"
    other = tmp_path / "elsewhere" / "dials"
    assert results_folder(model, other).name == "best-dials-2", "other data of this name"
    leave(results_folder(model, other), "val", {"source": "best.pt", "data": other.as_posix()})
    assert results_folder(model, other).name == "best-dials-2"
    assert results_folder(model.with_suffix(".onnx"), data).name == "best-dials-3", "another file of this name"


def test_another_set_of_one_name_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    model, data = tmp_path / "best.pt", tmp_path / "match"
    place = results_folder(model, data, {"test": {"games": ["game1"]}})
    leave(place, "test", {"source": "best.pt", "data": data.as_posix(), "games": ["game1"]})
    assert results_folder(model, data, {"test": {"games": ["game1"]}}) == place
    assert results_folder(model, data, {"val": {"games": ["game2"]}}) == place, "another name stands beside it"
    assert results_folder(model, data, {"test": {"games": ["game2"]}}).name == "best-match-2"


def test_predictions_of_an_evaluation_do_not_nest(tmp_path: Path) -> None:
    """Scored again and again, and from a folder of the user's: one folder, called by where they lay."""
    data = tmp_path / "dials"
    place = leave(results_folder(tmp_path / "run" / "best.pt", data), "val", {})
    again = results_folder(place / "points.json", data)
    assert again == tmp_path / "run" / "evaluation" / "best-dials-val-points-dials"
    folder = leave(again, "val", {"source": "points.json", "data": data.as_posix()})
    assert results_folder(place / "points.json", data) == again
    assert results_folder(folder / "points.json", data).parent == again.parent
    own = leave(tmp_path / "mine", "val", {})
    (tmp_path / "mine" / "metrics.json").write_text("{}", encoding="utf-8")
    assert results_folder(own / "points.json", data) == tmp_path / "evaluation" / "mine-val-points-dials"
    assert results_folder(tmp_path / "predicted" / "points.json", data).parent == tmp_path / "predicted" / "evaluation"


def test_a_file_that_is_no_result_is_not_written_over(tmp_path: Path) -> None:
    place = results_folder(tmp_path / "best.pt", tmp_path / "data")
    folder = leave(place, "val", {})
    (folder / "metrics.json").write_text("[]", encoding="utf-8")
    assert results_folder(tmp_path / "best.pt", tmp_path / "data") != place


@pytest.mark.parametrize("whole", [True, False])
def test_the_users_folder_holds_the_figures_of_the_most_telling_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: bool
) -> None:
    for name in ("train", "val"):
        leave(tmp_path, name, {"set": name})
    publish(tmp_path, ["train", "val"], headline="train", whole=whole)
    said = capsys.readouterr().out
    assert str(tmp_path / "train") in said and str(tmp_path / "val") in said
    assert (tmp_path / "metrics.json").is_file() == (tmp_path / "report.html").is_file() == whole
    if whole:
        assert (tmp_path / "metrics.json").read_text() == (tmp_path / "train" / "metrics.json").read_text()
        assert (tmp_path / "report.html").read_text() == "page of train"


def test_columns_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([["group", "f1"], ["a", "0.5 [0.1, 0.9]"], ["longer name", ""]])
    assert capsys.readouterr().out == "group        f1\na            0.5 [0.1, 0.9]\nlonger name\n"
