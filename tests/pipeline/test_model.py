from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kaname.errors import InputError
from kaname.pipeline.model import open_runner


def test_a_runner_by_the_kind_of_file(tmp_path: Path) -> None:
    opened: list[str] = []

    def load(path: Path, *, device: str) -> tuple[Any, dict[str, Any]]:
        opened.append(device)
        return dict, {"recipe": "jigsaw"}

    assert open_runner(tmp_path / "best.pt", "jigsaw", load, runtime="cuda:1")[1] == {"recipe": "jigsaw"}
    assert opened == ["cuda:1"]
    with pytest.raises(InputError, match="chooses its device itself"):
        open_runner(tmp_path / "best.onnx", "jigsaw", load, runtime="cuda")
    with pytest.raises(InputError, match="does not exist"):
        open_runner(tmp_path / "best.onnx", "jigsaw", load, runtime="cpu")
    assert opened == ["cuda:1"], "an export is never given to the loader of checkpoints"
