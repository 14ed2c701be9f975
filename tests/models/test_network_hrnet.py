"""HRNetV2-W18 of timm: its fuse layers' upsampling, its head, and statistics that stay as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.models.backbones import build_backbone
from kaname.models.network import Network
from kaname.models.statistics import hold_statistics
from kaname.types import Head

OPTIONS = {"feature_location": ""}


def hrnet(fuse: str | None = "bilinear", *, size: int = 64, points: int = 28) -> Network:
    options = OPTIONS | ({} if fuse is None else {"fuse": fuse})
    torch.manual_seed(0)
    backbone = build_backbone("hrnet_w18", pretrained=False, options=options)
    heads = {"heatmaps": Head([str(number) for number in range(points)], activation="none")}
    cells = (size // 4, size // 4)
    return Network(backbone, "concat", size=(size, size), heads=heads, heatmap_size=cells)


def modes(module: nn.Module) -> list[tuple[str, bool | None]]:
    return [(each.mode, each.align_corners) for each in module.modules() if isinstance(each, nn.Upsample)]


def test_the_switch_of_the_fuse_layers() -> None:
    """All 31 of them, kept by the description; without the switch they are timm's."""
    backbone = build_backbone("hrnet_w18", pretrained=False, options=OPTIONS | {"fuse": "bilinear"})
    assert backbone.channels == (64, 18, 36, 72, 144) and backbone.strides == (2, 4, 8, 16, 32)
    described = json.loads(json.dumps(backbone.description))
    cases = {"bilinear": ("bilinear", False), "nearest": ("nearest", None), None: ("nearest", None)}
    for fuse, expected in cases.items():
        again = build_backbone(description={**described, "fuse": fuse})
        assert modes(again) == [expected] * 31
    assert modes(backbone) == [cases["bilinear"]] * 31


def test_other_networks_have_nothing_to_switch() -> None:
    with pytest.raises(InputError, match="convnext_atto has no fuse layers"):
        build_backbone("timm:convnext_atto", pretrained=False, options={"fuse": "bilinear"})
    with pytest.raises(InputError, match="unknown upsampling of fuse layers 'cubic'; known: bilinear, nearest"):
        build_backbone("hrnet_w18", pretrained=False, options=OPTIONS | {"fuse": "cubic"})


def test_parameters_and_heatmaps() -> None:
    network = hrnet(size=256).eval()
    assert sum(value.numel() for value in network.parameters()) == 9_643_558
    with torch.no_grad():
        heatmaps = network({"images": torch.zeros(1, 3, 256, 256, dtype=torch.uint8)})["heatmaps"]
    assert heatmaps.shape == (1, 28, 64, 64)


def settle(network: Network, images: Tensor) -> None:
    """Let the stored statistics be those of these images, as a trained network's are of its training set."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    with torch.no_grad():
        network({"images": images})
    for norm in norms:
        norm.momentum = 0.1


def gradients(network: Network, images: Tensor, parts: Sequence[int]) -> Tensor:
    """Of the sum of squares over all heatmaps, the batch in parts."""
    network.zero_grad()
    for part in images.split(list(parts)):
        network({"images": part})["heatmaps"].square().sum().backward()
    return torch.cat([value.grad.flatten() for value in network.parameters() if value.grad is not None])


@pytest.mark.parametrize("hold", [True, False])
def test_held_statistics_give_one_gradient_for_every_split(hold: bool) -> None:
    """And they do not move, while their weights train; statistics of the batch do neither."""
    network = hrnet(size=32).double()
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(1)).double()
    settle(network, images)
    if hold:
        hold_statistics(network)
    network.train()
    assert network.backbone.training and list(network.state_dict()) == list(hrnet().state_dict())
    stored = {name: value.clone() for name, value in network.named_buffers()}
    whole, split = gradients(network, images, [8]), gradients(network, images, [4, 4])
    assert whole.numel() == 9_643_558  # nothing is without a gradient
    assert bool((whole - split).norm() <= 1e-6 * whole.norm()) is hold
    moved = [name for name, value in network.named_buffers() if not torch.equal(value, stored[name])]
    assert (not moved) is hold
    assert not any(part.training for part in network.eval().modules())
