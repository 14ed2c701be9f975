"""How well the border of a class is met (`kaname.losses.rois` says what all losses of masks share)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from kaname.errors import InputError
from kaname.losses.cells import distance_within
from kaname.losses.masked import Sums
from kaname.losses.rois import (
    IGNORE,
    TARGET,
    Cells,
    Classes,
    Logits,
    chosen_classes,
    mean_of_each,
    mean_of_present,
    prepared,
    summed,
)
from kaname.shapes import Bool, Float

METHODS, ERRORS = ("distance", "laplacian"), ("l1", "bce")
REACH, FALL = 8, 2.0  # cells: how far from a border the distance counts, and over how many it falls to 1/e
LEAST = 1e-6


def boundary(
    logits: Logits,
    targets: Classes,
    weights: Cells | None = None,
    *,
    classes: tuple[int, ...] = (TARGET,),
    method: str = "distance",
    error: str = "bce",
) -> Sums:
    """The error near, or of, the border of each chosen class, the mean over those that have one in a ROI.

    Args:
        method: ``"distance"``: the error of the class's probability, weighted by ``exp(-(d - 1) / 2)``, where ``d`` is
            the distance in cells to the nearest cell on the other side of the true border, up to 8. ``"laplacian"``:
            the error of the probabilities' edges, ``|Laplacian| / 4``, against those of the true mask.
        error: ``"l1"`` or ``"bce"`` (binary cross-entropy).

    Raises:
        InputError: an unknown method, error or class.
    """
    for given, known in ((method, METHODS), (error, ERRORS)):
        if given not in known:
            raise InputError(f"the boundary loss knows no {given!r}", remedy=f"known: {', '.join(known)}")
    known = targets != IGNORE
    logits, targets, weights = prepared(logits, targets, weights)
    values, present = [], []
    for number in chosen_classes(logits, classes):
        truth = (targets == number) & known
        near = closeness(truth, known & ~truth).to(logits.dtype) * weights
        raw = against_others(logits, number)
        if method == "distance":
            values.append(mean_of_each(_error(raw, truth.to(raw.dtype), error), near))
        else:
            # Beside a cell that is ignored the true edge is not known either.
            certain = weights * (1 - _grown(~known)).to(raw.dtype)
            found, true = edges(raw.sigmoid()), edges(truth.to(raw.dtype))
            cells = (found - true).abs() if error == "l1" else _cross_entropy(found, true)
            values.append(mean_of_each(cells, certain))
        present.append((near > 0).flatten(1).any(dim=1))
    return summed(mean_of_present(torch.stack(values, dim=1), torch.stack(present, dim=1)), weights)


def closeness(
    inside: Bool[Tensor, "rois height width"], outside: Bool[Tensor, "rois height width"]
) -> Float[Tensor, "rois height width"]:
    """1 for cells at the border between inside and outside, falling to both sides, 0 where there is none in reach."""
    distance = torch.where(inside, distance_within(outside, REACH), distance_within(inside, REACH))
    near = torch.where(distance <= REACH, torch.exp(-(distance - 1) / FALL), 0.0)
    return near * (inside | outside)


def against_others(logits: Logits, number: int) -> Cells:
    """The logit of one class against all others: its sigmoid is the class's probability in the softmax."""
    others = [other for other in range(logits.shape[1]) if other != number]
    return logits[:, number] - torch.logsumexp(logits[:, others], dim=1)


def edges(values: Cells) -> Cells:
    """``|Laplacian| / 4`` of four neighbours, in 0..1 for values in 0..1; the outermost cells go on outwards."""
    padded = functional.pad(values[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    around = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2]
    return (around / 4 - values).abs()


def _error(raw: Cells, truth: Cells, error: str) -> Cells:
    if error == "l1":
        return (raw.sigmoid() - truth).abs()
    return functional.binary_cross_entropy_with_logits(raw, truth, reduction="none")


def _cross_entropy(found: Cells, true: Cells) -> Cells:
    found = found.clamp(LEAST, 1 - LEAST)
    return -(true * found.log() + (1 - true) * (1 - found).log())


def _grown(cells: Bool[Tensor, "rois height width"]) -> Float[Tensor, "rois height width"]:
    """1 for the cells and their four neighbours."""
    return (distance_within(cells, 1) <= 1).float()
