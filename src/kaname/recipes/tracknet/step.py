"""One training step of ``tracknet`` and the task that the loop runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from kaname import config as configuration
from kaname.data.formats.files import write_json
from kaname.errors import InputError
from kaname.losses.heatmap import LOSSES
from kaname.models.backbones import hold
from kaname.recipes.tracknet import labels
from kaname.recipes.tracknet.card import describe
from kaname.recipes.tracknet.choosing import f1_of_sums, found_and_missed
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.data import Windows
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.recipes.tracknet.model import build, is_pretrained
from kaname.training.features import features_of, with_cached_features
from kaname.training.task import Row, Task
from kaname.types import Batch, StepOutput

FIXED = (
    "data.resize", "data.normalize", "data.sequence.length", "model.pretrained_model_name", "model.decoder",
    "model.heatmap", "model.fusion", "model.lora",
)  # fmt: skip


def step(model: nn.Module, batch: Batch, *, loss: str, detect: DetectSettings) -> StepOutput:
    """The loss summed over all frames that count; while validating also the counts of found and missed balls.

    The batch holds windows, or the features of a frozen backbone where they are cached.
    """
    logits = model(batch.images, features_of(batch.targets)).float()
    targets = batch.targets["heatmaps"].to(torch.float32) / 255
    loss_sum, weight = LOSSES[loss](logits, targets, batch.targets["mask"])
    logs = {} if model.training else found_and_missed(logits, batch.targets, detect)
    return StepOutput(loss_sum=loss_sum, weight=weight, logs=logs)


def task(config: TracknetConfig, out_dir: Path, *, store: bool = True) -> Task:
    """Everything the loop needs for a configuration; without ``store`` no features are written to the cache.

    Raises:
        InputError: the data set is unusable, or the network cannot be built.
    """
    sets = labels.sets(config.data)
    for clips in (sets["train"], sets["val"]):
        labels.check_lengths(clips, config.data.sequence.length)
    labels.check_weights(sets["train"], config.data, config.training.loss.visibility_weights.values)
    torch.manual_seed(config.training.seed)  # equal seeds begin with equal weights
    network = build(config)
    windows = Windows(sets["train"], config, augment=True)
    settings = config.training.loop
    train, val = with_cached_features(
        windows, Windows(sets["val"], config, augment=False) if sets["val"] else None, network,
        settings if store else replace(settings, cache_budget=0.0), augmented=config.data.augments,
    )  # fmt: skip
    plain = configuration.to_dict(config)
    plain["data"]["root"] = config.data.root.resolve().as_posix()
    held = config.model.held_epochs if is_pretrained(config, network) else 0

    def before_epoch(epoch: int) -> None:
        hold(network.backbone, held=epoch < held)

    def after_epoch(rows: Sequence[Row]) -> None:
        write_json(out_dir / "loss.json", {str(row["epoch"]): row["train_loss"] for row in rows})

    weighted = len(set(config.training.sampling.values)) > 1
    if not windows.weights().any():
        raise InputError("training.sampling leaves no window to draw", remedy="raise one of its weights")
    return Task(
        recipe="tracknet",
        config=plain,
        card=describe(config, network),
        model=network,
        step=partial(step, loss=config.training.loss.name, detect=config.detect),
        train=train,
        val=val,
        summarise=f1_of_sums,
        score=("val_f1", "max") if val is not None else ("val_loss", "min"),
        fixed=FIXED,
        before_epoch=before_epoch if held else None,
        sample_weights=windows.weights() if weighted else None,
        after_epoch=after_epoch,
        notes=[f"the backbone is held for the first {held} epochs, then it trains too"] if held else [],
    )
