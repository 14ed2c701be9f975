"""Frame by frame through a video: windows, stages that overlap, pictures that are fitted on arrival."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from inference.test_model import decode, spot
from kaname.errors import InputError
from kaname.geometry.view import View
from kaname.inference.model import Model
from kaname.inference.request import Arrays, Request
from kaname.models.preprocess import Preprocess
from kaname.types import Frame, Points, Tracks


@pytest.fixture
def window() -> Model:
    """Of three frames: its maps are their red channels, so a frame's answer is its own only if order is kept."""

    def runner(inputs: Arrays) -> Arrays:
        reds = [part[..., :1] for part in np.split(inputs["images"], 3, axis=3)]
        return {"heatmaps": np.concatenate(reds, axis=3).transpose(0, 3, 1, 2).astype(np.float32) / 255}

    def brightness(outputs: Arrays, request: Request) -> list[Points]:
        (maps,) = outputs["heatmaps"]
        assert len(maps) == len(request.frames) == 3
        return [Points({"a": np.array([[float(one.max()), 0.0]])}, {"a": np.ones(1)}, request.size) for one in maps]

    return Model({"input_size": [8, 8], "frames": 3}, runner, brightness)


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 11])
def test_windows_answer_every_frame_once(window: Model, count: int) -> None:
    """The last window shares frames with the one before."""
    images = [np.full((8, 8, 3), 10 * number, np.uint8) for number in range(count)]
    tracks = window.predict(images)
    assert isinstance(tracks, Tracks) and list(tracks.frames) == list(range(count))
    assert [round(float(points.xy["a"][0, 0]) * 25.5) for points in tracks.points] == list(range(count))


@pytest.mark.parametrize("count", [1, 2])
def test_a_video_shorter_than_a_window_has_its_answers(window: Model, count: int) -> None:
    images = [np.full((8, 8, 3), 10 * number, np.uint8) for number in range(count)]
    with pytest.warns(UserWarning, match=f"{count} frames are fewer than the 3 .* the first stands for those before"):
        tracks = window.predict(images)
    assert isinstance(tracks, Tracks) and list(tracks.frames) == list(range(count))
    assert [round(float(points.xy["a"][0, 0]) * 25.5) for points in tracks.points] == list(range(count))


def test_a_stream_reads_no_further_than_its_window(window: Model) -> None:
    """And keeps no pixels of what it has answered."""
    read = 0

    def source() -> Iterator[Frame]:
        nonlocal read
        for number in range(20):
            read += 1
            yield Frame(number, number / 25, np.zeros((8, 8, 3), np.uint8))

    for number, (frame, _) in enumerate(window.stream(source())):
        assert frame.index == number and read <= number + 3
        assert frame.image.size == 0 and frame.image.base is None
    assert number == 19


def test_a_camera_gives_plain_pictures(window: Model) -> None:
    """Of any kind that ``predict`` takes, without an end; frames carry a time of theirs."""
    taken = 0

    def camera() -> Iterator[object]:
        nonlocal taken
        while True:
            seen = np.full((8, 8, 3), 10 * (taken % 5), np.uint8)
            kinds = [seen[:, :, ::-1], PIL.Image.fromarray(seen), Frame(taken, 100.0 + taken, seen)]
            taken += 1
            yield kinds[taken % 3]

    answers = list(itertools.islice(window.stream(camera()), 9))
    assert taken == 9 and [frame.index for frame, _ in answers] == list(range(9))
    assert [round(float(points.xy["a"][0, 0]) * 25.5) for _, points in answers] == [number % 5 for number in range(9)]
    assert [frame.seconds for frame, _ in answers][:3] == [0.0, 101.0, 2 / 25]


@pytest.mark.parametrize("waiting", [1, 2])
@pytest.mark.parametrize("count", [3, 5, 7, 20])
def test_stages_that_overlap_answer_the_same(window: Model, waiting: int, count: int) -> None:
    """In order, with bounded reading ahead; the pixels stay where they are asked for."""
    read = 0

    def source() -> Iterator[Frame]:
        nonlocal read
        for number in range(count):
            read += 1
            yield Frame(number, number / 25, np.full((8, 8, 3), 10 * number, np.uint8))

    plain = list(window.stream(source()))
    parts: list[str] = []

    @contextlib.contextmanager
    def part(name: str) -> Iterator[None]:
        parts.append(name)
        yield

    read = 0
    for number, (frame, answer) in enumerate(window.stream(source(), waiting=waiting, pixels=True, part=part)):
        # windows of 3: one answered, some that wait, one in the network; then single frames
        assert read <= number + 3 * (waiting + 3) + 2 * (waiting + 2)
        assert frame.index == number and int(frame.image.max(initial=0)) == 10 * number
        assert answer.xy["a"].tolist() == plain[number][1].xy["a"].tolist()
    assert number == count - 1 and set(parts) == {"decode", "fit", "network", "answer"}


def test_an_error_of_the_source_comes_after_the_answers_before_it(window: Model) -> None:
    def source() -> Iterator[Frame]:
        for number in range(6):
            yield Frame(number, number / 25, np.zeros((8, 8, 3), np.uint8))
        raise InputError("the video is damaged after frame 5")

    answered, before = [], threading.active_count()
    with pytest.raises(InputError, match="after frame 5"):
        for frame, _ in window.stream(source(), waiting=2):
            answered.append(frame.index)
    assert answered == list(range(6)) and threading.active_count() == before


