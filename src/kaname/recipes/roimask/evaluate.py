"""Figures of ``roimask`` from files of predictions and annotations. No torch, so it reruns in seconds.

On the grid of each box: ``miou_classes_1_2`` (IoU of target and of non-target over all boxes together, their mean),
``iou_target_mean`` (mean over boxes of the target's IoU), the shares of boxes whose target IoU is over 0.5 and 0.7, and
``leak``, the share of the others' pixels that was called target. At the image's resolution: ``boundary_iou``,
``iou_image_mean`` and COCO's mask AP. What the figures are is in `kaname.metrics.masks` and `kaname.metrics.coco`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.roi_mask import NOWHERE, Region, Shape, cut_out, in_any
from kaname.data.formats import coco_masks, rle
from kaname.data.formats import masks as files
from kaname.data.formats.masks import Result as Entry
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.assignment import assigned
from kaname.geometry.boxes import iou
from kaname.metrics import masks as metrics
from kaname.metrics.coco import FIGURES as COCO_FIGURES
from kaname.metrics.coco import mask_ap
from kaname.metrics.intervals import summary
from kaname.pipeline.answers import made
from kaname.pipeline.labelled import Result
from kaname.pipeline.matching import by_name
from kaname.recipes.roimask.config import AnswerSettings
from kaname.recipes.roimask.labels import IGNORE, NAMING, Photo, classes_in, labelled
from kaname.recipes.roimask.naming import by_image, of_category, with_bare
from kaname.reporting.compare import Scored, check_options
from kaname.reporting.results import figure_cell
from kaname.types import FloatArray, Size

CLASSES = 3
GRID_FIGURES = ("miou_classes_1_2", "iou_target_mean", "share_over_0.5", "share_over_0.7", "leak")
IMAGE_FIGURES = ("boundary_iou", "iou_image_mean")
FIGURES = GRID_FIGURES + IMAGE_FIGURES
SAME_BOX = 0.5  # IoU of a prediction's box with the annotated one, at least
NO_CLASS = "the model has no class of other persons"
NO_GRID = "the predictions have no grid of three classes in each box"


@dataclass(frozen=True)
class Truth:
    """What is annotated in an image.

    Attributes:
        shapes, masks: of its instances: as they were annotated, and filled.
        crowds: those whose pixels do not count.
        groups: all crowds, filled.
    """

    shapes: Sequence[Shape]
    masks: Sequence[Region]
    crowds: Sequence[Shape]
    groups: Sequence[Region]

    @classmethod
    def of(cls, photo: Photo) -> Truth:
        """That of an image."""
        shapes, groups = photo.shapes(rle.cut_out), coco_masks.crowds(photo.sample, rle.cut_out)
        filled = cut_out([*shapes, *groups], photo.size)
        ignored = groups if photo.crowd == "ignore" else []
        return cls(shapes, filled[: len(shapes)], ignored, filled[len(shapes) :])


@dataclass(frozen=True)
class Roi:
    """A true instance beside its prediction.

    Attributes:
        photo: the annotated image.
        row: of the instance in it.
        entry: its prediction; None where there is none.
        table: ``(3, 3)`` pixels of each true class (rows) that were called each class, on the grid of its box; None
            where the prediction has none.
        crowded: whether other instances have pixels in its box.
        boundary, image_iou: of the masks at the image's resolution.
    """

    photo: Photo
    row: int
    entry: Entry | None
    table: NDArray[np.int64] | None
    crowded: bool
    boundary: float | None
    image_iou: float | None

    @property
    def name(self) -> str:
        """The image, and which of its instances, from 0."""
        return f"{self.photo.source}#{self.row}"

    @property
    def image(self) -> str:
        """Which image, also of several of one name."""
        return f"{self.photo.source} {self.photo.image_id}"

    @property
    def target_iou(self) -> float | None:
        """On the grid of its box, else at the image's resolution."""
        if self.table is None:
            return self.image_iou
        value = float(metrics.target_iou(self.table[None])[0])
        return None if np.isnan(value) else value


