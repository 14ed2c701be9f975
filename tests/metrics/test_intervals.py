"""Bootstrap intervals and the entries of metrics.json."""

from __future__ import annotations

import doctest
import json

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.metrics import intervals as module
from kaname.metrics.intervals import bootstrap, mean, name_prefix, ratio, summary


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_deterministic_by_seed():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)
    assert bootstrap(values, np.median, seed=3) == bootstrap(values, np.median, seed=3)


def test_fewer_than_five_have_no_interval():
    assert bootstrap([1.0, 2.0, 3.0, 4.0]) is None
    assert bootstrap([1.0, 2.0, 3.0, 4.0, 5.0]) is not None
    assert bootstrap([]) is None
    assert bootstrap(np.arange(40.0), clusters=list("abcd") * 10) is None
    assert bootstrap(np.arange(40.0), clusters=list("abcde") * 8) is not None


def test_quick_and_plain_way_agree():
    values = np.random.default_rng(1).exponential(size=80)
    quick = bootstrap(values, n=4000)
    plain = bootstrap(values, lambda entries: float(entries.mean()), n=4000)
    np.testing.assert_allclose(quick, plain, rtol=0.05)
    low, high = quick
    error = values.std() / np.sqrt(len(values))
    np.testing.assert_allclose([low, high], values.mean() + np.array([-1.96, 1.96]) * error, rtol=0.1)


def drawn_one_by_one(rows, of_sums, members, n, seed):
    """The resamples of sums, each drawn and added up as it is written down in a textbook."""
    draws = np.random.default_rng(seed).integers(0, len(members), (n, len(members)))
    return of_sums(np.array([sum(rows[members[one]].sum(axis=0) for one in row) for row in draws.tolist()]))


@pytest.mark.parametrize(("kept", "block"), [(1 << 24, 1 << 20), (1 << 24, 100), (0, 1 << 20), (0, 7)])
@pytest.mark.parametrize("clustered", [False, True])
def test_counting_draws_gives_the_sums_of_what_was_drawn(kept, block, clustered, monkeypatch):
    module._all_draws.cache_clear()
    monkeypatch.setattr(module, "KEPT", kept)
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(5)
    rows, names = rng.normal(3, 1, (61, 3)), rng.integers(0, 13, 61).tolist() if clustered else None
    share = ratio((1, 0, 0), (0, 1, 1))
    members = module.groups(names, len(rows))
    wanted = drawn_one_by_one(rows, share.of_sums, members, 301, 4)
    sums = module._cluster_sums(rows, members)
    found = share.of_sums(module._resampled_sums(sums, 301, 4))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert len(set(wanted.tolist())) > 250
    module._all_draws.cache_clear()


@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul")
def test_a_sample_without_a_number_spoils_only_the_resamples_that_hold_it():
    values = np.array([np.nan, *range(9)])
    low, high = bootstrap(np.column_stack([values, np.ones(10)])[[*range(1, 10), *range(1, 10)]], ratio((1, 0), (0, 1)))
    assert 0 <= low < high <= 8
    assert bootstrap([np.inf, *range(1, 40)], n=4000) is None  # two in three hold it: most have no value
    assert bootstrap([np.inf, *range(1, 40)], clusters=[0, *range(39)], n=4000) is None


def test_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(300):
        low, high = bootstrap(rng.normal(5, 2, 40), seed=seed, n=400)
        hits += low <= 5 <= high
    assert 0.88 <= hits / 300 <= 0.99


@pytest.mark.parametrize(("count", "least"), [(5, 0.87), (7, 0.89), (10, 0.91), (20, 0.91)])
def test_few_samples_have_honest_intervals_too(count, least):
    """Plain percentile intervals hold the mean in 0.83, 0.86, 0.92 and 0.93 of such cases."""
    rng = np.random.default_rng(4)
    hits = 0
    for seed in range(400):
        low, high = bootstrap(rng.normal(5, 2, count), seed=seed)
        hits += low <= 5 <= high
    assert least <= hits / 400 <= 0.985


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("psi_0001.jpg", "psi"),
        ("a/b/clip 12.png", "clip"),
        ("x(2).png", "x"),
        ("2024.jpg", "2024"),
        ("計器-3.jpg", "計器"),
        ("a1b.jpg", "a1b"),
        ("_1.jpg", "_1"),
        ("no number", "no number"),
    ],
)
def test_name_prefix(name, prefix):
    assert name_prefix(name) == prefix


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(10), 50)
    values = rng.normal(size=10)[clusters] + rng.normal(0, 0.1, 500)
    alone = np.ptp(bootstrap(values))
    together = np.ptp(bootstrap(values, clusters=clusters.tolist()))
    assert together > 3 * alone
    plain = bootstrap(values, lambda entries: float(entries.mean()), clusters.tolist(), n=2000)
    np.testing.assert_allclose(plain, bootstrap(values, clusters=clusters.tolist(), n=2000), atol=0.1)


