"""Embeddings of cells that keep target and non-target apart (`kaname.losses.rois` says what all losses share).

``embedding`` ``(N, dimensions, h, w)`` comes from an auxiliary output of a head, which no export carries. In each ROI
that shows both, a cell of either is drawn to the centre of its own class and pushed away from that of the other.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from kaname.losses.masked import Sums
from kaname.losses.rois import NON_TARGET, TARGET, Cells, Classes, Each, mean_of_each, prepared, summed
from kaname.shapes import Float

Embedding = Float[Tensor, "rois dimensions height width"]


def info_nce(embedding: Embedding, targets: Classes, weights: Cells | None = None, *, temperature: float = 0.1) -> Sums:
    """``-log`` of the softmax over both centres' cosine similarity / ``temperature`` (InfoNCE, arXiv 1807.03748)."""
    own, other, shown, weights = _similarities(embedding, targets, weights)
    return _over_both(functional.softplus((other - own) / temperature), shown, weights)


def triplet(embedding: Embedding, targets: Classes, weights: Cells | None = None, *, margin: float = 0.5) -> Sums:
    """``max(0, margin + similarity to the other centre - similarity to the own)``, cosines."""
    own, other, shown, weights = _similarities(embedding, targets, weights)
    return _over_both(functional.relu(margin + other - own), shown, weights)


def _similarities(
    embedding: Embedding, targets: Classes, weights: Cells | None
) -> tuple[Cells, Cells, Float[Tensor, "rois 2 height width"], Cells]:
    """A cell's similarity to its own centre and to the other, its weight in either class, and its weight."""
    three_classes = embedding[:, :1].expand(-1, NON_TARGET + 1, -1, -1)  # for its shape and precision
    logits, targets, weights = prepared(three_classes, targets, weights)
    direction = functional.normalize(embedding.to(logits.dtype), dim=1)
    shown = torch.stack([targets == TARGET, targets == NON_TARGET], dim=1) * weights[:, None]
    centres = functional.normalize(torch.einsum("nkhw,ndhw->nkd", shown, direction), dim=2)
    both = torch.einsum("nkd,ndhw->nkhw", centres, direction)
    is_target = targets == TARGET
    own = torch.where(is_target, both[:, 0], both[:, 1])
    return own, both[:, 0] + both[:, 1] - own, shown, weights


def _over_both(cells: Cells, shown: Float[Tensor, "rois 2 height width"], weights: Cells) -> Sums:
    there = (shown > 0).flatten(2).any(dim=2).all(dim=1)
    each: Each = torch.where(there, mean_of_each(cells, shown.sum(dim=1)), 0)
    return summed(each, weights)
