"""Files of annotated faces: what they hold, how they are called, and everything that can be wrong with them."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.formats import full_disk
from kaname.data.formats import landmarks
from kaname.data.formats.landmarks import Annotation, file_name, read_annotation, write_annotation
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Sample

EARS = Skeleton.from_dict({"name": "ears", "groups": {"ears": {"points": ["left", "tip", "right"]}}})
FACE: dict[str, Any] = {
    "image": "a.png",
    "landmarks": [[1, 2], [3.5, 4], [5, 6]],
    "image_size": {"width": 30, "height": 20},
}


def save(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {key: value for key, value in {**FACE, **changes}.items() if value is not ...}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def picture(path: Path, size: tuple[int, int] = (20, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.zeros((*size, 3), np.uint8))
    return path


def test_the_three_documented_fields_are_a_whole_face(tmp_path: Path) -> None:
    found = read_annotation(save(tmp_path / "a.json"))
    assert found.image == "a.png" and found.size == (20, 30) and found.finished
    assert found.points.tolist() == [[1, 2], [3.5, 4], [5, 6]] and found.visible.tolist() == [2, 2, 2]
    assert found.box is None and found.skeleton is None


def test_every_field(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.json",
        landmarks=[[1, 2], [None, None], [None, None], [7, 8]],
        visible=[1, 0, None, 1], hidden=[3], bbox=[1, 2, 10, 12], skeleton="mine", finished=False, quality="B",
    )  # fmt: skip
    found = read_annotation(path)
    assert found.visible.tolist() == [2, 0, -1, 1] and found.box == (1, 2, 10, 12)
    assert (found.skeleton, found.finished, found.other) == ("mine", False, {"quality": "B"})
    assert np.isnan(found.points[1:3]).all()
    write_annotation(tmp_path / "b.json", found)
    assert json.loads((tmp_path / "b.json").read_text()) == json.loads(path.read_text())


def test_written_files_say_what_the_documentation_says(tmp_path: Path) -> None:
    visible = np.array([2, 1, 0, -1])
    points = np.array([[3.0, 4.0], [5.25, 6.0], [np.nan, np.nan], [np.nan, np.nan]])
    write_annotation(tmp_path / "a.json", Annotation("f/a.png", (20, 30), points, visible, None, "s", finished=False))
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "image": "f/a.png",
        "landmarks": [[3, 4], [5.25, 6], [None, None], [None, None]],
        "image_size": {"width": 30, "height": 20},
        "visible": [1, 1, 0, None],
        "hidden": [1],
        "skeleton": "s",
        "finished": False,
    }


@pytest.mark.parametrize(
    ("changes", "row", "words"),
    [
        ({"image": ...}, "image", "path of an image"),
        ({"image": "../a.png"}, "image", "leads out"),
        ({"image": "/etc/a.png"}, "image", "leads out"),
        ({"landmarks": {}}, "landmarks", "list"),
        ({"landmarks": [[1, 2], [3]]}, "landmark 1", r"must be \[x, y\]"),
        ({"landmarks": [[1, 2], [3, float("nan")]]}, "landmark 1", "finite"),
        ({"landmarks": [[1, 2], [3, None]]}, "landmark 1", "finite"),
        ({"image_size": {"width": 3}}, "image_size", "not a size"),
        ({"image_size": {"width": 3.5, "height": 2}}, "image_size", "not a size"),
        ({"image_size": None}, "image_size", "not a size"),
        ({"visible": [1, 1]}, "visible", "each of the 3"),
        ({"visible": [1, 1, 2]}, "visible", "0, 1 or null"),
        ({"visible": [1, 0, 1]}, "landmark 1", "has a place"),
        ({"landmarks": [[1, 2], [None, None], [5, 6]], "visible": [1, 1, 1]}, "landmark 1", "is null"),
        ({"hidden": [3]}, "hidden", "0 to 2"),
        ({"hidden": [True]}, "hidden", "0 to 2"),
        ({"landmarks": [[1, 2], [None, None], [5, 6]], "visible": [1, 0, 1], "hidden": [1]}, "hidden", "not placed"),
        ({"bbox": [1, 2, 0, 4]}, "bbox", "above 0"),
        ({"bbox": "1 2 3 4"}, "bbox", "must be"),
        ({"skeleton": 3}, "skeleton", "name"),
        ({"finished": 1}, "finished", "true or false"),
    ],
)
def test_a_field_that_is_wrong(tmp_path: Path, changes: dict[str, Any], row: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_annotation(save(tmp_path / "a.json", **changes))
    assert caught.value.row == row and caught.value.path == str(tmp_path / "a.json") and caught.value.remedy


def test_an_annotation_that_contradicts_itself_is_not_written(tmp_path: Path) -> None:
    face = Annotation("a.png", (20, 30), np.array([[np.nan, np.nan]]), np.array([2]))
    with pytest.raises(InputError, match="no place"):
        write_annotation(tmp_path / "a.json", face)
    with pytest.raises(InputError, match="no place"):
        write_annotation(tmp_path / "a.json", replace(face, points=np.array([[1.0, 2.0]]), visible=np.array([0])))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path) -> None:
    face = read_annotation(save(tmp_path / "a.json"))
    before = (tmp_path / "a.json").read_bytes()
    with full_disk(40), pytest.raises(InputError):
        write_annotation(tmp_path / "a.json", face)
    assert (tmp_path / "a.json").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_sidecars_are_never_annotations(tmp_path: Path) -> None:
    save(tmp_path / "a.json")
    (tmp_path / "a.png.json").write_text('{"source": "safebooru", "id": 3, "url": "u", "tags": ["x"]}')
    (tmp_path / ".hidden").mkdir()
    save(tmp_path / ".hidden" / "b.json")
    assert list(landmarks.read_folder(tmp_path)) == ["a.json"]
    with pytest.raises(InputError, match="where an image comes from"):
        read_annotation(tmp_path / "a.png.json")


def test_other_json_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"nme": 0.1}')
    (tmp_path / "cut.json").write_text('{"image": "a.png", "landm')
    reasons = [error.reason for error in landmarks.problems(tmp_path)]
    assert len(reasons) == 2 and any("not an annotation" in one for one in reasons)
    assert any("not JSON" in one for one in reasons)


@pytest.mark.parametrize(
    ("image", "images", "expected"),
    [
        ("a.png", ["a.png", "b.png"], "a.json"),
        ("furry/a.png", ["furry/a.png"], "a.json"),
        ("furry/a.png", ["a.png", "furry/a.png"], "furry__a.json"),
        ("a.png", ["a.png", "furry/a.png"], "a.json"),
        ("x/y/a.png", ["x/a.png", "x/y/a.png"], "x__y__a.json"),
        ("a.png", ["a.png", "a.jpg"], "a.png.json"),
        ("furry/a.jpg", ["furry/a.png", "furry/a.jpg", "a.png"], "furry__a.jpg.json"),
        ("A.png", ["a.png", "A.jpg", "A.png"], None),
        ("a.face2.png", ["a.png", "a.face2.png"], "a.face2.png.json"),
    ],
)
def test_names_of_files(image: str, images: list[str], expected: str | None) -> None:
    assert expected in (None, file_name(image, images))
    names = {file_name(one, images, face).casefold() for one in images for face in (1, 2)}
    assert len(names) == 2 * len(images), "every face has a file of its own, also on disks that ignore case"
    assert file_name(image, images, 3).endswith(".face3.json")


def test_names_of_any_images_are_distinct() -> None:
    random = np.random.default_rng(0)
    parts = ["a", "b", "a__b", "b.png", "a.face2"]
    for _ in range(200):
        images = set()
        for _ in range(int(random.integers(2, 12))):
            folders = "".join(f"{random.choice(parts)}/" for _ in range(int(random.integers(3))))
            images.add(f"{folders}{random.choice(parts)}.{random.choice(['png', 'jpg'])}")
        names = [file_name(one, images, face) for one in sorted(images) for face in (1, 2)]
        assert len(set(names)) == len(names), sorted(images)


def test_a_name_that_another_image_has_from_before() -> None:
    assert file_name("a.png", ["a.png"], taken=["a.json"]) == "a.png.json"
    assert file_name("cat/a.png", ["cat/a.png"], taken=["a.json", "cat__a.json"]) == "cat__a.png.json"


def test_samples_and_back(tmp_path: Path) -> None:
    """Points are the middles of their pixels; two faces are two rows; files come back to the byte."""
    picture(tmp_path / "images" / "furry" / "a.png")
    folder = tmp_path / "annotated"
    about = {"image": "furry/a.png", "skeleton": "ears"}
    save(folder / "a.json", **about, bbox=[1, 2, 3, 4], hidden=[1], note="x")
    save(folder / "a.face2.json", **about, bbox=[5, 6, 7, 8], landmarks=[[None, None], [2, 2], [None, None]],
         visible=[0, 1, None], finished=False)  # fmt: skip
    (sample,) = landmarks.read(folder, tmp_path / "images", skeleton=EARS)
    assert sample.image == tmp_path / "images" / "furry" / "a.png" and sample.size == (20, 30)
    assert sample.points["tip"].tolist() == [[4.0, 4.5], [2.5, 2.5]] and sample.visible["tip"].tolist() == [1, 2]
    assert sample.visible["right"].tolist() == [2, 0] and np.isnan(sample.points["right"][1]).all()
    assert sample.boxes.tolist() == [[1, 2, 4, 6], [5, 6, 12, 14]]
    landmarks.write(tmp_path / "back", [sample], skeleton=EARS, root=tmp_path / "images")
    for name in ("a.json", "a.face2.json"):
        before, after = (json.loads((place / name).read_text()) for place in (folder, tmp_path / "back"))
        assert after == {
            "visible": [1, 1, 1],
            **before,
            "hidden": before.get("hidden", []),
            "finished": name == "a.json",
        }


def test_points_without_names_have_numbers(tmp_path: Path) -> None:
    save(tmp_path / "a.json")
    (sample,) = landmarks.read(tmp_path)
    assert list(sample.points) == ["0", "1", "2"] and sample.image == Path("a.png")
    save(tmp_path / "b.json", image="b.png", landmarks=[[1, 1]])
    with pytest.raises(InputError, match="1 and 3 points"):
        landmarks.read(tmp_path)
    (tmp_path / "b.json").unlink()
    save(tmp_path / "a.json", skeleton="unknown")
    with pytest.raises(InputError, match="'unknown' is not known"):
        landmarks.read(tmp_path)


def wrong(tmp_path: Path, skeleton: Skeleton | None = None) -> list[str]:
    found = landmarks.problems(tmp_path / "annotated", tmp_path / "images", skeleton=skeleton)
    assert all(error.path and error.remedy for error in found)
    return [str(error).removeprefix(f"{tmp_path / 'annotated'}/") for error in found]


def test_problems_by_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / "images" / name)
    folder = tmp_path / "annotated"
    save(folder / "a.json")
    assert wrong(tmp_path) == []
    save(folder / "b.json", image="b.png", image_size={"width": 31, "height": 20})
    save(folder / "gone.json", image="sub/a.png")
    save(folder / "other.json")
    save(folder / "c.json", image="c.png", landmarks=[[1, 1]])
    save(folder / "c.face2.json", image="c.png", skeleton="anime-face-28")
    found = "\n".join(wrong(tmp_path, EARS))
    assert "b.json:image_size: annotated at 31 x 20, but 'b.png' has 30 x 20" in found
    assert "gone.json:image: the image 'sub/a.png' is missing; did you mean 'a.png'?" in found, (
        "another image of the name"
    )
    assert "other.json: a.json is of the same face of 'a.png'" in found
    assert "c.json:landmarks: 1 landmarks, but 'ears' has 3" in found
    assert "c.face2.json:skeleton: annotated with the skeleton 'anime-face-28', not 'ears'" in found
    assert found.count("2 faces of 'c.png', and this one has no bbox") == 2
    (tmp_path / "images" / "b.png").write_bytes(b"no image")
    assert any(line.startswith("b.json:image: its image 'b.png'") for line in wrong(tmp_path))


def test_only_some_files(tmp_path: Path) -> None:
    save(tmp_path / "a.json")
    save(tmp_path / "b.json", image="b.png")
    found = list(landmarks.walk(tmp_path, only=["b.json", "c.json"]))
    assert isinstance(found[0], InputError) and "missing" in found[0].reason and "c.json" in str(found[0].path)
    assert [one.name for one in found[1:] if isinstance(one, landmarks.Located)] == ["b.json"]


def test_images_with_accents_taken_apart(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "がく.png")
    save(tmp_path / "annotated" / "a.json", image=unicodedata.normalize("NFD", "がく.png"))
    assert wrong(tmp_path) == []


def test_images_with_the_separators_of_windows(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "cats" / "a.png")
    save(tmp_path / "annotated" / "a.json", image="cats\\a.png")
    assert wrong(tmp_path) == []
    (sample,) = landmarks.read(tmp_path / "annotated", tmp_path / "images")
    assert sample.image == tmp_path / "images" / "cats" / "a.png"
    save(tmp_path / "annotated" / "a.json", image="D:\\raw\\A.PNG")
    assert "did you mean 'cats/a.png'?" in wrong(tmp_path)[0]


@pytest.mark.parametrize("places", [[[0, 0], [0, 0], [25, 6]], [[20, 12], [0, 0], [25, 16]], [[0, 0]] * 3])
def test_places_that_tools_write_where_there_is_no_point(tmp_path: Path, places: list[list[int]]) -> None:
    picture(tmp_path / "images" / "a.png")
    save(tmp_path / "annotated" / "a.json", landmarks=places)
    (line,) = wrong(tmp_path)
    assert "a.json:landmarks" in line and "at (0, 0), which tools write where there is none" in line


def test_a_landmark_in_the_corner_of_its_image(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    save(tmp_path / "annotated" / "a.json", landmarks=[[0, 0], [25, 2], [4, 16]])
    assert wrong(tmp_path) == []


def test_folders_that_are_not_there_or_empty(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError) as caught:
            landmarks.read(path)
        assert caught.value.path == str(path)
    save(tmp_path / "a.json")
    with pytest.raises(InputError, match="folder of images does not exist"):
        landmarks.read(tmp_path, tmp_path / "none")


def test_what_cannot_be_written(tmp_path: Path) -> None:
    image, point = Path("a.png"), np.array([[1.5, 2.5]])
    known = {"size": (20, 30)}
    with pytest.raises(InputError, match="2 points 'x' and 1 faces"):
        landmarks.write(tmp_path, [Sample(image, {"x": np.array([[1.0, 2], [3, 4]])}, **known)])
    with pytest.raises(InputError, match="point 'tipp', which 'ears' lacks; did you mean tip"):
        landmarks.write(tmp_path, [Sample(image, {"tipp": point}, **known)], skeleton=EARS)
    with pytest.raises(InputError, match="two samples"):
        landmarks.write(tmp_path, [Sample(image, {"x": point}, **known)] * 2)
    assert not list(tmp_path.iterdir())


def test_links_in_a_circle(tmp_path: Path) -> None:
    picture(tmp_path / "sub" / "a.png")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    assert landmarks.images_below(tmp_path) == ["sub/a.png"]


def test_the_real_faces_come_back_to_the_byte(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "landmark" / "anime"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/landmark/anime")
    samples = landmarks.read(folder / "annotated", folder / "images")
    landmarks.write(tmp_path, samples, root=folder / "images")
    names = sorted(path.name for path in (folder / "annotated").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names and len(names) == 16
    for name in names:
        before = json.loads((folder / "annotated" / name).read_text())
        assert json.loads((tmp_path / name).read_text()) == {**before, "hidden": []}


def test_no_crash_on_any_bytes(tmp_path: Path) -> None:
    """Flipped, doubled and lost parts of a file give a face or a user's error."""
    picture(tmp_path / "images" / "a.png")
    path = save(tmp_path / "annotated" / "a.json", visible=[1, 1, 1], hidden=[0], bbox=[1, 2, 3, 4], skeleton="ears")
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        start, stop = sorted(random.integers(0, len(whole), 2).tolist())
        middle = [whole[start:stop] * 2, b"", bytes(random.integers(32, 127, 5).tolist()), b"NaN", b"-1e999", b"null"]
        path.write_bytes(whole[:start] + middle[int(random.integers(len(middle)))] + whole[stop:])
        with contextlib.suppress(InputError):
            landmarks.read(tmp_path / "annotated", tmp_path / "images", skeleton=EARS)
