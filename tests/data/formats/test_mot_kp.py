"""MOT-KP text: both layouts, ragged rows, visibility or confidence, and what is not labelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contracts.formats import FormatContract
from kaname.apps.convert import convert, losses
from kaname.data.formats import mot_kp
from kaname.data.formats.mot_kp_rows import read_rows
from kaname.data.formats.skeleton import Group, Skeleton, find
from kaname.errors import InputError
from kaname.types import Sample

FLY = Skeleton("fly", {"fly": Group(("fly.head", "fly.tail"), id=0, instances=2)})
HAND = "{frame},{track},{number},-1,-1,-1,-1" + ",10,20,2" * 6
TOOL = "{frame},{track},{number},-1,-1,-1,-1" + ",30.5,12,1" * 3


class TestMotKp(FormatContract):
    module = mot_kp
    file = "A36O.txt"
    names = ("A36O_frame_0.png", "A36O_frame_29.png", "A36O_frame_1798.png")
    points = (
        {"needle.end": (3.25, 4.125), "needle.tip": (59.5, 0.5)},
        {"needle.end": (30.0, 39.0), "needle.tip": (np.nan, np.nan)},
        {"needle.end": (12.5, 7.25), "needle.tip": (41.0, 18.75)},
    )
    cuts = (1, 12, -20, -3)

    def sample(self, image: Path, points: dict[str, Any], visible: dict[str, Any], number: int) -> Sample:
        frame = int(image.stem.rpartition("_")[2])
        return Sample(image=image, points=points, visible=visible, size=(40, 60), ids=[5], labels=["needle"],
                      frame=frame, meta={"video": "A36O"})  # fmt: skip


def file_of(tmp_path: Path, *rows: str, name: str = "V.txt") -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def hand(frame: int | str = 0, track: int | str = 0, number: int | str = 0) -> str:
    return HAND.format(frame=frame, track=track, number=number)


def tool(frame: int | str = 0, track: int | str = 6, number: int | str = 5) -> str:
    return TOOL.format(frame=frame, track=track, number=number)


def test_rows_are_ragged_and_in_the_files_order(tmp_path: Path) -> None:
    rows = [hand("0.0", "1.0", "1.0"), tool(0, 9), hand(0, 0), tool(0, "b"), tool(29, 12345678901234567890)]
    first, second = mot_kp.read(file_of(tmp_path, *rows))
    assert (first.frame, second.frame) == (0, 29) and second.ids == [12345678901234567890]
    assert first.labels == ["right_hand", "needle", "left_hand", "needle"] and first.ids == [1, 9, 0, "b"]
    np.testing.assert_array_equal(first.points["needle.tip"], [[31, 12.5], [31, 12.5]])
    assert first.visible["needle.tip"].tolist() == [1, 1] and first.points["left_hand.back"].shape == (1, 2)
    assert "scissors.left" not in first.points and first.image == tmp_path / "V_frame_0.png" and first.size is None


def test_not_labelled_is_not_out_of_frame(tmp_path: Path) -> None:
    path = file_of(tmp_path, "3,0,0,-1,-1,-1,-1,4,5,0,-1,-1,-1", "3,1,0,-1,-1,-1,-1,0,0,0,7,8,1")
    (sample,) = mot_kp.read(path, skeleton=FLY)
    assert sample.visible["fly.head"].tolist() == [0, 0] and sample.visible["fly.tail"].tolist() == [0, 1]
    assert np.isnan(sample.points["fly.head"]).all() and np.isnan(sample.points["fly.tail"][0]).all()
    assert sample.meta["unlabelled"] == {"fly.tail": [True, False]}
    mot_kp.write(tmp_path / "again" / "V.txt", [sample], skeleton=FLY)
    text = (tmp_path / "again" / "V.txt").read_text()
    assert text == "3,0,0,-1,-1,-1,-1,0,0,0,-1,-1,-1\n3,1,0,-1,-1,-1,-1,0,0,0,7,8,1\n"
    row = read_rows(path, FLY)[0]
    assert row.points[0].tolist() == [4.5, 5.5]  # a row keeps what the file says, for the score


def test_the_third_place_of_predictions(tmp_path: Path) -> None:
    sure = "0,0,0,-1,-1,-1,-1,4,5,1.009,6,7,0"
    for name, told in (("V_pred.txt", None), ("V.txt", None), ("V.txt", True)):
        (sample,) = mot_kp.read(file_of(tmp_path, sure, name=name), skeleton=FLY, predictions=told)
        assert sample.meta["video"] == "V" and sample.visible["fly.head"].tolist() == [2]
        assert np.isnan(sample.points["fly.tail"]).all() and sample.meta["scores"]["fly.head"].tolist() == [1.009]
    with pytest.raises(InputError, match=r"V.txt:1: the visibility 1.009; 0 is out of frame, 1 hidden"):
        mot_kp.read(file_of(tmp_path, sure), skeleton=FLY, predictions=False)
    whole = file_of(tmp_path, "0,0,0,-1,-1,-1,-1,4,5,1,6,7,2", name="V_pred.txt")
    assert mot_kp.read(whole, skeleton=FLY)[0].visible["fly.head"].tolist() == [1]
    mot_kp.write(tmp_path / "W.txt", [replace(sample, meta={**sample.meta, "video": "W"})], skeleton=FLY,
                 third="confidence")  # fmt: skip
    assert (tmp_path / "W.txt").read_text() == "0,0,0,-1,-1,-1,-1,4,5,1.009,0,0,0\n"


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        (["0,0,0"], 1, "3 columns; a row is frame, id, class"),
        ([hand(), hand(1) + ",3"], 2, r"26 columns, but a row of left_hand has 25 \(7 and 3 for each of 6 points\)"),
        ([tool(number=0)], 1, "16 columns, but a row of left_hand has 25"),
        ([tool(number=7)], 1, "no class 7; its classes: 0 left_hand, 1 right_hand"),
        ([tool(frame=-1)], 1, "the frame -1 is negative"),
        ([tool(frame="1.5")], 1, "the frame is '1.5', not a whole number"),
        ([tool(track="")], 1, "the track id is blank"),
        ([tool().replace("12", "nan", 1)], 1, "column 9 is 'nan', not a number; write 0,0,0 for a point out of frame"),
        ([tool().replace("12", "-1e999", 1)], 1, "column 9 is '-1e999', not a number"),
        ([tool()[:-1] + "3"], 1, "the visibility 3; 0 is out of frame"),
        ([tool(), tool(29), tool(29)], 3, "frame 29 has the needle with id 6 twice, also in line 2"),
        ([hand(), hand(track=1)], 2, "frame 0 has more than 1 left_hand; remove one, or raise instances"),
        ([tool(track=1), tool(track=2), tool(track=3)], 3, "frame 0 has more than 2 needle"),
    ],
)
def test_rows_that_are_wrong(tmp_path: Path, rows: list[str], line: int, reason: str) -> None:
    path = file_of(tmp_path, *rows)
    with pytest.raises(InputError, match=reason) as caught:
        mot_kp.read(path)
    assert (caught.value.path, caught.value.row) == (str(path), line)
    assert str(caught.value) in [str(one) for one in mot_kp.problems(path)]


def image(path: Path, width: int = 60) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, 40)).save(path)


def test_the_layout_of_single_frames(tmp_path: Path) -> None:
    """An empty file is a frame without objects; images lie in ``../frames``; the download tool's files are passed."""
    labels = tmp_path / "train" / "mot"
    labels.mkdir(parents=True)
    (labels / "A_frame_0.txt").write_text(tool(0) + "\n")
    (labels / "A_frame_1798.txt").write_text("\n")
    (labels / "SYNAPSE_METADATA_MANIFEST.txt").write_text("path,name")
    for frame in (0, 1798):
        image(tmp_path / "train" / "frames" / f"A_frame_{frame}.png")
    found = mot_kp.read(labels)
    assert [(one.frame, len(one.ids), one.size) for one in found] == [(0, 1, (40, 60)), (1798, 0, (40, 60))]
    image(tmp_path / "train" / "frames" / "A_frame_9.png")
    assert len(mot_kp.read(labels)) == 2
    with pytest.raises(InputError, match=r"A_frame_9.png: an image without labels; write A_frame_9.txt, empty where"):
        mot_kp.read(labels, tmp_path / "train" / "frames")
    (labels / "A_frame_9.txt").write_text(tool(10) + "\n")
    with pytest.raises(InputError, match=r"A_frame_9.txt:1: the row is of frame 10; rows of this file are of frame 9"):
        mot_kp.read(labels, tmp_path / "train" / "frames")
    (labels / "A.txt").write_text(tool(0) + "\n")
    with pytest.raises(InputError, match=r"labels of a frame that A\.txt holds as well"):
        mot_kp.read(labels)


