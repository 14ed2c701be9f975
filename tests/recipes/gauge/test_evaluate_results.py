"""Where results go, and with which settings a model or a file of predictions is scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from calling import call, snapshot
from kaname.codecs import clusters
from kaname.recipes.gauge import evaluate as figures
from kaname.recipes.gauge import prepare, report
from recipes.gauge.conftest import Trained
from recipes.gauge.dials import TRAIN, task, write_data, write_flat, write_json

QUICK = (*TRAIN, "--epochs", 1, "--limit", 2)


def results(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("metrics.json"))


def test_every_evaluation_has_a_folder_of_its_own(trained: Trained, tmp_path: Path) -> None:
    """Another set, other data of the same name, another model: none overwrites what was there."""
    for place in ("a", "b"):
        write_data(tmp_path / place / "dials", 2, 1)
    (tmp_path / "run").mkdir()
    for name in ("model.pt", "last.pt"):
        shutil.copy(trained.run / name, tmp_path / "run" / name)
    out = ""
    for words in (("a/dials", "model.pt", "--split", "train"), ("a/dials", "model.pt"), ("b/dials", "model.pt"),
                  ("a/dials", "last.pt"), ("a/dials", "model.pt", "--split", "all")):  # fmt: skip
        answer = call("gauge", "evaluate", "--data", tmp_path / words[0], "--checkpoint", tmp_path / "run" / words[1],
                      *words[2:]).done()  # fmt: skip
        out += answer.out
    expected = [f"evaluation/{name}/metrics.json" for name in
                ("last-dials/val", "model-dials-2/val", "model-dials/train", "model-dials/val")]  # fmt: skip
    assert results(tmp_path / "run") == expected
    assert all(str((tmp_path / "run" / path).parent) in out for path in expected)
    made = tmp_path / "run" / "evaluation" / "model-dials" / "val" / "points.json"
    shutil.copy(made, tmp_path / "mine.json")
    call("gauge", "evaluate", "--data", tmp_path / "a" / "dials", "--predictions", tmp_path / "mine.json").done()
    assert results(tmp_path / "evaluation") == ["mine-dials/val/metrics.json"]


@pytest.mark.parametrize("layout", ["split", "flat"])
def test_results_never_lie_among_images_and_labels(trained: Trained, tmp_path: Path, layout: str) -> None:
    data = write_data(tmp_path / "data", 2, 1) if layout == "split" else tmp_path / "data"
    if layout == "flat":
        write_flat(data)
    shutil.copy(trained.model, data / "model.pt")
    before = snapshot(data)
    out = call("gauge", "validate", "--model-path", data / "model.pt", "--data", data).done().out
    added = {name.split("/")[0] for name in set(snapshot(data)) - set(before)}
    assert added == {"evaluation"} and str(data / "evaluation" / "model-data") in out
    shutil.rmtree(data / "evaluation")
    for words in (("validate", "--model-path", data / "model.pt", "--data", data, "--out", data),
                  ("train", "--data", data, *QUICK, "--val", "--out-dir", data)):  # fmt: skip
        call("gauge", *words).refused(str(data), "results would be mixed with a data set", "--out")
    assert snapshot(data) == before


def with_extraction(model: Path, target: Path, **changes: float) -> Path:
    """The model with other settings of the extraction in its configuration."""
    content = torch.load(model, weights_only=True)
    card = json.loads(content["card"])
    card["config"]["extract"] |= changes
    torch.save({**content, "card": json.dumps(card)}, target)
    return target


def test_the_truth_of_heatmaps_follows_the_model(trained: Trained, tmp_path: Path) -> None:
    """Sigma 14 and a bandwidth of 40 px at 448, of the model and of its predictions, not the defaults 8 and 20."""
    size = (448, 448)
    points = {"start": [[100.0, 300.0]], "middle": [[200.0, 100.0], [230.0, 100.0]], "end": [[350.0, 300.0]]}
    write_flat(tmp_path / "d", ["a.png"], size)
    write_json(tmp_path / "d" / "annotation.json", [task(1, "a.png", points, size)])
    wide = with_extraction(trained.model, tmp_path / "wide.pt", bandwidth=40.0)
    seen: list[tuple[float, float]] = []
    peaks, encode = clusters.peaks, prepare.encode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "peaks", lambda *a, **b: (seen.append((0, b["bandwidth"])), peaks(*a, **b))[1])
        patch.setattr(prepare, "encode", lambda *a: (seen.append((a[3], 0)), encode(*a))[1])
        words = ("--data", tmp_path / "d", "--truth", "heatmap")
        call("gauge", "evaluate", "--checkpoint", wide, *words, "--out", tmp_path / "m").done()
        # of the truth, and of the model's own answers at its 64 px
        assert set(seen) == {(14.0, 0), (0, 40.0), (0, 40 * 64 / 448)}
        made = tmp_path / "m" / "all" / "points.json"
        assert json.loads(made.read_text(encoding="utf-8"))["sigma"] == 14.0
        seen.clear()
        call("gauge", "evaluate", "--predictions", made, *words, "--out", tmp_path / "p").done()
        assert set(seen) == {(14.0, 0), (0, 40.0)}
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text(encoding="utf-8")) for name in "mp")
    assert one["middle"] == two["middle"]
    made.write_text(made.read_text(encoding="utf-8").replace('"sigma": 14.0', '"sigma": 0'), encoding="utf-8")
    call("gauge", "evaluate", "--predictions", made, *words, "--out", tmp_path / "q").refused(str(made), "sigma")


def test_pictures_take_the_bandwidth_of_the_model(trained: Trained, tmp_path: Path) -> None:
    """Dials known by their heatmaps alone: what is drawn as true is clustered with the configured bandwidth."""
    write_flat(tmp_path / "d", ["a.png"])
    call("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", tmp_path / "d", "--size", 64).done()
    (tmp_path / "d" / "annotation.json").unlink()
    (tmp_path / "d" / "labels" / "a.json").unlink()
    seen: list[float] = []

    def spy(*arguments: object, **named: object) -> object:
        seen.append(float(named["bandwidth"]))  # type: ignore[arg-type]
        return reference_truth(*arguments, **named)  # type: ignore[arg-type]

    reference_truth = figures.reference_truth
    with pytest.MonkeyPatch.context() as patch:
        for module in (figures, report):
            patch.setattr(module, "reference_truth", spy)
        model = with_extraction(trained.model, tmp_path / "model.pt", bandwidth=33.0)
        call("gauge", "validate", "--model-path", model, "--data", tmp_path / "d", "--out", tmp_path / "v").done()
        words = ("--predictions", tmp_path / "v" / "all" / "points.json", "--out", tmp_path / "pictures")
        call("gauge", "draw", "--data", tmp_path / "d", *words).done()
    assert len(seen) >= 3 and set(seen) == {33.0}


def test_an_export_of_a_model_that_finds_nothing_says_so(trained: Trained, tmp_path: Path) -> None:
    blind = with_extraction(trained.model, tmp_path / "blind.pt", min_score=1.0)
    out = call("gauge", "export", "--model-path", blind, "--out", tmp_path / "b.onnx", "--count", 2).done().out
    report = json.loads((tmp_path / "b.onnx.parity.json").read_text(encoding="utf-8"))
    assert "warning: no point was compared" in out and report["warning"] in out
    assert report["points"] == 0 < report["lowered_points"] and report["passed"]
    assert 0 < report["lowered_min_score"] < 1 and not report["lowered_unmatched"]
