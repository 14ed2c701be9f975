"""Sets of whole groups, without near copies between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.pipeline.split import SplitFlags, Unit, divide, place


def scene(seed: int) -> np.ndarray:
    """Large random patches, of which no two scenes look alike."""
    patches = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.kron(patches, np.ones((16, 16, 1), np.uint8))


def units(folder: Path, names: Sequence[str], seeds: Sequence[int] | None = None) -> list[Unit]:
    made = []
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, scene(number if seeds is None else seeds[number]))
        made.append(Unit(name, path))
    return made


def test_shares_are_met_and_counts_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = units(tmp_path, [f"{number}.png" for number in range(10)])
    found = divide(given, SplitFlags(val=0.3, test=0.1, seed=4))
    assert {name: len(own) for name, own in found.items()} == {"train": 6, "val": 3, "test": 1}
    assert sorted(number for own in found.values() for number in own) == list(range(10))
    assert capsys.readouterr().out == "10 images: train 6, val 3, test 1\n"
    assert divide(given, SplitFlags(val=0.3, test=0.1, seed=4)) == found
    assert divide(given, SplitFlags(val=0.3, test=0.1, seed=5)) != found


def test_near_copies_never_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Six scenes, each also brighter and as JPEG: no scene is in two sets, whatever the seed."""
    given = units(tmp_path, [f"{number}.png" for number in range(6)])
    for number in range(6):
        write_image(path := tmp_path / f"again{number}.jpg", np.clip(scene(number) * 1.05, 0, 255).astype(np.uint8))
        given.append(Unit(path.name, path))
    for seed in range(5):
        found = divide(given, SplitFlags(val=0.3, seed=seed))
        sides = [{number % 6 for number in own} for own in found.values()]
        assert all(sides) and not sides[0] & sides[1]
    assert "kept together: 12 images in 6 groups, 6 of them by near copies" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("folder", ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "c/1.png"]),
        ("prefix", ["a_1.png", "a_2.png", "b_1.png", "b_2.png", "c_1.png"]),
        ("x([a-c])", ["1xa.png", "2xa.png", "1xb.png", "2xb.png", "1xc.png"]),
    ],
)
def test_groups_stay_whole(tmp_path: Path, group: str, names: list[str]) -> None:
    given = units(tmp_path, names)
    found = divide(given, SplitFlags(val=0.4, group=group))
    letters = [{next(sign for sign in names[number] if sign in "abc") for number in own} for own in found.values()]
    assert letters[0] | letters[1] == set("abc") and not letters[0] & letters[1]


def test_a_set_is_never_empty_where_there_are_groups_for_it(tmp_path: Path) -> None:
    """Two large groups and a share that neither fits."""
    given = units(tmp_path, ["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png"])
    for seed in range(4):
        assert [len(own) for own in divide(given, SplitFlags(val=0.1, seed=seed, group="folder")).values()] == [3, 2]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (SplitFlags(val=1.5), "--val is a share"),
        (SplitFlags(val=0), "--val 0"),
        (SplitFlags(val=0.6, test=0.4), "nothing to train on"),
        (SplitFlags(group="("), "neither folder nor prefix nor a regular expression"),
        (SplitFlags(group="q(.)"), "is not in the name 'a/1.png'"),
        (SplitFlags(group="folder"), "3 images in 1 groups that stay together cannot become 2 sets; label others"),
    ],
)
def test_refusals(tmp_path: Path, flags: SplitFlags, words: str) -> None:
    given = units(tmp_path, ["a/1.png", "a/2.png", "a/3.png"])
    with pytest.raises(InputError) as refused:
        divide(given, flags)
    assert words in str(refused.value)


def test_a_file_is_placed_without_its_bytes_again(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    place(tmp_path / "a.txt", tmp_path / "set" / "b.txt")
    assert (tmp_path / "set" / "b.txt").read_text() == "a"
    assert (tmp_path / "set" / "b.txt").samefile(tmp_path / "a.txt")
