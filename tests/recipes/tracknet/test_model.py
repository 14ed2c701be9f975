"""Networks of every kind from a configuration, and again from a file's card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kaname import config as configuration
from kaname.errors import InputError
from kaname.pipeline.model import card_of
from kaname.recipes.tracknet import RECIPE
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.model import build, channel_names

TinyVit = Callable[[str], Path]
SIZES = ("data.resize=[96,64]", "model.heatmap.size=[48,32]", "model.decoder.channels=[C,16,16,8]")


def config(*overrides: str) -> TracknetConfig:
    words = {word.partition("=")[0]: word for word in (*SIZES, *overrides)}
    return configuration.load(TracknetConfig, overrides=list(words.values()))


def answer(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    return network({"images": images})["heatmaps"]


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("mode", ["conv_transpose", "interpolate"])
@pytest.mark.parametrize("fusion", ["stack", "concat", "attention"])
def test_transformers(frames: int, mode: str, fusion: str, tiny_vit: TinyVit) -> None:
    """Registers are read from the configuration of the weights; a map for each frame."""
    settings = config(
        f"model.pretrained_model_name={tiny_vit('dinov3_vit')}", f"data.sequence.length={frames}",
        f"model.decoder.mode={mode}", f"model.fusion={fusion}",
    )  # fmt: skip
    torch.manual_seed(0)
    network = build(settings).eval()
    images = torch.randint(0, 256, (2, 3 * frames, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        logits = answer(network, images)
        assert logits.shape == (2, frames, 32, 48)
        assert network.backbone.body.prefix == 5  # type: ignore[union-attr]
        torch.testing.assert_close(network.mean.flatten()[:3], 255 * torch.tensor([0.4, 0.41, 0.42]))
        again = build(settings, card={"backbone": json.loads(json.dumps(network.backbone.description))}).eval()
        again.load_state_dict(network.state_dict(), strict=True)
        assert torch.equal(answer(again, images), logits)
    assert network.backbone.frozen and not any(value.requires_grad for value in network.backbone.parameters())
    card = card_of(RECIPE, settings, network)
    assert json.loads(json.dumps(card)) == card and card["channels"] == channel_names(frames)
    assert str(tiny_vit("dinov3_vit").parent) not in json.dumps(card)


@pytest.mark.parametrize("kind", ["dinov2", "dinov2_with_registers", "vit"])
def test_other_transformers(kind: str, tiny_vit: TinyVit) -> None:
    patch = 16 if kind == "vit" else 14
    words = (f"data.resize=[{6 * patch},{4 * patch}]", "model.heatmap.size=[48,32]")
    network = build(config(f"model.pretrained_model_name={tiny_vit(kind)}", *words))
    assert answer(network, torch.zeros(1, 3, 4 * patch, 6 * patch)).shape == (1, 1, 32, 48)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("fusion", ["stack", "concat", "attention"])
@pytest.mark.parametrize("heatmap", ["[48,32]", "[96,64]"])
def test_the_small_network(frames: int, fusion: str, heatmap: str) -> None:
    words = ("model.pretrained_model_name=small:8", "model.decoder.name=linear", f"model.heatmap.size={heatmap}")
    settings = config(*words, f"data.sequence.length={frames}", f"model.fusion={fusion}")
    network = build(settings)
    columns, rows = settings.model.heatmap.size
    logits = answer(network, torch.zeros(1, 3 * frames, 64, 96)).detach()
    assert logits.shape == (1, frames, rows, columns)
    assert abs(float(logits.sigmoid().mean()) - 0.02) < 0.02, "it begins with: hardly anywhere"
    assert all(value.requires_grad for value in network.parameters()), "random weights always train"


def test_normalizations(tiny_vit: TinyVit) -> None:
    name = f"model.pretrained_model_name={tiny_vit('dinov3_vit')}"
    means = {kind: build(config(name, f"data.normalize={kind}")).mean.flatten().tolist()
             for kind in ("backbone", "imagenet", "none")}  # fmt: skip
    assert means["backbone"][0] == pytest.approx(102) and means["imagenet"][0] == pytest.approx(255 * 0.485)
    assert means["none"] == [0, 0, 0]


def test_what_cannot_be_built(tmp_path: Path) -> None:
    for word, said in (
        (f"model.pretrained_model_name={tmp_path / 'none'}", "the backbone's folder does not exist"),
        ("model.pretrained_model_name=smal", "did you mean small"),
        ("model.pretrained_model_name=small:7", "a multiple of 4"),
    ):
        with pytest.raises(InputError, match=said):
            build(config(word))
    with pytest.raises(InputError, match="small has no attention layers for LoRA"):
        build(config("model.pretrained_model_name=small:8", "model.lora.rank=2", "model.decoder.name=linear"))
