"""How sure a metric is: percentile bootstrap intervals (Efron, 1979), over samples or over clusters of samples.

Frames of one video resemble each other; resampling whole videos instead of frames keeps the interval honest. Plain
percentile intervals of few samples are too narrow (of 5 normal values they hold the mean 83 times in 100 instead of
95); they are widened as Hesterberg (The American Statistician 69, 2015, section 3.3, "expanded percentile") derives,
to the width that Student's t has for that many samples. From 50 samples on the difference is a few percent.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from kaname.errors import InputError
from kaname.shapes import Bool, Float64, Int64, Real, UInt8

# From the values of some samples to one number; None or NaN where there is none.
Statistic = Callable[[Float64[np.ndarray, "samples *values"]], float | None]

BLOCK = 1 << 20  # draws that are worked on at once
KEPT = 1 << 24  # draws up to which they are kept for the next figure of as many samples
LEAST = 5  # samples (or clusters) below which an interval would say nothing


@dataclass(frozen=True)
class OfSums:
    """A statistic of rows of numbers that depends on their sums alone, such as a rate from counts.

    Resampling clusters then needs their own sums alone: 20,000 frames of 95 clips cost no more than 95 rows.

    Attributes:
        of_sums: from sums ``(..., C)`` to statistics ``(...)``, NaN where there is none.
    """

    of_sums: Callable[[Real[np.ndarray, "*sets columns"]], Float64[np.ndarray, "*sets"]]

    def __call__(self, rows: Real[np.ndarray, "samples columns"]) -> float | None:
        """The statistic of rows ``(M, C)``; None where there is none."""
        value = float(self.of_sums(rows.sum(axis=0)))
        return value if np.isfinite(value) else None


def ratio(over: Sequence[float], under: Sequence[float]) -> OfSums:
    """A weighted sum of the columns divided by another, such as precision from rows (tp, fp, fn).

    Args:
        over: a weight for each of the C columns.
        under: the same of the divisor; where that is 0 there is no value.

    >>> ratio((1, 0, 0), (1, 1, 0))(np.array([[1, 0, 1], [0, 1, 0]]))
    0.5
    """
    above, below = np.array(over, dtype=np.float64), np.array(under, dtype=np.float64)

    def of_sums(sums: Real[np.ndarray, "*sets columns"]) -> Float64[np.ndarray, "*sets"]:
        divisor = sums @ below
        return np.where(divisor == 0, np.nan, sums @ above / np.where(divisor == 0, 1, divisor))

    return OfSums(of_sums)


def mean(values: Float64[np.ndarray, "samples"]) -> float | None:
    """The mean of ``(M,)`` values; None without any."""
    return float(values.mean()) if len(values) else None


def bootstrap(
    values: ArrayLike,
    statistic: Statistic = mean,
    clusters: Sequence[Hashable] | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Expanded percentile interval of a statistic under resampling with replacement.

    Args:
        values: ``(N,)`` or ``(N, ...)``: one entry per sample, such as its error, or its counts (tp, fp, fn).
        statistic: from the entries ``(M, ...)`` of a resample to a number; the mean by default. Resamples for which
            it is None or not finite are left out.
        clusters: ``(N,)`` names, such as the sample's video: whole clusters are drawn.
        n: number of resamples.
        seed: the same seed gives the same interval.
        level: how often such intervals should hold the true value.

    Returns:
        ``(low, high)``; None under 5 samples (or clusters), and where most resamples have no value.

    >>> low, high = bootstrap([1, 2, 3, 4, 5, 6, 7, 8])
    >>> 2 < low < 4.5 < high < 7
    True
    >>> bootstrap([1, 2, 3]) is None
    True
    """
    entries = np.asarray(values, dtype=np.float64)
    if entries.ndim == 0:
        raise InputError("values must have one entry per sample, got a single number")
    if n < 1 or not 0 < level < 1:
        raise InputError(f"n must be at least 1 and level inside 0..1, got n {n} and level {level}")
    members = groups(clusters, len(entries))
    if len(members) < LEAST:
        return None
    entries, statistic = by_sums(entries, statistic)
    if isinstance(statistic, OfSums):
        results = statistic.of_sums(_resampled_sums(_cluster_sums(entries, members), n, seed))
    else:
        drawn: list[list[int]] = np.random.default_rng(seed).integers(0, len(members), (n, len(members))).tolist()
        resamples = (statistic(entries[np.concatenate([members[group] for group in row])]) for row in drawn)
        results = np.array([np.nan if result is None else result for result in resamples], dtype=np.float64)
    results = results[np.isfinite(results)]
    if len(results) < (n + 1) // 2:
        return None
    tail = 100 * _tail(len(members), level)
    low, high = np.percentile(results, [tail, 100 - tail])
    return float(low), float(high)


