"""``check`` and ``split``: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import calling
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.landmark.prepare import check, split
from recipes.landmark.drawn_faces import add, points


def parts(folder: Path) -> dict[str, list[str]]:
    return {part: (folder / f"{part}.txt").read_text().splitlines() for part in ("train", "val", "test")}


def test_check_says_what_the_set_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xy, visible = points(), np.full(28, 2)
    visible[[3, 5]], visible[4], xy[4] = 1, 0, np.nan
    add(tmp_path, "a.png", points=xy, visible=visible, box=(1, 2, 30, 40))
    add(tmp_path, "sub/b.png")
    add(tmp_path, "c.png", finished=False)
    for name in ("a.png", "sub/b.png"):
        content = {"source": "s", "id": 4, "url": "u", "tags": "solo fox_ears" if name == "a.png" else ["solo"]}
        (tmp_path / "images" / f"{name}.json").write_text(json.dumps(content))
    write_image(tmp_path / "images" / "sub" / "copy.jpg", read_image(tmp_path / "images" / "sub" / "b.png"))
    add(tmp_path, "sub/copy.jpg")
    check(image_dir=tmp_path / "images", annotation_dir=tmp_path / "annotated")
    text = capsys.readouterr().out
    assert "3 finished faces of 3 images, 1 unfinished (left out); 1 of 4 images without a finished face" in text
    assert "images: 128 x 96 (3)" in text
    assert "points: 84, hidden 2 (2.4 %), absent 1 (1.2 %)" in text and "boxes: 1 of 3 faces have one" in text
    assert "tags of 2 images with a sidecar: solo 2, fox_ears 1" in text
    assert "near duplicates: 1 pairs" in text and "sub/b.png and" in text
    assert "3 images against 100 / 500 / 2,000" in text and "under the minimum, 97 more to the minimum" in text
    assert text.endswith("no problems\n")


def test_check_reports_every_problem_and_still_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xy = points()
    xy[[11, 19]] = xy[[19, 11]]
    xy[23] = (500, 1)
    add(tmp_path, "a.png", points=xy)
    add(tmp_path, "b.png")
    add(tmp_path, "gone.png")
    (tmp_path / "images" / "gone.png").unlink()
    (tmp_path / "annotated" / "cut.json").write_text('{"image": ')
    (tmp_path / "images" / "b.png.json").write_text("{cut")
    with pytest.raises(SystemExit) as caught:
        check(image_dir=tmp_path / "images", annotation_dir=tmp_path / "annotated")
    assert caught.value.code == 2
    out, errors = capsys.readouterr()
    lines = errors.splitlines()
    assert len(lines) == 5 and all(line.startswith("error: ") for line in lines)
    for words in (
        "nose (23) at (500, 1) lies outside",
        "wrong way round",
        "'gone.png' is missing",
        "cut.json:1",
        "b.png.json",
    ):
        assert sum(words in line for line in lines) == 1, words
    assert "1 finished faces of 1 images" in out and "no problems" not in out


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (100, "the minimum is reached, 400 more"),
        (600, "the recommended size is reached, 1,400"),
        (2000, "the ideal is"),
    ],
)
def test_where_a_set_stands(count: int, words: str) -> None:
    from kaname.recipes.landmark.prepare import _standing

    assert words in _standing(count)


def test_check_without_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check(image_dir=tmp_path / "images", annotation_dir=tmp_path / "none")
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "sizes"), [(10, (7, 2, 1)), (90, (63, 18, 9)), (23, (16, 4, 3))])
def test_split_counts_are_floors(tmp_path: Path, count: int, sizes: tuple[int, ...]) -> None:
    """Of the shares as written: 0.7 of 90 is 63."""
    for number in range(count):
        add(tmp_path, f"image{number}.png", shade=9)
    split(annotation_dir=tmp_path / "annotated", output_dir=tmp_path / "out")
    found = parts(tmp_path / "out")
    assert tuple(map(len, found.values())) == sizes
    names = [name for part in found.values() for name in part]
    assert sorted(names) == sorted(path.name for path in (tmp_path / "annotated").iterdir())


def test_split_is_seeded(tmp_path: Path) -> None:
    for number in range(30):
        add(tmp_path, f"image{number}.png")
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        split(
            annotation_dir=tmp_path / "annotated", image_dir=tmp_path / "images", output_dir=tmp_path / name, seed=seed
        )
        found.append(parts(tmp_path / name))
    assert found[0] == found[1] != found[2]


def test_what_belongs_together_stays_on_one_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies of five images, ten each: no image is on two sides, and the difference from the shares is said."""
    for number in range(5):
        add(tmp_path, f"image{number}.png")
        pixels = read_image(tmp_path / "images" / f"image{number}.png").astype(np.int16)
        for copy in range(9):
            write_image(
                tmp_path / "images" / f"copy{number}{copy}.jpg", np.clip(pixels + copy, 0, 255).astype(np.uint8)
            )
            add(tmp_path, f"copy{number}{copy}.jpg")
    out = {"annotation_dir": tmp_path / "annotated", "output_dir": tmp_path / "out", "image_dir": tmp_path / "images"}
    split(**out, train_ratio=0.5, val_ratio=0.25, test_ratio=0.25)
    text = capsys.readouterr().out
    sides = [
        {name[4:-5][:1] if name.startswith("copy") else name[5:-5] for name in one}
        for one in parts(tmp_path / "out").values()
    ]
    assert sum(map(len, sides)) == 5 and set.union(*sides) == set("01234")
    assert "kept together: 50 faces in 5 groups" in text
    assert "the shares would be train 25, val 12, test 13; they differ" in text


