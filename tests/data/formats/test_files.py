"""Finding images by the names in labels, reading headers, writing JSON whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data.formats import pts, yolo
from kaname.data.formats.files import (
    Folder,
    image_size,
    is_number,
    make_folder,
    read_json,
    read_text,
    tails,
    write_json,
    write_listed,
)
from kaname.data.formats.landmarks_names import annotation_names, images_below
from kaname.errors import InputError


def test_find_prefers_exact_names_and_refuses_to_guess(tmp_path):
    for name in ("two words.png", "two_words.png", "a (1).png", "a 1.png", "b!.png"):
        (tmp_path / name).touch()
    folder = Folder(tmp_path)
    assert folder.find(["two_words.png"]).name == "two_words.png"
    assert folder.find(["none.png", "two words.png"]).name == "two words.png"
    with pytest.raises(InputError, match=r"'a_1.png' may be 'a \(1\).png' or 'a 1.png'"):
        folder.find(["a_1.png"])  # both would be written so
    assert folder.find(["b.png"]).name == "b!.png"
    assert folder.find(["b?.png"]) is None  # a name with signs of its own is no upload of b!.png
    assert folder.find(["../" + tmp_path.name + "/b!.png", "", "x" * 400]) is None
    with pytest.raises(InputError, match="does not exist"):
        Folder(tmp_path / "nowhere")


def test_tails():
    assert tails("/a/./b\\c.png") == ["a/b/c.png", "b/c.png", "c.png"]
    assert tails("") == []


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK"])
def test_image_size(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(np.zeros((3, 5), np.uint8)).convert(mode).save(path)
    assert image_size(path) == (3, 5)


def test_no_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for name, words in (("a.png", "0 bytes"), ("b.png", "no such file"), (".", "a folder, not an image")):
        with pytest.raises(InputError, match=words):
            image_size(tmp_path / name)


def test_json_is_written_whole_or_not(tmp_path):
    path = tmp_path / "new" / "x.json"
    write_json(path, {"名": 1.5})
    assert "名" in path.read_text(encoding="utf-8")
    assert read_json(path) == {"名": 1.5}
    for content in ({"a": float("nan")}, {"a": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, content)
    assert read_json(path) == {"名": 1.5}
    assert [one.name for one in path.parent.iterdir()] == ["x.json"]
    with pytest.raises(InputError, match="cannot be written"):
        write_json(path / "below" / "y.json", {})


@pytest.mark.parametrize("rows", [[], [{}], [{"名": "a\nb", "b": [1, [2.5, None]]}, [], "c\\n"]])
def test_rows_are_written_one_by_one_as_all_at_once(tmp_path: Path, rows: list[object]) -> None:
    write_listed(tmp_path / "a.json", iter(rows), "images", {"head": [1], "empty": {}})
    write_json(tmp_path / "b.json", {"head": [1], "empty": {}, "images": rows})
    write_listed(tmp_path / "c.json", iter(rows))
    write_json(tmp_path / "d.json", rows)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "d.json").read_bytes()


def test_rows_that_fail_leave_what_there_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_listed(path, iter([1, 2]))
    with pytest.raises(InputError, match="NaN or infinite"):
        write_listed(path, iter([1, float("nan")]))

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("a fault of its own")

    with pytest.raises(ValueError, match="a fault of its own"):
        write_listed(path, failing())
    assert read_json(path) == [1, 2]
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_is_number():
    values = json.loads('[1, 2.5, -0.0, true, null, "1", NaN, Infinity, 1e300]')
    assert [is_number(value) for value in values] == [True] * 3 + [False] * 6
    assert not is_number(10**400)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        make_folder(tmp_path / "file" / "b")


def test_a_long_text_is_read_in_parts(tmp_path: Path) -> None:
    """Byte order mark and line ends as of a short one; a byte that is no text is counted from the file's beginning."""
    whole = "dial ゲージ\r\n" * 200_000
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + whole.encode())
    assert read_text(tmp_path / "a.txt") == whole.replace("\r\n", "\n")
    (tmp_path / "b.txt").write_bytes(whole.encode() + b"\xff")
    with pytest.raises(InputError, match=rf"byte {len(whole.encode())}\)"):
        read_text(tmp_path / "b.txt")


@pytest.mark.parametrize("closed", [".", "deep"])
@pytest.mark.parametrize("ending", [".png", ".txt", ".pts", ".json"])
def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch, ending, closed):
    """It is not taken for an empty one, and one below is not passed over."""
    (tmp_path / "deep").mkdir()
    for name in ("a", "deep/b"):
        (tmp_path / f"{name}{ending}").write_bytes(b"")
    scan = os.scandir

    def refusing(path="."):
        if Path(path) == tmp_path / closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    readers = {".png": images_below, ".json": annotation_names, ".txt": yolo.label_files, ".pts": pts.read}
    with pytest.raises(InputError, match="cannot be read: Permission denied; check its permissions") as caught:
        readers[ending](tmp_path)
    assert Path(caught.value.path) == tmp_path / closed
