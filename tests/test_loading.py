"""``kaname.load``: the file says what it is; an export loads without torch."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import kaname
from kaname.errors import InputError
from kaname.inference import card as cards
from kaname.inference.onnx_runner import OnnxRunner
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig

GOLDEN = Path(__file__).parent / "golden"
CARD: dict[str, Any] = {
    "recipe": "gauge", "input_size": [16, 16], "channels": ["start", "middle", "end"],
    "backbone": {"name": "small"}, "pretrained": False,
}  # fmt: skip


def onnx_file(path: Path, *, card: str | None = "", output: str = "heatmaps") -> Path:
    """A graph of the right kind that answers one half everywhere: uint8 (B, h, w, 3) -> float (B, 3, 16, 16)."""
    from kaname import config

    if card == "":
        card = cards.write({**CARD, "config": config.to_dict(GaugeConfig(extract=ExtractSettings(min_score=0.9)))})
    half = helper.make_tensor("half", TensorProto.FLOAT, [1, 3, 16, 16], [0.5] * 768)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "none"], ["zero"]),
        helper.make_node("Add", ["zero", "half"], [output]),
    ]
    none = helper.make_tensor("none", TensorProto.FLOAT, [1], [0.0])
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("images", TensorProto.UINT8, ["b", "h", "w", 3])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["b", 3, 16, 16])], [half, none],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if card is not None:
        helper.set_model_props(model, {"kaname": card})
    onnx.save(model, str(path))
    return path


def test_an_export_loads_and_predicts_without_torch(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "model.onnx")
    program = (
        "import sys, numpy, kaname\n"
        f"model = kaname.load({str(path)!r})\n"
        "points = model.predict(numpy.zeros((20, 30, 3), numpy.uint8))\n"
        "assert points.size == (20, 30) and points.xy['middle'].shape == (0, 2), points\n"
        "assert model.card['recipe'] == 'gauge'\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'lightning_fabric', 'transformers')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_nobody_is_told_and_nothing_is_left_in_the_home_folder(tmp_path: Path) -> None:
    """onnxruntime reports its use to its makers, and keeps a number of the user, unless it is told not to."""
    path, home = onnx_file(tmp_path / "model.onnx"), tmp_path / "home"
    home.mkdir()
    names = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "KANAME_CACHE")
    where = {name: value for name, value in os.environ.items() if name not in names} | {"HOME": str(home)}
    program = f"import kaname, os; kaname.load({str(path)!r}); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, wanted in ({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0"):
        done = subprocess.run(
            [sys.executable, "-c", program], env=where | given, capture_output=True, text=True, check=False, timeout=120
        )
        assert (done.stdout.strip(), done.stderr) == (wanted, "")
        assert given or not list(home.rglob("*"))


def test_the_runner_takes_any_size(tmp_path: Path) -> None:
    runner = OnnxRunner(onnx_file(tmp_path / "model.onnx"), threads=1)
    found = runner({"images": np.zeros((2, 7, 9, 3), np.uint8)})["heatmaps"]
    assert found.shape == (2, 3, 16, 16) and found.dtype == np.float32 and (found == 0.5).all()


@pytest.mark.parametrize(
    ("card", "part"),
    [
        (None, "no kaname card"),
        ("{", "not JSON"),
        ("[]", "not a kaname card"),
        (json.dumps({"format": cards.FORMAT, "version": 99}), "newer kaname"),
        (json.dumps({"format": cards.FORMAT, "version": 1}), "lacks the field 'recipe'"),
        (cards.write({**CARD, "config": {}, "recipe": "soup"}), "recipe 'soup', which this version does not have"),
        (cards.write({**CARD, "config": {}, "input_size": [0, 3]}), "input_size"),
    ],
)
def test_a_card_that_is_wrong(tmp_path: Path, card: str | None, part: str) -> None:
    path = onnx_file(tmp_path / "model.onnx", card=card)
    with pytest.raises(InputError, match=part) as caught:
        kaname.load(path)
    assert caught.value.path == str(path) and caught.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 'heatmaps' output"):
        kaname.load(onnx_file(tmp_path / "model.onnx", output="other"))
    (tmp_path / "half.onnx").write_bytes(onnx_file(tmp_path / "whole.onnx").read_bytes()[:200])
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "folder.onnx").mkdir()
    for name in ("half.onnx", "text.onnx", "folder.onnx", "none.onnx", "none.pt", ""):
        with pytest.raises(InputError) as caught:
            kaname.load(tmp_path / name)
        assert caught.value.path == str(tmp_path / name) and "\n" not in str(caught.value)


def test_public_names() -> None:
    assert len(kaname.__all__) <= 12 and all(hasattr(kaname, name) for name in kaname.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        kaname.nothing


@pytest.mark.parametrize("name", ["gauge.pt", "gauge.onnx", "ball.onnx"])
def test_a_model_is_sent_to_other_processes(name: str) -> None:
    model = kaname.load(GOLDEN / name)
    there = pickle.loads(pickle.dumps(model))
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    source = [image] * model.frames if model.of_video else image
    assert repr(there.predict(source)) == repr(model.predict(source))
    assert there.card == model.card and type(there.runner) is type(model.runner)


def test_only_a_model_of_a_file_can_be_sent() -> None:
    model = kaname.load(GOLDEN / "gauge.onnx")
    with pytest.raises(TypeError, match=r"only a model of kaname\.load can be pickled"):
        pickle.dumps(model.using(model.runner))
