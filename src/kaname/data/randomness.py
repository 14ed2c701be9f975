"""Stateless randomness: every draw comes from (seed, epoch, index, purpose), so nothing has to be remembered."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, epoch: int, index: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose of one sample of one epoch (from -1); equal arguments give equal draws everywhere."""
    return np.random.default_rng([seed, epoch + 1, index, zlib.crc32(purpose.encode())])


def order(seed: int, epoch: int, count: int, weights: np.ndarray | None = None) -> np.ndarray:
    """The order of ``count`` samples in one epoch: ``(count,)`` int64.

    With ``weights`` ``(count,)``, at least 0 and not all 0, that many samples are drawn with replacement by weight.
    """
    random = generator(seed, epoch, 0, "order")
    if weights is None:
        return random.permutation(count)
    return random.choice(count, size=count, p=weights / weights.sum()).astype(np.int64)
