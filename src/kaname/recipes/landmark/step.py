"""One training step of ``landmark``, and by what its weights are chosen: the error while validating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kaname.geometry.grid import Grid
from kaname.losses.heatmap import bce_with_logits
from kaname.losses.raw import RAW_LOSSES
from kaname.recipes.landmark import MAPS
from kaname.recipes.landmark.config import LandmarkConfig
from kaname.recipes.landmark.data import MIRRORED, Faces
from kaname.recipes.landmark.labels import digest_of, skeleton_of, split_folder
from kaname.training.decoded import decoded
from kaname.training.task import Row, Step
from kaname.types import Batch, StepOutput, Term

EPOCH_FILE = "checkpoint_epoch_{}.pth"
FINAL_FILE = "final_model.pth"
LOG = "runs"  # where the written guide says that TensorBoard looks


def step_of(config: LandmarkConfig) -> Step:
    """The loss over the maps of the landmarks that count; while validating also their errors."""
    loss, grid, answers = {**RAW_LOSSES, "bce": bce_with_logits}[config.loss], config.grid, config.answers

    permutation = torch.from_numpy(skeleton_of(config.data).permutation)

    def activated(maps: Tensor) -> Tensor:
        return maps.sigmoid() if config.loss == "bce" else maps

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        maps = model(batch.inputs)[MAPS].float()
        targets = batch.targets["heatmaps"].to(torch.float32) / 255
        term = Term(*loss(maps, targets, batch.targets["weight"]))
        counts: dict[str, Tensor] = {}
        if not model.training:
            seen = [activated(maps)]
            if MIRRORED in batch.targets:
                there = model({"images": batch.targets[MIRRORED].permute(0, 3, 1, 2)})[MAPS].float()
                seen.append(activated(there)[:, permutation].flip(3))
            counts = errors(torch.stack(seen).mean(dim=0), batch.targets, grid, answers.method)
        return StepOutput({config.loss: term}, counts)

    return step


def errors(maps: Tensor, targets: Mapping[str, Tensor], grid: Grid, method: str) -> dict[str, Tensor]:
    """Sums ``error`` (of each face's mean distance over its extent) and ``faces``, as ``evaluate`` decodes maps."""
    distance = (decoded(maps, grid, method)[0] - targets["points"]).norm(dim=2)
    seen = torch.isfinite(distance)  # a map without a peak has no point
    distance = torch.where(seen, distance, 0)
    usable = seen.any(dim=1) & (targets["extent"] > 0)
    mean = distance.sum(dim=1) / seen.sum(dim=1).clamp(min=1) / targets["extent"].clamp(min=1e-6)
    return {"error": (mean * usable).sum(), "faces": usable.sum().float()}


def mean_error(sums: Mapping[str, float]) -> dict[str, float]:
    """``nme`` in the place of the sums it comes from; infinite without a face."""
    return {"nme": sums["error"] / sums["faces"] if sums["faces"] else float("inf")}


def task_fields(config: LandmarkConfig, network: nn.Module, faces: Faces, held_out: Faces | None) -> dict[str, Any]:
    """The task's own fields: what chooses the weights, the epochs that are kept, the images that it learns from."""

    def files(row: Row) -> list[str]:
        """An early stop shows only afterwards, so every epoch may be the final one."""
        epoch = int(row["epoch"])
        return [FINAL_FILE, *([EPOCH_FILE.format(epoch)] if config.save_freq and epoch % config.save_freq == 0 else [])]

    images, start = sorted({picture.image for picture, _ in faces.faces}), config.model
    fields: dict[str, Any] = {
        "summarise": mean_error,
        "score": ("val_loss", "min") if held_out is None else ("val_nme", "min"),
        "files": files,
        "log_name": LOG,
        "card": {"trained_on": [digest_of(image) for image in images]},
    }
    random = not (start.weights or start.pretrained or start.backbone.split(":")[0] == "small")
    advice = "training starts from random weights, which is not recommended: use --init zoo, or --checkpoint FILE"
    lists = split_folder(config.data)
    found = [f"training and validation faces are those of {lists}"] if lists is not None else []
    return {**fields, "notes": [*found, *getattr(network, "notes", ())], "cold": [advice] if random else []}
