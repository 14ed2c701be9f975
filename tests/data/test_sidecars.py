"""Sidecars of the crawler: tags, and which images are of one series."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaname.data.parts import together
from kaname.data.sidecars import series_of, sidecar_of, tags_of
from kaname.errors import InputError


def sidecar(folder: Path, image: str, **fields: object) -> Path:
    content = {"source": "safebooru", "url": "u", **fields}
    (folder / f"{image}.json").write_text(json.dumps(content))
    return folder / image


def grouped(images: list[Path]) -> list[list[str]]:
    groups = together(len(images), [], series_of(images))
    return [[images[number].name for number in group] for group in groups if len(group) > 1]


def test_series(tmp_path: Path) -> None:
    """One parent; the pages of one work; or one artist's posts whose numbers are neighbours, one by one."""
    posts = {
        "a": (100, "kei"),
        "b": (103, "kei"),
        "c": (111, "kei"),
        "d": (140, "kei"),
        "e": (104, "rin"),
        "f": (105, ""),
    }
    images = [sidecar(tmp_path, f"{name}.png", id=number, artist=artist) for name, (number, artist) in posts.items()]
    images += [sidecar(tmp_path, f"{name}.png", id=number, parent_id=12) for name, number in (("g", 1), ("h", 900))]
    images += [tmp_path / name for name in ("77_p0.png", "77_p1.png", "78_p0.png", "face_00.png", "face_01.png")]
    assert grouped(images) == [["a.png", "b.png", "c.png"], ["g.png", "h.png"], ["77_p0.png", "77_p1.png"]]


def test_numbers_of_other_sites_are_no_neighbours(tmp_path: Path) -> None:
    images = [sidecar(tmp_path, f"{site}.png", source=site, id=5, artist="kei") for site in ("safebooru", "danbooru")]
    assert grouped(images) == []


def test_tags(tmp_path: Path) -> None:
    images = [sidecar(tmp_path, "a.png", tags="solo  fox solo"), sidecar(tmp_path, "b.png", tags=["solo"])]
    images += [sidecar(tmp_path, "c.png"), tmp_path / "none.png"]
    assert tags_of(images) == ({"solo": 2, "fox": 1}, 3)


def test_what_is_no_sidecar(tmp_path: Path) -> None:
    """An annotation in the same folder may have that name."""
    (tmp_path / "a.png.json").write_text('{"image": "a.png", "landmarks": [], "id": 3}')
    assert sidecar_of(tmp_path / "a.png") == {}
    (tmp_path / "b.png.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        sidecar_of(tmp_path / "b.png")
