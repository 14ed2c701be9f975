"""Which image and which category COCO results are about: images that show nobody, names, ids, other categories."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaname
from calling import call
from kaname.codecs.roi_mask import inside
from kaname.config import from_dict
from kaname.data.formats import rle
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.pipeline.evaluate import evaluate
from kaname.pipeline.train import run
from kaname.recipes.roimask import RECIPE
from kaname.recipes.roimask.config import AnswerSettings, DataSettings
from kaname.recipes.roimask.evaluate import score
from kaname.recipes.roimask.labels import Photo, labelled, read_set
from kaname.recipes.roimask.trials import asked
from kaname.training.settings import RunOptions
from recipes.roimask import crowds

BICYCLE = 7


@pytest.fixture
def content(folder: Path, tmp_path: Path) -> dict[str, Any]:
    """The validation set; before, among and after its images one without a person, that shows a bicycle."""
    path = folder / "data" / "annotations" / "instances_val2017_person_only_no_crowd.json"
    content = json.loads(path.read_text())
    shutil.copytree(folder / "data" / "images" / "val2017", tmp_path / "images")
    content["categories"].append({"id": BICYCLE, "name": "bicycle"})
    for number, place in enumerate((0, 2, 6)):
        first = content["images"][-1]
        name = f"nobody_{number}.jpg"
        shutil.copy(tmp_path / "images" / first["file_name"], tmp_path / "images" / name)
        content["images"].insert(place, {**first, "id": 900 + number, "file_name": name})
        shape = next(one for one in content["annotations"] if one["image_id"] == first["id"])
        content["annotations"].append(
            {**shape, "id": 9000 + number, "image_id": 900 + number, "category_id": BICYCLE, "iscrowd": 0}
        )
    return content


def photos_of(content: Any, tmp_path: Path, category: str = "1") -> list[Photo]:
    (tmp_path / "gt.json").write_text(json.dumps(content))
    stored = {"val_images": tmp_path / "images", "val_annotations": tmp_path / "gt.json", "category": category}
    return read_set(from_dict(DataSettings, stored), "val")


def results_of(content: Any, photos: list[Photo], path: Path, **changes: Any) -> Path:
    """What is annotated, moved by some pixels, as a detector of persons and bicycles finds it; persons everywhere."""
    sizes = {one["id"]: (one["height"], one["width"]) for one in content["images"]}
    entries = []
    for photo in photos:
        for number, (mask, box) in enumerate(zip(photo.shapes(rle.decode), photo.boxes, strict=True)):
            moved = np.roll(inside(mask, Affine.identity(), photo.size), number % 4, axis=1)
            entries.append(_entry(photo.image_id, 0.5 + 0.01 * number, moved, box, 1))
    for image in (900, 901, 902):
        some = np.zeros(sizes[image], bool)
        some[10:40, 10:30] = True
        entries += [_entry(image, 0.9, some, [10, 10, 30, 40], one) for one in (1, BICYCLE)]
    path.write_text(json.dumps([{**entry, **changes} for entry in entries]))
    return path


def _entry(image: Any, sure: float, mask: Any, box: Any, category: int) -> dict[str, Any]:
    x1, y1, x2, y2 = map(float, box)
    shape = {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": rle.encode(mask)}
    return {"image_id": image, "category_id": category, "score": sure, **shape}


def reference(truth: Path, results: Path) -> float:
    """The AP of persons as COCO's own program computes it from the two files."""
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools")
    from pycocotools.cocoeval import COCOeval

    known = coco.COCO(str(truth))
    judge = COCOeval(known, known.loadRes(str(results)), "segm")
    judge.params.catIds = [1]
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return float(judge.stats[0])


