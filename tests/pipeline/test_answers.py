"""Files of predictions by the kind of their answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.pipeline.answers import made, read, write
from kaname.types import Masks, Points, Prediction

ABOUT: dict[str, Any] = {"recipe": "dots", "model": "small", "answers": {"least": 0.5}, "source": "a.mp4"}


@pytest.mark.parametrize("name", ["points.json", "masks.json"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    """With what made it; a row without a source is of the file's."""
    cells = np.zeros((1, 2, 4, 4), np.float32)
    cells[:, 1] = 1
    points = Points({"a": np.array([[1.0, 2.0]])}, {"a": np.ones(1)}, (8, 8), {"a": np.array([1])}, [7])
    masks = Masks(cells, np.array([[0.0, 0, 4, 4]]), ("background", "target"), (8, 8), ids=[7])
    answer = points if name == "points.json" else masks
    rows = [Prediction("b.png", answer), Prediction("", answer, frame=3, seconds=0.5)]
    assert write(tmp_path / name, iter(rows), ABOUT) == {"rows": 2}
    found = read(tmp_path / name, "dots")
    assert [(row.source, row.frame, row.seconds) for row in found] == [("b.png", None, 0.0), ("a.mp4", 3, 0.5)]
    assert type(found[0].answer) is type(answer) and list(found[0].answer.ids) == [7]
    told = made(tmp_path / name)
    assert {key: told[key] for key in ABOUT} == ABOUT and "images" not in told, "with what its recipe tells"
    with pytest.raises(InputError, match="of the recipe 'dots', not of 'other'"):
        read(tmp_path / name, "other")


def test_nothing_predicted(tmp_path: Path) -> None:
    """A file without rows returns how many."""
    for name in ("points.json", "masks.json"):
        assert write(tmp_path / name, [], ABOUT) == {"rows": 0} and read(tmp_path / name, "dots") == []
