from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname import zoo
from kaname.errors import InputError
from kaname.pipeline.model import open_model
from kaname.pipeline.weights import weights_in
from kaname.recipes.gauge import RECIPE
from kaname.recipes.gauge.closer import closer_of
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.figures import image_figures
from kaname.samples.gauge import render
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
    assert closer(notches(300, 310)) is not None
    spot = notches(300, 300)
    spot.xy["middle"][:] = (300, 300)
    assert closer(spot) is None, "a box without any extent cannot be cut out"
    assert closer_of(ExtractSettings()) is None
    with pytest.raises(InputError, match="second_look must be 0 or at least 1"):
        ExtractSettings(second_look=0.5)


def test_the_shipped_model_finds_small_dials_by_it() -> None:
    """Dials of 240 px on a grey wall of 800: the notches of one are 1 or 2 px wide to the network."""
    if zoo.of_recipe("gauge") is None:
        pytest.skip("no model is shipped")
    path = weights_in(Path("gauge"))
    models = [open_model(RECIPE, path, changes={"second_look": 0.0}), open_model(RECIPE, path)]
    assert models[0].closer is None and models[1].closer is not None
    scores: list[list[float]] = [[], []]
    for number in range(5):
        rng = np.random.default_rng([41, number])
        dial = render(rng, 240, variety="full")
        wall = np.full((800, 800, 3), 150, np.uint8)
        x, y = (int(value) for value in rng.integers(0, 560, 2))
        wall[y : y + 240, x : x + 240] = dial.image
        truth = {name: dial.points[name] for name in CHANNELS}
        truth["middle"] = np.concatenate([truth[name] for name in CHANNELS])
        for model, found in zip(models, scores, strict=True):
            answer = model.predict(wall)
            assert isinstance(answer, Points)
            ours = {name: answer.xy[name] - (x, y) for name in CHANNELS}
            found.append(image_figures(ours, truth, 10 * 240 / 448)["middle"]["f1"] or 0.0)
    once, twice = map(np.mean, scores)
    assert twice > 0.65 and twice > once + 0.2, (once, twice)
