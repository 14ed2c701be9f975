"""What labels tell: which mask belongs to which object, and when clicks take its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.prompts import Annotated, annotated
from recipes.kpnet.filmed import BONES, NUMBERS, SIZE, Box, Film

NEEDLES = Film("A36O", 2, (Box("needle", 6, (10, 10)), Box("needle", 9, (40, 10)), Box("needle_holder", 4, (60, 30))))
LONE = Film("A36O", 2, (Box("needle", 9, (40, 10)),))


def seen(root: Path) -> Annotated:
    (only,) = annotated(DataSettings(root), "A36O")
    return only


def draw(root: Path, name: str, box: Box) -> None:
    folder = root / "train" / "masks"
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / f"A36O_frame_0_{name}_mask.png", 255 * box.mask(0).astype(np.uint8))


def test_the_second_needle_has_its_own_mask(tmp_path: Path) -> None:
    """The first by its track id has the plain name, the second ``needle1``."""
    NEEDLES.write(tmp_path, [0], {"needle": "needle", "needle_holder": "needleholder"})
    prompts = seen(tmp_path).prompts(SIZE)
    assert set(prompts) == {(6, 6), (6, 9), (5, 0)}
    for key, box in zip([(6, 6), (6, 9), (5, 0)], NEEDLES.boxes, strict=True):
        assert (prompts[key].mask == box.mask(0)).all()


def test_one_needle_alone(tmp_path: Path) -> None:
    """Whatever its id, and whichever name its mask has."""
    for name in ("needle", "needle1"):
        root = tmp_path / name
        LONE.write(root, [0])
        draw(root, name, LONE.boxes[0])
        prompts = seen(root).prompts(SIZE)
        assert set(prompts) == {(6, 9)} and (prompts[6, 9].mask == LONE.boxes[0].mask(0)).all()


def test_one_of_two_needles_has_a_mask(tmp_path: Path) -> None:
    NEEDLES.write(tmp_path, [0])
    draw(tmp_path, "needle1", NEEDLES.boxes[1])
    prompts = seen(tmp_path).prompts(SIZE)
    assert prompts[6, 6].mask is None and (prompts[6, 9].mask == NEEDLES.boxes[1].mask(0)).all()
    assert np.allclose(prompts[6, 6].inside, NEEDLES.boxes[0].points(0), atol=0.01)
    assert len(prompts[6, 6].outside) == 3 + 3, "the points of the other needle and of the holder"


def test_an_empty_mask_says_nothing(tmp_path: Path) -> None:
    LONE.write(tmp_path, [0])
    write_image(tmp_path / "train" / "masks" / "A36O_frame_0_needle_mask.png", np.zeros(SIZE, np.uint8))
    assert len(seen(tmp_path).prompts(SIZE)[6, 9].inside) == 3


def test_masks_without_a_label_file(tmp_path: Path) -> None:
    draw(tmp_path, "scissors", Box("scissors", 2, (10, 10)))
    frame = seen(tmp_path)
    assert frame.number == 0 and set(frame.prompts(SIZE)) == {(NUMBERS["scissors"], 0)}
    assert [path.name for path in frame.files] == ["A36O_frame_0_scissors_mask.png"]


def test_a_covered_object_is_there_and_not_clicked_on(tmp_path: Path) -> None:
    NEEDLES.write(tmp_path, [0], hidden=["needle_holder"])
    frame = seen(tmp_path)
    assert (5, 0) in frame.objects and (5, 0) not in frame.prompts(SIZE)
    assert len(frame.prompts(SIZE)[6, 6].outside) == 3, "a hidden point is no place to click beside"


def test_both_sets_count(tmp_path: Path) -> None:
    LONE.write(tmp_path, [1])
    LONE.write(tmp_path, [0], part="val")
    assert [one.number for one in annotated(DataSettings(tmp_path), "A36O")] == [0, 1]
    with pytest.raises(InputError, match="no labelled frame of the video 'B'"):
        annotated(DataSettings(tmp_path), "B")


def test_a_wrong_label_is_named(tmp_path: Path) -> None:
    LONE.write(tmp_path, [0])
    path = tmp_path / "train" / "mot" / "A36O_frame_0.txt"
    path.write_text(path.read_text().replace(f"{BONES.groups['needle'].id},-1", "77,-1", 1))
    with pytest.raises(InputError, match="77") as caught:
        annotated(DataSettings(tmp_path), "A36O")
    assert caught.value.path == str(path) and caught.value.row == 1
