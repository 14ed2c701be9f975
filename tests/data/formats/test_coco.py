"""COCO files: real persons, key points, round trips, and everything that can be wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.formats import FormatContract
from kaname.data.formats import coco
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Sample

GOOD = {
    "images": [
        {"id": 5, "file_name": "a.png", "height": 40, "width": 60},
        {"id": 6, "file_name": "b.png", "height": 40, "width": 60},
    ],
    "categories": [
        {"id": 1, "name": "person", "keypoints": ["nose", "hand"], "skeleton": [[1, 2]]},
        {"id": 3, "name": "ball"},
    ],
    "annotations": [
        {
            "id": 11,
            "image_id": 5,
            "category_id": 1,
            "bbox": [1, 2, 10.5, 20],
            "iscrowd": 0,
            "segmentation": [[1, 2, 11.5, 2, 11.5, 22], [3, 3, 4, 3, 4, 4, 3, 4]],
            "keypoints": [3, 4, 2, 0, 0, 0],
        },
        {"id": 12, "image_id": 5, "category_id": 3, "bbox": [0, 0, 5, 5], "segmentation": []},
        {
            "id": 13,
            "image_id": 5,
            "category_id": 1,
            "bbox": [0, 0, 60, 40],
            "iscrowd": 1,
            "segmentation": {"size": [40, 60], "counts": [2400]},
        },
        {
            "id": 14,
            "image_id": 5,
            "category_id": 1,
            "bbox": [5, 5, 5, 5],
            "segmentation": {"size": [40, 60], "counts": "]65S10000000[n1"},
            "keypoints": [7, 8, 1, 9.5, 9, 2],
        },
    ],
}


class TestCoco(FormatContract):
    module = coco


def save(folder: Path, content=GOOD) -> Path:
    path = folder / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_read(tmp_path):
    one, other = coco.read(save(tmp_path))
    assert one.image == Path("a.png")
    assert one.size == (40, 60)
    np.testing.assert_allclose(one.boxes, [[1, 2, 11.5, 22], [0, 0, 5, 5], [5, 5, 10, 10]])
    assert (one.labels, one.ids) == (["person", "ball", "person"], [11, 12, 14])
    assert [len(polygons) for polygons in one.polygons] == [2, 0, 0]
    np.testing.assert_allclose(one.polygons[0][0], [[1, 2], [11.5, 2], [11.5, 22]])
    # Key points are pixel indices, so their middle lies half a pixel further; a row for each box.
    np.testing.assert_allclose(one.points["nose"], [[3.5, 4.5], [np.nan] * 2, [7.5, 8.5]])
    np.testing.assert_allclose(one.points["hand"], [[np.nan] * 2, [np.nan] * 2, [10, 9.5]])
    assert one.visible["nose"].tolist() == [2, 0, 1]
    assert one.meta["crowd"] == 1
    assert one.meta["rle"] == {14: {"size": [40, 60], "counts": "]65S10000000[n1"}}
    assert other.boxes.shape == (0, 4)
    assert (len(other.labels), dict(other.points), other.meta["image_id"]) == (0, {}, 6)


def test_category(tmp_path):
    one, _ = coco.read(save(tmp_path), category="ball")
    assert one.ids == [12]
    with pytest.raises(InputError, match="no category 'dog'; it has: 1 person, 3 ball"):
        coco.read(save(tmp_path), category="dog")


def test_images(tmp_path):
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.png")
    (problem,) = coco.problems(save(tmp_path), tmp_path)
    assert problem.row == "image 6"
    assert "'b.png' is missing" in problem.reason
    assert "folder" in coco.problems(save(tmp_path), tmp_path / "nowhere")[0].reason
    content = copy.deepcopy(GOOD) | {"images": GOOD["images"][:1]}
    content["images"][0] = content["images"][0] | {"file_name": "train2017/a.png"}
    assert coco.read(save(tmp_path, content), tmp_path)[0].image == tmp_path / "a.png"


def test_real_persons(shared_data):
    folder = shared_data / "roimask" / "coco_train_persons"
    samples = coco.read(folder / "instances_train2017_person_subset.json", folder / "images", category="person")
    assert len(samples) == 61
    assert sum(len(sample.boxes) for sample in samples) == 254
    assert sum(sample.meta["crowd"] for sample in samples) == 5
    for sample in samples:
        for box, polygons in zip(sample.boxes, sample.polygons, strict=True):
            corners = np.concatenate(polygons)
            np.testing.assert_allclose(corners.min(0), box[:2], atol=0.02)
            np.testing.assert_allclose(corners.max(0), box[2:], atol=0.02)


def check_equal(one, other):
    assert one.image.name == other.image.name
    assert one.size == other.size
    np.testing.assert_allclose(other.boxes, one.boxes, atol=1e-9)
    assert (list(one.labels), list(one.ids)) == (list(other.labels), list(other.ids))
    assert set(one.points) == set(other.points)
    for name in one.points:
        np.testing.assert_allclose(other.points[name], one.points[name], atol=1e-9)
        np.testing.assert_array_equal(other.visible[name], one.visible[name])
    for left, right in zip(one.polygons, other.polygons, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9)
    assert one.meta["rle"] == other.meta["rle"]


def test_round_trip(tmp_path):
    samples = coco.read(save(tmp_path))
    coco.write(tmp_path / "y.json", samples)
    for one, other in zip(samples, coco.read(tmp_path / "y.json"), strict=True):
        check_equal(one, other)
    content = json.loads((tmp_path / "y.json").read_text(encoding="utf-8"))
    person, ball = content["categories"]
    assert person["keypoints"] == ["nose", "hand"]
    assert "keypoints" not in ball
    assert content["annotations"][0]["keypoints"] == [3.0, 4.0, 2, 0.0, 0.0, 0]
    assert content["annotations"][0]["num_keypoints"] == 1
    assert content["annotations"][0]["area"] == pytest.approx(105 + 1)


def test_round_trip_of_real_persons(shared_data, tmp_path):
    samples = coco.read(shared_data / "roimask" / "coco_train_persons" / "instances_train2017_person_subset.json")
    coco.write(tmp_path / "y.json", samples)
    for one, other in zip(samples, coco.read(tmp_path / "y.json"), strict=True):
        check_equal(one, other)


def test_writing_points_without_boxes_and_names_in_japanese(tmp_path):
    points = {"目": np.array([[10.5, 20.5]]), "口": np.array([[30.0, 5.0]]), "耳": np.array([[np.nan, np.nan]])}
    coco.write(tmp_path / "x.json", [Sample(image=Path("顔.png"), points=points, size=(40, 60))])
    assert "目" in (tmp_path / "x.json").read_text(encoding="utf-8")
    (back,) = coco.read(tmp_path / "x.json")
    np.testing.assert_allclose(back.boxes, [[10.5, 5, 30, 20.5]])
    assert back.labels == ["object"]
    assert {name: seen.tolist() for name, seen in back.visible.items()} == {"目": [2], "口": [2], "耳": [0]}
    np.testing.assert_allclose(back.points["目"], points["目"])


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"boxes": np.zeros((1, 4)), "points": {"notch": np.zeros((3, 2))}}, "3 points 'notch' and 1 box;"),
        ({"boxes": np.array([[5.0, 0, 1, 1]])}, "without x1 <= x2"),
        ({"boxes": np.array([[np.nan, 0, 1, 1]])}, "without x1 <= x2"),
        ({"boxes": np.zeros((1, 4)), "labels": ["a", "b"]}, "2 labels"),
    ],
)
def test_what_cannot_be_written(tmp_path, sample, words):
    with pytest.raises(InputError, match=words):
        coco.write(tmp_path / "x.json", [Sample(image=Path("a.png"), size=(9, 9), **sample)])
    with pytest.raises(InputError, match="two samples"):
        coco.write(tmp_path / "x.json", [Sample(image=Path("a.png"), size=(9, 9))] * 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("table", ["images", "annotations", "categories"])
def test_not_coco(tmp_path, table):
    for content in ({**GOOD, table: None}, {key: value for key, value in GOOD.items() if key != table}):
        assert f"it has no list of {table}" in coco.problems(save(tmp_path, content))[0].reason
    assert "no object" in coco.problems(save(tmp_path, []))[0].reason
    assert coco.problems(save(tmp_path, "{\n\n!"))[0].row == 3


ENTRIES = [
    ("annotations", {"image_id": 99}, "annotation 11", "image 99 is not in the list"),
    ("annotations", {"image_id": None}, "annotation 11", "image None"),
    ("annotations", {"image_id": [1]}, "annotation 11", "is not in the list"),
    ("annotations", {"category_id": 2}, "annotation 11", "category 2 is not"),
    ("annotations", {"bbox": None}, "annotation 11", "four numbers"),
    ("annotations", {"bbox": [1, 2, 3]}, "annotation 11", "four numbers"),
    ("annotations", {"bbox": [1, 2, 3, "4"]}, "annotation 11", "four numbers"),
    ("annotations", {"bbox": [1, 2, 3, float("nan")]}, "annotation 11", "four numbers"),
    ("annotations", {"bbox": [1, 2, -3, 4]}, "annotation 11", "negative size: -3 x 4"),
    ("annotations", {"segmentation": [[1, 2, 3, 4]]}, "annotation 11", "at least 3 corners"),
    ("annotations", {"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "annotation 11", "at least 3 corners"),
    ("annotations", {"segmentation": [None]}, "annotation 11", "at least 3 corners"),
    ("annotations", {"segmentation": 5}, "annotation 11", "run-length"),
    ("annotations", {"segmentation": [1, 2, 3, 4]}, "annotation 11", "at least 3 corners"),
    ("annotations", {"bbox": [1, 2, 11.5, 22]}, "annotation 11", "holds the corners of its mask"),
    ("annotations", {"iscrowd": "0"}, "annotation 11", "iscrowd must be 0 or 1, got '0'"),
    ("annotations", {"keypoints": [1, 2, 2]}, "annotation 11", "for each of its category's 2 names, got 3 numbers"),
    ("annotations", {"keypoints": "x"}, "annotation 11", "keypoints"),
    ("annotations", {"keypoints": [1, 2, 5, 1, 2, 2]}, "annotation 11", "visibility"),
    ("annotations", {"id": 12}, "annotation 12", "duplicate"),
    ("annotations", {"id": None}, "annotation at position 1", "no id"),
    ("images", {"id": 6}, "image 6", "duplicate"),
    ("images", {"id": None}, None, "image at position 1 has no id"),
    ("images", {"file_name": None}, "image 5", "no file_name"),
    ("images", {"file_name": "b.png"}, "image 6", "also belongs to image 5"),
    ("categories", {"id": 3}, "category 3", "duplicate"),
    ("categories", {"name": ""}, "category 1", "no name"),
    ("categories", {"keypoints": ["a", "a"]}, "category 1", "its keypoints name 'a' twice"),
]


@pytest.mark.parametrize(("table", "change", "row", "words"), ENTRIES)
def test_wrong_entries(tmp_path, table, change, row, words):
    content = copy.deepcopy(GOOD)
    content[table][0] |= change
    path = save(tmp_path, content)
    problem = coco.problems(path)[0]
    assert words in problem.reason
    assert (problem.row, problem.path) == (row, str(path))
    assert problem.remedy
    with pytest.raises(InputError):
        coco.read(path)


def test_all_problems_are_listed(tmp_path):
    content = copy.deepcopy(GOOD)
    for entry in content["annotations"][:2]:
        entry["bbox"] = [0, 0, -1, 1]
    content["images"][1]["file_name"] = "a.png"
    found = coco.problems(save(tmp_path, content))
    assert [problem.row for problem in found] == ["annotation 11", "annotation 12", "image 6"]


def test_what_other_programs_write(tmp_path):
    """Ids as texts on one side, a polygon without the list round it, sizes as floats or unknown, boolean crowds."""
    plain = coco.read(save(tmp_path))
    content = copy.deepcopy(GOOD)
    content["images"][0] |= {"height": 40.0, "width": 60.0}
    content["annotations"][0] |= {"image_id": "5", "category_id": "1", "iscrowd": False}
    content["annotations"][1]["segmentation"] = [0, 0, 5, 0, 5, 5]
    content["annotations"][2]["iscrowd"] = True
    one, _ = coco.read(save(tmp_path, content))
    assert (one.size, one.ids, one.meta["crowd"]) == (plain[0].size, plain[0].ids, 1)
    assert one.polygons[1][0].tolist() == [[0, 0], [5, 0], [5, 5]]
    assert [len(instances) for _, instances in coco.entries(save(tmp_path, content))] == [4, 0]
    content["categories"][0]["id"] = "1"
    for category in ("person", 1, "1"):
        assert coco.read(save(tmp_path, content), category=category)[0].ids == [11, 14]
    content["images"][0] |= {"height": 0, "width": 0}
    for entry in content["annotations"]:
        entry.pop("segmentation")
    assert coco.read(save(tmp_path, content))[0].size is None


junk = [None, True, 3, "x", [], {}, [[]], [{}], {"a": 1}, [None]]


@pytest.mark.parametrize("key", ["images", "annotations", "categories", "bbox", "segmentation", "keypoints", "iscrowd"])
@pytest.mark.parametrize("value", junk, ids=repr)
def test_junk_anywhere_gives_samples_or_an_input_error(tmp_path, key, value):
    content = copy.deepcopy(GOOD)
    (content if key in content else content["annotations"][0])[key] = value
    path = save(tmp_path, content)
    if coco.problems(path):
        with pytest.raises(InputError):
            coco.read(path)
    else:
        coco.read(path)


@pytest.mark.parametrize("value", junk, ids=repr)
@pytest.mark.parametrize("key", ["keypoints", "height", "file_name", "name"])
def test_junk_in_images_and_categories(tmp_path, key, value):
    content = copy.deepcopy(GOOD)
    content["categories" if key in ("keypoints", "name") else "images"][0][key] = value
    if not coco.problems(save(tmp_path, content)):
        assert all(isinstance(sample, Sample) for sample in coco.read(tmp_path / "x.json"))


def test_key_points_and_names_of_unequal_number(tmp_path, monkeypatch):
    """Refused; and were they not, a name would not silently go without its point."""
    content = copy.deepcopy(GOOD)
    content["annotations"][0]["keypoints"] = content["annotations"][0]["keypoints"][:3]
    path = save(tmp_path, content)
    with pytest.raises(InputError, match="its keypoints must be x, y, v for each of its category's 2 names"):
        coco.read(path)
    monkeypatch.setattr(coco._Reader, "_wrong", lambda *_: None)
    with pytest.raises(ValueError, match="shorter"):
        coco.read(path)
    del content["annotations"][0]["keypoints"]
    (first, *_) = coco.read(save(tmp_path, content))
    assert first.visible["nose"][0] == first.visible["hand"][0] == 0


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((80, 100, 3), np.uint8))
    content = {
        "images": [{"id": 5, "file_name": "a.png", "width": 50, "height": 50}],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 1, "bbox": [0, 0, 20, 20]}],
        "categories": [{"id": 1, "name": "dial"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="100 x 80 pixels, the file says 50 x 50") as caught:
        coco.read(tmp_path / "a.json", images=tmp_path)
    assert caught.value.row == "image 5"
    assert coco.read(tmp_path / "a.json")[0].size == (50, 50), "without the images the file is believed"
    content["images"][0] |= {"width": 0, "height": 0}
    content["annotations"][0]["attributes"] = ["occluded"]
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    assert len(coco.read(tmp_path / "a.json", images=tmp_path)[0].boxes) == 1, "sizes that nobody knows, any attributes"
