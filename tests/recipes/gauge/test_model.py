from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kaname
from calling import call
from kaname import config as configuration
from kaname.inference import checkpoint
from kaname.inference.torch_runner import load_runner
from kaname.models.backbones import freeze
from kaname.pipeline.model import build_again, card_of
from kaname.pipeline.train import build_task
from kaname.recipes.gauge import RECIPE
from kaname.recipes.gauge.config import GaugeConfig, ModelSettings
from kaname.recipes.gauge.data import Dials
from kaname.recipes.gauge.model import build
from kaname.recipes.gauge.step import step_of
from kaname.training.settings import RunOptions
from kaname.types import Batch
from models.tiny_vits import TINY
from recipes.gauge.dials import CHANNELS, dial_points, draw_dial, write_data

KINDS = (
    "dinov2",
    "dinov3_vit",
    pytest.param("dinov2_with_registers", marks=pytest.mark.slow),
    pytest.param("vit", marks=pytest.mark.slow),
)


def save_tiny(kind: str, folder: Path) -> Path:
    """A tiny transformer with random weights, as Hugging Face saves one."""
    import transformers

    name, values, _ = TINY[kind]
    torch.manual_seed(0)
    transformers.AutoModel.from_config(getattr(transformers, name)(**values)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield write_data(tmp_path_factory.mktemp("small") / "data", 2, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_local_transformer_trains_predicts_and_exports(kind: str, small_data: Path, tmp_path: Path) -> None:
    folder = save_tiny(kind, tmp_path / "backbone")
    size = 56 if "dinov2" in kind else 64
    words = ("--backbone", folder, "--size", size, "--device", "cpu", "--num-workers", 0, "--epochs", 2, "--lr", "1e-2")
    answer = call("gauge", "train", "--data", small_data, *words, "--out-dir", tmp_path / "run").done()
    width = 32
    head = width * 50 + 50 + 50 * 3 + 3
    assert f"{head:,} of " in answer.out  # frozen: the decoder alone trains
    before = checkpoint.load(tmp_path / "run" / "model.pt")
    frozen = {name: value for name, value in before.model.items() if name.startswith("backbone.")}
    fresh = build(GaugeConfig(size=size, model=ModelSettings(backbone=str(folder)))).state_dict()
    assert frozen and all(torch.equal(value, fresh[name]) for name, value in frozen.items())
    image = draw_dial(dial_points(3))
    maps = kaname.load(tmp_path / "run" / "model.pt").maps(image)
    shutil.rmtree(folder)  # the file describes itself
    model = kaname.load(tmp_path / "run" / "model.pt")
    assert np.array_equal(model.maps(image), maps) and maps.shape == (3, size, size)
    assert model.card["pretrained"] is True and model.card["backbone"]["kind"] == "vit"
    source = next((small_data / "val" / "images").iterdir())
    call("gauge", "predict", "--model-path", tmp_path / "run" / "model.pt", source, "--out", tmp_path / "out",
         "--min-score", 0.01).done()  # fmt: skip
    assert len(json.loads((tmp_path / "out" / "points.json").read_text())["images"]) == 1
    call("gauge", "export", "--model-path", tmp_path / "run" / "model.pt", "--out", tmp_path / "x.onnx").done()
    assert np.abs(kaname.load(tmp_path / "x.onnx").maps(image) - maps).max() < 1e-4


def test_a_timm_backbone(small_data: Path, tmp_path: Path) -> None:
    words = ("--backbone", "timm:test_convnext", "--no-pretrained", "--size", 64, "--device", "cpu", "--num-workers", 0)
    call(
        "gauge",
        "train",
        "--data",
        small_data,
        *words,
        "--epochs",
        1,
        "--decoder",
        "upsample",
        "--out",
        tmp_path / "run",
    ).done()
    model = kaname.load(tmp_path / "run" / "model.pt")
    assert model.card["backbone"]["kind"] == "timm" and model.card["pretrained"] is False
    assert model.maps(draw_dial(dial_points(1))).shape == (3, 64, 64)


def test_a_size_that_the_patch_does_not_divide(small_data: Path, tmp_path: Path) -> None:
    folder = save_tiny("dinov2", tmp_path / "backbone")
    words = ("--backbone", folder, "--size", 60, "--device", "cpu")
    call("gauge", "train", "--data", small_data, *words, "--out", tmp_path / "run").refused("14", "60", "nearest 56")
    assert not (tmp_path / "run").exists()


def test_random_weights_train_as_a_whole(small_data: Path, tmp_path: Path) -> None:
    folder = save_tiny("vit", tmp_path / "backbone")
    words = (
        "--backbone",
        folder,
        "--no-pretrained",
        "--size",
        64,
        "--device",
        "cpu",
        "--num-workers",
        0,
        "--epochs",
        1,
    )
    out = call("gauge", "train", "--data", small_data, *words, "--out", tmp_path / "run").done().out
    line = next(line for line in out.splitlines() if "parameters train" in line)
    trained, whole = re.search(r"([\d,]+) of ([\d,]+) parameters train", line).groups()  # type: ignore[union-attr]
    assert trained == whole
    call("gauge", "evaluate", "--model-path", tmp_path / "run" / "model.pt", "--out", tmp_path / "e").done()
    assert "trained from scratch" in (tmp_path / "e" / "metrics.json").read_text()


def test_the_documents_configuration() -> None:
    """DINOv2 ViT-S/14 at 448, linear decoder: 19,403 parameters train, maps of 448 x 448 from 32 x 32 x 384 tokens."""
    config = GaugeConfig(model=ModelSettings(pretrained=False))
    network = build(config).eval()
    freeze(network.backbone)
    assert sum(value.numel() for value in network.parameters() if value.requires_grad) == 19_403
    shapes = [tuple(value.shape) for value in network.parameters() if value.requires_grad]
    assert shapes == [(50, 384, 1, 1), (50,), (3, 50, 1, 1), (3,)]
    with torch.inference_mode():
        images = torch.zeros((1, 3, 448, 448))
        features = network.features(images)
        assert [tuple(one.shape) for one in features] == [(1, 384, 32, 32)]
        small = network.decoder(features)
        logits = network.decode(features)["heatmaps"]
    assert tuple(small.shape) == (1, 3, 32, 32) and tuple(logits.shape) == (1, 3, 448, 448)
    expected = torch.nn.functional.interpolate(small, scale_factor=14, mode="bilinear", align_corners=False)
    assert torch.allclose(logits, expected, atol=1e-5)
    card = card_of(RECIPE, config, network)
    assert card["sigma_px"] == 8 and card["channels"] == ["start", "middle", "end"]


def test_features_are_the_last_layers_normalized_patch_tokens(tmp_path: Path) -> None:
    import transformers

    folder = save_tiny("dinov2", tmp_path / "backbone")
    network = build(GaugeConfig(size=56, model=ModelSettings(backbone=str(folder)))).eval()
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    image = torch.from_numpy(draw_dial(dial_points(2), (56, 56))).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        tokens = reference(pixel_values=(image / 255 - mean) / std).last_hidden_state[:, 1:]
        ours = network.features(image)[0]
    assert torch.allclose(ours.flatten(2).transpose(1, 2), tokens, atol=1e-4)


def test_the_loss_is_bce_on_soft_targets() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 8, 8), generator=random)
    targets = torch.randint(0, 256, (2, 3, 8, 8), generator=random, dtype=torch.uint8)

    class Fixed(torch.nn.Module):
        def forward(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"heatmaps": logits}

    batch = Batch({"images": torch.zeros((2, 3, 8, 8))}, targets={"heatmaps": targets}, index=torch.arange(2))
    output = step_of(GaugeConfig())(Fixed(), batch).terms["bce"]
    soft = targets.double() / 255
    p = torch.sigmoid(logits.double())
    expected = -(soft * torch.log(p) + (1 - soft) * torch.log(1 - p))
    assert output.sum.item() == pytest.approx(expected.sum().item(), rel=1e-5)
    assert output.sum.item() / output.weight.item() == pytest.approx(expected.mean().item(), rel=1e-5)


