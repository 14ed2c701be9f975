"""Class weights: from a file of statistics, counted from the annotations, given as numbers, clipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calling import call
from kaname.data.roi_statistics import measure
from kaname.errors import InputError
from kaname.recipes.roimask.analyze import analyze, class_weights_of
from kaname.recipes.roimask.config import WEIGHTS, DataSettings
from recipes.roimask import crowds


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, or one of the documented ones, with what a person wants to know on the screen."""
    path = DataSettings(root=folder / "data").annotations_of("train")
    analyze(path, tmp_path / "found.json")
    said = capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text()) == measure(path, speak=False)
    assert "log weights" in said and "1 crowds" in said
    call("roimask", "analyze", "--data", folder / "data", "--out", tmp_path / "again.json").done()
    assert (tmp_path / "again.json").read_text() == (tmp_path / "found.json").read_text()
    documented = DataSettings(subset="100").annotations_of("train").as_posix()
    assert documented == "data/annotations/instances_train2017_person_only_no_crowd_100.json"
    assert call("roimask", "analyze", "--subset", "200").code == 2


def test_weights_come_from_the_named_file_else_from_the_default_else_are_counted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the kinds are those that the file holds."""
    monkeypatch.chdir(tmp_path)
    counted, said, statistics = class_weights_of(crowds.config_of(folder))
    assert statistics is not None and "counted in" in said
    assert counted == pytest.approx(tuple(statistics["recommended_log_class_weights"].values()))
    analyze(DataSettings(root=folder / "data").annotations_of("train"), tmp_path / "data_analyze.json")
    again, said, _ = class_weights_of(crowds.config_of(folder, loss__class_weights="inverse"))
    assert "data_analyze.json" in said and again == pytest.approx(
        tuple(statistics["recommended_class_weights"].values())
    )
    (tmp_path / "data_analyze.json").unlink()
    path = DataSettings(root=folder / "data").annotations_of("train")
    unsized = json.loads(path.read_text())
    for image in unsized["images"]:
        image |= {"height": 0, "width": 0}
    (tmp_path / "unsized.json").write_text(json.dumps(unsized))
    changed = crowds.config_of(folder, data__annotations=tmp_path / "unsized.json")
    assert class_weights_of(changed)[0] == counted, "sizes that the file does not state are those of the images"
    with pytest.raises(InputError, match="no width and height; write them"):
        analyze(tmp_path / "unsized.json", tmp_path / "x.json")
    analyze(path, tmp_path / "data_analyze.json")
    content = json.loads((tmp_path / "data_analyze.json").read_text())
    content["recommended_log_class_weights"]["target"] = 7.0
    (tmp_path / "mine.json").write_text(json.dumps(content))
    changes = {"loss__statistics": tmp_path / "mine.json", "loss__class_weight_clip": [0.9, 3]}
    clipped, _, _ = class_weights_of(crowds.config_of(folder, **changes))
    assert clipped is not None and clipped[1] == 3 and min(clipped) >= 0.9


def test_numbers_and_none(folder: Path) -> None:
    """As they are; their number must fit the classes."""
    assert class_weights_of(crowds.config_of(folder, loss__class_weights="none"))[0] is None
    assert class_weights_of(crowds.config_of(folder, loss__class_weights="1,2,3"))[0] == (1, 2, 3)
    with pytest.raises(InputError, match="class weights for 3 classes"):
        crowds.config_of(folder, loss__class_weights="1,2")
    with pytest.raises(InputError, match="log-k"):
        crowds.config_of(folder, loss__class_weights="heavy")
    two = class_weights_of(crowds.config_of(folder, classes=2))[0]
    assert two is not None and len(two) == 2 and sum(two) == pytest.approx(2)


@pytest.mark.parametrize("spoilt", ["{}", '{"pixel_ratios": 3}', "[]"])
def test_a_file_that_is_none(folder: Path, tmp_path: Path, spoilt: str) -> None:
    """One line."""
    path = tmp_path / "x.json"
    path.write_text(spoilt)
    with pytest.raises(InputError, match="statistics"):
        class_weights_of(crowds.config_of(folder, loss__statistics=path))


def test_statistics_of_a_file_without_persons(folder: Path, tmp_path: Path) -> None:
    """Refused: its weights would mean nothing."""
    analyze(DataSettings(root=folder / "data").annotations_of("train"), tmp_path / "x.json")
    content = json.loads((tmp_path / "x.json").read_text())
    content["total_instances"] = 0
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="without persons"):
        class_weights_of(crowds.config_of(folder, loss__statistics=tmp_path / "x.json"))


@pytest.mark.parametrize("kinds", [("recommended_log_class_weights", "separation_aware_weights"), ()])
def test_statistics_of_the_original(folder: Path, tmp_path: Path, kinds: tuple[str, ...]) -> None:
    """Its own files have two kinds of weights at most: those count, and the others follow from the ratios."""
    own = measure(crowds.config_of(folder).data.annotations_of("train"))
    theirs = {name: value for name, value in own.items() if not name.endswith("weights")}
    theirs |= {kind: {"background": 0.5, "target": 1.0, "non_target": 1.5} for kind in kinds}
    (tmp_path / "data_analyze_full.json").write_text(json.dumps(theirs))
    changes = {"loss__statistics": tmp_path / "data_analyze_full.json"}
    for name, kind in WEIGHTS.items():
        found, said, _ = class_weights_of(crowds.config_of(folder, loss__class_weights=name, **changes))
        assert found == pytest.approx((0.5, 1.0, 1.5) if kind in kinds else tuple(own[kind].values())), name
        assert "data_analyze_full.json" in said
