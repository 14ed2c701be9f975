"""Equality of values that hold arrays, of which NumPy does not say whether they are equal as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np


class Compared:
    """Values of one kind are equal where all that they hold is, arrays element by element and NaN as NaN."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        named = [each.name for each in fields(self)]  # pyright: ignore[reportArgumentType]
        return all(_alike(getattr(self, name), getattr(other, name)) for name in named)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # arrays have none


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
