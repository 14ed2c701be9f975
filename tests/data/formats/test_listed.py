"""Lists in JSON files, an entry at a time: what stands in a file is what the library of the standard reads."""

from __future__ import annotations

import json
import os

import pytest

from kaname.data.formats.files import read_json
from kaname.data.formats.listed import once, read_listed
from kaname.errors import InputError

SOUND = [
    "[]", "[1, 2]", " [ ] ", "{}", '{"rows": []}', '{"rows":[{"a":[1.5,null]},"x"],"b":"]"}', '"text"', "3", "null",
    '{"a": {"rows": [1]}, "rows": [[2], [3]] , "c": NaN}\n', '{"rows": 5}', '{"r\\"ows": 1, "rows": [true]}',
    '{"rows": [1], "rows": [2, 3]}',
]  # fmt: skip
BROKEN = [
    "", "  ", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "{", '{"a"', '{"a":', '{"a": 1', '{"a": 1,}', '{"a" 1}',
    "{a: 1}", '{"rows": [1, 2}', '{"rows": [1,]}', "[1] 2", '{"rows": [1]} x', "nul", '{"a": 1 "b": 2}', "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
def test_reads_what_the_standard_library_reads(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    seen = []
    found = read_listed(path, "rows", lambda number, entry: seen.append(number) or ("taken", entry))
    wanted = json.loads(text)
    if isinstance(wanted, list):
        wanted = [("taken", entry) for entry in wanted]
    elif isinstance(wanted, dict) and isinstance(wanted.get("rows"), list):
        wanted["rows"] = [("taken", entry) for entry in wanted["rows"]]
    assert repr(found) == repr(wanted)
    assert set(seen) == set(range(1, len(set(seen)) + 1))


@pytest.mark.parametrize("text", BROKEN, ids=[text[:20] for text in BROKEN])
def test_says_what_is_wrong_as_every_reader_does(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError) as ours:
        read_listed(path, "rows", lambda number, entry: entry)
    with pytest.raises(InputError) as theirs:
        read_json(path)
    assert str(ours.value) == str(theirs.value)


def test_a_file_that_has_not_changed_is_read_once(tmp_path):
    path, calls = tmp_path / "a.json", []

    @once
    def read(path, key="a"):
        calls.append(key)
        return path.read_text()

    path.write_text("one")
    assert [read(path), read(path), read(path, "b"), read(path, "b")] == ["one"] * 4
    assert calls == ["a", "b"]
    path.write_text("two!")
    assert read(path, "b") == "two!"
    os.utime(path, ns=(1, 1))
    assert (read(path, "b"), len(calls)) == ("two!", 4)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(path, "b")
