"""Frames of a video from its file or from images: neighbours, messages that say where, nothing stale, processes."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from kaname.data.cache import ArrayCache
from kaname.data.flow import FlowSettings, PairSource
from kaname.data.frame_source import OPEN, FrameSource
from kaname.data.video import VideoWriter, frames
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.geometry.view import View


def picture(value: int) -> np.ndarray:
    random = np.random.default_rng(value).integers(0, 60, (32, 48, 3), dtype=np.uint8)
    return (random + value).astype(np.uint8)


def video(path: Path, count: int = 6, first: int = 0) -> Path:
    with VideoWriter(path) as writer:
        for number in range(count):
            writer.write(picture((20 * number + first) % 190), number / 25)
    return path


def images(folder: Path, *numbers: int) -> dict[int, Path]:
    for number in numbers:
        write_image(folder / f"V_frame_{number}.png", picture(number))
    return {number: folder / f"V_frame_{number}.png" for number in numbers}


def test_from_the_video_where_there_is_one(tmp_path: Path) -> None:
    path = video(tmp_path / "V.mp4")
    source = FrameSource("V", video=path, images=images(tmp_path, 3))
    whole = list(frames(path))
    assert source.count == 6 and source.has(5) and not source.has(6)
    for number in (3, 2, 5):
        assert np.array_equal(source.read(number), whole[number].image)
    with pytest.raises(InputError, match="the video has 6 frames, no frame 6"):
        source.read(6)
    assert source.identity(2) == source.identity(3)
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.read(4), whole[4].image)


def test_from_images(tmp_path: Path) -> None:
    source = FrameSource("V", images=images(tmp_path, 28, 29))
    assert source.count is None and source.has(28) and not source.has(30)
    assert np.array_equal(source.read(29), picture(29)) and source.identity(28) != source.identity(29)


def test_what_is_missing_is_said_with_where(tmp_path: Path) -> None:
    """The first line names both places and the way to do without."""
    source = FrameSource("V", video=tmp_path / "movie" / "V.mp4", images=images(tmp_path, 29))
    with pytest.raises(InputError) as caught:
        source.read(28)
    text = str(caught.value)
    assert f"no video {tmp_path / 'movie' / 'V.mp4'}" in text and text.startswith(f"{tmp_path}: frame 28 of V")
    assert "--missing-flow zero" in text and "--video-root" in text and "\n" not in text
    with pytest.raises(InputError, match="no video is known"):
        FrameSource("V").read(0)


def test_pairs_of_both_kinds_and_nothing_stale(tmp_path: Path) -> None:
    """A changed image or video is another entry; an unchanged one is read from the cache."""
    cache = ArrayCache(tmp_path / "cache", budget=10**8)
    view = View("stretch", (32, 48))

    def pairs(source: FrameSource) -> PairSource:
        return PairSource(source.read, source.identity, view, FlowSettings(), cache=cache, count=source.count)

    of_images = FrameSource("V", images=images(tmp_path, 28, 29))
    first = pairs(of_images).pair(29)
    assert np.array_equal(first.other, picture(28)) and pairs(of_images).has(29)
    write_image(tmp_path / "V_frame_28.png", picture(100))
    assert not pairs(of_images).has(29) and np.array_equal(pairs(of_images).pair(29).other, picture(100))
    path = video(tmp_path / "V.mp4")
    of_video = FrameSource("V", video=path)
    before = pairs(of_video).pair(0)
    assert before.turned and pairs(of_video).has(0)
    video(path, first=7)
    assert not pairs(of_video).has(0)
    assert not np.array_equal(pairs(of_video).pair(0).image, before.image)


def test_forked_processes_do_not_share_an_open_video(tmp_path: Path) -> None:
    """Each reads what it asks for, though the parent had the file open before."""
    path = video(tmp_path / "V.mp4", count=40)
    source = FrameSource("V", video=path)
    whole = [frame.image for frame in frames(path)]
    for number in range(OPEN):  # so that a process that reads one more closes one
        FrameSource("W", video=video(tmp_path / f"{number}.mp4")).read(3)
    source.read(20)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        order = np.random.default_rng(0).permutation(40).tolist()
        for number, found in zip(order, pool.map_async(source.read, order).get(60), strict=True):
            assert np.array_equal(found, whole[number])
    assert np.array_equal(source.read(21), whole[21])
