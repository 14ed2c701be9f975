"""A training task that costs milliseconds: masked losses, uneven batches, dropout, buffers, frozen weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kaname.data.randomness import generator
from kaname.training.loop import Run
from kaname.training.settings import RunOptions, TrainSettings
from kaname.training.task import Task
from kaname.types import Batch, StepOutput, Term

SIDE = 12


class Squares:
    """Noise whose brightness is the target; only the unmasked part of each target counts."""

    def __init__(self, count: int, *, seed: int = 0) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        random = generator(self.seed, -1, index, "content")
        image = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        mask = (random.random((1, SIDE, SIDE)) < random.random()).astype(np.float32)
        target = (image.mean(axis=2, dtype=np.float32)[None] / 255).astype(np.float32)
        if epoch >= 0 and generator(self.seed, epoch, index, "augment").random() < 0.5:
            image, mask, target = image[:, ::-1], mask[..., ::-1], target[..., ::-1]
        return {"images": image, "target": target, "mask": mask}


class Net(nn.Module):
    """Convolutions with a frozen first layer; ``noise`` adds dropout and batch statistics."""

    def __init__(self, *, noise: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6) if noise else nn.GroupNorm(2, 6)
        self.drop = nn.Dropout(0.2 if noise else 0.0)
        self.last = nn.Conv2d(6, 1, 3, padding=1)
        for parameter in self.first.parameters():
            parameter.requires_grad = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # Up to torch 2.13 GroupNorm's backward pass crashes where a frozen layer gives it the channels last.
        first = self.first(images.float() / 255).contiguous()
        return self.last(self.drop(torch.relu(self.norm(first))))


def step(model: nn.Module, batch: Batch) -> StepOutput:
    """Squared error summed over the mask; the absolute one beside it for the log."""
    error = (model(batch.inputs["images"]).float() - batch.targets["target"]) ** 2
    mask = batch.targets["mask"]
    weight = mask.sum()
    absolute = Term((error.detach().sqrt() * mask).sum(), weight, factor=0.0)
    return StepOutput({"squared": Term((error * mask).sum(), weight), "absolute": absolute})


def three_terms(logits: torch.Tensor, targets: Mapping[str, torch.Tensor]) -> StepOutput:
    """Three terms that count three different things: masked cells, bright cells, well-lit samples."""
    target, mask = targets["target"], targets["mask"]
    bright, lit = (target > 0.7).float(), (mask.mean(dim=(1, 2, 3)) > 0.5).float()
    samples = (logits.mean(dim=(1, 2, 3)) - target.mean(dim=(1, 2, 3))) ** 2
    return StepOutput(
        {
            "squared": Term(((logits - target) ** 2 * mask).sum(), mask.sum()),
            "bright": Term((nn.functional.softplus(-logits) * bright).sum(), bright.sum(), factor=0.25),
            "samples": Term((samples * lit).sum(), lit.sum(), factor=3.0),
        }
    )


def three(model: nn.Module, batch: Batch) -> StepOutput:
    """A step with three terms of three weights."""
    return three_terms(model(batch.inputs["images"]).float(), batch.targets)


def names_of(row: Mapping[str, float]) -> list[str]:
    """A further file an epoch, with its score in the name."""
    return [f"checkpoints/epoch_{int(row['epoch']):04d}_{round(row['val_loss'] * 1e4):04d}.pth"]


def scaled(output: StepOutput, factor: float) -> StepOutput:
    """The same with every sum multiplied."""
    return StepOutput({name: term._replace(sum=term.sum * factor) for name, term in output.terms.items()})


def make_task(settings: TrainSettings, *, train: int = 22, val: int = 5, noise: bool = True, **changes: Any) -> Task:
    """A task over ``train`` and ``val`` samples; ``changes`` replace its fields."""
    torch.manual_seed(settings.seed)
    content: dict[str, Any] = {
        "recipe": "tiny",
        "config": {"model": {"width": 6}, "train": {**asdict(settings), "step_epochs": list(settings.step_epochs)}},
        "card": {"input_size": [SIDE, SIDE], "channels": ["a"], "backbone": {"kind": "tiny"}},
        "model": Net(noise=noise),
        "step": step,
        "train": Squares(train),
        "val": Squares(val, seed=1) if val else None,
        "fixed": ("model",),
        "best_name": "model.pt",
    }
    return Task(**{**content, **changes})


def make_settings(**changes: Any) -> TrainSettings:
    """Quick settings in fp32 on the CPU."""
    content: dict[str, Any] = {
        "epochs": 2, "batch_size": 4, "lr": 1e-2, "device": "cpu", "precision": "fp32", "num_workers": 0,
    }  # fmt: skip
    return TrainSettings(**{**content, **changes})


def run(
    folder: Path, settings: TrainSettings, *, resume: str | None = None, init: Path | None = None, **task: Any
) -> Run:
    """A run that has gone to its end."""
    found = Run(make_task(settings, **task), settings, RunOptions(folder, resume=resume, init=init))
    found.fit()
    return found


def same(one: object, other: object) -> bool:
    """Whether two checkpoints hold bit-equal tensors and equal values; dictionaries in the same order."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def content(path: Path) -> dict[str, Any]:
    """Everything a checkpoint holds; the number of workers may differ between two runs that are one."""
    found = torch.load(path, weights_only=True)
    card = json.loads(found["card"])
    del card["config"]["train"]["num_workers"]
    return {**found, "card": card}


def same_runs(one: Path, other: Path) -> list[str]:
    """What differs between two finished runs: tensors, position, log without its times."""
    further = sorted({str(path.relative_to(folder)) for folder in (one, other) for path in folder.rglob("*.pth")})
    names = ("model.pt", "last.pt", *further)
    differing = [
        name for name in names if not ((other / name).is_file() and same(content(one / name), content(other / name)))
    ]
    logs = [[line.rsplit(",", 1)[0] for line in (folder / "log.csv").read_text().split()] for folder in (one, other)]
    return differing if logs[0] == logs[1] else [*differing, "log.csv"]