@pytest.mark.parametrize("category", ["1", "person"])
def test_persons_found_where_there_are_none_count_against_the_ap(content: Any, tmp_path: Path, category: str) -> None:
    """As COCO's own program counts them; other categories do not, whether the annotated one was named or numbered."""
    photos = photos_of(content, tmp_path, category)
    assert len(photos) == 4 and [one.category_id for one in photos] == [1] * 4
    path = results_of(content, photos, tmp_path / "r.json")
    with pytest.warns(UserWarning, match="3 of another category than 1"):
        result = score(path, photos, AnswerSettings(), {})
    ap = result.groups["coco"]["ap"]["value"]
    assert ap == pytest.approx(reference(tmp_path / "gt.json", path), abs=1e-6) and 0 < ap < 0.9


def test_limit_takes_the_first_images_of_the_file(content: Any, tmp_path: Path) -> None:
    """Images without a person come with the one before them."""
    photos = photos_of(content, tmp_path)
    assert [[one.image_id for one in photo.bare] for photo in photos] == [[900, 901], [], [], [902]]


def test_detections_of_other_categories_are_no_persons(content: Any, model: Path, tmp_path: Path) -> None:
    """Of all 80 categories of a detector only the annotated one is asked about; where it has none, that is said."""
    photos = photos_of(content, tmp_path)
    opened, path = kaname.load(model), results_of(content, photos, tmp_path / "d.json")
    entries = json.loads(path.read_text())
    entries += [{**one, "category_id": BICYCLE, "score": 0.99} for one in entries if one["category_id"] == 1]
    path.write_text(json.dumps(entries))
    with pytest.warns(UserWarning, match="of another category than 1"):
        found = asked(opened, photos, AnswerSettings(), {"detections": path})["in_detections"]
    persons = [one for one in entries if one["category_id"] == 1]
    assert found["ap"]["n"] == len(persons) == sum(len(photo.boxes) for photo in photos) + 3
    path.write_text(json.dumps([{**one, "category_id": 0} for one in persons]))
    with pytest.raises(InputError, match=r"no detection of the category 1.*it has those of 0"):
        asked(opened, photos, AnswerSettings(), {"detections": path})


@pytest.mark.parametrize("field", ["file_name", "stem"])
def test_results_that_name_images_as_detectors_do(content: Any, tmp_path: Path, field: str) -> None:
    """By the file's name, or with its stem in the id's place (a number where it is one), as Ultralytics writes them."""
    path = results_of(content, photos_of(content, tmp_path), tmp_path / "r.json")
    names, entries = {one["id"]: one["file_name"] for one in content["images"]}, json.loads(path.read_text())
    for entry in entries:
        name = names[entry["image_id"]]
        stem = Path(name).stem
        entry["image_id"] = int(stem) if stem.isdecimal() else stem
        if field == "file_name":
            entry |= {"file_name": name, "image_id": 3}
    path.write_text(json.dumps(entries))
    for one in content["images"]:
        one["id"] += 50_000  # no id is a stem
    for one in content["annotations"]:
        one["image_id"] += 50_000
    photos = photos_of(content, tmp_path)
    with pytest.warns(UserWarning, match="another category"):
        result = score(path, photos, AnswerSettings(), {})
    assert result.settings["rois_without_prediction"] == 0


def test_results_of_a_larger_set(content: Any, tmp_path: Path) -> None:
    """The first images alone, or a smaller annotation file: the others are left out, and said."""
    photos = photos_of(content, tmp_path)
    path = results_of(content, photos, tmp_path / "r.json")
    where = ("--images", tmp_path / "images", "--annotations", tmp_path / "gt.json", "--predictions", path)
    limited = call("roimask", "evaluate", *where, "--limit", 2, "--out", tmp_path / "e").done()
    said = ", ".join(str(photo.image_id) for photo in photos[2:])
    assert f"not in this set and not scored: {said}, 902" in limited.err
    figures = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert figures["settings"]["rois_without_prediction"] == 0 and figures["coco"]["ap"]["value"] > 0


