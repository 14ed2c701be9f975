"""Pictures unlike those that a shipped model was made on: how high its maps reach says so, before anybody looks.

The card of a shipped model keeps the quantiles of its scores on pictures of its own kind that it was not trained on. A
picture's score is the mean over the channels of the highest value in each map: it falls where a model is unsure of
some of what it looks for. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75)
LOW, LOWEST = "0.05", "0.01"
FEW = 5  # pictures; of fewer each must lie far below
SHARE = 0.25  # of the pictures below the 5 % quantile, at least
CHANCE = 0.005  # that so many pictures of the model's own kind lie there, at most


def surest(maps: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The score of each picture, ``(B,)``, from its maps ``(B, C, h, w)``; NaN counts as 0."""
    if maps.ndim != 4 or not maps.size:
        return np.zeros(0)
    return np.nan_to_num(maps).max(axis=(2, 3)).mean(axis=1, dtype=np.float64)


def quantiles(scores: Sequence[float]) -> dict[str, Any]:
    """What a card keeps of the scores of pictures of the model's own kind."""
    levels = np.quantile(np.asarray(scores), LEVELS)
    return {
        "pictures": len(scores),
        "quantiles": {f"{at:g}": float(f"{value:.4g}") for at, value in zip(LEVELS, levels, strict=True)},
    }


def note(card: Mapping[str, Any], scores: Sequence[float], unit: str, *, boxless: bool = False) -> str | None:
    """A line that says that pictures are unlike the model's own, and what to do; None where they are not.

    Of `FEW` pictures or more, a quarter must lie below the model's own 5 % quantile, and more than chance explains; of
    fewer, each must lie below half of its 1 % quantile.

    Args:
        card: of the model; one without reference says nothing.
        scores: of the pictures.
        unit: what they are, in a word.
        boxless: whether they are whole pictures of which nobody has said where in them to look.
    """
    zoo = card.get("zoo") or {}
    known = (zoo.get("scores") or {}).get("quantiles") or {}
    if not scores or LOW not in known or LOWEST not in known:
        return None
    given = np.asarray(scores)
    if len(given) < FEW:
        below = int((given < known[LOWEST] / 2).sum())
        strange = below == len(given)
    else:
        below = int((given < known[LOW]).sum())
        strange = below >= SHARE * len(given) and _tail(below, len(given), float(LOW)) < CHANCE
    if not strange:
        return None
    what = f"this {unit} is" if len(given) == 1 else f"{below} of {len(given)} {unit}s are"
    recipe, name = card.get("recipe"), zoo.get("name")
    start = "zoo" if name == recipe else name
    where = "say where in them to look (--boxes, --detector); " if boxless else ""
    return (
        f"{what} unlike what the shipped model {name} knows: its maps reach {np.median(given):.2g}, and on its own "
        f"pictures {known.get('0.5', known[LOW]):.2g}; {where}look at the answers, label some and train on them "
        f"(`kaname {recipe} train --init {start} ...`)"
    )


def _tail(least: int, count: int, share: float) -> float:
    """The probability of at least so many of ``count`` where each has the probability ``share``."""
    few = (math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(least))
    return 1 - math.fsum(few) if count <= 1000 else 0.0  # at a quarter or more of a thousand there is no doubt
