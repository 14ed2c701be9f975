"""Networks of timm that are made for one size, and folders as timm itself writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models import save_for_hf

from kaname.errors import InputError
from kaname.models.backbones import build_backbone

FIXED = ["swin_tiny_patch4_window7_224", "levit_128s", "hiera_tiny_224", "coat_lite_tiny", "twins_svt_small"]


@pytest.mark.parametrize("name", FIXED)
def test_networks_of_one_size_are_built_for_the_input(name: str) -> None:
    backbone = build_backbone(f"timm:{name}", pretrained=False, size=(256, 192)).eval()
    images = torch.rand(1, 3, 256, 192)
    maps = backbone(images)
    for value, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
        assert value.shape == (1, channels, 256 // stride, 192 // stride)
    again = build_backbone(description=json.loads(json.dumps(backbone.description))).eval()
    again.load_state_dict(backbone.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(maps, again(images), strict=True))


@pytest.mark.parametrize("name", ["pit_ti_224", "pit_s_224"])
def test_maps_off_whole_cells_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="do not lie on whole cells"):
        build_backbone(f"timm:{name}", pretrained=False, size=(256, 256))


def test_a_size_that_a_network_cannot_take_is_one_line() -> None:
    with pytest.raises(InputError) as refused:
        build_backbone("timm:halonet26t", pretrained=False, size=(96, 96))
    assert "96 x 96" in str(refused.value) and "made for" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("vit_tiny_patch16_224", {"num_classes": 7}), ("convnext_atto", {"num_classes": 3, "global_pool": "avg"}),
        ("swin_tiny_patch4_window7_224", {"num_classes": 5}), ("resnet10t", {"num_classes": 2, "in_chans": 3}),
    ],
)  # fmt: skip
def test_folders_that_timm_writes(tmp_path: Path, name: str, arguments: dict[str, Any]) -> None:
    """`save_for_hf` keeps the arguments that the model was made with, its classifier's among them."""
    torch.manual_seed(0)
    original = timm.create_model(name, **arguments).eval()
    save_for_hf(original, str(tmp_path / "saved"), model_args=arguments)
    assert "num_classes" in json.loads((tmp_path / "saved" / "config.json").read_text())["model_args"]
    backbone = build_backbone(str(tmp_path / "saved"), size=(256, 256)).eval()
    known = [value for value in original.state_dict().values() if value.ndim == 4]
    own = [value for value in backbone.state_dict().values() if value.ndim == 4]
    assert own and torch.equal(own[0], known[0]), "the weights are those of the file"
    assert backbone(torch.rand(1, 3, 256, 256))[0].shape[0] == 1
