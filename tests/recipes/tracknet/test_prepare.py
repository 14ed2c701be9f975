"""``split``: whole games, or the clips of one, in a file that ``check`` and ``train`` read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.geometry.image import write_image
from kaname.recipes.tracknet.evaluate import data_settings
from kaname.recipes.tracknet.labels import sets
from kaname.yaml12 import parse_yaml
from recipes.tracknet.clips import call, flight, write_clip


def scenes(folder: Path, games: int, clips: int, frames: int = 4) -> Path:
    """Clips before grounds of their own, so that frames of two clips do not look alike."""
    for game in range(games):
        for clip in range(clips):
            place = folder / f"game{game + 1}" / f"Clip{clip + 1}"
            write_clip(place, flight(frames, 10 * game + clip))
            patches = np.random.default_rng(10 * game + clip).integers(0, 255, (8, 12, 3), dtype=np.uint8)
            for path in place.glob("*.png"):
                write_image(path, np.kron(patches, np.ones((8, 8, 1), np.uint8)))
    return folder


@pytest.mark.parametrize(
    ("games", "clips", "words", "kind"), [(4, 2, (), 0), (1, 4, (), 1), (2, 3, ("--group", "clip"), 1)]
)
def test_check_and_train_read_what_split_writes(
    tmp_path: Path, games: int, clips: int, words: tuple[str, ...], kind: int
) -> None:
    data, out = scenes(tmp_path / "games", games, clips), tmp_path / "split.yaml"
    answer = call("split", "--data", data, "--out", out, "--val", 0.25, *words).done()
    assert f"kaname tracknet train --data {out}" in answer.out
    chosen = sets(data_settings(str(out)))
    sources = {name: {clip.source for clip in own} for name, own in chosen.items()}
    assert len(sources["train"] | sources["val"]) == games * clips and not sources["train"] & sources["val"]
    assert sources["val"] and not sources["test"]
    played = [{source.split("/")[0] for source in sources[name]} for name in ("train", "val")]
    assert kind or not played[0] & played[1]
    assert "no problems" in call("check", "--data", out).done().out


def test_the_file_sets_nothing_but_the_games(tmp_path: Path) -> None:
    """It would win over the preset of a network; what the data's own file sets stays."""
    data, out = scenes(tmp_path / "games", 4, 1), tmp_path / "split.yaml"
    call("split", "--data", data, "--out", out).done()
    assert set(parse_yaml(out.read_text())) == {"root", "split"}
    text = call("train", "--data", out, "--backbone", "small", "--print-config").done().out
    assert parse_yaml(text)["data"]["sequence"] == {"length": 3, "stride": 2}
    own = tmp_path / "own.yaml"
    own.write_text(f"root: {data}\nabsent: negative\nsplit: {{train_games: [1]}}\n")
    call("split", "--data", own, "--out", tmp_path / "again.yaml").done()
    again = parse_yaml((tmp_path / "again.yaml").read_text())
    assert set(again) == {"root", "split", "absent"} and again["absent"] == "negative"
    assert again["split"] == parse_yaml(out.read_text())["split"]


def test_copied_clips_stay_together(tmp_path: Path) -> None:
    """Two of four games share a clip: they are on one side, and `check` finds no leak."""
    data, out = scenes(tmp_path / "games", 4, 1), tmp_path / "split.yaml"
    for path in (data / "game1" / "Clip1").iterdir():
        (data / "game3" / "Clip1" / path.name).write_bytes(path.read_bytes())
    for seed in range(3):
        call("split", "--data", data, "--out", out, "--val", 0.3, "--seed", seed).done()
        call("check", "--data", out).done()
        games = {name: {clip.game for clip in own} for name, own in sets(data_settings(str(out))).items()}
        assert all(len({"game1", "game3"} & own) in (0, 2) for own in games.values())


def test_refusals(tmp_path: Path) -> None:
    data = scenes(tmp_path / "games", 1, 1)
    call("split", "--data", data, "--out", tmp_path / "a").refused("names a YAML file")
    call("split", "--data", data, "--out", tmp_path / "a.yaml").refused("in 1 groups that stay together")
    assert not (tmp_path / "a.yaml").exists()
