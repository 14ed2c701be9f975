"""Stateless randomness: every draw comes from (seed, epoch, index, purpose), so nothing has to be remembered."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, epoch: int, index: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose of one sample of one epoch (from -1); equal arguments give equal draws everywhere."""
    return np.random.default_rng([seed, epoch + 1, index, zlib.crc32(purpose.encode())])


def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of ``count`` samples in one epoch: ``(count,)`` int64."""
    return generator(seed, epoch, 0, "order").permutation(count)
