"""Boxes on their way into a prediction: from files and from detectors, for images, folders and videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_detectors
from calling import Answer, call
from kaname.data.formats.points import read
from kaname.data.video import VideoWriter
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.geometry.view import View
from kaname.inference.model import Model
from kaname.inference.request import Arrays, Request
from kaname.pipeline import predict as predicting
from kaname.pipeline.boxes import BoxSource, source_of
from kaname.pipeline.flags import BoxFlags
from kaname.progress import Bar
from kaname.recipes import RECIPES, recipe_of
from kaname.types import Points, Prediction

SIZE = (64, 96)
GONE = (3, 7)  # frames without it
PLACES = {"a": (10, 20, 30, 50), "b": (40, 5, 80, 25)}  # of the bright thing in an image


def picture(box: tuple[int, int, int, int] | None) -> np.ndarray:
    image = np.zeros((*SIZE, 3), np.uint8)
    if box is not None:
        image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def middles(outputs: Arrays, request: Request) -> list[Points]:
    """The middle of each box, of every wanted frame."""
    boxes = np.asarray(request.boxes)
    assert len(outputs["heatmaps"]) == len(boxes)
    xy, ids = {"middle": (boxes[:, :2] + boxes[:, 2:]) / 2}, list(range(1, len(boxes) + 1))
    return [Points(xy, {"middle": np.ones(len(boxes))}, request.size, ids=ids)] * (request.wanted or 1)


@pytest.fixture(autouse=True)
def looking_at_boxes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The recipe ``dots`` with a model that needs no training."""
    weights(tmp_path)
    card: dict[str, Any] = {
        "config": {},
        "view": View("crop", (8, 8)).to_dict(),
        "inputs": {"boxes": {"shape": [4], "dtype": "float32", "batch": "boxes"}},
        "backbone": {"name": "none"},
    }

    def runner(given: Arrays) -> Arrays:
        return {"heatmaps": np.zeros((len(given["boxes"]), 1, 2, 2), np.float32)}

    monkeypatch.setattr(predicting, "open_model", lambda *_, **__: Model(card, runner, middles))
    monkeypatch.setitem(RECIPES, "dots", "recipes.dots")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two images with a bright thing, a dark one."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, box in {**PLACES, "dark": None}.items():
        write_image(folder / f"{name}.png", picture(box))
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A bright thing that walks right by 4 px a frame and is gone in frames 3 and 7."""
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for frame in range(10):
            writer.write(picture(None if frame in GONE else (8 + 4 * frame, 16, 24 + 4 * frame, 40)), frame / 25)
    return tmp_path / "clip.mp4"


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return onnx_detectors.bright(tmp_path / "bright.onnx", SIZE)


def weights(folder: Path) -> Path:
    """A file that stands for a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "best.pt").touch()
    return folder / "best.pt"


def command(out: Path, *words: object) -> Answer:
    """``kaname dots predict``: of folders of frames and videos."""
    return call("dots", "predict", *words, "--checkpoint", weights(out.parent), "--out", out, "--overwrite")


def of_images(out: Path, *sources: Path, **flags: Any) -> list[Prediction]:
    """The rows of images, folders of images and videos."""
    boxes = source_of(BoxFlags(**flags))
    predicting.predict_images(
        recipe_of("dots"), sources, weights(out.parent), out, boxes=boxes, pictures=False, overwrite=True
    )
    return rows_of(out)


def rows_of(out: Path) -> list[Prediction]:
    return read(out / "points.json", recipe="dots")


def middle(row: Prediction) -> list[list[float]]:
    assert isinstance(row.answer, Points)
    return row.answer.xy["middle"].tolist()


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def of_clip(frame: int) -> list[list[float]]:
    return [] if frame in GONE else [[16.0 + 4 * frame, 28.0]]