def test_two_images_of_one_name(content: Any, tmp_path: Path) -> None:
    """In several folders: the id says which is meant; where it does not, both are named."""
    for folder, image in zip("ab", content["images"][3:5], strict=True):
        (tmp_path / "images" / folder).mkdir()
        shutil.move(tmp_path / "images" / image["file_name"], tmp_path / "images" / folder / "same.jpg")
        image["file_name"] = f"{folder}/same.jpg"
    photos = photos_of(content, tmp_path)
    one, other = [photo for photo in photos if photo.source == "same.jpg"]
    path = results_of(content, photos, tmp_path / "r.json", image="same.jpg")
    entries = [entry for entry in json.loads(path.read_text()) if entry["image_id"] in (one.image_id, other.image_id)]
    path.write_text(json.dumps(entries))
    with pytest.warns(UserWarning, match="no mask for"):
        result = score(path, photos, AnswerSettings(), {})
    assert {roi.photo.image_id for roi in result.details if roi.entry} == {one.image_id, other.image_id}
    path.write_text(json.dumps([{**entry, "image_id": 12345} for entry in entries]))
    with pytest.raises(InputError, match=r"may be .*same\.jpg or .*same\.jpg"):
        score(path, photos, AnswerSettings(), {})


def test_masks_json_has_the_category_of_the_labels(content: Any, model: Path, tmp_path: Path) -> None:
    """So that COCO's programs find the persons of a file that calls them otherwise."""
    for one in content["annotations"]:
        one["category_id"] = {1: 31, BICYCLE: 2}[one["category_id"]]
    content["categories"] = [{"id": 2, "name": "bicycle"}, {"id": 31, "name": "person"}]
    photos_of(content, tmp_path, "31")
    for number, category in enumerate(("31", "person")):
        words = [
            f"val_images={tmp_path / 'images'}",
            f"val_annotations={tmp_path / 'gt.json'}",
            f"category={category}",
        ]
        stored = kaname.load(model).card["config"]
        sets = labelled(None, stored, words)
        evaluate(RECIPE, sets, checkpoint=model, out=tmp_path / str(number), device="cpu")
        entries = json.loads((tmp_path / str(number) / "val" / "masks.json").read_text())
        assert {entry["category_id"] for entry in entries} == {31}


def test_a_model_of_a_category_by_its_name_writes_its_number(folder: Path, content: Any, tmp_path: Path) -> None:
    """`predict` knows no annotations: the number comes from those of the training."""
    for one in content["annotations"]:
        one["category_id"] = {1: 31, BICYCLE: 2}[one["category_id"]]
    content["categories"] = [{"id": 2, "name": "bicycle"}, {"id": 31, "name": "person"}]
    (tmp_path / "gt.json").write_text(json.dumps(content))
    sets = {f"data__{part}{kind}": place for part in ("", "val_")
            for kind, place in (("images", tmp_path / "images"), ("annotations", tmp_path / "gt.json"))}  # fmt: skip
    config = crowds.config_of(folder, data__category="person", train__epochs=1, train__num_workers=0, **sets)
    run(RECIPE, config, RunOptions(out_dir=tmp_path / "run"))
    words = ("--checkpoint", tmp_path / "run" / "best.pt", "--out", tmp_path / "out", "--device", "cpu")
    call("roimask", "predict", next((tmp_path / "images").glob("*.jpg")), "--boxes", "5,5,60,70", *words).done()
    entries = json.loads((tmp_path / "out" / "masks.json").read_text())
    assert {entry["category_id"] for entry in entries} == {31}


def test_images_of_one_name_are_drawn_apart(content: Any, model: Path, tmp_path: Path) -> None:
    """In evaluate and in predict."""
    shown = [one for one in content["images"] if not one["file_name"].startswith("nobody")][:2]
    for place, one in zip(("x", "y"), shown, strict=True):
        (tmp_path / "images" / place).mkdir()
        (tmp_path / "images" / one["file_name"]).rename(tmp_path / "images" / place / "a.jpg")
        one["file_name"] = f"{place}/a.jpg"
    ids = {one["id"] for one in shown}
    content |= {"images": shown, "annotations": [one for one in content["annotations"] if one["image_id"] in ids]}
    photos_of(content, tmp_path)
    words = ("--checkpoint", model, "--images", tmp_path / "images", "--annotations", tmp_path / "gt.json")
    call("roimask", "evaluate", *words, "--pictures", "--device", "cpu", "--out", tmp_path / "e").done()
    assert {path.name for path in (tmp_path / "e").rglob("masks/*.jpg")} == {"x_a.jpg", "y_a.jpg"}
    files = [tmp_path / "images" / place / "a.jpg" for place in ("x", "y")]
    call("roimask", "predict", *files, "--checkpoint", model, "--device", "cpu", "--out", tmp_path / "p").done()
    assert len(list((tmp_path / "p" / "pictures").iterdir())) == 2


