"""A network of torch where other processes are about."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kaname.geometry.view import View
from kaname.inference.torch_runner import TorchRunner
from kaname.types import Head


class Wide(nn.Module):
    """Large enough for several threads."""

    inputs = ("images",)
    heads = {"maps": Head(["a"])}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 3, padding=1))

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"maps": self.layers(inputs["images"] / 255)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_answers() -> None:
    """It has none of the threads that its parent computed with, and waited for them for ever."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        runner = TorchRunner(Wide(), View("stretch", (128, 128)), device="cpu")
        given = {"images": np.full((2, 128, 128, 3), 99, np.uint8)}
        expected = runner(given)["maps"]
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if np.allclose(runner(given)["maps"], expected, atol=1e-5) else 3)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        torch.set_num_threads(before)
