"""What is wrong with a data set: one clear line each, from ``check`` and from reading it to train."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kaname.config import from_dict
from kaname.data.video import VideoWriter
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.recipes.kpnet.labels import training_sets
from kaname.recipes.kpnet.layout import prepare
from kaname.recipes.kpnet.prepare import check
from kaname.samples.kpnet import write

LABEL = Path("train", "mot", "train00_frame_2.txt")
IMAGE = Path("train", "frames", "train00_frame_2.png")
HAND = "2,1,0,-1,-1,-1,-1," + ",".join(["10,10,2"] * 6)
TOOL = "2,3,2,-1,-1,-1,-1," + ",".join(["20,20,2"] * 3)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kpnet") / "data"
    return write(out, count=1, val_count=1, length=6, every=2, size=(64, 96))


@pytest.fixture
def data(rendered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered, tmp_path / "data"))


def rows(*lines: str) -> Callable[[Path], None]:
    """Other labels of a training frame."""
    return lambda data: (data / LABEL).write_text("".join(f"{line}\n" for line in lines)) and None


def without_label(data: Path) -> None:
    (data / LABEL).unlink()


def without_image(data: Path) -> None:
    (data / IMAGE).unlink()


def in_both(data: Path) -> None:
    for name in ("frames", "mot"):
        for path in (data / "train" / name).iterdir():
            shutil.copyfile(path, data / "train" / name / path.name.replace("train00", "val00"))
    text = (data / "train" / "mot" / "val00_frame_0.txt").read_text()
    (data / "train" / "mot" / "val00_frame_0.txt").write_text(text)


def other_size(data: Path) -> None:
    write_image(data / IMAGE, np.zeros((32, 48, 3), np.uint8))
    (data / LABEL).write_text("")


def other_mask(data: Path) -> None:
    write_image(data / "train" / "masks" / "train00_frame_2_scissors_mask.png", np.zeros((10, 10), np.uint8))


def unknown_tool(data: Path) -> None:
    write_image(data / "train" / "masks" / "train00_frame_2_spoon_mask.png", np.zeros((64, 96), np.uint8))


def with_skeleton(data: Path) -> None:
    (data / "skeleton.yaml").write_text("name: one\nclasses:\n  hand: {id: 0, points: [tip]}\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (rows(HAND + ",1"), r"train00_frame_2.txt:1: 26 columns, but a row of left_hand has 25"),
        (rows(HAND.replace("2,1,0,", "2,1,9,", 1)), r"train00_frame_2.txt:1: the skeleton has no class 9"),
        (rows(TOOL[:-1] + "3"), r"train00_frame_2.txt:1: the visibility 3"),
        (rows(TOOL.replace("20,20", "nan,20", 1)), r"train00_frame_2.txt:1: column 8 is 'nan', not a number"),
        (rows(TOOL, TOOL), r"train00_frame_2.txt:2: frame 2 has the scissors with id 3 twice, also in line 1"),
        (rows(HAND, HAND.replace("2,1,0", "2,2,0")), r"train00_frame_2.txt:2: frame 2 has more than 1 left_hand"),
        (rows(TOOL.replace("20,20", "200,20", 1)), r"train00_frame_2.txt:1: the visible point scissors.left at \(200"),
        (rows(TOOL.replace("2,3", "4,3", 1)), r"train00_frame_2.txt:1: the row is of frame 4"),
        (without_label, r"train00_frame_2.png: an image without labels"),
        (without_image, r"train00_frame_2.txt.*no image 'train00_frame_2'"),
        (in_both, "the video 'val00' is in train and in val"),
        (other_size, r"train00_frame_2.png: 48 x 32 pixels, but .* has 96 x 64"),
        (unknown_tool, r"train00_frame_2_spoon_mask.png: a mask is called"),
        (with_skeleton, r"row of hand has 10|no class 1"),
    ],
)
def test_check_and_training_say_the_same(
    data: Path, spoil: Callable[[Path], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(data)
    with pytest.raises(SystemExit) as stop:
        check(DataSettings(data))
    assert stop.value.code == 2
    text = capsys.readouterr().err
    with pytest.raises(InputError, match=said) as error:
        training_sets(from_dict(KpnetConfig, {"data": {"root": data}}))
    assert "\n" not in str(error.value)
    # its first line is what training says, wherever labels are wrong
    assert str(error.value).split(": ", 1)[-1].split(";")[0] in text


def checked(data: Path, capsys: pytest.CaptureFixture[str], **settings: Path) -> str:
    with pytest.raises(SystemExit):
        check(DataSettings(data, **settings))  # type: ignore[arg-type]
    return capsys.readouterr().err


def test_an_empty_label_file_is_a_frame_without_objects(data: Path) -> None:
    (data / LABEL).write_text("")
    pictures = training_sets(from_dict(KpnetConfig, {"data": {"root": data}}))["train"]
    assert [len(one.things) > 0 for one in pictures] == [True, False, True]
    assert not pictures[1].channels[1].any()  # out of frame, which is a label


@pytest.mark.parametrize("how", ["no row", "out of frame"])
def test_a_set_without_one_placed_point(data: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of train it is refused, by check and by training; of val it is said."""
    for part in ("val", "train"):
        for path in (data / part / "mot").glob("*.txt"):
            rows = [row.split(",") for row in path.read_text().splitlines()]
            bare = [[*row[:7], *["0"] * (len(row) - 7)] for row in rows] if (part, how) != ("train", "no row") else []
            path.write_text("".join(",".join(row) + "\n" for row in bare))
        if part == "val":
            with pytest.warns(UserWarning, match="not one point is placed in val"):
                training_sets(from_dict(KpnetConfig, {"data": {"root": data}}))
    with pytest.warns(UserWarning, match="in val"):
        assert "not one point is placed in train, in 3 frames" in checked(data, capsys)
    with pytest.raises(InputError, match="not one point is placed in train"):
        training_sets(from_dict(KpnetConfig, {"data": {"root": data}}))


