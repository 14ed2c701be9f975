"""COCO's run-length encoding of masks: lengths of runs of 0 and 1 in turn, down the columns. No torch.

The compressed text writes each length as its difference from the one two before (from the fourth on), in groups of five
bits, least significant first, as characters from ``0`` on; a sixth bit says that more follow.

>>> encode(np.array([[0, 1], [1, 1]]))
{'size': [2, 2], 'counts': '13'}
>>> decode({"size": [2, 2], "counts": [1, 3]}).astype(int)
array([[0, 1],
       [1, 1]])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST = 48  # the character "0"
BITS, MORE, SIGN = 5, 0x20, 0x10


def encode(mask: NDArray[Any]) -> dict[str, Any]:
    """A mask ``(h, w)``, everything but 0 inside, as ``{"size": [h, w], "counts": TEXT}``."""
    flat = (mask != 0).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat, prepend=False))  # the first run is of 0, and may have length 0
    counts = np.diff(ends, prepend=0, append=flat.size).tolist()
    return {"size": [int(side) for side in mask.shape], "counts": _text(counts)}


def decode(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The mask ``(h, w)`` of an encoding whose counts are a text or a list.

    Raises:
        ValueError: not an encoding, or its runs do not fill the size.
    """
    height, width = (int(side) for side in rle["size"])
    counts = _counts(rle["counts"]) if isinstance(rle["counts"], str) else [int(count) for count in rle["counts"]]
    if min(height, width, *counts) < 0 or sum(counts) != height * width:
        raise ValueError(f"runs of {sum(counts)} pixels for {height} x {width}")
    runs = np.arange(len(counts)) % 2 == 1
    return np.repeat(runs, counts).reshape((height, width), order="F")


def _text(counts: list[int]) -> str:
    letters: list[str] = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            group, value = value & (MORE - 1), value >> BITS
            more = value != (-1 if group & SIGN else 0)
            letters.append(chr(FIRST + group + MORE * more))
    return "".join(letters)


def _counts(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        group = ord(letter) - FIRST
        if not 0 <= group < 2 * MORE:
            raise ValueError(f"{letter!r} does not belong in a run length")
        value |= (group & (MORE - 1)) << shift
        shift += BITS
        if not group & MORE:
            if group & SIGN:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("the last run length is cut off")
    return counts
