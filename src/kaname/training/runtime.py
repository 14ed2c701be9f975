"""Device, precision and processes: the only importer of Lightning Fabric."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from kaname.errors import InputError
from kaname.inference.device import choose_device, choose_precision
from kaname.memory import reuse_memory
from kaname.training.alone import Alone
from kaname.training.depthwise import keep_exact
from kaname.training.settings import TrainSettings
from kaname.training.sharding import shard
from kaname.training.synchronised import synchronise

_LAST: list[Any] = []


def processes(devices: int) -> tuple[int, int]:
    """Processes on this machine and number of machines: what torchrun or SLURM has started, else ``devices`` on one.

    Raises:
        InputError: ``devices`` is given and differs from what the launcher has started.
    """
    environment = os.environ
    if "TORCHELASTIC_RUN_ID" in environment:
        local = int(environment.get("LOCAL_WORLD_SIZE", "1"))
        machines, launcher = int(environment.get("WORLD_SIZE", "1")) // local, "torchrun"
    elif int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environment:
        machines, launcher = int(environment.get("SLURM_NNODES", "1")), "SLURM"
        local = int(environment["SLURM_NTASKS"]) // machines
    else:
        return devices, 1
    if devices not in (1, local):
        remedy = f"leave --devices out, or start {devices} processes per machine"
        raise InputError(
            f"{launcher} has started {local} processes on this machine, --devices is {devices}", remedy=remedy
        )
    return local, machines


def seed_weights(seed: int) -> None:
    """Equal seeds begin with equal weights: called before a network is built."""
    torch.manual_seed(seed % 2**64)  # more it does not take


class Runtime:
    """One process's view of a run: where tensors live, in what arithmetic, and how sums cross processes."""

    def __init__(self, settings: TrainSettings, *, partly_frozen: bool = False) -> None:
        """``partly_frozen``: parameters that require gradients may get none, so processes must look which do."""
        device = choose_device(settings.device)
        self.precision = choose_precision(settings.precision, device)
        local, machines = processes(settings.devices)
        if device.index is not None and local > 1:
            raise InputError(f"{settings.device} is one device, but {local} are asked for", remedy="use --device cuda")
        strategy = self._chosen(settings.strategy, local * machines, partly_frozen=partly_frozen)
        if local * machines == 1 and self.precision != "fp16":  # Fabric's import takes seconds
            self.fabric: Any = Alone(device, half=self.precision == "bf16")
        else:
            self.fabric = self._fabric(device, strategy, (local, machines))
        self.device = self.fabric.device
        if self.device.type == "cpu":
            reuse_memory()
        # MPS has no double precision; sums of some thousand cells are exact enough in single precision.
        self.wide = torch.float32 if self.device.type == "mps" else torch.float64

    def _fabric(self, device: torch.device, strategy: Any, count: tuple[int, int]) -> Any:
        names = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
        index: Any = [device.index] if device.index is not None else count[0]
        with _quiet():
            from lightning_fabric import Fabric

            fabric = Fabric(
                accelerator="gpu" if device.type == "cuda" else device.type,
                devices=index,
                num_nodes=count[1],
                strategy=strategy,
                precision=names[self.precision],  # type: ignore[arg-type]
            )
            fabric.launch()
        return fabric

    def _chosen(self, strategy: str, world: int, *, partly_frozen: bool) -> Any:
        """Fabric's strategy; a single process needs none."""
        self.strategy = strategy if world > 1 else "ddp"
        if world == 1:
            return "auto"
        if self.strategy != "fsdp":
            return "ddp_find_unused_parameters_true" if partly_frozen else "ddp"
        if self.precision == "fp16":
            raise InputError("fp16 does not train with --strategy fsdp", remedy="use --precision bf16 or fp32")
        from lightning_fabric.strategies import ModelParallelStrategy

        return ModelParallelStrategy(shard, data_parallel_size=world, tensor_parallel_size=1)

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

    def leave_cores_to(self, workers: int) -> None:
        """On a CPU, give each loader process a core of its own; sharing was measured to be seven times slower."""
        if self.device.type == "cpu" and workers:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            torch.set_num_threads(max(1, min(torch.get_num_threads(), cores - workers)))

    @property
    def sharded(self) -> bool:
        """Whether parameters are spread over the processes, so that all must take part in gathering them."""
        return self.strategy == "fsdp"

    def setup_model(self, model: nn.Module) -> Any:
        """Wrap the model; the wrapped one's forward runs in the chosen precision. Its parameters may be replaced, and
        in several processes its BatchNorm is synchronised."""
        if self.world > 1:
            synchronise(model, self.device)
        if self.device.type == "cpu" and self.precision == "bf16":
            keep_exact(model)
        with _quiet():
            return self.fabric.setup_module(model)

    def setup_optimizer(self, optimizer: torch.optim.Optimizer) -> Any:
        """Wrap an optimiser of the parameters of a model that was set up."""
        with _quiet():
            return self.fabric.setup_optimizers(optimizer)

    def no_gradients(self) -> Any:
        """The context of a validation pass."""
        # Sharded weights that are gathered in inference mode could not train afterwards.
        return torch.no_grad() if self.sharded else torch.inference_mode()

    def unsynchronised(self, model: Any, *, enabled: bool) -> Any:
        """The context of a forward and backward pass whose gradients do not cross processes yet."""
        return self.fabric.no_backward_sync(model, enabled=enabled and self.world > 1)

    def backward(self, loss: torch.Tensor) -> None:
        """Backward pass."""
        self.fabric.backward(loss)

    @contextlib.contextmanager
    def without_traces(self, model: nn.Module) -> Iterator[None]:
        """Forward passes without gradients that leave no trace: random state and buffers are put back.

        Buffers are exchanged, not overwritten: a backward pass still to come may need them.
        """
        generators: list[Any] = [torch.random]
        if self.device.type in ("cuda", "mps"):
            generators.append(getattr(torch, self.device.type))
        states = [generator.get_rng_state() for generator in generators]
        modules = [(module, dict(module._buffers)) for module in model.modules()]
        for module, buffers in modules:
            module._buffers.update({name: None if value is None else value.clone() for name, value in buffers.items()})
        try:
            with torch.no_grad():
                yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_rng_state(state)
            for module, buffers in modules:
                module._buffers.update(buffers)

    def loss_scale(self, weight: torch.Tensor) -> float:
        """A power of two that brings a loss summed over ``weight`` cells to about a mean; 1 except in fp16, where such
        a sum overflows. Every process gets the same."""
        if self.precision != "fp16":
            return 1.0
        whole = float(self.over_processes(weight.detach().float().clone()))
        return 2.0 ** -round(math.log2(max(whole, 1.0)))

    def sums(self, values: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """Scalars by name, each summed over all processes; every process must ask for the same names in one order."""
        stacked = torch.stack([value.to(self.device, self.wide) for value in values.values()])
        return dict(zip(values, self.over_processes(stacked).tolist(), strict=True))

    def of_first(self, value: Any) -> Any:
        """The first process's value in every process, so that all decide alike."""
        return value if self.world == 1 else self.fabric.broadcast(value)

    def clip(self, model: Any, optimizer: Any, norm: float) -> None:
        """Scale the gradients so that their norm is at most ``norm``."""
        self.fabric.clip_gradients(model, optimizer, max_norm=norm, error_if_nonfinite=False)

    def scaler(self) -> dict[str, Any]:
        """State of fp16's gradient scaler; empty in other precisions."""
        return dict(self.fabric._precision.state_dict()) if self.precision == "fp16" else {}

    def load_scaler(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`scaler`."""
        if state and self.precision == "fp16":
            self.fabric._precision.load_state_dict(dict(state))

    def close(self) -> None:
        """Wait for every process and end their group."""
        if self.world > 1 and torch.distributed.is_initialized():
            self.fabric.barrier()
            if self.device.type == "cpu":
                # Kept: were gloo's thread the last to drop it, it would wait for the interpreter's lock, and who holds
                # that and ends the group would wait for the thread.
                _LAST.append(torch.distributed.barrier(async_op=True))
                _LAST[-1].wait()
            torch.distributed.destroy_process_group()

    def over_processes(self, values: torch.Tensor) -> torch.Tensor:
        """Summed over all processes."""
        return values if self.world == 1 else self.fabric.all_reduce(values, reduce_op="sum")  # type: ignore[return-value]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Fabric announces seeds and devices at length; a run says what matters itself."""
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
