"""Parts of a set of images that are drawn at random, without taking apart what belongs together.

What shows nearly the same (near copies, images of one series) goes into one part as a whole: on both sides of a split
it would measure memory instead of skill.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction

import numpy as np

from kaname.errors import InputError


def together(count: int, links: Iterable[tuple[int, int]], keys: Sequence[Iterable[Hashable]] = ()) -> list[list[int]]:
    """The groups of ``0 .. count - 1``: what is linked, or shares a key, directly or through others.

    >>> together(5, [(0, 3)], [["a"], ["b"], [], ["c"], ["b"]])
    [[0, 3], [1, 4], [2]]
    """
    owner = list(range(count))

    def root(one: int) -> int:
        while owner[one] != one:
            owner[one] = owner[owner[one]]
            one = owner[one]
        return one

    holders: dict[Hashable, int] = {}
    shared = [(number, holders.setdefault(key, number)) for number, given in enumerate(keys) for key in given]
    for one, other in itertools.chain(links, shared):
        first, second = sorted((root(one), root(other)))
        owner[second] = first
    groups: dict[int, list[int]] = {}
    for one in range(count):
        groups.setdefault(root(one), []).append(one)
    return list(groups.values())


def counts_of(total: int, ratios: Sequence[float]) -> list[int]:
    """How many of ``total`` each part gets: its share rounded down, the last one the rest.

    Shares are those of the numbers as they are written: 0.7 of 90 is 63, though ``90 * 0.7`` is a little less.

    >>> counts_of(90, [0.7, 0.2, 0.1])
    [63, 18, 9]

    Raises:
        InputError: a ratio outside 0..1, or ratios that do not sum to 1.
    """
    exact = [Fraction(str(ratio)) if math.isfinite(ratio) else Fraction(-1) for ratio in ratios]
    if any(not 0 <= ratio <= 1 for ratio in exact):
        raise InputError(f"a ratio lies in 0..1, got {', '.join(map(str, ratios))}", remedy="0.7, 0.2, 0.1 for example")
    if abs(sum(exact) - 1) > Fraction(1, 10**6):
        remedy = f"make the last one {float(1 - sum(exact[:-1])):g}" if sum(exact[:-1]) < 1 else "make them smaller"
        raise InputError(
            f"the ratios {' + '.join(map(str, ratios))} sum to {float(sum(exact)):g}, not 1", remedy=remedy
        )
    first = [math.floor(total * ratio) for ratio in exact[:-1]]
    return [*first, total - sum(first)]


def deal(groups: Sequence[Sequence[int]], counts: Sequence[int], seed: int) -> list[list[int]]:
    """Deal whole groups into parts of about these sizes; exactly, where the groups allow it.

    The large groups are dealt first, each into a part drawn with the chance of what it still lacks; single ones fill
    the parts up. The same groups, sizes and seed give the same parts.

    Returns:
        the members of each part, sorted.
    """
    random = np.random.default_rng(seed)
    shuffled = [groups[place] for place in random.permutation(len(groups)).tolist()]
    lacking = np.array(counts, dtype=np.int64)
    parts: list[list[int]] = [[] for _ in counts]
    for group in sorted(shuffled, key=len, reverse=True):
        fitting = np.where(lacking >= len(group), lacking, 0)
        if len(group) > 1 and fitting.any():
            part = int(random.choice(len(parts), p=fitting / fitting.sum()))
        else:  # a single one goes to the first part that lacks one, what fits nowhere to where most is lacking
            part = int(np.argmax(fitting > 0 if fitting.any() else lacking))
        parts[part] += group
        lacking[part] -= len(group)
    return [sorted(part) for part in parts]
