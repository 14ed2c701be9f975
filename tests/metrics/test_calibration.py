from __future__ import annotations

import doctest

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.metrics import calibration as module
from kaname.metrics.calibration import calibration, expected_calibration_error


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_every_point_is_in_one_bin():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.random(500), [0.0, 0.1, 0.3, 0.7, 1.0]])
    errors = rng.exponential(5, len(scores))
    bins = calibration(scores, errors, 5.0)
    assert sum(found.count for found in bins) == len(scores) and len(bins) == 10
    for found in bins:
        members = errors[(scores >= found.low) & ((scores < found.high) | (found.high == 1))]
        assert found.count == len(members)
        assert found.correct == pytest.approx((members <= 5).mean())
        assert found.low <= found.score <= found.high


def test_a_calibrated_score_has_no_error():
    rng = np.random.default_rng(1)
    scores = rng.random(200_000)
    errors = np.where(rng.random(200_000) < scores, 1.0, 99.0)
    assert expected_calibration_error(calibration(scores, errors, 5)) < 0.01
    assert expected_calibration_error(calibration(np.full(100, 0.9), np.full(100, 99.0), 5)) == pytest.approx(0.9)


def test_no_points_and_nothing_true():
    bins = calibration([], [], 5)
    assert all(found.count == 0 and found.correct is None for found in bins)
    assert expected_calibration_error(bins) is None
    last = calibration([1.0, 0.95], [np.inf, np.inf], 5)[-1]
    assert (last.count, last.correct, last.error) == (2, 0.0, None)


@pytest.mark.parametrize(
    ("scores", "errors", "bins"),
    [([0.5], [], 10), ([1.5], [1], 10), ([0.5], [np.nan], 10), ([0.5], [-1], 10), ([0.5], [1], 0)],
)
def test_bad_input(scores, errors, bins):
    with pytest.raises(InputError):
        calibration(scores, errors, 5, bins=bins)
