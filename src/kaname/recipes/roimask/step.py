"""One training step of ``roimask``: the terms of its loss, and while validating the counts of its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from kaname.losses import boundary, cells, contrast, segmentation
from kaname.losses.masked import Sums
from kaname.losses.rois import NON_TARGET, TARGET
from kaname.metrics.masks import ious, leak, miou_classes_1_2
from kaname.models.roi_masks import RoiMasks
from kaname.recipes.roimask import MASKS
from kaname.recipes.roimask.analyze import class_weights_of
from kaname.recipes.roimask.config import LossSettings, RoimaskConfig
from kaname.recipes.roimask.data import Rois
from kaname.recipes.roimask.features import training_source
from kaname.recipes.roimask.storing import keep
from kaname.training.task import Row, Step
from kaname.types import Batch, StepOutput, Term

EPOCH_FILE = "checkpoints/checkpoint_epoch_{:04d}_{}x{}_{:04d}.pth"
COUNTS = 3

Losses = dict[str, tuple[Callable[..., Sums], float, int]]  # by name: the loss, its weight, its first epoch


def step_of(config: RoimaskConfig) -> Step:
    """The sum over ROIs of each term, a mean within its ROI; terms that begin later weigh nothing until then."""
    terms, loss = losses_of(config.loss, class_weights_of(config)[0]), config.loss

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        network = cast(RoiMasks, getattr(model, "module", model))
        outputs = model(batch.inputs)
        classes, boxes = batch.targets["classes"].long(), batch.inputs.get("boxes")
        logits = outputs[MASKS].float()
        counted, weights = _cells(loss, classes, boxes)
        epoch = int(batch.targets["epoch"].max())
        rois: Tensor | None = None
        found: dict[str, Term] = {}
        for name, (function, factor, first) in terms.items():
            given = outputs["embedding"].float() if name == "contrast" else logits
            total, count = function(given, counted, weights)
            rois = count if rois is None else rois  # one weight for all: every loss counts the same ROIs
            begun = epoch < 0 or epoch + 1 >= first
            found[name] = Term(total, rois, factor if begun else 0.0)
        return StepOutput(found, {} if model.training else counts(network, logits, batch))

    return step


def losses_of(loss: LossSettings, class_weights: Sequence[float] | None) -> Losses:
    """The terms whose weight is not 0."""
    false, missed = loss.tversky
    persons = (TARGET, NON_TARGET) if loss.focal_classes == "persons" else None

    def entropy(*given: Any) -> Sums:
        return segmentation.focal(*given, gamma=loss.focal_gamma, alpha=class_weights, classes=persons)

    def overlap(number: int) -> Callable[..., Sums]:
        costs = {"false_positives": false, "false_negatives": missed}
        return lambda *given: segmentation.tversky(*given, classes=(number,), **costs)

    def border(*given: Any) -> Sums:
        return boundary.boundary(*given, method=loss.boundary, error=loss.boundary_error)

    apart = contrast.info_nce if loss.contrast == "info-nce" else contrast.triplet
    terms: Losses = {
        "ce": (entropy, loss.ce_weight, 1),
        "dice_target": (overlap(TARGET), loss.dice_target_weight, 1),
        "dice_non_target": (overlap(NON_TARGET), loss.dice_non_target_weight, loss.dice_non_target_from),
        "boundary": (border, loss.boundary_weight, loss.boundary_from),
        "contrast": (apart, loss.contrast_weight, 1),
    }
    return {name: term for name, term in terms.items() if term[1] > 0}


def _cells(loss: LossSettings, classes: Tensor, boxes: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The classes that count, and what each cell weighs; None: all alike."""
    weights: list[Tensor] = []
    if boxes is not None:
        size = (classes.shape[1], classes.shape[2])
        if loss.outside == "background":
            classes = cells.outside_is_background(classes, boxes)
        weights.append(cells.box_weights(boxes, size, inside=loss.inside_weight, outside=loss.outside_weight))
    if loss.touching_weight != 1:
        weights.append(cells.touching_weights(classes, weight=loss.touching_weight, reach=loss.touching_reach))
    if loss.border_ignore:
        classes = cells.ignore_borders(classes, reach=loss.border_ignore)
    return classes, torch.stack(weights).prod(dim=0) if weights else None


