"""Smoothing of key points: signals that are known, where it begins anew, and that a run that stopped goes on alike."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.tracking.filters import FILTERS, Filtered
from kaname.tracking.smooth import NAMES, Smooth

RATE = 30.0
ALL = np.ones(1, np.bool_)


def smoothed(how: Smooth, signal: np.ndarray, seen: np.ndarray | None = None, reach: float = 1e9) -> np.ndarray:
    """One point ``(frames, 2)`` of one object."""
    filtered, found = Filtered(how, reach=reach), []
    for number, place in enumerate(signal):
        known = ALL if seen is None else seen[number : number + 1]
        found.append(filtered.of(1, place[None], known, number / RATE)[0])
        filtered.end([1], number / RATE)
    return np.array(found)


def line(count: int, speed: float = 0.0) -> np.ndarray:
    return np.stack([100 + speed * np.arange(count), np.full(count, 50.0)], axis=1)


@pytest.mark.parametrize(
    ("values", "words"),
    [({"name": "butter"}, "--smooth is 'butter'; use one of none, one-euro, median"),
     ({"cutoff": 0.0}, "--smooth-cutoff must be positive"), ({"cutoff": math.nan}, "--smooth-cutoff"),
     ({"beta": -1.0}, "--smooth-beta"), ({"window": 0}, "--smooth-window must be at least 1")],
)  # fmt: skip
def test_settings_that_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Smooth(**values)


def test_only_what_counts_is_a_setting() -> None:
    unset = dict.fromkeys(("smooth", "smooth_cutoff", "smooth_beta", "smooth_window"))
    assert Smooth().settings == Smooth(cutoff=5).settings == unset
    assert Smooth("median", window=5).settings == {**unset, "smooth": "median", "smooth_window": 5}
    assert Smooth("one-euro", cutoff=2.0, beta=0.5, window=9).settings == {
        "smooth": "one-euro", "smooth_cutoff": 2.0, "smooth_beta": 0.5, "smooth_window": None,
    }  # fmt: skip


def test_none_changes_nothing() -> None:
    signal = np.random.default_rng(0).random((20, 2))
    assert np.array_equal(smoothed(Smooth(), signal), signal)


@pytest.mark.parametrize("name", FILTERS)
def test_what_rests_stays(name: str) -> None:
    np.testing.assert_allclose(smoothed(Smooth(name), line(20)), line(20), atol=1e-12)


def test_one_euro_is_the_published_filter() -> None:
    """Computed by hand for three frames, a thirtieth of a second apart."""
    signal = line(3, speed=6)
    seconds, shares = 1 / RATE, lambda cutoff: 2 * math.pi * cutoff / RATE / (2 * math.pi * cutoff / RATE + 1)
    place, speed, wanted = 100.0, 0.0, [100.0]
    for x in (106.0, 112.0):
        speed += shares(1.0) * ((x - place) / seconds - speed)
        place += shares(0.5 + 0.1 * abs(speed)) * (x - place)
        wanted.append(place)
    found = smoothed(Smooth("one-euro", cutoff=0.5, beta=0.1), signal)
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-12)


def test_one_euro_takes_noise_off_what_rests_and_follows_what_runs() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (300, 2))
    still = smoothed(Smooth("one-euro"), line(300) + noise)[100:] - line(300)[100:]
    assert still.std() < 0.6 * noise.std()
    lags = [float(np.abs(smoothed(Smooth("one-euro", beta=beta), line(300, 8)) - line(300, 8))[-1, 0])
            for beta in (0.0, 0.02)]  # fmt: skip
    assert lags[1] < 8 < lags[0], "less than a frame late, where a fixed cutoff is several"


def test_the_median_takes_single_outliers_away_and_is_late_by_half_its_window() -> None:
    signal = line(20)
    signal[7] += 60
    found = smoothed(Smooth("median"), signal)
    np.testing.assert_array_equal(found, line(20))
    runs = smoothed(Smooth("median", window=5), line(20, 3))
    np.testing.assert_array_equal(runs[4:], line(20, 3)[2:-2])


@pytest.mark.parametrize("name", FILTERS)
def test_gaps_and_jumps_begin_anew(name: str) -> None:
    """Two signals with a gap between are smoothed as each alone; a hidden place comes out as it went in."""
    noise = np.random.default_rng(1).normal(0, 1, (20, 2))
    first, other = (line(10) + noise[:10], line(10) + noise[10:] + 40)
    how, hidden = Smooth(name), np.full((2, 2), 7.0)
    seen = np.array([True] * 10 + [False] * 2 + [True] * 10)
    found = smoothed(how, np.concatenate([first, hidden, other]), seen)
    alone = np.concatenate([smoothed(how, first), hidden, smoothed(how, other)])
    np.testing.assert_allclose(found, alone, atol=1e-12)
    jumped = smoothed(how, np.concatenate([first, other]), reach=20)
    np.testing.assert_allclose(jumped, np.delete(alone, [10, 11], axis=0), atol=1e-12)


@pytest.mark.parametrize("name", FILTERS)
def test_another_id_and_an_absent_object_begin_anew(name: str) -> None:
    how = Smooth(name)
    for next_id, there_between in ((2, True), (1, False)):
        filtered = Filtered(how, reach=1e9)
        for number in range(6):
            filtered.of(1, np.array([[10.0 + number, 5.0]]), ALL, number / RATE)
            filtered.end([1], number / RATE)
        if not there_between:
            filtered.end([], 6 / RATE)
        np.testing.assert_array_equal(filtered.of(next_id, np.array([[30.0, 9.0]]), ALL, 7 / RATE), [[30.0, 9.0]])


@pytest.mark.parametrize("name", FILTERS)
def test_a_run_that_stopped_goes_on_to_the_same_bytes(name: str) -> None:
    """At every frame, through JSON; two points, of which one is hidden now and then."""
    random = np.random.default_rng(2)
    signal, seen = random.normal(0, 5, (25, 2, 2)), random.random((25, 2)) > 0.2
    how = Smooth(name, window=4)

    def run(stop: int | None) -> list[bytes]:
        filtered, found = Filtered(how, reach=12), []
        for number in range(25):
            if number == stop:
                state = json.loads(json.dumps(filtered.state(), allow_nan=False))
                filtered = Filtered(how, reach=12)
                filtered.restore(state)
            found.append(filtered.of(1, signal[number], seen[number], number / RATE).tobytes())
            filtered.end([1], number / RATE)
        return found

    whole = run(None)
    assert all(run(stop) == whole for stop in range(25))


def test_every_filter_has_its_name() -> None:
    assert tuple(FILTERS) == NAMES
