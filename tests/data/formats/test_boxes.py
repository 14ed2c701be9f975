"""Boxes by picture: told from COCO and Label Studio, and found by ends of paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.data.formats import boxes
from kaname.errors import InputError


def table(path: Path, content: Any, **how: Any) -> boxes.BoxTable:
    path.write_text(json.dumps(content), encoding="utf-8")
    return boxes.read(path, **how)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a.jpg": []}, True),
        ({}, True),
        ([[1, 2, 3, 4]], True),
        ({"images": [[1, 2, 3, 4]]}, True),
        ({"images": {"0": []}, "annotations": [[1, 2, 3, 4]]}, True),
        ({"images": [], "annotations": [], "categories": []}, False),
        ({"images": [{"id": 1}]}, False),
        ([], False),
        ([{"id": 1, "data": {}}], False),
        ("text", False),
    ],
)
def test_it_is_told_from_other_formats(content: Any, expected: bool) -> None:
    """A folder may have the name of a table of COCO."""
    assert boxes.is_table(content) is expected


def test_the_longest_end_of_a_path_wins(tmp_path: Path) -> None:
    read = table(tmp_path / "b.json", {"a.jpg": [], "left/a.jpg": [[1, 2, 3, 4]], "./b.jpg": [[0, 0, 1, 1]] * 2})
    counts = {"left/a.jpg": 1, "x/left/a.jpg": 1, "right/a.jpg": 0, "a.jpg": 0, "x/b.jpg": 2}
    for name, count in counts.items():
        found = read.of(tmp_path / name)
        assert found is not None and found(0, (9, 9)).shape == (count, 4), name
    assert read.of(tmp_path / "c.jpg") is None and read.of(tmp_path / "ba.jpg") is None


def test_shares_are_of_each_frames_size(tmp_path: Path) -> None:
    content = {"clip.mp4": {"2": [[0.25, 0.5, 0.5, 0.25]]}}
    found = table(tmp_path / "b.json", content, form="cxcywh", units="normalised").of(tmp_path / "clip.mp4")
    assert found is not None and found(0, (100, 200)).shape == (0, 4)
    np.testing.assert_allclose(found(2, (100, 200)), [[0, 37.5, 100, 62.5]])
    np.testing.assert_allclose(found(2, (200, 100)), [[0, 75, 50, 125]])


def test_a_negative_size_is_no_box(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.jpg: box .* ends before it begins; write \[\[x1, y1, width, height\]"):
        table(tmp_path / "b.json", {"a.jpg": [[5, 5, -1, 2]]}, form="xywh")
