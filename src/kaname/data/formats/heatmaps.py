"""Heatmaps as labels: NumPy files of float32 ``(channels, side, side)`` with values in 0..1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaname.errors import InputError

ROUNDING = 1e-4  # by how much other programs' heatmaps may leave 0..1
AGAIN = "write it again with `kaname gauge heatmaps`"


def read_heatmaps(path: Path, channels: int, size: int | None = None) -> np.ndarray:
    """A label file: float32 ``(channels, size, size)`` with values in 0..1.

    Args:
        size: the side that it must have; None takes any.

    Raises:
        InputError: another shape, NaN, values outside 0..1, not a NumPy file.
    """
    try:
        maps = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:  # a damaged header may be anything
        raise InputError("not a NumPy array file", path=path, remedy=AGAIN) from error
    if not isinstance(maps, np.ndarray):
        raise InputError("several arrays (.npz) instead of one", path=path, remedy=AGAIN)
    square = maps.ndim == 3 and maps.shape[0] == channels and maps.shape[1] == maps.shape[2] > 0
    if not square or size not in (None, maps.shape[1]):
        side = size or (maps.shape[1] if square else 448)
        wanted = f"({channels}, {size}, {size})" if size else f"({channels}, SIZE, SIZE)"
        reason, remedy = f"heatmaps of shape {maps.shape} instead of {wanted}", f"{AGAIN[:-1]} --size {side}`"
        raise InputError(reason, path=path, remedy=remedy)
    if maps.dtype.kind not in "fiu" or not np.isfinite(maps).all():
        raise InputError("heatmaps contain NaN or infinity", path=path, remedy=AGAIN)
    if maps.min() < -ROUNDING or maps.max() > 1 + ROUNDING:
        reason = f"heatmap values range from {maps.min():.6g} to {maps.max():.6g} instead of 0..1"
        raise InputError(reason, path=path, remedy=AGAIN)
    return maps.astype(np.float32, copy=False).clip(0, 1)
