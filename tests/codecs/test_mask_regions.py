"""Which pixels belong to whom, and the outlines."""

from __future__ import annotations

import doctest
import subprocess
import sys

import numpy as np
import pytest

from kaname.codecs import mask_regions as module
from kaname.codecs.mask_regions import Choice, Region, outlines, regions, score
from kaname.codecs.roi_mask import inside, paste_probabilities, softmax
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.types import Masks

CLASSES = ("background", "target", "non_target")
SIZE = (37, 52)


def test_doctests() -> None:
    assert doctest.testmod(module).failed == 0


def crowd(seed: int, count: int = 14) -> Masks:
    random = np.random.default_rng(seed)
    corners = random.uniform(-8, 45, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.2, 30, (count, 2))], axis=1)
    return Masks(softmax(random.normal(0, 2, (count, 3, 5, 4))), boxes, CLASSES, SIZE)


def whole(masks: Masks, choice: Choice) -> np.ndarray:
    full = np.zeros((len(masks.boxes), *masks.size), bool)
    for one, region in zip(full, regions(masks, choice), strict=True):
        one[region.rows, region.columns] = region.inside
    return full


@pytest.mark.parametrize("seed", range(5))
def test_they_are_the_pasted_probabilities(seed: int) -> None:
    masks = crowd(seed)
    pasted = paste_probabilities(masks.probabilities, masks.boxes, SIZE)
    p0, p1, p2 = pasted[:, 0], pasted[:, 1], pasted[:, 2]
    plain = whole(masks, Choice())
    np.testing.assert_array_equal(plain, pasted.argmax(axis=1) == 1)
    np.testing.assert_array_equal(whole(masks, Choice(0.3)), p1 > 0.3)
    share = np.divide(p1, p1 + p2, out=np.zeros_like(p1), where=p1 + p2 > 0)
    np.testing.assert_array_equal(whole(masks, Choice(0.6, rescore=True)), (share > 0.6) & (p1 + p2 > p0))
    for threshold in (None, 0.25):
        kept, alone = (whole(masks, Choice(threshold, overlap=how)) for how in ("keep", "exclusive"))
        owner = np.where(kept, p1, -1).argmax(axis=0)
        expected = kept.any(axis=0) & (np.arange(len(kept))[:, None, None] == owner)
        np.testing.assert_array_equal(alone, expected)
        assert (kept.sum(axis=0) > 1).any() and alone.sum(axis=0).max() == 1


def test_equal_ones_go_to_the_first() -> None:
    one = crowd(1, 1)
    box = np.array([[5.0, 5, 30, 30]])
    twins = Masks(np.repeat(one.probabilities, 2, 0), np.repeat(box, 2, 0), CLASSES, SIZE)
    first, second = whole(twins, Choice(overlap="exclusive"))
    np.testing.assert_array_equal(first, whole(twins, Choice())[0])
    assert first.any() and not second.any()


def test_scores() -> None:
    cells = softmax(np.random.default_rng(2).normal(0, 2, (1, 3, 6, 6)))[0]
    mine = cells.argmax(axis=0) == 1
    assert score(cells) == pytest.approx(cells[1][mine].mean())
    assert score(cells, Choice(rescore=True)) == pytest.approx((cells[1] / (cells[1] + cells[2]))[mine].mean())
    assert score(np.stack([np.ones((2, 2)), np.zeros((2, 2))]).astype(np.float32)) == 0
    with pytest.raises(InputError, match="no class of other persons"):
        score(np.full((2, 2, 2), [[[0.2]], [[0.8]]], np.float32), Choice(rescore=True))


@pytest.mark.parametrize("wrong", [{"threshold": 1.0}, {"threshold": -0.1}, {"overlap": "both"}])
def test_a_choice_is_checked(wrong: dict) -> None:
    with pytest.raises(InputError, match=r"threshold must be|unknown overlap"):
        Choice(**wrong)


@pytest.mark.parametrize("seed", range(12))
def test_outlines_are_exact(seed: int) -> None:
    """Rings filled and holes taken out give the mask back, whatever touches at a corner."""
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 25, 2).tolist()
    mask = random.random((height, width)) < random.uniform(0.2, 0.95)
    top, left = random.integers(0, 9, 2).tolist()
    outer, holes = outlines(Region(slice(top, top + height), slice(left, left + width), mask))
    size = (top + height, left + width)
    still = Affine(np.eye(2, 3))
    expected = np.zeros(size, bool)
    expected[top:, left:] = mask
    filled, empty = (inside(rings, still, size) for rings in (outer, holes))
    np.testing.assert_array_equal(filled & ~empty, expected)
    assert all((ring == np.rint(ring)).all() and len(ring) >= 4 for ring in [*outer, *holes])


def test_a_hole_is_one_and_nothing_has_no_outline() -> None:
    ring = np.pad(np.zeros((2, 2), bool), 3, constant_values=True)
    outer, holes = outlines(Region(slice(0, 8), slice(0, 8), ring))
    assert [one.tolist() for one in outer] == [[[0, 0], [0, 8], [8, 8], [8, 0]]]
    assert len(holes) == 1 and sorted(map(tuple, np.unique(holes[0], axis=0))) == [(3, 3), (3, 5), (5, 3), (5, 5)]
    assert outlines(Region(slice(0, 0), slice(0, 0), np.zeros((0, 0), bool))) == ([], [])


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from kaname.codecs.mask_regions import Choice
from kaname.data.formats import masks
from kaname.types import Masks, Prediction
count, size, random = int(sys.argv[1]), (3000, 4000), np.random.default_rng(0)
corners = random.uniform(0, [3500, 2400], (count, 2))
boxes = np.concatenate([corners, corners + random.uniform(200, 900, (count, 2))], axis=1)
boxes[0] = [0, 0, 4000, 3000]
cells = random.dirichlet([1, 1, 1], (count, 7, 7)).transpose(0, 3, 1, 2).astype(np.float32)
answer = Masks(cells, boxes, ("background", "target", "non_target"), size)
choice = Choice(0.4, overlap="exclusive")
masks.write(Path(sys.argv[2]), [Prediction("a", answer)], recipe="r", model="m", settings={}, choice=choice)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_boxes(tmp_path) -> None:
    """A hundred boxes on twelve megapixels, each up to the file, in the memory of one and at most 500 MB."""
    pytest.importorskip("resource")

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.json"
        return int(
            subprocess.run(
                [sys.executable, "-c", MEMORY, str(count), str(path)], capture_output=True, text=True, check=True
            ).stdout
        )

    one, hundred = peak(1), peak(100)
    print(f"peak memory: {one} MB with one box, {hundred} MB with 100")
    assert hundred < one + 500
