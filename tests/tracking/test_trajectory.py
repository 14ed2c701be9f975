"""Smoothers on tracks whose truth is known: rows kept, gaps filled and marked, jumps gated, little held back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from kaname.samples.tracknet import film
from kaname.tracking.trajectory import DETECTED, FILLED, SMOOTHERS, Row, inpaint, kalman

SIZE = (720, 1280)
GAP, FASTEST = 10, 0.2
SMOOTHING = ("kalman", "inpaint")


def row(frame: int, place: Iterable[float] | None, score: float = 0.9, clip: str = "") -> Row:
    x, y = (math.nan, math.nan) if place is None else place
    there = math.isfinite(x)
    return Row(frame, frame / 30, float(x), float(y), score if there else 0.1, DETECTED if there else "", clip)


def ballistic(frames: int, *, bounce: int | None = None, hit: int | None = None) -> np.ndarray:
    """``(frames, 2)``: 9 px a frame across, 0.8 px / frame^2 down; turned upwards at ``bounce``, back at ``hit``."""
    place, speed = np.array([200.0, 150.0]), np.array([9.0, 2.0])
    places = []
    for frame in range(frames):
        places.append(place.copy())
        speed[1] += 0.8
        if frame == bounce:
            speed[1] *= -0.7
        if frame == hit:
            speed = np.array([-14.0, -6.0])
        place = place + speed
    return np.array(places)


def rows_of(places: np.ndarray, missing: Iterable[int] = (), **more: str) -> list[Row]:
    lost = set(missing)
    return [row(frame, None if frame in lost else place, **more) for frame, place in enumerate(places)]


def smoothed(name: str, rows: Iterable[Row], gap: int = GAP, fastest: float = FASTEST, share: float = 1.0) -> list[Row]:
    return list(SMOOTHERS[name](rows, SIZE, gap, fastest, share))


def errors(rows: Iterable[Row], places: np.ndarray) -> np.ndarray:
    """Pixels between a row and the truth, NaN without a place."""
    return np.array([math.dist((one.x, one.y), places[one.frame]) if one.there else np.nan for one in rows])


def check_shape(before: list[Row], after: list[Row], gap: int = GAP) -> None:
    """What holds of every smoother on every input."""
    assert [(one.frame, one.clip, one.seconds) for one in after] == [
        (one.frame, one.clip, one.seconds) for one in before
    ]
    run = 0
    for one, old in zip(after, before, strict=True):
        assert one.there == bool(one.source), one
        assert one.source in ("", DETECTED, FILLED)
        assert one.source != DETECTED or old.there, "nothing is detected that was not"
        run = run + 1 if one.source == FILLED else 0
        assert run <= max(gap, 0), "a filled gap is at most so long"
        assert one.source != FILLED or 0 < one.score < 0.9, "lower than any detection"
        assert one.source == FILLED or one.score == old.score


@pytest.mark.parametrize("name", SMOOTHERS)
@pytest.mark.parametrize("frames", [0, 1, 2, 3, 40])
def test_nothing_and_little(name: str, frames: int) -> None:
    for missing in ([], range(frames), range(1), [frames - 1]):
        before = rows_of(ballistic(frames) if frames else np.zeros((0, 2)), missing)
        check_shape(before, smoothed(name, before))
    none = rows_of(ballistic(frames) if frames else np.zeros((0, 2)), range(frames))
    assert not any(one.there for one in smoothed(name, none))


def test_none_changes_nothing() -> None:
    before = rows_of(ballistic(20), [3, 4])
    assert smoothed("none", before)[:3] == before[:3]


@pytest.mark.parametrize(("name", "limit"), [("kalman", 12.0), ("inpaint", 1.0)])
def test_gaps_in_a_flight(name: str, limit: float) -> None:
    places = ballistic(60)
    lost = [10, 11, 20, 21, 22, 23, 24]
    after = smoothed(name, before := rows_of(places, lost))
    check_shape(before, after)
    assert [one.frame for one in after if one.source == FILLED] == lost
    assert errors(after, places)[lost].max() < limit
    kept = [one for one in after if one.source == DETECTED]
    assert errors(kept, places).max() < 1.5
    scores = [after[frame].score for frame in range(20, 25)]
    nearest = [1, 2, 3, 2, 1] if name == "inpaint" else [1, 2, 3, 4, 5]
    assert scores == pytest.approx([0.9 * 0.8**distance for distance in nearest])


@pytest.mark.parametrize("name", SMOOTHING)
@pytest.mark.parametrize("gap", [0, 1, 3, 10])
def test_gaps_at_the_limit(name: str, gap: int) -> None:
    """A gap of just ``gap`` frames is filled; of a longer one inpaint fills nothing, kalman its beginning."""
    places = ballistic(60)
    for length in (gap, gap + 1):
        lost = list(range(25, 25 + length))
        after = smoothed(name, before := rows_of(places, lost), gap=gap)
        check_shape(before, after, gap)
        filled = [one.frame for one in after if one.source == FILLED]
        assert filled == (lost if length == gap else [] if name == "inpaint" else lost[:gap])
        assert all(after[frame].source == DETECTED for frame in range(60) if frame not in lost)


@pytest.mark.parametrize("name", SMOOTHING)
@pytest.mark.parametrize("gap", [0, 4])
def test_jumps(name: str, gap: int) -> None:
    """A detection far from its neighbours loses its place; it is filled where gaps are."""
    places = ballistic(40)
    wrong = places.copy()
    wrong[20] = (1200, 30)
    after = smoothed(name, before := rows_of(wrong), gap=max(gap, 0))
    assert after[20].source == (FILLED if gap else "")
    assert [one.source for one in after if one.frame != 20] == [DETECTED] * 39
    if gap:
        check_shape(before, after, gap)
        assert errors(after, places)[20] < 15
    else:
        assert not after[20].there and after[20].score == 0.9, "it keeps its score"


@pytest.mark.parametrize("missing", [(), (20,), (22,), (20, 22), (19, 20, 22)])
@pytest.mark.parametrize("name", SMOOTHING)
def test_a_jump_beside_misses(name: str, missing: tuple[int, ...]) -> None:
    """A false answer where the ball is not seen: the gap is filled as if nothing had been found in it."""
    places = ballistic(40)
    seen = rows_of(places, missing)
    seen[21] = row(21, (1100.0, 30.0))
    found = smoothed(name, seen)
    check_shape(seen, found)
    assert all(found[frame].source == FILLED for frame in {*missing, 21})
    assert np.nanmax(errors(found, places)) < (3 if name == "inpaint" else 25)


@pytest.mark.parametrize("name", SMOOTHING)
def test_bounces_and_hits_are_no_jumps(name: str) -> None:
    places = ballistic(60, bounce=25, hit=40)
    after = smoothed(name, before := rows_of(places))
    check_shape(before, after)
    assert all(one.source == DETECTED for one in after) and np.nanmax(errors(after, places)) < 6


@pytest.mark.parametrize("name", SMOOTHING)
def test_a_ball_that_goes_on_elsewhere(name: str) -> None:
    """A cut: the track goes on at the new place within three frames."""
    places = np.concatenate([ballistic(20), ballistic(20)[:, ::-1] + np.array([700, 100])])
    after = smoothed(name, before := rows_of(places))
    check_shape(before, after)
    assert all(one.source == DETECTED for one in after[22:]) and np.nanmax(errors(after[22:], places)) < 6


@pytest.mark.parametrize("name", SMOOTHING)
def test_clips_do_not_touch(name: str) -> None:
    """The end of one clip and the start of the next are alone; the second is treated as if it came first."""
    places = ballistic(20)
    one = rows_of(places, [17, 18, 19], clip="a")
    other = rows_of(places + np.array([300, 0]), [0, 1, 8], clip="b")
    together = smoothed(name, [*one, *other])
    check_shape([*one, *other], together)
    assert together == [*smoothed(name, one), *smoothed(name, other)]
    assert not any(entry.there for entry in together[20:22])


@pytest.mark.parametrize("name", SMOOTHING)
def test_the_first_and_last_frames(name: str) -> None:
    places = ballistic(30)
    lost = [0, 1, 2, 27, 28, 29]
    after = smoothed(name, before := rows_of(places, lost))
    check_shape(before, after)
    assert not any(one.there for one in after[:3])
    assert [one.source for one in after[27:]] == ([""] * 3 if name == "inpaint" else [FILLED] * 3)


@pytest.mark.parametrize(("name", "ahead"), [("none", 1), ("kalman", 1), ("inpaint", 2 * (GAP + 1) + 1)])
def test_only_a_few_rows_are_held(name: str, ahead: int) -> None:
    read = 0

    def source() -> Iterator[Row]:
        nonlocal read
        for one in rows_of(ballistic(400) % 700, [*range(50, 57), *range(100, 140), *range(200, 390)]):
            read += 1
            yield one

    given = 0
    for _ in SMOOTHERS[name](source(), SIZE, GAP, FASTEST, 1.0):
        given += 1
        assert read - given < ahead + GAP
        assert read <= given + ahead
    assert given == read == 400


@pytest.mark.parametrize("name", SMOOTHING)
def test_random_tracks_keep_their_shape(name: str) -> None:
    random = np.random.default_rng(4)
    for _ in range(60):
        count = int(random.integers(1, 60))
        places = random.uniform(0, 1280, (count, 2))
        near = random.random() < 0.5
        places = np.cumsum(random.normal(0, 15, (count, 2)), axis=0) + 400 if near else places
        lost = np.flatnonzero(random.random(count) < random.uniform(0, 0.8))
        gap = int(random.integers(0, 12))
        before = [replace(one, clip="ab"[one.frame > count // 2]) for one in rows_of(places, lost.tolist())]
        check_shape(before, smoothed(name, before, gap=gap), gap)


def rendered() -> list[np.ndarray]:
    """True places of rendered rallies; NaN without a ball."""
    clips = [film(11, index, size=(144, 256), until=4.0, variety="plain") for index in range(4)]
    scale = 1280 / 256
    return [
        np.array(
            [
                clip.match.view.project(place[None])[0] * scale if np.isfinite(place).all() else [np.nan] * 2
                for place in clip.play.ball(clip.start + np.arange(110) / 30)
            ]
        )
        for clip in clips
    ]


def test_gaps_of_rendered_rallies() -> None:
    """Detections with 1 px of noise, a tenth of them lost singly and in gaps of up to five."""
    random = np.random.default_rng(0)
    found: dict[str, list[float]] = {"kalman": [], "inpaint": []}
    share: dict[str, int] = dict.fromkeys(found, 0)
    lost_balls = 0
    for places in rendered():
        inside = np.isfinite(places).all(axis=1) & (places > 0).all(axis=1) & (places < (1280, 720)).all(axis=1)
        lost = ~inside
        for start in random.choice(len(places), 8, replace=False):
            lost[start : start + int(random.integers(1, 6))] = True
        noisy = places + random.normal(0, 1, places.shape)
        before = rows_of(noisy, np.flatnonzero(lost).tolist())
        lost_balls += int((lost & inside).sum())
        for name in found:
            after = smoothed(name, before)
            check_shape(before, after)
            filled = [one for one in after if one.source == FILLED and inside[one.frame]]
            share[name] += len(filled)
            found[name] += errors(filled, places).tolist()
    assert lost_balls > 60 and min(share.values()) > 0.6 * lost_balls
    assert np.median(found["inpaint"]) < 3 and np.percentile(found["inpaint"], 90) < 12, found["inpaint"]
    assert np.median(found["kalman"]) < 12 and np.percentile(found["kalman"], 90) < 50, found["kalman"]


def test_arguments_are_those_of_both() -> None:
    assert SMOOTHERS["kalman"] is kalman and SMOOTHERS["inpaint"] is inpaint
