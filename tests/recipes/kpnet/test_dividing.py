"""Labelled videos are divided whole, in folders that ``check`` and ``train`` read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import calling
from kaname.data.formats import mot_kp
from kaname.geometry.image import write_image
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.recipes.kpnet.labels import training_sets
from recipes.kpnet.filmed import SIZE, Film


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Four videos of two frames each before grounds of their own, with labels and masks; one in ``val``."""
    root = tmp_path / "data"
    for number, name in enumerate(("A1", "A1_b", "C3", "D4")):
        part, film = "val" if name == "D4" else "train", Film(name, 2)
        samples = [film.sample(frame) for frame in (0, 1)]
        mot_kp.write(root / part / "mot", samples, layout="frame")
        for frame, sample in enumerate(samples):
            patches = np.random.default_rng(10 * number + frame).integers(0, 255, (8, 12, 3), dtype=np.uint8)
            folder = root / part / "frames"
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / sample.image.name, np.kron(patches, np.ones((8, 8, 1), np.uint8)))
            if part == "train":
                masks = root / part / "masks"
                masks.mkdir(exist_ok=True)
                write_image(masks / f"{sample.image.stem}_scissors_mask.png", np.zeros(SIZE, np.uint8))
    return root


def test_check_and_train_read_what_split_writes(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "divided"
    answer = calling.call("kpnet", "split", "--data-root", videos, "--out", out, "--val", 0.25).done()
    assert "8 frames: train 6, val 2" in answer.out and f"kaname kpnet train --data-root {out}" in answer.out
    assert "no problems" in calling.call("kpnet", "check", "--data-root", out).done().out
    config = KpnetConfig(data=DataSettings(root=out))
    sets = training_sets(replace(config, loss=replace(config.loss, seg_weight=0.0)))
    named = {part: {picture.video for picture in own} for part, own in sets.items()}
    assert named["train"] | named["val"] == {"A1", "A1_b", "C3", "D4"} and not named["train"] & named["val"]
    for part, own in sets.items():
        for picture in own:
            assert len(picture.things) == len(Film(picture.video, 2).sample(picture.number).ids), part
            assert bool(picture.masks) == (picture.video != "D4")


def test_one_video_is_told_how(videos: Path, tmp_path: Path) -> None:
    words = ("kpnet", "split", "--data-root", videos, "--out", tmp_path / "divided")
    calling.call(*words, "--test", 0.2).refused("kpnet has no test set")
    for name in ("A1", "A1_b", "D4"):
        for path in videos.rglob(f"{name}_frame_*"):
            path.unlink()
    (videos / "val" / "mot").rmdir()
    (videos / "val" / "frames").rmdir()
    (videos / "val").rmdir()
    calling.call(*words).refused("one video cannot become two sets", "kaname kpnet prepare")
    assert not (tmp_path / "divided").exists()
