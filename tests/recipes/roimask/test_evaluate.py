"""Figures: perfect and known answers, other programs' files, and what a model is asked besides."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaname
from calling import call
from kaname.codecs.mask_regions import PLAIN, regions
from kaname.codecs.roi_mask import inside
from kaname.config import to_dict
from kaname.data.formats import masks as files
from kaname.data.formats import rle
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.boxes import clip, pad
from kaname.metrics.masks import boundary_iou, confusion
from kaname.recipes.roimask.config import AnswerSettings
from kaname.recipes.roimask.evaluate import compare, crowd_of, score, truth_of
from kaname.recipes.roimask.labels import IGNORE, Photo
from kaname.recipes.roimask.predictions import read, write
from kaname.recipes.roimask.trials import NOISE, asked, noisy, overlap, read_detections
from kaname.types import Masks, Prediction
from recipes.roimask import crowds

CLASSES = ("background", "target", "non_target")
GRID = (56, 56)


def predicted(photos: list[Photo], path: Path, spoil: Any = None, classes: int = 3) -> Path:
    """The truth on the grid of each padded box as predictions, after ``spoil`` has changed the classes."""
    rows = []
    for photo in photos:
        regions = clip(pad(photo.boxes, 0.1), photo.size)
        true = photo.classes(regions, range(len(regions)), GRID)
        true = np.where(true > 2, 0, true)
        found = true if spoil is None else spoil(true)
        cells = (found[:, None] == np.arange(classes)[:, None, None]).astype(np.float32)
        masks = Masks(cells, regions, CLASSES[:classes], photo.size, list(range(len(regions))), photo.boxes)
        rows.append(Prediction(photo.source, masks, image_id=photo.image_id))
    answers = to_dict(AnswerSettings())
    write(path, rows, {"recipe": "roimask", "model": "known", "answers": answers, "classes": list(CLASSES[:classes])})
    return path


@pytest.fixture
def photos(folder: Path) -> list[Photo]:
    return crowds.photos(crowds.config_of(folder), "val")


def value(result: Any, figure: str, group: str = "all") -> Any:
    return result.groups[group][figure]["value"]


def test_the_truth_scores_one(photos: list[Photo], tmp_path: Path) -> None:
    """On the grid exactly; on the image as far as a grid of 56 cells goes."""
    result = score(predicted(photos, tmp_path / "m.json"), photos, AnswerSettings(), {})
    for figure in ("miou_classes_1_2", "iou_target_mean", "share_over_0.5", "share_over_0.7"):
        assert value(result, figure) == 1
    assert value(result, "leak") == 0 and value(result, "iou_image_mean") > 0.9
    assert result.settings["rois"] == sum(len(photo.candidates) for photo in photos)
    pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval")
    assert value(result, "ap", "coco") > 0.8


def test_an_ap_that_there_is_not_has_its_reason_on_the_screen(
    photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table said ``AP -`` alone."""
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.warns(UserWarning, match="mask AP needs faster-coco-eval, which is not installed; pip install"):
        result = score(predicted(photos, tmp_path / "m.json"), photos, AnswerSettings(), {})
    assert value(result, "ap", "coco") is None and "faster-coco-eval" in result.groups["coco"]["ap"]["reason"]


def test_known_errors_have_known_figures(photos: list[Photo], tmp_path: Path) -> None:
    """Everyone is the target: the leak is 1; nobody is: the IoU is 0; classes two and one swapped: both."""
    everyone = predicted(photos, tmp_path / "a.json", lambda true: np.where(true == 2, 1, true))
    result = score(everyone, photos, AnswerSettings(), {})
    tables = [roi.table for roi in result.details]
    assert value(result, "leak") == 1
    by_hand = [table[1, 1] / (table[:, 1].sum() + table[1, :].sum() - table[1, 1]) for table in tables]
    assert value(result, "iou_target_mean") == pytest.approx(np.mean(by_hand))
    nobody = score(predicted(photos, tmp_path / "b.json", np.zeros_like), photos, AnswerSettings(), {})
    assert value(nobody, "iou_target_mean") == 0 and value(nobody, "share_over_0.5") == 0
    crowded = [roi for roi in result.details if roi.crowded]
    assert 0 < len(crowded) < len(result.details) and result.groups["crowded"]["leak"]["n"] == len(crowded)
    assert json.dumps(result.files["confusion.json"])


