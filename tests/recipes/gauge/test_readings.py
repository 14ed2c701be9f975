from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import kaname
from calling import Answer, call
from kaname import zoo
from kaname.data.video import VideoWriter
from kaname.geometry.image import read_image, write_image
from kaname.inference.model import Model
from kaname.pipeline import predict as pipeline
from kaname.recipes.gauge.reading import Reading, read_points
from kaname.recipes.gauge.readings import drawn
from kaname.samples.gauge import render
from kaname.types import Frame, Points
from recipes.gauge.conftest import Trained

SIDE = 96


def find(image: np.ndarray) -> Points:
    """What a perfect model of these pictures answers: a dial with six notches whose needle's angle is its brightness;
    of a black picture nothing."""
    around = np.radians(135 + 54.0 * np.arange(6))
    notches = 48 + 40 * np.stack([np.cos(around), np.sin(around)], axis=1)
    angle = np.radians(135 + 270 * float(image.mean()) / 250)
    tip = 48 + 30 * np.array([[np.cos(angle), np.sin(angle)]])
    if not image.any():
        tip = tip[:0]
    xy = {"start": notches[:1], "middle": notches, "end": notches[-1:], "needle_tip": tip}
    xy["needle_pivot"] = np.full((1, 2), 48.0)
    return Points(xy, {name: np.ones(len(one)) for name, one in xy.items()}, (image.shape[0], image.shape[1]))


@pytest.fixture
def needle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trained model's file, answering as `find`."""

    def opened(recipe: Any, path: Path, **how: Any) -> Model:
        model = open_model(recipe, path, **how)

        def decode(outputs: Any, request: Any) -> list[Points]:
            return [find(frame.image) for frame in request.frames]

        return model.using(model.runner, decode)

    open_model: Callable[..., Model] = pipeline.open_model
    monkeypatch.setattr(pipeline, "open_model", opened)


def grey(level: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def read(model: Path, out: Path, *words: object) -> Answer:
    return call("gauge", "read", "--model-path", model, "--out", out, "--range", 0, 10, "--unit", "bar", *words)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "readings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("needle")
def test_photographs(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name, level in (("a", 50), ("b", 0), ("=c", 200)):
        write_image(tmp_path / "photos" / f"{name}.png", grey(level))
    said = read(trained.model, tmp_path / "out", tmp_path / "photos").done().out
    assert "2 read, 1 without an answer (1 no needle tip was found)" in said
    found = {row["file"]: row for row in rows(tmp_path / "out")}
    assert list(found) == ["'=c.png", "a.png", "b.png"]
    assert list(found["a.png"]) == ["file", "frame", "time", "value", "unit", "confidence", "reason"]
    assert float(found["a.png"]["value"]) == pytest.approx(2, abs=0.05)
    assert float(found["'=c.png"]["value"]) == pytest.approx(8, abs=0.05)
    assert found["a.png"]["unit"] == "bar" and 0.5 < float(found["a.png"]["confidence"]) <= 1
    assert found["b.png"]["value"] == "" and found["b.png"]["reason"] == "no needle tip was found"
    assert [found["a.png"][name] for name in ("frame", "time", "reason")] == ["", "", ""]
    assert sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir()) == ["=c.jpg", "a.jpg", "b.jpg"]
    picture = read_image(tmp_path / "out" / "pictures" / "a.jpg")
    assert picture.shape == (SIDE, SIDE, 3) and np.ptp(picture) > 100
    assert len(json.loads((tmp_path / "out" / "points.json").read_text(encoding="utf-8"))["images"]) == 3


@pytest.mark.usefixtures("needle")
def test_one_photograph_is_told(trained: Trained, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(50))
    said = read(trained.model, tmp_path / "out", tmp_path / "a.png", "--no-pictures").done().out
    assert "a.png: 2 bar (confidence " in said
    assert "1 read, 0 without an answer" in said and not (tmp_path / "out" / "pictures").exists()


@pytest.mark.usefixtures("needle")
def test_a_video_has_a_row_a_frame_and_a_video(trained: Trained, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4", quality=1) as film:
        for frame in range(5):
            film.write(grey(50 + 25 * frame), frame / 10)
    read(trained.model, tmp_path / "out", tmp_path / "film.mp4").done()
    found = rows(tmp_path / "out")
    assert [row["frame"] for row in found] == list("01234") and {row["file"] for row in found} == {"film.mp4"}
    assert [float(row["time"]) for row in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.01)
    values = [float(row["value"]) for row in found]
    assert values == pytest.approx([2, 3, 4, 5, 6], abs=0.2)
    assert cv2.VideoCapture(str(tmp_path / "out" / "pictures" / "film.mp4")).isOpened()


@pytest.mark.usefixtures("needle")
def test_two_videos_of_one_name_are_told_apart(trained: Trained, tmp_path: Path) -> None:
    for number, folder in enumerate(("left", "right")):
        (tmp_path / folder).mkdir()
        with VideoWriter(tmp_path / folder / "film.mp4", quality=1) as film:
            film.write(grey(50 + 100 * number), 0.0)
    films = [tmp_path / folder / "film.mp4" for folder in ("left", "right")]
    read(trained.model, tmp_path / "out", *films).done()
    found = {row["file"]: float(row["value"]) for row in rows(tmp_path / "out")}
    assert found == pytest.approx({films[0].as_posix(): 2, films[1].as_posix(): 6}, abs=0.2)


@pytest.mark.usefixtures("needle")
def test_boxes_have_a_row_each(trained: Trained, tmp_path: Path) -> None:
    photo = np.concatenate([grey(50), grey(200)], axis=1)
    write_image(tmp_path / "two.png", photo)
    (tmp_path / "boxes.json").write_text(json.dumps({"two.png": [[0, 0, 96, 96], [96, 0, 192, 96]]}), encoding="utf-8")
    read(trained.model, tmp_path / "out", tmp_path / "two.png", "--boxes", tmp_path / "boxes.json").done()
    found = rows(tmp_path / "out")
    assert [row["box"] for row in found] == ["1", "2"]
    assert [float(row["value"]) for row in found] == pytest.approx([2, 8], abs=0.05)


@pytest.mark.usefixtures("needle")
def test_other_ends_are_other_results(trained: Trained, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(50))
    read(trained.model, tmp_path / "out", tmp_path / "a.png").done()
    read(trained.model, tmp_path / "out", tmp_path / "a.png").done()
    words = ("gauge", "read", "--model-path", trained.model, "--out", tmp_path / "out", tmp_path / "a.png")
    call(*words, "--range", 10, -10).refused("made with", "--overwrite")
    call(*words, "--range", 10, -10, "--overwrite").done()
    assert float(rows(tmp_path / "out")[0]["value"]) == pytest.approx(6, abs=0.1)


def test_a_model_without_the_needle_is_refused(trained: Trained, tmp_path: Path) -> None:
    image = trained.data / "val" / "images" / "val_1.png"
    read(trained.model, tmp_path / "out", image).refused("model.pt", "finds no needle", "--needle")
    assert not (tmp_path / "out" / "readings.csv").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--range", 1, 1), ("begins and ends at 1",)),
        (("--range", 0, "nan"), ("not finite",)),
        (("--range", 0, "two"), ("two",)),
        ((), ("--range",)),
    ],
)
def test_ranges_that_are_none(trained: Trained, tmp_path: Path, words: Sequence[object], parts: Sequence[str]) -> None:
    image = trained.data / "val" / "images" / "val_1.png"
    call("gauge", "read", image, "--model-path", trained.model, "--out", tmp_path, *words).refused(*parts)


