"""One training step of ``kpnet``: the terms of its loss, and while validating the counts of its figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from kaname.geometry.grid import Grid
from kaname.losses import segmentation
from kaname.losses.keypoints import (
    coordinate_error,
    heatmap_cross_entropy,
    soft_argmax,
    visibility_cross_entropy,
)
from kaname.losses.temporal import coordinate_consistency, heatmap_consistency
from kaname.recipes.kpnet import FLOW, FOREGROUND, MAPS, SEGMENTATION, STATES, VISIBILITY
from kaname.recipes.kpnet.classes import UNKNOWN
from kaname.recipes.kpnet.config import AnswerSettings, KpnetConfig, LossSettings
from kaname.training.decoded import decoded
from kaname.training.task import Step
from kaname.types import Batch, StepOutput, Term

DICE = FOCAL = 0.5  # their shares in the segmentation's loss
BACKGROUND_ALPHA, OBJECT_ALPHA, GAMMA = 0.75, 0.25, 2.0
BEFORE = "before_"
Outputs = Mapping[str, Tensor]


def step_of(config: KpnetConfig) -> Step:
    """The sum over frames of each term, a mean within its frame, and in how many frames it counts."""
    loss, grid, answers = config.loss, config.grid, config.answers

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        before = frame_before(model, batch)
        outputs = {name: value.float() for name, value in model(batch.inputs).items()}
        terms = {
            **labelled_terms(outputs, batch.targets, loss, grid),
            **({} if before is None else compared_terms(outputs, before, batch.targets, loss, grid)),
        }
        counts = {} if model.training else figures_of(outputs, batch.targets, grid, answers)
        return StepOutput(terms, counts)

    return step


def frame_before(model: nn.Module, batch: Batch) -> Outputs | None:
    """What the network says of the frames before, without gradient; None where they take no part."""
    if f"{BEFORE}images" not in batch.targets:
        return None
    images = batch.targets[f"{BEFORE}images"].permute(0, 3, 1, 2)
    further = {name: batch.targets[f"{BEFORE}{name}"] for name in (FLOW, FOREGROUND) if name in batch.inputs}
    with torch.no_grad():
        return {name: value.float() for name, value in model({"images": images, **further}).items()}


def labelled_terms(outputs: Outputs, targets: Mapping[str, Tensor], loss: LossSettings, grid: Grid) -> dict[str, Term]:
    """The terms of a frame on its own."""
    maps, there, points = outputs[MAPS], targets["there"].bool(), targets["points"]
    true = targets["heatmaps"].to(maps.dtype) / 255
    total, images = heatmap_cross_entropy(maps, true, there, positive_weight=loss.hm_pos_weight)
    # Every head has a part in the graph, whatever its loss weighs: several processes need a gradient of each.
    total = total + 0.0 * sum(value.sum() for value in outputs.values())
    states = outputs[VISIBILITY].unflatten(1, (-1, len(STATES)))
    places = soft_argmax(maps, grid)
    return {
        "heatmap": Term(total, images),
        "visibility": Term(*visibility_cross_entropy(states, targets["visible"]), loss.visibility_weight),
        "coordinates": Term(*coordinate_error(places, points, there, targets["scale"]), loss.coord_weight),
        "segmentation": Term(*mask_loss(outputs[SEGMENTATION], targets["classes"]), loss.seg_weight),
    }


def mask_loss(logits: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Half Dice, the mean over the classes that a frame has, and half focal; frames without a mask do not count."""
    objects = logits.shape[1] - 1
    alpha = [BACKGROUND_ALPHA, *[OBJECT_ALPHA] * objects]
    overlap, frames = segmentation.dice(logits, classes.long(), classes=tuple(range(1, objects + 1)))
    focal, _ = segmentation.focal(logits, classes.long(), gamma=GAMMA, alpha=alpha)
    return DICE * overlap + FOCAL * focal, frames


def compared_terms(
    outputs: Outputs, before: Outputs, targets: Mapping[str, Tensor], loss: LossSettings, grid: Grid
) -> dict[str, Term]:
    """The terms between a frame and the one before it."""
    maps, previous = outputs[MAPS], before[MAPS]
    seen, seen_before = targets["seen"].bool(), targets["seen_before"].bool()
    forward, backward = targets["forward"].float(), targets["backward"].float()
    alike = heatmap_consistency(maps, previous, backward, seen, grid, epsilon=loss.hm_epsilon)
    places, others = soft_argmax(maps, grid), soft_argmax(previous, grid)
    peaks = previous.flatten(2).amax(dim=2).sigmoid()
    moved = coordinate_consistency(
        places, others, peaks, forward, seen_before, targets["scale"], epsilon=loss.coord_epsilon
    )
    return {
        "heatmap_consistency": Term(*alike, loss.hm_consist_weight),
        "coordinate_consistency": Term(*moved, loss.coord_consist_weight),
    }


def figures_of(
    outputs: Outputs, targets: Mapping[str, Tensor], grid: Grid, answers: AnswerSettings
) -> dict[str, Tensor]:
    """Sums for the figures: visible points, those that are answered within ``pck_px``, known and rightly told
    visibilities, and pixels of each class that both sides have and that either has."""
    place, _ = decoded(outputs[MAPS].sigmoid(), grid, answers.method)
    apart = ((place - targets["points"]) * targets["scale"][:, None]).norm(dim=2)
    seen = targets["there"].bool() & (targets["visible"] == len(STATES) - 1)
    states = outputs[VISIBILITY].unflatten(1, (-1, len(STATES)))
    told = states.argmax(dim=2)
    gone = told == 0 if answers.absent is None else states.softmax(dim=2)[:, :, 0] > answers.absent
    known = targets["visible"] >= 0
    found = {
        "seen": seen.sum(),
        "found": (seen & ~gone & (apart <= answers.pck_px)).sum(),
        "known": known.sum(),
        "told": (known & (told == targets["visible"])).sum(),
    }
    classes, ours = targets["classes"].long(), outputs[SEGMENTATION].argmax(dim=1)
    labelled = classes != UNKNOWN
    for number in range(1, outputs[SEGMENTATION].shape[1]):
        true, called = (classes == number) & labelled, (ours == number) & labelled
        found |= {f"shared {number}": (true & called).sum(), f"either {number}": (true | called).sum()}
    return {name: value.double() for name, value in found.items()}


def summarise(sums: Mapping[str, float]) -> dict[str, float]:
    """``pck_by_channel`` (of several instances of a class each with its own, where ``evaluate`` pairs them by
    distance), ``visibility_accuracy`` and, with masks, ``miou`` from those sums."""
    shared = {name.split()[1]: value for name, value in sums.items() if name.startswith("shared ")}
    ious = [value / sums[f"either {number}"] for number, value in shared.items() if sums[f"either {number}"] > 0]
    figures = {
        "pck_by_channel": sums["found"] / max(sums["seen"], 1.0),
        "visibility_accuracy": sums["told"] / max(sums["known"], 1.0),
    }
    return figures | ({"miou": float(np.mean(ious))} if ious else {})