def score(path: Path, photos: Sequence[Photo], settings: AnswerSettings, how: Mapping[str, Any]) -> Result:
    """Figures of a whole set from a ``masks.json`` or another program's COCO results.

    Args:
        how: ``in_detections``: the AP with a detector's boxes, ``noise_curve``: by noise of the boxes, where a model
            was asked for them.

    Raises:
        InputError: results of images that the set does not have, or of other sizes.
    """
    if not photos:
        reason = "no image of the annotations shows an instance: nothing could be scored"
        raise InputError(reason, path=path, remedy="check --annotations and --category")
    every = with_bare(photos)
    entries = by_image(of_category(path, photos), every, path)
    two = len(made(path).get("classes") or [0] * CLASSES) < CLASSES
    rois, truth = _truth_and_rois(every, entries)
    crowded = [roi for roi in rois if roi.crowded]
    groups: dict[str, Any] = {"all": figures(rois, two=two), "crowded": figures(crowded, two=two)}
    groups["coco"] = average_precision(photos, entries, truth)
    if how.get("in_detections") is not None:
        groups["coco_detections"] = how["in_detections"]
    missing = sum(roi.entry is None for roi in rois)
    facts = {
        "intervals": "95 % bootstrap over images",
        "images": len(photos),
        "rois": len(rois),
        "rois_crowded": len(crowded),
        "rois_without_prediction": missing,
        "instances": sum(len(photo.boxes) for photo in photos),
        "classes": 2 if two else CLASSES,
    }
    further = {"confusion.json": confusion_of(rois)} if any(roi.table is not None for roi in rois) else {}
    if how.get("noise_curve") is not None:
        further["noise.json"] = how["noise_curve"]
    if missing:
        warnings.warn(f"{path}: no mask for {missing} of {len(rois)} instances; they count as missed", stacklevel=2)
    title = f"{len(rois)} boxes in {len(photos)} images, 95 % intervals by image"
    return Result(groups, facts, _table(groups), title, rois, further)


def crowd_of(photo: Photo) -> NDArray[np.bool_]:
    """The pixels of an image's crowds, where they do not count."""
    return in_any(photo.crowds(rle.cut_out), Affine.identity(), photo.size)


def compared(photo: Photo, entries: Sequence[Entry], truth: Truth | None = None) -> list[Roi]:
    """The targets of an image, each beside the prediction for its box."""
    truth = Truth.of(photo) if truth is None else truth
    partners = partners_of(photo.boxes, entries)
    rows: list[int] = photo.candidates.tolist()
    ours = [entries[partners[row]] if row in partners else None for row in rows]
    called = iter(rle.cut_out_each([entry.segmentation for entry in ours if entry is not None]))
    found: list[Roi] = []
    for row, entry, (table, crowded) in zip(rows, ours, _on_grids(photo, truth, rows, ours), strict=True):
        mask = NOWHERE if entry is None else next(called)
        boundary, overlap = _on_image(truth, truth.masks[row], mask, photo.size)
        found.append(Roi(photo, row, entry, table, crowded, boundary, overlap))
    return found


def _on_grids(
    photo: Photo, truth: Truth, rows: Sequence[int], ours: Sequence[Entry | None]
) -> list[tuple[NDArray[np.int64] | None, bool]]:
    """For each target the ``table`` and ``crowded`` of its `Roi`; those with grids of one size at once."""
    boxes, nothing = photo.boxes, np.zeros(files.GRID, np.uint8)
    grids = [None if entry is None else entry.grid for entry in ours]
    filled = [nothing if grid is None else grid for grid in grids]
    found: dict[int, tuple[NDArray[np.int64] | None, bool]] = {}
    for height, width in {grid.shape for grid in filled}:
        chosen = [number for number, grid in enumerate(filled) if grid.shape == (height, width)]
        own = [(rows[number], ours[number]) for number in chosen]
        places = np.stack([boxes[row] if entry is None else entry.region for row, entry in own])
        true = classes_in(truth.shapes, truth.crowds, places, [row for row, _ in own], (height, width))
        tables = metrics.confusions(np.stack([filled[number] for number in chosen]), true, CLASSES, IGNORE)
        crowded = (true == metrics.NON_TARGET).any(axis=(1, 2)).tolist()
        for number, (_, entry), table, one in zip(chosen, own, tables, crowded, strict=True):
            found[number] = (table if entry is None or grids[number] is not None else None, one)
    return [found[number] for number in range(len(rows))]