def test_finds_of_several_labels_are_said_and_one_is_chosen(images: Path, tmp_path: Path) -> None:
    """A detector of COCO's 80 classes finds more than persons."""
    outputs = {"scores": np.float32([0.9, 0.8]), "labels": np.array([0, 16])}
    path = onnx_detectors.constant(tmp_path / "d.onnx", boxes=np.float32([[0, 0, 20, 20], [30, 0, 50, 20]]), **outputs)
    with pytest.warns(UserWarning, match=r"d\.onnx: boxes of 2 labels: 0 \(3\), 16 \(3\); all count: choose one"):
        rows = of_images(tmp_path / "all", images, detector=path)
    assert [len(middle(row)) for row in rows] == [2, 2, 2]
    chosen = of_images(tmp_path / "one", images, detector=path, label="16")
    assert [len(middle(row)) for row in chosen] == [1, 1, 1]
    command(tmp_path / "none", images, "--label", "16").refused("--label belongs to --boxes")


def test_a_detector_finds_the_boxes_of_images(
    images: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image without any has an empty answer, and is named; the file says which detector it was."""
    rows = of_images(tmp_path / "out", images, detector=detector)
    assert {row.source: middle(row) for row in rows} == {"a.png": [[20, 35]], "b.png": [[60, 15]], "dark.png": []}
    assert "no box in 1 of 3 image(s): dark.png" in capsys.readouterr().out
    said = json.loads((tmp_path / "out" / "points.json").read_text())["boxes"]["detector"]
    assert said["name"] == "bright.onnx" and len(said["sha256"]) == 64 and said["mapping"]["layout"] == "boxes"
    assert said["mapping"]["score"] == 0.5


def test_a_detector_looks_at_every_frame(
    images: Path, clip: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a video among images, and of a video and a folder of frames for a recipe of video."""
    rows = of_images(tmp_path / "both", images / "a.png", clip, detector=detector)
    assert middle(rows[0]) == [[20, 35]] and [row.frame for row in rows[1:]] == list(range(10))
    assert "clip.mp4: no box in 2 of 10 frames" in capsys.readouterr().out
    said = command(tmp_path / "film", clip, "--detector", detector, "--detector-score", 0.9).done()
    assert "clip.mp4: no box in 2 of 10 frames" in said.out
    for answers in (rows[1:], rows_of(tmp_path / "film")):
        for number, row in enumerate(answers):
            assert np.shape(middle(row)) == np.shape(of_clip(number))
            np.testing.assert_allclose(middle(row), of_clip(number), atol=1)  # the film is compressed
    command(tmp_path / "frames", images, "--detector", detector).done()
    assert list(map(middle, rows_of(tmp_path / "frames"))) == [[[20, 35]], [[60, 15]], []]


def test_a_file_has_boxes_by_picture_and_frame(
    images: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several in an image, none in another; of a video by the number of a frame, or the same in all."""
    box, other = [0, 0, 10, 20], [20, 30, 40, 50]
    content = {
        "images/a.png": [box, other],
        "./b.png": [other],
        "dark.png": [],
        "clip.mp4": {"2": [box], "7": [box, other]},
    }
    rows = of_images(tmp_path / "out", images, clip, boxes=written(tmp_path / "boxes.json", content))
    assert list(map(middle, rows[:3])) == [[[5, 10], [30, 40]], [[30, 40]], []]
    assert [len(middle(row)) for row in rows[3:]] == [0, 0, 1, 0, 0, 0, 0, 2, 0, 0]
    said = capsys.readouterr().out
    assert "no box in 1 of 3 image(s): dark.png" in said and "clip.mp4: no box in 8 of 10 frames" in said
    assert json.loads((tmp_path / "out" / "points.json").read_text())["boxes"] == {"file": "boxes.json"}
    for name, always in {"bare": [box, other], "named": {"clip.mp4": [box, other]}}.items():
        command(tmp_path / name, clip, "--boxes", written(tmp_path / f"{name}.json", always)).done()
        assert [middle(row) for row in rows_of(tmp_path / name)] == [[[5, 10], [30, 40]]] * 10
    by_name = {"a.png": [box], "b.png": [], "dark.png": [other]}
    for name, content in {"files": by_name, "folder": {"images": {"0": [box], "2": [other]}}}.items():
        command(tmp_path / name, images, "--boxes", written(tmp_path / f"{name}.json", content)).done()
        assert list(map(middle, rows_of(tmp_path / name))) == [[[5, 10]], [], [[30, 40]]]


def test_boxes_of_other_forms(images: Path, tmp_path: Path) -> None:
    """Shares are those of each image's own size."""
    shares = np.array([0.25, 0.5, 0.125, 0.25])
    path = written(tmp_path / "boxes.json", {"a.png": [shares.tolist()]})
    flags: dict[str, Any] = {"boxes": path, "box_units": "normalised"}
    (row,) = of_images(tmp_path / "out", images / "a.png", box_format="cxcywh", **flags)
    np.testing.assert_allclose(middle(row), [[24, 32]])
    (row,) = of_images(tmp_path / "out", images / "a.png", box_format="xywh", **flags)
    np.testing.assert_allclose(middle(row), [[30, 40]])


def test_coco_serves_images_and_folders_of_frames(images: Path, clip: Path, tmp_path: Path) -> None:
    names = ("a.png", "b.png", "dark.png")
    content = {
        "images": [{"id": n, "file_name": name, "height": 64, "width": 96} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": n % 3, "category_id": 1, "bbox": [10 * n, 0, 10, 20]} for n in range(5)
        ],
        "categories": [{"id": 1, "name": "face"}],
    }  # fmt: skip
    path = written(tmp_path / "coco.json", content)
    expected = [[[5, 10], [35, 10]], [[15, 10], [45, 10]], [[25, 10]]]
    assert list(map(middle, of_images(tmp_path / "out", images, boxes=path))) == expected
    command(tmp_path / "frames", images, "--boxes", path).done()
    assert list(map(middle, rows_of(tmp_path / "frames"))) == expected
    command(tmp_path / "film", clip, "--boxes", path).refused("coco.json:clip.mp4", '{"clip.mp4": {"0": [[x1, y1')
    command(tmp_path / "film", images, "--boxes", path, "--box-format", "xywh").refused("say themselves")


def test_without_boxes_a_picture_is_one(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And it is said."""
    (row,) = of_images(tmp_path / "out", images / "a.png")
    assert middle(row) == [[48, 32]] and "each picture is one box" in capsys.readouterr().out
    assert "boxes" not in json.loads((tmp_path / "out" / "points.json").read_text())


def test_a_network_that_takes_no_boxes(
    images: Path, clip: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector's boxes are cut out of images, each with an answer of its own; of videos they are refused."""
    card: dict[str, Any] = {"config": {}, "input_size": [8, 8], "channels": ["middle"], "backbone": {}}

    def whole(outputs: Arrays, request: Request) -> list[Points]:
        height, width = request.size
        return [Points({"middle": np.array([[width / 2, height / 2]])}, {"middle": np.ones(1)}, request.size)]

    monkeypatch.setattr(predicting, "open_model", lambda *_, **__: Model(card, lambda given: {}, whole))
    rows = of_images(tmp_path / "out", images, detector=detector)
    assert [(row.source, row.box, middle(row)) for row in rows] == [("a.png", 1, [[20, 35]]), ("b.png", 1, [[60, 15]])]
    with pytest.raises(InputError, match="boxes belong to photographs, not to a video"):
        of_images(tmp_path / "out", clip, detector=detector)
    command(tmp_path / "film", images, "--detector", detector).refused("boxes belong to photographs")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({"a.png": [[0, 0, 9, 9]]}, ("no box for b.png, dark.png", "[] where there is none")),
        ({"a.png": {"0": []}, "b.png": [], "dark.png": []}, ("boxes.json:a.png", "an image has no frames")),
        ({"a.png": [[0, 0, 9]]}, ("boxes.json:a.png", "four numbers: [0, 0, 9]", "[[x1, y1, x2, y2], ...]")),
        ({"a.png": 5}, ("boxes.json:a.png", "not a list of boxes: 5")),
        ({"a.png": [[9, 0, 0, 9]]}, ("boxes.json:a.png", "ends before it begins")),
        ({"a.png": [[0, 0, float("nan"), 9]]}, ("boxes.json:a.png", "not a box of four numbers")),
        ({"clip.mp4": {"first": []}}, ("boxes.json:clip.mp4", "'first' is no number of a frame")),
        ([[0, 0, 9]], ("boxes.json:every picture", "not a box of four numbers")),
    ],
)  # fmt: skip
def test_files_of_boxes_that_are_wrong(images: Path, tmp_path: Path, content: Any, parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        of_images(tmp_path / "out", images, boxes=written(tmp_path / "boxes.json", content))
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--boxes", "b.json", "--detector", "d.onnx"), ("not from both",)),
        (("--detector-score", "0.5"), ("--detector-score belongs to --detector",)),
        (("--detector-config", "m.yaml"), ("--detector-config belongs to --detector",)),
        (("--box-units", "normalised"), ("--box-units belongs to --boxes",)),
        (("--detector", "none.onnx"), ("none.onnx: the detector does not exist",)),
        (("--boxes", "none.json"), ("none.json",)),
    ],
)
def test_flags_that_do_not_go_together(images: Path, tmp_path: Path, words: Any, parts: tuple[str, ...]) -> None:
    command(tmp_path / "out", images, *words).refused(*parts)


