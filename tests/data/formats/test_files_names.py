"""Names of files that no file of results could hold, that are too long, or that archives add."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calling import call
from kaname.data.formats import tracknet
from kaname.data.formats.files import image_files
from kaname.data.formats.landmarks_names import images_below
from kaname.data.naming import images_in
from kaname.data.video import folder_frames
from kaname.errors import InputError, refuse_names

FOREIGN = os.fsdecode("計器".encode("shift_jis") + b".png")
LATIN = os.fsdecode("Größe.png".encode("latin-1"))


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(file, "png")
    return path


@pytest.mark.parametrize("name", [FOREIGN, LATIN])
@pytest.mark.parametrize(
    "read",
    [images_in, image_files, images_below, lambda folder: list(folder_frames(folder)), tracknet.problems],
    ids=["images_in", "image_files", "images_below", "frames", "clips"],
)
def test_folders_refuse_names_that_are_not_utf_8(tmp_path, name, read):
    image(tmp_path / "a.png")
    image(tmp_path / name)
    with pytest.raises(InputError, match=r"\\x.*the name of this file is not UTF-8; rename it") as caught:
        read(tmp_path)
    str(caught.value).encode("utf-8")  # it can be printed


@pytest.mark.parametrize("name", ["計器.png", "a b.png", "é.png"])
def test_other_names_are_fine(tmp_path, name):
    refuse_names([tmp_path / name])
    assert images_in(image(tmp_path / name).parent)[0] == [tmp_path / name]


@pytest.mark.parametrize(
    "words",
    [
        ("gauge", "predict", "FOLDER", "--model-path", "none.onnx", "--out", "OUT"),
        ("gauge", "predict", "FILE", "--model-path", "none.onnx", "--out", "OUT"),
        ("gauge", "check", "--data", "DATA"),
        ("gauge", "crop", "--images", "FOLDER", "--boxes", "none.json", "--out", "OUT"),
        ("tracknet", "predict", "FOLDER", "--checkpoint", "none.onnx", "--out", "OUT"),
        ("landmark", "predict", "FOLDER", "--checkpoint", "none.onnx", "--out", "OUT"),
    ],
)
def test_commands_refuse_before_any_work(tmp_path, words):
    file = image(tmp_path / "images" / FOREIGN)
    (tmp_path / "labels").mkdir()
    given = {"FOLDER": file.parent, "FILE": file, "DATA": tmp_path, "OUT": tmp_path / "out"}
    (tmp_path / "none.json").write_text("{}")
    answer = call(*[given.get(word, tmp_path / word if word.startswith("none") else word) for word in words])
    assert answer.code == 2 and ("not UTF-8" in answer.err or "none." in answer.err), answer
    assert not (tmp_path / "out").exists()


def test_a_name_as_long_as_the_disk_allows(tmp_path):
    name = "計" * 82 + "a" * 4 + ".png"  # with .json in the place of .png 255 bytes
    assert len(os.fsencode(name)) == 254
    image(tmp_path / "images" / name)
    marks = [
        {
            "type": "keypointlabels",
            "original_width": 80,
            "original_height": 60,
            "value": {"x": x, "y": y, "keypointlabels": [label]},
        }
        for label, x, y in (("start", 10, 80), ("middle", 50, 10), ("end", 90, 80))
    ]
    tasks = [{"id": 1, "data": {"image": name}, "annotations": [{"result": marks}]}]
    (tmp_path / "annotation.json").write_text(json.dumps(tasks), encoding="utf-8")
    call("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", tmp_path, "--size", 64).done()
    written = {path.suffix for path in (tmp_path / "labels").iterdir()}
    assert ".npy" in written and not [path for path in (tmp_path / "labels").iterdir() if "partial" in path.name]


@pytest.mark.parametrize("place", ["", "labels"])
def test_what_archives_of_a_mac_add_is_passed_over(tmp_path, place):
    image(tmp_path / "images" / "a.png")
    marks = [
        {
            "type": "keypointlabels",
            "original_width": 80,
            "original_height": 60,
            "value": {"x": x, "y": y, "keypointlabels": [label]},
        }
        for label, x, y in (("start", 10, 80), ("end", 90, 80))
    ]
    (tmp_path / "labels").mkdir()
    tasks = [{"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": marks}]}]
    (tmp_path / place / "annotation.json").write_text(json.dumps(tasks), encoding="utf-8")
    for name in ("._annotation.json", "._a.npy"):
        (tmp_path / place / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X\xb0")
    assert "no problems" in call("gauge", "check", "--data", tmp_path).done().out


def test_a_script_without_a_main_guard(tmp_path):
    """A process that was spawned imports the script of its parent, and so would start it over again."""
    script = tmp_path / "run.py"
    script.write_text(
        "import multiprocessing\n"
        "multiprocessing.set_start_method('spawn', force=True)\n"
        "if multiprocessing.current_process().name == 'MainProcess':\n"
        "    child = multiprocessing.Process(target=print)\n"
        "    child.start(); child.join()\n"
        "else:\n"
        "    from kaname.cli import main\n"
        "    main(['gauge', '--help'])\n",
        encoding="utf-8",
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "this script calls kaname when a loader process imports it" in told.stderr
    assert 'put the call below `if __name__ == "__main__":`' in told.stderr


def test_where_python_does_not_read_names_as_utf_8_it_is_the_one_to_change(monkeypatch):
    """Under LC_ALL=C and PYTHONUTF8=0; users were told to rename files whose names are right."""
    name = "目盛.png".encode().decode("ascii", "surrogateescape")
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    with pytest.raises(InputError, match=r"^目盛\.png: Python takes names of files for ascii .*; set PYTHONUTF8=1$"):
        refuse_names([name])
