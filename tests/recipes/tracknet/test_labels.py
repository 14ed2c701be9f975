"""Clips and their split by game."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.recipes.tracknet.config import DataSettings, SplitSettings
from kaname.recipes.tracknet.labels import is_present, sets
from recipes.tracknet.clips import flight, write_clip


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten games of one clip of one frame."""
    folder = tmp_path_factory.mktemp("games")
    for game in range(1, 11):
        write_clip(folder / f"game{game}" / "Clip1", flight(1, game))
    return folder


def some(games: Path, folder: Path, names: Sequence[str | int]) -> Path:
    """A data set of some of the games, under other names where a pair is given."""
    folder.mkdir()
    for name in names:
        (folder / str(name if isinstance(name, str) else f"game{name}")).symlink_to(games / "game1")
    return folder


def split(root: Path, **given: Any) -> dict[str, list[str]]:
    found = sets(DataSettings(root=root, split=SplitSettings(**given)))
    return {name: [clip.source.split("/")[0].removeprefix("game") for clip in clips] for name, clips in found.items()}


def test_the_published_split(games: Path) -> None:
    assert split(games) == {"train": list("123456"), "val": ["7"], "test": ["8", "9", "10"]}
    assert split(games, val_games=(3,)) == {"train": list("124567"), "val": ["3"], "test": ["8", "9", "10"]}
    assert split(games, val_games=(8,)) == {"train": list("1234567"), "val": ["8"], "test": ["9", "10"]}
    assert split(games, train_games=(1, 2, 9)) == {"train": ["1", "2"], "val": ["9"], "test": ["8", "10"]}


@pytest.mark.parametrize(
    ("names", "train", "val", "test"),
    [([1], "1", "", ""), ([1, 2], "1", "2", ""), ([1, 2, 3], "1", "2", "3"), ([1, 2, 3, 4], "12", "3", "4")],
)
def test_fewer_games(games: Path, tmp_path: Path, names: list[int], train: str, val: str, test: str) -> None:
    root = some(games, tmp_path / "data", names)
    assert split(root) == {"train": list(train), "val": list(val), "test": list(test)}


def test_lists(games: Path, tmp_path: Path) -> None:
    root = some(games, tmp_path / "data", [1, 2, 3, 4])
    assert split(root, train_games=(1, "game2")) == {"train": ["1"], "val": ["2"], "test": ["3", "4"]}
    assert split(root, train_games=(1, 2), val_games=(3,)) == {"train": ["1", "2"], "val": ["3"], "test": ["4"]}
    assert split(root, test_games=(1,)) == {"train": ["2", "3"], "val": ["4"], "test": ["1"]}
    assert split(root, test_games=()) == {"train": ["1", "2", "3"], "val": ["4"], "test": []}
    assert split(root, val_games=(4,)) == {"train": ["1", "2"], "val": ["4"], "test": ["3"]}
    assert split(root, val_games=()) == {"train": ["1", "2", "3"], "val": [], "test": ["4"]}
    assert split(root, train_games=(4,)) == {"train": ["4"], "val": [], "test": ["1", "2", "3"]}
    for given, words in (
        ({"train_games": (1,), "test_games": (1,)}, "'game1' is in train and in test"),
        ({"train_games": (9,)}, "no game 9; there are: game1, game2, game3, game4"),
        ({"train_games": ()}, "train has no game"),
        ({"test_games": (1, 2, 3, 4)}, "train has no game"),
    ):
        with pytest.raises(InputError, match=re.escape(words)) as caught:
            split(root, **given)
        assert caught.value.path == str(root)


def test_games_of_other_names(games: Path, tmp_path: Path) -> None:
    """A number means the game that ends in it, whatever stands before."""
    root = some(games, tmp_path / "data", ["final01", "match2", "match3"])
    assert split(root) == {"train": ["final01"], "val": ["match2"], "test": ["match3"]}
    assert split(root, test_games=(1,)) == {"train": ["match2"], "val": ["match3"], "test": ["final01"]}
    assert split(root, val_games=("match3",)) == {"train": ["final01"], "val": ["match3"], "test": ["match2"]}


def test_a_clip_as_arrays(tmp_path: Path) -> None:
    write_clip(tmp_path / "data" / "game1" / "Clip1", np.array([[10.5, 20.25], [0, 0], [30, 40]]),
               visibility=[1, 0, 3], status=[1, 0, 2])  # fmt: skip
    clip = sets(DataSettings(root=tmp_path / "data"))["train"][0]
    assert clip.source == "game1/Clip1" and clip.size == (64, 96)
    assert [path.name for path in clip.frames] == ["0000.png", "0001.png", "0002.png"]
    np.testing.assert_allclose(clip.xy, [[10.5, 20.25], [np.nan, np.nan], [30, 40]], atol=1e-6)
    assert clip.visibility.tolist() == [1, 0, 3] and clip.status.tolist() == [1, -1, 2]
    assert is_present(clip.visibility, occluded_absent=False).tolist() == [True, False, True]
    assert is_present(clip.visibility, occluded_absent=True).tolist() == [True, False, False]


def test_no_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the data set does not exist; check --data \(data\.root\)"):
        sets(DataSettings(root=tmp_path / "none"))
