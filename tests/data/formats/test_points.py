"""`points.json` and the labels of one image: round trips, the files of before, and every fault with its row."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.data.formats import points as format_
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Points, Prediction, Sample

NAMES = ("start", "middle", "end")
NAN = [np.nan, np.nan]


def answer(seed: int = 0, **more: Any) -> Points:
    random = np.random.default_rng(seed)
    xy = {"start": random.random((1, 2)) * 90, "middle": random.random((3, 2)) * 90, "end": np.zeros((0, 2))}
    return Points(xy=xy, scores={name: random.random(len(one)) for name, one in xy.items()}, size=(90, 100), **more)


def write(path: Path, rows: list[Prediction], **fields: Any) -> dict[str, Any]:
    format_.write(path, iter(rows), recipe="gauge", model="small", settings={"threshold": 0.5}, **fields)
    return json.loads(path.read_text(encoding="utf-8"))


def same(one: Prediction, other: Prediction) -> None:
    assert isinstance(one.answer, Points) and isinstance(other.answer, Points)
    for field in ("source", "frame", "seconds", "file", "box"):
        assert getattr(one, field) == getattr(other, field), field
    assert one.answer.size == other.answer.size and list(one.answer.ids) == list(other.answer.ids)
    for table in ("xy", "scores", "visible"):
        mine, theirs = getattr(one.answer, table), getattr(other.answer, table)
        assert list(mine) == list(theirs)
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [
        Prediction("写真.png", answer(0)),
        Prediction("a.mp4", answer(1), frame=0, seconds=0.0),
        Prediction("a.mp4", answer(2), frame=12, seconds=0.48, file="frame_12.png"),
        Prediction("b.png", answer(3), box=1),
        Prediction("a.mp4", answer(4), frame=12, seconds=0.48, box=2),
    ]
    content = write(tmp_path / "points.json", rows, sigma=3.0)
    assert [row["image"] for row in content["images"]] == ["写真.png", "a.mp4#0", "a.mp4#12", "b.png#1", "a.mp4#12#2"]
    found = format_.read(tmp_path / "points.json", recipe="gauge", names=NAMES)
    for one, other in zip(rows, found, strict=True):
        same(one, other)


def test_the_rows_of_a_long_video_are_not_kept(tmp_path: Path) -> None:
    """Each is written and gone before the next but one is made."""
    made: list[weakref.ref[Points]] = []

    def rows() -> Iterator[Prediction]:
        for number in range(20):
            assert sum(one() is not None for one in made) <= 1
            points = answer(number)
            made.append(weakref.ref(points))
            yield Prediction("a.mp4", points, frame=number)

    format_.write(tmp_path / "points.json", rows(), recipe="gauge", model="small", settings={})
    assert len(format_.read(tmp_path / "points.json", recipe="gauge")) == 20


def test_the_layout_is_that_of_version_1(tmp_path: Path) -> None:
    content = write(tmp_path / "points.json", [Prediction("a.mp4", answer(), frame=3, seconds=0.1)], sigma=3.0)
    assert list(content) == ["format", "version", "coordinates", "recipe", "model", "settings", "sigma", "images"]
    assert content["coordinates"].startswith("continuous pixels of the original image: (0, 0) is the top-left corner")
    assert content["version"] == 1 and content["sigma"] == 3.0 and content["settings"] == {"threshold": 0.5}
    assert list(content["images"][0]) == ["image", "size", "points", "scores", "frame", "seconds"]
    assert content["images"][0]["points"]["end"] == [] and content["images"][0]["size"] == [90, 100]


def test_a_file_of_before_is_read(tmp_path: Path) -> None:
    """As gauge wrote it: channels by name, rows of videos and boxes; one without a recipe is anybody's."""
    row = {"image": "v.mp4#7", "size": [4, 6], "points": {"start": [[1, 2]], "middle": [], "end": [[3.5, 1]]},
           "scores": {"start": [0.5], "middle": [], "end": [1]}, "frame": 7, "seconds": 0.25}  # fmt: skip
    box = {**row, "image": "p.jpg#2", "box": 2}
    del box["frame"], box["seconds"]
    data = {"format": "kaname-points", "images": [row, box]}
    (tmp_path / "points.json").write_text(json.dumps(data))
    video, boxed = format_.read(tmp_path / "points.json", recipe="gauge", names=NAMES)
    assert (video.source, video.frame, video.seconds, video.box) == ("v.mp4", 7, 0.25, None)
    assert (boxed.source, boxed.frame, boxed.box) == ("p.jpg", None, 2)
    assert isinstance(video.answer, Points) and video.answer.xy["middle"].shape == (0, 2)
    np.testing.assert_array_equal(video.answer.xy["end"], [[3.5, 1.0]])
    assert not video.answer.visible and video.answer.size == (4, 6)


