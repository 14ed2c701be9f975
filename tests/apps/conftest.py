"""The crawl as its tests call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.booru import Booru, numbers
from kaname.apps.crawl import crawl

Fetch = Callable[..., list[int]]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Crawl without pauses; gives the new posts."""

    def run(booru: Booru, **options: Any) -> list[int]:
        folder = tmp_path / "raw"
        before = numbers(folder) if folder.is_dir() else []
        given: dict[str, Any] = {"tags": "animal_ears solo", "pause": 0, "retries": 1, "artists": False}
        crawl(output_dir=folder, **{"root": booru.root} | given | options)
        return sorted(set(numbers(folder)) - set(before))

    return run