def _on_image(truth: Truth, true: Region, ours: Region, size: Size) -> tuple[float | None, float | None]:
    """The ``boundary`` and ``image_iou`` of a `Roi`; the pixels of crowds count where the target is alone."""
    parts = [one for one in (true, ours) if one.inside.size]
    if not parts:
        return None, None
    rows = slice(min(one.rows.start for one in parts), max(one.rows.stop for one in parts))
    columns = slice(min(one.columns.start for one in parts), max(one.columns.stop for one in parts))
    target, called = true.within(rows, columns), ours.within(rows, columns)
    for crowd in truth.groups if truth.crowds else ():
        called &= ~crowd.within(rows, columns) | target
    either = np.count_nonzero(called | target)
    overlap = np.count_nonzero(called & target) / either if either else None
    return metrics.boundary_iou(called, target, size=size), overlap


def partners_of(boxes: FloatArray, entries: Sequence[Entry]) -> dict[int, int]:
    """For rows of true boxes the prediction of the nearest box, one to one, so that the sum of their IoU is largest."""
    if not entries or not len(boxes):
        return {}
    overlap = iou(boxes, np.stack([entry.box for entry in entries]))
    same = np.arange(len(boxes))[:, None] == np.array([entry.more.get("instance", -1) for entry in entries])
    rows, columns = assigned(overlap + 1e-6 * same)  # of two equal boxes the one of the same number
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: column for row, column in pairs if overlap[row, column] >= SAME_BOX}


def figures(rois: Sequence[Roi], *, two: bool) -> dict[str, Any]:
    """Each of `FIGURES`, with intervals by image."""
    images = [roi.image for roi in rois]
    tables = np.array([np.zeros((CLASSES, CLASSES), np.int64) if roi.table is None else roi.table for roi in rois])
    whole = all(roi.table is not None for roi in rois)
    reason = "no box here" if not rois else NO_GRID
    if rois and whole:
        flat, overlaps = tables.reshape(-1, CLASSES**2), metrics.target_iou(tables)
        found = {
            "miou_classes_1_2": summary(flat, images, statistic=metrics.MIOU),
            "iou_target_mean": summary(overlaps, images),
            "share_over_0.5": summary(metrics.over(overlaps, 0.5), images),
            "share_over_0.7": summary(metrics.over(overlaps, 0.7), images),
            "leak": summary(flat, images, statistic=metrics.LEAK, reason="no pixel of others in these boxes"),
        }
        if two:
            found["miou_classes_1_2"] = nothing(NO_CLASS)
    else:
        found = {name: nothing(reason) for name in GRID_FIGURES}
    found["boundary_iou"] = summary([roi.boundary for roi in rois], images, reason="no box here")
    found["iou_image_mean"] = summary([roi.image_iou for roi in rois], images, reason="no box here")
    return found


def nothing(reason: str) -> dict[str, Any]:
    """A figure that there is not."""
    return {"value": None, "low": None, "high": None, "n": 0, "reason": reason}


def average_precision(
    photos: Sequence[Photo], entries: Mapping[int | str, Sequence[Entry]], truth: Mapping[str, Any]
) -> dict[str, Any]:
    """COCO's figures of the results by image, crowds ignored; without faster-coco-eval null with the reason."""
    results = [
        {"image_id": image, "category_id": 1, "score": entry.score, "segmentation": entry.segmentation}
        for image, some in entries.items()
        for entry in some
    ]
    try:
        values = mask_ap(truth, results)
    except InputError as error:
        warnings.warn(str(error), stacklevel=2)
        return {name: nothing(str(error)) for name in COCO_FIGURES}
    count = sum(len(photo.boxes) for photo in photos)
    reason = "no annotation of this size"
    return {
        name: nothing(reason) if value is None else {"value": value, "low": None, "high": None, "n": count}
        for name, value in values.items()
    }


def truth_of(photos: Sequence[Photo]) -> dict[str, Any]:
    """The content of a COCO file of one category, crowds included, with the masks as they were annotated (polygons as
    arrays)."""
    return _truth(photos, [one for photo in photos for one in _annotations(photo, Truth.of(photo))])


