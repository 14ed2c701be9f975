"""Weights that are spread over the processes (FSDP): cut up, gathered for a file, spread again from one.

Files hold whole tensors, so that a checkpoint of a sharded run is like any other and resumes on any number of
processes. Without sharding every function here gives back what it is given.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def shard(model: nn.Module, mesh: Any) -> nn.Module:
    """Spread a model's parameters over the processes of ``mesh``, one unit for each block that repeats and the rest.

    A unit's weights are whole in memory only while it computes; blocks are the members of a list of modules.
    """
    from torch.distributed.fsdp import fully_shard

    processes = mesh["data_parallel"]
    # A part that does not train stays whole: its features may be asked for outside of a forward pass of the model.
    still = [part for part in model.children() if not any(value.requires_grad for value in part.parameters())]
    ignored = {value for part in still for value in part.parameters()}
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # sharding knows no other
    for module in reversed(list(model.modules())):  # what lies inside comes first
        if isinstance(module, nn.ModuleList):
            for block in module:
                # Only what is called as a whole can be a unit: containers without a forward cannot.
                own = set(block.parameters())
                if type(block).forward is not nn.Module.forward and own and not own <= ignored:
                    fully_shard(block, mesh=processes)
    fully_shard(model, mesh=processes, ignored_params=ignored)  # in place
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether the parameters are spread over processes."""
    return any(is_part(value) for value in model.parameters())


def is_part(value: Any) -> bool:
    """Whether it is spread over processes: never before somebody imported what spreads."""
    tensors = sys.modules.get("torch.distributed.tensor")
    return tensors is not None and isinstance(value, tensors.DTensor)


def gathered(values: Any) -> Any:
    """Whole tensors in the place of sharded ones, through dictionaries and lists. Every process must call it."""
    if is_part(values):
        return values.full_tensor()
    if isinstance(values, Mapping):
        return {key: gathered(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [gathered(value) for value in values]
    return values


def scattered(value: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, where ``like`` is sharded."""
    if not is_part(like) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    spread: Any = like
    return distribute_tensor(value.to(like.device), spread.device_mesh, spread.placements)


def scattered_state(state: Mapping[int, Mapping[str, Any]], optimizer: torch.optim.Optimizer) -> dict[int, Any]:
    """An optimiser's whole state, spread as its parameters are."""
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    return {
        number: {
            name: scattered(value, parameters[number]) if isinstance(value, Tensor) else value
            for name, value in entries.items()
        }
        for number, entries in state.items()
    }
