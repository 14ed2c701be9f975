"""YOLO's label files and a detector's COCO results as boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data import boxes
from kaname.data.formats import yolo
from kaname.errors import InputError

SIZE = (100, 200)


def image(path: Path, grey: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), grey, np.uint8)).save(path)
    return path


def label(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "row",
    ["0 0.5 0.5 0.4 0.6", "0 0.5 0.5 0.4 0.6 0.93", "0 0.5 0.5 0.4 0.6 0.1 0.2 2 0 0 0 0.3 0.4 1"],
    ids=["box", "score", "pose"],
)
def test_boxes_become_pixels(tmp_path, row):
    file = image(tmp_path / "images" / "a.jpg")
    label(tmp_path / "labels" / "a.txt", row)
    found = boxes.by_file(tmp_path / "labels", [file])
    np.testing.assert_allclose(found[file], [[60, 20, 140, 80]])
    np.testing.assert_allclose(boxes.by_file(tmp_path / "labels" / "a.txt", [file])[file], found[file])


def test_the_folders_of_labels_and_images_belong_together(tmp_path):
    for part, centre in (("train", 0.3), ("val", 0.7)):
        image(tmp_path / "images" / part / "a.jpg", int(100 * centre))
        label(tmp_path / "labels" / part / "a.txt", f"0 {centre} 0.5 0.2 0.2")
    files = [tmp_path / "images" / part / "a.jpg" for part in ("val", "train")]
    found = boxes.by_file(tmp_path / "labels", files)
    assert [found[file][0, 0] for file in files] == pytest.approx([120, 40])


def test_labels_that_two_images_may_have_are_refused(tmp_path):
    for part in ("left", "right"):
        image(tmp_path / "images" / part / "a.jpg")
    label(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2")
    (fault,) = {str(fault) for fault in yolo.problems(tmp_path / "labels", tmp_path / "images")} - {""}
    assert "left/a.jpg" in fault and "right/a.jpg" in fault


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9", "a rotated box"),  # four corners
        ("0 0.1 0.1 0.9 0.1 0.9 0.9", "a polygon"),
        ("0 100 50 80 60", "look like pixels"),
        ("0 0.5 0.5 0 0.2", "without area"),
        ("dial 0.5 0.5 0.2 0.2", "not a row of numbers"),
        ("0.5 0.5 0.5 0.2 0.2", "whole number"),
        ("0 0.5 nan 0.2 0.2", "numbers, a box has 5"),
        ("0 0.5", "numbers, a box has 5"),
    ],
)
def test_other_rows_are_refused_with_their_line(tmp_path, row, words):
    image(tmp_path / "i" / "a.jpg")
    path = label(tmp_path / "l" / "a.txt", "0 0.5 0.5 0.2 0.2", row)
    (fault,) = yolo.problems(tmp_path / "l", tmp_path / "i")
    assert words in str(fault) and fault.row == 2 and fault.path == str(path) and fault.remedy


def test_key_points_without_visibility_by_the_data_set_s_file(tmp_path):
    image(tmp_path / "i" / "a.jpg")
    label(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.4 0.6 0.1 0.2 0.3 0.4")
    label(tmp_path / "data.yaml", "kpt_shape: [2, 2]", "names:", "  0: needle", "  1: dial")
    (sample,) = yolo.read(tmp_path / "labels", tmp_path / "i")
    assert sample.labels == ["dial"]
    scored = ("1 0.5 0.5 0.4 0.6 0.1 0.2 0.3 0.4 0.9", "1 0.5 0.5 0.4 0.6 0.1 0.2 0.3 0.4 0.2")  # save_txt, save_conf
    label(tmp_path / "labels" / "a.txt", *scored)
    (sample,) = yolo.read(tmp_path / "labels", tmp_path / "i", least=0.5)
    assert len(sample.boxes) == 1 and sample.meta["weak"] == 1


@pytest.mark.parametrize("names", [["data.yaml", "names: [needle, dial]"], ["classes.txt", "needle\ndial"]])
def test_several_classes_need_a_label(tmp_path, names):
    file = image(tmp_path / "i" / "a.jpg")
    label(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2", "1 0.5 0.5 0.4 0.6")
    label(tmp_path / "labels" / names[0], names[1])
    with pytest.raises(InputError, match=r"2 labels: 'needle' \(1\), 'dial' \(1\); choose one: --label"):
        boxes.by_file(tmp_path / "labels", [file])
    found = boxes.by_file(tmp_path / "labels", [file], label="dial")
    np.testing.assert_allclose(found[file], [[60, 20, 140, 80]])


def results(path: Path, *entries: dict) -> Path:
    path.write_text(json.dumps(list(entries)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "about",
    [{"image_id": "007"}, {"image_id": 7}, {"image_id": 3, "file_name": "i/007.jpg"}],
    ids=["name", "number", "file name"],
)
def test_results_of_a_detector(tmp_path, about):
    file = image(tmp_path / "i" / "007.jpg")
    strong = {**about, "category_id": 1, "bbox": [10, 20, 50, 60], "score": 0.9}
    path = results(tmp_path / "r.json", strong, {**strong, "bbox": [1, 2, 3, 4], "score": 0.2})
    with pytest.warns(UserWarning, match=r"1 boxes with a score below 0\.5"):
        found = boxes.by_file(path, [file])
    assert found[file].tolist() == [[10, 20, 60, 80]]
    assert len(boxes.by_file(path, [file], score=0.1)[file]) == 2


def test_results_of_two_folders(tmp_path):
    parts = {"train": 10, "val": 20}
    files = {part: image(tmp_path / "i" / part / "a.jpg", grey) for part, grey in parts.items()}
    entries = [{"image_id": 1, "file_name": f"{part}/a.jpg", "bbox": [x, 2, 30, 40]} for part, x in parts.items()]
    path = results(tmp_path / "r.json", *entries)
    found = boxes.by_file(path, [files["val"], files["train"]])
    assert {part: found[file][0, 0] for part, file in files.items()} == parts
    path = results(tmp_path / "s.json", {"image_id": "a", "bbox": [1, 2, 30, 40]})
    with pytest.raises(InputError, match=r"may be .*a\.jpg or .*a\.jpg"):
        boxes.by_file(path, list(files.values()))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"image_id": "a", "bbox": [1, 2, 3, 4, 0.5]}, "a rotated box"),
        ({"image_id": "a", "bbox": [1, 2, 0, 4]}, "without area"),
        ({"image_id": "b", "bbox": [1, 2, 3, 4]}, "no image 'b'"),
        ({"bbox": [1, 2, 3, 4]}, "not a result"),
        ({"image_id": "a", "bbox": [0.1, 0.2, 0.3, 0.4]}, "pixels are meant"),
    ],
)
def test_wrong_results(tmp_path, entry, words):
    image(tmp_path / "i" / "a.jpg")
    found = boxes.problems(results(tmp_path / "r.json", entry), tmp_path / "i")
    assert words in str(found[0])
