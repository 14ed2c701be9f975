"""Whether a score means what it says: of the points that score 0.9, are nine in ten right?

Points are sorted into bins by their score; each bin says how many there are, what share of them is right and how far
off they are (reliability diagram; Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.shapes import Float64


@dataclass(frozen=True)
class Bin:
    """The points of one range of scores.

    Attributes:
        low: least score, in the bin (the first bin also holds 0).
        high: greatest score; outside the bin, but for the last one.
        count: number of points.
        score: their mean score; None without points.
        correct: share of them that is right, 0..1; None without points.
        error: their median error in the unit of the errors; None without points, and where half of them have no true
            point to be compared with.
    """

    low: float
    high: float
    count: int
    score: float | None
    correct: float | None
    error: float | None


def calibration(scores: ArrayLike, errors: ArrayLike, tolerance: float, *, bins: int = 10) -> list[Bin]:
    """Points by their score, in bins of equal width over 0..1.

    Args:
        scores: ``(N,)`` in 0..1.
        errors: ``(N,)``, >= 0; infinite where there is nothing true to compare with.
        tolerance: a point is right where its error <= tolerance.
        bins: how many.

    Raises:
        InputError: scores and errors of different lengths, scores outside 0..1, an error that is NaN or negative.

    >>> [(one.count, one.correct) for one in calibration([0.2, 0.3, 0.9, 0.8], [9, 1, 1, 2], 5, bins=2)]
    [(2, 0.5), (2, 1.0)]
    """
    score, error = np.asarray(scores, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if score.ndim != 1 or score.shape != error.shape:
        raise InputError(f"each point needs a score and an error, got {score.shape} and {error.shape}")
    if bins < 1:
        raise InputError(f"bins must be at least 1, got {bins}")
    if not ((score >= 0) & (score <= 1)).all():
        raise InputError("a score is outside 0..1")
    if not (error >= 0).all():
        raise InputError("an error is NaN or negative")
    place = np.minimum((score * bins).astype(np.int64), bins - 1)
    return [_bin(i / bins, (i + 1) / bins, score[place == i], error[place == i], tolerance) for i in range(bins)]


def expected_calibration_error(bins: Sequence[Bin]) -> float | None:
    """Mean over all points of |share of their bin that is right - mean score of their bin|, 0..1; None without points.

    >>> expected_calibration_error(calibration([0.9, 0.9], [1, 9], 5))
    0.4
    """
    filled = [(one.count, one.correct, one.score) for one in bins if one.score is not None and one.correct is not None]
    total = sum(count for count, _, _ in filled)
    return sum(count * abs(correct - score) for count, correct, score in filled) / total if total else None


def _bin(
    low: float,
    high: float,
    scores: Float64[np.ndarray, "points"],
    errors: Float64[np.ndarray, "points"],
    tolerance: float,
) -> Bin:
    if not len(scores):
        return Bin(low, high, 0, None, None, None)
    median = float(np.sort(errors)[(len(errors) - 1) // 2])  # the lower middle one: no mean of a number and infinity
    share = float((errors <= tolerance).mean())
    return Bin(low, high, len(scores), float(scores.mean()), share, median if np.isfinite(median) else None)
