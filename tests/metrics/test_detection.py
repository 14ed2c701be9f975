"""Ball detection against a slow version of its definition in words, ties included."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaname.errors import InputError
from kaname.metrics import detection as module
from kaname.metrics.detection import (
    OUTCOMES,
    RATES,
    ball_counts,
    distances,
    localisation,
    outcomes,
    rates,
    statistic,
    within,
)
from kaname.metrics.intervals import summary

NAN, INFINITE = float("nan"), float("inf")
SCORES = (0.0, 0.25, 0.5, 0.75, 1.0, NAN)  # 0.5 is a tie with the threshold


def test_doctests():
    assert doctest.testmod(module).failed == 0


def outcome_in_words(predicted, score, truth, visible, tolerance, threshold, occluded_absent):
    """One frame, as the recipe says it."""
    something = score > threshold and all(math.isfinite(value) for value in predicted)
    not_visible = visible == 0 or (occluded_absent and visible == 3)
    if not_visible:
        return "fp2" if something else "tn"
    if not something:
        return "fn"
    # Whole numbers, so that the squares are exact and a tie is a tie.
    squared = (int(predicted[0]) - int(truth[0])) ** 2 + (int(predicted[1]) - int(truth[1])) ** 2
    return "tp" if squared <= tolerance**2 else "fp1"


@pytest.mark.parametrize("seed", range(1000))
def test_counts_equal_the_definition(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 30))
    truth = rng.integers(0, 12, (count, 2)) * 1.0
    predicted = truth + rng.integers(-7, 8, (count, 2))  # 3-4-5: distances exactly at the tolerance
    predicted[rng.random(count) < 0.1] = NAN
    predicted[rng.random(count) < 0.05, 0] = NAN
    predicted[rng.random(count) < 0.05, 1] = -INFINITE
    score = rng.choice(SCORES, count)
    visible = rng.integers(0, 4, count)
    truth[visible == 0] = NAN
    tolerance, occluded_absent = int(rng.choice([0, 4, 5, 10])), bool(rng.integers(2))
    expected = [
        outcome_in_words(*row, tolerance, 0.5, occluded_absent)
        for row in zip(predicted.tolist(), score, truth.tolist(), visible, strict=True)
    ]
    arguments = (predicted, score, truth, visible, tolerance, 0.5)
    counts = ball_counts(*arguments, occluded_absent=occluded_absent)
    assert counts == {name: expected.count(name) for name in OUTCOMES}
    assert all(type(value) is int for value in counts.values())
    rows = outcomes(*arguments, occluded_absent=occluded_absent)
    assert [OUTCOMES[row.argmax()] for row in rows] == expected
    assert rows.shape == (count, 5) and (rows.sum(1) == 1).all()


@pytest.mark.parametrize(("tolerance", "hit"), [(10.0, True), (np.nextafter(10, 0), False)])
def test_the_tolerance_is_inclusive(tolerance, hit):
    counts = ball_counts([[6, 8]], [1], [[0, 0]], [1], tolerance, 0.5)
    assert counts == {"tp": int(hit), "fp1": int(not hit), "fp2": 0, "fn": 0, "tn": 0}


@pytest.mark.parametrize(("score", "outcome"), [(0.5, "fn"), (np.nextafter(0.5, 1), "tp"), (NAN, "fn")])
def test_the_threshold_is_exclusive(score, outcome):
    assert ball_counts([[0, 0]], [score], [[0, 0]], [2], 4, 0.5)[outcome] == 1


def test_where_there_is_no_ball_its_place_is_not_looked_at():
    for place in ([NAN, NAN], [0, 0], [5, 5]):
        assert ball_counts([[5, 5]], [1], [place], [0], 4, 0.5)["fp2"] == 1
    # An occluded ball may lack a place only where it counts as absent.
    assert ball_counts([[5, 5]], [1], [[NAN, NAN]], [3], 4, 0.5, occluded_absent=True)["fp2"] == 1
    with pytest.raises(InputError, match="frame 0 is visible"):
        ball_counts([[5, 5]], [1], [[NAN, NAN]], [3], 4, 0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"predicted": [[1, 2, 3]]}, r"shape \(N, 2\)"),
        ({"predicted": [[1, 2], [3, 4]]}, "one entry per frame"),
        ({"score": [[0.5]]}, "one entry per frame"),
        ({"truth": []}, "one entry per frame"),
        ({"visible": [1, 1]}, "one entry per frame"),
        ({"visible": [4]}, "visibility must be one of 0, 1, 2, 3, got"),
        ({"visible": [-1]}, "visibility must be one of"),
        ({"visible": [0.5]}, "visibility must be one of"),
        ({"visible": [NAN]}, "visibility must be one of"),
        ({"truth": [[INFINITE, 0]]}, "frame 0 is visible"),
        ({"tolerance": -1}, "tolerance"),
        ({"tolerance": NAN}, "tolerance"),
        ({"score_threshold": NAN}, "score threshold"),
    ],
)
def test_refusals(change, words):
    good = {
        "predicted": [[0, 0]],
        "score": [1],
        "truth": [[0, 0]],
        "visible": [1],
        "tolerance": 4,
        "score_threshold": 0.5,
    }
    with pytest.raises(InputError, match=words):
        ball_counts(**(good | change))


def test_nothing_at_all():
    counts = ball_counts([], [], [], [], 4, 0.5)
    assert counts == dict.fromkeys(OUTCOMES, 0)
    assert rates(counts) == dict.fromkeys(RATES)
    assert localisation([]) == dict.fromkeys(
        ["l2_mean_px", "l2_median_px", "pck_2px", "pck_4px", "pck_5px", "pck_10px"]
    )


@given(*[st.integers(0, 50)] * 5)
def test_rates(tp, fp1, fp2, fn, tn):
    found = rates({"tp": tp, "fp1": fp1, "fp2": fp2, "fn": fn, "tn": tn})
    positives, balls, total = tp + fp1 + fp2, tp + fn, tp + fp1 + fp2 + fn + tn
    assert found["precision"] == (tp / positives if positives else None)
    assert found["recall"] == (tp / balls if balls else None)
    assert found["accuracy"] == ((tp + tn) / total if total else None)
    if tp:
        harmonic = 2 / (1 / found["precision"] + 1 / found["recall"])
        assert found["f1"] == pytest.approx(harmonic)
    else:
        assert found["f1"] == (0 if positives + balls else None)


def test_rates_refuse():
    with pytest.raises(InputError, match="lack tn"):
        rates({"tp": 1, "fp1": 0, "fp2": 0, "fn": 0})
    for name in OUTCOMES:
        with pytest.raises(InputError, match="negative"):
            rates(dict.fromkeys(OUTCOMES, 0) | {name: -1})
    with pytest.raises(InputError, match="precision, recall, f1, accuracy"):
        statistic("auc")


def frames(count=200, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (count, 2))
    predicted = truth + rng.normal(0, 3, (count, 2))
    return predicted, rng.uniform(0, 1, count), truth, rng.integers(0, 4, count)


def test_the_bootstrap_takes_outcomes():
    arguments = (*frames(), 4, 0.5)
    clips = np.repeat(np.arange(10), 20).tolist()
    expected = rates(ball_counts(*arguments))
    for name in RATES:
        entry = summary(outcomes(*arguments), clips, statistic=statistic(name), n=200)
        assert entry["value"] == pytest.approx(expected[name])
        assert entry["low"] < entry["value"] < entry["high"] and entry["n"] == 200
    nothing = summary(outcomes([[0, 0]], [0], [[0, 0]], [0], 4, 0.5), ["a"], statistic=statistic("f1"))
    assert nothing["value"] is None and "reason" in nothing


def test_distances():
    predicted, score, truth, visible = frames()
    predicted[3] = NAN
    found = distances(predicted, score, truth, visible, 0.5)
    slow = [
        NAN if seen == 0 else math.dist(p, t) if s > 0.5 and math.isfinite(p[0]) else INFINITE
        for p, s, t, seen in zip(predicted, score, truth, visible, strict=True)
    ]
    np.testing.assert_allclose(found, slow)
    answered = [value for value in slow if math.isfinite(value)]
    balls = [value for value in slow if not math.isnan(value)]
    summed = localisation(found)
    assert summed["l2_mean_px"] == pytest.approx(np.mean(answered))
    assert summed["l2_median_px"] == pytest.approx(np.median(answered))
    for threshold in (2, 4, 5, 10):
        share = sum(value <= threshold for value in balls) / len(balls)
        assert summed[f"pck_{threshold}px"] == pytest.approx(share)
        assert summary(within(found, threshold))["value"] == pytest.approx(share)
        assert summary(within(found, threshold))["excluded"] == 200 - len(balls)
    # The hits of the counts are those within the tolerance.
    assert np.nansum(within(found, 4)) == ball_counts(predicted, score, truth, visible, 4, 0.5)["tp"]
    occluded = distances(predicted, score, truth, visible, 0.5, occluded_absent=True)
    assert np.isnan(occluded[visible == 3]).all() and np.isfinite(occluded[visible == 1]).any()


def test_within_refuses_a_threshold_that_is_none():
    for threshold in (-1, NAN, INFINITE):
        with pytest.raises(InputError, match="threshold"):
            within([1.0], threshold)
