"""What the pages and pictures of ``roimask`` show. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kaname.codecs.mask_regions import Choice
from kaname.codecs.roi_mask import inside
from kaname.data.formats.files import make_folder, write_json
from kaname.geometry.affine import Affine
from kaname.geometry.boxes import clip, pad
from kaname.geometry.image import read_image, write_image
from kaname.inference.model import Model
from kaname.inference.request import Arrays, Request
from kaname.pipeline.labelled import Result
from kaname.recipes.roimask.analyze import FILE, class_weights_of
from kaname.recipes.roimask.config import AnswerSettings, RoimaskConfig
from kaname.recipes.roimask.decode import choice_of
from kaname.recipes.roimask.evaluate import CLASSES, Roi
from kaname.recipes.roimask.labels import Photo
from kaname.reporting.extremes import Shot, worst_and_best, write_extremes
from kaname.reporting.masks import mask_overlay
from kaname.reporting.page import Section, Table
from kaname.reporting.report import Headline
from kaname.reporting.validation_picture import DOCUMENTED, Column, draw_validation, pick_images
from kaname.types import Answer, Image, Masks, Prediction

SHOWN = 6  # pictures of the worst, and as many of the best
DEBUG_SAMPLES = 16
AROUND = 0.25  # of a box's sides, shown around it
TRUE, PREDICTED, OTHERS = (0, 214, 90), (240, 30, 30), (60, 120, 255)
HEADLINE = (
    Headline("mIoU (classes 1, 2)", "all", "miou_classes_1_2"),
    Headline("IoU of the target", "all", "iou_target_mean"),
    Headline("Leak", "all", "leak"),
    Headline("Mask AP", "coco", "ap"),
)


def page(result: Result, photos: Sequence[Photo], folder: Path, model: Model | None) -> dict[str, Any]:
    """The recipe's fields of the page of a scored set; best and worst boxes go to ``folder/best`` and ``/worst``."""
    rois: Sequence[Roi] = result.details
    settings = result.settings

    def shot(roi: Roi) -> Shot:
        return Shot(roi.name.replace("/", "_"), roi.name, caption(roi), partial(closeup, roi))

    chosen = worst_and_best(ranked(rois), SHOWN)
    shown = write_extremes(folder, {kind: [shot(roi) for roi in members] for kind, members in chosen.items()})
    sections: list[Section] = []
    if "confusion.json" in result.files:  # another program's masks have no grid to count on
        sections.append(_confusion(result.files["confusion.json"]))
    if "noise.json" in result.files:
        sections.append(_noise(result.files["noise.json"]))
    return {
        "subtitle": f"{settings['rois']} boxes in {settings['images']} images",
        "notes": [*notes(settings, model), *shown.unreadable],
        "metrics_note": "On the grid of each box: miou_classes_1_2 is the mean IoU of target and non-target over all "
        "boxes together, iou_target_mean the mean over boxes of the target's IoU, leak the share of the others' pixels "
        "that was called target. At the image's resolution: boundary_iou, iou_image_mean and COCO's mask AP with true "
        "boxes. crowded: boxes that hold pixels of others. 95 % bootstrap intervals over images.",
        "headline": HEADLINE,
        "worst": shown.pictures["worst"],
        "best": shown.pictures["best"],
        "pictures_note": "Left what is annotated (green the target, blue others), right what was predicted (red).",
        "sections": sections,
        "data": {"folder": settings["data"], "boxes": settings["rois"], "hash": settings["data_hash"]},
        "missing": {"pictures": "no image could be read"} if shown.unreadable and not shown.pictures["worst"] else {},
    }


def notes(settings: Mapping[str, Any], model: Model | None) -> list[str]:
    """What a reader must know before believing the figures."""
    lines: list[str] = []
    if settings["rois_without_prediction"]:
        lines.append(f"{settings['rois_without_prediction']} boxes have no predicted mask and count as missed.")
    if settings["images"] < 5:
        lines.append(f"{settings['images']} images are too few for intervals.")
    if settings["classes"] < CLASSES:
        lines.append("The model knows two classes: others are background, and miou_classes_1_2 is not defined.")
    if model is not None:
        source = model.card["extractor"]
        lines.append(
            f"Features of {Path(source.get('path', source['kind'])).name}, {source.get('tensor', '')}".strip(", ")
        )
    return lines


def _confusion(table: Mapping[str, Mapping[str, int]]) -> Section:
    rows = [[name, *(f"{count:,}" for count in row.values())] for name, row in table.items()]
    return Table(["truth", *table], rows, heading="Pixels of each true class by what they were called")


def _noise(curve: Mapping[str, Any]) -> Section:
    entries = {share: found["iou_image_mean"] for share, found in curve.items()}

    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    rows = [
        [f"{float(share):.0%}", cell(one["value"]), cell(one["low"]), cell(one["high"])]
        for share, one in entries.items()
    ]
    return Table(["sides moved by up to", "IoU of masks", "low", "high"], rows, heading="Boxes that are not exact")


def ranked(rois: Sequence[Roi]) -> list[Roi]:
    """The worst first; one without a prediction is the worst."""
    return sorted(rois, key=lambda roi: -1.0 if roi.entry is None else (roi.target_iou or 0.0))


