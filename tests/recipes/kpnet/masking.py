"""What the tests of ``masks`` share: a filmed data set, and what lies in a folder of masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaname.geometry.image import read_image
from kaname.inference import sam2_weights
from kaname.recipes.kpnet import masks
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.masks import How
from recipes.kpnet.filmed import Film, Seer

FILM = Film("A36O", 60)
LABELLED = (5, 20, 41)
MASKED = {"left_hand": "left_hand", "needle": "needle"}  # hands and needles have masks, the others only points


def how(data: Path, tmp_path: Path, **changes: Any) -> How:
    given = {"data": DataSettings(data), "checkpoint": str(tmp_path / "sam2.pt"), "config": None, "fps": 10.0,
             "device": "cpu", "out": tmp_path / "masks"}  # fmt: skip
    return How(**{**given, **changes})


def pictures(out: Path, video: str = "A36O") -> dict[int, Any]:
    found = {int(path.stem.rpartition("_")[2]): read_image(path)[:, :, 0] for path in (out / video).glob("*.png")}
    return dict(sorted(found.items()))


def record_of(out: Path, video: str = "A36O") -> dict[str, Any]:
    return json.loads((out / f"{video}_masks.json").read_text("utf-8"))


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def in_place_of_sam_2(film: Film, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Seer:
    """A seer whose weights are a file that says nothing."""
    (folder / "sam2.pt").write_bytes(b"weights")
    found = Seer(film)
    monkeypatch.setattr(masks, "_propagator", lambda *_: found)
    monkeypatch.setattr(sam2_weights, "check", lambda weights: None)
    return found
