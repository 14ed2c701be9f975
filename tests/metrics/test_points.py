"""Point metrics against slow versions of their definitions, and their values for empty sets."""

from __future__ import annotations

import doctest
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kaname.errors import InputError
from kaname.metrics import points as module
from kaname.metrics.points import (
    matched,
    mean_nearest_distance,
    nme,
    nme_each,
    non_assigned,
    pck,
    precision_recall_f1,
    set_figures,
)

NAN = float("nan")
EMPTY = np.zeros((0, 2))
ONE = np.array([[3.0, 4.0]])


def test_doctests():
    assert doctest.testmod(module).failed == 0


def table(a, b):
    return np.array([[np.hypot(p[0] - q[0], p[1] - q[1]) for q in b] for p in a]).reshape(len(a), len(b))


@pytest.mark.parametrize("seed", range(40))
def test_nearest_measures_equal_their_definitions(seed):
    rng = np.random.default_rng(seed)
    predicted, truth = (rng.integers(0, 30, (int(rng.integers(1, 12)), 2)) * 1.0 for _ in range(2))
    distance = table(predicted, truth)
    assert mean_nearest_distance(predicted, truth) == pytest.approx(distance.min(1).mean())
    for threshold in (0.0, 5.0, 10.0):  # 3-4-5: distances exactly at the threshold
        assert pck(predicted, truth, threshold) == pytest.approx((distance.min(0) <= threshold).mean())
        assert non_assigned(predicted, truth, threshold) == pytest.approx((distance.min(1) > threshold).mean())


def test_the_threshold_is_inclusive():
    assert pck([[0, 0]], [[6, 8]], 10) == 1.0
    assert non_assigned([[0, 0]], [[6, 8]], 10) == 0.0
    assert matched([[0, 0]], [[6, 8]], 10)[:3] == (1, 0, 0)
    assert matched([[0, 0]], [[6, 8]], np.nextafter(10, 0))[:3] == (0, 1, 1)


@pytest.mark.parametrize("empty", [EMPTY, [], [[NAN, NAN]], [[NAN, 3.0], [1.0, NAN]]])
def test_empty_sets(empty):
    assert mean_nearest_distance(empty, ONE) is None
    assert mean_nearest_distance(ONE, empty) is None
    assert mean_nearest_distance(empty, empty) is None
    assert pck(empty, ONE, 10) == 0.0
    assert pck(ONE, empty, 10) is None
    assert pck(empty, empty, 10) is None
    assert non_assigned(empty, ONE, 10) == 0.0
    assert non_assigned(ONE, empty, 10) == 1.0
    assert non_assigned(empty, empty, 10) == 0.0
    for predicted, truth, counts in ((empty, ONE, (0, 0, 1)), (ONE, empty, (0, 1, 0)), (empty, empty, (0, 0, 0))):
        *found, pairs = matched(predicted, truth, 10)
        assert tuple(found) == counts
        assert pairs.shape == (0, 2)


def test_missing_rows_do_not_count():
    predicted = [[NAN, NAN], [0, 0], [50, 50]]
    truth = [[0, 3], [NAN, NAN]]
    assert mean_nearest_distance(predicted, truth) == mean_nearest_distance(predicted[1:], truth[:1])
    assert pck(predicted, truth, 3) == 1.0
    assert non_assigned(predicted, truth, 3) == 0.5
    tp, fp, fn, pairs = matched(predicted, truth, 3)
    assert (tp, fp, fn) == (1, 1, 0)
    np.testing.assert_array_equal(pairs, [[1, 0]])  # indices of the rows as given


def best_pairs(predicted, truth, threshold):
    """The most pairs and their least sum, by trying everything."""
    distance = table(predicted, truth)
    if len(predicted) > len(truth):
        distance = distance.T
    best = (0, 0.0)
    for columns in itertools.permutations(range(distance.shape[1]), distance.shape[0]):
        chosen = [distance[row, column] for row, column in enumerate(columns)]
        allowed = [value for value in chosen if value <= threshold]
        best = min(best, (-len(allowed), sum(allowed)))
    return -best[0], best[1]


@pytest.mark.parametrize("seed", range(60))
def test_matched_equals_trying_everything(seed):
    rng = np.random.default_rng(seed)
    predicted, truth = (rng.integers(0, 14, (int(rng.integers(0, 7)), 2)) * 1.0 for _ in range(2))
    threshold = float(rng.choice([0.0, 3.0, 5.0, 8.5]))
    tp, fp, fn, pairs = matched(predicted, truth, threshold)
    count, total = best_pairs(predicted, truth, threshold)
    assert tp == count == len(pairs)
    assert (fp, fn) == (len(predicted) - tp, len(truth) - tp)
    distance = np.linalg.norm(predicted[pairs[:, 0]] - truth[pairs[:, 1]], axis=1)
    assert (distance <= threshold).all()
    assert distance.sum() == pytest.approx(total)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == tp
    assert (np.diff(pairs[:, 0]) > 0).all()


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("dense", [0, module.DENSE])
def test_all_figures_at_once_equal_each_alone(seed, dense, monkeypatch):
    """With a table of all distances, and with the trees that large sets take."""
    rng = np.random.default_rng(seed)
    predicted, truth = (rng.integers(0, 60, (int(rng.integers(0, 25)), 2)) * 0.7 for _ in range(2))
    predicted[rng.random(len(predicted)) < 0.1] = NAN
    monkeypatch.setattr(module, "DENSE", dense)
    found = set_figures(predicted, truth, 10)
    there = predicted[~np.isnan(predicted).any(axis=1)]
    distance = table(there, truth)
    both = len(there) and len(truth)
    assert found["mean_distance_px"] == (pytest.approx(distance.min(1).mean(), abs=1e-12) if both else None)
    reached = (distance <= 10).any(axis=0).mean() if len(truth) else None
    assert found["pck"] == reached
    assert found["non_assigned"] == ((distance > 10).all(axis=1).mean() if len(there) else 0.0)
    tp, fp, fn, pairs = matched(predicted, truth, 10)
    assert (found["precision"], found["recall"], found["f1"]) == precision_recall_f1(tp, fp, fn)
    monkeypatch.setattr(module, "DENSE", module.DENSE ^ (1 << 16))  # the other way
    np.testing.assert_array_equal(matched(predicted, truth, 10)[3], pairs)


