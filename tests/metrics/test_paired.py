"""Paired differences against what is known of them: coverage, uniform p-values, SciPy's permutation test."""

from __future__ import annotations

import doctest
import json

import numpy as np
import pytest
from scipy import stats

from kaname.errors import InputError
from kaname.metrics import intervals
from kaname.metrics import paired as module
from kaname.metrics.intervals import bootstrap
from kaname.metrics.paired import paired_difference, permutation_p_value


def test_doctests():
    assert doctest.testmod(module).failed == 0


def ratio(rows: np.ndarray) -> float | None:
    """Correct of all, from rows of (correct, all): a statistic that is no mean of the rows."""
    whole = rows[:, 1].sum()
    return float(rows[:, 0].sum() / whole) if whole else None


def swap_by_swap(first: np.ndarray, second: np.ndarray, member: np.ndarray) -> float:
    """The exact test word for word: every way of swapping clusters, one after the other."""
    count = int(member.max()) + 1
    observed, hits = abs(second.mean() - first.mean()), 0
    for way in range(2**count):
        swapped = np.array([way >> cluster & 1 for cluster in member], bool)
        a, b = np.where(swapped, second, first), np.where(swapped, first, second)
        hits += abs(b.mean() - a.mean()) >= observed - 1e-12
    return hits / 2**count


@pytest.mark.parametrize("count", [5, 6, 8, 10, 12])
@pytest.mark.parametrize("seed", range(4))
def test_the_exact_test_is_scipys(count, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=count), rng.normal(0.5, 1, count)
    if seed == 3:  # with many ties
        first, second = np.round(first), np.round(second)
    theirs = stats.permutation_test(
        (first, second),
        lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative="two-sided",
    )
    assert permutation_p_value(first, second) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_the_exact_test_by_clusters():
    rng = np.random.default_rng(5)
    member = np.array([0, 0, 0, 1, 2, 2, 3, 4, 4, 4, 4, 5])
    first, second = rng.normal(size=12), rng.normal(0.4, 1, 12)
    expected = swap_by_swap(first, second, member)
    names = [f"clip {number}" for number in member]
    assert permutation_p_value(first, second, names) == pytest.approx(expected)
    rows = [np.column_stack([values, np.ones(12)]) for values in (first, second)]
    assert permutation_p_value(rows[0], rows[1], names, statistic=ratio) == pytest.approx(expected)


def test_random_swaps_come_close_to_all_of_them():
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=16), rng.normal(0.45, 1, 16)
    exact = swap_by_swap(first, second, np.arange(16))
    assert permutation_p_value(first, second, n=20_000) == pytest.approx(exact, abs=0.01)
    assert permutation_p_value(first, second, n=500, seed=3) == permutation_p_value(first, second, n=500, seed=3)
    assert permutation_p_value(np.zeros(40), np.ones(40), n=99) == 0.01, "never 0"


@pytest.mark.parametrize("clusters", [0, 9])
def test_p_values_are_uniform_where_nothing_differs(clusters):
    rng = np.random.default_rng(7)
    found = []
    for seed in range(300):
        names = rng.integers(0, clusters, 60).tolist() if clusters else None
        level = rng.normal(size=max(clusters, 1))  # what a cluster's pairs share is a difference that chance made
        shared = level[names] if names else 0.0
        first = rng.normal(size=60)
        second = first + shared + rng.normal(0, 0.5, 60)
        found.append(permutation_p_value(first, second, names, n=500, seed=seed))
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.09


@pytest.mark.parametrize("clustered", [False, True])
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(clustered):
    rng = np.random.default_rng(8)
    hits, zero = 0, 0
    for seed in range(300):
        names = np.repeat(np.arange(20), 5).tolist() if clustered else None
        shared = rng.normal(0, 1, 20)[names] if clustered else 0.0
        first = rng.normal(0, 3, 100)
        second = first + 0.7 + shared + rng.normal(0, 1, 100)
        entry = paired_difference(first, second, names, seed=seed, n=400, flips=200)
        hits += entry["low"] <= 0.7 <= entry["high"]
        zero += entry["low"] <= entry["difference"] <= entry["high"]
    assert 0.91 <= hits / 300 <= 0.985
    assert zero == 300


