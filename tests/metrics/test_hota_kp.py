"""HOTA-KP: the grid of frames, what is dropped and what is not, absent classes, sequences; by hand-computed numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.metrics.hota_kp import NOTHING, Objects, frame_grid, score, sequence


def objects(*rows: tuple[int, Any, float, int]) -> Objects:
    """Objects of two points: frame, id, how far right of (50, 50), visibility of both."""
    xy = np.array([[[50 + x, 50.0], [60 + x, 50.0]] for _, _, x, _ in rows]).reshape(-1, 2, 2)
    frames = np.array([frame for frame, *_ in rows], np.int64)
    seen = np.array([[one, one] for *_, one in rows], np.int64).reshape(-1, 2)
    return Objects(frames, [track for _, track, *_ in rows], xy, seen)


def still(frames: range, track: Any = 0, x: float = 0.0, visible: int = 2) -> Objects:
    return objects(*((frame, track, x, visible) for frame in frames))


TEN = range(0, 262, 29)


def number(truth: dict[str, Objects], predicted: dict[str, Objects], **options: Any) -> float:
    return float(score([sequence(truth, predicted, **options)])["mean"]["HOTA"].mean())


def test_by_distance() -> None:
    """Right on it is 1; 10 px off a similarity of exp(-1/2) = 0.607, so that 12 of 19 alphas match."""
    truth = {"needle": still(TEN)}
    assert number(truth, {"needle": still(TEN, 7)}) == pytest.approx(1)
    assert number(truth, {"needle": still(TEN, 7, 10.0)}) == pytest.approx(12 / 19)
    assert number(truth, {"needle": still(TEN, 7, 10.0)}, scale_px=1000.0) == pytest.approx(1)
    assert number(truth, {"needle": still(TEN, 7, 1.0)}, kind="linear", scale_px=2.0) == pytest.approx(10 / 19)


def test_the_grid() -> None:
    assert list(frame_grid([0, 58, 29])) == [0, 29, 58] and frame_grid([0, 10, 15]) == range(0, 16, 5)
    assert frame_grid([3], length=9) == range(3, 10) and frame_grid([0, 29], length=100, step=50) == range(0, 101, 50)
    for frames, options, reason in (
        ([], {}, "the truth has no frame"),
        ([40, 80], {"length": 30}, "--length 30 lies before the first frame, 40; at least 40"),
        ([0], {"step": 0}, "--frame-step must be at least 1"),
    ):
        with pytest.raises(InputError, match=reason):
            frame_grid(frames, **options)  # type: ignore[arg-type]


def test_predictions_off_the_grid_are_left_out_and_counted() -> None:
    """They are no false positives; predictions that begin later are not shifted."""
    truth = {"needle": still(TEN)}
    dense = {"needle": still(range(0, 262))}
    found = sequence(truth, dense)
    assert (found.frames, found.left_out, found.truth_left_out) == (10, 252, 0)
    assert number(truth, dense) == pytest.approx(1)
    later = {"needle": still(range(29, 262, 29))}
    assert number(truth, later) == pytest.approx(math.sqrt(0.9 * 0.9))
    shifted = {"needle": still(range(5, 262, 29))}
    assert sequence(truth, shifted).left_out == 9 and number(truth, shifted) == 0
    cut = sequence(truth, dense, length=100)
    assert cut.frames == 4 and cut.truth_left_out == 6


def test_truth_that_is_dropped_and_truth_that_stays() -> None:
    """Out of frame: a prediction there is false. Hidden: nothing can match it, and it is missed all the same."""
    for gone, rows in ((0, 5), (-1, 5), (1, 10)):
        truth = {"needle": objects(*((29 * n, 0, 0.0, 2 if n < 5 else gone) for n in range(10)))}
        counts = sequence(truth, {"needle": still(TEN)}).counts["needle"]
        assert counts[:3, 0].tolist() == [5, rows - 5, 5]
        without = sequence(truth, {"needle": still(range(0, 120, 29))}).counts["needle"]
        assert without[:3, 0].tolist() == [5, rows - 5, 0]
    half = objects((0, 0, 0.0, 2))
    half.visible[0, 1] = 0
    moved = objects((0, 0, 0.0, 2))
    moved.points[0, 1] += 500  # the point that is out of frame has no say
    assert number({"needle": half}, {"needle": moved}) == pytest.approx(1)


def test_classes_and_their_mean() -> None:
    """One right, one with predictions alone, one absent from both: each counts a third."""
    truth = {"needle": still(TEN), "scissors": NOTHING, "tweezers": NOTHING}
    found = score([sequence(truth, {"needle": still(TEN), "scissors": still(TEN)})])
    assert {name: one["HOTA"].mean() for name, one in found["classes"].items()} == pytest.approx(
        {"needle": 1, "scissors": 0, "tweezers": 0}
    )
    assert found["mean"]["HOTA"].mean() == pytest.approx(1 / 3) and found["mean"]["HOTA_FP"][0] == 10


def test_sequences_are_weighted_by_what_is_in_them() -> None:
    """Ten frames that are right and two that are missed: DetA 10/12, AssA 1."""
    right = sequence({"needle": still(TEN)}, {"needle": still(TEN, "a")})
    missed = sequence({"needle": still(range(2))}, {})
    found = score([right, missed])["classes"]["needle"]
    assert found["DetA"][0] == pytest.approx(10 / 12) and found["AssA"][0] == 1
    assert found["HOTA"].mean() == pytest.approx(math.sqrt(10 / 12))


def test_two_needles_that_change_their_ids() -> None:
    """Half of the frames under the other id: every match agrees with a third of what it might."""
    truth = {"needle": objects(*((n, one, 200.0 * one, 2) for n in range(10) for one in (0, 1)))}
    swapped = {"needle": objects(*((n, one ^ (n > 4), 200.0 * one, 2) for n in range(10) for one in (0, 1)))}
    found = score([sequence(truth, swapped)])["classes"]["needle"]
    assert found["DetA"][18] == pytest.approx(1) and found["AssA"][18] == pytest.approx(1 / 3)


def test_an_id_twice_in_a_frame() -> None:
    twice = {"needle": objects((0, 0, 0.0, 2), (0, 0, 90.0, 2))}
    with pytest.raises(InputError, match="an id twice among the predicted objects"):
        sequence({"needle": still(range(1))}, twice)
