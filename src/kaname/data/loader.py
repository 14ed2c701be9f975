"""The loader processes: how they start, survive the signals of their group, keep their memory and end.

What they make is described in `kaname.data.dataset`; any number of them gives the same batches.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch.utils.data import DataLoader

from kaname.data.dataset import Addressed, Batches, Samples
from kaname.memory import reuse_memory

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
HELD = (signal.SIGINT, signal.SIGTERM)


def loader(samples: Samples, batches: Batches, *, num_workers: int, pin_memory: bool = False) -> DataLoader[Any]:
    """An endless loader over ``batches``; workers live as long as its iterator, which :func:`open_stream` makes.

    A data set with ``in_process = True`` (cached features) is read in this process, whatever ``num_workers``.
    """
    workers = choose_workers(len(samples)) if num_workers < 0 else num_workers
    workers = 0 if getattr(samples, "in_process", False) else workers
    addressed = Addressed(samples)
    return DataLoader(
        addressed,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=addressed.collate,
        pin_memory=pin_memory,
        worker_init_fn=_parent().start_worker if workers else None,
        prefetch_factor=4 if workers else None,
    )


def open_stream(stream: DataLoader[Any]) -> Iterator[Any]:
    """The loader's iterator. No signal reaches a worker before its handlers are installed: it would end it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD) if hasattr(signal, "pthread_sigmask") else None
    try:
        return iter(stream)
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def close_stream(stream: Iterator[Any]) -> None:
    """End the loader processes of an iterator now.

    Left to the garbage collector, which takes a failed run apart in any order, each could take seconds: their queue may
    be gone before it has told them to end.
    """
    getattr(stream, "_shutdown_workers", lambda: None)()


def choose_workers(count: int) -> int:
    """How many loader processes pay off: none for a handful of samples, else up to four and at most one per core."""
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
