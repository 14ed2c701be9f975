"""COCO's run lengths, against cases computed by hand and against a slow reading of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as reference

from kaname.codecs.roi_mask import Region
from kaname.data.formats.rle import counts, cut_out, cut_out_each, decode, encode

# By hand: lengths down the columns, from the fourth on as the difference to the one two before; below 16 a length is
# one character from "0" on, 16 is 0b10000 and must say that more follow (0x30 + 0x20 + 16 = "`") and then 0.
CASES = [
    ([[0, 0], [0, 0]], [4], "4"),
    ([[1, 1], [1, 1]], [0, 4], "04"),
    ([[0, 1], [1, 1]], [1, 3], "13"),
    ([[1, 0], [0, 1]], [0, 1, 2, 1], "0120"),  # 1 - 1 = 0
    ([[0] * 15], [15], "?"),
    ([[0] * 16], [16], "`0"),
    ([[0] * 31], [31], "o0"),
    ([[0] * 32], [32], "P1"),
    ([[0] * 1000], [1000], "Xo0"),  # 1000 = 31 * 32 + 8: 8 and more, 31 and more (its sign bit is set), 0
    ([[0, 0, 0, 1, 1, 1, 0, 1]], [3, 3, 1, 1], "331N"),  # 1 - 3 = -2: 0b11110, one group, since what is left is -1
    ([[1, 0, 1, 0, 0, 1]], [0, 1, 1, 1, 2, 1], "011010"),  # 1 - 1, 2 - 1, 1 - 1
]


@pytest.mark.parametrize(("mask", "counts", "text"), CASES)
def test_by_hand(mask: list, counts: list[int], text: str) -> None:
    array = np.array(mask)
    assert encode(array) == {"size": list(array.shape), "counts": text}
    for given_ in (text, counts):
        np.testing.assert_array_equal(decode({"size": array.shape, "counts": given_}), array != 0)


@given(st.integers(0, 2**32 - 1))
def test_there_and_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 90, 2)
    mask = random.random((height, width)) < random.choice([0.01, 0.5, 0.99])
    if seed % 2:
        mask = np.repeat(mask, random.integers(1, 40), axis=0)
    made = encode(mask)
    np.testing.assert_array_equal(decode(made), mask)
    runs, last = [0], False
    for value in mask.T.ravel():
        if value != last:
            runs.append(0)
            last = value
        runs[-1] += 1
    np.testing.assert_array_equal(decode({"size": list(mask.shape), "counts": runs}), mask)
    assert encode(decode({"size": list(mask.shape), "counts": runs}))["counts"] == made["counts"]


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [2, 2], "counts": "3"},
        {"size": [2, 2], "counts": [5]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": "o"},
        {"size": [2, 2], "counts": ""},
        {"size": [2, 2], "counts": []},
        {"size": [2, 2], "counts": "o" * 40 + "0"},
        {"size": [2, 2], "counts": "\x7f"},
        {"size": [2], "counts": "4"},
        {"size": [-2, -2], "counts": [4]},
    ],
)
def test_what_is_none(rle: dict) -> None:
    with pytest.raises(ValueError):
        decode(rle)


@given(st.integers(0, 2**32 - 1))
def test_the_same_as_pycocotools(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random(random.integers(1, 60, 2)) < random.choice([0.02, 0.5, 1.0])
    mask = np.repeat(np.repeat(mask, random.integers(1, 60), axis=0), random.integers(1, 9), axis=1)
    theirs = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode(mask) == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    np.testing.assert_array_equal(decode({"size": mask.shape, "counts": theirs["counts"].decode()}), mask)


@given(st.integers(0, 2**32 - 1))
def test_cut_out_is_the_least_part_of_the_mask(seed: int) -> None:
    random = np.random.default_rng(seed)
    masks = [random.random(random.integers(1, 60, 2)) < random.choice([0.0, 0.01, 0.5, 1.0]) for _ in range(3)]
    for mask, region in zip(masks, cut_out_each([encode(mask) for mask in masks]), strict=True):
        np.testing.assert_array_equal(region.within(*(slice(0, side) for side in mask.shape)), mask)
        assert region.inside.shape == Region.of(mask).inside.shape
    runs = counts(encode(masks[0])).tolist()
    runs[1:1] = [0, 0]
    spread = {"size": list(masks[0].shape), "counts": runs}
    np.testing.assert_array_equal(cut_out(spread).inside, Region.of(masks[0]).inside)
