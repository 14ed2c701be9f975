"""Fixtures of the tests of ``roimask``."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaname.recipes.roimask import RECIPE
from kaname.training.settings import RunOptions
from recipes.roimask import crowds


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small scenes with their extractor; not to be changed."""
    return crowds.scenes(tmp_path_factory.mktemp("crowds") / "set")


@pytest.fixture(scope="session")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has trained for two epochs on them."""
    from kaname.pipeline.train import run

    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KANAME_CACHE", str(out.parent / "cache"))
        changes = {"train__epochs": 2, "train__lr": 1e-2, "train__ema": 0.9, "train__num_workers": 0}
        run(RECIPE, crowds.config_of(folder, **changes), RunOptions(out_dir=out))
    return out / "best.pt"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test."""
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "cache"))
