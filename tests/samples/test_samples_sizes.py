"""``sample --size`` of several recipes: the same words for two sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from calling import call
from kaname.geometry.image import image_size

WAYS = [["64,96"], ["64x96"], ["64", "96"]]


@pytest.mark.parametrize("words", WAYS, ids="_".join)
def test_frames_of_matches(words: list[str], tmp_path: Path) -> None:
    call("tracknet", "sample", "--out", tmp_path, "--count", 1, "--clip-length", 2, "--size", *words).done()
    assert {image_size(path) for path in tmp_path.rglob("*.jpg")} == {(96, 64)}  # width first


@pytest.mark.parametrize("words", WAYS[:2], ids="_".join)
def test_scenes(words: list[str], tmp_path: Path) -> None:
    call("roimask", "sample", "--out", tmp_path, "--count", 1, "--val-count", 4, "--size", *words).done()
    sizes = {image_size(path) for path in (tmp_path / "data" / "images").rglob("*.jpg")}
    assert sizes == {(64, 96), (96, 64)}  # every third one is upright


@pytest.mark.parametrize(("recipe", "order"), [("tracknet", "W,H"), ("roimask", "H,W"), ("kpnet", "H,W")])
def test_what_is_no_size_is_refused(recipe: str, order: str, tmp_path: Path) -> None:
    for size in ("1,2,3", "x", "64,4", "-64,96"):
        answer = call(recipe, "sample", "--out", tmp_path / "out", f"--size={size}")
        answer.refused("--size", "8..8192" if size == "64,4" else order)
    assert not (tmp_path / "out").exists()
