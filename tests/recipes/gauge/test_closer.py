from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calling import call
from kaname import zoo
from kaname.errors import InputError
from kaname.geometry.image import write_image
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
    part = closer.part(notches(300, 500))
    assert part is not None and part.tolist() == [200, 220, 600, 600]  # 400 square around the notches, within the image
    assert closer.part(notches(100, 500)) is None, "800 px are most of the photograph"
    assert closer.part(notches(300, 500, count=2)) is None, "two points are no dial"
    assert closer.part(notches(300, 310)) is not None
    spot = notches(300, 300)
    spot.xy["middle"][:] = (300, 300)
    assert closer.part(spot) is None, "a box without any extent cannot be cut out"
    assert closer_of(ExtractSettings()) is None
    with pytest.raises(InputError, match="second_look must be 0 or at least 1"):
        ExtractSettings(second_look=0.5)


def test_a_photograph_without_a_dial_is_searched_in_parts() -> None:
    closer = closer_of(ExtractSettings(second_look=2.0))
    assert closer is not None
    halves, thirds = (np.asarray(boxes) for boxes in closer.rounds((600, 800)))
    assert halves.shape == (9, 4) and thirds.shape == (25, 4)
    assert halves[[0, 4, 8]].tolist() == [[0, 0, 400, 300], [200, 150, 600, 450], [400, 300, 800, 600]]
    assert np.allclose(thirds[:, 2:] - thirds[:, :2], (800 / 3, 200)) and thirds.max() <= 800
    assert not list(closer.rounds((240, 300))), "a part would show no more than the whole"
    for few in (0, 1):
        off = closer_of(ExtractSettings(second_look=2.0, search=few))
        assert off is not None and not list(off.rounds((600, 800)))
    doubtful = notches(300, 500)
    doubtful.scores["middle"][:3] = 0.7
    assert closer.sure(notches(300, 500)) and not closer.sure(doubtful), "a wheel has notches too"
    assert closer.weight(notches(300, 500, count=2)) == 0 < closer.weight(notches(300, 500, count=3))
    assert closer.weight(notches(300, 500)) > closer.weight(notches(300, 500, count=3)), "a part may cut a dial"


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


def test_the_shipped_model_searches_for_what_it_does_not_see() -> None:
    """Dials of 240 px on a grey wall of 1,900, 40 px wide to the network; on the bare wall there is nothing."""
    if zoo.of_recipe("gauge") is None:
        pytest.skip("no model is shipped")
    path, wide = weights_in(Path("gauge")), 1900
    models = [open_model(RECIPE, path, changes={"search": 0}), open_model(RECIPE, path)]
    found: list[list[int]] = [[], []]
    for number in range(3):
        rng = np.random.default_rng([43, number])
        dial = render(rng, 240, variety="full")
        wall = np.full((wide, wide, 3), 150, np.uint8)
        assert not len(models[1].predict(wall).xy["middle"])
        x, y = (int(value) for value in rng.integers(0, wide - 240, 2))
        wall[y : y + 240, x : x + 240] = dial.image
        for model, counts in zip(models, found, strict=True):
            answer = model.predict(wall)
            assert isinstance(answer, Points)
            places = answer.xy["middle"] - (x, y)
            assert ((places >= 0) & (places <= 240)).all()
            counts.append(len(places))
    assert not any(found[0]) and min(found[1]) >= 3, found


def test_what_a_search_has_found_is_not_called_nothing(tmp_path: Path) -> None:
    """Neither is its picture unlike what the model knows; the bare wall beside it is both."""
    if zoo.of_recipe("gauge") is None:
        pytest.skip("no model is shipped")
    dial = render(np.random.default_rng([43, 0]), 240, variety="full")
    for name in ("dial.png", "bare.png"):
        wall = np.full((1500, 1500, 3), 150, np.uint8)
        if name == "dial.png":
            wall[300:540, 800:1040] = dial.image
        write_image(tmp_path / name, wall)
    one = call("gauge", "predict", tmp_path / "dial.png", "--out", tmp_path / "one", "--no-pictures").done()
    assert "nothing was found" not in one.out and "unlike" not in one.err
    bare = call("gauge", "predict", tmp_path / "bare.png", "--out", tmp_path / "none", "--no-pictures").done()
    assert "nothing was found in 1 image" in bare.out and "unlike" in bare.err
