"""Masks from COCO files: polygons, both kinds of run lengths, and crowds, against pycocotools."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from kaname.codecs.runs import Runs
from kaname.data.formats import coco, rle
from kaname.data.formats.coco_masks import crowds, filled_holes, inner_polygons, shapes
from kaname.errors import InputError
from kaname.geometry.image import write_image

SQUARE = [10.0, 8.0, 30.0, 8.0, 30.0, 28.0, 10.0, 28.0]
HOLE = [15.0, 12.0, 20.0, 12.0, 20.0, 20.0, 15.0, 20.0]
SIZE = (40, 60)


def block(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def plain(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as a list."""
    encoded = rle.encode(mask)
    return {"size": encoded["size"], "counts": rle.counts(encoded).tolist()}


def entry(number: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    fields = {"image_id": 5, "category_id": 1, "bbox": [10, 8, 20, 20], "iscrowd": 0, "area": 1}
    return {"id": number, "segmentation": segmentation, **fields, **more}


CONTENT = {
    "images": [{"id": 5, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "ball"}],
    "annotations": [
        entry(1, [SQUARE]),
        entry(2, rle.encode(block(0, 0, 9, 9))),
        entry(3, plain(block(40, 3, 50, 30))),
        entry(4, rle.encode(block(30, 0, 60, 12)), iscrowd=1),
        entry(5, plain(block(50, 30, 60, 40)), iscrowd=1),
        entry(6, [SQUARE, HOLE]),
        entry(7, [SQUARE], category_id=3),
    ],
}


def save(folder: Path, content: Any = CONTENT) -> Path:
    (folder / "x.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "x.json"


def test_polygons_run_lengths_and_crowds_stay_apart(tmp_path: Path) -> None:
    path = save(tmp_path)
    (sample,) = coco.read(path, category=1)
    assert list(sample.ids) == [1, 2, 3, 6] and sample.meta["crowd"] == 2
    theirs = COCO(str(path))
    for number, shape in zip(sample.ids, shapes(sample), strict=True):
        expected = theirs.annToMask(theirs.anns[number])
        mask = shape if isinstance(shape, np.ndarray) else Runs.of([shape], SIZE).mask(0)
        np.testing.assert_array_equal(mask, expected)
    for shape, number in zip(crowds(sample), (4, 5), strict=True):
        np.testing.assert_array_equal(np.asarray(shape), theirs.annToMask(theirs.anns[number]))
    assert filled_holes(sample) == [6]
    (balls,) = coco.read(path, category="ball")
    assert list(balls.ids) == [7] and not crowds(balls)


def test_polygons_inside_others() -> None:
    square, hole = (np.array(one).reshape(-1, 2) for one in (SQUARE, HOLE))
    assert inner_polygons([square, hole]) == inner_polygons([hole, square]) == 1
    assert inner_polygons([square, hole + 3, hole + np.array([20, 0])]) == 1
    assert inner_polygons([square]) == inner_polygons([square, square]) == inner_polygons([]) == 0
    corner = np.array([[10.0, 8.0], [30.0, 8.0], [10.0, 28.0]])  # a triangle, and what lies in its box beside it
    assert inner_polygons([corner, hole + np.array([8, 6])]) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segmentation": [[1, 2, 3, 4]]}, "a polygon must be x, y of at least 3 corners"),
        ({"segmentation": {"size": [60, 40], "counts": [2400]}}, "has 40 x 60 pixels, its image 60 x 40"),
        ({"segmentation": {"size": [40, 60], "counts": [7]}}, r"not a run-length encoding \(runs of 7 pixels"),
        ({"segmentation": {"size": [40, 60]}}, r"not a run-length encoding \(no 'counts'\)"),
        ({"segmentation": {"size": [40, 60], "counts": 7}}, "not a run-length encoding"),
        ({"segmentation": {"size": [40], "counts": [40]}}, "not a run-length encoding"),
        ({"image_id": 99}, "its image 99 is not in the list of images"),
        ({"category_id": 2}, "its category 2 is not in the list"),
    ],
)
@pytest.mark.parametrize("crowd", [0, 1])
def test_bad_masks_are_named(tmp_path: Path, change: dict[str, Any], words: str, crowd: int) -> None:
    content = copy.deepcopy(CONTENT)
    content["annotations"][2] |= change | {"iscrowd": crowd}
    with pytest.raises(InputError, match=words) as caught:
        coco.read(save(tmp_path, content), category="person")
    assert caught.value.row == "annotation 3" and "\n" not in str(caught.value)
    with pytest.raises(InputError, match=words):
        coco.entries(tmp_path / "x.json", 1)


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda path: coco.read(path, category=2), "no category 2; it has: 1 person, 3 ball"),
        (lambda path: coco.read(path, category="dog"), "no category 'dog'; it has: 1 person, 3 ball"),
        (lambda path: coco.read(path, path.parent), "'a.png' is missing"),
    ],
)
def test_what_is_not_there(tmp_path: Path, read: Callable[[Path], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(save(tmp_path))


def test_an_image_of_another_size(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((60, 40, 3), np.uint8))
    with pytest.raises(InputError, match="has 40 x 60 pixels, the file says 60 x 40"):
        coco.read(save(tmp_path), tmp_path)


def test_an_instance_without_a_mask(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["annotations"][0]["segmentation"] = []
    (sample,) = coco.read(save(tmp_path, content), category=1)
    with pytest.raises(InputError, match="annotation 1: it has a box and no mask"):
        shapes(sample)


def test_entries_are_those_of_the_file(tmp_path: Path) -> None:
    ((image, instances),) = coco.entries(save(tmp_path), 1)
    assert image == CONTENT["images"][0]
    assert instances == [one for one in CONTENT["annotations"] if one["category_id"] == 1]
    content = copy.deepcopy(CONTENT)
    del content["images"][0]["height"]
    with pytest.raises(InputError, match="image 5: it has no width and height"):
        coco.entries(save(tmp_path, content), 1)
