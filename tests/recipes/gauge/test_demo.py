"""The demo's way from nothing to a page, with figures too small to mean anything; the real ones: test_project.py. With
a shipped model: tests/pipeline/test_demo_tuned.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kaname import zoo
from kaname.cli import main
from kaname.recipes.gauge import demo
from pages import demo_of


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(zoo.VARIABLE, str(tmp_path / "no models"))
    monkeypatch.setattr(demo, "TRAIN_DIALS", 8)
    monkeypatch.setattr(demo, "HELD_OUT", 6)
    quick = tuple(text for text in demo.OVERRIDES if not text.startswith(("size", "train.epochs")))
    quick += ("size=64", "train.epochs=1", "train.num_workers=0")
    monkeypatch.setattr(demo, "DEMO", replace(demo.DEMO, overrides=quick))


def kaname(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


@pytest.mark.usefixtures("small")
def test_demo_writes_page_figures_and_a_checked_export(tmp_path: Path) -> None:
    assert kaname("demo", "gauge", "--out", tmp_path) == 0
    figures = demo_of(tmp_path, "gauge", "Held-out dials")
    assert figures["metrics"]["middle"]["f1"]["n"] == 6 and "gain" not in figures
    assert (tmp_path / "gauge" / "gauge.onnx").is_file()
    assert len(list((tmp_path / "gauge" / "predictions" / "pictures").iterdir())) == 6

    assert kaname("demo", "gauge", "--out", tmp_path) == 0, "an earlier demo is replaced"


def test_demo_leaves_other_peoples_files_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gauge").mkdir()
    (tmp_path / "gauge" / "thesis.txt").write_text("mine")
    assert kaname("demo", "gauge", "--out", tmp_path) == 2
    assert "other files" in capsys.readouterr().err
    assert (tmp_path / "gauge" / "thesis.txt").read_text() == "mine"


def test_unknown_recipe_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert kaname("demo", "guage") == 2
    assert "did you mean gauge?" in capsys.readouterr().err
