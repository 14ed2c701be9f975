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

# What is logged of an epoch, by the group and the name that `evaluate` gives it.
LOGGED = {"f1": ("middle", "f1"), "pck": ("middle", "pck"), "pck_start_end": ("start_end", "pck")}


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
    chosen, table = [targets[name].cpu().numpy() for name in ("truth", "size")], []
    for image, truth, (height, width) in zip(maps.detach().cpu().numpy(), *chosen, strict=True):
        size = (int(height), int(width))
        back, into = letterbox(size, image.shape[-1]).inverse(), letterbox(size, REFERENCE_SIZE)
        points = extract_points(image, back, size, settings).xy
        real = {name: rows[np.isfinite(rows).all(axis=1)] for name, rows in zip(CHANNELS, truth, strict=True)}
        ours = {name: into.points(points[name]) for name in CHANNELS}
        figures = image_figures(ours, real, settings.tolerance)
        table.append([figures[group][metric] for group, metric in LOGGED.values()])
    columns = dict(zip(LOGGED, maps.new_tensor(np.array(table, np.float64), dtype=torch.float64).T, strict=True))
    sums = {name: values.nansum() for name, values in columns.items()}  # NaN stands for None
    return sums | {f"{name} images": (~values.isnan()).sum().double() for name, values in columns.items()}


def task_fields(config: GaugeConfig, *_: object) -> dict[str, Any]:
    """The task's own fields: what is logged of an epoch."""
    twice = "small dials get a second look (extract.second_look) in prediction and evaluation, not in the log's figures"
    return {"summarise": means_of_figures, "notes": [twice] if config.extract.second_look else []}


def means_of_figures(sums: Mapping[str, float]) -> dict[str, float]:
    """``f1``, ``pck`` and ``pck_start_end`` from those sums; one that no image has is left out."""
    return {name: sums[name] / sums[f"{name} images"] for name in LOGGED if sums.get(f"{name} images")}