def test_the_layout_of_whole_videos(tmp_path: Path) -> None:
    """Frames with an image and without a row have no objects; a video without labels is named."""
    path = file_of(tmp_path, tool(29), name="E66F.txt")
    for frame in (0, 29):
        image(tmp_path / "frames" / "E66F" / f"E66F_frame_{frame}.png")
    found = mot_kp.read(path, tmp_path / "frames")
    assert [(one.frame, len(one.ids)) for one in found] == [(0, 0), (29, 1)]
    assert found[1].image == tmp_path / "frames" / "E66F" / "E66F_frame_29.png"
    image(tmp_path / "frames" / "P11H" / "P11H_frame_0.png")
    with pytest.raises(InputError, match="an image without labels"):
        mot_kp.read(tmp_path, tmp_path / "frames")
    image(tmp_path / "frames" / "E66F" / "E66F_frame_0.png", width=62)
    with pytest.raises(InputError, match=r"E66F_frame_29.png: 60 x 40 pixels, but E66F_frame_0.png of the same video"):
        mot_kp.read(path, tmp_path / "frames")


def test_a_visible_point_outside_the_image(tmp_path: Path) -> None:
    image(tmp_path / "V_frame_0.png")
    path = file_of(tmp_path, "0,0,0,-1,-1,-1,-1,60,5,2,6,7,2")
    with pytest.raises(InputError, match=r"V.txt:1: the visible point fly.head at \(60, 5\) lies outside"):
        mot_kp.read(path, skeleton=FLY)
    path.write_text(path.read_text().replace(",2,", ",1,", 1))
    assert mot_kp.read(path, skeleton=FLY)[0].visible["fly.head"].tolist() == [1]