def test_split_without_images_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                      monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    for number in range(10):
        add(tmp_path, f"image{number}.png")
    add(tmp_path, "half.png", finished=False)
    monkeypatch.chdir(tmp_path)
    split(annotation_dir=Path("annotated"))
    text = capsys.readouterr().out
    assert "near duplicates were not looked for: no images in data/raw; give --image-dir" in text
    assert "left out: 1 unfinished faces" in text and "10 faces in data/datasets: train 7, val 2, test 1" in text
    (tmp_path / "data" / "raw").parent.mkdir(exist_ok=True)
    (tmp_path / "images").rename(tmp_path / "data" / "raw")
    split(annotation_dir=Path("annotated"))
    assert "not looked for" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ((0.7, 0.2, 0.2), r"0.7 \+ 0.2 \+ 0.2 sum to 1.1, not 1; make the last one 0.1"),
        ((0.7, 0.2, 0.0999), "sum to 0.9999"),
        ((1.2, -0.3, 0.1), "a ratio lies in 0..1"),
        ((float("nan"), 0.5, 0.5), "a ratio lies in 0..1"),
        ((0.8, 0.2, 0.0), "test would be empty; give --test-ratio a share"),
        ((0.9, 0.05, 0.05), "val would be empty: 12 faces; annotate at least 20 faces"),
    ],
)
def test_ratios_that_do_not_do(tmp_path: Path, ratios: tuple[float, float, float], words: str) -> None:
    for number in range(12):
        add(tmp_path, f"image{number}.png", shade=3)
    train, val, test = ratios
    with pytest.raises(InputError, match=words):
        split(annotation_dir=tmp_path / "annotated", output_dir=tmp_path / "out", train_ratio=train, val_ratio=val,
              test_ratio=test)  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_ratios_that_sum_to_one_but_for_rounding(tmp_path: Path) -> None:
    for number in range(9):
        add(tmp_path, f"image{number}.png", shade=3)
    third = 1 / 3
    split(annotation_dir=tmp_path / "annotated", output_dir=tmp_path / "out", train_ratio=third, val_ratio=third,
          test_ratio=third)  # fmt: skip
    assert sum(map(len, parts(tmp_path / "out").values())) == 9


def test_one_group_cannot_be_split(tmp_path: Path) -> None:
    for number in range(12):
        add(tmp_path, f"work_p{number}.png")
    with pytest.raises(InputError, match="would be empty: 12 faces in 1 groups that stay together"):
        split(annotation_dir=tmp_path / "annotated", output_dir=tmp_path / "out", image_dir=tmp_path / "images")


def test_split_of_a_set_with_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(10):
        add(tmp_path, f"image{number}.png")
    (tmp_path / "annotated" / "cut.json").write_text("{")
    with pytest.raises(SystemExit):
        split(annotation_dir=tmp_path / "annotated", output_dir=tmp_path / "out")
    assert "cut.json" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_split_by_group_and_by_the_names_that_all_recipes_have(tmp_path: Path) -> None:
    """Three artists' folders stay whole, though nothing in their images is alike."""
    for number in range(12):
        add(tmp_path, f"artist{number % 3}/image{number}.png")
    words = ("--annotation-dir", tmp_path / "annotated", "--image-dir", tmp_path / "images", "--out", tmp_path / "out")
    shares = ("--val", 0.3, "--test", 0.3, "--group", "folder")
    answer = calling.call("landmark", "split", *words, *shares).done()
    assert f"--split-dir {tmp_path / 'out'}" in answer.out and "--group" in answer.out
    sides = [{int("".join(filter(str.isdigit, name))) % 3 for name in own} for own in parts(tmp_path / "out").values()]
    assert [len(side) for side in sides] == [1, 1, 1] and len(set.union(*sides)) == 3