def test_rows_of_counts_with_a_statistic_of_sums():
    counts = np.array([[8, 2], [5, 5], [9, 1], [10, 0], [7, 3], [6, 4]])

    def precision(rows):
        return rows[:, 0].sum() / rows.sum()

    entry = summary(counts, statistic=precision)
    assert entry["value"] == pytest.approx(45 / 60)
    assert entry["low"] < entry["value"] < entry["high"]
    assert entry["n"] == 6


def test_statistic_without_a_value():
    assert bootstrap(np.arange(9.0), lambda _: None) is None
    assert bootstrap(np.arange(9.0), lambda _: float("nan")) is None
    entry = summary(np.arange(9.0), statistic=lambda _: None, reason="no truth")
    assert entry == {"value": None, "low": None, "high": None, "n": 9, "reason": "no truth"}


@pytest.mark.parametrize(
    "values", [[], [None], [None, float("nan")], np.zeros(0), np.full(3, np.nan), np.zeros((0, 3))]
)
def test_summary_without_values(values):
    entry = summary(values, reason="no visible point")
    assert (entry["value"], entry["low"], entry["high"], entry["n"]) == (None, None, None, 0)
    assert entry["reason"] == "no visible point"
    assert entry.get("excluded", 0) == len(values)
    json.dumps(entry, allow_nan=False)


def test_summary_excludes_and_counts():
    clusters = ["a", "a", "b", "c", "d", "e", "e"]
    entry = summary([1.0, None, 2.0, 3.0, float("inf"), 4.0, 5.0], clusters)
    assert entry["value"] == pytest.approx(3.0)
    assert (entry["n"], entry["excluded"]) == (5, 2)
    assert entry["low"] is None  # a, b, c, e are four clusters
    json.dumps(entry, allow_nan=False)
    entry = summary([1.0, None, 2.0, 3.0, 4.0, 5.0])
    assert (entry["low"], entry["high"]) == bootstrap([1.0, 2.0, 3.0, 4.0, 5.0])
    assert set(entry) == {"value", "low", "high", "n", "excluded"}


def test_summary_of_rows_where_a_sample_is_missing():
    entry = summary([[1, 2], None, [3, 4]], statistic=lambda rows: float(rows.sum()))
    assert (entry["value"], entry["n"], entry["excluded"]) == (10.0, 2, 1)


def test_equal_values_have_an_interval_of_no_width():
    assert bootstrap([2.0] * 6) == (2.0, 2.0)
    assert mean(np.zeros(0)) is None


@pytest.mark.parametrize(
    "work",
    [
        lambda: bootstrap(3.0),
        lambda: bootstrap([1.0] * 6, clusters=["a"]),
        lambda: bootstrap([1.0] * 6, n=0),
        lambda: bootstrap([1.0] * 6, level=1.0),
        lambda: summary([1.0] * 6, ["a"]),
    ],
)
def test_bad_input(work):
    with pytest.raises(InputError):
        work()


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_sums_give_the_interval_of_their_rows(seed, clustered):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, (40, 3)).astype(float)
    names = rng.integers(0, 9, 40).tolist() if clustered else None
    quick = ratio((2, 0, 0), (2, 1, 1))

    def slow(values):
        tp, fp, fn = values.sum(axis=0)
        return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None

    assert quick(rows) == pytest.approx(slow(rows))
    assert bootstrap(rows, quick, names, n=200) == pytest.approx(bootstrap(rows, slow, names, n=200))


def test_a_ratio_of_nothing_has_no_value():
    share = ratio((1, 0), (0, 1))
    assert share(np.zeros((3, 2))) is None and np.isnan(share.of_sums(np.zeros(2)))
    np.testing.assert_array_equal(share.of_sums(np.array([[1.0, 2.0], [3.0, 0.0]])), [0.5, np.nan])
    assert summary(np.zeros((9, 2)), statistic=share)["reason"] == "no sample has a value"
    # Resamples without a divisor are left out.
    rows = np.array([[1, 1]] + [[0, 0]] * 8)
    assert bootstrap(rows, share, n=500) == (1, 1)