def test_files_of_single_frames_are_written(tmp_path: Path) -> None:
    names = find("oss25")
    whole = mot_kp.read(file_of(tmp_path, tool(0), tool(29), hand(29)), skeleton=names)
    empty = Sample(image=tmp_path / "V_frame_58.png")
    mot_kp.write(tmp_path / "mot", [*whole, empty], layout="frame")
    assert sorted(one.name for one in (tmp_path / "mot").iterdir()) == [
        "V_frame_0.txt", "V_frame_29.txt", "V_frame_58.txt",
    ]  # fmt: skip
    assert (tmp_path / "mot" / "V_frame_29.txt").read_text() == f"{tool(29)}\n{hand(29)}\n"
    assert [len(one.ids) for one in mot_kp.read(tmp_path / "mot")] == [1, 2, 0]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    def written(**changes: Any) -> Path:
        xy = {"needle.end": np.zeros((1, 2)), "needle.tip": np.ones((1, 2))}
        sample = replace(Sample(image=Path("V_frame_3.png"), points=xy), **changes)
        mot_kp.write(tmp_path / "V.txt", [sample])
        return tmp_path / "V.txt"

    assert written().read_text() == "3,0,5,-1,-1,-1,-1,-0.5,-0.5,2,0.5,0.5,2,-1,-1,-1\n"
    assert "3,0,5" in written(points={"tip": np.ones((1, 2))}).read_text()  # no other class has a tip
    for changes, reason in (
        ({"points": {"thumb": np.ones((1, 2))}}, "'thumb' may be left_hand.thumb or right_hand.thumb"),
        ({"points": {"beak": np.ones((1, 2))}}, "'beak' is not in the skeleton 'oss25'"),
        ({"points": {"nub": np.ones((2, 2))}}, "2 tweezers, but the skeleton 'oss25' has 1"),
        ({"points": {"needle.end": np.ones((2, 2)), "needle.tip": np.ones((1, 2))}}, "needle has 1 of one point and 2"),
        ({"image": Path("a.png")}, "no frame number; name the image VIDEO_frame_NUMBER"),
        ({"ids": ["a,b"]}, "the id 'a,b' cannot stand in a row"),
        ({"meta": {"video": "a/b"}}, "its video 'a/b' cannot name a file"),
    ):
        with pytest.raises(InputError, match=reason):
            written(**changes)


