"""``prepare``: labels of other programs in the documented folders, which ``check`` finds in order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.config import from_dict
from kaname.data.formats import dlc, mot_kp
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.recipes.kpnet.data import Frames
from kaname.recipes.kpnet.labels import read_set
from kaname.recipes.kpnet.layout import prepare
from kaname.recipes.kpnet.prepare import check
from kaname.samples.kpnet import write
from kaname.types import Sample


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video and the labels of all its frames."""
    folder = tmp_path_factory.mktemp("filmed")
    data = write(folder / "data", count=1, val_count=1, length=12, every=1, size=(64, 96))
    return data / "movie" / "val00.mp4", data / "val" / "mot" / "val00.txt"


def test_a_video_with_text(filmed: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, labels = filmed
    out = tmp_path / "out"
    prepare(labels, out, video=video, every=3, ranges={"train": "0:8", "val": "8:"})
    check(DataSettings(out))
    assert "no problems" in capsys.readouterr().out
    train, val = (read_set(DataSettings(out), part) for part in ("train", "val"))
    assert [(one.video, one.number) for one in train] == [("val00-train", 0), ("val00-train", 3), ("val00-train", 6)]
    assert [(one.video, one.number) for one in val] == [("val00-val", 8), ("val00-val", 11)]
    given = {sample.frame: sample for sample in mot_kp.read(labels)}
    for one in train:
        assert len(one.things) == len(given[one.number].labels)
        true = given[one.number].points["left_hand.thumb"]
        assert np.allclose(one.things[0].points[0], true[0], equal_nan=True)
    shown = read_image(train[1].image).astype(int)
    original = read_image(labels.parents[1] / "frames" / "val00" / "val00_frame_3.png").astype(int)
    assert np.abs(shown - original).mean() < 6  # the video's own compression


@pytest.mark.parametrize(
    ("ranges", "said"),
    [({"train": "0:8", "val": "6:"}, "share frames"), ({"train": "90:"}, "no labelled frame"), ({"val": "x"}, "A:B")],
)
def test_ranges_that_do_not_fit(filmed: tuple[Path, Path], tmp_path: Path, ranges: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        prepare(filmed[1], tmp_path / "out", video=filmed[0], ranges=ranges)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("nan", "state"), [("ignore", -1), ("hidden", 1), ("absent", 0)])
def test_a_table_of_deeplabcut(tmp_path: Path, nan: Any, state: int) -> None:
    """Its header becomes the skeleton; an empty cell is not labelled, or hidden or out of frame where that is said."""
    images = tmp_path / "labeled-data" / "mouse"
    images.mkdir(parents=True)
    samples = []
    for number in (3, 7, 20):
        image = images / f"img{number:03d}.png"
        write_image(image, np.full((40, 60, 3), number, np.uint8))
        tail = np.full((1, 2), np.nan) if number == 7 else np.array([[30.0, 20.0]])
        samples.append(Sample(image, {"nose": np.array([[10.5, 11.5]]), "tail": tail}))
    dlc.write(tmp_path / "table.csv", samples, root=tmp_path)
    prepare(tmp_path / "table.csv", tmp_path / "out", ranges={"train": "0:2", "val": "2:"}, nan=nan)
    train = read_set(DataSettings(tmp_path / "out"), "train")
    assert [one.number for one in train] == [3, 7] and train[0].skeleton.channels == ("animal.nose", "animal.tail")
    assert train[1].channels[1].tolist() == [2, state] and np.isnan(train[1].channels[0][1]).all()
    frames = Frames(
        from_dict(KpnetConfig, {"data": {"root": tmp_path / "out"}, "image_size": 64}), train, augment=False
    )
    row = frames.sample(1, -1)
    assert row["visible"].tolist() == [2, state] and row["there"].tolist() == [True, False]
    assert read_image(train[1].image)[0, 0, 0] == 7


def test_check_finds_what_does_not_belong_to_the_video(
    filmed: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A frame that the video does not have."""
    data = Path(shutil.copytree(filmed[0].parents[1], tmp_path / "data"))
    base = data / "train"
    for folder, ending in ((base / "frames", ".png"), (base / "mot", ".txt")):
        content = (folder / f"train00_frame_3{ending}").read_bytes()
        moved = content if ending == ".png" else content.replace(b"\n3,", b"\n400,").replace(b"3,", b"400,", 1)
        (folder / f"train00_frame_400{ending}").write_bytes(moved)
    with pytest.raises(SystemExit):
        check(DataSettings(data))
    assert "frame 400 of a video of 12 frames" in capsys.readouterr().err


def tools(path: Path, count: int) -> Path:
    """Labels of every second of so many frames: a tip, and a head that is not labelled in frame 2."""
    entries = []
    for frame in range(count):
        marks = [{"class": "Tip", "id": "tool1", "x": 20.0 + frame, "y": 9}] if frame % 2 == 0 else []
        if marks and frame != 2:
            marks.append({"class": "Head", "id": "tool1", "x": 40.0, "y": 30.5})
        entries.append({"class": "image", "filename": f"/away/img_{frame + 1:04d}_raw.png", "annotations": marks})
    path.write_text(json.dumps(entries))
    return path


def test_surgical_tools_with_their_video(filmed: tuple[Path, Path], tmp_path: Path) -> None:
    """Frames are numbered as the video has them; those that nobody labelled are not there."""
    out = tmp_path / "out"
    prepare(tools(tmp_path / "tool.json", 12), out, video=filmed[0], ranges={"train": ":7", "val": "8:"}, every=2)
    train = read_set(DataSettings(out), "train")
    assert [one.number for one in train] == [0, 2, 4, 6] and train[1].channels[1].tolist() == [2, -1]
    assert train[1].channels[0][0].tolist() == [22.0, 9.0]  # the file's coordinates are continuous
    check(DataSettings(out))


def test_surgical_tools_with_their_images(tmp_path: Path) -> None:
    images = tmp_path / "Raw"
    images.mkdir()
    for frame in range(0, 12, 2):
        write_image(images / f"img_{frame + 1:04d}_raw.png", np.full((50, 60, 3), frame, np.uint8))
    prepare(tools(tmp_path / "tool.json", 12), tmp_path / "out", images=images)
    train = read_set(DataSettings(tmp_path / "out"), "train")
    assert [one.number for one in train] == [0, 2, 4, 6, 8, 10] and read_image(train[2].image)[0, 0, 0] == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "give --images DIR, or --video FILE"),
        ({"video": True, "images": True}, "give one of them"),
        ({"video": True, "count": 30}, "labels of a video of 30 frames, but val00.mp4 has 12"),
        ({"video": True, "skeleton": "oss25"}, "leave it out"),
        ({"video": True, "every": 0}, "--every must be at least 1"),
    ],
)
def test_refusals_of_tools(filmed: tuple[Path, Path], tmp_path: Path, change: dict[str, Any], said: str) -> None:
    labels = tools(tmp_path / "tool.json", change.pop("count", 12))
    given = {"video": filmed[0], "images": tmp_path}
    how = {name: given.get(name, value) for name, value in change.items()}
    with pytest.raises(InputError, match=said):
        prepare(labels, tmp_path / "out", **how)
    assert not (tmp_path / "out").exists()


def test_a_video_whose_frames_are_not_the_labelled_images(filmed: tuple[Path, Path], tmp_path: Path) -> None:
    """Motion would be that of other moments."""
    images = []
    for number in (0, 4):
        image = tmp_path / f"img{number:03d}.png"
        write_image(image, np.full((64, 96, 3), 250, np.uint8))
        images.append(Sample(image, {"nose": np.array([[10.5, 11.5]])}))
    dlc.write(tmp_path / "table.csv", images, root=tmp_path)
    with pytest.raises(InputError, match=r"img000.png is not frame 0 of val00.mp4: they differ by \d+ grey levels"):
        prepare(tmp_path / "table.csv", tmp_path / "out", video=filmed[0])
