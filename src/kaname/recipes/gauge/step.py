"""One training step of ``gauge``."""

from __future__ import annotations

import torch
from torch import nn

from kaname.losses.heatmap import bce_with_logits
from kaname.recipes.gauge.config import GaugeConfig
from kaname.training.task import Step
from kaname.types import Batch, StepOutput, Term


def step_of(config: GaugeConfig) -> Step:
    """The step of a configuration, the same for all: nothing in it changes this recipe's loss."""
    return step


def step(model: nn.Module, batch: Batch) -> StepOutput:
    """Binary cross-entropy with soft targets, summed over all cells of the three maps."""
    logits = model(batch.inputs)["heatmaps"].float()
    targets = batch.targets["heatmaps"].to(torch.float32) / 255
    return StepOutput({"bce": Term(*bce_with_logits(logits, targets))})
