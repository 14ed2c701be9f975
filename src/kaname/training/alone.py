"""What Lightning Fabric does for a single process in fp32 or bf16, which needs no import of two seconds for it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Alone:
    """The part of ``lightning_fabric.Fabric`` that `kaname.training.runtime` calls, for one process.

    Args:
        device: where the network runs.
        half: in bf16 where autocast takes it.
    """

    global_rank, world_size, is_global_zero = 0, 1, True

    def __init__(self, device: torch.device, *, half: bool) -> None:
        if device.type == "cuda":
            device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
            torch.cuda.set_device(device)
        self.device, self.half = device, half

    def setup_module(self, model: nn.Module) -> nn.Module:
        """The model, called in the chosen arithmetic."""
        return _Cast(model.to(self.device), self.device.type, half=self.half)

    def setup_optimizers(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """As it is."""
        return optimizer

    def backward(self, loss: Tensor) -> None:
        """Backward pass."""
        loss.backward()

    def no_backward_sync(self, model: nn.Module, *, enabled: bool) -> contextlib.AbstractContextManager[None]:
        """There is nobody to wait for."""
        return contextlib.nullcontext()

    def clip_gradients(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, *, max_norm: float, error_if_nonfinite: bool
    ) -> None:
        """Scale the gradients so that their norm is at most ``max_norm``."""
        nn.utils.clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=error_if_nonfinite)


class _Cast(nn.Module):
    def __init__(self, module: nn.Module, kind: str, *, half: bool) -> None:
        super().__init__()
        self.module, self.kind, self.bf16 = module, kind, half

    def forward(self, inputs: Mapping[str, Tensor]) -> Any:
        with torch.autocast(self.kind, torch.bfloat16, enabled=self.bf16):
            return self.module(inputs)