def test_through_coco_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each object is a box with its class; ids and marks of points that are not labelled are named as lost."""
    for frame in (0, 29):
        image(tmp_path / "frames" / f"V_frame_{frame}.png")
    rows = [tool(0, 6), hand(0, 0), tool(0, 5), "29,2,2,-1,-1,-1,-1,4,5,2,6,7,1,-1,-1,-1"]
    path, there, back = file_of(tmp_path, *rows), tmp_path / "coco.json", tmp_path / "V_again.txt"
    convert(source_format="mot_kp", target_format="coco", source=path, target=there, images=tmp_path / "frames")
    told = capsys.readouterr().out
    assert "images with marks of points not labelled" in told and "frame numbers" in told
    convert(source_format="coco", target_format="mot_kp", source=there, target=back, images=tmp_path / "frames")
    before, after = mot_kp.read(path), mot_kp.read(back)
    for one, other in zip(before, after, strict=True):
        assert sorted(one.labels) == sorted(other.labels) and one.frame == other.frame
        for name, xy in one.points.items():
            np.testing.assert_allclose(np.sort(other.points[name], axis=0), np.sort(xy, axis=0))


def test_real_files(shared_data: Path) -> None:
    """Two flies in 900 frames: every point is in the image, some of 13 are absent, a tracker's confidences pass 1."""
    folder = shared_data / "kpnet" / "flies"
    for name, count in (("gt_2kp.txt", 2), ("gt_13kp.txt", 13), ("tracker_2kp.txt", 2)):
        group = Group(tuple(f"fly.{number}" for number in range(count)), id=0, instances=2)
        skeleton = Skeleton("flies", {"fly": group})
        found = mot_kp.read(folder / name, skeleton=skeleton)
        assert len(found) == 900 and {len(one.ids) for one in found} <= {1, 2, 3}
        assert ("scores" in found[0].meta) == name.startswith("tracker")
        absent = sum(int((one == 0).sum()) for sample in found for one in sample.visible.values())
        assert (absent > 0) == (count == 13)


def test_a_point_that_is_hidden_somewhere(tmp_path: Path) -> None:
    """-1, -1, 1: neither out of frame nor at a place; it is written as it was read."""
    path = tmp_path / "A.txt"
    path.write_text("3,1,2,-1,-1,-1,-1,10,11,2,-1,-1,1,-1,-1,-1\n")
    (sample,) = mot_kp.read(path)
    assert sample.visible["scissors.right"].tolist() == [0] and np.isnan(sample.points["scissors.right"]).all()
    assert sample.meta["hidden"] == {"scissors.right": [True]}
    assert sample.meta["unlabelled"] == {"scissors.joint": [True]}
    mot_kp.write(tmp_path / "B.txt", [sample])
    assert (tmp_path / "B.txt").read_text() == path.read_text()
    assert "1 points that are hidden somewhere" in losses([sample], "coco") and not losses([sample], "mot_kp")
