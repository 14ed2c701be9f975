"""Which frames get a mask, and where a video is cut."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.data.seeking import VideoIndex
from kaname.errors import InputError
from kaname.recipes.kpnet.masks import wanted
from kaname.recipes.kpnet.prompts import Annotated
from kaname.recipes.kpnet.stretch import stretches


def index_of(times: list[float]) -> VideoIndex:
    stamps = np.round(np.array(times) * 90_000).astype(np.int64)
    return VideoIndex(stamps, np.zeros((1, 2), np.int64), len(times), 1 / 90_000)


STEADY = index_of([number / 29.97 for number in range(90)])


@pytest.mark.parametrize(
    ("fps", "labelled", "numbers"),
    [
        (0, [], list(range(90))),
        (100, [], list(range(90))),
        (10, [], [round(29.97 * tick / 10) for tick in range(30)]),
        (1, [], [0, 30, 60]),
        (1, [29, 58], [0, 29, 30, 58, 60]),
        (0.1, [7], [0, 7]),
    ],
)
def test_frames_that_get_a_mask(fps: float, labelled: list[int], numbers: list[int]) -> None:
    assert wanted(STEADY, fps, labelled) == numbers


def test_frames_at_uneven_times() -> None:
    """The nearest one to each tick, once; a film that does not begin at 0."""
    uneven = index_of([5.0, 5.04, 5.55, 5.9, 6.6, 7.02])
    assert wanted(uneven, 1, []) == [0, 3, 5]
    assert wanted(uneven, 2, []) == [0, 2, 3, 4, 5]
    assert wanted(index_of([3.0]), 10, [0]) == [0]


def test_a_film_without_times() -> None:
    untold = VideoIndex(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), 5, 1.0)
    assert wanted(untold, 0, [3]) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="does not say when its frames are shown; give --fps 0"):
        wanted(untold, 10, [3])


def test_every_frame_has_one_stretch() -> None:
    labelled = [Annotated(number, {}, ()) for number in (5, 20, 41)]
    numbers = sorted({*range(0, 60, 3), 5, 20, 41})
    found = stretches(numbers, labelled)
    assert [stretch.span for stretch in found] == [[None, 5], [5, 20], [20, 41], [41, None]]
    assert [number for stretch in found for number in stretch.own] == numbers
    assert found[1].numbers == [5, 6, 9, 12, 15, 18, 20] and found[1].own == [5, 6, 9, 12, 15, 18]
    at_the_ends = stretches([0, 1, 2], [Annotated(0, {}, ()), Annotated(2, {}, ())])
    assert [stretch.own for stretch in at_the_ends] == [[0, 1], [2]]
