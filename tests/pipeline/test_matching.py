"""Rows of a file of predictions beside the images they answer for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kaname.data.pairs import LabelledImage
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.pipeline.labelled import Labelled
from kaname.pipeline.matching import Rows, by_name
from kaname.types import Points, Prediction


def image(path: Path) -> LabelledImage:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.zeros((4, 6, 3), np.uint8))
    return LabelledImage(path, {}, None)


def row(source: str, size: tuple[int, int] = (4, 6), **more: int) -> Prediction:
    return Prediction(source, Points({}, {}, size), **more)


def rows(*members: Prediction) -> Rows:
    return Rows(members, Path("points.json"))


def test_a_row_answers_for_the_image_of_its_name(tmp_path: Path) -> None:
    one, other = image(tmp_path / "x" / "a.png"), image(tmp_path / "y" / "a.png")
    found = rows(row("a.png"), row("b.png"), row("a.png", box=1), row("c.png", box=1))
    assert found.of(one) is found.by_name["a.png"][0]
    assert found.others([one]) == ["b.png", "c.png#1"], "a part of a known image is not a stranger"
    paths = rows(row(str(one.image)), row(str(other.image)))
    assert paths.of(one).source == str(one.image) and paths.of(other).source == str(other.image)


@pytest.mark.parametrize("name", ["a.png", "x/a.png"])
def test_one_row_never_answers_for_two_images(tmp_path: Path, name: str) -> None:
    one, other = image(tmp_path / "x" / "a.png"), image(tmp_path / "y" / "a.png")
    found = rows(row(name))
    assert found.of(one) is found.of(one)
    with pytest.raises(InputError, match=f"one prediction '{name}' for two images") as caught:
        found.of(other)
    assert str(one.image) in caught.value.reason and str(other.image) in caught.value.reason and caught.value.remedy


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([row("b.png")], "no prediction for a.png"),
        ([row("a.png", box=1)], "no prediction for a.png"),
        ([row("p/a.png"), row("q/a.png")], "several predictions"),
        ([row("a.png", (6, 4))], "predicted on 4 x 6, but the labelled image has 6 x 4"),
    ],
)
def test_an_image_without_its_row(tmp_path: Path, members: Sequence[Prediction], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        rows(*members).of(image(tmp_path / "a.png"))
    assert caught.value.path == "points.json" and caught.value.remedy


def test_images_of_all_sets_by_name(tmp_path: Path) -> None:
    sets = {"train": [image(tmp_path / "t" / "a.png")], "val": [image(tmp_path / "v" / "a.png")]}
    labelled = Labelled(tmp_path, list(sets), sets.__getitem__)
    assert by_name(labelled, "val") == {"a.png": sets["val"][0]}
    with pytest.raises(InputError, match=r"also in .*t; give --split, one of train, val"):
        by_name(labelled, None)
