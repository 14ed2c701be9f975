"""How well predicted masks fit true ones: counts of pixels first, then figures from counts.

Inside a box there are three classes: 0 background, 1 the target, 2 other persons. Everything that is a share of pixels
comes from *confusions*, ``(K, K)`` counts with a row for each true class and a column for each predicted one, so that
sums over boxes, images and resamples cost nothing: ``MIOU`` and ``LEAK`` are statistics for
`kaname.metrics.intervals.summary` over rows of ``K * K`` = 9 counts.

Three figures that are never mixed: ``MIOU`` (classes 1 and 2, all pixels of all boxes together), the mean of
``target_iou`` (a value for each box), and COCO's mask AP (`kaname.metrics.coco`, at the resolution of the image).
"""

# NumPy's stubs leave an overload of reshape untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from kaname.errors import InputError
from kaname.metrics.intervals import OfSums, ratio
from kaname.shapes import Bool, Float64, Int64, Real

TARGET, NON_TARGET = 1, 2
SHARES = (0.5, 0.7)  # target IoU that a box should be over
BOUNDARY = 0.02  # width of a boundary as a share of the diagonal


def confusion(
    predicted: ArrayLike, truth: ArrayLike, num_classes: int, ignore: int | None = None
) -> Int64[np.ndarray, "{num_classes} {num_classes}"]:
    """How many pixels of each true class (rows) were called each class (columns).

    Args:
        predicted: classes 0..num_classes - 1, of any shape.
        truth: the same shape.
        num_classes: at least 1.
        ignore: pixels of this true class do not count.

    Raises:
        InputError: different shapes, or a class outside its range.

    >>> confusion([0, 1, 1, 2], [0, 1, 2, 2], 3).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    """
    return confusions(np.asarray(predicted)[None], np.asarray(truth)[None], num_classes, ignore)[0]


def confusions(
    predicted: ArrayLike, truth: ArrayLike, num_classes: int, ignore: int | None = None
) -> Int64[np.ndarray, "boxes {num_classes} {num_classes}"]:
    """A :func:`confusion` for each entry of the first axis, such as each box of ``(N, h, w)``."""
    ours, real = np.asarray(predicted), np.asarray(truth)
    if ours.shape != real.shape:
        raise InputError(f"predicted classes of shape {ours.shape} and true ones of {real.shape}")
    boxes = len(real)
    ours, real = ours.reshape(boxes, -1), real.reshape(boxes, -1)
    counts = np.ones(real.shape, np.bool_) if ignore is None else real != ignore
    for name, classes in (("predicted", ours[counts]), ("true", real[counts])):
        if classes.size and not (classes.min() >= 0 and classes.max() < num_classes):
            reason = f"{name} classes are {classes.min()}..{classes.max()}, not 0..{num_classes - 1}"
            raise InputError(reason, remedy="give the number of classes, or the one to ignore")
    cells = np.arange(boxes)[:, None] * num_classes + np.where(counts, real, 0).astype(np.int64)
    cells = cells * num_classes + np.where(counts, ours, 0).astype(np.int64)
    flat = np.bincount(cells[counts], minlength=boxes * num_classes**2)
    return flat.astype(np.int64).reshape(boxes, num_classes, num_classes)


def iou_by_class(
    predicted: ArrayLike, truth: ArrayLike, num_classes: int, ignore: int | None = None
) -> Float64[np.ndarray, "{num_classes}"]:
    """Intersection over union of each class, over all pixels; NaN for a class that is nowhere.

    The arguments are those of :func:`confusion`.

    >>> iou_by_class([0, 1, 1, 2], [0, 1, 2, 2], 3).tolist()
    [1.0, 0.5, 0.5]
    """
    return ious(confusion(predicted, truth, num_classes, ignore))


def ious(counts: ArrayLike) -> Float64[np.ndarray, "*sets classes"]:
    """IoU of each class from confusions ``(..., K, K)``; NaN where a class is in neither."""
    table = np.asarray(counts, np.float64)
    shared = np.diagonal(table, axis1=-2, axis2=-1)
    either = table.sum(axis=-1) + table.sum(axis=-2) - shared
    return np.divide(shared, either, out=np.full(shared.shape, np.nan), where=either > 0)


