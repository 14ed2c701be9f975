"""The files that a command is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.pipeline.sources import expand


def test_folders_in_a_folder_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub dir").mkdir()
    write_image(tmp_path / "sub dir" / "b.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="no image in this folder; give the folders in it that hold images: sub dir"):
        list(expand([tmp_path]))
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    assert [path.name for path in expand([tmp_path])] == ["a.png"]
    assert capsys.readouterr().out == f"left out of {tmp_path}, folders in it that hold images: sub dir\n"
    assert [path.name for path in expand([tmp_path], tmp_path / "out")] == ["a.png", "b.png"]
    assert not capsys.readouterr().out
