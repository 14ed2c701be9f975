"""DeepLabCut's CSV: one and several animals, names of images, blank cells, headers that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.formats import FormatContract
from kaname.apps.convert import convert
from kaname.data.formats import coco, dlc, mot_kp
from kaname.errors import InputError

ONE = "scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n"
SEVERAL = (
    "scorer,,,me,me,me,me,me,me\nindividuals,,,a,a,b,b,single,single\nbodyparts,,,nose,nose,nose,nose,corner,corner\n"
    "coords,,,x,y,x,y,x,y\n"
)


class TestDlc(FormatContract):
    module = dlc
    file = "CollectedData.csv"
    cuts = (1, 40, 60, -45, -12)


def file_of(tmp_path: Path, text: str, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40)).save(tmp_path / name)
    path = tmp_path / "CollectedData_me.csv"
    path.write_text(text)
    return path


def test_one_animal(tmp_path: Path) -> None:
    names = ("labeled-data/walk/img003.png", "labeled-data/walk/img120.png")
    text = f"{ONE}{names[0]},3,4.5,,\n{names[1]},,,0.25,1\n"
    first, second = dlc.read(file_of(tmp_path, text, *names))
    np.testing.assert_array_equal(first.points["nose"], [[3.5, 5.0]])
    assert first.visible["tail"].tolist() == [0] and np.isnan(first.points["tail"]).all()
    assert first.meta == {"video": "walk", "unlabelled": {"tail": [True]}} and first.ids == ()
    assert (first.frame, second.frame, second.size) == (3, 120, (40, 60))
    skeleton = dlc.skeleton_of(tmp_path / "CollectedData_me.csv", name="mouse")
    assert skeleton.name == "mouse" and skeleton.channels == ("animal.nose", "animal.tail")


def test_several_animals_and_names_in_three_columns(tmp_path: Path) -> None:
    """An animal whose cells are all blank is not labelled: it keeps its row."""
    text = f"{SEVERAL}labeled-data,walk,img0.png,1,2,,,9,8\n"
    (sample,) = dlc.read(file_of(tmp_path, text, "labeled-data/walk/img0.png"))
    assert sample.ids == ["a", "b"] and sample.points["nose"][0].tolist() == [1.5, 2.5]
    assert sample.meta["unlabelled"] == {"nose": [False, True]} and sample.points["corner"].shape == (1, 2)
    skeleton = dlc.skeleton_of(tmp_path / "CollectedData_me.csv")
    assert skeleton.channels == ("animal.nose#1", "animal.nose#2", "single.corner")
    again = tmp_path / "again.csv"
    dlc.write(again, [sample])
    (other,) = dlc.read(again, tmp_path / "labeled-data" / "walk")
    np.testing.assert_array_equal(other.points["nose"], sample.points["nose"])
    assert other.ids == ["a", "b"]
    np.testing.assert_array_equal(other.points["corner"], sample.points["corner"])
    assert dlc.skeleton_of(again).channels == skeleton.channels, "a part of no animal stays one"


def test_to_mot_kp_what_is_blank_stays_not_labelled(tmp_path: Path) -> None:
    text = f"{ONE}labeled-data/walk/img003.png,3,4.5,,\n"
    path = file_of(tmp_path, text, "labeled-data/walk/img003.png")
    (tmp_path / "mouse.yaml").write_text("name: mouse\nclasses:\n  animal: {id: 0, points: [nose, tail]}\n")
    out = tmp_path / "mot"
    convert(source_format="dlc", target_format="mot_kp", source=path, target=out, skeleton=str(tmp_path / "mouse.yaml"))
    assert (out / "walk.txt").read_text() == "3,0,0,-1,-1,-1,-1,3,4.5,2,-1,-1,-1\n"
    (sample,) = mot_kp.read(out, skeleton=tmp_path / "mouse.yaml")
    assert sample.meta["unlabelled"] == {"animal.tail": [True]}


def test_through_coco_objects_stay_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{SEVERAL}labeled-data,walk,img7.png,1,2,30,20,50,9\n"
    path = file_of(tmp_path, text, "labeled-data/walk/img7.png")
    convert(source_format="dlc", target_format="coco", source=path, target=tmp_path / "c.json")
    assert "frame numbers" in capsys.readouterr().out
    (sample,) = coco.read(tmp_path / "c.json", tmp_path / "labeled-data" / "walk")
    np.testing.assert_allclose(sample.points["nose"][:2], [[1.5, 2.5], [30.5, 20.5]])
    np.testing.assert_allclose(sample.boxes[2], [50.5, 9.5, 50.5, 9.5], err_msg="a part of no animal is one of its own")
    assert sample.labels == ["object", "object", "single"]
    assert sample.visible["nose"].tolist() == [2, 2, 0] and sample.visible["corner"].tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (ONE, 3, "no labelled image"),
        ("nose,3,4\n", 1, "the header's row 1 begins with 'nose', not with 'scorer'"),
        (ONE.replace("coords,x,y,x,y\n", "") + "img1.png,1,2,3,4\n", 3, "row 3 begins with 'img1.png'"),
        (ONE.replace("x,y,x,y", "x,y,x,likelihood") + "img1.png,1,2,3,4\n", 3, "a file of predictions"),
        (ONE.replace("x,y,x,y", "x,y,y,x") + "img1.png,1,2,3,4\n", 3, "a body part has the columns x and y"),
        (ONE.replace("tail", "nose") + "img1.png,1,2,3,4\n", 3, "a body part appears twice"),
        (ONE + "img1.png,1,2,3\n", 4, "4 columns, but the header has 5"),
        (ONE + "img1.png,1,,3,4\n", 4, "'nose' has only one of x and y"),
        (ONE + "img1.png,1,2,3,inf\n", 4, "'inf' is not a number"),
        (ONE + "img1.png,1,2,60,4\n", 4, r"'tail' at \(60, 4\) lies outside the image of 60 x 40"),
        (ONE + "img1.png,1,2,3,4\nimg1.png,1,2,3,4\n", 5, "'img1.png' is also labelled in line 4"),
        (ONE + "img9.png,1,2,3,4\n", 4, "no image 'img9.png'"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = file_of(tmp_path, text, "img1.png")
    with pytest.raises(InputError, match=reason) as caught:
        dlc.read(path)
    assert (caught.value.path, caught.value.row) == (str(path), line)


def test_the_mouse(shared_data: Path) -> None:
    """90 real frames of 17 points in two views, blank where a paw is behind the body."""
    path = shared_data / "kpnet" / "mirror_mouse" / "CollectedData.csv"
    found = dlc.read(path)
    assert len(found) == 90 and {one.size for one in found} == {(406, 396)}
    blank = sum(sum(rows) for one in found for rows in one.meta.get("unlabelled", {}).values())
    assert len(found[0].points) == 17 and 0 < blank < 90 * 17