def _miou(rows: Real[np.ndarray, "*sets 9"]) -> Float64[np.ndarray, "*sets"]:
    persons = ious(rows.reshape(*rows.shape[:-1], 3, 3))[..., [TARGET, NON_TARGET]]
    there = ~np.isnan(persons)
    count = there.sum(axis=-1)
    return np.where(count > 0, np.where(there, persons, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)


MIOU = OfSums(_miou)
"""``miou_classes_1_2`` from rows ``(N, 9)`` of confusions: the mean IoU of classes 1 and 2 over all pixels together; a
class that is nowhere leaves the mean."""

LEAK = ratio((0, 0, 0, 0, 0, 0, 0, 1, 0), (0, 0, 0, 0, 0, 0, 1, 1, 1))
"""From rows ``(N, 9)`` of confusions: the share of the others' pixels that was called target."""


def miou_classes_1_2(counts: ArrayLike) -> float | None:
    """The mean IoU of target and non-target over all pixels, from confusions ``(N, 3, 3)``; None without any.

    >>> miou_classes_1_2([confusion([0, 1, 1, 2], [0, 1, 2, 2], 3)])
    0.5
    """
    return MIOU(np.asarray(counts).reshape(-1, 9))


def leak(counts: ArrayLike) -> float | None:
    """Share of the non-target pixels that was called target, from confusions ``(N, 3, 3)``; None without such pixels.

    >>> leak([confusion([0, 1, 1, 2], [0, 1, 2, 2], 3)])
    0.5
    """
    return LEAK(np.asarray(counts).reshape(-1, 9))


def target_iou(counts: ArrayLike) -> Float64[np.ndarray, "boxes"]:
    """The target's IoU in each box, from confusions ``(N, K, K)``; NaN where there is none and none was found.

    Its mean is ``iou_target_mean``.

    >>> target_iou([confusion([0, 1, 1, 2], [0, 1, 2, 2], 3)]).tolist()
    [0.5]
    """
    return ious(np.asarray(counts))[..., TARGET]


def over(values: ArrayLike, threshold: float) -> Float64[np.ndarray, "boxes"]:
    """For each box 1 where its value is over the threshold, 0 where not, NaN where it has none; their mean is a share.

    >>> over([0.8, 0.5, float("nan")], 0.5)
    array([ 1.,  0., nan])
    """
    known = np.asarray(values, np.float64)
    return np.where(np.isnan(known), np.nan, known > threshold)


def boundary_iou(
    predicted: Bool[np.ndarray, "rows columns"],
    truth: Bool[np.ndarray, "rows columns"],
    width: float = BOUNDARY,
    size: tuple[int, int] | None = None,
) -> float | None:
    """IoU of the inner boundaries of two masks (Cheng et al., CVPR 2021, arXiv 2103.16562).

    A boundary is what of a mask lies within ``width`` diagonals of the image of something outside it; what is beyond
    the image counts as outside, and distances go along rows, columns and diagonals alike, as in the authors' code.

    Args:
        predicted, truth: masks of one size.
        width: share of the diagonal, rounded to whole pixels, at least one.
        size: ``(height, width)`` of the image, where both are the same part of it and nothing lies outside that.

    Returns:
        0..1; None where both are empty.

    >>> mask = np.ones((9, 9), bool)
    >>> boundary_iou(mask, np.pad(mask[1:-1, 1:-1], 1))
    0.0
    """
    if predicted.shape != truth.shape:
        raise InputError(f"a predicted mask of {predicted.shape} and a true one of {truth.shape}")
    height, across = size or (truth.shape[0], truth.shape[1])
    reach = max(1, round(width * float(np.hypot(height, across))))
    either = predicted | truth
    rows, columns = np.flatnonzero(either.any(axis=1)), np.flatnonzero(either.any(axis=0))
    if not len(rows):
        return None
    extent = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # outside it both are empty
    ours, real = _boundary(predicted[extent], reach), _boundary(truth[extent], reach)
    return float(np.count_nonzero(ours & real) / np.count_nonzero(ours | real))


def _boundary(mask: Bool[np.ndarray, "rows columns"], reach: int) -> Bool[np.ndarray, "rows columns"]:
    side = 2 * reach + 1  # a square whose pixels are counted costs the same at every width
    how: Any = {"normalize": False, "borderType": cv2.BORDER_CONSTANT}
    return mask & (cv2.boxFilter(mask.astype(np.uint8), cv2.CV_32S, (side, side), **how) < side * side)
