"""The verb ``check``, and data sets that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kaname.geometry.image import write_image
from recipes.tracknet.clips import TINY, call, write_set


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_set(tmp_path / "data", games=3, frames=4, ending="jpg")


def test_a_sound_set(data: Path) -> None:
    out = call("check", "--data", data, "--no-leaks").done().out
    assert "train: 1 clips, 4 frames (game1); no ball 0, easy 4, hard 0, occluded 0" in out and "no problems" in out


def test_copies_between_sets(data: Path) -> None:
    random = np.random.default_rng(0)
    for path in sorted(data.rglob("*.jpg")):  # real frames have a background
        write_image(path, np.kron(random.integers(0, 255, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8))
    call("check", "--data", data).done()
    shutil.copy(data / "game1" / "Clip1" / "0002.jpg", data / "game3" / "Clip1" / "0001.jpg")
    line = call("check", "--data", data).refused("near copies", "(train)", "(test)")
    assert "game1" in line and "game3" in line


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("broken", "0002.jpg"), ("empty", "0002.jpg: the file is empty"), ("missing", "no frame '0002.jpg'"),
        ("unlabelled", "frames have no valid label"), ("no rows", "no row after the header"), ("no frames", "frames"),
        ("another size", "48 x 64 pixels, most of its clip 96 x 64"), ("outside", "outside the frame"),
        ("no labels", "Label.csv"),
    ],
)  # fmt: skip
def test_damage_is_found_by_check_and_by_train(data: Path, tmp_path: Path, harm: str, words: str) -> None:
    clip = data / "game1" / "Clip1"
    victim, labels = clip / "0002.jpg", clip / "Label.csv"
    text = labels.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    if harm == "broken":
        victim.write_bytes(victim.read_bytes()[:500])
    elif harm == "empty":
        victim.write_bytes(b"")
    elif harm == "missing":
        victim.unlink()
    elif harm == "unlabelled":
        labels.write_text("".join(lines[:-1]), encoding="utf-8")
    elif harm == "no rows":
        labels.write_text(lines[0], encoding="utf-8")
    elif harm == "no frames":
        for path in clip.glob("*.jpg"):
            path.unlink()
    elif harm == "another size":
        write_image(victim, np.zeros((64, 48, 3), np.uint8))
    elif harm == "outside":
        labels.write_text(text.replace(lines[3], "0002.jpg,1,5000,20,0\n"), encoding="utf-8")
    elif harm == "no labels":
        labels.unlink()
    found = call("check", "--data", data, "--no-leaks")
    assert found.code == 2 and words in found.err and "Traceback" not in found.err, found
    out = tmp_path / "run"
    training = call("train", "--data", data, *TINY, "--epochs", 1, "--out-dir", out, "--batch-size", 4)
    if harm == "another size":
        words = "48 x 64 pixels, not 96 x 64"
    training.refused(words)
    assert not list(out.glob("*.pt"))


def test_sets_of_nothing(tmp_path: Path) -> None:
    call("check", "--data", tmp_path / "none").refused("none")
    (tmp_path / "empty").mkdir()
    call("check", "--data", tmp_path / "empty").refused("no clip here")
    (tmp_path / "data.yaml").write_text(f"root: {tmp_path / 'set'}\nsequence: {{length: 5}}\n")
    write_set(tmp_path / "set", games=1, frames=4)
    call("check", "--data", tmp_path / "data.yaml").refused("has 4 frames, a window has 5")
