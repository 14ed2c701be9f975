"""Where the command line's words go in this recipe's configuration: common flags, names of groups, data folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.pipeline.flags import find_group

# The common flags and the keys of the loop, under the names that this recipe's configuration gives them.
FLAG_KEYS = {
    "model.backbone": "model.pretrained_model_name",
    "train.lr": "training.optimizer.lr",
    "train.weight_decay": "training.optimizer.weight_decay",
    "train.schedule": "training.scheduler.name",
    "train.warmup_epochs": "training.scheduler.warmup_epochs",
    "train.clip": "training.grad_clip",
    **{
        f"train.{name}": f"training.{name}"
        for name in (
            "epochs", "batch_size", "accumulate", "early_stop", "ema", "seed", "num_workers", "limit", "device",
            "devices", "strategy", "precision", "cache_views", "cache_budget", "save_every",
        )
    },
}  # fmt: skip


def groups_of(data: str | None, model: str | None, training: str | None) -> tuple[dict[str, Path], dict[str, Any]]:
    """The files of the three groups, and what a data folder given in the place of a file sets."""
    names = {"data": data or "tracknet", "model": model or "vit_heatmap", "training": training or "default"}
    extra: dict[str, Any] = {}
    if data is not None and _is_data(Path(data)):
        names["data"], extra["data.root"] = "tracknet", Path(data)
    elif data is not None:
        try:
            find_group("data", data)
        except InputError as error:
            raise InputError(f"{data} is no folder, and {error.reason}", remedy=error.remedy) from error
    return {group: find_group(group, name) for group, name in names.items()}, extra


def _is_data(given: Path) -> bool:
    """Whether a folder is meant; one without clips may only happen to be called like a configuration."""
    if not given.is_dir():
        return False
    if len(given.parts) > 1 or any(given.glob("*/*/*.csv")):
        return True
    try:
        find_group("data", given.name)
    except InputError:
        return True
    return False


def own_names(text: str) -> str:
    """A message of the loop's settings with the keys as they are called here."""
    return re.sub(r"\btrain\.\w+", lambda found: FLAG_KEYS.get(found[0], found[0]), text)
