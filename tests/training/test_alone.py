"""One process without Lightning Fabric: the same numbers, and no import of it."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from kaname.training.alone import Alone


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 2, 3))

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"maps": self.net(inputs["images"])}


def trained(fabric: Any, network: nn.Module) -> list[torch.Tensor]:
    """Its weights after three clipped steps."""
    model = fabric.setup_module(network)
    optimizer = fabric.setup_optimizers(torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9))
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        optimizer.zero_grad()
        with fabric.no_backward_sync(model, enabled=False):
            fabric.backward(model({"images": images})["maps"].float().square().mean())
        fabric.clip_gradients(model, optimizer, max_norm=0.05, error_if_nonfinite=False)
        optimizer.step()
    return [value.detach().clone() for value in network.parameters()]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_it_trains_as_fabric_does(precision: Any) -> None:
    from lightning_fabric import Fabric

    torch.manual_seed(0)
    network = Named()
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    fabric.launch()
    ours = trained(Alone(torch.device("cpu"), half=precision != "32-true"), copy.deepcopy(network))
    theirs = trained(fabric, copy.deepcopy(network))
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], network.net[0].weight)


def test_a_single_process_does_not_import_it() -> None:
    code = (
        "import sys\n"
        "from kaname.training.runtime import Runtime\n"
        "from kaname.training.settings import TrainSettings\n"
        "for precision in ('fp32', 'bf16'):\n"
        "    Runtime(TrainSettings(device='cpu', precision=precision))\n"
        "print([name for name in ('lightning_fabric', 'torch.distributed.tensor') if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
