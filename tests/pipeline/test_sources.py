"""What is found in a folder that a command was given, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaname.errors import InputError
from kaname.pipeline.sources import expand


def test_what_a_folder_holds_besides_its_images_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = ("drawn/a.jpg", "drawn/.kaname-x.json")
    for name in ("a.png", "clip.mp4", "sub dir/b.png", "sub dir/c.JPG", *drawn, ".hidden/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in expand([tmp_path])] == ["a.png"]
    said = capsys.readouterr().out
    assert "not images by their names: clip.mp4\n" in said
    assert f"left out of {tmp_path}, folders in it that hold images: sub dir\n" in said
    assert {path.name for path in expand([tmp_path], tmp_path / "drawn")} == {"a.png", "b.png", "c.JPG"}
    assert not capsys.readouterr().out
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match=r"no image; name the videos themselves: .*clip\.mp4"):
        list(expand([tmp_path]))
    (tmp_path / "clip.mp4").unlink()
    with pytest.raises(InputError, match="no image; give the folders in it that hold images: sub dir"):
        list(expand([tmp_path]))
