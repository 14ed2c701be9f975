"""Annotated faces: everything that can be wrong with one, files of a split, and what is held out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from kaname.data import annotations
from kaname.data.annotations import groups_of, read_faces, seeded_holdout, split_beside, split_files
from kaname.data.formats.skeleton import swapped_pairs
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from recipes.landmark.drawn_faces import SIZE, SKELETON, add, points

PLACE = {name: number for number, name in enumerate(SKELETON.names)}


def read(folder: Path, names: list[str] | None = None) -> annotations.Faces:
    return read_faces(folder / "images", folder / "annotated", SKELETON, names)


def reasons(folder: Path) -> list[str]:
    found = read(folder).problems
    assert all(error.path and error.remedy for error in found)
    return [f"{Path(str(error.path)).name}: {error.reason}" for error in found]


def test_a_face(tmp_path: Path) -> None:
    """Points in continuous pixels, boxes by their corners, hidden and absent ones told apart."""
    xy, visible = points(), np.full(28, 2)
    visible[3], visible[4], xy[4] = 1, 0, np.nan
    add(tmp_path, "furry/a.png", points=xy, visible=visible, box=(1, 2, 30, 40))
    (face,) = read(tmp_path).sound()
    assert face.image == tmp_path / "images" / "furry" / "a.png" and face.name == "a.json"
    np.testing.assert_array_equal(face.points, xy + np.array([0.5, 0.5]))
    assert face.visible.tolist() == visible.tolist() and face.size == SIZE and face.skeleton == "anime-face-28"
    assert face.box is not None and face.box.tolist() == [1, 2, 31, 42]


def test_points_outside_the_image(tmp_path: Path) -> None:
    """The image ends half a pixel beyond the middle of its last pixel."""
    for name, place in (("a", (127.5, 95.5)), ("b", (128, 50)), ("c", (-0.5, -0.5)), ("d", (-0.75, 50))):
        xy = points()
        xy[PLACE["nose"]] = place
        add(tmp_path, f"{name}.png", points=xy)
    assert reasons(tmp_path) == [
        "b.json: nose (23) at (128, 50) lies outside the image of 128 x 96",
        "d.json: nose (23) at (-0.75, 50) lies outside the image of 128 x 96",
    ]
    assert [face.name for face in read(tmp_path).faces] == ["a.json", "c.json"]


def test_finished_without_all_points(tmp_path: Path) -> None:
    xy, visible = points(), np.full(28, 2)
    xy[PLACE["chin"]], visible[PLACE["chin"]] = np.nan, -1
    add(tmp_path, "a.png", points=xy, visible=visible)
    add(tmp_path, "b.png", points=xy, visible=visible, finished=False)
    assert reasons(tmp_path) == ["a.json: finished without all points: 1 not placed, the first is chin (2)"]
    found = read(tmp_path)
    assert found.faces == [] and found.unfinished == ["b.json"]
    with pytest.raises(InputError, match="finished without all points"):
        found.sound()


def test_nothing_finished(tmp_path: Path) -> None:
    add(tmp_path, "a.png", finished=False)
    with pytest.raises(InputError, match="no finished face \\(1 unfinished\\)"):
        read(tmp_path).sound()


@pytest.mark.parametrize("pair", SKELETON.mirrored)
def test_a_flip_pair_the_wrong_way_round(tmp_path: Path, pair: tuple[str, str]) -> None:
    xy = points()
    left, right = (PLACE[name] for name in pair)
    xy[[left, right]] = xy[[right, left]]
    assert swapped_pairs(xy, SKELETON) == [pair]
    add(tmp_path, "a.png", points=xy)
    (reason,) = reasons(tmp_path)
    assert reason == f"a.json: {pair[0]} lies to the right of {pair[1]}: a flip pair the wrong way round"


def test_real_faces_have_no_problem(shared_data: Path) -> None:
    folder = shared_data / "landmark" / "anime"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/landmark/anime")
    found = read_faces(folder / "images", folder / "annotated", SKELETON)
    assert found.problems == [] and found.unfinished == [] and len(found.faces) == 16


def test_without_images_and_without_a_skeleton(tmp_path: Path) -> None:
    add(tmp_path, "furry/a.png")
    (face,) = read_faces(None, tmp_path / "annotated", None).sound()
    assert face.image == Path("furry/a.png") and face.visible.sum() == 56


def test_the_files_of_a_split(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.json\nfurry__b.json\n\n")
    (tmp_path / "test.txt").write_text("c.json\r\n")
    assert split_files(tmp_path) == {"train": ["a.json", "furry__b.json"], "test": ["c.json"]}
    (tmp_path / "test.txt").write_text("c.json\na.json\n")
    with pytest.raises(InputError, match=r"'a.json' is also in train.txt") as caught:
        split_files(tmp_path)
    assert caught.value.row == 2 and caught.value.path == str(tmp_path / "test.txt")
    with pytest.raises(InputError, match=r"no train.txt, val.txt or test.txt"):
        split_files(tmp_path / "none")


def test_faces_that_came_after_the_split_are_told(tmp_path: Path) -> None:
    """Finished ones; what is unfinished or no annotation takes no part anyway."""
    for name in "abc":
        add(tmp_path, f"{name}.png")
    add(tmp_path, "d.png", finished=False, visible=np.full(28, -1), points=np.full((28, 2), np.nan))
    (tmp_path / "train.txt").write_text("a.json\nb.json\nc.json\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split_files(tmp_path, tmp_path / "annotated")
    (tmp_path / "train.txt").write_text("a.json\n")
    with pytest.warns(UserWarning, match=r"2 finished faces are in none of its lists.*first is b.json.*split again"):
        split_files(tmp_path, tmp_path / "annotated")


def test_a_split_beside_the_annotations(tmp_path: Path) -> None:
    assert split_beside(tmp_path / "annotated") is None
    (tmp_path / "datasets").mkdir()
    assert split_beside(tmp_path / "annotated") is None
    (tmp_path / "datasets" / "val.txt").write_text("a.json\n")
    assert split_beside(tmp_path / "annotated") == tmp_path / "datasets"


def test_some_files_of_a_folder(tmp_path: Path) -> None:
    for name in "abc":
        add(tmp_path, f"{name}.png")
    assert [face.name for face in read(tmp_path, ["c.json", "a.json"]).sound()] == ["a.json", "c.json"]
    with pytest.raises(InputError, match="the annotation is missing"):
        read(tmp_path, ["a.json", "x.json"]).sound()


def grouped(folder: Path, **options: bool) -> list[list[str]]:
    faces = read(folder).sound()
    groups = groups_of(faces, **options)
    return sorted([faces[number].name for number in group] for group in groups if len(group) > 1)


def test_what_belongs_together(tmp_path: Path) -> None:
    for number in range(6):
        add(tmp_path, f"image{number}.png")
    assert grouped(tmp_path) == []
    add(tmp_path, "image0.png", "image0.face2.json", box=(1, 1, 9, 9))
    add(tmp_path, "image0.png", "image0.json", box=(5, 5, 9, 9))
    copy = tmp_path / "images" / "copy.jpg"
    write_image(copy, read_image(tmp_path / "images" / "image1.png"))
    add(tmp_path, "copy.jpg")
    for number in range(3):
        add(tmp_path, f"work_p{number}.png")
    add(tmp_path, "x.png", other={"series": 7})
    add(tmp_path, "y.png", other={"series": "7"})
    one_image = ["image0.json", "image0.face2.json"]
    others = [["work_p0.json", "work_p1.json", "work_p2.json"], ["x.json", "y.json"]]
    assert grouped(tmp_path) == sorted([one_image, ["copy.json", "image1.json"], *others])
    assert grouped(tmp_path, compare=False) == sorted([one_image, *others])


def test_held_out_faces(tmp_path: Path) -> None:
    for number in range(20):
        add(tmp_path, f"image{number}.png")
    add(tmp_path, "image3.png", "image3.json", box=(1, 1, 9, 9))
    add(tmp_path, "image3.png", "image3.face2.json", box=(1, 1, 9, 9))
    faces = read(tmp_path).sound()
    train, held = seeded_holdout(faces, 0.2, seed=1)
    assert len(train) == 17 and len(held) == 4
    assert sorted(face.name for face in train + held) == sorted(face.name for face in faces)
    assert not {face.image for face in train} & {face.image for face in held}
    assert seeded_holdout(faces, 0.2, seed=1)[1] == held
    assert any([one.name for one in seeded_holdout(faces, 0.2, seed=seed)[1]] != [one.name for one in held]
               for seed in range(2, 5))  # fmt: skip
    with pytest.raises(InputError, match="cannot be divided"):
        seeded_holdout([face for face in faces if face.image.name == "image3.png"])
