"""The section ``detect`` of the configuration: it takes no part in the loss and may change after training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from kaname.training.settings import require


@dataclass(frozen=True)
class DetectSettings:
    """From heatmaps to balls.

    Attributes:
        method: how the peak is refined: ``argmax``, ``soft-argmax`` or ``dark``.
        score_threshold: a frame whose peak is not above it has no ball.
        tolerance: pixels of the original frame within which a ball is found.
    """

    method: Literal["argmax", "soft-argmax", "dark"] = "dark"
    score_threshold: float = 0.5
    tolerance: float = 4.0

    def __post_init__(self) -> None:
        require(0 <= self.score_threshold < 1, f"detect.score_threshold must lie in 0..1, got {self.score_threshold}")
        fine = math.isfinite(self.tolerance) and self.tolerance > 0
        require(fine, f"detect.tolerance must be positive, got {self.tolerance}", "4 pixels are usual")