def test_crowds_alone_are_no_set(folder: Path, tmp_path: Path) -> None:
    """CVAT marks what was drawn with its brush so: check, analyze, train and evaluate say it, and what to do."""
    content = json.loads((folder / "data/annotations/instances_val2017_person_only_no_crowd.json").read_text())
    for one in content["annotations"]:
        one["iscrowd"] = 1
    path, images = tmp_path / "cvat.json", folder / "data" / "images" / "val2017"
    path.write_text(json.dumps(content))
    where = ("--images", images, "--annotations", path, "--val-images", images, "--val-annotations", path)
    checked = call("roimask", "check", *where)
    assert checked.code == 2 and checked.err.count("are crowds; set their iscrowd to 0") == 2, checked.err
    assert f"0 of them targets (sides of at least 16 px), {len(content['annotations'])} crowds" in checked.out
    call("roimask", "analyze", "--annotations", path, "--out", tmp_path / "a.json").refused("iscrowd to 0")
    extractor = ("--extractor", folder / "extractor.onnx", "--tensor", crowds.TENSOR)
    call("roimask", "train", *where, *extractor, "--out-dir", tmp_path / "run").refused("are crowds", "iscrowd to 0")
    assert not (tmp_path / "run").exists()
    (tmp_path / "r.json").write_text("[]")
    scored = ("--images", images, "--annotations", path, "--predictions", tmp_path / "r.json")
    call("roimask", "evaluate", *scored, "--out", tmp_path / "e").refused("no image of the annotations shows")


def test_check_refuses_a_set_without_a_target(folder: Path, tmp_path: Path) -> None:
    """As train does: all are too small."""
    content = json.loads((folder / "data/annotations/instances_val2017_person_only_no_crowd.json").read_text())
    for one in content["annotations"]:
        one["bbox"][2:] = [9, 9]
    (tmp_path / "small.json").write_text(json.dumps(content))
    images = ("--images", folder / "data/images/val2017", "--annotations", tmp_path / "small.json")
    checked = call("roimask", "check", "--data", folder / "data", *images)
    assert checked.code == 2 and "none has sides of at least 16 px; lower --min-target" in checked.err, checked.err


def test_images_without_a_person_are_predicted_too(content: Any, model: Path, tmp_path: Path) -> None:
    """Boxes of annotations, or of a detector, which names only images in which it found somebody; it is said."""
    photos = photos_of(content, tmp_path)
    finds = [
        {"image_id": photo.image_id, "category_id": 1, "score": 0.9, "bbox": [5, 5, 40, 60]} for photo in photos[:2]
    ]
    (tmp_path / "finds.json").write_text(json.dumps(finds))
    for number, (name, label, count) in enumerate((("gt.json", ("--label", "person"), 3), ("finds.json", (), 5))):
        words = ("--checkpoint", model, "--boxes", tmp_path / name, *label, "--no-pictures", "--no-masks")
        done = call("roimask", "predict", tmp_path / "images", *words, "--out", tmp_path / f"p{number}").done()
        assert f"no box in {count} of 7 image(s): " in done.out and "nobody_0.jpg" in done.out
        entries = json.loads((tmp_path / f"p{number}" / "masks.json").read_text())
        assert {entry["image"] for entry in entries} == {photo.source for photo in photos[: 4 if label else 2]}
