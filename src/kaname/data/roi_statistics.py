"""How many pixels of the boxes are background, target and other persons, and the class weights for that.

Every instance that is no crowd is a target once. Its box grows by a tenth a side, is cut to whole pixels as Python's
``int`` cuts, and clipped to the image; the pixels in it are counted at the image's resolution, drawn as pycocotools
draws them (`kaname.codecs.runs`). Where instances overlap, the target wins.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from kaname.codecs.runs import Runs
from kaname.data.formats import coco, rle
from kaname.data.formats.coco_kinds import NO_CROWD
from kaname.data.formats.coco_masks import inner_polygons
from kaname.errors import InputError
from kaname.progress import Bar

CLASSES = ("background", "target", "non_target")
PADDING = 0.1  # of the box's side, on each side
SMALLEST = 1e-3  # added to a ratio before it divides
SEPARATION = 1.2  # how much more the other persons weigh
CHUNK = 50  # images a worker takes at a time
FEW = 200  # images for which starting workers costs more than it saves

Statistics = dict[str, Any]
Drawn = list[np.ndarray] | np.ndarray
Images = Sequence[tuple[dict[str, Any], list[dict[str, Any]]]]


def measure(
    path: Path,
    category: str | int = 1,
    *,
    images: Path | None = None,
    workers: int | None = None,
    speak: bool = True,
) -> Statistics:
    """The statistics of a COCO file, as ``data_analyze.json`` holds them.

    Args:
        path: the file; its images are not needed.
        category: name or number; a text of digits is a number.
        images: their folder, where the file may lack their sizes.
        workers: processes; by default one for each core.
        speak: whether to show how far it is.

    Raises:
        InputError: what `kaname.data.formats.coco.entries` raises, an instance without a mask, or no instance at all.
    """
    number = int(category) if isinstance(category, str) and category.isdecimal() else category
    every = coco.entries(path, number, images)
    used = [pair for pair in every if any(not one.get("iscrowd") for one in pair[1])]
    if not used:
        crowds = sum(len(instances) for _, instances in every)
        reason = f"no instance of category {number!r}" + (f" but {crowds} crowds" if crowds else "")
        remedy = NO_CROWD if crowds else "choose another file, or another --category"
        raise InputError(reason, path=path, remedy=remedy)
    counts = Counts()
    with Bar("analyze", len(used), speak=speak) as bar:
        for images_done, part in _counted(path, used, workers or os.cpu_count() or 1):
            counts.add(part)
            bar.advance(images_done)
    counts.crowds = sum(bool(one.get("iscrowd")) for _, instances in every for one in instances)
    counts.without = len(every) - len(used)
    return _content(counts)


def class_weights(ratios: Mapping[str, float]) -> Statistics:
    """The four kinds of class weights for the shares of the classes among the pixels.

    A class without pixels has no weight (None); those of the others are scaled to a mean of 1: with three classes their
    sum is 3, as in the original.

    >>> weights = class_weights({"background": 0.5, "target": 0.5, "non_target": 0.0})
    >>> weights["recommended_class_weights"]
    {'background': 1.0, 'target': 1.0, 'non_target': None}
    """
    present = {name: ratio for name, ratio in ratios.items() if ratio > 0}
    inverse = {name: 1 / (ratio + SMALLEST) for name, ratio in present.items()}
    log = {name: max(0.0, math.log(value)) for name, value in inverse.items()}  # a share of almost 1: below 0
    scaled = _scaled(log)
    apart = {name: weight * (SEPARATION if name == "non_target" else 1) for name, weight in scaled.items()}
    kinds = {
        "recommended_class_weights": _scaled(inverse),
        "recommended_log_class_weights": scaled,
        "separation_aware_weights": _scaled(apart),
        "log_k_class_weights": {name: math.log(len(CLASSES) / ratio) for name, ratio in present.items()},
    }
    return {kind: {name: weights.get(name) for name in ratios} for kind, weights in kinds.items()}


def summary(statistics: Statistics) -> list[str]:
    """What a person wants to know first."""
    left = statistics["left_out"]
    ratios = " / ".join(f"{statistics['pixel_ratios'][name]:.4f}" for name in CLASSES)
    logs = [statistics["recommended_log_class_weights"][name] for name in CLASSES]
    weights = " / ".join("none" if weight is None else f"{weight:.4f}" for weight in logs)
    lines = [
        f"{statistics['total_instances']} instances in {statistics['total_images']} images",
        f"pixels of background / target / non-target: {ratios}",
        f"log weights: {weights}",
    ]
    if left["crowd_annotations"]:
        lines.append(f"left out: {left['crowd_annotations']} crowds")
    if ids := left["boxes_without_area"]:
        some = ", ".join(map(str, ids[:10])) + (", ..." if len(ids) > 10 else "")
        lines.append(f"no target: {len(ids)} boxes without area in their image (annotation {some})")
    if absent := left["absent_classes"]:
        lines.append(f"no pixel of: {', '.join(absent)}; no weight for it")
    if filled := left["filled_holes"]:
        lines.append(f"{filled} instances have a polygon inside another one: COCO fills it, and so it counts as filled")
    return lines


@dataclass
class Counts:
    """Sums over images.

    Attributes:
        by_number: how many images have a number of instances.
        pixels: ``(3,)`` of each class, over all boxes.
        boxes, area_ratio, in_boxes, shared_boxes: of the boxes with an area: their number, the sum of their shares of
            the image, of the instances with a pixel in them, and how many hold another instance's pixel.
        overlapping, pairs, iou, max_iou: images with pairs that share pixels, these pairs, the sum and the maximum of
            their IoU.
        flat: ids of the instances whose box has no area.
        filled: instances with a polygon inside another one.
        crowds, without: crowd annotations, and images without an instance.
    """

    by_number: Counter[int] = field(default_factory=Counter)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(len(CLASSES), np.int64))
    boxes: int = 0
    area_ratio: float = 0.0
    in_boxes: int = 0
    shared_boxes: int = 0
    overlapping: int = 0
    pairs: int = 0
    iou: float = 0.0
    max_iou: float = 0.0
    flat: list[int | str] = field(default_factory=list)
    filled: int = 0
    crowds: int = 0
    without: int = 0

    def add(self, other: Counts) -> None:
        """Take in the sums of further images."""
        largest = max(self.max_iou, other.max_iou)
        for entry in fields(self):
            setattr(self, entry.name, getattr(self, entry.name) + getattr(other, entry.name))
        self.max_iou = largest


def _counted(path: Path, images: Images, workers: int) -> Iterator[tuple[int, Counts]]:
    """How many images, and their counts, in the file's order, so that the sums do not depend on the workers."""
    tasks = [(path, images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    if workers == 1 or len(images) <= FEW:
        yield from map(_count_chunk, tasks)
        return
    with multiprocessing.Pool(min(workers, len(tasks))) as pool:
        yield from pool.imap(_count_chunk, tasks)


def _count_chunk(task: tuple[Path, Images]) -> tuple[int, Counts]:
    path, images = task
    counts = Counts()
    members = [[one for one in instances if not one.get("iscrowd")] for _, instances in images]
    shapes = [[_shape(path, one) for one in instances] for instances in members]
    drawn = Runs.of_each(shapes, [(entry["height"], entry["width"]) for entry, _ in images])
    for instances, masks, runs in zip(members, shapes, drawn, strict=True):
        _count(instances, masks, runs, counts)
    return len(images), counts


def _count(instances: Sequence[Mapping[str, Any]], shapes: Sequence[Drawn], runs: Runs, counts: Counts) -> None:
    """Count one image with its instances."""
    height, width = runs.size
    areas, pairs = runs.areas(), runs.shared()
    boxes = padded(np.array([one["bbox"] for one in instances], np.float64), height, width)
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    real = np.flatnonzero(sizes)
    pixels = runs.in_boxes(boxes[real])
    target = pixels[np.arange(len(real)), real]
    someone = runs.union.in_boxes(boxes[real])[:, 0] if pairs else pixels.sum(axis=1)
    others = (pixels > 0).sum(axis=1) - (target > 0)
    counts.by_number[len(instances)] += 1
    counts.pixels += [(sizes[real] - someone).sum(), target.sum(), (someone - target).sum()]
    counts.boxes += len(real)
    counts.area_ratio += float(sizes.sum()) / (height * width)
    counts.in_boxes += len(real) + int(others.sum())
    counts.shared_boxes += int((others > 0).sum())
    counts.overlapping += bool(pairs)
    counts.pairs += len(pairs)
    ious = [common / int(areas[one] + areas[other] - common) for one, other, common in pairs]
    counts.iou += sum(ious)
    counts.max_iou = max([counts.max_iou, *ious])
    counts.flat += [instances[row]["id"] for row in np.flatnonzero(sizes == 0).tolist()]
    counts.filled += sum(isinstance(shape, list) and inner_polygons(shape) > 0 for shape in shapes)


def padded(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """COCO's boxes ``(N, 4)``, x, y, width, height, as whole x1, y1, x2, y2 with the padding, clipped to the image."""
    corner, side = boxes[:, :2], boxes[:, 2:]
    low = np.trunc(corner - PADDING * side).astype(np.int64)
    high = np.trunc(corner + (1 + PADDING) * side).astype(np.int64)
    return np.concatenate([np.maximum(low, 0), np.minimum(high, [width, height])], axis=1)


def _shape(path: Path, instance: Mapping[str, Any]) -> Drawn:
    segmentation = instance.get("segmentation")
    if not segmentation:
        row, remedy = f"annotation {instance['id']}", "outline it, or remove the annotation"
        raise InputError("it has a box and no mask", path=path, row=row, remedy=remedy)
    if isinstance(segmentation, dict):
        return rle.counts(segmentation)
    return [np.array(polygon, np.float64).reshape(-1, 2) for polygon in segmentation]


def _content(counts: Counts) -> Statistics:
    """What the file holds."""
    images, instances = counts.by_number.total(), sum(number * of for number, of in counts.by_number.items())
    several = images - counts.by_number[1]
    total = int(counts.pixels.sum())
    pixels = {name: int(count) for name, count in zip(CLASSES, counts.pixels, strict=True)}
    ratios = {name: _per(count, total) for name, count in pixels.items()}
    return {
        "total_images": images,
        "total_instances": instances,
        "images_with_multiple_instances": several,
        "pixel_counts": pixels,
        "pixel_ratios": ratios,
        "instance_count_distribution": {str(number): counts.by_number[number] for number in sorted(counts.by_number)},
        "overlap_stats": {
            "images_with_overlaps": counts.overlapping,
            "total_overlapping_pairs": counts.pairs,
            "avg_iou": _per(counts.iou, counts.pairs),
            "max_iou": counts.max_iou,
        },
        "roi_stats": {
            "avg_roi_area_ratio": _per(counts.area_ratio, counts.boxes),
            "avg_instances_per_roi": _per(counts.in_boxes, counts.boxes),
            "roi_overlap_ratio": _per(counts.shared_boxes, counts.boxes),
        },
        "summary": {
            "avg_instances_per_image": instances / images,
            "percent_multi_instance_images": 100 * several / images,
            "percent_images_with_overlaps": 100 * counts.overlapping / images,
        },
        **class_weights(ratios),
        "left_out": {
            "crowd_annotations": counts.crowds,
            "images_without_instances": counts.without,
            "boxes_without_area": counts.flat,
            "absent_classes": [name for name, count in pixels.items() if not count],
            "filled_holes": counts.filled,
        },
    }


def _per(sum_: float, count: int) -> float:
    return sum_ / count if count else 0.0


def _scaled(weights: Mapping[str, float]) -> dict[str, float]:
    """With a mean of 1; all 1 where they are all 0."""
    mean = sum(weights.values()) / len(weights) if weights else 0.0
    return {name: weight / mean if mean else 1.0 for name, weight in weights.items()}
