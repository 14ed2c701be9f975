"""Static spots in videos whose truth is known: what never moves is left out, what lies still for a while is not."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from kaname.tracking.static import Course, Spot, find_spots
from kaname.tracking.trajectory import DETECTED, STATIC, Row
from kaname.types import Size
from tracking.test_trajectory import ballistic, rendered

SIZE: Size = (720, 1280)
RATE = 25.0


def course(places: np.ndarray, rate: float = RATE) -> Course:
    """Rows of one video, NaN where nothing is found."""
    return Course(
        Row(number, number / rate, float(x), float(y), 0.9, DETECTED if math.isfinite(x) else "")
        for number, (x, y) in enumerate(places)
    )


def left_out(places: np.ndarray, size: Size = SIZE, rate: float = RATE) -> list[int]:
    rows = course(places, rate)
    rows.leave_out_static(size)
    found = list(rows)
    assert [row.frame for row in found] == list(range(len(places)))
    assert all(not row.there and row.score == 0.9 for row in found if row.source == STATIC)
    assert all((row.source == DETECTED) == row.there for row in found)
    return [row.frame for row in found if row.source == STATIC]


def still(seconds: float, at: tuple[float, float], jitter: float = 1.0, rate: float = RATE) -> np.ndarray:
    """Detections of something that does not move."""
    count = round(seconds * rate)
    return np.array(at) + np.random.default_rng(count).uniform(-jitter, jitter, (count, 2))


def rolling(to: tuple[float, float], frames: int = 20) -> np.ndarray:
    """A ball that comes to rest: slower and slower."""
    back = np.arange(frames, 0, -1)[:, None]
    return np.array(to) + back**2 * np.array([-0.6, -0.1])


def test_a_logo_that_stays_and_a_ball_that_flies() -> None:
    """Where the ball is not seen the logo is taken for it, as on television; just those rows are left out."""
    parts, truth = [], []
    for number in range(5):
        flight = ballistic(30) + np.array([20 * number, 0])
        parts += [flight, still(0.4 + 0.1 * number, (1100, 60), jitter=3)]
        truth += [False] * 30 + [True] * len(parts[-1])
    places = np.concatenate(parts)
    assert left_out(places) == np.flatnonzero(truth).tolist()
    flickering = places.copy()
    flickering[::7] = np.nan
    assert left_out(flickering) == [number for number in np.flatnonzero(truth).tolist() if number % 7]
    assert left_out(places / 10, (72, 128)) == np.flatnonzero(truth).tolist(), "of small frames too"


def test_a_logo_that_shows_for_single_frames() -> None:
    places = ballistic(60)
    places[1::2] = (1100, 60)
    assert left_out(places) == list(range(1, 60, 2))


@pytest.mark.parametrize(("seconds", "gone"), [(3.0, False), (4.9, False), (5.1, True), (30.0, True)])
def test_a_spot_that_is_there_at_once(seconds: float, gone: bool) -> None:
    places = np.concatenate([ballistic(30), still(seconds, (1100, 60))])
    assert left_out(places) == (list(range(30, len(places))) if gone else [])
    assert left_out(places[30:]) == (list(range(len(places) - 30)) if gone else [])


@pytest.mark.parametrize(("seconds", "gone"), [(2.0, False), (15.0, False), (25.0, True)])
def test_a_ball_that_lies_still_after_it_came_there(seconds: float, gone: bool) -> None:
    """At the end of a rally; with misses in between as well."""
    places = np.concatenate([rolling((640, 500)), still(seconds, (640, 500)), ballistic(30)])
    assert bool(left_out(places)) == gone
    places[25:35] = np.nan
    assert bool(left_out(places)) == gone


def test_every_rally_ends_elsewhere() -> None:
    ends = [(300 + 60 * number, 500) for number in range(6)]
    assert not left_out(np.concatenate([part for end in ends for part in (rolling(end), still(4, end))]))


@pytest.mark.parametrize(("serves", "gone"), [(2, False), (3, True)])
def test_places_that_are_come_back_to(serves: int, gone: bool) -> None:
    """Twice at the very same place, as a server, is a ball; three times within half a minute is none."""
    once = np.concatenate([still(1.5, (640, 650)), ballistic(30)])
    assert bool(left_out(np.concatenate([once] * serves))) == gone
    apart = np.concatenate([once, np.full((round(16 * RATE), 2), np.nan)])
    assert not left_out(np.concatenate([apart] * serves)), "spread over a match it may be a ball"


def test_a_ball_that_is_bounced_before_the_serve() -> None:
    """From the hand and back, ten times: it was never far away."""
    bounce = np.concatenate([still(0.3, (640, 600)), np.array([[640, 610], [640, 640], [640, 668], [640, 640]])])
    assert not left_out(np.concatenate([ballistic(30), *[bounce] * 10]))


def test_rendered_rallies_lose_nothing() -> None:
    assert not left_out(np.concatenate(rendered()), rate=30.0)


def test_spots_say_where_and_how_often() -> None:
    rows = course(np.concatenate([ballistic(30), still(6, (1100, 60)), ballistic(30), still(8, (200, 80))]))
    rows.leave_out_static(SIZE)
    more, fewer = rows.spots
    assert (more.rows, more.first, more.last) == (200, 210, 409) and (fewer.rows, fewer.first) == (150, 30)
    assert (fewer.x, fewer.y) == pytest.approx((1100, 60), abs=0.5)
    assert rows.about()[0] == {"x": more.x, "y": more.y, "rows": 200, "first": 210, "last": 409}
    assert find_spots(np.zeros(0, np.int64), np.zeros((0, 2)), SIZE, RATE)[0] == []
    assert isinstance(more, Spot) and rows.static.sum() == 350


def test_rows_are_kept_as_they_are() -> None:
    rows = [
        Row(3, 0.1, 1.25, 2.5, 0.75, DETECTED, "a", "0.png"),
        Row(4, 0.2, math.nan, math.nan, 0.1, "", "a", "1.png"),
    ]
    kept = Course(rows)
    assert [str(row) for row in kept] == [str(row) for row in rows] and len(kept) == 2
    kept.leave_out_static(SIZE)
    assert [str(row) for row in kept] == [str(row) for row in rows]
    assert list(Course()) == []


def test_little_is_held_of_a_long_video() -> None:
    """About 50 bytes a frame: 16 MB for three hours."""
    count = 20_000
    tracemalloc.start()
    rows = Course(Row(number, number / 30, 5.0 + number, 7.0, 0.5, DETECTED) for number in range(count))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) == count and held < 64 * count
