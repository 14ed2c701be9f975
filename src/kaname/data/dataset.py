"""From samples to batches: one endless, seekable stream for any number of workers and processes.

A data set is any object with ``__len__`` and ``sample(index, epoch) -> dict`` of NumPy arrays, of which ``image``
is uint8 ``(H, W, 3)``; ``epoch`` is -1 for a pass without augmentation. A recipe writes that one method; order,
sharding, workers and resuming are here. Two more are welcome: ``name(index)`` says in a message which sample it was,
and ``missing`` names the arrays in which NaN is no fault but marks what is not there.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from kaname.data.randomness import order
from kaname.errors import InputError
from kaname.types import Batch

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT_BYTES = 1 << 30
HELD = (signal.SIGINT, signal.SIGTERM)
Address = tuple[int, int, bool]  # epoch, index, whether it counts


class Samples(Protocol):
    """What a recipe's data set offers."""

    def __len__(self) -> int: ...

    def sample(self, index: int, epoch: int) -> Mapping[str, np.ndarray]: ...


@dataclass(frozen=True)
class Position:
    """Where a stream of batches starts: an epoch and a batch within it."""

    epoch: int = 0
    batch: int = 0


class Batches(Sampler[list[Address]]):
    """Addresses of one process's share of every batch, from ``start`` on, epoch after epoch without an end.

    A batch of ``batch_size`` samples is cut into ``world`` contiguous shares, whose sums add up to the sums of one
    process. The last batch of an epoch may be smaller; a process without a share gets one sample that does not count,
    because every process must take part in every backward pass. ``weights`` are those of `randomness.order`.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int,
        start: Position,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        weights: np.ndarray | None = None,
    ) -> None:
        self.count, self.batch_size, self.seed, self.start = count, batch_size, seed, start
        self.rank, self.world, self.shuffle, self.weights = rank, world, shuffle, weights

    @property
    def per_epoch(self) -> int:
        """Batches in one epoch."""
        return math.ceil(self.count / self.batch_size)

    def __iter__(self) -> Iterator[list[Address]]:
        epoch, first = self.start.epoch, self.start.batch
        while True:
            indices = order(self.seed, epoch, self.count, self.weights) if self.shuffle else np.arange(self.count)
            for batch in range(first, self.per_epoch):
                whole = indices[batch * self.batch_size : (batch + 1) * self.batch_size]
                share = np.array_split(whole, self.world)[self.rank]
                address_epoch = epoch if self.shuffle else -1
                if len(share):
                    yield [(address_epoch, int(index), True) for index in share]
                else:
                    yield [(address_epoch, int(whole[0]), False)]
            epoch, first = epoch + 1, 0


class _Addressed(Dataset[Any]):
    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, address: Address) -> dict[str, Any] | InputError:
        epoch, index, counts = address
        try:
            return {**self.samples.sample(index, epoch), "index": np.int64(index if counts else -1)}
        except InputError as error:
            # Raised in a worker it would reach the user as the text of a traceback.
            return error


def collate(rows: list[dict[str, Any] | InputError]) -> dict[str, torch.Tensor] | InputError:
    """Rows of arrays to tensors with a batch axis; images become ``(B, 3, H, W)``. An error stays an error."""
    for row in rows:
        if isinstance(row, InputError):
            return row
    return _stacked([row for row in rows if not isinstance(row, InputError)])


def _stacked(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    arrays = {key: np.stack([np.asarray(row[key]) for row in rows]) for key in rows[0]}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    if "image" not in tensors:  # samples of cached features
        tensors["image"] = torch.zeros((len(rows), 3, 0, 0), dtype=torch.uint8)
        return tensors
    # Permuting (not copying) leaves the channels last in memory, which is what convolutions want.
    tensors["image"] = tensors["image"].permute(0, 3, 1, 2)
    return tensors


def to_batch(tensors: Mapping[str, torch.Tensor] | InputError, device: torch.device) -> Batch:
    """Move a collated batch to the device.

    Raises:
        InputError: what a sample of the batch raised, with its file and row.
    """
    if isinstance(tensors, InputError):
        raise tensors
    moved = {key: value.to(device, non_blocking=True) for key, value in tensors.items()}
    return Batch(images=moved.pop("image"), index=moved.pop("index"), targets=moved)


def loader(samples: Samples, batches: Batches, *, num_workers: int, pin_memory: bool = False) -> DataLoader[Any]:
    """An endless loader over ``batches``; workers live as long as its iterator, which :func:`open_stream` makes.

    A data set with ``in_process = True`` (cached features) is read in this process, whatever ``num_workers``.
    """
    workers = choose_workers(len(samples)) if num_workers < 0 else num_workers
    workers = 0 if getattr(samples, "in_process", False) else workers
    return DataLoader(
        _Addressed(samples),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_parent().start_worker if workers else None,
        prefetch_factor=4 if workers else None,
    )


def open_stream(stream: DataLoader[Any]) -> Iterator[Any]:
    """The loader's iterator. No signal reaches a worker before its own handlers stand: one would end it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD) if hasattr(signal, "pthread_sigmask") else None
    try:
        return iter(stream)
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def close_stream(stream: Iterator[Any]) -> None:
    """End the loader processes of an iterator now.

    Left to the garbage collector, which takes a failed run's parts in any order, each would be waited for for seconds:
    their queue may be gone before it has told them to end.
    """
    getattr(stream, "_shutdown_workers", lambda: None)()


def reuse_memory() -> None:
    """Let this process keep the memory that it frees, where the C library can be told (glibc).

    By default each array of some megabytes comes from the system and goes back, page by page. Measured on two cores:
    resizing 640 x 360 to 512 x 288 took 4.1 ms of CPU time and takes 1.4, a training step of the small U-Net 0.25 s
    and 0.20.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def choose_workers(count: int) -> int:
    """Loader processes that pay: none for a handful of samples, else up to four and at most one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if count < 32 else max(1, min(4, cores - 1))


class _Parent:
    """One byte that loader processes share with the process that started them: whether it is on its way out."""

    def __init__(self) -> None:
        self.leaving = multiprocessing.RawValue("b", 0)
        atexit.register(self.leave)  # runs before multiprocessing's own exit, which terminates the workers

    def leave(self) -> None:
        self.leaving.value = 1

    def start_worker(self, _: int) -> None:
        """Prepare a new loader process."""
        import cv2

        # A terminal's Ctrl-C and a scheduler's SIGTERM reach the whole process group. The parent finishes its step and
        # saves; it needs its workers until then. Only the SIGTERM of a parent that leaves ends them.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if self.leaving.value else None)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)  # held back by `open_stream`
        _die_with(multiprocessing.parent_process())
        reuse_memory()
        cv2.setNumThreads(0)  # forked workers must not touch the parent's thread pool
        torch.set_num_threads(1)


def _die_with(parent: BaseProcess | None) -> None:
    """A parent that is killed takes its workers along. They would notice within seconds, but not while they start."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        forked = multiprocessing.get_start_method() == "fork"
        if forked and parent is not None and os.getppid() != parent.pid:
            os._exit(1)


@functools.cache
def _parent() -> _Parent:
    return _Parent()