class Fitting:
    """A runner that takes images in the view, and notes what it was given."""

    takes_fitted = True

    def __init__(self) -> None:
        self.given: list[Arrays] = []

    def __call__(self, inputs: Arrays) -> Arrays:
        self.given.append(inputs)
        return {"heatmaps": inputs["fitted"][:, :1] / 255}


@pytest.mark.parametrize(
    ("view", "boxes"),
    [
        (View("letterbox", (12, 16)), None),
        (View("stretch", (12, 16), (14, 20)), None),
        (View("crop", (12, 16), factor=1.2), [[3, 4, 20.5, 30], [-5, -5, 9, 9]]),
    ],
    ids=["letterbox", "stretch", "crop"],
)
def test_images_are_fitted_before_they_reach_the_runner(view: View, boxes: list[list[float]] | None) -> None:
    """In floating point, once each, frames side by side; what the graph would make of them itself."""
    runner = Fitting()
    frames = 2
    card = {"view": view.to_dict(), "frames": frames, "step": 1}
    images = [np.random.default_rng(n).integers(0, 256, (40, 31, 3), np.uint8) for n in range(4)]
    Model(card, runner, lambda outputs, request: [None] * (request.wanted or frames)).predict(images, boxes)
    assert len(runner.given) == 3
    for first, given in enumerate(runner.given):
        assert list(given) == ["fitted"] and given["fitted"].dtype == np.float32
        both = np.concatenate(images[first : first + 2], axis=2)
        wanted = Preprocess(view)(
            torch.from_numpy(both[None]), None if boxes is None else torch.tensor(boxes, dtype=torch.float32)
        ).numpy()
        np.testing.assert_allclose(given["fitted"], wanted, atol=2e-3)
        assert np.abs(given["fitted"] - np.rint(given["fitted"])).max() > 0.1, "not rounded to whole grey levels"


def test_boxes_of_a_whole_image_are_left_to_the_graph() -> None:
    """A network with boxes of its own needs the size of the image."""
    asked: list[Arrays] = []

    class Taking(Fitting):
        def __call__(self, inputs: Arrays) -> Arrays:
            asked.append(inputs)
            return {"heatmaps": np.zeros((1, 1, 2, 2), np.float32)}

    inputs = {"images": {"shape": [None, None, 3], "dtype": "uint8"}, "boxes": {"shape": [4], "batch": "boxes"}}
    model = Model({"input_size": [8, 8], "inputs": inputs}, Taking(), lambda outputs, request: [None])
    model.predict(spot(20, 20, 4, 4), boxes=[[1, 1, 9, 9]])
    assert set(asked[0]) == {"images", "boxes"}


def test_windows_that_are_none(window: Model) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert window.predict([]).points == []  # type: ignore[union-attr]
    for source, part in (
        (image, "this is one image"),
        ([image, image, np.zeros((8, 9, 3), np.uint8)], "frame 2 has 9 x 8 pixels, the one before 8 x 8"),
        (np.zeros((4, 8, 8, 4), np.uint8), "got uint8"), (np.zeros((4, 8, 8, 3)), "got float64"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=part):
            window.predict(source)


@pytest.mark.parametrize("frames", [1, 3])
def test_memory_stays_flat_over_ten_thousand_frames(frames: int) -> None:
    """What is answered is written and let go: 10,000 frames of 147 kB are 1.5 GB."""
    maps = np.zeros((1, frames, 9, 16), np.float32)
    model = Model({"input_size": [144, 256], "frames": frames}, lambda inputs: {"heatmaps": maps}, decode)

    def source(count: int) -> Iterator[Frame]:
        for number in range(count):
            yield Frame(number, number / 25, np.full((144, 256, 3), number % 256, np.uint8))

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    if not Path("/proc/self/statm").exists():
        pytest.skip("reads the resident memory from /proc")
    kept = list(model.stream(source(500)))
    before = resident()
    kept += list(model.stream(source(10_000)))
    assert len(kept) == 10_500 and resident() - before < 50


@pytest.mark.parametrize(("frames", "step"), [(2, 1), (3, 1), (3, 2)])
def test_windows_that_move_on_by_fewer_frames_than_they_have(frames: int, step: int) -> None:
    """The first window is asked for all of its frames, each after it for the new ones; boxes may be found by frame."""
    asked: list[tuple[list[int], int | None, float]] = []

    def answer(outputs: Arrays, request: Request) -> list[Points]:
        assert request.boxes is not None
        numbers = [frame.index for frame in request.frames]
        asked.append((numbers, request.wanted, float(request.boxes[0, 0])))
        wanted = numbers[-(request.wanted or frames) :]
        return [Points({"a": np.array([[number, 0.0]])}, {"a": np.ones(1)}, request.size) for number in wanted]

    card = {"view": View("crop", (8, 8)).to_dict(), "frames": frames, "step": step}
    model = Model(card, lambda inputs: {"heatmaps": inputs["boxes"]}, answer)
    video = [Frame(number, 0.0, np.zeros((8, 8, 3), np.uint8)) for number in range(6)]
    found = list(model.stream(iter(video), lambda frame: [[frame.index, 0, 9, 9]]))
    assert [(frame.index, points.xy["a"][0, 0]) for frame, points in found] == [(n, n) for n in range(6)]
    assert asked[0] == (list(range(frames)), frames, frames - 1)
    assert all(wanted in (step, 1) and box == numbers[-1] for numbers, wanted, box in asked[1:])
    assert len(asked) == 1 + -(-(6 - frames) // step)
