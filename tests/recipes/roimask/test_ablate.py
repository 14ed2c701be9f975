"""The table of experiments: goes on where it was stopped, pairs boxes, refuses another plan's runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaname.errors import InputError
from kaname.recipes.roimask import ablate
from kaname.recipes.roimask.ablate import DEFAULT, Plan, read_plan, report, run
from recipes.roimask import crowds

SMALL = (
    *("head.width=8", "head.roi_size=[4,4]", "head.mask_size=[8,8]", "data.min_target=4", "train.num_workers=0"),
    *("train.epochs=1", "train.device=cpu", "train.precision=fp32", "train.ema=0", f"extractor.tensor={crowds.TENSOR}"),
)


def test_the_documented_table() -> None:
    """Classes, heads, losses, weights: a configuration each, the first as it is."""
    plan = read_plan("default")
    assert plan.experiments == DEFAULT and plan.seeds == (0, 1, 2)
    changed = {key for changes in DEFAULT.values() for key in changes}
    assert {"classes", "head.name", "loss.dice_target_weight", "loss.boundary_weight", "loss.class_weights"} <= changed


def test_it_goes_on_and_compares_box_by_box(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after one run, it does the others alone; the table has each experiment and its difference."""
    plan = Plan({"three": {}, "two": {"classes": 2}}, seeds=(0,))
    shared = {"data.root": folder / "data", "extractor.path": folder / "extractor.onnx"}
    done: list[Path] = []
    real = ablate._train_and_score

    def once(config: object, content: object, place: Path) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(place)
        real(config, content, place)  # type: ignore[arg-type]

    monkeypatch.setattr(ablate, "_train_and_score", once)
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "out", shared, SMALL)
    monkeypatch.setattr(
        ablate, "_train_and_score", lambda config, content, place: (done.append(place), real(config, content, place))
    )
    found = run(plan, tmp_path / "out", shared, SMALL)
    assert [place.parent.name for place in done] == ["three", "two"]
    assert {len(runs[0]) for runs in found.values()} == {len(found["three"][0])}
    lines = report(plan, found, tmp_path / "out")
    assert lines[2].startswith("| three") and lines[3].startswith("| two") and "<br>" in lines[3]
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    entry = table["two"]["all"]["iou_target_mean"]
    assert entry["difference"]["b"] == pytest.approx(entry["value"])
    assert entry["difference"]["a"] == pytest.approx(table["three"]["all"]["iou_target_mean"]["value"])
    assert (tmp_path / "out" / "table.html").is_file() and not list((tmp_path / "out").rglob("checkpoint_epoch*"))
    with pytest.raises(InputError, match="another configuration"):
        run(plan, tmp_path / "out", shared, [*SMALL, "train.lr=0.5"])


def test_two_classes_have_no_figure_of_the_third(folder: Path, tmp_path: Path) -> None:
    """Whoever asked for them: the plan's first experiment, or a key for all."""
    shared = {"data.root": folder / "data", "extractor.path": folder / "extractor.onnx"}
    plan = Plan({"two": {"classes": 2}, "three": {}}, seeds=(0,))
    report(plan, run(plan, tmp_path / "first", shared, SMALL), tmp_path / "first")
    table = json.loads((tmp_path / "first" / "table.json").read_text())
    entry = table["three"]["all"]["miou_classes_1_2"]
    assert entry["value"] is not None and entry["difference"] is None
    assert table["three"]["all"]["iou_target_mean"]["difference"]["n"] > 0
    every = Plan({"one": {}}, seeds=(0,))
    report(every, run(every, tmp_path / "every", shared, [*SMALL, "classes=2"]), tmp_path / "every")
    table = json.loads((tmp_path / "every" / "table.json").read_text())
    assert table["one"]["all"]["miou_classes_1_2"]["value"] is None


@pytest.mark.parametrize(
    "text", ["seeds: [1]", "experiments: 3", "experiments: {a: 1}", "experiments: {a: {}}\nseeds: x"]
)
def test_a_plan_that_is_none(tmp_path: Path, text: str) -> None:
    """One line with what a plan is."""
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(InputError, match="not a plan"):
        read_plan(str(tmp_path / "plan.yaml"))
    with pytest.raises(InputError, match="no such plan"):
        read_plan(str(tmp_path / "nothing.yaml"))
