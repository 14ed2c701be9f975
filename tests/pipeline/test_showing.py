"""Answers as pictures, tables and lines of text."""

from __future__ import annotations

import copy
import csv
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.errors import InputError
from kaname.geometry.ellipse import Ellipse
from kaname.geometry.image import read_image, write_image
from kaname.recipes.gauge.reading import Reading
from kaname.types import Frame, Masks, Points, Sample, Tracks

POINTS = Points(
    xy={
        "start": np.array([[10.0, 20.0]]),
        "middle": np.array([[30.25, 12.0], [np.nan, np.nan]]),
        "end": np.zeros((0, 2)),
    },
    scores={"start": np.array([0.9]), "middle": np.array([0.5, 0.0]), "end": np.zeros(0)},
    size=(48, 64),
)
INSIDE = np.zeros((1, 2, 4, 4), np.float32)
INSIDE[:, 1] = 0.75
INSIDE[:, 0] = 0.25
MASKS = Masks(INSIDE, np.array([[8.0, 8.0, 24.0, 16.0]]), ["background", "target"], (48, 64), ids=[7])
TRACKS = Tracks(
    [0, 1, 2],
    [0.0, 0.04, 0.08],
    [Points({"ball": np.array([[x, 10.0]])}, {"ball": np.array([0.8])}, (48, 64)) for x in (5.0, np.nan, 45.0)],
)
READING = Reading(0.4, "MPa", 0.25, 0.9, "", Ellipse(np.array([24.0, 32.0]), np.eye(2)), np.ones((3, 2)))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_line_says_what_was_found() -> None:
    assert repr(POINTS) == "Points(1 start, 1 middle, 0 end; 64 x 48 pixels; score 0.50 to 0.90)"
    assert repr(MASKS) == "Masks(1 box; background, target on 4 x 4 cells; 64 x 48 pixels)"
    assert repr(TRACKS) == ("Tracks(3 frames, something in 2 of them; frames 0 to 2, 0.00 to 0.08 s; 64 x 48 pixels)")
    assert repr(Tracks([], [], [])) == "Tracks(no frames)"
    empty = Points({"ball": np.zeros((0, 2))}, {"ball": np.zeros(0)}, (4, 4))
    assert repr(empty) == "Points(0 ball; 4 x 4 pixels; nothing found)"


@pytest.mark.parametrize(
    "answer",
    [POINTS, MASKS, TRACKS, READING, Sample(Path("a.png"), POINTS.xy), Frame(0, 0.0, np.ones((2, 2, 3), np.uint8))],
)
def test_answers_are_compared_by_what_they_hold(answer: object) -> None:
    """NumPy refused to say whether arrays are equal."""
    again = copy.deepcopy(answer)
    assert answer == again and answer != "else" and answer in ["else", again]
    for changed in (
        replace(POINTS, scores=POINTS.scores | {"start": np.array([0.8])}),
        replace(POINTS, xy={"start": POINTS.xy["start"]}),
        replace(MASKS, ids=[8]),
        Tracks(TRACKS.frames, TRACKS.times, [POINTS, *TRACKS.points[1:]]),
        Sample(Path("a.png"), {name: xy[:0] for name, xy in POINTS.xy.items()}),
        Frame(0, 0.0, np.zeros((2, 2, 3), np.uint8)),
        replace(READING, ellipse=Ellipse(np.zeros(2), np.eye(2))),
    ):
        assert answer != changed


def test_points_as_a_table(tmp_path: Path) -> None:
    POINTS.to_csv(tmp_path / "points.csv")
    assert rows(tmp_path / "points.csv") == [
        {"name": "start", "row": "0", "id": "", "x": "10.0", "y": "20.0", "score": "0.9", "visible": "2"},
        {"name": "middle", "row": "0", "id": "", "x": "30.25", "y": "12.0", "score": "0.5", "visible": "2"},
        {"name": "middle", "row": "1", "id": "", "x": "", "y": "", "score": "0.0", "visible": "0"},
    ]


def test_masks_and_tracks_as_tables(tmp_path: Path) -> None:
    MASKS.save(tmp_path / "masks.csv")
    (row,) = rows(tmp_path / "masks.csv")
    assert row == {
        "row": "0", "id": "7", "x1": "8.0", "y1": "8.0", "x2": "24.0", "y2": "16.0", "score": "0.75", "pixels": "128",
    }  # fmt: skip
    TRACKS.to_csv(tmp_path / "tracks.csv")
    found = [(row["frame"], row["seconds"], row["x"]) for row in rows(tmp_path / "tracks.csv")]
    assert found == [("0", "0.0", "5.0"), ("1", "0.04", ""), ("2", "0.08", "45.0")]


def test_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    frame = TRACKS.to_pandas()
    assert list(frame.columns) == ["frame", "seconds", "name", "row", "id", "x", "y", "score", "visible"]
    assert frame["x"].isna().tolist() == [False, True, False] and frame["visible"].tolist() == [2, 0, 2]


def test_without_pandas_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pandas" else found(name, *more)
    )
    with pytest.raises(InputError) as refused:
        POINTS.to_pandas()
    assert str(refused.value).startswith('to_pandas() needs pandas, which is not installed; pip install "pandas')


def test_a_plot_lies_over_the_image(tmp_path: Path) -> None:
    """The same picture from a path, an array and a PIL image; it differs from the image where the points are."""
    image = np.full((48, 64, 3), 200, np.uint8)
    write_image(tmp_path / "image.png", image)
    drawn = POINTS.plot(image)
    changed = np.abs(drawn.astype(int) - image).sum(axis=2) > 0
    assert changed[15:25, 5:15].any() and changed[7:17, 25:35].any() and not changed[30:, 40:].any()
    for other in (tmp_path / "image.png", str(tmp_path / "image.png"), Image.fromarray(image)):
        assert (POINTS.plot(other) == drawn).all()
    assert (image == 200).all()
    assert POINTS.plot().shape == (48, 64, 3)
    tinted = np.abs(MASKS.plot(image).astype(int) - image).sum(axis=2) > 0
    assert tinted[8:16, 8:24].all() and not tinted[20:].any()
    path = np.abs(TRACKS.plot(image).astype(int) - image).sum(axis=2) > 0
    assert path[8:12, 10:40].any(axis=0).all() and not path[20:].any()


def test_saving(tmp_path: Path) -> None:
    POINTS.save(tmp_path / "drawn.png", np.full((48, 64, 3), 200, np.uint8))
    assert (read_image(tmp_path / "drawn.png") == POINTS.plot(np.full((48, 64, 3), 200, np.uint8))).all()
    with pytest.raises(InputError, match=r"not saved as '\.xlsx'; use \.csv for a table"):
        POINTS.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="64 x 48 pixels, on an image of 10 x 8"):
        POINTS.plot(np.zeros((8, 10, 3), np.uint8))
    many = Tracks([0], [0.0], [MASKS])  # type: ignore[list-item]
    with pytest.raises(InputError, match="plot one frame"):
        many.plot()