def counts(network: RoiMasks, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Sums for the figures: ``n00`` .. ``n22`` pixels of each true class (first) that were called each class, on the
    grid of each box; the sum of the target's IoU and over how many boxes."""
    truth = batch.targets["classes"]
    if not network.on_box:
        boxes = batch.inputs["boxes"].float()
        logits = network.on_grid(logits, torch.cat([boxes[:, :1] * 0, boxes], dim=1))
        truth = batch.targets["grid"]
    ours, truth = logits.argmax(dim=1), truth.long()
    known = truth < COUNTS
    one_hot = [torch.stack([(values == number) & known for number in range(COUNTS)], 1) for values in (truth, ours)]
    tables = torch.einsum("nthw,nphw->ntp", *(one.double() for one in one_hot))
    target = ious_of(tables)[:, TARGET]
    there = ~target.isnan()
    own = {f"n{true}{called}": tables[:, true, called].sum() for true in range(COUNTS) for called in range(COUNTS)}
    return {**own, "iou": target.nan_to_num().sum(), "boxes": there.double().sum()}


def ious_of(tables: Tensor) -> Tensor:
    """IoU of each class ``(N, K)`` from tables of counts ``(N, K, K)``; NaN where a class is in neither."""
    shared = tables.diagonal(dim1=1, dim2=2)
    return shared / (tables.sum(dim=1) + tables.sum(dim=2) - shared)


def figures_of(classes: int) -> Callable[[Mapping[str, float]], dict[str, float]]:
    """From those sums to figures, by the number of classes that a network knows."""

    def figures(sums: Mapping[str, float]) -> dict[str, float]:
        pairs = [[sums[f"n{true}{called}"] for called in range(COUNTS)] for true in range(COUNTS)]
        table = np.array(pairs)
        found = {"iou_target_mean": sums["iou"] / sums["boxes"] if sums["boxes"] else 0.0, "leak": leak(table) or 0.0}
        if classes == COUNTS:
            return {"miou_classes_1_2": miou_classes_1_2(table) or 0.0, **found}
        merged = np.array([table[0] + table[2], table[1], table[2] * 0])  # who is not the target is background
        return {"iou_target": float(np.nan_to_num(ious(merged)[TARGET])), **found}

    return figures


def score_of(classes: int) -> str:
    """The figure that chooses the weights, and stands in the names of files."""
    return "val_miou_classes_1_2" if classes == COUNTS else "val_iou_target"


def task_fields(config: RoimaskConfig, network: RoiMasks, samples: Rois, held_out: Rois) -> dict[str, Any]:
    """The task's own fields; features are computed and kept here, before the first epoch."""
    source = training_source(config.extractor)
    height, width = source.view.input_size

    def files(row: Row) -> list[str]:
        score = float(row[score_of(config.classes)])
        return [EPOCH_FILE.format(int(row["epoch"]), height, width, round(score * 10000))]

    weights, said, _ = class_weights_of(config)
    chosen: list[Any] = []
    for one in (held_out, samples):
        store, form = one.connect(network, source), one.form()
        chosen.append((store, form, list(one.every_view(form))))
    keep(chosen, config.train.cache_budget * 1e9)
    listed = "" if weights is None else f" {', '.join(f'{weight:.4f}' for weight in weights)}"
    flat = sum(len(photo.sample.boxes) - len(photo.boxes) for photo in samples.photos)
    left_out = [f"{flat} instances have a box without area and are no targets"] if flat else []
    return {
        "summarise": figures_of(config.classes),
        "score": (score_of(config.classes), "max"),
        "files": files,
        "card": {"class_weights": weights and list(weights), "category_id": samples.photos[0].category_id},
        "notes": [f"class weights {config.loss.class_weights}:{listed} {said}".rstrip(), *left_out],
    }
