"""COCO's mask AP against a slow version of its definition."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from kaname.data.formats import rle
from kaname.errors import InputError
from kaname.metrics.coco import mask_ap

SIZE = (64, 80)
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def disc(random: np.random.Generator) -> np.ndarray:
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    return np.hypot(y - random.uniform(10, 54), x - random.uniform(10, 70)) < random.uniform(4, 25)


def scene(seed: int, images: int = 6) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Discs as truth, shifted ones and strangers as results; no crowds."""
    random = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in range(images):
        for _ in range(random.integers(1, 5)):
            mask = disc(random)
            entry = {"id": len(annotations), "image_id": image, "category_id": 1, "iscrowd": 0}
            annotations.append(
                {**entry, "area": int(mask.sum()), "bbox": [0, 0, 1, 1], "segmentation": rle.encode(mask)}
            )
            shifted = np.roll(mask, random.integers(-4, 5, 2), (0, 1)) if random.random() < 0.9 else disc(random)
            score = float(random.random())
            found = {"image_id": image, "category_id": 1, "score": score, "bbox": [0, 0, 5, 5]}
            results.append({**found, "segmentation": rle.encode(shifted)})
    pictures = [{"id": image, "height": SIZE[0], "width": SIZE[1]} for image in range(images)]
    truth = {"images": pictures, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    return truth, results


def slow_ap(truth: dict[str, Any], results: list[dict[str, Any]], threshold: float) -> float:
    """Results by score take the best free true mask of their image; precision at 101 recalls, each the best beyond."""
    real = [(entry["image_id"], rle.decode(entry["segmentation"])) for entry in truth["annotations"]]
    taken: set[int] = set()
    hits: list[int] = []
    for entry in sorted(results, key=lambda one: -one["score"]):
        mask, best, chosen = rle.decode(entry["segmentation"]), threshold, None
        for number, (image, other) in enumerate(real):
            if image != entry["image_id"] or number in taken:
                continue
            iou = (mask & other).sum() / (mask | other).sum()
            if iou >= best:
                best, chosen = iou, number
        hits.append(chosen is not None)
        taken |= {chosen} if chosen is not None else set()
    right = np.cumsum(hits)
    recall, precision = right / len(real), right / np.arange(1, len(hits) + 1)
    points = [max(precision[recall >= wanted], default=0.0) for wanted in np.linspace(0, 1, 101)]
    return float(np.mean(points))


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_definition(seed: int) -> None:
    truth, results = scene(seed)
    figures = mask_ap(truth, results)
    expected = [slow_ap(truth, results, threshold) for threshold in THRESHOLDS]
    assert figures["ap"] == pytest.approx(np.mean(expected)) and figures["ap50"] == pytest.approx(expected[0])
    assert figures["ap75"] == pytest.approx(expected[5]) and 0 < expected[0] < 1


def test_perfect_results_no_results_and_strangers() -> None:
    truth, results = scene(3)
    perfect = [{**one, "score": 1.0} for one in truth["annotations"]]
    figures = mask_ap(truth, perfect)
    assert figures["ap"] == figures["ar100"] == 1 and figures["ap_large"] is None and figures["ap_small"] == 1
    assert truth == scene(3)[0]  # nothing is written into it
    assert mask_ap(truth, [])["ap"] == 0
    assert mask_ap({**truth, "annotations": []}, results)["ap"] is None
    with pytest.raises(InputError, match="'x', which the truth does not know"):
        mask_ap(truth, [{**perfect[0], "image_id": "x"}])


def test_names_as_ids_and_lists_of_runs() -> None:
    truth, results = scene(4)
    for entry in truth["images"]:
        entry["id"] = f"{entry['id']}.jpg"
    for entry in [*truth["annotations"], *results]:
        entry["image_id"] = f"{entry['image_id']}.jpg"
    for entry in results:
        runs = np.flatnonzero(np.diff(rle.decode(entry["segmentation"]).ravel(order="F"), prepend=False))
        counts = np.diff(runs, prepend=0, append=SIZE[0] * SIZE[1]).tolist()
        entry["segmentation"] = {"size": list(SIZE), "counts": counts}
    assert mask_ap(truth, results) == mask_ap(*scene(4))


@pytest.mark.parametrize("seed", range(4))
def test_equal_scores_come_in_the_order_of_ids(seed: int) -> None:
    """As in COCO's own program, whatever the order of the file."""
    known = pytest.importorskip("pycocotools.coco", reason="needs pycocotools")
    from pycocotools.cocoeval import COCOeval

    truth, results = scene(seed)
    names = np.random.default_rng(seed).permutation(100)
    for entry in truth["images"]:
        entry["id"] = int(names[entry["id"]])
    for entry in [*truth["annotations"], *results]:
        entry["image_id"] = int(names[entry["image_id"]])
    results = [{**entry, "score": round(entry["score"], 1)} for entry in results]
    for number, entry in enumerate(truth["annotations"], 1):
        entry["id"] = number
    reference = known.COCO()
    reference.dataset = truth
    reference.createIndex()
    judge = COCOeval(reference, reference.loadRes([{**one, "bbox": []} for one in results]), "segm")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    figures = mask_ap(truth, results)
    assert [-1 if one is None else one for one in figures.values()] == pytest.approx(judge.stats[:9].tolist())


def test_crowds_are_neither_found_nor_missed() -> None:
    truth, _ = scene(5, images=1)
    everywhere = {**truth["annotations"][0], "id": 99, "iscrowd": 1, "segmentation": rle.encode(np.ones(SIZE, bool))}
    truth["annotations"].append(everywhere)
    results = [{**one, "score": 0.5} for one in truth["annotations"] if not one["iscrowd"]]
    stray = np.zeros(SIZE, bool)
    stray[:3, :3] = True
    assert mask_ap(truth, [{**results[0], "score": 1.0, "segmentation": rle.encode(stray)}, *results])["ap"] == 1


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(InputError, match="faster-coco-eval") as caught:
        mask_ap(*scene(0))
    assert "faster-coco-eval>=" in str(caught.value.remedy)