def caption(roi: Roi) -> str:
    """A box's name and its IoU."""
    value = roi.target_iou
    return f"{roi.name}: {'no mask' if roi.entry is None else f'IoU {0.0 if value is None else value:.2f}'}"


def closeup(roi: Roi) -> Image:
    """Truth and prediction of a box beside each other, with what is around it."""
    photo = roi.photo
    image, shapes = read_image(photo.image), photo.shapes()
    masks = [inside(shape, Affine.identity(), photo.size) for shape in shapes]
    order = [row for row in range(len(masks)) if row != roi.row] + [roi.row]
    colours = [OTHERS] * (len(masks) - 1) + [TRUE]
    true = mask_overlay(image, [masks[row] for row in order], colours)
    ours = image if roi.entry is None else mask_overlay(image, [roi.entry.mask], [PREDICTED])
    x1, y1, x2, y2 = np.rint(clip(pad(photo.boxes[roi.row], AROUND), photo.size)).astype(int)
    window = np.s_[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    return np.ascontiguousarray(np.concatenate([true[window], ours[window]], axis=1))


def truth(photo: Photo, number: int, about: Mapping[str, Any]) -> Masks:
    """The annotated masks of an image, on the pixels of their boxes."""
    grid = (112, 112)
    regions = clip(photo.boxes, photo.size)
    classes = photo.classes(regions, range(len(regions)), grid)
    cells = classes[:, None] == np.arange(CLASSES)[:, None, None]
    return Masks(cells.astype(np.float32), regions, ("background", "target", "non_target"), photo.size)


def layers(row: Prediction) -> Answer:
    """What a row of a file of predictions says."""
    return row.answer


def draw_outputs(
    photo: Photo,
    outputs: Arrays,
    request: Request,
    answer: Masks,
    settings: AnswerSettings,
    card: Mapping[str, Any],
    folder: Path,
    name: str,
) -> None:
    """The masks of an image, in ``folder/masks``."""
    make_folder(folder / "masks")
    drawn = mask_overlay(request.frames[0].image, answer, choice=choice_of(settings))
    write_image(folder / "masks" / f"{name}.jpg", drawn)


def debug(samples: Any, folder: Path) -> None:
    """The classes of some samples, as pictures: what the network learns from."""
    make_folder(folder)
    colours = np.array([[230, 230, 230], TRUE, OTHERS], np.uint8)
    count = min(DEBUG_SAMPLES, len(samples))
    for index in range(count):
        classes = samples.sample(index, 0)["classes"]
        picture = np.where((classes < CLASSES)[..., None], colours[np.minimum(classes, CLASSES - 1)], 0)
        write_image(folder / f"sample_{index:03d}.png", np.ascontiguousarray(picture.astype(np.uint8)))
    print(f"classes of {count} samples in {folder}")


# ---- the picture of an epoch


def picture_name(card: Mapping[str, Any]) -> str:
    """What the picture of a file's weights is called."""
    epoch = card.get("trained", {}).get("epoch")
    return f"validation_all_images{'' if epoch is None else f'_epoch_{epoch:04d}'}.png"


def draw_epoch(config: RoimaskConfig, photos: Sequence[Photo], epoch: int, folder: Path) -> None:
    """The picture of an epoch's weights, drawn by the file that was just written; once also the statistics."""
    from kaname.pipeline.model import open_model
    from kaname.recipes.roimask import RECIPE

    _, _, statistics = class_weights_of(config)
    if statistics is not None and not (folder / FILE).is_file():
        write_json(folder / FILE, statistics)
    weights = _written(folder, epoch)
    model = open_model(RECIPE, weights, runtime=config.train.device)
    path = folder / f"validation_all_images_epoch_{epoch:04d}.png"
    draw_photos(model, photos, config.data.picture_images, path, choice_of(config.answers))


def _written(folder: Path, epoch: int) -> Path:
    """The file of an epoch's weights: of several, an earlier stage's among them, the one that was just written."""
    return max(folder.glob(f"checkpoints/checkpoint_epoch_{epoch:04d}_*.pth"), key=lambda path: path.stat().st_mtime_ns)


def draw_photos(model: Model, photos: Sequence[Photo], wanted: Sequence[str], path: Path, choice: Choice) -> list[str]:
    """The picture of some images of a set, true masks above and predicted ones below; says what was replaced."""
    by_name = {photo.source: photo for photo in photos}
    persons = {name: len(photo.boxes) for name, photo in by_name.items()}
    picks = pick_images(persons, dict.fromkeys(wanted) if wanted else DOCUMENTED)
    columns: list[Column] = []
    for pick in picks:
        if pick.name is None:
            columns.append(Column(pick.wanted, note=pick.note))
            continue
        photo = by_name[pick.name]
        image = read_image(photo.image)
        true = [inside(shape, Affine.identity(), photo.size) for shape in photo.shapes()]
        found = model.predict(image, photo.boxes)
        assert isinstance(found, Masks)
        columns.append(Column(photo.source, image, photo.boxes, true, found, pick.note))
    draw_validation(columns, path, choice)
    return [f"{pick.name or pick.wanted}: {pick.note}" for pick in picks if pick.note]
