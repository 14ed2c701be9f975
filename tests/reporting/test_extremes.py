"""Pictures of the best and the worst, on the page and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.reporting.extremes import NAME, Shot, worst_and_best, write_extremes


def shot(name: str, grey: int = 90) -> Shot:
    return Shot(name, f"{name}.png", f"caption of {name}", lambda: np.full((8, 10, 3), grey, np.uint8))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pictures_in_their_order_and_none_of_an_earlier_call(tmp_path: Path) -> None:
    write_extremes(tmp_path, {"worst": [shot(f"old{i}") for i in range(12)], "best": [shot("old")]})
    (tmp_path / "worst" / "mine_1.jpg").write_bytes(b"the user's own")
    found = write_extremes(tmp_path, {"worst": [shot("a"), shot("b")], "best": []})
    assert names(tmp_path / "worst") == ["1_a.jpg", "2_b.jpg", "mine_1.jpg"] and names(tmp_path / "best") == []
    assert [picture.caption for picture in found.pictures["worst"]] == ["caption of a", "caption of b"]
    assert found.pictures["best"] == [] and not found.unreadable


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    def broken() -> np.ndarray:
        raise InputError("the image is cut off", path=tmp_path / "b.png")

    found = write_extremes(tmp_path, {"worst": [Shot("b", "b.png", "", broken), shot("c" * 300)]})
    assert found.unreadable == ["b.png could not be drawn: the image is cut off."]
    assert names(tmp_path / "worst") == [f"2_{'c' * NAME}.jpg"] and len(found.pictures["worst"]) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "worst").write_text("a file")
    with pytest.raises(InputError, match="cannot be made"):
        write_extremes(tmp_path, {"worst": []})


@pytest.mark.parametrize(("count", "worst", "best"), [(0, "", ""), (1, "a", ""), (3, "ab", "c"), (9, "ab", "ih")])
def test_no_sample_is_among_the_worst_and_the_best(count: int, worst: str, best: str) -> None:
    assert worst_and_best("abcdefghi"[:count], 2) == {"worst": worst, "best": best}