def test_masks_of_zeros_and_ones(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They were empty without a word, for check and for training."""
    path = data / "train" / "masks" / "train00_frame_2_scissors_mask.png"
    path.parent.mkdir(exist_ok=True)
    write_image(path, np.eye(64, 96, dtype=np.uint8))
    assert f"{path.name}: a mask is set from 128 on, and this one reaches 1" in checked(data, capsys)


def test_masks_of_another_size_or_value(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other_mask(data)
    assert "scissors_mask.png" in checked(data, capsys)
    pseudo = tmp_path / "pseudo" / "train00"
    pseudo.mkdir(parents=True)
    write_image(pseudo / "train00_frame_3.png", np.full((64, 96), 7, np.uint8))  # between two labelled frames
    (data / "train" / "masks" / "train00_frame_2_scissors_mask.png").unlink()
    assert "train00_frame_3.png: the value 7 in a pseudo mask of 6 classes" in checked(
        data, capsys, pseudo_root=pseudo.parent
    )


def test_the_video_beside_its_frames(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of another size, cut off, or with fewer frames than are labelled."""
    video = data / "movie" / "train00.mp4"
    whole = video.read_bytes()
    with VideoWriter(video, quality=12) as writer:
        for frame in range(6):
            writer.write(np.zeros((32, 48, 3), np.uint8), frame / 30)
    assert "train00.mp4: 48 x 32 pixels, but its frames have 96 x 64" in checked(data, capsys)
    with VideoWriter(video, quality=12) as writer:
        for frame in range(3):
            writer.write(read_image(data / IMAGE), frame / 30)
    assert "train00_frame_4.png: frame 4 of a video of 3 frames" in checked(data, capsys)
    for cut in (0.3, 0.8, 0.97):
        video.write_bytes(whole[: int(cut * len(whole))])
        assert "train00.mp4" in checked(data, capsys), cut


def test_no_masks_for_a_segmentation(data: Path) -> None:
    shutil.rmtree(data / "train" / "masks")
    config = from_dict(KpnetConfig, {"data": {"root": data}, "loss": {"seg_weight": 0.15}})
    with pytest.raises(InputError, match="no frame has a mask, and --seg-loss-weight is not 0"):
        training_sets(config)


def test_frames_that_have_none_before_are_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(DataSettings(data))
    assert "none before" not in capsys.readouterr().out
    shutil.rmtree(data / "movie")
    check(DataSettings(data))
    assert "train: 3 frames have none before them, train00_frame_0.png the first" in capsys.readouterr().out


def test_a_table_without_its_header(data: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("labeled-data/a.png,1,2\n")
    with pytest.raises(InputError, match=r"labels.csv:1: the header's row 1 begins with 'labeled-data/a.png'"):
        prepare(tmp_path / "labels.csv", tmp_path / "out", images=tmp_path)
    assert not (tmp_path / "out").exists()
