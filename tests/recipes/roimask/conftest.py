"""Fixtures of the tests of ``roimask``."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.roimask import crowds


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small scenes with their extractor; not to be changed."""
    return crowds.scenes(tmp_path_factory.mktemp("crowds") / "set")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test."""
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "cache"))
