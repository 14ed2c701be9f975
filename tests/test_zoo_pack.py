"""What `zoo/pack.py` makes of a run: 16 bits that are computed with in 32, and nothing of the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import kaname
import shipping
from kaname import zoo
from kaname.errors import InputError
from kaname.inference import checkpoint, checkpoint_card
from kaname.inference.onnx_runner import OnnxRunner, read_card
from kaname.recipes import recipe_of

PACK = shipping.script("pack")


def test_a_constant_is_halved_where_nothing_is_lost() -> None:
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(4, 3)).astype(np.float16).astype(np.float32)
    half, scale = PACK.halves(exact, None)
    assert scale is None and half.dtype == np.float16 and np.array_equal(half.astype(np.float32), exact)
    rows = rng.uniform(0.1, 9, (4, 1)).astype(np.float32)
    rows[2] = 0
    assert PACK.halves(exact * rows, None) is None
    half, scale = PACK.halves(exact * rows, exact)
    assert np.array_equal(half.astype(np.float32), exact) and scale.shape == (4, 1)
    np.testing.assert_allclose(half.astype(np.float32) * scale, exact * rows, rtol=1e-6)
    assert PACK.halves(exact * rows + 1e-3, exact) is None
    assert PACK.halves(np.full((2, 2), 1e6, np.float32) + 1, None) is None


def test_a_graph_with_halves_answers_as_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(64, 64)).astype(np.float16).astype(np.float32)
    scales = rng.uniform(0.5, 2, (64, 1)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "net/a.weight"], ["y"]),
        helper.make_node("MatMul", ["y", "net/b"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(weights * scales, "net/module.a.weight"), numpy_helper.from_array(weights, "net/b")],
    )  # fmt: skip
    graph.node[0].input[1] = "net/module.a.weight"
    path = tmp_path / "g.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    import onnxruntime

    x = rng.normal(size=(1, 64)).astype(np.float32)
    before, size = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})[0], path.stat().st_size
    assert PACK.halve(path, {"a.weight": weights}) == 2
    onnx.checker.check_model(str(path))
    np.testing.assert_allclose(onnxruntime.InferenceSession(str(path)).run(None, {"x": x})[0], before, rtol=1e-5)
    assert path.stat().st_size < 0.6 * size


def test_small_tensors_stay_and_what_16_bits_do_not_hold_is_refused() -> None:
    stored = PACK.in_16_bits({"a": torch.ones(9, 9), "b": torch.ones(90, 90), "c": torch.ones(3, dtype=torch.int64)})
    assert [value.dtype for value in stored.values()] == [torch.float32, torch.float16, torch.int64]
    with pytest.raises(InputError, match="b holds values"):
        PACK.in_16_bits({"b": torch.full((90, 90), 1e6)})


def test_a_command_is_told_without_the_folders_of_a_machine() -> None:
    given = "python zoo/build.py gauge --out /mnt/disk/zoo/ship --set model.backbone=timm:/mnt/w/lite0 lr=1e-3 C:\\d\\x"
    told = "python zoo/build.py gauge --out ship --set model.backbone=timm:lite0 lr=1e-3 x"
    assert PACK.without_folders(given) == told


def test_a_card_names_no_place(tmp_path: Path) -> None:
    recipe = recipe_of("gauge")
    made = shipping.untrained("gauge", tmp_path / "a.pt", [*shipping.WORDS["gauge"], f"data={tmp_path}"])
    card = checkpoint_card.read(made).card
    card["config"]["model"]["backbone"] = f"timm:{tmp_path}/lite0"
    card["backbone"] = {**card["backbone"], "kind": "timm", "name": "tf_efficientnet_lite0"}
    clean = PACK.without_machine(recipe, {**card, "trained_on": ["aa"], "init": "the shipped model gauge"})
    assert clean["config"]["model"]["backbone"] == "timm:tf_efficientnet_lite0"
    assert clean["config"]["data"] == "training_data" and str(tmp_path) not in json.dumps(clean)
    assert not {"trained_on", "init"} & clean.keys() and clean["config"]["size"] == 64
    with pytest.raises(InputError, match="names a place of this machine"):
        PACK.without_machine(recipe, {**card, "versions": {"kaname": "/mnt/secret"}})


def test_figures_of_both_kinds_of_files(tmp_path: Path) -> None:
    one = {"value": 0.91234, "low": 0.8, "high": None, "n": 16, "note": "x"}
    judged, metrics = tmp_path / "scores.json", tmp_path / "metrics.json"
    judged.write_text(json.dumps({"dials": {"red (2)": {"F1": {}}, "all, by 3 kinds": {"F1": one, "PCK": one}}}))
    metrics.write_text(json.dumps({"middle": {"f1": one, "pck": one}, "settings": {"set": "val"}}))
    assert PACK.read_figures([str(judged), f"faces={metrics}"], ["F1", "middle f1"]) == {
        "dials (all, by 3 kinds)": {"F1": {"value": 0.9123, "low": 0.8, "high": None, "n": 16}},
        "faces": {"middle f1": {"value": 0.9123, "low": 0.8, "high": None, "n": 16}},
    }
    assert set(PACK.read_figures([str(metrics)])["val"]) == {"middle f1", "middle pck"}
    chosen = PACK.read_figures([str(metrics)], ["middle pck=found", "middle f1=F1"])
    assert list(chosen["val"]) == ["found", "F1"]  # the first one is what `predict` says


@pytest.mark.parametrize("recipe", sorted(shipping.WORDS))
def test_a_packed_model_answers_like_its_run(tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = shipping.untrained(recipe, tmp_path / "run.pt", trained={"epoch": 3})
    folder = tmp_path / "zoo"
    facts = shipping.ship(run, recipe, folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"{recipe}.json", f"{recipe}.onnx", f"{recipe}.pt"]
    monkeypatch.setenv(zoo.VARIABLE, str(folder))
    model = zoo.find(recipe)
    assert model.facts == facts and facts["bytes"]["pt"] == model.checkpoint.stat().st_size
    assert facts["parity"]["export"]["passed"] and facts["scores"]["pictures"] > 1
    inside = torch.load(model.checkpoint, weights_only=True)
    halves = [
        value for value in inside[checkpoint.weights_of(read_card(model.export)).key].values() if value.numel() > 2048
    ]
    assert halves and all(value.dtype == torch.float16 for value in halves)
    assert model.checkpoint.stat().st_size < 0.75 * run.stat().st_size
    for card in (checkpoint_card.read(model.checkpoint).card, read_card(model.export)):
        assert card["zoo"]["name"] == recipe and card["zoo"]["commit"] == "0123abc"
        assert card["zoo"]["scores"]["quantiles"]["0.05"] > 0 and card["trained"] == {"epoch": 3}
        assert str(tmp_path) not in json.dumps(card)
    opened = checkpoint.load(model.checkpoint)
    assert all(value.dtype != torch.float16 for value in opened.model.values())
    session: Any = OnnxRunner(model.export).session
    assert all(one.type == "tensor(float)" for one in session.get_outputs())
    picture = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    loaded = [kaname.load(path) for path in (run, model.checkpoint, model.export)]
    maps = [next(iter(one.outputs(one.request([picture] * one.frames)).values())) for one in loaded]
    np.testing.assert_allclose(maps[2], maps[1], atol=1e-4)
    np.testing.assert_allclose(maps[1], maps[0], atol=5e-3)


def test_a_card_of_another_size_is_that_of_a_network_built_for_it(tmp_path: Path) -> None:
    run, recipe = checkpoint.load(shipping.untrained("gauge", tmp_path / "run.pt")), recipe_of("gauge")
    larger = ["size=96" if word == "size=64" else word for word in shipping.WORDS["gauge"]]
    expected = checkpoint.load(shipping.untrained("gauge", tmp_path / "larger.pt", words=larger)).card
    assert PACK.answering(recipe, run.card, ["size=96"]) == expected != run.card
    with pytest.raises(InputError, match=r"train\.lr is not of the answers"):
        PACK.answering(recipe, run.card, ["train.lr=1"])


def test_a_file_that_is_too_large_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shipping.untrained("gauge", tmp_path / "run.pt")
    monkeypatch.setattr(zoo, "LIMIT", 1000)
    with pytest.raises(InputError, match=r"gauge\.pt has [\d,]+ bytes, and a shipped file at most 1,000"):
        shipping.ship(run, "gauge", tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()
