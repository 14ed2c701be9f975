"""What an epoch's weights are chosen by while training: found, wrong and missed balls of the validation windows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from kaname.recipes.tracknet.detection import DetectSettings


def found_and_missed(logits: Tensor, targets: Mapping[str, Tensor], detect: DetectSettings) -> dict[str, Tensor]:
    """Sums ``found``, ``wrong`` and ``missed`` over the frames that count, by the highest cell of each map.

    Coarser than the figures of ``evaluate``, which refine the peak; good enough to choose an epoch by.
    """
    columns = logits.shape[3]
    score, place = logits.sigmoid().flatten(2).max(dim=2)
    highest = torch.stack([place % columns, torch.div(place, columns, rounding_mode="floor")], dim=2)
    distance = ((highest - targets["ball"]) * targets["scale"][:, None]).norm(dim=2)
    counts = targets["mask"] > 0
    answered, present = (score > detect.score_threshold) & counts, (targets["present"] > 0) & counts
    found = answered & present & (distance <= detect.tolerance)
    sums = {"found": found, "wrong": answered & ~found, "missed": present & ~answered}
    return {name: value.sum().float() for name, value in sums.items()}


def f1_of_sums(sums: Mapping[str, float]) -> dict[str, float]:
    """``f1`` in the place of the three sums it comes from; 0 where nothing was to be found."""
    found, wrong, missed = sums["found"], sums["wrong"], sums["missed"]
    return {"f1": 2 * found / max(2 * found + wrong + missed, 1e-12)}
