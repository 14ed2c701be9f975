"""From a source to answers in its own pixels, with a fake network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.test_video import write_video
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import write_image
from kaname.geometry.view import View
from kaname.inference.model import Model
from kaname.inference.request import Arrays, Request
from kaname.types import Masks, Points, Tracks


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
    for name in ("pictures", "more", ".hidden", "drawn"):
        (tmp_path / name).mkdir()
        if name != "pictures":
            write_image(tmp_path / name / "a.png", spot(8, 8, 4, 4))
    (tmp_path / "drawn" / ".kaname-draw.json").write_text("{}")
    with pytest.warns(UserWarning) as warned:
        found = model.predict(tmp_path)
    assert isinstance(found, list) and [points.size for points in found] == [(32, 32), (16, 32)]
    assert [str(one.message) for one in warned] == [
        f"left out of {tmp_path}, not images by their names: Thumbs.db, clip.mp4, labels.json, points.npy",
        f"left out of {tmp_path}, folders in it that hold images: more",
    ]
    assert warned[0].filename == __file__


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
