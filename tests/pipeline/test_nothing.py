"""A model that finds nothing says so, on the screen and on the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from calling import call
from kaname.geometry.image import write_image
from kaname.pipeline.nothing import Finds, count
from kaname.recipes import recipe_of
from kaname.recipes.gauge.config import ExtractSettings
from kaname.types import Masks, Points, Prediction
from recipes.gauge.dials import write_data
from recipes.tracknet.clips import picture

GOLDEN = Path(__file__).parents[1] / "golden"


def points(*scores: float) -> Points:
    xy = np.arange(2.0 * len(scores)).reshape(-1, 2)
    return Points({"middle": xy}, {"middle": np.array(scores)}, (9, 9))


def test_what_counts_as_found() -> None:
    assert count(points()) == 0 and count(points(0.2, 0.6)) == 2 and count(points(0.2, 0.6), 0.5) == 1
    hidden = Points({"a": np.zeros((2, 2))}, {"a": np.ones(2)}, (9, 9), {"a": np.array([0, 1])})
    assert count(hidden) == 1
    probabilities = np.zeros((2, 2, 3, 3), np.float32)
    probabilities[:, 0] = 0.6
    assert count(Masks(probabilities, np.zeros((2, 4)), ["other", "person"], (9, 9))) == 0
    probabilities[1, 1, 0, 0] = 0.9
    assert count(Masks(probabilities, np.zeros((2, 4)), ["other", "person"], (9, 9))) == 1


def test_the_words_name_score_threshold_and_remedy() -> None:
    finds = Finds(recipe_of("gauge"), ExtractSettings())
    assert finds.said() == []
    finds.saw({"heatmaps": np.full((1, 3, 4, 4), 0.04)})
    assert len(list(finds.counting([Prediction("a.png", points()), Prediction("b.png", points())]))) == 2
    (line,) = finds.said()
    assert line == (
        "warning: nothing was found in 2 images: the highest score is 0.04 and a point needs 0.1; train longer, "
        "lower the threshold (--min-score 0.02) or give other images"
    )
    assert finds.read([Prediction("a.png", points(0.3))]).said() == []


def test_a_picture_that_is_left_out_whole_says_which_setting_did_it() -> None:
    """Its best score is high enough for a point: the usual advice would mislead."""
    finds = Finds(recipe_of("gauge"), ExtractSettings(presence=0.3))
    finds.saw({"heatmaps": np.full((1, 3, 4, 4), 0.8)})
    list(finds.counting([Prediction("a.png", points())]))
    assert finds.said() == [
        "warning: nothing was found in 1 image: the highest score is 0.8 and a point needs 0.1, but too few reach 0.3 "
        "(extract.presence); extract.presence=0 shows what there is"
    ]
    low = Finds(recipe_of("gauge"), ExtractSettings(presence=0.3))
    low.saw({"heatmaps": np.full((1, 3, 4, 4), 0.02)})
    list(low.counting([Prediction("a.png", points())]))
    assert "presence" not in low.said()[0] and "--min-score 0.01" in low.said()[0]


def test_a_shipped_model_is_not_told_to_train_longer() -> None:
    finds = Finds(recipe_of("gauge"), ExtractSettings())
    finds.card = {"zoo": {"name": "gauge"}}
    list(finds.counting([Prediction("a.png", points())]))
    assert "train on your own (--init zoo)" in finds.said()[0] and "train longer" not in finds.said()[0]


def test_names_of_which_nothing_is_found_are_said() -> None:
    """A model that has learnt the notches between and neither start nor end looks fine in a count."""
    nothing = {"start": np.zeros((0, 2)), "end": np.zeros((0, 2))}
    scores = {name: np.zeros(0) for name in nothing}
    some = points(0.4, 0.5)
    answer = Points({**nothing, **some.xy}, {**scores, **some.scores}, (9, 9))
    (line,) = Finds(recipe_of("gauge"), ExtractSettings()).read([Prediction("a.png", answer)] * 2).said()
    assert line.startswith("warning: no start and no end was found in 1 image, though 4 other points were")
    whole = Points({"start": some.xy["middle"]}, {"start": some.scores["middle"]}, (9, 9))
    assert not Finds(recipe_of("gauge"), ExtractSettings()).read([Prediction("a.png", whole)]).said()


def test_dials_without_a_notch(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", 1, 2)
    model = ("--checkpoint", GOLDEN / "gauge.onnx", "--min-score", 1)
    said = call("gauge", "predict", data / "val" / "images", *model, "--out", tmp_path / "out").done().out
    assert "warning: nothing was found in 2 images: the highest score is " in said and "needs 1;" in said
    assert "--min-score " in said
    answer = call("gauge", "evaluate", "--data", data, *model, "--out", tmp_path / "scores").done().out
    assert "warning: nothing was found in 2 images" in answer and "0.000 (nothing predicted)" in answer
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["middle"]["non_assigned"]["value"] == 0
    page = (tmp_path / "scores" / "report.html").read_text()
    assert "Nothing was found in 2 images: the highest score is" in page and "nothing predicted" in page
    file = tmp_path / "out" / "points.json"
    answer = call("gauge", "evaluate", "--data", data, "--predictions", file, "--out", tmp_path / "again").done().out
    assert "warning: nothing was found in 2 images" in answer


def test_a_video_without_a_ball(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "clip").mkdir(exist_ok=True)
        write_image(tmp_path / "clip" / f"{number}.png", picture(None))
    words = ("tracknet", "predict", tmp_path / "clip", "--checkpoint", GOLDEN / "ball.onnx")
    said = call(*words, "--out", tmp_path / "out", "--score-threshold", 0.999).done().out
    assert "warning: nothing was found in 4 frames: the highest score is" in said and "--score-threshold" in said
