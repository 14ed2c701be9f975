"""Whether the one ball of a frame was found: counts as WASB-SBDT counts them, rates, and distances.

Each frame has exactly one outcome (nttcom/WASB-SBDT, arXiv 2311.05237). The ball is visible, and the answer is within
the tolerance: ``tp``; farther away: ``fp1``; none: ``fn``. The ball is not visible, and there is an answer: ``fp2``;
none: ``tn``. "Within" means distance <= tolerance; an answer counts where its score > threshold and its coordinates
are finite.

Points are (x, y) in continuous pixels of the original image, one per frame. Visibility is the label file's: 0 no ball
in the frame, 1 easy, 2 hard to see, 3 occluded. For intervals, pass ``outcomes`` (or sums of them) and the
frames' clips to ``intervals.summary``:

>>> rows = outcomes([[3, 4], [0, 0]], [0.9, 0.2], [[0, 0], [9, 9]], [1, 2], tolerance=5, score_threshold=0.5)
>>> rows.tolist()
[[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]
>>> from kaname.metrics.intervals import summary
>>> summary(rows, ["Clip1", "Clip1"], statistic=statistic("recall"))
{'value': 0.5, 'low': None, 'high': None, 'n': 2}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.metrics.intervals import OfSums, ratio
from kaname.metrics.points import as_points, precision_recall_f1
from kaname.shapes import Bool, Float64, Int64

OUTCOMES = ("tp", "fp1", "fp2", "fn", "tn")
RATES = ("precision", "recall", "f1", "accuracy")
PCK_PX = (2.0, 4.0, 5.0, 10.0)
OCCLUDED = 3
VISIBILITIES = (0, 1, 2, OCCLUDED)
# Numerator and denominator of each rate, as weights in the order of OUTCOMES.
_WEIGHTS = {
    "precision": ((1, 0, 0, 0, 0), (1, 1, 1, 0, 0)),
    "recall": ((1, 0, 0, 0, 0), (1, 0, 0, 1, 0)),
    "f1": ((2, 0, 0, 0, 0), (2, 1, 1, 1, 0)),
    "accuracy": ((1, 0, 0, 0, 1), (1, 1, 1, 1, 1)),
}


def ball_counts(
    predicted: ArrayLike,
    score: ArrayLike,
    truth: ArrayLike,
    visible: ArrayLike,
    tolerance: float,
    score_threshold: float,
    *,
    occluded_absent: bool = False,
) -> dict[str, int]:
    """How many frames have which outcome.

    Args:
        predicted: ``(N, 2)`` pixels; NaN or infinite where there is no answer.
        score: ``(N,)``; NaN counts as no answer.
        truth: ``(N, 2)`` pixels; ignored where the ball is not visible.
        visible: ``(N,)`` integers 0..3.
        tolerance: pixels, >= 0; a distance equal to it is within.
        score_threshold: a score equal to it does not count as an answer.
        occluded_absent: count visibility 3 as not visible, like 0.

    Returns:
        ``{"tp", "fp1", "fp2", "fn", "tn"}``, integers with the sum N.

    Raises:
        InputError: shapes that do not fit, another visibility, a visible ball without a position, a tolerance that is
            negative, or a tolerance or threshold that is not finite.

    >>> ball_counts([[3, 4], [30, 4]], [0.9, 0.9], [[0, 0], [0, 0]], [1, 1], tolerance=5, score_threshold=0.5)
    {'tp': 1, 'fp1': 1, 'fp2': 0, 'fn': 0, 'tn': 0}
    """
    rows = outcomes(predicted, score, truth, visible, tolerance, score_threshold, occluded_absent=occluded_absent)
    return dict(zip(OUTCOMES, (int(total) for total in rows.sum(axis=0)), strict=True))


def outcomes(
    predicted: ArrayLike,
    score: ArrayLike,
    truth: ArrayLike,
    visible: ArrayLike,
    tolerance: float,
    score_threshold: float,
    *,
    occluded_absent: bool = False,
) -> Int64[np.ndarray, "frames 5"]:
    """Each frame's outcome; the arguments and errors are those of ``ball_counts``.

    Returns:
        ``(N, 5)``: in each row a single 1, in the column of ``OUTCOMES``.
    """
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f"the tolerance must be a number of pixels, 0 or more, got {tolerance}")
    distance, answered = _answers(predicted, score, truth, visible, score_threshold, occluded_absent)
    present = ~np.isnan(distance)
    within = present & (distance <= tolerance)
    columns = (within, present & answered & ~within, ~present & answered, present & ~answered, ~present & ~answered)
    return np.column_stack(columns).astype(np.int64)


def rates(counts: Mapping[str, int]) -> dict[str, float | None]:
    """Precision tp / (tp + fp1 + fp2), recall tp / (tp + fn), F1 = 2 tp / (2 tp + fp1 + fp2 + fn), accuracy.

    A ball placed too far away (``fp1``) costs precision and not recall, as in WASB. Accuracy is the share of ``tp``
    and ``tn`` in all frames.

    Args:
        counts: what ``ball_counts`` gives, or sums of it.

    Returns:
        ``{"precision", "recall", "f1", "accuracy"}``, each 0..1, None in place of a share of nothing.

    >>> rates({"tp": 3, "fp1": 1, "fp2": 0, "fn": 1, "tn": 3})
    {'precision': 0.75, 'recall': 0.75, 'f1': 0.75, 'accuracy': 0.75}
    >>> rates({"tp": 0, "fp1": 0, "fp2": 0, "fn": 0, "tn": 2})
    {'precision': None, 'recall': None, 'f1': None, 'accuracy': 1.0}
    """
    missing = [name for name in OUTCOMES if name not in counts]
    if missing:
        raise InputError(f"the counts lack {', '.join(missing)}", remedy=f"give all of {', '.join(OUTCOMES)}")
    tp, fp1, fp2, fn, tn = (int(counts[name]) for name in OUTCOMES)
    if tn < 0:
        raise InputError(f"counts must not be negative, got tn {tn}")
    precision, recall, f1 = precision_recall_f1(tp, fp1 + fp2, fn)
    total = tp + fp1 + fp2 + fn + tn
    return {"precision": precision, "recall": recall, "f1": f1, "accuracy": (tp + tn) / total if total else None}


def statistic(name: str) -> OfSums:
    """One of ``RATES`` as a function of rows of ``outcomes`` ``(M, 5)``, for ``intervals.summary``."""
    if name not in RATES:
        raise InputError(f"no rate {name!r}", remedy=f"one of: {', '.join(RATES)}")
    return ratio(*_WEIGHTS[name])


def distances(
    predicted: ArrayLike,
    score: ArrayLike,
    truth: ArrayLike,
    visible: ArrayLike,
    score_threshold: float,
    *,
    occluded_absent: bool = False,
) -> Float64[np.ndarray, "frames"]:
    """How far each answer is from its ball; the arguments and errors are those of ``ball_counts``.

    Returns:
        ``(N,)`` pixels; infinite where the ball is visible and there is no answer, NaN where it is not visible.

    >>> distances([[3, 4], [0, 0], [0, 0]], [0.9, 0.2, 0.9], [[0, 0], [0, 0], [0, 0]], [1, 1, 0], 0.5)
    array([ 5., inf, nan])
    """
    return _answers(predicted, score, truth, visible, score_threshold, occluded_absent)[0]


def within(distance: ArrayLike, threshold: float) -> Float64[np.ndarray, "frames"]:
    """For each frame 1 where the distance is <= threshold, 0 where it is greater, NaN where there is no ball.

    Its mean over the balls is PCK, ready for ``intervals.summary``.

    >>> within([5.0, float("inf"), float("nan")], 5)
    array([ 1.,  0., nan])
    """
    if not (np.isfinite(threshold) and threshold >= 0):
        raise InputError(f"threshold must be a number of pixels, 0 or more, got {threshold}")
    values = np.asarray(distance, dtype=np.float64)
    return np.where(np.isnan(values), np.nan, values <= threshold)


def localisation(distance: ArrayLike, thresholds: Sequence[float] = PCK_PX) -> dict[str, float | None]:
    """Mean and median distance of the answers, and the share of visible balls with an answer within thresholds.

    Missed balls have no distance and leave mean and median; in PCK they count as not within.

    Args:
        distance: ``(N,)``, what ``distances`` gives.
        thresholds: pixels.

    Returns:
        ``{"l2_mean_px", "l2_median_px", "pck_2px", ...}``; None where there is nothing to average.

    >>> localisation([1.0, 5.0, float("inf"), float("nan")], thresholds=[2, 5])["pck_5px"]
    0.6666666666666666
    >>> localisation([float("inf")], thresholds=[2])
    {'l2_mean_px': None, 'l2_median_px': None, 'pck_2px': 0.0}
    """
    values = np.asarray(distance, dtype=np.float64)
    answered = values[np.isfinite(values)]
    result: dict[str, float | None] = {
        "l2_mean_px": float(answered.mean()) if len(answered) else None,
        "l2_median_px": float(np.median(answered)) if len(answered) else None,
    }
    for threshold in thresholds:
        hits = within(values, threshold)
        hits = hits[~np.isnan(hits)]
        result[f"pck_{threshold:g}px"] = float(hits.mean()) if len(hits) else None
    return result


def _answers(
    predicted: ArrayLike,
    score: ArrayLike,
    truth: ArrayLike,
    visible: ArrayLike,
    score_threshold: float,
    occluded_absent: bool,
) -> tuple[Float64[np.ndarray, "frames"], Bool[np.ndarray, "frames"]]:
    """The distances as ``distances`` gives them, and which frames have an answer."""
    if not np.isfinite(score_threshold):
        raise InputError(f"the score threshold must be a number, got {score_threshold}")
    answer, ball = as_points(predicted, "predicted"), as_points(truth, "truth")
    scores, seen = np.asarray(score, dtype=np.float64), _visibilities(visible)
    if len(answer) != len(ball) or scores.shape != (len(ball),) or seen.shape != (len(ball),):
        shown = f"predicted {len(answer)}, score {scores.shape}, truth {len(ball)}, visible {seen.shape}"
        raise InputError(f"predicted, score, truth and visible must have one entry per frame, got {shown}")
    present = (seen != 0) & ~((seen == OCCLUDED) & occluded_absent)
    lost = np.flatnonzero(present & ~np.isfinite(ball).all(axis=1))
    if len(lost):
        reason = f"the ball of frame {lost[0]} is visible, but its position is {ball[lost[0]].tolist()}"
        raise InputError(reason, remedy="give it visibility 0, or a position")
    answered = (scores > score_threshold) & np.isfinite(answer).all(axis=1)
    distance = np.where(present, np.inf, np.nan)
    both = present & answered
    step = answer[both] - ball[both]
    distance[both] = np.hypot(step[:, 0], step[:, 1])
    return distance, answered


def _visibilities(visible: ArrayLike) -> Int64[np.ndarray, "frames"]:
    values = np.asarray(visible)
    if values.size == 0:
        return np.zeros(0, dtype=np.int64)
    if not np.isin(values, VISIBILITIES).all():
        other = values[~np.isin(values, VISIBILITIES)].ravel()[0]
        raise InputError(f"visibility must be one of {', '.join(map(str, VISIBILITIES))}, got {other}")
    return values.astype(np.int64)
