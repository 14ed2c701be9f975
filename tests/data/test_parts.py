"""Parts drawn at random: exact where they can be, whole groups always."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kaname.data.parts import counts_of, deal, together
from kaname.errors import InputError


def test_together() -> None:
    assert together(4, []) == [[0], [1], [2], [3]]
    assert together(6, [(4, 5), (1, 4)], [["a"], [], [], ["a", "b"], [], []]) == [[0, 3], [1, 4, 5], [2]]
    assert together(3, [], [["a"], ["a", "b"], ["b"]]) == [[0, 1, 2]]


@pytest.mark.parametrize("ratio", [0.7, 0.29, 0.57, 0.1])
def test_counts_are_exact(ratio: float) -> None:
    """Of hundredths, in whole numbers: no share is one too low because of how it is stored."""
    for total in range(0, 2000, 7):
        assert counts_of(total, [ratio, 1 - ratio])[0] == total * round(ratio * 100) // 100


@pytest.mark.parametrize("ratios", [(0.5, 0.6), (0.5, 0.4), (-0.5, 1.5), (float("inf"), 0.0)])
def test_ratios_that_are_none(ratios: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        counts_of(10, ratios)


def test_single_ones_fill_the_parts_exactly() -> None:
    random = np.random.default_rng(0)
    for seed in range(30):
        counts = counts_of(int(random.integers(10, 60)), [0.7, 0.2, 0.1])
        parts = deal([[number] for number in range(sum(counts))], counts, seed)
        assert [len(part) for part in parts] == counts
        assert sorted(itertools.chain(*parts)) == list(range(sum(counts)))


def test_groups_stay_whole_and_single_ones_make_up_for_them() -> None:
    groups = [[0, 1, 2], [3, 4], *([number] for number in range(5, 40))]
    seen = set()
    for seed in range(40):
        parts = deal(groups, [28, 8, 4], seed)
        assert [len(part) for part in parts] == [28, 8, 4]
        sides = [{number for number, part in enumerate(parts) if set(group) & set(part)} for group in groups[:2]]
        assert all(len(side) == 1 for side in sides)
        seen.add((*sides[0], *sides[1]))
        assert deal(groups, [28, 8, 4], seed) == parts
    assert len(seen) > 4, "groups do not always go to the largest part"


def test_groups_too_large_for_exact_counts() -> None:
    parts = deal([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], [7, 3], 0)
    assert sorted(map(len, parts)) == [5, 5] and sorted(itertools.chain(*parts)) == list(range(10))
