"""From a source to answers in its own pixels, with a fake network."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.test_video import write_video
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import write_image
from kaname.geometry.view import View
from kaname.inference.model import Model, open_runner
from kaname.inference.request import Arrays, Request
from kaname.models.preprocess import Preprocess
from kaname.types import Frame, Masks, Points, Tracks


def decode(outputs: Arrays, request: Request) -> list[Points]:
    """The brightest cell's top-left corner."""
    (maps,) = outputs["heatmaps"]
    y, x = np.unravel_index(int(maps[0].argmax()), maps[0].shape)
    found = request.back().points(np.array([[x, y]], dtype=float))
    return [Points({"a": found}, {"a": np.ones(1)}, request.size) for _ in request.frames]


@pytest.fixture
def model() -> Model:
    """Letterboxes to 8 x 8 and answers with the red channel."""

    def runner(inputs: Arrays) -> Arrays:
        assert set(inputs) == {"images"}
        images = inputs["images"]
        assert images.dtype == np.uint8 and images.ndim == 4
        fit = [Affine.letterbox(image.shape[:2], (8, 8)).image(image, (8, 8))[..., 0] / 255 for image in images]
        return {"heatmaps": np.stack(fit)[:, None].astype(np.float32)}

    return Model({"input_size": [8, 8]}, runner, decode)


def spot(height: int, width: int, x: int, y: int, side: int = 4) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + side, x : x + side, 0] = 255
    return image


def test_an_array(model: Model) -> None:
    found = model.predict(spot(32, 32, 8, 20))
    assert isinstance(found, Points) and found.size == (32, 32)
    assert found.xy["a"].tolist() == [[8.0, 20.0]]


