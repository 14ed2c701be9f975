"""Adapters in a frozen transformer, parts that are held for a while, and fewer kept activations."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kaname.errors import InputError
from kaname.models.backbones import Backbone, add_lora, build_backbone, checkpoint_gradients, freeze, unfreeze
from kaname.models.network import Network
from models.tiny_vits import TINY

TinyVit = Callable[[str], Path]


def with_adapters(source: Path) -> tuple[Backbone, Backbone]:
    """The same backbone without and with adapters that are not zero."""
    plain = build_backbone(str(source)).eval()
    adapted = build_backbone(str(source))
    torch.manual_seed(0)
    add_lora(adapted, rank=2, alpha=4.0)
    return plain, adapted.eval()


@pytest.mark.parametrize("kind", TINY)
def test_only_the_adapters_train(kind: str, tiny_vit: TinyVit) -> None:
    plain, adapted = with_adapters(tiny_vit(kind))
    trained = [name for name, value in adapted.named_parameters() if value.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    assert adapted.description["lora"] == {"rank": 2, "alpha": 4.0} and not adapted.frozen
    images = torch.randn(1, 3, 2 * plain.multiple, 3 * plain.multiple)
    with torch.no_grad():
        torch.testing.assert_close(adapted(images)[0], plain(images)[0])
    adapted.train()(images)[0].square().mean().backward()
    optimizer = torch.optim.AdamW([value for value in adapted.parameters() if value.requires_grad], lr=1e-2)
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    optimizer.step()
    for name, value in adapted.state_dict().items():
        assert torch.equal(value, before[name]) or "lora_B" in name or "lora_A" in name
    with torch.no_grad():
        assert (adapted.eval()(images)[0] - plain(images)[0]).abs().max() > 1e-4


def test_rebuilt_from_the_description(tiny_vit: TinyVit) -> None:
    _, adapted = with_adapters(tiny_vit("dinov3_vit"))
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            value.data.normal_(std=0.1)
    again = build_backbone(description=adapted.description).eval()
    again.load_state_dict(adapted.state_dict(), strict=True)
    images = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.equal(again(images)[0], adapted(images)[0])
    assert again.description == adapted.description


def test_a_transformer_of_timm() -> None:
    backbone = build_backbone("timm:vit_tiny_patch16_224", pretrained=False)
    add_lora(backbone, rank=2, alpha=2.0)
    names = [name for name, value in backbone.named_parameters() if value.requires_grad]
    assert names and all(".qkv.lora_" in name for name in names)


def test_where_it_cannot_be(tiny_vit: TinyVit, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="small has no attention layers for LoRA; use a ViT"):
        add_lora(build_backbone("small:8"), rank=2, alpha=2.0)
    with pytest.raises(InputError, match="at least 1, got 0"):
        add_lora(build_backbone(str(tiny_vit("vit"))), rank=0, alpha=2.0)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match="peft, which is not installed; pip install"):
        add_lora(build_backbone(str(tiny_vit("vit"))), rank=2, alpha=2.0)


def test_a_backbone_frozen_for_now_gets_no_gradient(tiny_vit: TinyVit) -> None:
    backbone = build_backbone(str(tiny_vit("dinov3_vit")))
    network = Network(backbone, "linear", size=(32, 48), out_channels=1)
    images = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8)
    for frozen in (True, False, True):
        freeze(backbone, for_now=True) if frozen else unfreeze(backbone)
        network.zero_grad(set_to_none=True)
        network.train()
        assert backbone.training is not frozen
        network({"images": images})["heatmaps"].square().mean().backward()
        assert all((value.grad is None) is frozen for value in backbone.parameters())
        assert all(value.requires_grad for value in backbone.parameters())
        assert all(value.grad is not None for value in network.decoder.parameters())


@pytest.mark.parametrize("kind", ["dinov2", "dinov3_vit", "vit", "timm"])
def test_checkpointed_gradients_are_the_same(kind: str, tiny_vit: TinyVit) -> None:
    name = "timm:vit_tiny_patch16_224" if kind == "timm" else str(tiny_vit(kind))
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        options = {"img_size": 32} if kind == "timm" else None
        backbone = build_backbone(name, pretrained=kind != "timm", options=options)
        if checkpointed:
            checkpoint_gradients(backbone)
        torch.manual_seed(1)
        images = torch.randn(2, 3, 2 * backbone.multiple, 2 * backbone.multiple)
        backbone.train()(images)[0].square().mean().backward()
        found.append({name: value.grad for name, value in backbone.named_parameters()})
    for name, value in found[0].items():
        assert value is not None and found[1][name] is not None
        torch.testing.assert_close(found[1][name], value)


def test_no_checkpointing_of_the_small_network() -> None:
    with pytest.raises(InputError, match="small has no gradient checkpointing"):
        checkpoint_gradients(build_backbone("small:8"))
