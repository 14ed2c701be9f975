"""Boxes of labelled files: one label, once each, upright; and what COCO's key points are."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data import boxes, crops
from kaname.data.formats import coco, duplicates, labelstudio
from kaname.errors import InputError
from kaname.types import Sample

HEIGHT, WIDTH = 120, 160


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "i" / "a.png"
    path.parent.mkdir()
    pixels = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint32).reshape(HEIGHT, WIDTH, 3) // 7 % 251
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def coco_file(folder: Path, *annotations: dict) -> Path:
    names = ("dial", "needle", "min")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": n, "image_id": 1, "category_id": 1, **one} for n, one in enumerate(annotations, 1)],
        "categories": [{"id": n, "name": name, "keypoints": ["start", "end"]} for n, name in enumerate(names, 1)],
    }
    path = folder / "c.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def studio_file(folder: Path, *values: dict) -> Path:
    sides = {"original_width": WIDTH, "original_height": HEIGHT, "type": "rectanglelabels"}
    results = [{**sides, "value": {"rectanglelabels": ["dial"], **value}} for value in values]
    path = folder / "ls.json"
    path.write_text(json.dumps([{"id": 3, "data": {"image": "a.png"}, "annotations": [{"result": results}]}]))
    return path


BOX, STUDIO = {"bbox": [10, 20, 80, 60]}, {"x": 10, "y": 20, "width": 50, "height": 40}


@pytest.mark.parametrize("other", ["needle", "min"])
def test_several_labels_are_refused_and_one_is_chosen(photo, tmp_path, other):
    number = {"needle": 2, "min": 3}[other]
    path = coco_file(tmp_path, BOX, {"bbox": [30, 30, 10, 10], "category_id": number})
    labelled = studio_file(tmp_path, STUDIO, {**STUDIO, "x": 30, "rectanglelabels": [other]})
    for file in (path, labelled):
        with pytest.raises(InputError, match=rf"boxes of 2 labels: 'dial' \(1\), '{other}' \(1\); choose one: --label"):
            boxes.by_file(file, [photo])
        assert len(boxes.by_file(file, [photo], label="dial")[photo]) == 1
        assert "boxes of 2 labels" in boxes.problems(file, photo.parent)[0].reason
        with pytest.raises(InputError, match=r"no box of the label 'dials'; it has 'dial' \(1\)"):
            boxes.by_file(file, [photo], label="dials")
    assert boxes.by_file(path, [photo], label=other)[photo].tolist() == [[30, 30, 40, 40]]


def test_labels_of_images_that_are_not_asked_for_count(photo, tmp_path):
    """That this image has needles alone does not make them dials."""
    path = coco_file(tmp_path, {**BOX, "category_id": 2}, {**BOX, "image_id": 2})
    content = json.loads(path.read_text())
    content["images"].append({"id": 2, "file_name": "b.png", "width": WIDTH, "height": HEIGHT})
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="2 labels"):
        boxes.by_file(path, [photo])


@pytest.mark.parametrize("shift", [0, 0.4, -0.9])
def test_the_same_box_twice_is_one(photo, tmp_path, shift):
    path = coco_file(tmp_path, BOX, {"bbox": [10 + shift, 20, 80, 60]})
    labelled = studio_file(tmp_path, STUDIO, {**STUDIO, "x": 10 + shift / 2})
    for file in (path, labelled):
        with pytest.warns(UserWarning, match=r"a\.png: 1 of 2 boxes are the same as another one"):
            assert len(boxes.by_file(file, [photo])[photo]) == 1


def test_neighbours_and_other_labels_are_not_the_same(photo, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(boxes.by_file(coco_file(tmp_path, BOX, {"bbox": [12, 20, 80, 60]}), [photo])[photo]) == 2
    sample = Sample(photo, boxes=np.array([[1.0, 2, 30, 40]] * 2), labels=["a", "b"])
    assert not list(duplicates.double_boxes(sample))


def test_the_same_box_with_other_points_is_refused(photo, tmp_path):
    one, other = [20, 30, 2, 60, 50, 2], [25, 30, 2, 60, 50, 2]
    path = coco_file(tmp_path, {**BOX, "keypoints": one}, {**BOX, "keypoints": other})
    with pytest.raises(InputError, match="annotations 1 and 2 have the same box and other points"):
        boxes.by_file(path, [photo])


@pytest.mark.parametrize(
    "turned", [{"attributes": {"rotation": 30.0}}, {"bbox": [10, 20, 80, 60, 0.5]}, {"rotation": -15}]
)
def test_a_rotated_box_is_refused(photo, tmp_path, turned):
    assert "rotated" in coco.problems(coco_file(tmp_path, {**BOX, **turned}))[0].reason
    assert not coco.problems(coco_file(tmp_path, {**BOX, "attributes": {"rotation": 0.0, "occluded": False}}))


@pytest.mark.parametrize(
    "value", [{"height": -40, "y": 60}, {"width": -50, "x": 60}, {"width": -50, "height": -40, "x": 60, "y": 60}]
)
def test_a_rectangle_drawn_upwards_is_upright(photo, tmp_path, value):
    (sample,) = labelstudio.read(studio_file(tmp_path, {**STUDIO, **value}), photo.parent)
    np.testing.assert_allclose(sample.boxes, [[16, 24, 96, 72]])


@pytest.mark.parametrize(("convention", "shift"), [("index", 0.5), ("continuous", 0.0)])
def test_a_box_that_is_the_extent_of_its_points(photo, tmp_path, convention, shift):
    """Of pixel indices the pixels of the points lie half beyond it, and in the crop."""
    path = coco_file(tmp_path, {"bbox": [20, 30, 100, 60], "keypoints": [20, 90, 2, 120, 30, 2]})
    how = {"names": {"start": "start", "end": "end"}, "keypoints": convention}
    crops.crop(photo.parent, path, tmp_path / "o", 448, labels={}, **how)
    (sample,) = labelstudio.read(tmp_path / "o" / "annotation.json", tmp_path / "o" / "images")
    side = 100 if convention == "continuous" else 101
    scale, top = 448 / side, (side - (side - 40)) / 2
    expected = [[shift * scale, (60 + shift + top) * scale], [(100 + shift) * scale, (shift + top) * scale]]
    np.testing.assert_allclose([sample.points["start"][0], sample.points["end"][0]], expected, atol=1)


def test_a_box_without_area_names_file_and_image(photo, tmp_path):
    path = coco_file(tmp_path, {"bbox": [10, 10, 0, 5]})
    with pytest.raises(InputError, match=r"c\.json:a\.png: box 1 has no area"):
        boxes.finder(path, [photo])


def test_boxes_by_picture_in_percent_are_doubted(tmp_path):
    large = tmp_path / "l.png"
    Image.fromarray(np.zeros((800, 900, 3), np.uint8)).save(large)
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"l.png": [[10, 10, 90, 90]]}))
    with pytest.raises(InputError, match=r"0\.\.100.*--box-units pixel"):
        boxes.finder(path, [large])
    assert boxes.finder(path, [large], units="pixel") is not None


def results_file(folder: Path, names: list[str], score: float = 0.9) -> Path:
    content = [{"image_id": name, "category_id": 1, "bbox": [10, 20, 80, 60], "score": score} for name in names]
    path = folder / "results.json"
    path.write_text(json.dumps(content))
    return path


def yolo_folder(folder: Path, names: list[str]) -> Path:
    path = folder / "labels"
    path.mkdir(exist_ok=True)
    for name in names:
        (path / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    return path


@pytest.mark.parametrize("write", [results_file, yolo_folder])
def test_a_detector_names_only_images_in_which_it_found_something(photo, tmp_path, write):
    """The others have no box, which is no fault of theirs; where it names none of them, that is one."""
    other = photo.with_name("b.png")
    Image.new("RGB", (30, 20)).save(other)
    found = boxes.by_file(write(tmp_path, ["a"]), [photo, other])
    assert len(found[photo]) == 1 and found[other].shape == (0, 4)
    assert boxes.by_file(write(tmp_path, ["a"]), [other, photo])[other].shape == (0, 4)
    with pytest.raises(InputError, match=r"no box for b\.png"):
        boxes.by_file(write(tmp_path, ["a"]), [other])


def test_images_whose_finds_are_all_weak_have_no_box(photo, tmp_path):
    """They are counted among what was left out."""
    with pytest.warns(UserWarning, match=r"left out: 1 boxes with a score below 0\.5"):
        found = boxes.by_file(results_file(tmp_path, ["a"], score=0.3), [photo])
    assert found[photo].shape == (0, 4)


def test_an_annotated_image_may_show_nothing(photo, tmp_path):
    """Where boxes are of persons or faces (``bare``); a photograph of a dial has to have one."""
    path = coco_file(tmp_path)
    assert boxes.by_file(path, [photo], bare=True)[photo].shape == (0, 4)
    with pytest.raises(InputError, match=r"no box for a\.png; draw a rectangle"):
        boxes.by_file(path, [photo])
    unknown = photo.with_name("b.png")
    Image.new("RGB", (30, 20)).save(unknown)
    with pytest.raises(InputError, match=r"no box for b\.png"):
        boxes.by_file(path, [photo, unknown], bare=True)
