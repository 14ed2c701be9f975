"""One training step of ``gauge`` and the task that the loop runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from kaname import config as configuration
from kaname.data.formats.files import write_json
from kaname.errors import InputError
from kaname.losses.heatmap import bce_with_logits
from kaname.models.backbones import freeze
from kaname.recipes.gauge import labels
from kaname.recipes.gauge.config import GaugeConfig
from kaname.recipes.gauge.data import Dials
from kaname.recipes.gauge.model import build, describe, is_pretrained
from kaname.training.features import features_of, with_cached_features
from kaname.training.task import Row, Task
from kaname.types import Batch, StepOutput

FIXED = ("size", "model.backbone", "model.decoder", "model.normalize")


def step(model: nn.Module, batch: Batch) -> StepOutput:
    """Binary cross-entropy with soft targets, summed over all cells of the three maps.

    The batch holds images, or the features of a frozen backbone where they are cached.
    """
    logits = model(batch.images, features_of(batch.targets))
    targets = batch.targets["heatmaps"].to(torch.float32) / 255
    loss_sum, weight = bce_with_logits(logits.float(), targets)
    return StepOutput(loss_sum=loss_sum, weight=weight)


def task(config: GaugeConfig, out_dir: Path, *, store: bool = True) -> Task:
    """Everything the loop needs for a configuration; without ``store`` no features are written to the cache.

    Raises:
        InputError: the data set is unusable, or the network cannot be built.
    """
    found = labels.sets(config.data)
    if not {"train", "all"} & set(found):
        raise InputError(
            "there is no training set here", path=config.data, remedy="it needs train/images and train/labels"
        )
    train = _read(found.get("train", found.get("all", config.data)), config)
    val = _read(found["val"], config) if "val" in found else None
    torch.manual_seed(config.train.seed)  # equal seeds begin with equal weights
    network = build(config)
    if config.model.freeze and is_pretrained(config, network):
        freeze(network.backbone)
    samples = with_cached_features(
        Dials(train, config, augment=True),
        None if val is None else Dials(val, config, augment=False),
        network,
        config.train if store else replace(config.train, cache_budget=0.0),
        augmented=config.augment.probability > 0,
    )
    plain = configuration.to_dict(config) | {"data": config.data.resolve().as_posix()}

    def after_epoch(rows: Sequence[Row]) -> None:
        losses = {str(row["epoch"]): row["train_loss"] for row in rows}
        write_json(out_dir / "loss.json", losses)

    return Task(
        recipe="gauge",
        config=plain,
        card=describe(config, network),
        model=network,
        step=step,
        train=samples[0],
        val=samples[1],
        fixed=FIXED,
        best_name="model.pt",
        after_epoch=after_epoch,
    )


def _read(folder: Path, config: GaugeConfig) -> list[labels.Dial]:
    dials = labels.read(folder, allow_missing=config.allow_missing)
    limited = dials[: config.train.limit] if config.train.limit else dials
    for dial in limited:
        if dial.points is None:
            labels.check_heatmaps(dial, config.size, allow_missing=config.allow_missing)
    return limited
