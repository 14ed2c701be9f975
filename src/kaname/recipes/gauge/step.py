"""One training step of ``gauge``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kaname.losses.heatmap import bce_with_logits
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig
from kaname.recipes.gauge.decode import extract_points
from kaname.recipes.gauge.figures import image_figures
from kaname.recipes.gauge.labels import letterbox
from kaname.training.task import Step
from kaname.types import Batch, StepOutput, Term

LOGGED = {"middle": ("f1", "pck"), "start_end": ("pck",)}  # by group, as `evaluate` names them


def step_of(config: GaugeConfig) -> Step:
    """Binary cross-entropy with soft targets, summed over all cells of the three maps, and over those of the needle's
    maps that are labelled; while validating also the figures of the points."""

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        outputs = model(batch.inputs)
        logits = outputs["heatmaps"].float()
        targets = batch.targets["heatmaps"].to(torch.float32) / 255
        judged = not model.training and "truth" in batch.targets
        counts = sums_of_figures(logits.sigmoid(), batch.targets, config.extract) if judged else {}
        terms = {"bce": Term(*bce_with_logits(logits, targets))}
        if config.needle:
            needle = batch.targets["needle"].to(torch.float32) / 255
            known = batch.targets["needle_known"]
            terms["needle"] = Term(*bce_with_logits(outputs["needle"].float(), needle, known))
        return StepOutput(terms, counts)

    return step


def sums_of_figures(maps: Tensor, targets: Mapping[str, Tensor], settings: ExtractSettings) -> dict[str, Tensor]:
    """Of each logged figure the sum over images and over how many, as `kaname.recipes.gauge.evaluate` counts."""
    sums = {f"{group} {metric} {part}": 0.0 for group in LOGGED for metric in LOGGED[group] for part in ("sum", "n")}
    chosen = [targets[name].cpu().numpy() for name in ("truth", "size")]
    for image, truth, (height, width) in zip(maps.detach().cpu().numpy(), *chosen, strict=True):
        size = (int(height), int(width))
        back, into = letterbox(size, image.shape[-1]).inverse(), letterbox(size, REFERENCE_SIZE)
        points = extract_points(image, back, size, settings).xy
        real = {name: rows[np.isfinite(rows).all(axis=1)] for name, rows in zip(CHANNELS, truth, strict=True)}
        ours = {name: into.points(points[name]) for name in CHANNELS}
        figures = image_figures(ours, real, settings.tolerance)
        for group, metrics in LOGGED.items():
            for metric in metrics:
                value = figures[group][metric]
                sums[f"{group} {metric} sum"] += value or 0.0
                sums[f"{group} {metric} n"] += value is not None
    return {name: maps.new_tensor(value).double() for name, value in sums.items()}


def task_fields(*_: object) -> dict[str, Any]:
    """The task's own fields: what is logged of an epoch."""
    return {"summarise": means_of_figures}


def means_of_figures(sums: Mapping[str, float]) -> dict[str, float]:
    """``f1``, ``pck`` and ``pck_start_end`` from those sums; one that no image has is left out."""
    found: dict[str, float] = {}
    for group, metrics in LOGGED.items():
        for metric in metrics:
            count = sums.get(f"{group} {metric} n", 0.0)
            if count:
                name = metric if group == "middle" else f"{metric}_{group}"
                found[name] = sums[f"{group} {metric} sum"] / count
    return found