def test_a_detector_score_and_a_configuration(images: Path, detector: Path, tmp_path: Path) -> None:
    """They reach the detector: one that does not fit it is refused before the model is opened."""
    command(tmp_path / "out", images, "--detector", detector, "--detector-score", 2).refused("score must lie in 0..1")
    (tmp_path / "m.yaml").write_text("layout: yolo\nboxes: boxes\n")
    words = ("--detector", detector, "--detector-config", tmp_path / "m.yaml")
    command(tmp_path / "out", images, *words).refused("bright.onnx", "leave no class")


def test_a_long_video_is_not_kept(clip: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame is looked at, answered and gone before the next one is read, but for those that wait their turn (how many
    these are: tests/inference/test_model_stream.py)."""
    monkeypatch.setattr(predicting, "WAITING", 0)
    order: list[str] = []
    real = predicting.frames

    def watched(path: Path, **how: Any) -> Any:
        for frame in real(path):
            order.append(f"read {frame.index}")
            yield frame

    monkeypatch.setattr(predicting, "frames", watched)
    source = source_of(BoxFlags(detector=detector))
    assert source is not None

    def opened(sources: Any) -> Any:
        find = source.open(sources)
        return lambda path, frame: (order.append(f"found {frame.index}"), find(path, frame))[1]

    boxes = BoxSource(opened)
    predicting.predict_images(recipe_of("dots"), [clip], tmp_path / "best.pt", tmp_path / "out", boxes=boxes)
    assert order == [f"{what} {number}" for number in range(10) for what in ("read", "found")]


def test_progress_counts_the_frames_of_videos(
    clip: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long video alone there would be nothing to see otherwise until it ends."""
    bars: list[tuple[int, list[int]]] = []

    class Watched(Bar):
        def __init__(self, title: str, total: int) -> None:
            super().__init__(title, total)
            bars.append((total, []))

        def advance(self, count: int = 1, note: str = "") -> None:
            bars[-1][1].append(count)

    monkeypatch.setattr(predicting, "Bar", Watched)
    picture = next(path for path in images.iterdir() if path.suffix == ".png")
    predicting.predict_images(recipe_of("dots"), [clip, picture], tmp_path / "best.pt", tmp_path / "out")
    assert bars == [(11, [1] * 10 + [0, 1])]
