"""CVAT's points: every way to label a face, hidden and absent points, and files that are no label files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from contracts.formats import FormatContract
from kaname.data.formats import cvat
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Sample

EARS = Skeleton.from_dict({"name": "ears", "groups": {"ears": {"points": ["left", "tip", "right"]}}})


class TestCvat(FormatContract):
    module = cvat
    file = "annotations.xml"
    cuts = (1, 40, 200, -40, -14)


def save(folder: Path, shapes: str, head: str = "") -> Path:
    """A file of one image of 30 x 20, which is there as well."""
    write_image(folder / "a.png", np.zeros((20, 30, 3), np.uint8))
    path = folder / "annotations.xml"
    image = f'<image id="0" name="a.png" width="30" height="20">{shapes}</image>'
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{head}<annotations>{image}</annotations>', "utf-8")
    return path


def read(folder: Path, shapes: str, skeleton: Skeleton | None = EARS) -> Sample:
    (sample,) = cvat.read(save(folder, shapes), folder, skeleton=skeleton)
    return sample


def point(label: str, places: str, *, hidden: bool = False, **facts: object) -> str:
    more = "".join(f' {key}="{value}"' for key, value in facts.items())
    return f'<points label="{label}" occluded="{int(hidden)}" source="manual" points="{places}"{more}></points>'


def test_an_export_of_a_skeleton(tmp_path: Path) -> None:
    """As CVAT writes it: an absent point keeps a place and is outside."""
    sample = read(
        tmp_path,
        """<skeleton label="fox" source="manual" z_order="0" group_id="4">
             <points label="right" source="manual" outside="0" occluded="1" points="12.50,3.25"></points>
             <points label="tip" source="manual" outside="1" occluded="0" points="7.00,7.00"></points>
             <points label="left" source="manual" outside="0" occluded="0" points="1.00,2.00"></points>
           </skeleton>
           <box label="head" occluded="0" xtl="0.50" ytl="1.00" xbr="20.00" ybr="18.00" group_id="4"/>""",
    )
    assert {name: xy.tolist() for name, xy in sample.points.items() if name != "tip"} == {
        "right": [[12.5, 3.25]],
        "left": [[1.0, 2.0]],
    }
    assert np.isnan(sample.points["tip"]).all()
    assert {name: one.tolist() for name, one in sample.visible.items()} == {"right": [1], "tip": [0], "left": [2]}
    assert sample.boxes.tolist() == [[0.5, 1.0, 20.0, 18.0]] and list(sample.labels) == ["fox"]
    assert sample.size == (20, 30)


def test_a_face_in_one_shape(tmp_path: Path) -> None:
    """Its points have the names of the skeleton, in its order."""
    sample = read(tmp_path, point("face", "1,2;3.5,4;5,6") + point("face", "11,12;13,14;15,16"))
    assert list(sample.points) == ["left", "tip", "right"]
    assert sample.points["tip"].tolist() == [[3.5, 4.0], [13.0, 14.0]]
    assert sample.boxes.tolist() == [[1, 2, 5, 6], [11, 12, 15, 16]] and sample.meta["extents"] == [1, 2]
    with pytest.raises(InputError, match="a face of 2 points in one shape, but 'ears' has 3"):
        read(tmp_path, point("ears", "1,2;3,4"))


def test_a_hidden_face_in_one_shape(tmp_path: Path) -> None:
    sample = read(tmp_path, point("face", "1,2;3,4;5,6", hidden=True))
    assert [one.tolist() for one in sample.visible.values()] == [[1], [1], [1]]


def test_a_shape_for_each_point(tmp_path: Path) -> None:
    sample = read(tmp_path, point("left", "1,2") + point("tip", "3,4", hidden=True) + point("right", "0,0", outside=1))
    assert sample.points["tip"].tolist() == [[3, 4]] and np.isnan(sample.points["right"]).all()
    assert {name: one.tolist() for name, one in sample.visible.items()} == {"left": [2], "tip": [1], "right": [0]}
    assert len(sample.boxes) == 0


def test_groups_of_points(tmp_path: Path) -> None:
    """Two faces whose points and boxes are told apart by their groups alone; a third box has no points."""
    boxes = "".join(
        f'<box label="{label}" occluded="0" xtl="{x}" ytl="0" xbr="{x + 9}" ybr="9" group_id="{group}"/>'
        for label, x, group in (("cat", 20, 2), ("fox", 0, 1), ("dog", 5, 0))
    )
    shapes = [("left", "1,2", 1), ("left", "1,3", 2), ("tip", "2,2", 2), ("tip", "2,3", 1)]
    sample = read(tmp_path, boxes + "".join(point(label, at, group_id=group) for label, at, group in shapes))
    assert list(sample.labels) == ["fox", "cat", "dog"] and sample.boxes[:, 0].tolist() == [0, 20, 5]
    assert sample.points["left"][:2].tolist() == [[1, 2], [1, 3]] and sample.points["tip"][:2].tolist() == [
        [2, 3],
        [2, 2],
    ]
    assert sample.visible["left"].tolist() == [2, 2, 0]


def test_boxes_without_groups_go_to_the_points_that_they_hold(tmp_path: Path) -> None:
    box = '<box label="b" occluded="0" xtl="{0}" ytl="0" xbr="{1}" ybr="20"/>'
    sample = read(
        tmp_path, box.format(12, 30) + box.format(0, 11) + point("f", "1,1;2,2;3,3") + point("f", "21,1;22,2;9,3")
    )
    assert sample.boxes[:, 0].tolist() == [0, 12] and "extents" not in sample.meta


def test_sets_of_points_of_one_name(tmp_path: Path) -> None:
    sample = read(tmp_path, point("notch", "1,1;2,2") + point("notch", "3,3", hidden=True) + point("end", "9,9"), None)
    assert sample.points["notch"].tolist() == [[1, 1], [2, 2], [3, 3]] and sample.visible["notch"].tolist() == [2, 2, 1]
    cvat.write(tmp_path / "b.xml", [sample])
    (again,) = cvat.read(tmp_path / "b.xml", tmp_path)
    assert again.points["notch"].tolist() == sample.points["notch"].tolist()
    assert again.visible["notch"].tolist() == [2, 2, 1]


def test_other_shapes_are_counted(tmp_path: Path) -> None:
    sample = read(tmp_path, point("tip", "1,1") + '<polygon label="x" points="1,1;2,2;3,3"/><tag label="y"/>')
    assert sample.meta["ignored"] == {"polygon": 1, "tag": 1}


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (point("", "1,1"), "without a label"),
        (point("tip", "1"), "points must be x,y"),
        (point("tip", "1,nan"), "not a coordinate"),
        (point("tip", "1,1e999"), "not a coordinate"),
        (f'<skeleton label="f">{point("tip", "1,1") * 2}</skeleton>', "'tip' comes twice"),
        (f'<skeleton label="f">{point("tip", "1,1;2,2")}</skeleton>', "has 2 places"),
        ('<box label="b" xtl="3" ytl="3" xbr="2" ybr="4"/>', "a box from"),
        ('<box label="b" xtl="3" ytl="3" xbr="x" ybr="4"/>', "not a coordinate"),
        ('<box label="b" xtl="1" ytl="1" xbr="2" ybr="4" rotation="20"/>', "rotated by 20 degrees"),
        (f'<skeleton label="f">{point("tip", "1,1")}</skeleton>' + point("left", "1,1;2,2"), "beside whole faces"),
    ],
)
def test_shapes_that_are_wrong(tmp_path: Path, shapes: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, shapes)
    assert caught.value.row == "image a.png" and caught.value.remedy


def test_images_that_are_wrong(tmp_path: Path) -> None:
    path = save(tmp_path, point("tip", "1,1"))
    text = path.read_text("utf-8")
    for old, new, words in (
        ('width="30"', 'width="31"', "has 30 x 20 pixels, the file says 31 x 20"),
        ('width="30"', 'width="wide"', "not a size"),
        ('name="a.png"', 'name=""', "an image without a name"),
        ('name="a.png"', 'name="b.png"', "'b.png' is missing"),
        ("<annotations>", '<annotations><track id="0"/>', "tracks of a video"),
    ):
        path.write_text(text.replace(old, new), "utf-8")
        with pytest.raises(InputError, match=words):
            cvat.read(path, tmp_path)
    path.write_text("<annotations></annotations>", "utf-8")
    with pytest.raises(InputError, match="no image in this file"):
        cvat.read(path, tmp_path)
    path.write_text("<html></html>", "utf-8")
    with pytest.raises(InputError, match="its top element is <html>"):
        cvat.read(path, tmp_path)


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;">]>\n',
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]>\n',
        '<!DOCTYPE annotations SYSTEM "http://localhost/x.dtd">\n',
    ],
)
def test_entities_are_refused(tmp_path: Path, head: str) -> None:
    """A label file has none; a hostile one could fill the memory with them, or read other files."""
    path = save(tmp_path, point("tip", "1,1"), head)
    with pytest.raises(InputError, match="document type"):
        cvat.read(path, tmp_path)


def test_written_files_are_what_cvat_reads(tmp_path: Path) -> None:
    """Skeletons with `outside` and `occluded`, each with its box in one group."""
    (tmp_path / "f").mkdir()
    write_image(tmp_path / "f" / "a.png", np.zeros((20, 30, 3), np.uint8))
    points = {"left": np.array([[1.5, 2.5], [np.nan, np.nan]]), "tip": np.array([[3.0, 4.0], [5.0, 6.0]])}
    visible = {"left": np.array([1, 0]), "tip": np.array([2, 2])}
    boxes = np.array([[0.0, 0, 9, 9], [1, 1, 8, 8]])
    sample = Sample(tmp_path / "f" / "a.png", points, visible, (20, 30), boxes, labels=["fox", "cat"])
    cvat.write(tmp_path / "a.xml", [sample], root=tmp_path)
    top = ElementTree.parse(tmp_path / "a.xml").getroot()
    image = top.find("image")
    assert image is not None and image.get("name") == "f/a.png" and top.findtext("version") == "1.1"
    assert [shape.get("label") for shape in image.findall("skeleton")] == ["fox", "cat"]
    assert [shape.get("group_id") for shape in image] == ["1", "2", "1", "2"]
    facts = [(one.get("label"), one.get("outside"), one.get("occluded")) for one in image.iter("points")]
    assert facts == [("left", "0", "1"), ("tip", "0", "0"), ("left", "1", "0"), ("tip", "0", "0")]
    assert [one.get("points") for one in image.iter("points")] == ["1.5,2.5", "3,4", "0,0", "5,6"]


def test_the_labels_stand_before_the_images_as_in_an_export(tmp_path: Path) -> None:
    """Datumaro, for one, takes no file without them; parts of a skeleton name it."""
    box = '<box label="fox" xtl="0" ytl="1" xbr="9" ybr="8"/>'
    sample = read(tmp_path, f'<skeleton label="fox"><points label="tip" points="1,2"/></skeleton>{box}')
    cvat.write(tmp_path / "again.xml", [sample])
    top = ElementTree.parse(tmp_path / "again.xml").getroot()
    assert [one.tag for one in top] == ["version", "meta", "image"] and top.findtext("meta/task/size") == "1"
    labels = [{fact.tag: fact.text for fact in label} for label in top.iterfind("meta/task/labels/label")]
    assert {"name": "tip", "type": "points", "parent": "fox", "attributes": None} in labels
    assert {"name": "fox", "type": "skeleton", "attributes": None} in labels
    assert len(labels) == len({one["name"] for one in labels})
