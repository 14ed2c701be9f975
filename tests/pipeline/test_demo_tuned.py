"""Demos of recipes whose model is shipped: it is scored as it comes, tuned, and scored again. Tiny models whose figures
mean nothing; the real ones: test_project.py."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import calling
import shipping
from kaname import zoo
from kaname.inference import checkpoint_card
from kaname.recipes import RECIPES, recipe_of
from pages import demo_of

FEWER: dict[str, dict[str, Any]] = {
    "gauge": {"FEW": 8, "CHOOSING": 2, "TESTED": 6},
    "landmark": {"FEW": 6, "CHOOSING": 2, "TESTED": 6},
    "tracknet": {"FEW": 8, "LENGTH": 6, "SIZE": (64, 96)},
}
SCORED = {"gauge": 6, "landmark": 6, "tracknet": 18}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(zoo.VARIABLE, str(tmp_path / "zoo"))
    return tmp_path / "zoo"


@pytest.mark.parametrize("recipe", FEWER)
def test_a_shipped_model_is_scored_tuned_and_scored_again(
    recipe: str, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipping.ship(shipping.untrained(recipe, tmp_path / "made.pt"), recipe, shipped)
    demo, loop = importlib.import_module(f"{RECIPES[recipe]}.demo"), recipe_of(recipe).loop
    for name, value in FEWER[recipe].items():
        monkeypatch.setattr(demo, name, value)
    once = [word for word in demo.TUNING if not word.startswith(f"{loop}.epochs")]
    tuned = replace(demo.TUNED, overrides=(*once, f"{loop}.epochs=1", f"{loop}.num_workers=0"))
    monkeypatch.setattr(demo, "DEMO", replace(demo.DEMO, tuned=tuned))

    done = calling.call("demo", recipe, "--out", tmp_path / "shown").done()

    figures = demo_of(tmp_path / "shown", recipe, "What tuning gained")
    page = (tmp_path / "shown" / "index.html").read_text(encoding="utf-8")
    assert all(f">{name}<" in page for name in ("as shipped", "tuned", "tuned - as shipped"))
    gain = figures["gain"]
    assert gain["model"] == recipe and gain["compare"]["settings"]["pairs"] == SCORED[recipe]
    for group, metric in tuned.gained:
        pair = gain["compare"][group][metric]
        assert pair["a"] == pytest.approx(gain["as_shipped"][group][metric]["value"], nan_ok=True)
        assert pair["b"] == pytest.approx(figures["metrics"][group][metric]["value"], nan_ok=True)
    lines = [line for line in done.out.splitlines() if line.startswith(f"{recipe}, {recipe} ")]
    assert [line.partition(": ")[0].removeprefix(f"{recipe}, {recipe} ") for line in lines] == ["as shipped", "tuned"]
    card = checkpoint_card.read(tmp_path / "shown" / recipe / "run" / recipe_of(recipe).best_name).card
    assert card["init"] == f"the shipped model {recipe}"


def test_without_a_shipped_model_every_demo_begins_at_nothing(shipped: Path) -> None:
    assert not zoo.shipped()
    for name in RECIPES:
        demo = recipe_of(name).demo
        assert demo is not None and (demo.value.tuned is None) == (name not in FEWER)