def _truth(photos: Sequence[Photo], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    images = [{"id": photo.image_id, "file_name": photo.source, "height": photo.size[0], "width": photo.size[1]}
              for photo in photos]  # fmt: skip
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def _truth_and_rois(
    photos: Sequence[Photo], entries: Mapping[int | str, Sequence[Entry]]
) -> tuple[list[Roi], dict[str, Any]]:
    """All targets beside their predictions, and `truth_of` the images: the masks of an image are made once for both."""
    rois: list[Roi] = []
    annotations: list[dict[str, Any]] = []
    for photo in photos:
        truth = Truth.of(photo)
        rois += compared(photo, entries.get(photo.image_id, []), truth)
        annotations += _annotations(photo, truth)
    return rois, _truth(photos, annotations)


def _annotations(photo: Photo, truth: Truth) -> Iterator[dict[str, Any]]:
    """An image's part of a COCO file."""
    sample = photo.sample
    encoded = sample.meta.get("rle", {})
    own = [(sample.polygons[row] or encoded[sample.ids[row]], 0, sample.ids[row]) for row in photo.rows.tolist()]
    groups = zip(sample.meta.get("crowds", ()), sample.meta.get("crowd_ids", ()), strict=True)
    crowds = [(one, 1, number) for one, number in groups if one]
    areas = sample.meta.get("areas", {})  # COCO's program goes by these, whatever the mask's pixels are
    for mask, (segmentation, crowd, number) in zip([*truth.masks, *truth.groups], [*own, *crowds], strict=True):
        area = areas.get(number, np.count_nonzero(mask.inside))
        yield {
            "image_id": photo.image_id, "category_id": 1, "iscrowd": crowd, "area": area,
            "bbox": mask.extent, "segmentation": segmentation,
        }  # fmt: skip


def confusion_of(rois: Sequence[Roi]) -> dict[str, Any]:
    """Pixels of each true class (first key) that were called each class."""
    names = ("background", "target", "non_target")
    tables = [roi.table for roi in rois if roi.table is not None]
    total = np.sum(tables, axis=0) if tables else np.zeros((CLASSES, CLASSES), np.int64)
    return {name: dict(zip(names, map(int, row), strict=True)) for name, row in zip(names, total, strict=True)}


def _table(groups: Mapping[str, Any]) -> list[list[str]]:
    rows = [
        [name, *(figure_cell(found[one]) if one in found else "" for one in FIGURES)]
        for name, found in groups.items()
        if not name.startswith("coco")
    ]
    ap = [[name, f"AP {figure_cell(found['ap'])}"] for name, found in groups.items() if name.startswith("coco")]
    return [["group", *FIGURES], *rows, *[row + [""] * (len(FIGURES) - 1) for row in ap]]


def telling(sets: Mapping[str, Sequence[Photo]]) -> dict[str, Any]:
    """By set, what tells it from another of its name: how many instances it holds."""
    return {name: {"instances": sum(len(photo.boxes) for photo in members)} for name, members in sets.items()}


def compare(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """A ``masks.json`` scored box by box, for ``kaname compare``.

    Args:
        data: folder of the documented files, or of images whose ``annotations`` the options name alone.
        split: the one set of the data to use; default: all of them.
        cluster: ``none`` or ``image`` (default): boxes of one image belong together.
        options: ``annotations``, or keys of the section ``data`` that say which annotations are meant.

    Raises:
        InputError: an unusable file, unknown options.
    """
    check_options(options, NAMING, cluster, ("none", "image"))
    stored: dict[str, Any] = {"root": data, **options}
    if set(options) == {"annotations"}:
        stored = {"root": data, "val_images": data, "val_annotations": options["annotations"]}
    photos = by_name(labelled(None, {"data": stored}), split or ("val" if "val_annotations" in stored else None))
    every = with_bare(list(photos.values()))
    found = by_image(of_category(predictions, every), every, predictions)
    chosen = [photo for photo in photos.values() if found.get(photo.image_id)]
    rois = [roi for photo in chosen for roi in compared(photo, found.get(photo.image_id, []))]
    values = {
        roi.name: {"all": {"iou_target": roi.target_iou, "iou_image": roi.image_iou, "boundary_iou": roi.boundary}}
        for roi in rois
    }
    return Scored(
        values=values,
        settings={"recipe": "roimask", "data": data.as_posix()},
        clusters={} if cluster == "none" else {roi.name: roi.photo.source for roi in rois},
        cluster=cluster or "image",
        sample="box",
    )
