"""Crowded scenes with exact masks in the documented folders, and the extractor beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from kaname.codecs.roi_mask import inside
from kaname.data.formats import rle
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.inference.onnx_tensor import OnnxTensor
from kaname.samples import roimask
from kaname.samples.extractor import CHANNELS, NAME, TENSOR, write_extractor

SIZE = (120, 160)
STILL = Affine(np.eye(2, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return roimask.write(tmp_path_factory.mktemp("sample") / "new", count=9, val_count=5, size=SIZE, seed=3)


def labels(folder: Path, part: str, ending: str = "") -> dict[str, Any]:
    path = folder / "data" / "annotations" / f"instances_{part}2017_person_only_no_crowd{ending}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def mask_of(entry: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    shape = entry["segmentation"]
    if isinstance(shape, dict):
        return rle.decode(shape)
    return inside([np.reshape(ring, (-1, 2)) for ring in shape], STILL, size)


def test_the_documented_folders(folder: Path) -> None:
    for part, counts in (("train", (9, 4, 4)), ("val", (5, 4, 4))):
        files = sorted(path.name for path in (folder / "data" / "images" / f"{part}2017").iterdir())
        for ending, count in zip(("", "_500", "_100"), counts, strict=True):
            content = labels(folder, part, ending)
            assert [image["file_name"] for image in content["images"]] == files[:count]
            assert {entry["image_id"] for entry in content["annotations"]} == {*range(1, count + 1)}
            assert {entry["category_id"] for entry in content["annotations"]} == {1}
    persons = [
        sum(entry["image_id"] == number and not entry["iscrowd"] for entry in labels(folder, "val")["annotations"])
        for number in range(1, 5)
    ]
    assert persons == [1, 2, 3, 5]  # those of the validation's picture


def test_masks_are_exact_and_apart(folder: Path) -> None:
    content = labels(folder, "train")
    for number, image in enumerate(content["images"]):
        size = (image["height"], image["width"])
        shown = roimask.scene(3, 0, number, SIZE)
        assert shown.image.shape[:2] == size
        read = read_image(folder / "data" / "images" / "train2017" / image["file_name"])
        assert np.abs(read.astype(int) - shown.image).mean() < 12
        entries = [entry for entry in content["annotations"] if entry["image_id"] == image["id"]]
        masks = np.array([mask_of(entry, size) for entry in entries])
        np.testing.assert_array_equal(masks[: len(shown.people)], shown.people)
        assert masks.sum(axis=0).max() == 1
        for entry, mask in zip(entries, masks, strict=True):
            rows, columns = np.nonzero(mask)
            x, y, width, height = entry["bbox"]
            assert (x, y, x + width, y + height) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert entry["area"] == mask.sum()


def test_a_crowd_run_lengths_and_a_hole(folder: Path) -> None:
    for part in ("train", "val"):
        first = [entry for entry in labels(folder, part)["annotations"] if entry["image_id"] == 1]
        crowds = [entry for entry in first if entry["iscrowd"]]
        assert len(crowds) == 1 and isinstance(crowds[0]["segmentation"]["counts"], list)
        runs = [entry for entry in first if not entry["iscrowd"] and isinstance(entry["segmentation"], dict)]
        assert runs and isinstance(runs[0]["segmentation"]["counts"], str)
        masks = [rle.decode(entry["segmentation"]) for entry in runs]
        assert any((binary_fill_holes(mask) ^ mask).sum() > 10 for mask in masks)
    polygons = [entry for entry in labels(folder, "train")["annotations"] if isinstance(entry["segmentation"], list)]
    assert len(polygons) > 10


def test_people_touch_and_cover_each_other() -> None:
    touching = 0
    for index in range(4, 12):
        people = roimask.scene(0, 0, index, SIZE).people
        owner = np.where(people.any(axis=0), people.argmax(axis=0), -1)
        beside = (owner[:, 1:] != owner[:, :-1]) & (owner[:, 1:] >= 0) & (owner[:, :-1] >= 0)
        touching += beside.sum() > 10
    assert touching >= 6


def test_the_extractor_tells_figures_apart(folder: Path) -> None:
    path = folder / "ext_extractor" / NAME
    assert path.stat().st_size < 2_000_000
    source = OnnxTensor(path, TENSOR)
    assert source.description["channels"] == [CHANNELS] and source.description["stride_yx"] == [[8, 8]]
    assert source.view.fit == "stretch" and source.view.input_size == (640, 640)
    image = np.full((1, 640, 640, 3), 90, np.uint8)
    image[:, 200:440, 100:200], image[:, 200:440, 300:400] = (200, 40, 45), (30, 45, 110)
    image[:, 200:440:8, 500:600] = (200, 40, 45)  # striped
    (maps,) = source.features(image)
    assert maps.shape == (1, CHANNELS, 80, 80) and np.isfinite(maps).all()
    cells = [maps[0, :, 40, column] for column in (18, 43, 68, 30)]
    for one in range(4):
        for other in range(one):
            assert np.abs(cells[one] - cells[other]).mean() > 0.02
    assert (maps[0].std(axis=(1, 2)) > 1e-4).mean() > 0.5


def test_the_same_seed_writes_the_same(tmp_path: Path) -> None:
    one, other = write_extractor(tmp_path / "a.onnx"), write_extractor(tmp_path / "b.onnx")
    assert one.read_bytes() == other.read_bytes()
    np.testing.assert_array_equal(roimask.scene(5, 1, 2, SIZE).image, roimask.scene(5, 1, 2, SIZE).image)
    with pytest.raises(InputError, match="count must be"):
        roimask.write(tmp_path / "c", count=0)