def test_errors_of_many_objects_equal_those_of_each():
    rng = np.random.default_rng(0)
    predicted, truth = rng.normal(0, 50, (2, 200, 9, 2))
    predicted[rng.random((200, 9)) < 0.3] = NAN
    truth[rng.random((200, 9)) < 0.1] = NAN
    visible, sizes = rng.random((200, 9)) < 0.7, rng.choice([NAN, 0.0, -1.0, 7.5, 90.0], 200)
    visible[:5] = False
    found = nme_each(predicted, truth, visible, sizes)
    each = [nme(*one) for one in zip(predicted, truth, visible, sizes, strict=True)]
    assert any(one is None for one in each) and any(one is not None for one in each)
    np.testing.assert_allclose(found, [NAN if one is None else one for one in each], rtol=0, atol=1e-12)


def test_more_pairs_go_before_shorter_pairs():
    # The middle prediction is nearest to both; one pair of length 0 must give way to two pairs of length 3.
    assert matched([[0, 0], [3, 0]], [[3, 0], [6, 0]], 3)[0] == 2


def test_large_sets_need_little_memory():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 5000, (20_000, 2))
    predicted = rng.permutation(truth) + rng.normal(0, 1, truth.shape)
    tracemalloc.start()
    tp, fp, fn, _ = matched(predicted, truth, 10)
    assert pck(predicted, truth, 10) > 0.99
    assert tracemalloc.get_traced_memory()[1] < 200e6  # a table of distances alone would take 3.2 GB
    tracemalloc.stop()
    assert tp > 19_900
    assert tp + fp == tp + fn == 20_000


pairs_of_sets = st.tuples(
    *[hnp.arrays(np.int64, st.tuples(st.integers(0, 8), st.just(2)), elements=st.integers(0, 20))] * 2
)


@given(pairs_of_sets, st.floats(0, 30))
def test_properties(sets, threshold):
    predicted, truth = sets
    tp, fp, fn, _ = matched(predicted, truth, threshold)
    assert matched(truth, predicted, threshold)[:3] == (tp, fn, fp)
    share, rest = pck(predicted, truth, threshold), non_assigned(predicted, truth, threshold)
    assert share is None or tp / len(truth) <= share + 1e-12
    assert len(predicted) == 0 or fp / len(predicted) >= rest - 1e-12
    if len(truth):
        assert mean_nearest_distance(truth, truth) == 0.0
        assert matched(truth, truth, 0.0)[0] == len(truth)
        assert pck(truth, truth, 0.0) == 1.0


def test_precision_recall_f1():
    assert precision_recall_f1(0, 0, 0) == (None, None, None)
    assert precision_recall_f1(0, 3, 0) == (0.0, None, 0.0)
    assert precision_recall_f1(0, 0, 3) == (None, 0.0, 0.0)
    assert precision_recall_f1(2, 2, 2) == (0.5, 0.5, 0.5)
    with pytest.raises(InputError, match="negative"):
        precision_recall_f1(-1, 0, 0)


def test_nme():
    truth = np.array([[0, 0], [10, 0], [5, 5]], dtype=float)
    predicted = truth + np.array([[3, 4], [0, 10], [100, 100]])
    assert nme(predicted, truth, [1, 2, 0], 10) == pytest.approx(0.75)
    assert nme(predicted, truth, [True, False, False], 5.0) == pytest.approx(1.0)
    truth[1] = NAN
    assert nme(predicted, truth, [1, 2, 0], 10) == pytest.approx(0.5)
    assert nme(predicted, truth, [0, 1, 0], 10) is None
    assert nme(EMPTY, EMPTY, [], 10) is None
    for normaliser in (0, -1, NAN, float("inf"), None):
        assert nme(predicted, truth, [1, 1, 1], normaliser) is None


@pytest.mark.parametrize(
    "work",
    [
        lambda: mean_nearest_distance([[1, 2, 3]], ONE),
        lambda: mean_nearest_distance([1, 2], ONE),
        lambda: pck([[np.inf, 0]], ONE, 1),
        lambda: pck(ONE, ONE, -1),
        lambda: pck(ONE, ONE, NAN),
        lambda: non_assigned(ONE, ONE, np.inf),
        lambda: matched(ONE, ONE, -0.1),
        lambda: nme(ONE, [[1, 2], [3, 4]], [1, 1], 1),
        lambda: nme(ONE, ONE, [1, 1], 1),
    ],
)
def test_bad_input(work):
    with pytest.raises(InputError):
        work()
