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

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.roi_mask import NOWHERE, Region

FIRST = 48  # the character "0"
BITS, MORE, SIGN = 5, 0x20, 0x10
GREATEST_BITS = 60  # of a length


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
    return drawn(counts(rle), height, width)


def cut_out(rle: Mapping[str, Any]) -> Region:
    """The mask of an encoding in the least part of its image that holds it; its other columns are not decoded.

    Raises:
        ValueError: not an encoding, or its runs do not fill the size.
    """
    return cut_out_each([rle])[0]


def cut_out_each(rles: Sequence[Mapping[str, Any]]) -> list[Region]:
    """:func:`cut_out` of several encodings, whose texts are read in one go."""
    return [_part(lengths, int(rle["size"][0])) for rle, lengths in zip(rles, counts_each(rles), strict=True)]


def _part(lengths: NDArray[np.int64], height: int) -> Region:
    there = np.flatnonzero(lengths[1::2])
    if not len(there):
        return NOWHERE
    first, last = 2 * there[0], 2 * there[-1] + 1  # runs outside, before the mask, and of the mask
    begin, end = int(lengths[: first + 1].sum()), int(lengths[: last + 1].sum())
    left, right = begin // height, -(-end // height)
    own = np.concatenate([[begin - left * height], lengths[first + 1 : last + 1], [right * height - end]])
    return Region.of(drawn(own, height, right - left), column=left)


def drawn(lengths: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """The mask ``(height, width)`` of the lengths of runs."""
    runs = np.arange(len(lengths)) % 2 == 1
    return np.repeat(runs, lengths).reshape((height, width), order="F")


def counts(rle: Mapping[str, Any]) -> NDArray[np.int64]:
    """The lengths ``(L,)`` of the runs of an encoding: outside, inside, outside, ... down the columns.

    Raises:
        ValueError: not an encoding, or its runs do not fill the size.
    """
    return counts_each([rle])[0]


def counts_each(rles: Sequence[Mapping[str, Any]]) -> list[NDArray[np.int64]]:
    """:func:`counts` of several encodings, whose texts are read in one go: of one alone NumPy's calls cost the most."""
    texts = iter(_lengths([rle["counts"] for rle in rles if isinstance(rle["counts"], str)]))
    found: list[NDArray[np.int64]] = []
    for rle in rles:
        height, width = (int(side) for side in rle["size"])
        given = rle["counts"]
        lengths = next(texts) if isinstance(given, str) else np.array([int(count) for count in given], np.int64)
        if min(height, width, lengths.min(initial=0)) < 0 or lengths.sum() != height * width:
            raise ValueError(f"runs of {int(lengths.sum())} pixels for {height} x {width}")
        found.append(lengths)
    return found


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


def _lengths(texts: Sequence[str]) -> list[NDArray[np.int64]]:
    if not texts:
        return []
    whole, after = "".join(texts), np.cumsum([len(text) for text in texts])
    groups = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64) - FIRST
    if len(groups) and (groups.min() < 0 or groups.max() >= 2 * MORE):
        wrong = int(((groups < 0) | (groups >= 2 * MORE)).argmax())
        raise ValueError(f"{whole[wrong]!r} does not belong in a run length")
    if not all(texts) or (groups[after - 1] & MORE).any():
        raise ValueError("the last run length is cut off")
    ends = np.flatnonzero((groups & MORE) == 0)
    begin = np.zeros_like(ends)
    begin[1:] = ends[:-1] + 1
    sizes = ends - begin + 1
    if sizes.max() * BITS > GREATEST_BITS:
        raise ValueError("a run length has too many digits")
    shifts = BITS * (np.arange(len(groups)) - begin.repeat(sizes))
    values = np.add.reduceat((groups & (MORE - 1)) << shifts, begin)
    values -= ((groups[ends] & SIGN) != 0) * (1 << BITS * sizes)
    found = [values[first:last] for first, last in itertools.pairwise([0, *np.searchsorted(ends, after).tolist()])]
    for own in found:
        for first in (1, 2):  # from the fourth on a length is the difference to the one two before
            own[first::2].cumsum(out=own[first::2])
    return found
