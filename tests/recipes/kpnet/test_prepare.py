"""``flow``: the motion of a data set kept beforehand, video by video."""

from __future__ import annotations

from pathlib import Path

import pytest

from calling import call, snapshot
from recipes.kpnet import tiny

WORDS = ("--image-size", "64,96", "--resize-only")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.data(tmp_path_factory.mktemp("flow") / "data")


def test_two_processes_keep_what_one_does(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all videos; of one where that is asked for, and again nothing new."""
    kept: list[dict[str, bytes]] = []
    for processes in (1, 2):
        monkeypatch.setenv("KANAME_CACHE", str(tmp_path / str(processes)))
        said = call("kpnet", "flow", "--data-root", data, *WORDS, "--jobs", processes).done().out
        assert "train: flow of 4 frames kept, 0 without" in said and "val: flow of 12 frames kept, 0 without" in said
        kept.append({name: content for name, content in snapshot(tmp_path / str(processes)).items() if "flow" in name})
    assert kept[0].keys() == kept[1].keys() and len(kept[0]) >= 16
    said = call("kpnet", "flow", "--data-root", data, *WORDS, "--videos", "val01,val02").done().out
    assert "val: flow of 8 frames kept" in said and "train" not in said
    assert {name for name in snapshot(tmp_path / "2") if "flow" in name} == kept[1].keys()


def test_a_video_that_is_not_there(data: Path) -> None:
    words = ("kpnet", "flow", "--data-root", data, *WORDS)
    call(*words, "--videos", "val01,nobody").refused("no labelled frame of the video 'nobody'")
    call(*words, "--jobs", 0).refused("--jobs must be at least 1, got 0")
