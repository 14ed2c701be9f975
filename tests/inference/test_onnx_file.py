"""The network of an export without its view, and what is read of a file before any runtime opens it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from kaname.errors import InputError
from kaname.geometry.view import View
from kaname.inference.card import described, inputs_of
from kaname.inference.export import partial_of
from kaname.inference.model import Model
from kaname.inference.onnx_file import SEEN, metadata, without_view
from kaname.inference.onnx_runner import CARD_KEY, OnnxRunner, read_card
from kaname.inference.torch_runner import TorchRunner
from kaname.types import Head, Input

VIEWS = {
    "letterbox": View("letterbox", (20, 30), (24, 32)),
    "crop": View("crop", (24, 32), factor=1.25),
}
FRAMES = 2


class Tiny(nn.Module):
    """Two frames and a flow to one map."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3 * FRAMES + 1, 1, 3, padding=1)
        self.inputs = {"images": Input((None, None, 3 * FRAMES), "uint8"), "flow": Input((1, 24, 32))}
        self.heads = {"heatmaps": Head(["ball"])}

    def forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"heatmaps": self.layer(torch.cat([inputs["images"] / 255, inputs["flow"]], dim=1))}


@pytest.fixture(scope="module", params=list(VIEWS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, View]:
    torch.manual_seed(0)
    view, network = VIEWS[request.param], Tiny()
    card = {"recipe": "test", "config": {}, "backbone": {}, "view": view.to_dict(), "frames": FRAMES}
    card |= {"channels": ["ball"], "input_size": [24, 32], **described(network.inputs, network.heads)}
    card |= {"inputs": described(inputs_of(card), network.heads)["inputs"]}
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    model = Model(card, TorchRunner(network, view, device="cpu"), lambda outputs, request: [None] * FRAMES)
    partial_of(model)(path)
    return path, view


def asked(runner: OnnxRunner, view: View, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """A question about two frames: of a crop for three boxes."""
    model = Model(runner.card, runner, lambda outputs, request: [None] * FRAMES)
    random = np.random.default_rng(size[0])
    images = [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(FRAMES)]
    boxes = [[1, 2, 9, 20.5], [-4, -4, 7, 7], [0, 0, size[1], size[0]]] if view.fit == "crop" else None
    flow = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(1, 1, 24, 32)
    plain = model.feed
    model.feed = lambda request: {**plain(request), "flow": np.repeat(flow, len(boxes or "1"), axis=0)}
    return model.outputs(model.request(images, boxes))


@pytest.mark.parametrize("size", [(24, 32), (61, 90), (13, 7)])
def test_the_network_answers_like_the_file(exported: tuple[Path, View], size: tuple[int, int]) -> None:
    path, view = exported
    cut, whole = OnnxRunner(path), OnnxRunner(path, whole=True)
    assert cut.takes_fitted and not whole.takes_fitted
    ours, theirs = asked(cut, view, size)["heatmaps"], asked(whole, view, size)["heatmaps"]
    assert ours.shape == theirs.shape == (3 if view.fit == "crop" else 1, 1, 24, 32)
    assert np.abs(ours - theirs).max() < 1e-5 and np.ptp(ours) > 0.02


def test_a_file_for_others_takes_what_its_card_says_and_warns_of_nothing(exported: tuple[Path, View]) -> None:
    path, view = exported
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    weights = {one.name for one in model.graph.initializer}
    inputs = [one.name for one in model.graph.input]
    assert inputs == list(read_card(path)["inputs"]) and not weights & set(inputs)
    operators = Counter(node.op_type for node in model.graph.node)
    if view.fit != "crop":
        assert operators["Resize"] == 1 and not operators["MatMul"], "the runtime's own resize, no dense products"


def test_what_is_left_is_a_sound_graph(exported: tuple[Path, View]) -> None:
    path, _ = exported
    content = without_view(path.read_bytes(), (6, 24, 32))
    assert content is not None
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [one.name for one in model.graph.input] == ["flow", SEEN]
    (seen,) = [one for one in model.graph.input if one.name == SEEN]
    assert [axis.dim_value for axis in seen.type.tensor_type.shape.dim] == [0, 6, 24, 32]
    assert not [node for node in model.graph.node if node.name.startswith("view/")]
    assert metadata(content, CARD_KEY) == metadata(path.read_bytes(), CARD_KEY)


def test_a_file_without_a_view_of_its_own_is_left_alone(exported: tuple[Path, View]) -> None:
    """A network of somebody else, and what is left of one of ours."""
    path, _ = exported
    content = without_view(path.read_bytes(), (6, 24, 32))
    assert content is not None and without_view(content, (6, 24, 32)) is None
    assert without_view(b"", (3, 2, 2)) is None and metadata(b"", CARD_KEY) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_file_that_was_cut_off(exported: tuple[Path, View], tmp_path: Path, share: float) -> None:
    path, _ = exported
    content = path.read_bytes()
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(content[: int(len(content) * share)])
    for read in (read_card, OnnxRunner):
        with pytest.raises(InputError, match=r"damaged\.onnx"):
            read(damaged)


def test_noise_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for length in (1, 10, 1000):
        (tmp_path / "noise.onnx").write_bytes(random.bytes(length))
        with pytest.raises(InputError, match=r"noise\.onnx"):
            read_card(tmp_path / "noise.onnx")


def test_the_card_needs_no_runtime(exported: tuple[Path, View]) -> None:
    import subprocess
    import sys

    path, _ = exported
    code = (
        "import json, sys; from pathlib import Path; from kaname.inference.onnx_runner import read_card;"
        f"card = read_card(Path({str(path)!r})); print(json.dumps([card['recipe'], 'onnxruntime' in sys.modules]))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == ["test", False]
