"""How key points are smoothed along a video; the filters themselves are in `kaname.tracking.filters`. No NumPy."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from kaname.errors import require

NONE = "none"
NAMES = ("one-euro", "median")  # those of `kaname.tracking.filters.FILTERS`


@dataclass(frozen=True)
class Smooth:
    """How points are smoothed.

    Attributes:
        name: of `NAMES`, or ``none``.
        cutoff: of ``one-euro``, in Hz: of a point that rests; less is smoother, and later.
        beta: of ``one-euro``: by how many Hz each pixel a second raises that; more follows fast points closer.
        window: of ``median``: over how many frames, this one the last.

    Raises:
        InputError: naming the flag.
    """

    name: str = NONE
    cutoff: float = 1.0
    beta: float = 0.02
    window: int = 3

    def __post_init__(self) -> None:
        require(self.name in (NONE, *NAMES), f"--smooth is {self.name!r}",
                f"use one of {', '.join((NONE, *NAMES))}")  # fmt: skip
        require(math.isfinite(self.cutoff) and self.cutoff > 0, f"--smooth-cutoff must be positive, got {self.cutoff}",
                "1 Hz is usual")  # fmt: skip
        require(math.isfinite(self.beta) and self.beta >= 0, f"--smooth-beta must not be negative, got {self.beta}",
                "0.02 is usual")  # fmt: skip
        require(self.window >= 1, f"--smooth-window must be at least 1, got {self.window}", "3 is usual")

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on, None where it does not count."""
        used = {"one-euro": ("name", "cutoff", "beta"), "median": ("name", "window")}.get(self.name, ())
        return {"smooth" if key == "name" else f"smooth_{key}": value if key in used else None
                for key, value in asdict(self).items()}  # fmt: skip
