"""``kaname convert``: annotated faces to every format and back, by the names of their points, with visibility."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from calling import call, snapshot
from data.formats.faces import NAMES, write_faces
from kaname.apps.convert import convert, new_files
from kaname.data.formats import coco, cvat, labelstudio, landmarks, pts
from kaname.data.formats.landmarks import Annotation, read_annotation, write_annotation
from kaname.errors import InputError
from kaname.geometry.image import write_image

FILES = {"coco": "coco.json", "labelstudio": "ls.json", "cvat": "cvat.xml", "pts": "pts", "landmarks": "again"}
QUICK, MANY = 50, 1000


def same(one: Annotation, other: Annotation) -> None:
    np.testing.assert_array_equal(one.points, other.points)
    assert one.visible.tolist() == other.visible.tolist()
    assert (one.image, one.size, one.box, one.finished) == (other.image, other.size, other.box, other.finished)
    assert other.skeleton == "anime-face-28"


def there_and_back(folder: Path, written: dict[str, Annotation], chain: tuple[str, ...]) -> None:
    """Through the formats of a chain, and back to files that say the same."""
    source, kind = folder / "annotated", "landmarks"
    for number, target in enumerate((*chain, "landmarks")):
        out = folder / f"{number}-{FILES[target]}"
        way = {"source_format": kind, "target_format": target, "source": source, "target": out}
        convert(**way, images=folder / "images", overwrite=True)  # chains share folders
        source, kind = out, target
    found = {path.name: read_annotation(path) for path in source.iterdir()}
    assert sorted(found) == sorted(written)
    for name, annotation in written.items():
        same(annotation, found[name])


@pytest.mark.parametrize("target", sorted(FILES))
@pytest.mark.parametrize("count", [QUICK, pytest.param(MANY, marks=pytest.mark.slow)])
def test_faces_come_back_from_every_format(tmp_path: Path, target: str, count: int) -> None:
    """Several faces an image, in sub-folders, with hidden and absent points, with and without boxes."""
    there_and_back(tmp_path, write_faces(tmp_path, seed=len(target), count=count), (target,))


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written is the file that was asked for, not the one that was to become it."""

    def refuse(suffix: str, prefix: str, dir: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", f"{dir}/{prefix}x{suffix}")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with (
        pytest.raises(InputError, match=r"new\.json: cannot be written \(Permission denied\)"),
        new_files(tmp_path / "new.json", overwrite=False),
    ):
        pass


def test_faces_come_back_through_all_formats_in_turn(tmp_path: Path) -> None:
    there_and_back(tmp_path, write_faces(tmp_path, seed=9, count=12), ("cvat", "coco", "pts", "labelstudio", "cvat"))


def test_the_names_are_those_of_the_skeleton(tmp_path: Path) -> None:
    """In every format the same sample is read: points by name, continuous, with visibility."""
    written = write_faces(tmp_path, seed=3, count=4)
    images = tmp_path / "images"
    for target, module in (("coco", coco), ("cvat", cvat), ("pts", pts)):
        convert(source_format="landmarks", target_format=target, source=tmp_path / "annotated",
                target=tmp_path / FILES[target], images=images)  # fmt: skip
        samples = {sample.image.name: sample for sample in module.read(tmp_path / FILES[target], images)}
        for name in (name for name in written if ".face" not in name):
            sample, face = samples[Path(written[name].image).name], written[name]
            for place, point in enumerate(NAMES):
                assert int(sample.visible[point][0]) == face.visible[place]
                np.testing.assert_allclose(
                    sample.points[point][0], face.points[place] + np.array([0.5, 0.5]), atol=1e-9
                )


def test_hidden_points_in_label_studio(tmp_path: Path) -> None:
    """As its per-region choices say it; faces are told apart by their boxes, not by where points lie."""
    written = write_faces(tmp_path, seed=4, count=8)
    convert(source_format="landmarks", target_format="labelstudio", source=tmp_path / "annotated",
            target=tmp_path / "ls.json", images=tmp_path / "images")  # fmt: skip
    hidden = sum(int((sample.visible[name] == 1).sum()) for sample in labelstudio.read(tmp_path / "ls.json",
                 tmp_path / "images") for name in sample.points)  # fmt: skip
    assert hidden == sum(int((face.visible == 1).sum()) for face in written.values()) > 0
    tasks = json.loads((tmp_path / "ls.json").read_text("utf-8"))
    results = [result for task in tasks for result in task["annotations"][0]["result"]]
    choices = [result for result in results if result["type"] == "choices"]
    keys = [result["id"] for result in results if result["type"] == "keypointlabels"]
    assert len(choices) == hidden and all(one["id"] in keys for one in choices)
    assert any("parentID" in result for result in results)