def test_pictures_of_pillow(model: Model, tmp_path: Path) -> None:
    """Alone and in a list, turned as EXIF says, of any mode: as the file would be read."""
    image = Image.fromarray(spot(32, 64, 8, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    image.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        found = model.predict(turned)
        expected = model.predict(tmp_path / "turned.png")
        assert found.size == expected.size == (64, 32)
        np.testing.assert_array_equal(found.xy["a"], expected.xy["a"])
        assert [answer.size for answer in model.predict([turned, image, image.convert("RGBA")])] == [
            (64, 32), (32, 64), (32, 64),
        ]  # fmt: skip
    with pytest.raises(InputError, match="floating-point values"):
        model.predict(Image.fromarray(np.zeros((8, 8), np.float32)))


def test_a_model_prints_its_card_in_three_lines() -> None:
    card = {
        "recipe": "gauge", "backbone": {"kind": "small", "name": "8"}, "pretrained": None, "trained": {"epoch": 3},
        "input_size": [64, 96], "channels": ["start", "middle", "end"], "versions": {"kaname": "0.1.0"},
    }  # fmt: skip
    assert str(Model(card, lambda given: given, lambda outputs, request: [])).splitlines() == [
        "gauge: small:8, epoch 3, kaname 0.1.0",
        "in:  an RGB image of any size, seen at 96 x 64 (letterbox)",
        "out: heatmaps of start, middle, end",
    ]


def test_paths_lists_and_folders(model: Model, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", spot(32, 32, 8, 20))
    write_image(tmp_path / "b.png", spot(16, 32, 4, 8))
    (tmp_path / ".hidden").write_text("not looked at")
    for source in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert model.predict(source).xy["a"].tolist() == [[8.0, 20.0]]  # type: ignore[union-attr]
    several = model.predict([tmp_path / "a.png", spot(32, 32, 4, 4)])
    assert isinstance(several, list) and [points.xy["a"].tolist() for points in several] == [
        [[8.0, 20.0]],
        [[4.0, 4.0]],
    ]
    folder = model.predict(tmp_path)
    assert isinstance(folder, list) and [points.size for points in folder] == [(32, 32), (16, 32)]
    assert folder[1].xy["a"].tolist() == [[4.0, 8.0]]
    assert model.predict([]) == []


def test_boxes_answer_in_the_whole_image(model: Model) -> None:
    image = spot(64, 64, 40, 24)
    found = model.predict(image, boxes=[[32, 16, 64, 48], [31.5, 15.2, 63.1, 47.3]])
    assert isinstance(found, list) and [points.size for points in found] == [(64, 64)] * 2
    assert found[0].xy["a"].tolist() == [[40.0, 24.0]]
    assert np.allclose(found[1].xy["a"], [[40.0, 24.0]], atol=5)
    assert len(model.predict(image, boxes=np.array([0, 0, 64, 64]))) == 1  # type: ignore[arg-type]
    assert model.predict(image, boxes=np.zeros((0, 4))) == [] and model.predict(image, boxes=[]) == []


def test_a_video(model: Model, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [spot(64, 64, 16 * number, 24, 16) for number in range(3)], rate=10)
    found = model.predict(path)
    assert isinstance(found, Tracks) and list(found.frames) == [0, 1, 2] and len(found.points) == 3
    assert found.times == pytest.approx([0.0, 0.1, 0.2])
    assert [points.xy["a"][0, 0] for points in found.points] == [0.0, 16.0, 32.0]
    mixed = model.predict([path, spot(32, 32, 8, 20)])
    assert isinstance(mixed, list) and len(mixed) == 4
    assert len(list(model.stream(iter([])))) == 0


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (np.zeros((4, 4), np.uint8), r"got uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"got uint8 \(4, 4, 4\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"got uint8 \(1, 4, 4, 3\)"),
        (np.zeros((4, 4, 3)), r"got float64 \(4, 4, 3\)"),
        (np.zeros((4, 0, 3), np.uint8), "without pixels"),
        (None, "got NoneType"),
        (3, "got int"),
        (Path("/none.png"), "none.png"),
        (Path("/none.mp4"), "the video does not exist"),
        ([np.zeros((4, 4), np.uint8)], "got uint8"),
    ],
)
def test_sources_that_are_none(model: Model, source: Any, part: str) -> None:
    with pytest.raises(InputError, match=part):
        model.predict(source)


def test_folders_that_are_none(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no image"):
        model.predict(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="contains no image"):
        model.predict(tmp_path)
    (tmp_path / "a.png").write_text("x")
    with pytest.warns(UserWarning, match=r"notes\.txt"), pytest.raises(InputError, match=r"a\.png"):
        model.predict(tmp_path)
    (tmp_path / "a.mp4").write_text("x")
    for source in (tmp_path, tmp_path / "a.mp4", [spot(8, 8, 0, 0)]):
        with pytest.raises(InputError, match="boxes belong to one image"):
            model.predict(source, boxes=[[0, 0, 1, 1]])


def test_a_folder_with_other_files(model: Model, tmp_path: Path) -> None:
    """As the command line: images by their endings, the others named."""
    write_image(tmp_path / "b.png", spot(16, 32, 4, 8))
    write_image(tmp_path / "a.jpg", spot(32, 32, 8, 20))
    (tmp_path / "a.jpg").rename(tmp_path / "A.JPEG")
    for name in ("labels.json", "points.npy", "Thumbs.db", "clip.mp4"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "pictures").mkdir()
    with pytest.warns(UserWarning) as warned:
        found = model.predict(tmp_path)
    assert isinstance(found, list) and [points.size for points in found] == [(32, 32), (16, 32)]
    assert [str(one.message) for one in warned] == [
        f"left out of {tmp_path}, not images by their names: Thumbs.db, clip.mp4, labels.json, points.npy"
    ]
    assert warned[0].filename == __file__


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
        ([image] * 2, "2 frames are fewer than the 3"), (image, "this is one image"),
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


def test_a_runner_by_the_kind_of_file(tmp_path: Path, model: Model) -> None:
    opened: list[str] = []

    def load(path: Path, *, device: str) -> tuple[Any, dict[str, Any]]:
        opened.append(device)
        return model.runner, {"recipe": "jigsaw"}

    assert open_runner(tmp_path / "best.pt", "jigsaw", load, runtime="cuda:1")[1] == {"recipe": "jigsaw"}
    assert opened == ["cuda:1"]
    with pytest.raises(InputError, match="chooses its device itself"):
        open_runner(tmp_path / "best.onnx", "jigsaw", load, runtime="cuda")
    with pytest.raises(InputError, match="does not exist"):
        open_runner(tmp_path / "best.onnx", "jigsaw", load, runtime="cpu")
    assert opened == ["cuda:1"], "an export is never given to the loader of checkpoints"


# ---- networks that take boxes, and further inputs


@pytest.fixture
def cropper() -> Model:
    """Square crops of boxes of two frames: finds the brightest cell of the last frame in each."""
    view = View("crop", (16, 16), factor=2)

    def runner(inputs: Arrays) -> Arrays:
        (image,), boxes = inputs["images"], inputs["boxes"]
        assert boxes.dtype == np.float32 and image.shape[2] == 6 and len(boxes)
        seen = [view.into(image.shape[:2], box).image(np.ascontiguousarray(image[..., 3]), (16, 16)) for box in boxes]
        return {"heatmaps": np.stack(seen)[:, None].astype(np.float32)}

    def brightest(outputs: Arrays, request: Request) -> list[Points]:
        assert request.boxes is not None and len(outputs["heatmaps"]) == len(request.boxes)
        rows = []
        for (cells,), box in zip(outputs["heatmaps"], request.boxes, strict=True):
            y, x = np.unravel_index(int(cells.argmax()), cells.shape)
            rows.append(request.back(box).points([[x, y]])[0])
        answer = Points({"a": np.array(rows).reshape(-1, 2)}, {"a": np.ones(len(rows))}, request.size)
        return [answer] * len(request.frames)

    return Model({"view": view.to_dict(), "frames": 2}, runner, brightest)


def test_boxes_of_a_network_that_takes_them(cropper: Model) -> None:
    """They may leave the image, one answer has a row for each, and they hold for every frame of a video."""
    images = [spot(64, 64, 40, 24)] * 3
    assert cropper.takes_boxes and cropper.input_size == (16, 16)
    tracks = cropper.predict(images, boxes=[[36, 20, 52, 36], [30, -10, 70, 40.5]])
    assert isinstance(tracks, Tracks) and len(tracks.points) == 3
    assert all(np.abs(points.xy["a"] - (40, 24)).max() <= 6 for points in tracks.points)
    assert np.abs(tracks.points[0].xy["a"][0] - (40, 24)).max() <= 2
    whole = cropper.predict(images)
    assert isinstance(whole, Tracks) and whole.points[0].xy["a"].shape == (1, 2)
    none = cropper.predict(images, boxes=[])
    assert isinstance(none, Tracks) and none.points[2].xy["a"].shape == (0, 2)
    with pytest.raises(InputError, match=r"finite numbers, got \(2, 6\)"):
        cropper.predict(images, boxes=np.zeros((2, 6)))


def test_what_else_a_network_is_fed_and_masks_of_a_part() -> None:
    """A recipe's own feed; masks for a box come back in pixels of the image."""
    card = {"input_size": [8, 8], "inputs": {"images": {"shape": [None, None, 3], "dtype": "uint8"},
                                             "flow": {"shape": [2, 8, 8]}}}  # fmt: skip
    boxes = np.array([[1.0, 2.0, 5.0, 6.0]])

    def answer(outputs: Arrays, request: Request) -> list[Masks]:
        assert outputs["flow"].shape == (1, 2, 8, 8)
        return [Masks(np.ones((1, 2, 4, 4), np.float32), boxes, ("none", "person"), request.size)]

    def feed(request: Request) -> Arrays:
        return {"images": request.image[None], "flow": np.zeros((1, 2, 8, 8), np.float32)}

    model = Model(card, lambda inputs: inputs, answer, feed)
    assert not model.takes_boxes
    found = model.predict(np.zeros((30, 40, 3), np.uint8), boxes=[[10, 20, 30, 30]])
    assert isinstance(found, list) and isinstance(found[0], Masks) and found[0].size == (30, 40)
    assert found[0].boxes.tolist() == [[11.0, 22.0, 15.0, 26.0]]


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
