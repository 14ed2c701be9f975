"""Pictures of images and videos in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.data.video import frames
from kaname.pipeline.album import Album
from kaname.types import Frame


def shown(album: Album, source: Path, number: int) -> None:
    picture = np.full((32, 48, 3), 20 * number, np.uint8)
    album.show(source, Frame(number, number / 10, picture), f"{source.stem}_{number:06d}", picture)


def test_each_video_is_whole_when_the_next_source_begins(tmp_path: Path) -> None:
    """One encoder is open at a time, however many videos there are."""
    folder = tmp_path / "pictures"
    with Album(folder) as album:
        assert not folder.exists()
        for number in range(3):
            shown(album, Path("a.mp4"), number)
        album.show(Path("b.png"), Frame(0, 0.0, np.zeros((9, 9, 3), np.uint8)), "b", np.zeros((9, 9, 3), np.uint8))
        assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "b.jpg"]
        shown(album, Path("c.mp4"), 0)
        assert not (folder / "c.mp4").exists()
    assert len(list(frames(folder / "c.mp4"))) == 1
    assert [frame.seconds for frame in frames(folder / "a.mp4")] == pytest.approx([0, 0.1, 0.2])


def test_a_video_that_is_not_finished_gets_no_name(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Album(tmp_path) as album:
        shown(album, Path("a.mp4"), 0)
        shown(album, Path("c.mp4"), 0)
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