def test_sizes_are_those_of_the_annotations(folder: Path, tmp_path: Path) -> None:
    """COCO's program goes by ``area``, whatever the mask's pixels are; where there is none by those pixels."""
    for name, area, kept in (("medium", 40.0**2, "ap_medium"), ("large", 100.0**2, "ap_large"), ("none", None, "")):
        config = crowds.config_of(folder)
        content = json.loads(config.data.annotations_of("val").read_text())
        for one in content["annotations"]:
            one |= {"area": area}
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        config = crowds.config_of(folder, data__val_annotations=path, data__val_images=config.data.images_of("val"))
        photos = crowds.photos(config, "val")
        found = score(predicted(photos, tmp_path / "m.json"), photos, AnswerSettings(), {}).groups["coco"]
        sized = {size for size in ("ap_small", "ap_medium", "ap_large") if found[size]["value"] is not None}
        assert sized == ({kept} if kept else sized) and sized
        theirs = {one["id"]: one["area"] for one in content["annotations"]}
        ours = [one["area"] for one in truth_of(photos)["annotations"]]
        assert area is None or set(ours) <= set(theirs.values())


def test_images_of_one_name_are_clusters_of_their_own(photos: list[Photo], tmp_path: Path) -> None:
    path = predicted(photos, tmp_path / "m.json")
    rois = score(path, photos, AnswerSettings(), {}).details
    assert len({roi.image for roi in rois}) == len(photos)
    same = [replace(roi, photo=_named(roi.photo, tmp_path / str(roi.photo.image_id) / "a.jpg")) for roi in rois]
    assert len({roi.image for roi in same}) == len(photos) and {roi.photo.source for roi in same} == {"a.jpg"}


def _named(photo: Photo, image: Path) -> Photo:
    return replace(photo, sample=replace(photo.sample, image=image))


def test_two_classes_have_no_figure_of_the_third(photos: list[Photo], tmp_path: Path) -> None:
    """Null with the reason, and the target's figures stand."""
    path = predicted(photos, tmp_path / "m.json", lambda true: np.where(true == 2, 0, true), classes=2)
    result = score(path, photos, AnswerSettings(), {})
    assert (
        value(result, "miou_classes_1_2") is None and "no class" in result.groups["all"]["miou_classes_1_2"]["reason"]
    )
    assert value(result, "iou_target_mean") == 1 and value(result, "leak") == 0


def test_another_programs_results(photos: list[Photo], tmp_path: Path) -> None:
    """COCO results without a grid: figures of the grid are null with a reason, those of the image are there."""
    entries = json.loads(predicted(photos, tmp_path / "m.json").read_text())
    bare = [{key: one[key] for key in ("image_id", "category_id", "bbox", "score", "segmentation")} for one in entries]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(bare))
    result = score(path, photos, AnswerSettings(), {})
    assert value(result, "miou_classes_1_2") is None and "grid" in result.groups["all"]["leak"]["reason"]
    assert value(result, "iou_image_mean") > 0.9 and value(result, "boundary_iou") > 0.5


def test_order_and_missing_boxes(photos: list[Photo], tmp_path: Path) -> None:
    """Predictions find their boxes whatever their order; a missing one counts as missed, and is said."""
    entries = json.loads(predicted(photos, tmp_path / "m.json").read_text())
    head = entries[0].pop("kaname")
    entries = [{key: one[key] for key in one if key != "instance"} for one in entries[::-1]]
    entries[0]["kaname"] = head
    (tmp_path / "turned.json").write_text(json.dumps(entries))
    assert value(score(tmp_path / "turned.json", photos, AnswerSettings(), {}), "iou_target_mean") == 1
    (tmp_path / "less.json").write_text(json.dumps(entries[:1] + entries[2:]))
    with pytest.warns(UserWarning, match="no mask for 1 of"):
        result = score(tmp_path / "less.json", photos, AnswerSettings(), {})
    count = len(result.details)
    assert value(result, "iou_target_mean") == pytest.approx((count - 1) / count)


def test_figures_of_the_image_are_those_of_whole_masks(photos: list[Photo], tmp_path: Path) -> None:
    """Parts of the image give what masks of the whole image give, with pixels of crowds left out."""
    path = predicted(photos, tmp_path / "m.json", lambda true: np.roll(true, 3, axis=2))
    for roi in score(path, photos, AnswerSettings(), {}).details:
        photo, entry = roi.photo, roi.entry
        assert entry is not None
        true = inside(photo.shapes()[roi.row], Affine.identity(), photo.size)
        ours = entry.mask & ~(crowd_of(photo) & ~true)
        assert roi.image_iou == np.count_nonzero(ours & true) / np.count_nonzero(ours | true)
        assert roi.boundary == boundary_iou(ours, true)
        classes = photo.classes(entry.region[None], [roi.row], GRID)[0]
        assert entry.grid is not None and (roi.table == confusion(entry.grid, classes, 3, IGNORE)).all()