def test_the_real_faces_to_every_format_and_back(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "landmark" / "anime"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/landmark/anime")
    (tmp_path / "images").symlink_to(folder / "images")
    shutil.copytree(folder / "annotated", tmp_path / "annotated")
    written = {path.name: read_annotation(path) for path in (folder / "annotated").iterdir()}
    assert len(written) == 16
    for target in FILES:
        there_and_back(tmp_path, written, (target,))


def test_unfinished_faces_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A point that is not placed would be taken for one that is absent; in landmarks it stays what it is."""
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    write_image(tmp_path / "b.png", np.zeros((20, 30, 3), np.uint8))
    points, visible = np.full((28, 2), np.nan), np.full(28, -1)
    points[0], visible[0] = (3, 4), 2
    whole = Annotation("a.png", (20, 30), np.full((28, 2), 5.0), np.full(28, 2), (1, 1, 5, 5))
    half = Annotation("a.png", (20, 30), points, visible, (2, 2, 6, 6), finished=False)
    for name, face in (("a", whole), ("a.face2", half)):
        write_annotation(tmp_path / "in" / f"{name}.json", face)
    write_annotation(tmp_path / "in" / "b.json", Annotation("b.png", (20, 30), points, visible, finished=False))
    convert(source_format="landmarks", target_format="coco", source=tmp_path / "in", target=tmp_path / "coco.json",
            images=tmp_path)  # fmt: skip
    assert "left out: 2 unfinished faces" in capsys.readouterr().out
    (sample,) = coco.read(tmp_path / "coco.json", tmp_path)
    assert sample.boxes.tolist() == [[1, 1, 6, 6]]
    convert(source_format="landmarks", target_format="landmarks", source=tmp_path / "in", target=tmp_path / "out",
            images=tmp_path)  # fmt: skip
    again = read_annotation(tmp_path / "out" / "a.face2.json")
    assert not again.finished and again.visible.tolist() == visible.tolist()


def test_a_skeleton_of_your_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ears.yaml").write_text("name: ears\ngroups: {ears: {points: [left, tip, right]}}\n")
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 3\n{\n1 1\n2 2\n3 3\n}\n")
    ways = {"source_format": "pts", "source": tmp_path / "a.pts", "images": tmp_path}
    convert(**ways, target_format="coco", target=tmp_path / "coco.json")
    assert "called by their numbers, up to 2; --skeleton names them" in capsys.readouterr().out
    order = str(tmp_path / "ears.yaml")
    convert(**ways, target_format="coco", target=tmp_path / "coco.json", skeleton=order, overwrite=True)
    assert list(coco.read(tmp_path / "coco.json")[0].points) == ["left", "tip", "right"]
    back = {"source_format": "coco", "source": tmp_path / "coco.json", "images": tmp_path, "target_format": "landmarks"}
    convert(**back, target=tmp_path / "out", skeleton=str(tmp_path / "ears.yaml"))
    found = read_annotation(tmp_path / "out" / "a.json")
    assert found.skeleton == "ears" and found.points.tolist() == [[0, 0], [1, 1], [2, 2]] and found.box is None
    with pytest.raises(InputError, match="3 points, but the skeleton 'anime-face-28' has 28"):
        convert(**ways, target_format="coco", target=tmp_path / "coco.json", skeleton="anime-face-28")
    write_image(tmp_path / "b.png", np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "b.pts").write_text("version: 1\nn_points: 1\n{\n1 1\n}\n")
    with pytest.raises(
        InputError, match=r"images have different numbers of points: 1 points in 1 .b.png.; 3 points in 1 .a.png."
    ):
        convert(**{**ways, "source": tmp_path}, target_format="coco", target=tmp_path / "coco.json")


def test_several_points_of_one_name_are_no_face(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    image = '<image id="0" name="a.png" width="30" height="20"><points label="notch" points="1,1;2,2"/></image>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image}</annotations>")
    for target in ("landmarks", "pts"):
        with pytest.raises(InputError, match="2 points 'notch' in one face"):
            convert(source_format="cvat", target_format=target, source=tmp_path / "a.xml", target=tmp_path / "out",
                    images=tmp_path)  # fmt: skip
    convert(source_format="cvat", target_format="labelstudio", source=tmp_path / "a.xml", target=tmp_path / "ls.json",
            images=tmp_path)  # fmt: skip
    assert labelstudio.read(tmp_path / "ls.json", tmp_path)[0].points["notch"].tolist() == [[1, 1], [2, 2]]


def test_what_other_formats_lose_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    face = Annotation("a.png", (20, 30), np.full((28, 2), 5.0), np.full(28, 2), other={"quality": "B"})
    write_annotation(tmp_path / "in" / "a.json", face)
    convert(source_format="landmarks", target_format="pts", source=tmp_path / "in", target=tmp_path / "out")
    assert "lost: 1 faces' further fields" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.pts"]
    assert len(landmarks.read(tmp_path / "in")) == 1


def coco_of(folder: Path, *instances: dict[str, object], names: tuple[str, ...] = ("l", "r")) -> Path:
    """A COCO file of an image of 60 x 40 with instances."""
    (folder / "images").mkdir(exist_ok=True)
    write_image(folder / "images" / "a.png", np.zeros((40, 60, 3), np.uint8))
    usual = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "face", "keypoints": list(names)}],
        "annotations": [{"id": number, **usual, **one} for number, one in enumerate(instances, 1)],
    }
    (folder / "c.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "c.json"


def test_instances_without_a_point_make_no_face(tmp_path: Path) -> None:
    """Of COCO's persons half have none: as faces they would keep the whole folder from being used."""
    there = {"keypoints": [12, 12, 2, 20, 20, 1]}
    path = coco_of(tmp_path, there, {"keypoints": [0] * 6}, {})
    way = ("--from", "coco", "--to", "landmarks", "--input", path, "--images", tmp_path / "images")
    said = call("convert", *way, "--output", tmp_path / "faces").done().out
    assert "left out: 2 instances without a point" in said
    assert [file.name for file in (tmp_path / "faces").iterdir()] == ["a.json"]
    path = coco_of(tmp_path, {"keypoints": [0] * 6})
    said = call("convert", *way, "--output", tmp_path / "none").done().out
    assert "left out: 1 images without a face" in said and "0 images from" in said


def test_boxes_without_an_area_are_none(tmp_path: Path) -> None:
    """COCO's file needs a box, and tools write [0, 0, 0, 0] where they know none; files of faces refuse it."""
    none = {"bbox": [0, 0, 0, 0]}
    one, two = {**none, "keypoints": [12, 12, 2, 20, 20, 1]}, {**none, "keypoints": [32, 12, 2, 0, 0, 0]}
    for number, instances in enumerate([(one,), (one, two)]):
        out = tmp_path / f"faces{number}"
        way = ("--from", "coco", "--to", "landmarks", "--input", coco_of(tmp_path, *instances), "--output", out)
        call("convert", *way, "--images", tmp_path / "images").done()
        assert landmarks.problems(out, tmp_path / "images") == []
        boxes = [read_annotation(file).box for file in sorted(out.iterdir())]
        assert boxes == [[None], [(32, 12, 1, 1), (12, 12, 9, 9)]][number]


def test_attributes_are_told(tmp_path: Path) -> None:
    one = {"keypoints": [12, 12, 2, 20, 20, 1], "attributes": {"occluded": False, "rotation": 0.0, "smile": "yes"}}
    way = ("--from", "coco", "--to", "cvat", "--input", coco_of(tmp_path, one), "--output", tmp_path / "c.xml")
    assert "lost: 1 attributes of shapes" in call("convert", *way, "--images", tmp_path / "images").done().out
    text = (tmp_path / "c.xml").read_text().replace("</skeleton>", '<attribute name="smile">yes</attribute></skeleton>')
    (tmp_path / "d.xml").write_text(text)
    way = ("--from", "cvat", "--to", "coco", "--input", tmp_path / "d.xml", "--output", tmp_path / "d.json")
    assert "lost: 1 attributes of shapes" in call("convert", *way, "--images", tmp_path / "images").done().out


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_in_the_place_of_names(tmp_path: Path, first: int) -> None:
    """CVAT calls the points of a skeleton by numbers unless told otherwise; absent ones may be missing altogether."""
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    points = "".join(f'<points label="{number + first}" outside="{int(number == 5)}" points="{number + 0.5},2.5"/>'
                     for number in range(28) if number != 7)  # fmt: skip
    image = f'<image id="0" name="a.png" width="30" height="20"><skeleton label="face">{points}</skeleton></image>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image}</annotations>")
    convert(source_format="cvat", target_format="landmarks", source=tmp_path / "a.xml", target=tmp_path / "out",
            images=tmp_path)  # fmt: skip
    found = read_annotation(tmp_path / "out" / "a.json")
    expected = [[number, 2] if number not in (5, 7) else [np.nan, np.nan] for number in range(28)]
    np.testing.assert_array_equal(found.points, expected)
    assert found.skeleton == "anime-face-28"


def test_names_and_numbers_in_one_folder(tmp_path: Path) -> None:
    for name, count in (("a", 28), ("b", 3)):
        write_image(tmp_path / f"{name}.png", np.zeros((20, 30, 3), np.uint8))
        (tmp_path / f"{name}.pts").write_text(f"version: 1\nn_points: {count}\n{{\n" + "1 1\n" * count + "}\n")
    with pytest.raises(InputError, match="some images have names of points, others numbers"):
        convert(source_format="pts", target_format="coco", source=tmp_path, target=tmp_path / "coco.json")


def _rally(match: Path, name: str, x: int) -> Path:
    (match / "frame" / name).mkdir(parents=True)
    (match / "csv").mkdir(exist_ok=True)
    for number in range(2):
        write_image(match / "frame" / name / f"{number}.png", np.zeros((36, 64, 3), np.uint8))
    labels = match / "csv" / f"{name}_ball.csv"
    labels.write_text(f"Frame,Visibility,X,Y\n0,1,{x},5\n1,0,0,0\n", encoding="utf-8")
    return labels


def test_sources_that_are_written_into_one_folder_stay_apart(tmp_path: Path) -> None:
    sources = [_rally(tmp_path / "match1", "1_01_00", 10), _rally(tmp_path / "match1", "1_01_01", 20)]
    out = tmp_path / "out"
    way = ("--from", "tracknet", "--to", "tracknet", "--output", out)
    for source in (*sources, tmp_path / "match1"):  # the same again changes nothing
        call("convert", *way, "--input", source).done()
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.csv"))
    assert found == ["match1/1_01_00/Label.csv", "match1/1_01_01/Label.csv"]
    before = snapshot(out)
    for number, labels in enumerate(sources):
        labels.write_text(f"Frame,Visibility,X,Y\n0,1,{30 + number},5\n1,0,0,0\n", encoding="utf-8")
    wrong = call("convert", *way, "--input", tmp_path / "match1")
    assert wrong.code == 2 and "Label.csv: the file exists and 1 more" in wrong.err and "--overwrite" in wrong.err
    assert snapshot(out) == before and sorted(path.name for path in tmp_path.iterdir()) == ["match1", "out"]
    call("convert", *way, "--input", tmp_path / "match1", "--overwrite").done()
    assert b",30,5," in snapshot(out)["match1/1_01_00/Label.csv"]


def test_a_file_that_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    source = _rally(tmp_path / "match1", "1_01_00", 10)
    out = tmp_path / "o.json"
    out.write_text("mine", encoding="utf-8")
    way = ("--from", "tracknet", "--to", "coco", "--input", source, "--output", out)
    wrong = call("convert", *way)
    assert wrong.code == 2 and "o.json: the file exists" in wrong.err and out.read_text() == "mine"
    call("convert", *way, "--overwrite").done()
    assert '"images"' in out.read_text()


def test_faces_are_not_replaced_either(tmp_path: Path) -> None:
    write_faces(tmp_path, seed=3, count=4)
    (tmp_path / "pts").mkdir()
    first = sorted(path.stem for path in (tmp_path / "annotated").iterdir())[0]
    (tmp_path / "pts" / f"{first}.pts").write_text("mine", encoding="utf-8")
    way = ("--from", "landmarks", "--to", "pts", "--input", tmp_path / "annotated", "--output", tmp_path / "pts")
    assert "the file exists" in call("convert", *way, "--images", tmp_path / "images").err
    assert list(snapshot(tmp_path / "pts").values()) == [b"mine"]


def test_label_studio_has_what_of_a_box_lies_in_the_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A face's box may go beyond its image, as those of rendered faces do; Label Studio holds percent of the image."""
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "a.png", np.zeros((50, 80, 3), np.uint8))
    places = np.column_stack([np.linspace(10, 30, 28), np.linspace(20, 40, 28)])
    face = Annotation("a.png", (50, 80), places, np.full(28, 2), (-12.5, 5.0, 60.0, 60.0), "anime-face-28", True, {})
    write_annotation(tmp_path / "annotated" / "a.json", face)
    convert(source_format="landmarks", target_format="labelstudio", source=tmp_path / "annotated",
            target=tmp_path / "ls.json", images=tmp_path / "images")  # fmt: skip
    assert "lost: what of 1 boxes lies outside their image" in capsys.readouterr().out
    (sample,) = labelstudio.read(tmp_path / "ls.json", tmp_path / "images")
    np.testing.assert_allclose(sample.boxes, [[0, 5, 47.5, 50]])
    assert sample.points["chin"].tolist() == [pytest.approx(places[2] + 0.5)]
