"""Which frames of which videos, and what lies between them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kaname.data.seeking import VideoReader
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.kpnet.sources import Source, Stream, names_in, sources_in, videos_of
from recipes.kpnet import tiny


@pytest.fixture()
def source(made: Path) -> Source:
    """Every 6th of 24 frames as an image, and the video."""
    (found,) = videos_of(made / "data" / "val" / "frames", made / "data" / "movie", ["val01"])
    return found


def indices(stream: Stream, first: int = 0, **how: object) -> list[tuple[int, int | None]]:
    """Each frame that comes, and the one before it that comes with it."""
    with_before = stream.frames(first, **how)  # type: ignore[arg-type]
    return [(frame.index, None if before is None else before.index) for frame, before in with_before]


def test_what_is_asked_for(source: Source) -> None:
    """The frames with an image, from the video where what moves is needed; each N-th of the video; of images alone each
    N-th of these."""
    assert list(Stream(source, None, moving=False).numbers) == [0, 6, 12, 18]
    assert Stream(source, None, moving=False).inputs.keys() == {"frames"}
    moving = Stream(source, None, moving=True)
    assert list(moving.numbers) == [0, 6, 12, 18] and moving.inputs.keys() == {"video"} and moving.apart == 6
    assert list(Stream(source, 7, moving=False).numbers) == [0, 7, 14, 21]
    alone = Source(source.name, None, source.images)
    assert list(Stream(alone, 2, moving=True).numbers) == [0, 12] and Stream(alone, 2, moving=True).size == tiny.SIZE
    assert list(Stream(Source("v", source.video), None, moving=False).numbers) == list(range(tiny.LENGTH))
    assert [source.about(None), source.about(7), alone.about(2)] == [4, 4, 2]


def test_the_frame_before_comes_along(source: Source) -> None:
    """Whatever lies between; from the middle on the same; and each frame's pixels are those of its number."""
    stream = Stream(source, None, moving=True)
    assert indices(stream, between=False, delta=1) == [(0, None), (6, 5), (12, 11), (18, 17)]
    assert indices(stream, 12, between=False, delta=7) == [(12, 5), (18, 11)]
    assert indices(stream, 6, between=False) == [(6, None), (12, None), (18, None)]
    between = indices(stream, 6, between=True, delta=2)
    assert between[:2] == [(6, 4), (7, None)] and between[-1] == (18, 16) and len(between) == 13
    dense = Stream(Source("v", source.video), 3, moving=True)
    assert indices(dense, 3, between=False, delta=5)[:3] == [(3, None), (6, 1), (9, 4)]
    assert source.video is not None
    with VideoReader(source.video) as reader:
        for frame, before in stream.frames(0, between=True, delta=3):
            assert np.array_equal(frame.image, reader.read(frame.index).image)
            assert before is None or np.array_equal(before.image, reader.read(frame.index - 3).image)
    stream.close()


def test_images_that_are_not_of_the_video(source: Source, tmp_path: Path) -> None:
    path = source.images[18]
    shutil.copy(path, tmp_path / "val01_frame_24.png")
    with pytest.raises(InputError, match="frame 24 of a video of 24 frames"):
        Stream(Source("val01", source.video, {24: tmp_path / "val01_frame_24.png"}), None, moving=True)
    write_image(tmp_path / "val01_frame_6.png", read_image(path)[:32])
    with pytest.raises(InputError, match=r"96 x 32 pixels, but val01\.mp4 has 96 x 64"):
        Stream(Source("val01", source.video, {6: tmp_path / "val01_frame_6.png"}), None, moving=True)


def test_files_of_the_download_tool_are_no_videos(made: Path, tmp_path: Path) -> None:
    image = made / "data" / "val" / "frames" / "val00" / "val00_frame_0.png"
    for name in ("a_frame_3.png", "SYNAPSE_DATA_frame_1.png", "b_frame_1.png", "notes.png"):
        shutil.copy(image, tmp_path / name)
    assert [one.name for one in videos_of(tmp_path, tmp_path, None)] == ["a", "b"]
    with pytest.raises(InputError, match="--videos LIST"):
        videos_of(tmp_path / "none", tmp_path, None)


def test_names(tmp_path: Path) -> None:
    assert names_in("A36O, E66F.mp4,G.1") == ["A36O", "E66F", "G.1"]
    (tmp_path / "list").write_text("A\n\n  B.avi  # the second\n", encoding="utf-8")
    assert names_in(str(tmp_path / "list")) == ["A", "B"]
    for text, said in (("A,A.mp4", "twice"), (" , ", "no video in the list"), ("lost.txt", "no such list")):
        with pytest.raises(InputError, match=said):
            names_in(text)


def test_images_by_their_names(made: Path, tmp_path: Path) -> None:
    """Of a video by its name, else of their folder in the order of their numbers, hidden ones left out."""
    image = made / "data" / "val" / "frames" / "val00" / "val00_frame_0.png"
    for name in ("clip/10.png", "clip/9.png", "clip/.hidden.png", "deep/er/A_frame_7.png", "deep/A_frame_2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / name)
    videos, images = sources_in([tmp_path / "clip", tmp_path / "deep", tmp_path / "deep" / "A_frame_2.png"])
    assert not videos
    assert {one.name: {number: path.name for number, path in one.images.items()} for one in images} == {
        "clip": {0: "9.png", 1: "10.png"}, "A": {2: "A_frame_2.png", 7: "A_frame_7.png"},
    }  # fmt: skip


def test_videos_in_a_folder_of_images_are_named(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are not predicted, which is said; in a folder without images it is what to do."""
    shutil.copy(made / "data" / "movie" / "val00.mp4", tmp_path / "B.mp4")
    with pytest.raises(InputError, match=r"no image; name the videos themselves: .*B\.mp4"):
        sources_in([tmp_path])
    shutil.copy(made / "data" / "val" / "frames" / "val00" / "val00_frame_0.png", tmp_path / "a.png")
    _, (images,) = sources_in([tmp_path])
    assert len(images.images) == 1
    assert "videos beside images: B.mp4" in capsys.readouterr().out
