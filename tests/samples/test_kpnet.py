"""The documented folders of ``kpnet``'s sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.data.formats import mot_kp
from kaname.data.seeking import VideoReader
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.samples.kpnet import scene, write
from kaname.samples.suture import RATE


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_folders_labels_and_videos(tmp_path: Path, size: tuple[int, int]) -> None:
    data = write(tmp_path / "data", count=1, val_count=1, length=7, every=3, size=size, seed=5)
    names = {path.relative_to(data).as_posix() for path in data.rglob("*.*")}
    assert {f"train/frames/train00_frame_{frame}.png" for frame in (0, 3, 6)} <= names
    assert {"train/mot/train00_frame_3.txt", "val/frames/val00/val00_frame_3.png", "val/mot/val00.txt"} <= names
    assert "train/masks/train00_frame_0_left_hand_mask.png" in names
    (sample,) = [one for one in mot_kp.read(data / "val" / "mot") if one.frame == 3]
    shot = scene(5, 1, 0, size, 7).shot(3 / RATE)
    hand = next(thing for thing in shot.things if thing.group == "left_hand")
    assert np.allclose(sample.points["left_hand.thumb"][0], hand.points[0], atol=1e-6)
    assert (read_image(data / "val" / "frames" / "val00" / "val00_frame_3.png") == shot.image).all()
    with VideoReader(data / "movie" / "val00.mp4") as reader:
        assert len(reader) == 7
        assert np.abs(reader.read(3).image.astype(int) - shot.image).mean() < 5


def test_values_that_are_refused(tmp_path: Path) -> None:
    for wrong in ({"count": 0}, {"length": 1}, {"every": 99}, {"size": (8, 96)}):
        with pytest.raises(InputError):
            write(tmp_path / "data", **{"count": 1, "val_count": 1, **wrong})  # type: ignore[arg-type]
    assert not (tmp_path / "data").exists()
