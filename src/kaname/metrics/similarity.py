"""How alike two sets of key points are, for matching predicted objects to true ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.shapes import Bool, Float64

VISIBLE = 2


def keypoint_similarity(
    truth: ArrayLike, predicted: ArrayLike, visible: ArrayLike, scale_px: float = 10.0, kind: str = "gaussian"
) -> Float64[np.ndarray, "truths predictions"]:
    """The similarity of every true object to every predicted one, by the mean distance over the visible true points.

    As the evaluator of the Open Suturing Skills Challenge 2025 has it (arXiv 2605.22200; its ``linear`` kind is that of
    older versions): no size of the object, and no notion of what the prediction says of visibility.

    Args:
        truth: ``(T, K, 2)`` pixels; ignored where not visible.
        predicted: ``(P, K, 2)`` pixels; a point that is not finite is infinitely far away.
        visible: ``(T, K)``; only points with visibility 2 count (of booleans the true ones). An object without any is
            like nothing: 0.
        scale_px: pixels, > 0.
        kind: ``gaussian``: ``exp(-d^2 / (2 scale_px^2))``; ``linear``: ``max(0, 1 - d / scale_px)``.

    Returns:
        ``(T, P)`` in 0..1.

    Raises:
        InputError: shapes that do not fit, a visible true point without coordinates, a scale that is not positive, an
            unknown kind.

    >>> keypoint_similarity([[[0, 0], [50, 50]]], [[[0, 10], [0, 0]]], [[2, 1]]).round(4)
    array([[0.6065]])
    """
    if kind not in KINDS:
        raise InputError(f"no similarity is called {kind!r}", remedy=f"known: {', '.join(KINDS)}")
    if not 0 < scale_px < math.inf:
        raise InputError(f"scale_px must be finite and greater than 0, got {scale_px}")
    seen = np.asarray(visible)
    true, found = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if true.size == 0 or found.size == 0:
        return np.zeros((len(true), len(found)))
    fits = true.ndim == found.ndim == 3 and true.shape[2] == 2 and found.shape[1:] == true.shape[1:]
    if not fits or seen.shape != true.shape[:2]:
        reason = f"truth {true.shape}, predictions {found.shape} and visibility {seen.shape} do not fit"
        raise InputError(reason, remedy="they are (T, K, 2), (P, K, 2) and (T, K)")
    return _similarity(true[:, None], found[None], _counts(seen)[:, None], scale_px, kind)


def paired_similarity(
    truth: ArrayLike, predicted: ArrayLike, visible: ArrayLike, scale_px: float = 10.0, kind: str = "gaussian"
) -> Float64[np.ndarray, "pairs"]:
    """`keypoint_similarity` of each true object ``(N, K, 2)`` with the predicted one of its row ``(N, K, 2)``.

    Raises:
        InputError: as there.
    """
    if kind not in KINDS:
        raise InputError(f"no similarity is called {kind!r}", remedy=f"known: {', '.join(KINDS)}")
    true, found = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    return _similarity(true, found, _counts(visible), scale_px, kind)


def _counts(visible: ArrayLike) -> Bool[np.ndarray, "*seen points"]:
    """Which points count."""
    seen = np.asarray(visible)
    return seen if seen.dtype == np.bool_ else seen == VISIBLE


def _similarity(
    true: Float64[np.ndarray, "*objects points 2"],
    found: Float64[np.ndarray, "*others points 2"],
    counts: Bool[np.ndarray, "*seen points"],
    scale_px: float,
    kind: str,
) -> Float64[np.ndarray, "*pairs"]:
    if not np.isfinite(true[counts]).all():
        raise InputError("a visible true point has no coordinates", remedy="its visibility is 0")
    true = np.where(counts[..., None], true, 0.0)
    found = np.where(np.isfinite(found), found, np.inf)
    with np.errstate(invalid="ignore"):
        apart = np.hypot(*np.moveaxis(true - found, -1, 0))
    apart = np.where(counts, apart, 0.0)
    number = counts.sum(axis=-1)
    mean = np.where(number > 0, apart.sum(axis=-1) / np.maximum(number, 1), np.inf)
    return KINDS[kind](mean / scale_px)


Distances = Float64[np.ndarray, "*pairs"]


def _gaussian(distance: Distances) -> Distances:
    return np.exp(-(np.minimum(distance, 100.0) ** 2) / 2) * (distance < 100)


def _linear(distance: Distances) -> Distances:
    return np.maximum(0.0, 1 - distance)


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"gaussian": _gaussian, "linear": _linear}
