"""One training step of ``tracknet``, and by what its weights are chosen: found, wrong and missed balls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.geometry.grid import Grid
from kaname.losses.heatmap import LOSSES
from kaname.models.backbones import freeze, unfreeze
from kaname.models.network import Network
from kaname.models.settings import held_epochs
from kaname.recipes.tracknet.config import DetectSettings, TracknetConfig
from kaname.recipes.tracknet.data import Windows
from kaname.training.decoded import decoded
from kaname.training.task import Step
from kaname.types import Batch, StepOutput, Term


def step_of(config: TracknetConfig) -> Step:
    """The loss over all frames that count; while validating also the counts of found and missed balls."""
    loss, (width, height), (columns, rows) = LOSSES[config.loss.name], config.data.resize, config.model.heatmap.size
    grid = Grid.between((height, width), (rows, columns))

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        logits = model(batch.inputs)["heatmaps"].float()
        targets = batch.targets["heatmaps"].to(torch.float32) / 255
        term = Term(*loss(logits, targets, batch.targets["mask"]))
        counts = {} if model.training else found_and_missed(logits, batch.targets, config.detect, grid)
        return StepOutput({config.loss.name: term}, counts)

    return step


def found_and_missed(
    logits: Tensor, targets: Mapping[str, Tensor], detect: DetectSettings, grid: Grid
) -> dict[str, Tensor]:
    """Sums ``found``, ``wrong`` and ``missed`` over all frames, as ``evaluate`` counts them: each once, those that the
    loss leaves out too."""
    place, score = decoded(logits.sigmoid(), grid, detect.method)
    distance = ((place - targets["ball"]) * targets["scale"][:, None]).norm(dim=2)
    counts = targets["fresh"]
    answered, present = (score > detect.score_threshold) & counts, (targets["present"] > 0) & counts
    found = answered & present & (distance <= detect.tolerance)
    sums = {"found": found, "wrong": answered & ~found, "missed": present & ~answered}
    return {name: value.sum().float() for name, value in sums.items()}


def f1_of_sums(sums: Mapping[str, float]) -> dict[str, float]:
    """``f1`` in the place of the three sums it comes from; 0 where nothing was to be found."""
    found, wrong, missed = sums["found"], sums["wrong"], sums["missed"]
    return {"f1": 2 * found / max(2 * found + wrong + missed, 1e-12)}


def task_fields(config: TracknetConfig, network: Network, windows: Windows, held_out: Windows | None) -> dict[str, Any]:
    """The task's own fields: what chooses the weights, a backbone that is frozen at first, how often windows are drawn.

    Raises:
        InputError: no window would ever be drawn.
    """
    weights = windows.weights()
    if not weights.any():
        raise InputError("sampling leaves no window to draw", remedy="raise one of its weights")
    score = ("val_loss", "min") if held_out is None else ("val_f1", "max")
    fields: dict[str, Any] = {"summarise": f1_of_sums, "score": score}
    if len(set(config.sampling.values)) > 1:
        fields["sample_weights"] = weights
    held = held_epochs(config.model.freeze) if network.backbone.pretrained else 0
    if 0 < held < math.inf:
        backbone = network.backbone
        fields["before_epoch"] = lambda epoch: freeze(backbone, for_now=True) if epoch < held else unfreeze(backbone)
        fields["notes"] = [f"the backbone is frozen for the first {held} epochs, then it trains too"]
    return fields