def test_a_task_holds_the_data_and_the_card(small_data: Path, tmp_path: Path) -> None:
    config = GaugeConfig(data=small_data, size=64, model=ModelSettings(backbone="small:8"))
    made = build_task(RECIPE, config, RunOptions(tmp_path), RECIPE.read_sets(config))
    assert isinstance(made.train, Dials) and len(made.train) == 2 and made.val is not None and len(made.val) == 1
    assert made.best_name == "model.pt" and made.config["data"] == small_data.as_posix()
    checkpoint.save(tmp_path / "x.pt", card={**made.card, "recipe": "gauge", "config": made.config},
                    model=made.model.state_dict(), training=None)  # fmt: skip
    built: list[torch.nn.Module] = []

    def build_and_keep(card: Mapping[str, Any]) -> torch.nn.Module:
        built.append(build_again(RECIPE, card, tmp_path / "x.pt"))
        return built[-1]

    _, card = load_runner(tmp_path / "x.pt", "gauge", build_and_keep, device="cpu")
    assert configuration.from_dict(GaugeConfig, card["config"]) == config
    for name, value in made.model.state_dict().items():
        assert torch.equal(built[0].state_dict()[name], value)
    assert not list(tmp_path.glob("runs*")) and tuple(made.card["channels"]) == CHANNELS
