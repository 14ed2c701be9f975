"""A rendered data set is whole under its name, or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaname.errors import InputError
from kaname.samples.folder import new_folder


@pytest.mark.parametrize("there", [False, True])
def test_whole_or_not_there(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "deep" / "out"
    if there:
        out.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt), new_folder(out) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b.txt").touch()
        (folder / "c.txt").touch()
        raise KeyboardInterrupt
    assert out.exists() == there and not [path for path in out.parent.iterdir() if path != out]
    assert not there or not list(out.iterdir())
    with new_folder(out) as folder:
        (folder / "c.txt").touch()
    assert [path.name for path in out.iterdir()] == ["c.txt"] and len(list(out.parent.iterdir())) == 1


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    for path, words in ((tmp_path, "not empty"), (tmp_path / "a.txt", "not a folder")):
        with pytest.raises(InputError, match=words), new_folder(path):
            raise AssertionError("never reached")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
