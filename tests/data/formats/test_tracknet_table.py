"""Label files: every dialect by its name, everything else refused with a reason."""

from __future__ import annotations

import doctest

import pytest

from kaname.data.formats import tracknet_table as module
from kaname.data.formats.tracknet_table import HEADER, Row, read_table, table_text
from kaname.errors import InputError

ROWS = [Row(2, "0000.jpg", 1, (599.0, 423.5), 0), Row(3, "0001.jpg", 0, None, None), Row(4, "0002.jpg", 3, (1, 2), 2)]
PLAIN = f"{HEADER}\n0000.jpg,1,599,423.5,0\n0001.jpg,0,,,\n0002.jpg,3,1,2,2\n"
V2 = "Frame,Visibility,X,Y\n0,1,599,423.5\n1,0,0,0\n2,3,1,2\n"
MIXED = "Frame,X,Y,Visibility\n0,599,423.5,1\n1,-1,-1,0\n2,1,2,3\n"
WASB = "file name,visibility,x-coordinate,y-coordinate\n0000.jpg,1,599,423.5\n0001.jpg,0,,\n0002.jpg,3,1,2\n"


def save(folder, text):
    path = folder / "Label.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_doctests():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (PLAIN, "tracknet"),
        ("\ufeff" + PLAIN, "tracknet"),
        (PLAIN.replace("\n", "\r\n"), "tracknet"),
        (PLAIN.rstrip("\n"), "tracknet"),
        (PLAIN.replace(",", " , "), "tracknet"),
        (PLAIN.replace("599", "599.0").replace("jpg,1", "jpg,1.0"), "tracknet"),
        (PLAIN.replace("599", "+5.99e2").replace("423.5", "0423.50"), "tracknet"),
        (PLAIN.replace("0,,,", "0,0,0,"), "tracknet"),
        (PLAIN.replace("0,,,", "0,-1,-1,"), "tracknet"),
        (PLAIN + ",,,,\n", "tracknet"),
        ('"' + PLAIN.replace(",", '","').replace("\n", '"\n"').removesuffix('"'), "tracknet"),
        (PLAIN.replace("file name", "File Name"), "tracknet"),
    ],
)
def test_dialects_of_the_original(tmp_path, text, dialect):
    table = read_table(save(tmp_path, text))
    assert (table.dialect, list(table.faults)) == (dialect, [])
    assert list(table.rows) == ROWS


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (V2, "tracknet-v2"),
        (V2.replace("Frame,Visibility", "frame,visibility"), "tracknet-v2"),
        (MIXED, "tracknet-v2"),
        (WASB, "wasb"),
    ],
)
def test_dialects_without_status(tmp_path, text, dialect):
    table = read_table(save(tmp_path, text))
    assert table.dialect == dialect
    assert [(row.visibility, row.index, row.status) for row in table.rows] == [
        (row.visibility, row.index, None) for row in ROWS
    ]
    assert [row.name.strip("0") for row in table.rows] in ([".jpg", "1.jpg", "2.jpg"], ["", "1", "2"])


def test_empty_lines_count_as_lines(tmp_path):
    table = read_table(save(tmp_path, "\n" + PLAIN.replace("\n0001", "\n\n  \n0001")))
    assert [row.line for row in table.rows] == [3, 6, 7]