def summary(
    values: Sequence[float | None] | ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    statistic: Statistic = mean,
    n: int = 1000,
    seed: int = 0,
    reason: str = "no sample has a value",
) -> dict[str, Any]:
    """One metric's entry of ``metrics.json``.

    Args:
        values: for each sample its value, or a row of numbers for ``statistic``; None and NaN mean that the sample
            has none: it is excluded and counted.
        clusters, statistic, n, seed: as in ``bootstrap``.
        reason: why there is no value, where there is none.

    Returns:
        ``{"value", "low", "high", "n"}``: the statistic, its 95 % interval and the number of samples in it. What is
        unknown is None. ``"excluded"`` counts the samples without a value, where there are some; ``"reason"`` is
        there where the value is None.

    >>> summary([1.0, 2.0, None])
    {'value': 1.5, 'low': None, 'high': None, 'n': 2, 'excluded': 1}
    >>> summary([])
    {'value': None, 'low': None, 'high': None, 'n': 0, 'reason': 'no sample has a value'}
    """
    entries, finite = usable(values)
    kept = entries[finite]
    value = statistic(kept) if len(kept) else None
    if value is not None and not np.isfinite(value):
        value = None
    interval = None
    if value is not None:
        names = None if clusters is None else _chosen(clusters, finite)
        interval = bootstrap(kept, statistic, names, n, seed)
    low, high = interval if interval is not None else (None, None)
    entry: dict[str, Any] = {"value": None if value is None else float(value), "low": low, "high": high, "n": len(kept)}
    if len(kept) < len(entries):
        entry["excluded"] = len(entries) - len(kept)
    if value is None:
        entry["reason"] = reason
    return entry


def name_prefix(name: str) -> str:
    """What a file's name says about its origin: the name without its ending, its last number and what parts the two.

    Names without a number, and those of a number alone, stand for themselves.

    >>> [name_prefix(name) for name in ("psi_0001.jpg", "dial-12 (3).png", "snow_mpa.jpg", "0042.jpg")]
    ['psi', 'dial-12', 'snow_mpa', '0042']
    """
    stem = PurePath(name).stem
    return re.sub(r"[\s_.(\[-]*\d+[)\]]?$", "", stem) or stem


def _tail(count: int, level: float) -> float:
    """The share of resamples to cut off at each end, so that the interval is as wide as Student's t makes it."""
    quantile = float(stdtrit(count - 1, (1 + level) / 2))
    return float(ndtr(-quantile * np.sqrt(count / (count - 1))))


def by_sums(
    entries: Float64[np.ndarray, "samples *values"], statistic: Statistic
) -> tuple[Float64[np.ndarray, "samples *_rows"], Statistic]:
    """The mean as a statistic of sums, with the entries that it needs; others stay as they are."""
    if statistic is not mean or entries.ndim != 1:
        return entries, statistic
    return np.column_stack([entries, np.ones(len(entries))]), ratio((1, 0), (0, 1))