def test_pairing_sees_what_two_intervals_do_not():
    rng = np.random.default_rng(9)
    first = rng.normal(0, 5, 60)
    second = first + rng.normal(0.4, 0.3, 60)
    entry = paired_difference(first, second)
    assert entry["low"] > 0 and entry["p_value"] < 0.001
    one, other = bootstrap(first), bootstrap(second)
    assert one is not None and other is not None and one[1] > other[0], "which overlap"


def test_mean_and_plain_statistic_agree():
    rng = np.random.default_rng(10)
    first, second = rng.random(40), rng.random(40)
    quick = paired_difference(first, second)
    plain = paired_difference(first, second, statistic=lambda values: float(np.mean(values)), flips=2000)
    for name in ("difference", "low", "high", "p_value"):
        assert plain[name] == pytest.approx(quick[name], abs=0.03), name


def test_rows_of_counts():
    first = [[8, 10], [5, 10], [9, 10], [10, 10], [7, 10], [0, 0]]
    second = [[9, 10], [7, 10], [9, 10], [10, 10], [9, 10], [0, 0]]
    entry = paired_difference(first, second, statistic=ratio)
    assert (entry["a"], entry["b"], entry["n"]) == (0.78, 0.88, 6)
    assert entry["difference"] == pytest.approx(0.1)
    assert entry["low"] <= entry["difference"] <= entry["high"] and 0 < entry["p_value"] <= 1


def test_pairs_without_a_value_are_counted():
    first = [1.0, None, 3.0, 4.0, 5.0, 6.0, float("nan")]
    second = [2.0, 2.0, None, 5.0, 6.0, 7.0, 8.0]
    entry = paired_difference(first, second)
    assert (entry["n"], entry["excluded"], entry["difference"]) == (4, 3, 1.0)
    assert (entry["low"], entry["p_value"]) == (None, None) and entry["reason"].startswith("4 pairs")


@pytest.mark.parametrize(("first", "second"), [([], []), ([None], [1.0]), ([None] * 9, [1.0] * 9)])
def test_nothing_to_compare(first, second):
    entry = paired_difference(first, second)
    assert entry["difference"] is None and entry["reason"] == "no pair has a value on both sides"
    json.dumps(entry, allow_nan=False)


def test_few_clusters_have_neither_interval_nor_p_value():
    values = np.arange(40.0)
    entry = paired_difference(values, values + 1, list("abcd") * 10)
    assert (entry["difference"], entry["low"], entry["p_value"], entry["clusters"]) == (1.0, None, None, 4)
    assert entry["reason"] == "4 clusters; an interval and a p-value need 5"
    assert paired_difference(values, values + 1, list("abcde") * 8)["p_value"] == 2 / 32


def test_equal_systems():
    entry = paired_difference(np.arange(20.0), np.arange(20.0))
    assert (entry["difference"], entry["low"], entry["high"], entry["p_value"]) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "work",
    [
        lambda: paired_difference([1.0], [1.0, 2.0]),
        lambda: paired_difference([1.0], [1.0], ["a", "b"]),
        lambda: permutation_p_value([1.0] * 6, [1.0] * 5),
        lambda: permutation_p_value([1.0] * 6, [1.0] * 6, ["a"]),
        lambda: permutation_p_value([1.0] * 6, [1.0] * 6, n=0),
    ],
)
def test_bad_input(work):
    with pytest.raises(InputError):
        work()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("clusters", [6, 20, 60])
def test_sums_give_the_answer_of_their_rows(seed, clusters):
    """Exactly all swaps and random ones, with clusters and without; some pairs have no value."""
    rng = np.random.default_rng(seed)
    first, second = (rng.integers(0, 2, (60, 3)).astype(float) for _ in range(2))
    names = None if clusters == 60 else (np.arange(60) % clusters).tolist()
    quick = intervals.ratio((1, 0, 0), (1, 1, 1))

    def slow(rows):
        whole = rows.sum()
        return float(rows[:, 0].sum() / whole) if whole else None

    found, expected = (
        paired_difference(
            [None, *first],
            [(1, 0, 0), *second],
            None if names is None else [0, *names],
            statistic=statistic,
            n=100,
            flips=300,
            seed=seed,
        )
        for statistic in (quick, slow)
    )
    assert found["excluded"] == expected["excluded"] == 1
    for key in ("a", "b", "difference", "low", "high", "p_value"):
        assert found[key] == pytest.approx(expected[key]), key
