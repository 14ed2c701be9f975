"""From samples to batches: their order, the shares of processes, tensors with a batch axis.

A data set is any object with ``__len__`` and ``sample(index, epoch) -> dict`` of NumPy arrays, of which ``images`` is
``(H, W, C)``; ``epoch`` is -1 for a pass without augmentation. A recipe writes that one method; order, sharding,
loader processes (`kaname.data.loader`) and resuming are handled here. A data set may also have

- ``inputs``: names of the arrays that the network is fed, by default ``("images",)``; the rest are targets;
- ``collate(rows) -> dict`` of tensors, for rows whose sizes differ; by default rows are stacked;
- ``name(index)``: how messages name a sample;
- ``missing``: names of the arrays in which NaN marks a missing value;
- ``in_process = True``: samples are read in the training process itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from kaname.data.randomness import order
from kaname.errors import InputError
from kaname.types import Batch

Address = tuple[int, int, bool]  # epoch, index, whether it counts


class Samples(Protocol):
    """What a recipe's data set offers."""

    def __len__(self) -> int: ...

    def sample(self, index: int, epoch: int) -> Mapping[str, np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class Batches:
    """Addresses of one process's share of every batch, from ``start`` (epoch, batch) on, epoch after epoch.

    A batch of ``batch_size`` samples is cut into ``world`` contiguous shares, whose sums add up to the sums of one
    process. The last batch of an epoch may be smaller; a process without a share gets one sample that does not count,
    because every process must take part in every backward pass. ``weights`` are those of `randomness.order`.
    """

    count: int
    batch_size: int
    seed: int
    start: tuple[int, int] = (0, 0)
    rank: int = 0
    world: int = 1
    shuffle: bool = True
    weights: np.ndarray | None = None

    @property
    def per_epoch(self) -> int:
        """Batches in one epoch."""
        return math.ceil(self.count / self.batch_size)

    def __iter__(self) -> Iterator[list[Address]]:
        epoch, first = self.start
        while True:
            indices = order(self.seed, epoch, self.count, self.weights) if self.shuffle else np.arange(self.count)
            drawn = epoch if self.shuffle else -1
            for batch in range(first, self.per_epoch):
                whole = indices[batch * self.batch_size : (batch + 1) * self.batch_size]
                share = np.array_split(whole, self.world)[self.rank]
                yield [(drawn, int(index), True) for index in share] or [(drawn, int(whole[0]), False)]
            epoch, first = epoch + 1, 0


class Addressed(Dataset[Any]):
    """Samples by address, as PyTorch's loader asks for them, and how their rows become a batch."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, address: Address) -> dict[str, Any] | InputError:
        epoch, index, counts = address
        try:
            return {**self.samples.sample(index, epoch), "index": index if counts else -1}
        except InputError as error:
            return error  # raised in a worker it would reach the user as the text of a traceback

    def collate(self, rows: Sequence[Any]) -> dict[str, Any] | InputError:
        """``inputs`` and ``targets`` by name and ``index``, as tensors; an error stays an error."""
        error = next((row for row in rows if isinstance(row, InputError)), None)
        if error is not None:
            return error
        index = torch.tensor([row.pop("index") for row in rows])
        targets = getattr(self.samples, "collate", stacked)(rows)
        names = getattr(self.samples, "inputs", ("images",))
        inputs = {name: targets.pop(name) for name in names if name in targets}
        return {"inputs": inputs, "targets": targets, "index": index}


def stacked(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Arrays of one shape to tensors with a batch axis; ``images`` become ``(B, C, H, W)``."""
    arrays = {key: np.stack([np.asarray(row[key]) for row in rows]) for key in rows[0]}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    if "images" in tensors:  # permuting (not copying) leaves the channels last in memory, which convolutions want
        tensors["images"] = tensors["images"].permute(0, 3, 1, 2)
    return tensors


def to_batch(collated: Mapping[str, Any] | InputError, device: torch.device) -> Batch:
    """Move a collated batch to the device.

    Raises:
        InputError: what a sample of the batch raised, with its file and row.
    """
    if isinstance(collated, InputError):
        raise collated
    inputs = {name: value.to(device, non_blocking=True) for name, value in collated["inputs"].items()}
    targets = {name: value.to(device, non_blocking=True) for name, value in collated["targets"].items()}
    return Batch(inputs, targets, collated["index"].to(device))