def groups(clusters: Sequence[Hashable] | None, count: int) -> list[Int64[np.ndarray, "_members"]]:
    """For each cluster the indices of its samples; without clusters each sample is its own."""
    if clusters is None:
        return list(np.arange(count, dtype=np.int64)[:, None])
    if len(clusters) != count:
        raise InputError(f"there are {count} samples and {len(clusters)} cluster names; each sample needs one")
    members: dict[Hashable, list[int]] = {}
    for index, name in enumerate(clusters):
        members.setdefault(name, []).append(index)
    return [np.array(indices, dtype=np.int64) for indices in members.values()]


def _cluster_sums(
    rows: Float64[np.ndarray, "samples columns"], members: Sequence[Int64[np.ndarray, "_members"]]
) -> Float64[np.ndarray, "clusters columns"]:
    """The sum of each cluster's rows."""
    if len(members) == len(rows):  # each sample is a cluster, in its place
        return rows
    starts = np.cumsum([0, *(len(group) for group in members[:-1])])
    return np.add.reduceat(rows[np.concatenate(members)], starts, axis=0)


def _resampled_sums(
    sums: Float64[np.ndarray, "clusters columns"], n: int, seed: int
) -> Float64[np.ndarray, "{n} columns"]:
    """The sums over resampled clusters, from each cluster's own: how often each is drawn, times its sums."""
    count = len(sums)
    times = _all_draws(count, n, seed) if n * count <= KEPT else None
    finite = bool(np.isfinite(sums).all())  # else what is not drawn would count, because 0 times NaN is NaN
    results, generator, step = np.empty((n, sums.shape[1])), np.random.default_rng(seed), max(1, BLOCK // count)
    for start in range(0, n, step):
        stop = min(start + step, n)
        if finite:
            some = _draws(generator, stop - start, count) if times is None else times[start:stop]
            results[start:stop] = some.astype(np.float64) @ sums
        else:
            results[start:stop] = [sums[row].sum(axis=0) for row in generator.integers(0, count, (stop - start, count))]
    return results


@functools.lru_cache(maxsize=4)
def _all_draws(count: int, n: int, seed: int) -> UInt8[np.ndarray, "{n} {count}"]:
    """All draws of a bootstrap: the same for every figure of as many clusters."""
    generator, step = np.random.default_rng(seed), max(1, BLOCK // count)
    return np.concatenate([_draws(generator, min(step, n - start), count) for start in range(0, n, step)])


def _draws(generator: np.random.Generator, n: int, count: int) -> UInt8[np.ndarray, "{n} {count}"]:
    """How often each of ``count`` clusters is drawn in each of ``n`` resamples; nobody is drawn 256 times: where there
    are that many clusters, the probability is under 1e-500."""
    drawn = generator.integers(0, count, (n, count)) + count * np.arange(n, dtype=np.int64)[:, None]
    return np.reshape(np.bincount(drawn.ravel(), minlength=n * count).astype(np.uint8), (n, count))


def usable(
    values: Sequence[float | None] | ArrayLike,
) -> tuple[Float64[np.ndarray, "samples *values"], Bool[np.ndarray, "samples"]]:
    """The entries as numbers ``(N, ...)``, None as NaN, and which of them ``(N,)`` are finite throughout.

    >>> usable([1.0, None])[1].tolist()
    [True, False]
    """
    rows: Any = values
    try:
        rows = np.array(values, dtype=np.float64)  # numbers, None (as NaN), and rows of one length
    except (TypeError, ValueError):  # None in the place of a row
        rows = [np.nan if row is None else row for row in values]  # type: ignore[union-attr]
        width = max((np.size(row) for row in rows), default=1)
        rows = [np.full(width, np.nan) if width > 1 and np.size(row) == 1 else row for row in rows]
    entries = np.asarray(rows, dtype=np.float64)
    finite = np.isfinite(entries).all(axis=tuple(range(1, entries.ndim)))
    return entries, np.asarray(finite, dtype=np.bool_)


def _chosen(clusters: Sequence[Hashable], usable: Bool[np.ndarray, "samples"]) -> list[Hashable]:
    if len(clusters) != len(usable):
        raise InputError(f"there are {len(usable)} samples and {len(clusters)} cluster names; each sample needs one")
    return [name for name, use in zip(clusters, usable, strict=True) if use]