def test_visibility_and_instances(tmp_path: Path) -> None:
    """Any names, one row an instance; an absent point is null and visibility 0."""
    xy = {"needle.tip": np.array([[1.0, 2.0], NAN]), "needle.end": np.array([[5.0, 6.0], [7.0, 8.0]])}
    visible = {"needle.tip": np.array([1, 0]), "needle.end": np.array([2, 2])}
    scores = {"needle.tip": np.array([0.9, 0.0]), "needle.end": np.array([0.8, 0.7])}
    row = Prediction("v.mp4", Points(xy, scores, (10, 12), visible, ids=[4, "b"]), frame=1, seconds=0.5)
    content = write(tmp_path / "points.json", [row])
    assert content["images"][0]["points"]["needle.tip"] == [[1.0, 2.0], [None, None]]
    same(row, format_.read(tmp_path / "points.json", recipe="gauge")[0])
    untold = Points(xy, scores, (10, 12))
    write(tmp_path / "points.json", [Prediction("v.mp4", untold)])
    found = format_.read(tmp_path / "points.json", recipe="gauge")[0].answer
    assert isinstance(found, Points) and found.visible["needle.tip"].tolist() == [2, 0]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for bad in ([np.inf, 1.0], [1.0, np.nan]):
        points = Points({"a": np.array([bad])}, {"a": np.array([0.5])}, (4, 4))
        with pytest.raises(InputError, match="NaN or infinite"):
            write(tmp_path / "points.json", [Prediction("a.png", points)])
    assert not list(tmp_path.iterdir())


ROW = {"image": "a.png", "size": [8, 9], "points": {"a": [[1, 2]], "b": []}, "scores": {"a": [0.5], "b": []}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": 3}, "not a prediction: image is the name of a file"),
        ({"size": [0, 9]}, "not a prediction: a size is at least 1 x 1"),
        ({"size": 9}, "not a prediction"),
        ({"points": {"a": [[1, 2]]}}, "not a prediction"),
        ({"points": {"a": [[1, 2, 3]], "b": []}}, "not a prediction"),
        ({"points": {"a": [[1, 2], [3]], "b": []}}, "not a prediction"),
        ({"points": [1]}, "not a prediction"),
        ({"scores": {"a": [0.5, 0.5], "b": []}}, "not a prediction: scores has one number for each point"),
        ({"scores": {"b": []}}, "not a prediction: it has no 'a'"),
        ({"visible": {"a": [3], "b": []}}, "not a prediction"),
        ({"visible": {"a": [1]}}, "not a prediction"),
        ({"ids": [1, 2]}, "not a prediction"),
        ({"ids": [None]}, "not a prediction"),
        ({"frame": "x"}, "not a prediction"),
        ({"points": {"a": [[None, None]], "b": []}}, "NaN or infinite"),
        ({"points": {"a": [[None, 2]], "b": []}}, "NaN or infinite"),
        ({"points": {"a": [[float("inf"), 2]], "b": []}}, "NaN or infinite"),
        ({"scores": {"a": [float("nan")], "b": []}}, "NaN or infinite"),
        ({"points": {"a": [[None, None]], "b": []}, "visible": {"a": [1], "b": []}}, "NaN or infinite"),
        ({"visible": {"a": [0], "b": []}}, "has coordinates but visibility 0"),
        ({"image": "first.png"}, "appears twice"),
    ],
)
def test_faults_name_their_row(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    rows = [{**ROW, "image": "first.png"}, {**ROW, **change}]
    path = tmp_path / "points.json"
    path.write_text(json.dumps({"format": "kaname-points", "version": 1, "recipe": "gauge", "images": rows}))
    with pytest.raises(InputError, match=reason) as caught:
        format_.read(path, recipe="gauge", names=("a", "b"))
    assert caught.value.path == str(path) and caught.value.row == "image 2" and caught.value.remedy


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "not a file of predictions"),
        ({"format": "kaname-points"}, "not a file of predictions"),
        ({"format": "kaname-points", "images": [], "recipe": "landmark"}, "of the recipe 'landmark', not of 'gauge'"),
        ({"format": "kaname-points", "images": [], "version": 2}, "version 2"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: Any, reason: str) -> None:
    path = tmp_path / "points.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=reason):
        format_.read(path, recipe="gauge")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((30, 40, 3), np.uint8))
    return path