def test_results_of_other_images(photos: list[Photo], tmp_path: Path) -> None:
    """Another image, another size: refused by number."""
    entries = json.loads(predicted(photos, tmp_path / "m.json").read_text())
    for change, said in (({"image": "x.jpg", "image_id": 999}, "not in this set"), ({}, "the image has")):
        other = {**entries[0], **change}
        if not change:
            other["segmentation"] = rle.encode(np.zeros((5, 5), bool))
        (tmp_path / "x.json").write_text(json.dumps([other]))
        with pytest.raises(InputError, match=said):
            score(tmp_path / "x.json", photos, AnswerSettings(), {})


def test_a_file_is_read_back_as_it_was(photos: list[Photo], tmp_path: Path) -> None:
    """Boxes, regions, grids, ids of images."""
    path = predicted(photos, tmp_path / "m.json")
    for photo, row in zip(photos, read(path), strict=True):
        assert isinstance(row.answer, Masks) and row.answer.asked is not None
        assert np.allclose(row.answer.asked, photo.boxes)
        assert np.allclose(row.answer.boxes, clip(pad(photo.boxes, 0.1), photo.size))
    assert {entry.image_id for entry in files.read_results(path)} == {photo.image_id for photo in photos}


def test_what_a_model_is_asked_besides(photos: list[Photo], model: Path, tmp_path: Path) -> None:
    """The curve over box noise begins with the exact boxes; a detector's boxes give an AP."""
    opened = kaname.load(model)
    path = tmp_path / "detections.json"
    boxes = [
        {"image_id": photo.image_id, "score": 0.9, "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]}
        for photo in photos for box in photo.boxes
    ]  # fmt: skip
    path.write_text(json.dumps(boxes))
    how = asked(opened, photos, AnswerSettings(), {"noise": True, "detections": path})
    assert list(how["noise_curve"]) == [f"{share:.2f}" for share in NOISE]
    target = predicted(photos, tmp_path / "m.json")
    result = score(target, photos, AnswerSettings(), how)
    assert set(result.files) == {"confusion.json", "noise.json"} and "coco_detections" in result.groups
    exact = []
    for photo in photos:
        true = [inside(shape, Affine.identity(), photo.size) for shape in photo.shapes()]
        found = list(regions(opened.predict(photo.image, photo.boxes), PLAIN))
        crowd = crowd_of(photo)
        exact += [overlap(found[row], true[row], crowd & ~true[row]) for row in photo.candidates]
    assert how["noise_curve"]["0.00"]["iou_image_mean"]["value"] == pytest.approx(np.mean(exact), abs=1e-6)
    moved = noisy(photos[0].boxes, 0.3, 0)
    assert (moved != photos[0].boxes).any() and (noisy(photos[0].boxes, 0.0, 0) == photos[0].boxes).all()


@pytest.mark.parametrize(
    "content", ["{}", "[3]", '[{"image_id": 1}]', '[{"image_id": 1, "bbox": [0, 0, -1, 3], "score": 1}]']
)
def test_detections_that_are_none(tmp_path: Path, content: str) -> None:
    """One line with the number of the entry."""
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(InputError, match=r"detection|results list"):
        read_detections(tmp_path / "d.json")


def test_detections_of_other_images(photos: list[Photo], model: Path, tmp_path: Path) -> None:
    """Refused with some of their names."""
    (tmp_path / "d.json").write_text('[{"image_id": 777, "bbox": [0, 0, 5, 5], "score": 1}]')
    with pytest.raises(InputError, match="777"):
        asked(kaname.load(model), photos, AnswerSettings(), {"detections": tmp_path / "d.json"})


def test_compare_takes_another_programs_results(folder: Path, photos: list[Photo], tmp_path: Path) -> None:
    entries = json.loads(predicted(photos, tmp_path / "m.json").read_text())
    keys = ("image_id", "category_id", "bbox", "score", "segmentation")
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps([{key: one[key] for key in keys} for one in entries]))
    words = ("--data", folder / "data", "--split", "val", "--out", tmp_path, "--resamples", 20, "--flips", 20)
    call("compare", tmp_path / "a.json", tmp_path / "b.json", *words).done()
    assert json.loads((tmp_path / "compare.json").read_text())["settings"]["recipe"] == "roimask"


def test_compare_scores_box_by_box(folder: Path, photos: list[Photo], tmp_path: Path) -> None:
    """Two files of predictions, paired by box and clustered by image."""
    scored = compare(predicted(photos, tmp_path / "m.json"), folder / "data", split="val", cluster=None, options={})
    assert all(one["all"]["iou_target"] == 1 for one in scored.values.values())
    assert set(scored.clusters.values()) == {photo.source for photo in photos}
