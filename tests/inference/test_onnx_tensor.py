"""A tensor inside an ONNX file: cut out, described, found again, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from kaname.data.cache import ArrayCache
from kaname.errors import InputError
from kaname.inference.feature_source import CachedSource, FeatureSource
from kaname.inference.onnx_tensor import OnnxTensor, Preprocessing

WEIGHTS = np.arange(5 * 3 * 4 * 4, dtype=np.float32).reshape(5, 3, 4, 4) / 100 - 1


def extractor(path: Path, shape: tuple[Any, ...] = (1, 3, 32, 48), names: tuple[str, str] = ("/a/Conv", "/b/Relu")):
    """A convolution of stride 4, a ReLU, and a head that would fail if it ran: its shapes do not fit."""
    first, second = (f"{name}_output_0" for name in names)
    nodes = [
        helper.make_node("Conv", ["images", "w"], [first], strides=[4, 4]),
        helper.make_node("Relu", [first], [second]),
        helper.make_node("GlobalAveragePool", [second], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["scores"]),
    ]
    weights = [onnx.numpy_helper.from_array(WEIGHTS, "w"), onnx.numpy_helper.from_array(np.eye(5, dtype="f4"), "head")]
    graph = helper.make_graph(
        nodes,
        "extractor",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ("batch", 5))],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return extractor(tmp_path / "ext.onnx")


def expected(images: np.ndarray) -> np.ndarray:
    """The convolution and the ReLU in NumPy, of ``(B, 3, h, w)``."""
    count, _, height, width = images.shape
    cells = images.reshape(count, 3, height // 4, 4, width // 4, 4)
    return np.maximum(np.einsum("bcyixj,ocij->boyx", cells, WEIGHTS), 0)


def test_it_serves_the_tensor(file: Path) -> None:
    before = file.read_bytes()
    source: FeatureSource = OnnxTensor(file, "/b/Relu_output_0", licence="GPL-3")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
    (found,) = source.features(images)
    np.testing.assert_allclose(found, expected(np.moveaxis(images, 3, 1) / 255), rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32 and file.read_bytes() == before
    card = json.loads(json.dumps(source.description))
    assert (card["kind"], card["channels"], card["stride_yx"], card["licence"]) == ("onnx", [5], [[4.0, 4.0]], "GPL-3")
    assert card["view"]["fit"] == "stretch" and card["view"]["size"] == [32, 48] and len(card["sha256"]) == 64
    assert [one.name for one in OnnxTensor(file, "/a/Conv_output_0")._session.get_outputs()] == ["/a/Conv_output_0"]


def test_nothing_behind_the_tensor_runs(tmp_path: Path) -> None:
    """The head takes 5 numbers; of a tensor that is cut before it nobody notices that it is broken."""
    model = onnx.load(str(extractor(tmp_path / "a.onnx")))
    model.graph.node[-1].op_type = "NoSuchOperator"
    onnx.save(model, str(tmp_path / "broken.onnx"))
    assert OnnxTensor(tmp_path / "broken.onnx", "/b/Relu_output_0").description["channels"] == [5]
    with pytest.raises(InputError, match="cannot run"):
        OnnxTensor(tmp_path / "broken.onnx", "scores")


@pytest.mark.parametrize(
    ("change", "prepared"),
    [
        ({}, lambda rgb: rgb / 255),
        ({"order": "BGR"}, lambda rgb: rgb[..., ::-1] / 255),
        ({"white": 255.0}, lambda rgb: rgb),
        (
            {"order": "BGR", "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)},
            lambda rgb: (rgb[..., ::-1] / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7],
        ),
    ],
)
def test_preprocessing(file: Path, change: dict[str, Any], prepared: Any) -> None:
    images = np.random.default_rng(1).integers(0, 256, (1, 32, 48, 3), np.uint8)
    source = OnnxTensor(file, "/b/Relu_output_0", preprocessing=Preprocessing(**change))
    wanted = expected(np.moveaxis(prepared(images.astype(np.float64)), 3, 1))
    np.testing.assert_allclose(source.features(images)[0], wanted, rtol=1e-4, atol=1e-3)
    again = OnnxTensor.from_description(json.loads(json.dumps(source.description)))
    assert again.key == source.key and again.preprocessing == source.preprocessing
    np.testing.assert_array_equal(again.features(images)[0], source.features(images)[0])
    assert (source.key == OnnxTensor(file, "/b/Relu_output_0").key) is (not change)


def test_open_sizes_and_batches(tmp_path: Path) -> None:
    path = extractor(tmp_path / "open.onnx", ("batch", 3, "height", "width"))
    with pytest.raises(InputError, match="leaves its input size open; state the size"):
        OnnxTensor(path, "/b/Relu_output_0")
    source = OnnxTensor(path, "/b/Relu_output_0", size=(16, 24), fit="letterbox")
    images = np.random.default_rng(2).integers(0, 256, (4, 16, 24, 3), np.uint8)
    (found,) = source.features(images)
    np.testing.assert_allclose(found, expected(np.moveaxis(images, 3, 1) / 255), rtol=1e-4, atol=1e-5)
    assert OnnxTensor.from_description(source.description).view == source.view
    with pytest.raises(InputError, match="cannot run"):
        source.features(images[:, :2])


def test_an_unknown_tensor_lists_the_five_nearest(tmp_path: Path) -> None:
    path = extractor(tmp_path / "e.onnx", names=("/model.34/Concat", "/model.33/Concat"))
    with pytest.raises(InputError) as caught:
        OnnxTensor(path, "/model.34/Concat_output_1")
    assert caught.value.path == str(path) and "'/model.34/Concat_output_1'" in caught.value.reason
    names = str(caught.value.remedy).removeprefix("the nearest names: ").split(", ")
    assert len(names) == 5 and names[:2] == ["/model.34/Concat_output_0", "/model.33/Concat_output_0"]


def test_it_is_found_again(file: Path, tmp_path: Path) -> None:
    """At the described path, then beside the model; another file is refused, wherever it lies."""
    card = OnnxTensor(file, "/b/Relu_output_0").description
    key = OnnxTensor(file, "/b/Relu_output_0").key
    beside = tmp_path / "models"
    beside.mkdir()
    file.rename(beside / "ext.onnx")
    with pytest.raises(InputError, match=r"not at .*ext.onnx; say where it is with --extractor"):
        OnnxTensor.from_description(card)
    with pytest.raises(InputError, match="nor at"):
        OnnxTensor.from_description(card, beside=tmp_path / "elsewhere")
    assert OnnxTensor.from_description(card, beside=beside).key == key
    (beside / "ext.onnx").rename(tmp_path / "other name.onnx")
    assert OnnxTensor.from_description(card, path=tmp_path / "other name.onnx").key == key
    extractor(file, (1, 3, 16, 16))
    for more in ({}, {"beside": beside}, {"path": file}):
        with pytest.raises(InputError, match="not the extractor that the model was trained with"):
            OnnxTensor.from_description(card, **more)
    (tmp_path / "other name.onnx").rename(beside / "ext.onnx")
    assert OnnxTensor.from_description(card, beside=beside).key == key, "the right one stands beside the model"


def test_files_that_do_not_serve(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        OnnxTensor(tmp_path / "none.onnx", "x")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(InputError, match="not a readable ONNX file"):
        OnnxTensor(tmp_path / "bad.onnx", "x")
    with pytest.raises(InputError, match="takes 2 images at a time"):
        OnnxTensor(extractor(tmp_path / "two.onnx", (2, 3, 16, 16)), "/b/Relu_output_0")
    with pytest.raises(InputError, match=r"has the shape \(1, 5\)"):
        OnnxTensor(extractor(tmp_path / "a.onnx"), "flat")
    with pytest.raises(InputError, match="not of"):
        OnnxTensor(tmp_path / "a.onnx", "/b/Relu_output_0", size=(16, 16))
    for change in ({"order": "GBR"}, {"white": 2.0}, {"std": (0, 1, 1)}, {"mean": (0, 0)}):
        with pytest.raises(InputError):
            Preprocessing(**change)  # type: ignore[arg-type]


def test_through_the_cache(file: Path, tmp_path: Path) -> None:
    source = OnnxTensor(file, "/b/Relu_output_0")
    cached = CachedSource(source, ArrayCache(tmp_path / "cache", budget=int(1e7)))
    image = np.random.default_rng(3).integers(0, 256, (50, 60, 3), np.uint8)
    (whole,) = cached.maps(image)
    source._session = None  # from here on nothing can run
    assert np.array_equal(cached.maps(image)[0], whole) and whole.shape == (5, 8, 12)
