"""`masks.json`: a COCO results list with the grids of the boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.codecs.mask_regions import Choice
from kaname.codecs.roi_mask import inside, paste_probabilities, softmax
from kaname.data.formats import masks as format_
from kaname.data.formats import rle
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.types import Masks, Prediction

CLASSES = ("background", "target", "non_target")
SIZE = (40, 60)


def answer(seed: int, count: int = 2, **more: Any) -> Masks:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 20, (count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(10, 30, (count, 2))], axis=1)
    smooth = random.normal(0, 3, (count, 3, 2, 2)).repeat(4, 2).repeat(3, 3)
    return Masks(softmax(smooth), boxes, CLASSES, SIZE, **more)


def write(path: Path, rows: list[Prediction], **more: Any) -> list[dict[str, Any]]:
    format_.write(path, iter(rows), recipe="roimask", model="crop", settings={"threshold": 0.5}, **more)
    return json.loads(path.read_text(encoding="utf-8"))


def test_it_is_a_coco_results_list(tmp_path: Path) -> None:
    one, other = answer(0), answer(1, 1, ids=["x"])
    rows = [Prediction("人.jpg", one), Prediction("v.mp4", other, frame=3, seconds=0.1, file="f.png")]
    content = write(tmp_path / "masks.json", rows, image_ids={"人.jpg": 7}, extractor="abc")
    assert [entry["image_id"] for entry in content] == [7, 7, "v.mp4#3"]
    head = {"version": 1, "recipe": "roimask", "model": "crop", "settings": {"threshold": 0.5}, "extractor": "abc"}
    assert content[0]["kaname"] == head == format_.read_head(content)
    whole = paste_probabilities(one.probabilities, one.boxes, SIZE)
    for entry, pasted, box, cells in zip(content, whole, one.boxes, one.probabilities, strict=False):
        assert entry["category_id"] == 1 and entry["segmentation"]["size"] == list(SIZE)
        np.testing.assert_array_equal(rle.decode(entry["segmentation"]), pasted.argmax(axis=0) == 1)
        np.testing.assert_allclose(entry["bbox"], [*box[:2], *(box[2:] - box[:2])])
        grid = cells.argmax(axis=0)
        assert list(entry["grid"]) == ["target", "non_target"]
        np.testing.assert_array_equal(rle.decode(entry["grid"]["non_target"]), grid == 2)
        assert entry["score"] == pytest.approx(cells[1][grid == 1].mean() if (grid == 1).any() else 0)
    assert content[2]["instance"] == "x" and content[2]["frame"] == 3 and content[2]["file"] == "f.png"


def test_a_threshold(tmp_path: Path) -> None:
    one = answer(2)
    content = write(tmp_path / "masks.json", [Prediction("a.jpg", one)], choice=Choice(threshold=0.2))
    pasted = paste_probabilities(one.probabilities, one.boxes, SIZE)
    for entry, values in zip(content, pasted, strict=True):
        np.testing.assert_array_equal(rle.decode(entry["segmentation"]), values[1] > 0.2)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """By image: boxes, names, and the most probable class of each cell; results keep the image's resolution."""
    rows = [
        Prediction("a.jpg", answer(0, ids=[4, 9])),
        Prediction("v.mp4", answer(1, 3), frame=0, seconds=0.0),
        Prediction("v.mp4", answer(2, 1), frame=1, seconds=0.04, file="f.png"),
    ]
    content = write(tmp_path / "masks.json", rows)
    found = format_.read(tmp_path / "masks.json", recipe="roimask")
    for one, other in zip(rows, found, strict=True):
        mine, theirs = one.answer, other.answer
        assert isinstance(mine, Masks) and isinstance(theirs, Masks)
        assert (one.source, one.frame, one.seconds, one.file) == (other.source, other.frame, other.seconds, other.file)
        assert theirs.classes == CLASSES and theirs.size == SIZE and list(theirs.ids) == list(mine.ids)
        np.testing.assert_allclose(theirs.boxes, mine.boxes)
        grid = mine.probabilities.argmax(axis=1)
        np.testing.assert_array_equal(theirs.probabilities.argmax(axis=1), grid)
        assert theirs.probabilities.dtype == np.float32 and set(np.unique(theirs.probabilities)) <= {0.0, 1.0}
    results = format_.read_results(tmp_path / "masks.json")
    assert [one.segmentation for one in results] == [entry["segmentation"] for entry in content]
    assert results[0].mask.shape == results[0].size == SIZE


