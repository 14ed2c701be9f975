"""Gradients of a batch with BatchNorm, for ``test_synchronised.py``: in torchrun's processes, or alone.

``two_batch_norms.py FILE CASE...``: a case is ``held`` or ``train`` and into how many batches each process divides its
share, ``held2``; the first process writes the gradients, buffers and sums of every case.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from kaname.models.backbones import build_backbone
from kaname.models.network import Network
from kaname.models.statistics import hold_statistics
from kaname.training.runtime import Runtime
from kaname.training.settings import TrainSettings
from kaname.training.update import Update
from kaname.types import Batch, StepOutput, Term

torch.set_num_threads(1)
# One group of processes for all cases.
torch.distributed.destroy_process_group = lambda: None
SIDE, COUNT = 64, 8


def step(model: Any, batch: Batch) -> StepOutput:
    """Squares over weighted maps, so that shares of a batch weigh differently."""
    maps, weight = model(batch.inputs)["heatmaps"].double(), batch.targets["weight"][:, None, None, None]
    return StepOutput({"mse": Term(((maps - 0.5).square() * weight).sum(), weight.expand_as(maps).sum())})


def batches(first: int, last: int, parts: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    weight = torch.rand(COUNT, generator=generator, dtype=torch.float64)
    chosen = torch.arange(first, last).chunk(parts)
    return [Batch({"images": images[rows]}, {"weight": weight[rows]}, rows) for rows in chosen]


def found(norm: str, parts: int) -> dict[str, Any]:
    """What one optimiser step over the whole batch leaves behind."""
    torch.manual_seed(0)
    backbone = build_backbone("timm:resnet10t", pretrained=False)
    network = Network(backbone, "concat", size=(SIDE, SIDE), heatmap_size=(SIDE // 4, SIDE // 4)).double()
    if norm == "held":
        hold_statistics(network)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
    runtime = Runtime(TrainSettings(device="cpu", precision="fp32", num_workers=0, batch_size=COUNT))
    share = COUNT // runtime.world
    model = runtime.setup_model(network)
    model.train()
    update = Update(step, model, network, runtime, 0.0)
    mine = batches(runtime.rank * share, (runtime.rank + 1) * share, parts)
    sums = runtime.sums(update.backward(iter(mine), len(mine)))
    update.apply(torch.optim.SGD(network.parameters(), lr=0.0), sums)
    gradients = {name: value.grad for name, value in network.named_parameters()}
    return {"gradients": gradients, "buffers": dict(network.named_buffers()), "sums": sums, "first": runtime.is_first}


if __name__ == "__main__":
    results = {case: found(case[:-1], int(case[-1])) for case in sys.argv[2:]}
    if all(result["first"] for result in results.values()):
        torch.save(results, Path(sys.argv[1]))
