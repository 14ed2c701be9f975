"""Exports: no file gets its name before it has answered like its model; inputs and outputs of every kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from inference.test_parity import CARD, IMAGE, Found, asked, saying
from kaname.errors import InputError
from kaname.geometry.view import View
from kaname.inference import export as exporting
from kaname.inference.card import described
from kaname.inference.export import export
from kaname.inference.model import Model
from kaname.inference.onnx_runner import OnnxRunner
from kaname.inference.request import Arrays, Request
from kaname.inference.torch_runner import TorchRunner
from kaname.types import Head, Input, Points


class Tiny(nn.Module):
    """Half the mean colour, as one logit map."""

    heads = {"heatmaps": Head(["a"])}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 1)

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"heatmaps": self.layer(inputs["images"] / 255)}


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    told = saying([(3, 4, 0.9)])
    return Model(CARD, TorchRunner(Tiny(), View("letterbox", (16, 16)), device="cpu"), told.decode)


def test_what_cannot_be_exported(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"an export is an \.onnx file"):
        export(model, asked(IMAGE), tmp_path / "model.pt")
    with pytest.raises(InputError, match="at least one image"):
        export(model, [], tmp_path / "model.onnx")
    with pytest.raises(InputError, match="cannot be exported again"):
        export(saying([]), asked(IMAGE), tmp_path / "model.onnx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made"):
        export(model, asked(IMAGE), tmp_path / "file" / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_fails_does_not_get_its_name(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model.onnx"
    out.write_bytes(b"the export before")
    monkeypatch.setattr(exporting, "partial_of", lambda model: lambda path: path.write_bytes(b"x"))
    monkeypatch.setattr(
        exporting,
        "OnnxRunner",
        lambda path, whole: lambda inputs: {"heatmaps": model.runner(inputs)["heatmaps"] + np.float32(0.01)},
    )
    with pytest.raises(InputError, match=r"does not answer like the model: maps differ by 0\.01"):
        export(model, asked(IMAGE), out)
    assert out.read_bytes() == b"the export before"
    failed = {".model.failed.onnx", ".model.failed.onnx.parity.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", *failed}
    assert json.loads((tmp_path / ".model.failed.onnx.parity.json").read_text())["passed"] is False


def by_score(found: Found, threshold: float) -> Any:
    """A decode that finds these points where their scores reach the threshold."""
    return saying([row for row in found if row[2] >= threshold]).decode


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_a_model_that_finds_nothing_is_compared_lower(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    """Its maps reach 0.3 and a point needs 0.5: the points of 0.2 are compared, and must agree."""
    model.decode = by_score([], 0.5)
    told = {"heatmaps": np.full((1, 1, 4, 4), 0.3, np.float32)}
    monkeypatch.setattr(TorchRunner, "__call__", lambda self, inputs: told)
    monkeypatch.setattr(exporting, "partial_of", lambda model: lambda path: path.write_bytes(b"x"))
    monkeypatch.setattr(exporting, "OnnxRunner", lambda path, whole: lambda inputs: told)
    thresholds: list[float] = []

    def decode_at(threshold: float) -> Any:
        thresholds.append(threshold)
        answers = iter([(1.0, 2.0, 0.2), (1.0 + shift, 2.0, 0.2)])
        return lambda outputs, request: saying([next(answers)]).decode(outputs, request)

    out = tmp_path / "model.onnx"
    if shift:
        with pytest.raises(InputError, match=r"points by 0\.400 px"):
            export(model, asked(IMAGE), out, 0.5, decode_at)
        assert not out.exists()
        return
    found = export(model, asked(IMAGE), out, 0.5, decode_at)
    report = json.loads((tmp_path / "model.onnx.parity.json").read_text())
    assert thresholds == [pytest.approx(0.15)] and report == found.to_dict()
    assert report["points"] == 0 and report["lowered_points"] == 1 and report["passed"]
    assert report["lowered_min_score"] == pytest.approx(0.15) and report["lowered_point_distance_p99_px"] == 0
    assert "no point was compared" in report["warning"] and "0.3" in report["warning"] and "0.5" in report["warning"]
    without = export(model, asked(IMAGE), out, 0.5)
    assert without.warning and without.lowered is None and without.passed


def test_a_model_that_finds_points_has_no_warning(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "partial_of", lambda model: lambda path: path.write_bytes(b"x"))
    monkeypatch.setattr(exporting, "OnnxRunner", lambda path, whole: model.runner)
    assert "warning" not in export(model, asked(IMAGE), tmp_path / "model.onnx", 0.5).to_dict()


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), RuntimeError("x"), InputError("y")])
def test_an_export_that_is_cut_off_leaves_nothing(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def cut(path: Path) -> None:
        path.write_bytes(b"half")
        raise fault

    monkeypatch.setattr(exporting, "partial_of", lambda model: cut)
    with pytest.raises(type(fault)):
        export(model, asked(IMAGE), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def reading(card: dict[str, Any], network: nn.Module, view: View) -> Model:
    """A model whose answer is the first value of each of its outputs, as a point."""

    def decode(outputs: Arrays, request: Request) -> list[Points]:
        xy = {name: np.full((1, 2), float(value.flat[0])) for name, value in outputs.items()}
        return [Points(xy, dict.fromkeys(xy, np.ones(1)), request.size)]

    return Model(card, TorchRunner(network, view, device="cpu"), decode)


def noise(*sizes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.mark.slow
def test_a_real_export(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.card = {**CARD, "format": "kaname-checkpoint", "version": 2, "view": model.view.to_dict()}
    model.card |= described({"images": Input((None, None, 3), "uint8")}, Tiny.heads)
    images = noise((16, 16), (31, 47), (9, 5))
    found = export(model, asked(*images), tmp_path / "new" / "model.onnx", 0.5)
    assert found.passed and found.images == 3 and found.map_difference < 1e-5
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"model.onnx", "model.onnx.parity.json"}
    runner = OnnxRunner(tmp_path / "new" / "model.onnx")
    assert runner.card == model.card and capsys.readouterr().out == ""
    several = {"images": np.stack([images[1]] * 3)}
    assert np.allclose(runner(several)["heatmaps"], model.runner(several)["heatmaps"], atol=1e-5)


class Many(nn.Module):
    """Images and flow to maps, to two groups of classes and to a raw line; with boxes a line for each of them."""

    def __init__(self, view: View, *, boxes: bool = False) -> None:
        super().__init__()
        self.layer, self.line = nn.Conv2d(5, 2, 3, padding=1), nn.Linear(5 + 4 * boxes, 6)
        self.inputs = {"flow": Input((2, *view.input_size)), "images": Input((None, None, 3), "uint8")}
        if boxes:
            self.inputs["boxes"] = Input((4,), batch="boxes")
        self.heads = {
            "heatmaps": Head(["a", "b"]),
            "raw": Head(list("abcdef"), "none"),
            "visible": Head(["0", "1", "2"] * 2, "softmax", groups=2),
        }

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        joined = torch.cat([inputs["images"] / 255, inputs["flow"]], dim=1)
        line = joined.mean(dim=(2, 3))
        if "boxes" in inputs:
            boxes = inputs["boxes"] / 16
            line = torch.cat([line[:1].expand(boxes.shape[0], -1), boxes], dim=1)
        line = self.line(line)
        return {"visible": 9 * line, "raw": line, "heatmaps": self.layer(joined)}


VIEWS = [
    View("letterbox", (12, 16), (14, 18)),
    View("stretch", (16, 16)),
    View("crop", (16, 12), factor=1.5),
]


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.fit)
def test_named_inputs_and_outputs_of_every_view(view: View, boxes: bool, tmp_path: Path) -> None:
    """Flow as a second input, heads of all activations; N boxes of one image where view or network take them."""
    if boxes and view.fit == "crop":
        pytest.skip("the crop takes the boxes")
    torch.manual_seed(0)
    network = Many(view, boxes=boxes)
    card = {**CARD, "view": view.to_dict(), **described(network.inputs, network.heads)}
    model = reading(card, network, view)
    rows = 3 if view.fit == "crop" else 1
    flow = np.random.default_rng(1).normal(size=(rows, 2, *view.input_size)).astype(np.float32)
    model.feed = lambda request: {
        "images": request.image[None], "flow": flow,
        **({} if request.boxes is None else {"boxes": request.boxes.astype(np.float32)}),
    }  # fmt: skip
    given = [[3, 4, 20, 30.5], [-9, -9, 8, 8], [10, 2, 60, 22]]
    requests = [("x", model.request([image], given)) for image in noise((40, 31), (17, 90))]
    assert (requests[0][1].boxes is not None) is (boxes or view.fit == "crop")
    found = export(model, requests, tmp_path / "m.onnx", None)
    assert found.passed and found.map_difference < 1e-5
    runner = OnnxRunner(tmp_path / "m.onnx")
    answer = runner(model.feed(requests[0][1]))
    assert list(answer) == list(network.heads) and 0 < answer["heatmaps"].min() < answer["heatmaps"].max() < 1
    assert len(answer["visible"]) == (3 if boxes or view.fit == "crop" else 1)
    np.testing.assert_allclose(answer["visible"].reshape(-1, 2, 3).sum(axis=2), 1, atol=1e-5)
    assert answer["raw"].min() < 0
    if boxes or view.fit == "crop":  # of no box nothing, for whoever runs the file without Kaname
        session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
        none = {"images": noise((40, 31))[0][None], "flow": flow[:1], "boxes": np.zeros((0, 4), np.float32)}
        assert [len(value) for value in session.run(["visible", "raw"], none)] == [0, 0]


def test_features_as_the_only_input(tmp_path: Path) -> None:
    """A head on the features of another file: no images, another number of rows each time."""

    class OnFeatures(nn.Module):
        heads = {"masks": Head(["none", "person"], "softmax")}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(4, 2, 1)

        def forward(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"masks": self.layer(inputs["features"])}

    view = View("stretch", (16, 16))
    card = {**CARD, **described({"features": Input((4, None, 5))}, OnFeatures.heads)}
    model = reading(card, OnFeatures(), view)
    random = np.random.default_rng(2)
    for rows, high in ((1, 3), (4, 7)):
        features = random.normal(size=(rows, 4, high, 5)).astype(np.float32)
        model.feed = lambda request: {"features": features}  # noqa: B023
        assert export(model, asked(IMAGE), tmp_path / "m.onnx", None).passed
        assert OnnxRunner(tmp_path / "m.onnx")({"features": features})["masks"].shape == (rows, 2, high, 5)


def test_an_export_holds_no_path_of_the_machine(model: Model, tmp_path: Path) -> None:
    """The exporter notes places in source files at every node; a file that is handed on must not carry them."""
    export(model, asked(IMAGE), tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    assert b"site-packages" not in content and b".py" not in content
