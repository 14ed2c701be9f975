"""Bridges: every frame once, hidden and absent points, seams, what a tracker is asked for, against holding still."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaname.data.formats.mot_kp_rows import read_rows
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.data.video import frames as video_frames
from kaname.errors import InputError
from kaname.tracking.bridge import Bridged, Follow, Found, bridged, hold
from kaname.tracking.klt import klt
from kaname.types import Frame
from tracking.moving import COUNT, SIZE, found, places, reference, video, visibility

TRUTH = reference(lambda frame: (places(frame), (visibility(frame) == 2).astype(float)))


def detected(frame: Frame) -> Found:
    return found(frame.index)


def run(follow: Follow | None, k: int = 10, **options: object) -> list[Bridged]:
    return list(bridged(video(), detected, follow, k=k, **options))  # type: ignore[arg-type]


def errors(rows: list[Bridged]) -> np.ndarray:
    """Pixels off, of points that are visible in truth and not absent in the answer."""
    off = [
        np.linalg.norm(row.found.xy - places(row.frame), axis=1)[(visibility(row.frame) == 2) & (row.found.visible > 0)]
        for row in rows
    ]
    return np.concatenate(off)


@pytest.mark.parametrize("k", [1, 2, 7, 10, 59, 60, 200])
@pytest.mark.parametrize("follow", [hold, klt, TRUTH, None], ids=["hold", "klt", "truth", "none"])
def test_every_frame_once(follow: Follow | None, k: int) -> None:
    """Detected at every K-th, whatever the tracker; there the detection stands as it is."""
    rows = run(follow, k)
    assert [row.frame for row in rows] == list(range(COUNT))
    assert [row.seconds for row in rows] == pytest.approx([number / 25 for number in range(COUNT)])
    step = 1 if follow is None else k
    for row in rows:
        assert row.detected == (row.frame % step == 0)
        if row.detected:
            np.testing.assert_array_equal(row.found.xy, found(row.frame).xy)


@pytest.mark.parametrize("lag", [1, 3, 8, 100])
def test_a_tracker_may_answer_later(lag: int) -> None:
    late = reference(lambda frame: (places(frame), np.ones(4)), lag=lag)
    for one, other in zip(run(late), run(reference(lambda frame: (places(frame), np.ones(4)))), strict=True):
        assert one.frame == other.frame and np.array_equal(one.found.xy, other.found.xy, equal_nan=True)


def test_a_perfect_tracker_is_perfect() -> None:
    """Covered is hidden; what leaves is out of frame from there on; what comes in waits for the next detection."""
    rows = run(TRUTH)
    for row in rows:
        seen, truth = row.found.visible, visibility(row.frame)
        known = found(row.frame - row.frame % 10).visible
        assert np.isnan(row.found.xy[seen == 0]).all() and np.isfinite(row.found.xy[seen > 0]).all()
        assert not seen[known == 0].any()
        lasting = known == 2
        assert np.array_equal(seen[lasting], truth[lasting]), row.frame
    assert errors(rows).max() < 1e-9
    states = np.array([row.found.visible for row in rows])
    assert set(states[:, 1]) == {1, 2} and set(states[:, 2]) == {0, 2} and set(states[:, 3]) == {0, 2}


def test_a_hidden_point_stays_hidden_and_the_threshold_counts() -> None:
    def hidden(frame: Frame) -> Found:
        return Found(places(frame.index)[:2], np.array([1, 2]), np.array([0.8, 0.8]))

    unsure = reference(lambda frame: (places(frame), np.full(4, 0.6)))
    for threshold, wanted in ((0.5, [1, 2]), (0.6, [1, 2]), (0.7, [1, 1])):
        row = list(bridged(video(6), hidden, unsure, k=10, threshold=threshold))[3]
        assert row.found.visible.tolist() == wanted and row.found.scores.tolist() == pytest.approx([0.48, 0.48])
        np.testing.assert_allclose(row.found.xy, places(3)[:2])


def test_only_points_in_frame_are_asked_for() -> None:
    asked: list[int] = []

    def follow(images: Iterator[np.ndarray], points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        assert np.isfinite(points).all() and (points >= 0).all() and (points <= SIZE[::-1]).all()
        asked.append(len(points))
        return hold(images, points)

    run(follow)
    assert asked == [int((visibility(frame) > 0).sum()) for frame in range(0, COUNT, 10)] and len(set(asked)) > 1

    def nothing(frame: Frame) -> Found:
        return Found(np.full((4, 2), np.nan), np.zeros(4, np.int64), np.zeros(4))

    asked.clear()
    rows = list(bridged(video(), nothing, follow, k=10))
    assert len(rows) == COUNT and not asked and not any(row.found.visible.any() for row in rows)


def test_it_walks_through_the_frames_between() -> None:
    """Output frames 7 apart: K counts them, and the tracker sees every frame of the video."""
    passed: list[int] = []

    def counted() -> Iterator[Frame]:
        for frame in video():
            passed.append(frame.index)
            yield frame

    rows = list(bridged(counted(), detected, TRUTH, k=3, wanted=range(4, 1000, 7)))
    assert [row.frame for row in rows] == list(range(4, COUNT, 7)) and passed == list(range(COUNT))
    assert [row.frame for row in rows if row.detected] == [4, 25, 46]
    assert errors(rows).max() < 1e-9
    walked = errors(list(bridged(video(), detected, klt, k=3, wanted=range(0, 1000, 14))))
    direct = errors(list(bridged((one for one in video() if one.index % 14 == 0), detected, klt, k=3)))
    assert np.mean(walked) < 1 < np.mean(direct)


@pytest.mark.parametrize("k", [2, 5, 10, 20])
def test_klt_beats_holding_still(k: int) -> None:
    followed, held = run(klt, k), run(hold, k)
    assert np.mean(errors(followed)) < 0.25 * np.mean(errors(held))
    assert np.median(errors(followed)) < 0.3
    if k <= 10:  # what slides behind something over a longer time takes it along
        covered = [row.found.visible[1] for row in followed if visibility(row.frame)[1] == 1 and not row.detected]
        assert np.mean(np.array(covered) == 1) > 0.7


def test_a_stretch_depends_on_nothing_before_it() -> None:
    """So a run that was stopped goes on at any detection with the same answers."""
    whole = run(klt)
    part = list(bridged((one for one in video() if one.index >= 20), detected, klt, k=10))
    for one, other in zip(whole[20:], part, strict=True):
        assert one.frame == other.frame and np.array_equal(one.found.xy, other.found.xy, equal_nan=True)
        assert np.array_equal(one.found.visible, other.found.visible)


def test_memory_is_flat() -> None:
    """Of 3,000 frames no more than of 300, although each is an image."""

    def many(count: int) -> int:
        frames = (Frame(number, 0.0, np.full((100, 100, 3), number % 200, np.uint8)) for number in range(count))

        def detect(frame: Frame) -> Found:
            return Found(np.full((2, 2), 50.0), np.full(2, 2), np.ones(2))

        tracemalloc.start()
        total = sum(1 for _ in bridged(frames, detect, hold, k=10))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == count
        return peak

    assert many(3000) < 1.5 * many(300) + 200_000


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="--k must be at least 1, got 0"):
        bridged(video(), detected, klt, k=0)
    with pytest.raises(InputError, match=r"--vis-th must lie in 0\.\.1, got 2"):
        bridged(video(), detected, klt, k=3, threshold=2)

    def lazy(images: Iterator[np.ndarray], points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number, answer in enumerate(hold(images, points)):
            if number == 2:
                return
            yield answer

    with pytest.raises(InputError, match="no answer for"):
        run(lazy)


def test_real_flies(shared_data: Path) -> None:
    """Real pictures, detections thinned to every tenth frame.

    The flies themselves hardly move (0.7 px in 900 frames, less than their labels are exact), so that nothing can be
    nearer than holding still; KLT must not wander off. Seen through a window that moves, it has to follow.
    """
    folder = shared_data / "kpnet" / "flies"
    skeleton = Skeleton("flies", {"fly": Group(("fly.head", "fly.tail"), id=0, instances=2)})
    truth: dict[int, dict[int | str, np.ndarray]] = {}
    for row in read_rows(folder / "gt_2kp.txt", skeleton):
        truth.setdefault(row.frame, {})[row.track] = row.points
    whole = list(itertools.islice(video_frames(folder / "flies.mp4"), 40))

    def off(follow: Follow, step: tuple[int, int]) -> np.ndarray:
        def corner(frame: int) -> np.ndarray:
            return np.array([200, 340]) + np.array(step) * frame

        def flies(frame: int) -> np.ndarray:
            return np.concatenate([truth[frame][0], truth[frame][1]]) - corner(frame)

        def windowed(frame: Frame) -> Frame:
            x, y = corner(frame.index)
            return replace(frame, image=frame.image[y : y + 256, x : x + 300])

        def detect(frame: Frame) -> Found:
            return Found(flies(frame.index), np.full(4, 2), np.ones(4))

        rows = bridged(map(windowed, whole), detect, follow, k=10)
        return np.array([np.linalg.norm(row.found.xy - flies(row.frame), axis=1) for row in rows])

    assert off(klt, (0, 0)).mean() < 0.3
    followed, held = off(klt, (2, -1)), off(hold, (2, -1))
    assert followed.mean() < 0.1 * held.mean() and np.percentile(followed, 90) < 1
