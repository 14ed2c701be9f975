"""``analyze`` against a slow count with pycocotools, written from the definitions, and against published figures."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from kaname.data import roi_statistics as module
from kaname.data.formats import rle
from kaname.data.roi_statistics import CLASSES, class_weights, measure, summary
from kaname.errors import InputError


def pairs(masks: list[np.ndarray]) -> list[float]:
    """The IoU of every pair of masks that share a pixel."""
    each = [(one, other) for number, one in enumerate(masks) for other in masks[number + 1 :]]
    return [float((one & other).sum() / (one | other).sum()) for one, other in each if (one & other).any()]


def slow(path: Path, category: int = 1) -> dict[str, Any]:
    """The definitions, mask by mask."""
    data = COCO(str(path))
    pixels = np.zeros(3, np.int64)
    ious: list[float] = []
    in_roi: list[int] = []
    ratios: list[float] = []
    numbers: list[int] = []
    flat: list[int] = []
    images_with_overlaps = 0
    for image in data.imgs.values():
        entries = data.loadAnns(data.getAnnIds(image["id"], catIds=[category], iscrowd=False))
        if not entries:
            continue
        numbers.append(len(entries))
        height, width = image["height"], image["width"]
        masks = [data.annToMask(entry).astype(bool) for entry in entries]
        ious += (overlaps := pairs(masks))
        images_with_overlaps += bool(overlaps)
        for number, entry in enumerate(entries):
            x, y, w, h = entry["bbox"]
            x1, x2 = max(0, int(x - 0.1 * w)), min(width, int(x + 1.1 * w))
            y1, y2 = max(0, int(y - 0.1 * h)), min(height, int(y + 1.1 * h))
            if x2 <= x1 or y2 <= y1:
                flat.append(entry["id"])
                continue
            others = [mask[y1:y2, x1:x2] for other, mask in enumerate(masks) if other != number]
            classes = np.zeros((y2 - y1, x2 - x1), np.int64)
            for mask in others:
                classes[mask] = 2
            classes[masks[number][y1:y2, x1:x2]] = 1
            pixels += np.bincount(classes.ravel(), minlength=3)
            in_roi.append(1 + sum(mask.any() for mask in others))
            ratios.append((x2 - x1) * (y2 - y1) / (width * height))
    total, images = sum(numbers), len(numbers)
    return {
        "flat": flat,
        "total_images": images,
        "total_instances": total,
        "images_with_multiple_instances": sum(number > 1 for number in numbers),
        "pixel_counts": dict(zip(CLASSES, pixels.tolist(), strict=True)),
        "pixel_ratios": dict(zip(CLASSES, (pixels / pixels.sum()).tolist(), strict=True)),
        "instance_count_distribution": {str(number): count for number, count in Counter(numbers).items()},
        "overlap_stats": {
            "images_with_overlaps": images_with_overlaps,
            "total_overlapping_pairs": len(ious),
            "avg_iou": float(np.mean(ious)),
            "max_iou": float(max(ious)),
        },
        "roi_stats": {
            "avg_roi_area_ratio": float(np.mean(ratios)),
            "avg_instances_per_roi": float(np.mean(in_roi)),
            "roi_overlap_ratio": float(np.mean(np.array(in_roi) > 1)),
        },
        "summary": {
            "avg_instances_per_image": total / images,
            "percent_multi_instance_images": 100 * sum(number > 1 for number in numbers) / images,
            "percent_images_with_overlaps": 100 * images_with_overlaps / images,
        },
    }


def check_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["left_out"]["boxes_without_area"] == expected.pop("flat")
    for key, value in expected.items():
        if isinstance(value, dict):
            assert found[key] == pytest.approx(value, rel=1e-12), key
        else:
            assert found[key] == value, key


@pytest.fixture
def persons(shared_data: Path) -> Path:
    return shared_data / "roimask" / "coco_train_persons" / "instances_train2017_person_subset.json"


@pytest.fixture
def published(shared_data: Path) -> Path:
    return shared_data / "roimask" / "published_statistics"


def scene(folder: Path, seed: int = 0, images: int = 30) -> Path:
    """People that overlap, leave the image, are cut in two, are stored as run lengths, or are a crowd."""
    random = np.random.default_rng(seed)
    entries: list[dict[str, Any]] = []
    sizes = [(int(random.integers(30, 120)), int(random.integers(30, 120))) for _ in range(images)]
    for number, (height, width) in enumerate(sizes):
        for _ in range(random.integers(0, 6)):
            parts = [random.uniform(-5, 90, 2) + random.normal(0, 15, (8, 2)) for _ in range(random.integers(1, 3))]
            corners = np.concatenate(parts)
            low, high = corners.min(axis=0), corners.max(axis=0)
            segmentation: Any = [np.round(part, 2).ravel().tolist() for part in parts]
            kind = random.random()
            if kind < 0.3:
                mask = np.zeros((height, width), bool)
                mask[: max(1, int(high[1])), : max(1, int(high[0] / 2))] = True
                segmentation = rle.encode(mask)
                if kind < 0.15:
                    segmentation["counts"] = rle.counts(segmentation).tolist()
            entry = {
                "id": len(entries) + 1,
                "image_id": number,
                "category_id": 1,
                "area": 1,
                "iscrowd": int(kind > 0.9),
            }
            entries.append(entry | {"bbox": [*low.tolist(), *(high - low).tolist()], "segmentation": segmentation})
    entries[3] |= {"bbox": [10.0, 10.0, 0.0, 12.0], "iscrowd": 0}
    content = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": height, "width": width}
            for number, (height, width) in enumerate(sizes)
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
        "annotations": entries,
    }
    (folder / "x.json").write_text(json.dumps(content))
    return folder / "x.json"


@pytest.mark.parametrize("seed", range(3))
def test_rendered_scenes(tmp_path: Path, seed: int) -> None:
    path = scene(tmp_path, seed)
    found = measure(path, speak=False)
    check_equal(found, slow(path))
    assert 4 in found["left_out"]["boxes_without_area"]
    content = json.loads(path.read_text())
    assert found["left_out"]["crowd_annotations"] == sum(one["iscrowd"] for one in content["annotations"]) > 0
    assert found["left_out"]["images_without_instances"] == 30 - found["total_images"] > 0


def test_real_persons(persons: Path) -> None:
    found = measure(persons, "person", speak=False)
    assert (found["total_instances"], found["left_out"]["crowd_annotations"]) == (254, 5)
    check_equal(found, slow(persons))


def test_any_number_of_workers_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    monkeypatch.setattr(module, "FEW", 0)
    path = scene(tmp_path)
    assert measure(path, speak=False, workers=2) == measure(path, speak=False, workers=1)


def test_published_ratios_give_the_published_weights(published: Path) -> None:
    kinds = ("recommended_class_weights", "recommended_log_class_weights", "separation_aware_weights")
    seen = 0
    for name in ("data_analyze_full.json", "data_analyze_100.json"):
        theirs = json.loads((published / name).read_text())
        ours = class_weights(theirs["pixel_ratios"])
        for kind in kinds:
            if kind in theirs:
                assert ours[kind] == pytest.approx(theirs[kind], abs=5e-5), (name, kind)
                seen += 1
    assert seen == 4


def test_the_schema_is_the_published_one(published: Path, persons: Path) -> None:
    theirs = json.loads((published / "data_analyze_full.json").read_text())
    ours = measure(persons, speak=False)
    assert set(theirs) <= set(ours)
    for key in set(theirs) - {"instance_count_distribution"}:
        if isinstance(theirs[key], dict):
            assert list(theirs[key]) == list(ours[key]), key


def test_weights_by_hand() -> None:
    weights = class_weights({"background": 0.5, "target": 0.25, "non_target": 0.25})
    inverse = np.array([1 / 0.501, 1 / 0.251, 1 / 0.251])
    for kind, raw in (("recommended_class_weights", inverse), ("recommended_log_class_weights", np.log(inverse))):
        assert list(weights[kind].values()) == pytest.approx((3 * raw / raw.sum()).tolist())
        assert sum(weights[kind].values()) == pytest.approx(3)
    apart = np.log(inverse) * [1, 1, 1.2]
    assert list(weights["separation_aware_weights"].values()) == pytest.approx((3 * apart / apart.sum()).tolist())
    assert list(weights["log_k_class_weights"].values()) == pytest.approx([math.log(6), math.log(12), math.log(12)])


def test_a_class_without_pixels_has_no_weight() -> None:
    for weights in class_weights({"background": 0.4, "target": 0.6, "non_target": 0.0}).values():
        assert weights["non_target"] is None and weights["target"] > 0
    alone = class_weights({"background": 0.0, "target": 1.0, "non_target": 0.0})
    assert alone["recommended_log_class_weights"]["target"] == 1


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    square = [10.0, 10.0, 40.0, 10.0, 40.0, 40.0, 10.0, 40.0]
    hole = [20.0, 20.0, 30.0, 20.0, 30.0, 30.0, 20.0, 30.0]
    content = {
        "images": [{"id": 1, "file_name": "1.png", "height": 60, "width": 60}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 30], "iscrowd": 0}],
    }
    content["annotations"][0]["segmentation"] = [square, hole]
    (tmp_path / "x.json").write_text(json.dumps(content))
    found = measure(tmp_path / "x.json", speak=False)
    assert found["pixel_counts"] == {"background": 36 * 36 - 900, "target": 900, "non_target": 0}
    said = "\n".join(summary(found))
    assert "1 instances have a polygon inside another one" in said
    assert "no pixel of: non_target" in said and "none" in said
    assert found["overlap_stats"]["avg_iou"] == 0


@pytest.mark.parametrize(
    ("change", "category", "words"),
    [
        ({"iscrowd": 1}, 1, "no instance of category 1 but"),
        ({}, "dog", "no instance of category 'dog'; choose"),
        ({}, 3, "no category 3; it has: 1 person, 2 dog"),
        ({"segmentation": []}, 1, r"annotation \d+: it has a box and no mask"),
        ({"segmentation": [[1, 2, 3, 4]]}, 1, "annotation 1: a polygon must be"),
    ],
)
def test_what_cannot_be_counted(tmp_path: Path, change: dict[str, Any], category: str | int, words: str) -> None:
    path = scene(tmp_path)
    content = json.loads(path.read_text())
    content["annotations"] = [one | change for one in content["annotations"]]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=words) as caught:
        measure(path, category, speak=False)
    assert "\n" not in str(caught.value)
