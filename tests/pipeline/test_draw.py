"""``draw`` of images: every one has its picture, and predictions are drawn on the image that they are about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from calling import call
from kaname.data.formats import points
from kaname.geometry.image import read_image, write_image
from kaname.reporting.skeleton import skeleton_overlay
from kaname.types import Points, Prediction
from recipes.gauge.dials import draw_dial
from recipes.landmark.faces import BONES, face, folder

SIZE = (120, 100)


def predicted(path: Path, *sources: str, shift: float = 5.0) -> Path:
    """A ``points.json`` of ``landmark`` with a face in each image."""
    rows = []
    for number, source in enumerate(sources):
        xy = face(np.random.default_rng(number)) + shift
        named = {name: xy[row : row + 1] for row, name in enumerate(BONES.names)}
        rows.append(Prediction(source, Points(named, {name: np.ones(1) for name in named}, SIZE)))
    path.parent.mkdir(parents=True, exist_ok=True)
    points.write(path, rows, recipe="landmark", model="none", settings={}, skeleton=BONES.to_dict())
    return path


def draw(out: Path, *words: object) -> dict[str, np.ndarray]:
    """The pictures by their names."""
    said = call("landmark", "draw", "--out", out, *words).done().out
    pictures = {path.name: read_image(path) for path in out.glob("*.jpg")}
    assert said.startswith(f"{len(pictures)} pictures")
    return pictures


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two images of one name in two folders, and one beside them."""
    names = ("cats/a.png", "foxes/a.png", "b.png")
    return folder(tmp_path, {name: [face(np.random.default_rng(row))] for row, name in enumerate(names)}, SIZE)


def flags(place: Path, *kinds: str) -> Sequence[object]:
    known = {"images": ("--image-dir", place / "images"), "annotated": ("--annotation-dir", place / "annotated")}
    return [word for kind in kinds for word in known[kind]]


def test_images_of_one_name_have_a_picture_each(place: Path) -> None:
    plain = draw(place / "plain", *flags(place, "images", "annotated"))
    assert sorted(plain) == ["b.jpg", "cats_a.jpg", "foxes_a.jpg"]
    file = predicted(place / "points.json", *(str(place / "images" / name / "a.png") for name in ("cats", "foxes")))
    both = draw(place / "both", *flags(place, "images", "annotated"), "--predictions", file)
    changed = {name for name, picture in both.items() if np.ptp(picture.astype(int) - plain[name]) > 60}
    assert changed == {"cats_a.jpg", "foxes_a.jpg"}, "the predictions are drawn, each on its image"


def test_labels_alone_and_predictions_alone_have_the_lines_and_colours_of_their_skeleton(place: Path) -> None:
    image = place / "images" / "b.png"
    write_image(image, grey := np.full((*SIZE, 3), 128, np.uint8))
    file = predicted(place / "points.json", str(image))
    alone = draw(place / "labels", *flags(place, "images", "annotated"))["b.jpg"]
    found = draw(place / "found", "--image-dir", place / "images", "--predictions", file)["b.jpg"]
    for seed, shift, drawn in ((2, 0.5, alone), (0, 5.0, found)):  # annotations are pixel indices
        expected = skeleton_overlay(grey, face(np.random.default_rng(seed))[None] + shift, BONES)
        assert np.abs(drawn.astype(int) - expected).mean() < 6 < np.abs(expected.astype(int) - grey).mean() / 2


@pytest.mark.parametrize("moved", [False, True])
def test_predictions_in_sub_folders(place: Path, moved: bool) -> None:
    """By their paths; and where the folder was moved, by the ends of their paths."""
    sources = [str(place / "images" / name) for name in ("cats/a.png", "foxes/a.png", "b.png")]
    file = predicted(place / "found" / "points.json", *sources)
    if moved:
        shutil.move(place / "images", place / "elsewhere")
        (place / "elsewhere").rename(place / "images2")
    found = draw(place / "drawn", "--image-dir", place / ("images2" if moved else "images"), "--predictions", file)
    assert len(found) == 3 and len({picture.tobytes() for picture in found.values()}) == 3


def test_a_bare_name_in_a_sub_folder(place: Path) -> None:
    (place / "images" / "cats" / "a.png").rename(place / "images" / "cats" / "c.png")
    file = predicted(place / "points.json", "c.png", "b.png")
    assert sorted(draw(place / "drawn", *flags(place, "images"), "--predictions", file)) == ["b.jpg", "c.jpg"]


def test_what_may_be_about_several_images_is_refused(place: Path) -> None:
    words = ("landmark", "draw", *flags(place, "images"), "--out")
    one = predicted(place / "one.json", "a.png")
    call(*words, place / "1", "--predictions", one).refused("'a.png' may be", "cats/a.png or", "foxes/a.png")
    labelled = flags(place, "annotated")
    call(*words, place / "2", *labelled, "--predictions", one).refused("one prediction 'a.png' for two images")
    two = predicted(place / "two.json", "x/b.png", "y/b.png")
    said = call(*words, place / "3", "--predictions", two)
    said.refused("one image for the predictions of 'x/b.png' and of 'y/b.png'")


def test_every_box_of_a_labelled_image_is_drawn(tmp_path: Path) -> None:
    """A dial a box, a row a dial: the last one alone was drawn."""
    (tmp_path / "images").mkdir()
    dial = {name: np.array([[20.0 + 30 * row, 40.0]]) for row, name in enumerate(("start", "middle", "end"))}
    write_image(tmp_path / "images" / "a.png", draw_dial(dial, (128, 128)))
    (tmp_path / "labels").mkdir()
    head = {"format": "kaname-points", "version": 1, "coordinates": "continuous", "image": "a.png", "size": [128, 128]}
    labels = {**head, "points": {name: xy.tolist() for name, xy in dial.items()}}
    (tmp_path / "labels" / "a.json").write_text(json.dumps(labels))
    pictures = []
    for boxes in ([1, 2], [2]):
        rows = []
        for box in boxes:
            xy = {name: np.array([[30.0, 20.0 + 40 * box]]) for name in dial}
            answer = Points(xy, {name: np.ones(1) for name in xy}, (128, 128))
            rows.append(Prediction("a.png", answer, box=box))
        points.write(tmp_path / "p.json", rows, recipe="gauge", model="none", settings={})
        out = tmp_path / f"drawn{len(boxes)}"
        call("gauge", "draw", "--data", tmp_path, "--predictions", tmp_path / "p.json", "--out", out).done()
        pictures.append(read_image(out / "a.jpg").astype(int))
    assert np.ptp(pictures[0] - pictures[1]) > 60