@pytest.mark.parametrize(
    ("text", "words", "row"),
    [
        ("", "the file is empty", None),
        ("\n \n", "the file is empty", None),
        (HEADER, "no row after the header", None),
        (HEADER + "\n,,,,\n", "no row after the header", None),
        ("0000.jpg,1,599,423,0\n", "no header: the first line is '0000.jpg,1,599,423,0'", 1),
        ("0000.jpg\n0001.jpg\n", "unknown header '0000.jpg'", 1),
        (PLAIN.replace(",", ";"), "unknown header 'file name;visibility;x-coordinate", 1),
        (PLAIN.replace(",", "\t"), "unknown header", 1),
        (PLAIN.replace("status", "mood"), "unknown header", 1),
        (PLAIN.replace("status", "status,score"), "unknown header", 1),
        (PLAIN.replace("status", "status,"), "unknown header", 1),
        (PLAIN.replace("status", "visibility"), "unknown header", 1),
        ("Frame,X,Y\n0,1,2\n", "unknown header 'Frame,X,Y'", 1),
        ("frame_num,visible,x,y\n0,1,0.5,0.4\n", "unknown header", 1),
        (PLAIN.encode("utf-16"), "not UTF-8", None),
        (HEADER.encode() + b"\n\xff\xfe,1,2,3,0\n", "not UTF-8", None),
        (PLAIN + "0003.jpg,1,2,\0,0\n", "NUL bytes", None),
        (PLAIN + '"0003.jpg,1,2,3,0\n', "not a table", 5),
    ],
)
def test_whole_files_that_are_refused(tmp_path, text, words, row):
    path = save(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert words in caught.value.reason
    assert caught.value.path == str(path) and caught.value.remedy
    assert row is None or caught.value.row == row
    if row == 1:
        assert HEADER in caught.value.remedy and "Frame,Visibility,X,Y" in caught.value.remedy


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_table(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0009.jpg,1,2,3", "4 fields, but the header has 5"),
        ("0009.jpg,1,2,5,3,5,0", "7 fields, but the header has 5"),
        ('0009.jpg,1,"2,5",3,0', "x-coordinate is not a number: '2,5'"),
        (",1,2,3,0", "no file name"),
        ("0009.jpg,,2,3,0", "the visibility is blank"),
        ("0009.jpg,4,2,3,0", "the visibility is 4"),
        ("0009.jpg,-1,2,3,0", "the visibility is -1"),
        ("0009.jpg,1.5,2,3,0", "the visibility is 1.5"),
        ("0009.jpg,yes,2,3,0", "visibility is not a number: 'yes'"),
        ("0009.jpg,1,2,3,3", "the status is 3"),
        ("0009.jpg,1,2,3,flying", "status is not a number"),
        ("0009.jpg,1,nan,3,0", "x-coordinate is not a number: 'nan'"),
        ("0009.jpg,1,2,inf,0", "y-coordinate is not a number: 'inf'"),
        ("0009.jpg,1,2,1e99,0", "y-coordinate is not a number"),
        ("0009.jpg,1,1_000,3,0", "x-coordinate is not a number"),
        ("0009.jpg,1,２,3,0", "x-coordinate is not a number"),
        ("0009.jpg,1,0x10,3,0", "x-coordinate is not a number"),
        ("0009.jpg,1,,,0", "visibility 1 without coordinates"),
        ("0009.jpg,3,,,", "visibility 3 without coordinates"),
        ("0009.jpg,1,2,,0", "only x is given"),
        ("0009.jpg,0,,2,0", "only y is given"),
        ("0009.jpg,0,7,8,0", "no ball (visibility 0), but a position (7, 8)"),
    ],
)
def test_rows_that_are_refused(tmp_path, line, words):
    path = save(tmp_path, PLAIN + line + "\n" + "0010.jpg,0,,,\n")
    table = read_table(path)
    (fault,) = table.faults
    assert words in fault.reason
    assert (fault.path, fault.row) == (str(path), 5)
    assert fault.remedy
    assert [row.line for row in table.rows] == [2, 3, 4, 6]


def test_text_is_the_original_form():
    assert table_text(ROWS) == PLAIN
    odd = Row(2, 'a,"b".jpg', 2, (0.1 + 0.2, -1e-9), None)
    assert table_text([odd]) == f'{HEADER}\n"a,""b"".jpg",2,0.3,0,\n'


@pytest.mark.parametrize("line", ["x" * 140_000, "file name," + "y" * 200_000, '"' + "z" * 131_073 + '",visibility'])
@pytest.mark.parametrize("place", ["header", "row"])
def test_endless_fields_are_one_line(tmp_path, line, place):
    path = tmp_path / "Label.csv"
    header = "file name,visibility,x-coordinate,y-coordinate,status"
    path.write_text(f"{line}\n{header}\n" if place == "header" else f"{header}\n{line}\n")
    with pytest.raises(InputError, match="not a table") as refused:
        read_table(path)
    assert refused.value.row == (1 if place == "header" else 2) and len(str(refused.value)) < 500