def test_other_programs_results(tmp_path: Path) -> None:
    """No name, no grid: the grid is made from the mask."""
    mask = np.zeros(SIZE, bool)
    mask[10:30, 20:40] = True
    entry = {"image_id": 5, "category_id": 1, "bbox": [10, 10, 40, 20], "score": 0.7, "segmentation": rle.encode(mask)}
    (tmp_path / "results.json").write_text(json.dumps([entry]))
    (result,) = format_.read_results(tmp_path / "results.json", recipe="roimask")
    assert result.grid is None and result.image == "5" and result.score == 0.7
    (found,) = format_.read(tmp_path / "results.json")
    assert isinstance(found.answer, Masks) and found.answer.classes == ("background", "target")
    pasted = paste_probabilities(found.answer.probabilities, found.answer.boxes, SIZE)[0].argmax(axis=0)
    np.testing.assert_array_equal(pasted == 1, mask)
    (tmp_path / "results.json").write_text("[]")
    assert format_.read(tmp_path / "results.json", recipe="roimask") == []


GOOD = {"image_id": 5, "category_id": 1, "bbox": [1, 1, 4, 2], "score": 0.7,
        "segmentation": {"size": [4, 6], "counts": [20, 4]}}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"segmentation": None},
        {"segmentation": [[1, 2, 3, 4, 5, 6]]},
        {"segmentation": {"size": [4, 6], "counts": [20, 5]}},
        {"segmentation": {"size": [4, 6], "counts": "é"}},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, -3, 4]},
        {"bbox": [1, 2, float("nan"), 4]},
        {"score": "high"},
        {"score": float("nan")},
        {"image_id": None},
        {"category_id": None},
        {"grid": [1]},
        {"grid": {"a": {"size": [2, 2], "counts": "4"}, "b": {"size": [3, 2], "counts": "6"}}},
    ],
)
def test_faults_name_their_entry(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "masks.json"
    path.write_text(json.dumps([GOOD, {**GOOD, **change}]))
    with pytest.raises(InputError, match="not a mask") as caught:
        format_.read_results(path)
    assert caught.value.path == str(path) and caught.value.row == "result 2" and caught.value.remedy


def test_files_that_do_not_serve(tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="not a COCO results list"):
        format_.read(path)
    write(path, [Prediction("a.jpg", answer(0))])
    with pytest.raises(InputError, match="of the recipe 'roimask', not of 'other'"):
        format_.read(path, recipe="other")
    path.write_text(json.dumps([{**GOOD, "bbox": [1, 1, 0, 2]}]))
    assert not format_.read(path)[0].answer.probabilities[0, 1].any()  # type: ignore[union-attr]
    grids = [{"t": rle.encode(np.zeros(size))} for size in ((2, 2), (3, 3))]
    path.write_text(json.dumps([{**GOOD, "grid": one} for one in grids]))
    with pytest.raises(InputError, match="differ in their grids"):
        format_.read(path)


def test_polygons_are_the_same_masks(tmp_path: Path) -> None:
    rows = [Prediction("a.jpg", answer(3, 4))]
    choice = Choice(0.4, rescore=True)
    runs = write(tmp_path / "masks.json", rows, choice=choice)
    rings = write(tmp_path / "polygons.json", rows, choice=choice, polygons=True)
    still = Affine(np.eye(2, 3))
    for exact, drawn in zip(runs, rings, strict=True):
        outer, holes = (
            inside([np.reshape(ring, (-1, 2)) for ring in drawn[part]], still, SIZE)
            for part in ("segmentation", "holes")
        )
        np.testing.assert_array_equal(outer & ~holes, rle.decode(exact["segmentation"]))
        assert drawn["size"] == list(SIZE) and drawn["score"] == exact["score"] == pytest.approx(exact["score"])
    assert any(entry["holes"] for entry in rings) or all(len(entry["segmentation"]) for entry in rings)


def test_a_result_without_a_box_has_that_of_its_mask(tmp_path: Path) -> None:
    """COCO's own tools make it too: results of masks need not state one."""
    mask = np.zeros(SIZE, bool)
    mask[10:30, 20:45] = True
    entry = {"image_id": 5, "category_id": 1, "score": 0.7, "segmentation": rle.encode(mask)}
    empty = {**entry, "segmentation": rle.encode(np.zeros(SIZE, bool))}
    (tmp_path / "results.json").write_text(json.dumps([entry, empty]))
    first, second = format_.read_results(tmp_path / "results.json")
    np.testing.assert_array_equal(first.box, [20, 10, 45, 30])
    np.testing.assert_array_equal(second.box, [0, 0, 0, 0])