def test_no_model_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(zoo.VARIABLE, str(tmp_path / "nothing"))
    write_image(tmp_path / "a.png", grey(50))
    call("gauge", "read", tmp_path / "a.png", "--range", 0, 1, "--out", tmp_path / "out").refused("no model of gauge")


def test_the_shipped_model_reads_where_none_is_named(tmp_path: Path) -> None:
    dial = render(np.random.default_rng([5, 1]), 320, variety="plain")
    write_image(tmp_path / "a.png", dial.image)
    words = ("--range", 0, 10, "--unit", "bar", "--out", tmp_path / "out")
    assert "the shipped model gauge" in call("gauge", "read", tmp_path / "a.png", *words).done().err
    (row,) = csv.DictReader((tmp_path / "out" / "readings.csv").open(encoding="utf-8"))
    assert float(row["value"]) == pytest.approx(10 * dial.reading, abs=0.2) and row["unit"] == "bar"


def test_from_python(trained: Trained) -> None:
    model = kaname.load(trained.model)
    answering = model.using(model.runner, lambda outputs, request: [find(frame.image) for frame in request.frames])
    one = answering.read(grey(50), low=0, high=10, unit="bar")
    assert isinstance(one, Reading) and one.value == pytest.approx(2, abs=0.05) and one.unit == "bar"
    many = answering.read([grey(50), Frame(0, 0.0, grey(200))], low=0, high=10)
    assert [reading.value for reading in many] == pytest.approx([2, 8], abs=0.05)
    boxed = answering.read(np.concatenate([grey(50), grey(50)], axis=1), low=0, high=10, boxes=[[96, 0, 192, 96]])
    assert boxed[0].value == pytest.approx(2, abs=0.05) and boxed[0].pivot[0].tolist() == [144, 48]


def test_a_recipe_without_readings_says_so(trained: Trained) -> None:
    model = kaname.load(trained.model)
    model.reading = None
    with pytest.raises(kaname.InputError, match="reads no instruments"):
        model.read(grey(50), low=0, high=1)


def test_pictures_of_rendered_dials() -> None:
    """Rings lie on the notches: the colour of the start at its ring, whatever the dial."""
    dial = render(np.random.default_rng(4), 224, variety="plain")
    xy = {**dial.points, **dial.needle}
    xy["middle"] = np.concatenate([dial.points[name] for name in ("start", "middle", "end")])
    reading = read_points(Points(xy, {name: np.ones(len(one)) for name, one in xy.items()}, (224, 224)), 0, 1, "℃")
    picture = drawn(dial.image, [reading], (0, 1))
    assert picture.shape == dial.image.shape and (picture != dial.image).any()
    x, y = dial.points["start"][0].round().astype(int)
    near = picture[max(0, y - 9) : y + 10, max(0, x - 9) : x + 10].reshape(-1, 3).astype(int)
    assert (np.abs(near - [255, 196, 0]).sum(axis=1) < 60).any()
    assert drawn(dial.image, [], (0, 1)).shape == dial.image.shape
