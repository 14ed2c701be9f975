"""A detector that is the extractor's own file: one run gives what two gave, and where one cannot, that is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from kaname.inference.detector import open_detector
from kaname.inference.detector_mapping import DetectorMapping
from kaname.inference.joint_pass import joint_pass
from kaname.inference.onnx_tensor import OnnxTensor, Preprocessing

MAP = "deep/map"
MAPPING = DetectorMapping(layout="fastestdet", score=0.3, nms=0.9)
BGR = Preprocessing("BGR")
IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


def network(path: Path, seed: int = 0) -> Path:
    """``image`` ``(1, 3, 32, 48)`` to a grid of finds as FastestDet writes them, with a map on the way."""
    random = np.random.default_rng(seed)
    shapes = {"first": (8, 3, 8, 8), "second": (6, 8, 1, 1)}
    weights = [
        numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name) for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["sums"], strides=[8, 8]),
        helper.make_node("Relu", ["sums"], [MAP]),
        helper.make_node("Conv", [MAP, "second"], ["finds"]),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 48])
    made = helper.make_tensor_value_info("finds", TensorProto.FLOAT, [1, 6, 4, 6])
    graph = helper.make_graph(nodes, "small", [given], [made], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return network(tmp_path / "both.onnx")


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_one_run_gives_what_two_gave(file: Path, monkeypatch: pytest.MonkeyPatch, fit: str) -> None:
    import onnxruntime

    source = OnnxTensor(file, MAP, fit=fit, preprocessing=BGR)  # type: ignore[arg-type]
    said: list[str] = []
    joint = joint_pass(source, open_detector(file, MAPPING), said.append)
    assert joint is not None and "one pass" in said[0] and joint.detector.mapping.fit == fit
    shown = source.view.into((50, 70)).image(IMAGE, (32, 48))
    (features,), boxes = source.features(shown[None]), joint.detector(IMAGE)
    runs: list[int] = []
    run = onnxruntime.InferenceSession.run
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", lambda *given: runs.append(1) or run(*given))
    found, both = joint(IMAGE)
    assert len(runs) == 1 and len(boxes) > 0
    np.testing.assert_allclose(found, features, atol=1e-5)
    np.testing.assert_allclose(both.xyxy, boxes.xyxy, atol=1e-3)
    np.testing.assert_allclose(both.scores, boxes.scores, atol=1e-5)


def test_another_file_stays_apart(file: Path, tmp_path: Path) -> None:
    other = network(tmp_path / "other.onnx", seed=1)
    said: list[str] = []
    assert joint_pass(OnnxTensor(file, MAP, preprocessing=BGR), open_detector(other, MAPPING), said.append) is None
    assert said == []


@pytest.mark.parametrize(
    ("mapping", "colours", "why"),
    [
        (MAPPING, Preprocessing(), "order BGR, not RGB"),  # what the layout is known to want
        (DetectorMapping(layout="fastestdet", fit="letterbox"), BGR, "fit letterbox, not stretch"),
        (DetectorMapping(layout="fastestdet", mean=(0.5, 0.5, 0.5)), BGR, "mean"),
        (DetectorMapping(layout="fastestdet", white=255.0), BGR, "white 255.0, not 1.0"),
    ],
)
def test_other_images_take_two_passes(file: Path, mapping: DetectorMapping, colours: Preprocessing, why: str) -> None:
    """And the command says why."""
    said: list[str] = []
    assert joint_pass(OnnxTensor(file, MAP, preprocessing=colours), open_detector(file, mapping), said.append) is None
    assert why in said[0] and "two passes" in said[0]


def test_fastestdet(shared_data: Path) -> None:
    """The real file: map and boxes from one run are those of two."""
    path = shared_data / "weights" / "FastestDet" / "FastestDet.onnx"
    folder = shared_data / "roimask" / "coco_train_persons" / "images"
    if not path.is_file() or not folder.is_dir():
        pytest.skip("needs ../shared/data/weights/FastestDet and roimask/coco_train_persons")
    from kaname.geometry.image import read_image

    image = read_image(sorted(folder.glob("*.jpg"))[0])
    source = OnnxTensor(path, "input.508", preprocessing=BGR, threads=1)
    joint = joint_pass(source, open_detector(path, DetectorMapping(layout="fastestdet", keep=(0,)), threads=1))
    assert joint is not None
    features, boxes = joint(image)
    shown = source.view.into(image.shape[:2]).image(image, source.view.input_size)
    np.testing.assert_allclose(features, source.features(shown[None])[0], atol=1e-4)
    np.testing.assert_allclose(boxes.xyxy, joint.detector(image).xyxy, atol=1e-2)
    assert len(boxes) > 0
