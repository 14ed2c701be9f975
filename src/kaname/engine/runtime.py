"""Device, precision and processes: the only importer of Lightning Fabric."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kaname.engine.settings import TrainSettings
from kaname.errors import InputError


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA, then MPS, then the CPU; a device that is not there is refused."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name} was asked for and no CUDA device is visible", remedy="use --device cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name} does not exist", remedy=f"there are {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("device mps was asked for and is not available", remedy="use --device cpu or auto")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """``auto`` becomes bf16 where the device multiplies it in hardware, else fp32."""
    if name == "fp16" and device.type == "cpu":
        raise InputError("fp16 does not train on a CPU", remedy="use --precision bf16 or fp32")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"


def cpu_has_bf16() -> bool:
    """Whether the CPU has AMX or AVX-512 instructions for bfloat16 (without them bf16 is slower than fp32)."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


class Runtime:
    """One process's view of a run: where tensors live, in what arithmetic, and how sums cross processes."""

    def __init__(self, settings: TrainSettings) -> None:
        with _quiet():
            from lightning_fabric import Fabric

        device = choose_device(settings.device)
        self.precision = choose_precision(settings.precision, device)
        names = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
        index: Any = [device.index] if device.index is not None else settings.devices
        with _quiet():
            self.fabric = Fabric(
                accelerator="gpu" if device.type == "cuda" else device.type,
                devices=index,
                strategy="auto" if settings.devices == 1 else "ddp",
                precision=names[self.precision],  # type: ignore[arg-type]
            )
            self.fabric.launch()
        self.device = self.fabric.device

    @property
    def rank(self) -> int:
        """This process among all, from 0."""
        return self.fabric.global_rank

    @property
    def world(self) -> int:
        """How many processes take part."""
        return self.fabric.world_size

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.fabric.is_global_zero

    def setup(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """Wrap model and optimiser; the wrapped model's forward runs in the chosen precision."""
        with _quiet():
            return self.fabric.setup(model, optimizer)

    def backward(self, loss: torch.Tensor, model: Any, *, last: bool) -> None:
        """Backward pass; gradients cross processes only in the ``last`` micro-step of a group."""
        with self.fabric.no_backward_sync(model, enabled=not last and self.world > 1):
            self.fabric.backward(loss)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Element-wise sum over all processes."""
        if self.world == 1:
            return values
        return self.fabric.all_reduce(values, reduce_op="sum")  # type: ignore[return-value]

    def clip(self, model: Any, optimizer: Any, norm: float) -> None:
        """Scale the gradients so that their norm is at most ``norm``."""
        self.fabric.clip_gradients(model, optimizer, max_norm=norm, error_if_nonfinite=False)

    def barrier(self) -> None:
        """Wait for every process."""
        self.fabric.barrier()

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients, the run's precision."""
        with torch.inference_mode(), self.fabric.autocast():
            yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Fabric announces seeds and devices at length; a run says what matters itself."""
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def default_log_folder(out_dir: Path) -> Path:
    """Where TensorBoard's files of a run go."""
    return out_dir / "tb"
