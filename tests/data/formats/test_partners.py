"""Which image an entry of a label file is about: the longest path wins, equal ones are refused, a cut name is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data import boxes
from kaname.data.formats import coco, cvat, dlc, labelstudio
from kaname.errors import InputError

SIZE = (120, 160)


def image(path: Path, grey: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), grey, np.uint8)).save(path)
    return path


def coco_file(path: Path, names: list[str]) -> Path:
    """A box at x = 10 * (its number + 1) in each image."""
    sides = {"width": SIZE[1], "height": SIZE[0]}
    content = {
        "images": [{"id": number, "file_name": name, **sides} for number, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [10 * (n + 1), 20, 50, 60]} for n in range(len(names))
        ],
        "categories": [{"id": 1, "name": "dial"}],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def studio_file(path: Path, sources: list[str]) -> Path:
    tasks = []
    for number, source in enumerate(sources):
        value = {"x": 10 * (number + 1), "y": 20, "width": 20, "height": 20, "rectanglelabels": ["dial"]}
        result = {"type": "rectanglelabels", "original_width": SIZE[1], "original_height": SIZE[0], "value": value}
        tasks.append({"id": number, "data": {"image": source}, "annotations": [{"result": [result]}]})
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    image(tmp_path / "photos" / "train" / "a.jpg", 50)
    image(tmp_path / "photos" / "val" / "a.jpg", 150)
    return tmp_path


@pytest.mark.parametrize("order", [["train/a.jpg", "val/a.jpg"], ["val/a.jpg", "train/a.jpg"]])
@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("write", [coco_file, studio_file])
def test_of_two_folders_each_image_has_its_own_box(folders, order, part, write):
    path = write(folders / "b.json", order)
    file = folders / "photos" / part / "a.jpg"
    unit = 10 if write is coco_file else 16  # of pixels or percent
    assert boxes.by_file(path, [file])[file][0, 0] == pytest.approx(unit * (order.index(f"{part}/a.jpg") + 1))


@pytest.mark.parametrize("write", [coco_file, studio_file])
def test_an_entry_of_another_folder_is_not_taken(folders, write):
    path = write(folders / "b.json", ["val/a.jpg"])
    with pytest.raises(InputError, match=r"no box for a\.jpg"):
        boxes.by_file(path, [folders / "photos" / "train" / "a.jpg"])


def test_an_entry_that_fits_two_images_is_refused_with_both(folders):
    path = coco_file(folders / "b.json", ["a.jpg"])
    files = [folders / "photos" / part / "a.jpg" for part in ("train", "val")]
    with pytest.raises(InputError, match=r"train/a\.jpg or .*val/a\.jpg"):
        boxes.by_file(path, files)
    table = folders / "t.json"
    table.write_text(json.dumps({"a.jpg": [[1, 2, 30, 40]]}), encoding="utf-8")
    with pytest.raises(InputError, match=r"train/a\.jpg or .*val/a\.jpg"):
        boxes.finder(table, files)


def test_a_copy_is_as_good_as_the_image(tmp_path):
    image(tmp_path / "dials" / "a.jpg", 9)
    image(tmp_path / "copy" / "a.jpg", 9)
    path = coco_file(tmp_path / "b.json", ["dials/a.jpg"])
    assert len(coco.read(path, tmp_path / "copy")) == 1


@pytest.mark.parametrize("write", [coco_file, studio_file])
def test_two_entries_that_fit_equally_are_named(tmp_path, write):
    image(tmp_path / "flat" / "a.jpg")
    path = write(tmp_path / "b.json", ["cam1/a.jpg", "cam2/a.jpg"])
    module = coco if write is coco_file else labelstudio
    (fault,) = module.problems(path, tmp_path / "flat")
    assert "cam1/a.jpg" in fault.reason and "cam2/a.jpg" in fault.reason


def test_rows_and_xml_of_two_folders(folders):
    head = "scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\n"
    table = folders / "d.csv"
    table.write_text(f"{head}labeled-data/val/a.jpg,5,6\nlabeled-data/train/a.jpg,50,60\n", encoding="utf-8")
    (fault,) = dlc.problems(table, folders / "photos" / "train")
    assert fault.row == 4 and "labeled-data/train/a.jpg" in fault.reason
    size = f'width="{SIZE[1]}" height="{SIZE[0]}"'
    xml = "".join(f'<image name="{part}/a.jpg" {size}/>' for part in ("val", "train"))
    (folders / "c.xml").write_text(f"<annotations>{xml}</annotations>", encoding="utf-8")
    (fault,) = cvat.problems(folders / "c.xml", folders / "photos" / "train")
    assert "val/a.jpg" in str(fault) and "train/a.jpg" in fault.reason


@pytest.mark.parametrize(
    ("source", "file", "said"),
    [
        ("/data/local-files/?d=dials/left-001.jpg", "001.jpg", "'left-001.jpg' of task 0 is not there"),
        ("s3://bucket/old-b.jpg", "b.jpg", "'old-b.jpg' of task 0 is not there"),
        ("/data/upload/3/cam-b.jpg", "b.jpg", "'cam-b.jpg' of task 0 is not there"),
        ("/data/upload/3/222ae49e-b.jpg", "b.jpg", None),
        ("dials/b%20c.jpg", "b c.jpg", None),
    ],
)
def test_a_name_without_its_prefix_is_said(tmp_path, source, file, said):
    image(tmp_path / "i" / file)
    samples = labelstudio.read(studio_file(tmp_path / "b.json", [source]), tmp_path / "i")
    lines = labelstudio.left_out(samples)
    assert (not lines) if said is None else (said in lines[0] and file in lines[0])


def test_the_whole_name_comes_before_a_cut_one(tmp_path):
    image(tmp_path / "i" / "001.jpg")
    image(tmp_path / "i" / "left-001.jpg")
    (sample,) = labelstudio.read(studio_file(tmp_path / "b.json", ["dials/left-001.jpg"]), tmp_path / "i")
    assert sample.image.name == "left-001.jpg" and not labelstudio.left_out([sample])


def marks(*targets: tuple[str | None, int | None]) -> list[dict]:
    sides = {"original_width": SIZE[1], "original_height": SIZE[0], "type": "keypointlabels"}
    results = []
    for number, (name, item) in enumerate(targets):
        about = {key: value for key, value in (("to_name", name), ("item_index", item)) if value is not None}
        results.append({**sides, **about, "value": {"x": 40 + number, "y": 50, "keypointlabels": ["p"]}})
    return results


@pytest.mark.parametrize(
    ("data", "targets", "image_name"),
    [
        ({"image": "a.jpg", "ref": "b.jpg"}, [("img", None), ("ref", None)], None),
        ({"image": "a.jpg", "ref": "b.jpg"}, [("refimg", None)], None),
        ({"left": "a.jpg", "right": "b.jpg"}, [("view", None)], None),
        ({"image": ["a.jpg", "b.jpg"]}, [("img", 0), ("img", 1)], None),
        ({"image": "a.jpg"}, [("img", 1)], None),
        ({"image": "a.jpg", "ref": "b.jpg"}, [("ref", None), ("ref", None)], "b.jpg"),
        ({"left": "a.jpg", "right": "b.jpg"}, [("left", None)], "a.jpg"),
        ({"image": "a.jpg", "ref": "b.jpg"}, [("img-1", None)], "a.jpg"),
        ({"photo": "a.jpg"}, [("anything", 0)], "a.jpg"),
        ({"image": ["b.jpg"]}, [("img", 0)], "b.jpg"),
    ],
)
def test_results_of_another_image_are_not_taken(tmp_path, data, targets, image_name):
    for name in ("a.jpg", "b.jpg"):
        image(tmp_path / "i" / name)
    path = tmp_path / "ls.json"
    path.write_text(json.dumps([{"id": 5, "data": data, "annotations": [{"result": marks(*targets)}]}]))
    if image_name is None:
        fault = labelstudio.problems(path, tmp_path / "i")[0]
        assert fault.row == "task 5" and "several images" in fault.reason
        return
    (sample,) = labelstudio.read(path, tmp_path / "i")
    assert sample.image.name == image_name and len(sample.points["p"]) == len(targets)
