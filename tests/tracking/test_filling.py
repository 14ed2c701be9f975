"""Gaps between two pieces of flight: filled where they can have been flown, within a share of what was seen."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kaname.data.formats import tracknet as label_files
from kaname.tracking.filling import Budget, flown
from kaname.tracking.static import Course
from kaname.tracking.trajectory import DETECTED, FILLED
from tracking.test_trajectory import ballistic, errors, row, rows_of, smoothed

WIDTH, FASTEST = 1280, 256.0


def ends(places: np.ndarray, first: int, last: int, seen: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The detections before ``first`` and after ``last``, the frames of the gap."""
    rows = np.column_stack([np.arange(len(places)), places])
    return rows[first - seen : first], rows[last + 1 : last + 1 + seen]


@pytest.mark.parametrize("gap", [1, 3, 5, 10])
@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_a_ball_hidden_on_a_parabola(gap: int, noise: float) -> None:
    places = ballistic(40)
    random = np.random.default_rng(gap)
    worst = []
    for _ in range(20):
        found = flown(*ends(places + random.normal(0, noise, places.shape), 12, 11 + gap), WIDTH, FASTEST)
        assert found is not None and found.shape == (gap, 2)
        worst.append(np.hypot(*(found - places[12 : 12 + gap]).T).max())
    assert max(worst) < (2 if noise else 1e-6)


def test_a_ball_that_bounces_while_it_is_hidden() -> None:
    """The way is not known, but it is near."""
    places = ballistic(40, bounce=20)
    found = flown(*ends(places, 19, 22), WIDTH, FASTEST)
    assert found is not None and np.hypot(*(found - places[19:23]).T).max() < 10


@pytest.mark.parametrize("gap", [1, 4, 10])
@pytest.mark.parametrize("far", [(700, 0), (-400, 100), (0, 380)])
def test_two_far_ends_are_not_joined(gap: int, far: tuple[int, int]) -> None:
    """Both move, but what lies between them cannot have been flown; not even in ten frames at these speeds."""
    places = ballistic(40)
    places[13:] += far
    before, after = ends(places, 12, 11 + gap)
    assert flown(before, after, WIDTH, FASTEST) is None


def test_what_rests_is_joined_to_nothing() -> None:
    rest, flight = np.full((12, 2), (300.0, 60.0)), ballistic(12) + np.array([100, -90])
    assert flown(*ends(np.concatenate([rest, flight]), 10, 14), WIDTH, FASTEST) is None
    assert flown(*ends(np.concatenate([flight[::-1], rest]), 10, 14), WIDTH, FASTEST) is None
    assert flown(*ends(np.concatenate([rest, rest]), 10, 14), WIDTH, FASTEST) is None


def test_one_detection_says_nothing_of_its_velocity() -> None:
    before, after = ends(ballistic(40), 12, 14)
    assert flown(before[-1:], after, WIDTH, FASTEST) is None and flown(before, after[:1], WIDTH, FASTEST) is None
    before[:-1, 0] -= 5
    assert flown(before, after, WIDTH, FASTEST) is None, "nor does one of long before"
    assert flown(*ends(ballistic(40), 12, 14), WIDTH, 5.0) is None, "nor is anything faster than it may be"


def test_a_budget_is_a_share_of_what_was_seen() -> None:
    budget = Budget(0.5, 4)
    assert not budget.spend(1)
    for _ in range(3):
        budget.detected()
    assert budget.spend(1) and not budget.spend(1)
    for _ in range(100):
        budget.detected()
    assert budget.spend(4) and not budget.spend(1), "no more is saved up"
    for _ in range(8):
        budget.detected()
    for _ in range(8):
        budget.missed()
    assert not budget.spend(1), "what was seen long ago allows nothing"


@pytest.mark.parametrize("name", ["inpaint", "kalman"])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_never_more_is_filled_than_the_share(name: str, share: float) -> None:
    """At no time, on flights of which most is missing."""
    filled = 0
    for seed in range(8):
        random = np.random.default_rng(seed)
        lost = np.zeros(80, bool)
        for start in random.integers(5, 75, 9):
            lost[start : start + int(random.integers(2, 8))] = True
        rows = smoothed(name, rows_of(ballistic(80) % 700, np.flatnonzero(lost).tolist()), share=share)
        seen = np.cumsum([one.source == DETECTED for one in rows])
        made = np.cumsum([one.source == FILLED for one in rows])
        assert (made <= share * seen + 1e-9).all()
        filled += int(made[-1])
    assert (filled > 0) == (share > 0)


@pytest.mark.parametrize("name", ["inpaint", "kalman"])
def test_what_never_moves_is_not_filled(name: str) -> None:
    """A logo that flickers, and nothing else."""
    rows = [row(number, None if number % 5 in (3, 4) else (700.0, 90.0)) for number in range(60)]
    assert not any(one.source == FILLED for one in smoothed(name, rows))


def test_nothing_is_filled_outside_the_frame() -> None:
    """A ball that leaves above and comes back."""
    times = np.arange(31) - 15.0
    places = np.column_stack([400 + 12 * times, -10 + 1.0 * times**2])
    lost = [number for number in range(31) if places[number, 1] < 7]
    rows = smoothed("inpaint", rows_of(places, lost))
    filled = {one.frame: one for one in rows if one.source == FILLED}
    assert filled and all(one.y >= 0 for one in filled.values())
    assert set(lost) - set(filled) == {number for number in lost if places[number, 1] < 0}
    assert all(math.isnan(rows[number].x) for number in set(lost) - set(filled))


def test_hidden_frames_of_real_flights(shared_data: Path) -> None:
    """Three frames hidden at every place in turn: most are filled, half of them within 2 px; no real ball is static."""
    flights: dict[str, list[tuple[float, ...]]] = {}
    for sample in label_files.read(shared_data / "tracknet"):
        flights.setdefault(f"{sample.meta['game']}/{sample.meta['clip']}", []).append(
            tuple(sample.points["ball"][0].tolist())
        )
    assert len(flights) == 3
    for places in map(np.array, flights.values()):
        rows = Course(rows_of(places))
        rows.leave_out_static((720, 1280))
        assert not rows.spots
        starts = range(4, len(places) - 7)
        found = [smoothed("inpaint", rows_of(places, range(start, start + 3)))[start : start + 3] for start in starts]
        filled = [one for gap in found for one in gap if one.source == FILLED]
        assert len(filled) > 0.8 * 3 * len(starts) and np.median(errors(filled, places)) < 2
