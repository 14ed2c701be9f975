"""From heatmaps to balls, and files of balls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kaname.codecs.heatmap import encode
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.recipes.tracknet.predict import COLUMNS, find_balls, read_rows, row_of, stream_rows, write_rows
from kaname.tracking.trajectory import DETECTED, FILLED, Row

GRID = Grid.between((64, 96), (32, 48))


@pytest.mark.parametrize("method", ["argmax", "soft-argmax", "dark"])
def test_balls_in_pixels_of_the_frame(method: str) -> None:
    """Through the letterbox of a frame of another shape."""
    size = (200, 240)
    into = Affine.letterbox(size, (64, 96))
    place = np.array([[101.3, 57.9]])
    maps = encode(into.points(place), [1], (32, 48), GRID, 1.5)
    found = find_balls(maps, into.inverse(), size, GRID, DetectSettings(method=method))  # type: ignore[arg-type]
    cell = 2 / into.scale
    assert found.size == size and list(found.xy) == ["ball"] and found.scores["ball"][0] > 0.85
    assert np.abs(found.xy["ball"] - place).max() < (0.05 if method == "dark" else 0.2 if method != "argmax" else cell)


def test_the_threshold_and_windows() -> None:
    maps = np.stack([encode([[30, 20]], [1], (32, 48), GRID, 1.5)[0] * height for height in (0.9, 0.5, 0.0)])
    found = find_balls(maps, Affine.identity(), (64, 96), GRID, DetectSettings(score_threshold=0.6))
    assert list(found.xy) == ["ball_0", "ball_1", "ball_2"]
    assert [len(found.xy[name]) for name in found.xy] == [1, 0, 0]
    top = float(maps[1].max())
    at = find_balls(maps[1:2], Affine.identity(), (64, 96), GRID, DetectSettings(score_threshold=top))
    assert len(at.xy["ball"]) == 0, "a score equal to the threshold is no ball"
    empty = row_of(at, frame=3, seconds=0.1)
    assert (empty.frame, empty.source, empty.score) == (3, "", 0.0) and not empty.there
    one = row_of(find_balls(maps[:1], Affine.identity(), (64, 96), GRID, DetectSettings()), frame=0, seconds=0)
    assert one.source == DETECTED and (one.x, one.y) == pytest.approx((30, 20), abs=0.1)


def rows() -> list[Row]:
    return [
        Row(0, 0.0, 10.25, 20.5, 0.75, DETECTED, "game1/Clip1", "0000.jpg"),
        Row(1, 0.04, math.nan, math.nan, 0.2, "", "game1/Clip1", "0001.jpg"),
        Row(2, 0.08, 12.0, 21.0, 0.5, FILLED, "game1/Clip1", "a, b.jpg"),
    ]


def test_written_rows_come_back(tmp_path: Path) -> None:
    count = write_rows(tmp_path / "new" / "ball.csv", rows())
    assert (count.rows, count.detected, count.filled) == (3, 1, 1)
    text = (tmp_path / "new" / "ball.csv").read_text(encoding="utf-8").splitlines()
    assert text[0] == ",".join(COLUMNS) == "frame,time,x,y,score,source,clip,file,coordinates"
    assert text[1] == "0,0.000000,10.2500,20.5000,0.750000,detected,game1/Clip1,0000.jpg,continuous"
    assert text[2] == "1,0.040000,,,0.200000,,game1/Clip1,0001.jpg,continuous"
    again = read_rows(tmp_path / "new" / "ball.csv")
    assert [str(one) for one in again] == [str(one) for one in rows()]
    assert next(stream_rows(tmp_path / "new" / "ball.csv")) == rows()[0]


def test_half_a_table_is_never_there(tmp_path: Path) -> None:
    def broken() -> Iterator[Row]:
        yield rows()[0]
        raise InputError("the video is damaged")

    (tmp_path / "ball.csv").write_text("as it was")
    with pytest.raises(InputError, match="damaged"):
        write_rows(tmp_path / "ball.csv", broken())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("ball.csv", "as it was")]
    with pytest.raises(InputError, match="cannot be written"):
        write_rows(tmp_path / "ball.csv" / "ball.csv", rows())


def test_what_other_programs_write_for_nothing_and_for_sure(tmp_path: Path) -> None:
    path = tmp_path / "ball.csv"
    path.write_text("frame,x,y,score\n0,nan,nan,nan\n1,1,2,1.0000001\n2,1,2,-1e-9\n", encoding="utf-8")
    assert [(row.there, row.score) for row in read_rows(path)] == [(False, 0.0), (True, 1.0), (True, 0.0)]


def test_tables_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "ball.csv"
    path.write_text("\ufeffscore,y,x,frame\n0.9,2,1,7\n,,,8\n", encoding="utf-8")
    first, second = read_rows(path)
    assert (first.frame, first.x, first.y, first.source) == (7, 1, 2, DETECTED)
    assert second.frame == 8 and not second.there and second.source == "" and second.score == 0


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [
        ("frame,x,y\n", 1, "no column 'score'"),
        ("", 1, "no column 'frame'"),
        ("frame,x,y,score\n0,1,2,0.9\nx,1,2,0.9\n", 3, "not a number"),
        ("frame,x,y,score\n0,a,2,0.9\n", 2, "not a number"),
        ("frame,x,y,score\n0,1,,0.9\n", 2, "both"),
        ("frame,x,y,score\n0,inf,2,0.9\n", 2, "both"),
        ("frame,x,y,score\n0,1,2\n", 2, "not as many fields"),
        ("frame,x,y,score\n0,1,2,0.9,5\n", 2, "not as many fields"),
        ("frame,x,y,score,coordinates\n0,1,2,0.9,index\n", 2, "coordinates are 'index'"),
        ("frame,x,y,score\n0,1,2,nan\n", 2, "the score nan"),
        ("frame,x,y,score\n0,1,2,inf\n", 2, "the score inf"),
        ("frame,x,y,score\n0,1,2,0.9\n1,1,2,1.5\n", 3, "the score 1.5"),
        ("frame,x,y,score\n0,1,2,-1\n", 2, "the score -1"),
        ("frame,x,y,score\n0,1,2,\n", 2, "a place without a score"),
        ("frame,x,y,score\n-1,1,2,0.9\n", 2, "frame -1"),
        ("frame,time,x,y,score\n0,nan,1,2,0.9\n", 2, "the time nan"),
        ("frame,x,y,score,source\n0,1,2,0.9,guessed\n", 2, "the source is 'guessed'"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, row: int, words: str) -> None:
    (tmp_path / "ball.csv").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_rows(tmp_path / "ball.csv")
    assert caught.value.row == row
    (tmp_path / "b.csv").write_bytes(b"frame,x,y,score\n\xff\xfe\n")
    for name in ("b.csv", "none.csv"):
        with pytest.raises(InputError, match=name):
            read_rows(tmp_path / name)
