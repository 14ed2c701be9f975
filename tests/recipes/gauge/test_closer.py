from __future__ import annotations

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.recipes.gauge.closer import closer_of
from kaname.recipes.gauge.config import ExtractSettings
from kaname.types import Points
from recipes.gauge.dials import CHANNELS


def notches(low: float, high: float, count: int = 5) -> Points:
    xy = {name: np.zeros((0, 2)) for name in CHANNELS}
    xy["middle"] = np.linspace((low, low + 100), (high, low + 140), count)
    return Points(xy, {name: np.ones(len(places)) for name, places in xy.items()}, (600, 800))


def test_a_small_dial_is_cut_out_for_a_second_look() -> None:
    closer = closer_of(ExtractSettings(second_look=2.0))
    assert closer is not None
    part = closer(notches(300, 500))
    assert part is not None and part.tolist() == [200, 220, 600, 600]  # 400 square around the notches, within the image
    assert closer(notches(100, 500)) is None, "800 px are most of the photograph"
    assert closer(notches(300, 500, count=2)) is None, "two points are no dial"
    assert closer_of(ExtractSettings()) is None
    with pytest.raises(InputError, match="second_look must be 0 or at least 1"):
        ExtractSettings(second_look=0.5)
