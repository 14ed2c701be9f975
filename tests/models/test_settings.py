"""Settings of networks."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kaname.errors import InputError
from kaname.models.settings import HeatmapSettings, LoraSettings, held_epochs


@pytest.mark.parametrize(
    ("freeze", "epochs"),
    [("all", math.inf), ("none", 0), ({"epochs": 10}, 10), ("epochs: 10", 10), ("epochs:3", 3)],
)
def test_how_long_a_backbone_is_held(freeze: Any, epochs: float) -> None:
    assert held_epochs(freeze) == epochs


@pytest.mark.parametrize(
    "freeze", ["some", "epochs: 0", "epochs: 1.5", {"epochs": 0}, {"epochs": True}, {"epoch": 3}, {}, True, None, 3]
)
def test_freezing_that_means_nothing(freeze: Any) -> None:
    with pytest.raises(InputError, match=r"freeze is .*write all, none or \{epochs: 10\}"):
        held_epochs(freeze)


def test_values_out_of_range() -> None:
    for settings, values in ((HeatmapSettings, {"sigma": 0.0}), (HeatmapSettings, {"sigma": math.nan}),
                             (HeatmapSettings, {"size": (0, 4)}), (LoraSettings, {"rank": -1})):  # fmt: skip
        with pytest.raises(InputError, match=next(iter(values))):
            settings(**values)
