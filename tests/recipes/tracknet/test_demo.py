"""The demo's way from nothing to a page, with figures too small to mean anything; the real ones: test_project.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kaname import zoo
from kaname.cli import main
from kaname.recipes.tracknet import demo
from pages import demo_of


def test_demo_writes_page_figures_and_a_checked_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(zoo.VARIABLE, str(tmp_path / "no models"))
    for name, value in {"CLIPS": 6, "GAMES": 3, "LENGTH": 8, "SIZE": (96, 160)}.items():
        monkeypatch.setattr(demo, name, value)
    changed = ("data.resize", "model.heatmap.size", "training.epochs")
    quick = tuple(text for text in demo.OVERRIDES if not text.startswith(changed))
    small = ("data.resize=[160,96]", "model.heatmap.size=[80,48]", "training.epochs=1", "training.num_workers=0")
    monkeypatch.setattr(demo, "DEMO", replace(demo.DEMO, overrides=(*quick, *small)))
    with pytest.raises(SystemExit) as stop:
        main(["demo", "tracknet", "--out", str(tmp_path)])
    assert not stop.value.code
    figures = demo_of(tmp_path, "tracknet", "Held-out games")
    assert figures["metrics"]["all"]["f1_4px"]["n"] == 16
    assert (tmp_path / "tracknet" / "ball.onnx").is_file()
    assert (tmp_path / "tracknet" / "predictions" / "overlay.mp4").is_file()
