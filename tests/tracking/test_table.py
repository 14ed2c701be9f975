"""Tables of places: written, read, and refused where they are wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaname.errors import InputError
from kaname.tracking.table import COLUMNS, read_rows, stream_rows, write_rows
from kaname.tracking.trajectory import DETECTED, FILLED, STATIC, Row


def rows() -> list[Row]:
    return [
        Row(0, 0.0, 10.25, 20.5, 0.75, DETECTED, "game1/Clip1", "0000.jpg"),
        Row(1, 0.04, math.nan, math.nan, 0.2, "", "game1/Clip1", "0001.jpg"),
        Row(2, 0.08, 12.0, 21.0, 0.5, FILLED, "game1/Clip1", "a, b.jpg"),
    ]


def test_written_rows_come_back(tmp_path: Path) -> None:
    count = write_rows(tmp_path / "new" / "ball.csv", rows())
    assert count == {"frames": 3, "detected": 1, "filled": 1, "static": 0}
    text = (tmp_path / "new" / "ball.csv").read_text(encoding="utf-8").splitlines()
    assert text[0] == ",".join(COLUMNS) == "frame,time,x,y,score,source,clip,file,coordinates"
    assert text[1] == "0,0.000000,10.2500,20.5000,0.750000,detected,game1/Clip1,0000.jpg,continuous"
    assert text[2] == "1,0.040000,,,0.200000,,game1/Clip1,0001.jpg,continuous"
    again = read_rows(tmp_path / "new" / "ball.csv")
    assert [str(one) for one in again] == [str(one) for one in rows()]
    assert next(stream_rows(tmp_path / "new" / "ball.csv")) == rows()[0]


def test_a_static_row_has_no_position(tmp_path: Path) -> None:
    """Whatever stands in the file or in the row."""
    path = tmp_path / "ball.csv"
    assert write_rows(path, [Row(0, 0.0, 5.0, 6.0, 0.75, STATIC)])["static"] == 1
    assert ",,,0.750000,static," in path.read_text(encoding="utf-8").splitlines()[1]
    path.write_text("frame,x,y,score,source\n0,5,6,0.75,static\n1,,,0.5,static\n", encoding="utf-8")
    assert [(row.there, row.source, row.score) for row in read_rows(path)] == [
        (False, STATIC, 0.75),
        (False, STATIC, 0.5),
    ]


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
        ("frame,x,y,score\n0,1,2,\n", 2, "a position without a score"),
        ("frame,x,y,score\n-1,1,2,0.9\n", 2, "frame -1"),
        ("frame,time,x,y,score\n0,nan,1,2,0.9\n", 2, "time nan is not finite"),
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