def labels(image: Path, change: dict[str, Any] | None = None) -> Path:
    path = image.with_suffix(".json")
    points = {"start": np.array([[1.5, 2.25]]), "middle": np.zeros((0, 2)), "end": np.array([[40.0, 30.0]])}
    format_.write_labels(path, Sample(image, points=points, size=(30, 40)))
    path.write_text(json.dumps({**json.loads(path.read_text()), **(change or {})}))
    return path


def test_labels_are_read_as_written(image: Path) -> None:
    path = labels(image)
    content = json.loads(path.read_text())
    assert list(content) == ["format", "version", "coordinates", "image", "size", "points"]
    assert "continuous pixels of this image" in content["coordinates"] and format_.is_labels(content)
    found = format_.read_labels(path, image, names=NAMES, remedy="write it again")
    assert found.points["start"].tolist() == [[1.5, 2.25]] and found.points["middle"].shape == (0, 2)
    assert found.size == (30, 40) and not found.visible


def test_labels_with_visibility(image: Path) -> None:
    points, visible = {"a": np.array([NAN]), "b": np.array([[3.0, 4.0]])}, {"a": np.array([0]), "b": np.array([1])}
    path = image.with_suffix(".json")
    format_.write_labels(path, Sample(image, points=points, visible=visible, size=(30, 40)))
    found = format_.read_labels(path, image, names=("a", "b"), remedy="again")
    assert np.isnan(found.points["a"]).all() and {n: v.tolist() for n, v in found.visible.items()} == {
        "a": [0],
        "b": [1],
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"points": [[1, 2]]}, "not a file of points"),
        ({"size": [30]}, "not a file of points"),
        ({"points": {"start": [[1, 2, 3]]}}, "not a file of points"),
        ({"points": {"first": [[1, 2]]}}, "unknown names: 'first'; known: start, middle, end"),
        ({"image": "b.png"}, "belongs to 'b.png', not to 'a.png'"),
        ({"size": [40, 30]}, "an image of 30 x 40, but 'a.png' has 40 x 30"),
        ({"points": {"start": [[41, 2]]}}, "outside the image of 40 x 30"),
        ({"points": {"start": [[-1, 2]]}}, "outside the image"),
        ({"points": {"start": [[None, None]]}}, "outside the image"),
        ({"points": {"start": [[None, None]]}, "visible": {"start": [2]}}, "outside the image"),
    ],
)
def test_bad_labels(image: Path, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        format_.read_labels(labels(image, change), image, names=NAMES, remedy="again")
    assert caught.value.path and caught.value.remedy


def test_a_row_that_is_named_like_a_part_is_one(tmp_path: Path) -> None:
    """Also where it does not say what the number counts."""
    path = tmp_path / "points.json"
    content = write(path, [Prediction("a.png#2", answer()), Prediction("a#2.png", answer())])
    assert "box" not in content["images"][0]
    assert [(row.source, row.box) for row in format_.read(path, recipe="gauge")] == [("a.png", 2), ("a#2.png", None)]
    assert [format_.row_name(row) for row in format_.read(path, recipe="gauge")] == ["a.png#2", "a#2.png"]
