"""Trains tiny tasks for ``test_sharding.py``; started by torchrun, by Fabric, or alone.

``many_processes.py FOLDER DEVICES WORKERS STRATEGY EPOCHS LOSS...``: one run for each loss, into a folder of its name;
what is there already is resumed. Three epochs are planned; with fewer EPOCHS the run is left before its end.
"""

from __future__ import annotations

import faulthandler
import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import torch
from tiny_task import Squares, make_settings, make_task, names_of, three_terms
from torch import nn

from kaname.losses.heatmap import LOSSES
from kaname.training.loop import Run
from kaname.training.settings import RunOptions
from kaname.types import Batch, StepOutput, Term

faulthandler.dump_traceback_later(240, exit=True)  # a process that hangs says where, and ends before its test does
torch.set_num_threads(1)
# One group of processes for all runs of this script: building it again at once is what gloo does not like.
torch.distributed.destroy_process_group = lambda: None


class Peaks(Squares):
    """Gaussian targets, some masked cell by cell, some samples entirely masked."""

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        row = super().sample(index, epoch)
        ys, xs = np.mgrid[: row["target"].shape[1], : row["target"].shape[2]]
        x, y = 2 + (index * 7) % 8, 2 + (index * 5) % 8
        peak = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 4).astype(np.float32)
        mask = row["mask"] * (index % 4 != 0)
        return {**row, "target": peak[None], "mask": mask.astype(np.float32)}


def figures(model: nn.Module, epoch: int) -> dict[str, float]:
    """A forward pass by the first process alone, whatever the weights are spread over."""
    assert not (torch.distributed.is_initialized() and torch.distributed.get_rank())
    assert not model.training
    with torch.no_grad():
        return {"val_mean": model(torch.zeros(1, 3, 12, 12, dtype=torch.uint8)).mean().item()}


def draw(model: nn.Module, epoch: int, folder: Path) -> None:
    assert len(list((folder / "checkpoints").iterdir())) == epoch
    (folder / f"picture_{epoch}.txt").write_text(str(figures(model, epoch)))


def train(folder: Path, loss: str, epochs: int) -> None:
    """One run; every process writes what it believes of it."""

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        logits = model(batch.inputs["images"]).float()
        if loss == "three":
            return three_terms(logits, batch.targets)
        term = Term(*LOSSES[loss](logits, batch.targets["target"], batch.targets["mask"]))
        return StepOutput({loss: term}, {"cells": batch.targets["mask"].sum()})

    # 21 samples in batches of 4: the last batch has one sample, so that some processes have no share of it.
    settings = make_settings(
        epochs=3, batch_size=4, accumulate=2, optimizer="sgd", lr=0.1, ema=0.8, clip=0.5, devices=int(sys.argv[2]),
        early_stop=3, num_workers=int(sys.argv[3]), strategy=sys.argv[4],
    )  # fmt: skip
    task = make_task(settings, train=21, val=5, noise=False)
    task = replace(task, step=step, train=Peaks(21), val=Peaks(5, seed=1))
    if loss == "three":
        task = replace(task, figures=figures, figures_every=2, pictures=draw, files=names_of)
    work = Run(task, settings, RunOptions(folder, resume="auto"))
    if epochs < settings.epochs:
        work.settings = replace(settings, epochs=epochs)  # the schedule stays that of all of them
    progress = work.fit()
    if epochs < settings.epochs and work.runtime.is_first:
        unfinish(folder / "last.pt")
    seen = {"best": progress.best, "best_epoch": progress.best_epoch, "step": progress.step}
    seen["world"] = work.runtime.world
    folder.with_name(f"{folder.name}.rank{work.runtime.rank}.json").write_text(json.dumps(seen))


def unfinish(path: Path) -> None:
    """The file as it was before the run's last word, that of a run killed just then."""
    found = torch.load(path, weights_only=True)
    found["training"]["progress"]["finished"] = False
    found["training"]["epochs"] = 3
    torch.save(found, path)


if __name__ == "__main__":
    for name in sys.argv[6:]:
        train(Path(sys.argv[1]) / name, name, int(sys.argv[5]))
