"""The network: its outputs, the start of its further channels, and built again from a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kaname.config import load
from kaname.data.flow import channels
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.config import KpnetConfig
from kaname.recipes.kpnet.model import Ranged, build

WORDS = ("image_size=54,90", "heatmap_size=16,24", "model.width=16", "model.pretrained=false")


def config_of(*words: str) -> KpnetConfig:
    return load(KpnetConfig, overrides=[*WORDS, *words])


def inputs(rows: int = 2) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        "images": (torch.rand(rows, 3, 64, 96, generator=draw) * 255).to(torch.uint8),
        "flow": torch.randn(rows, 2, 64, 96, generator=draw).half() * 30,
        "foreground": (torch.rand(rows, 1, 64, 96, generator=draw) * 255).to(torch.uint8),
    }


@pytest.mark.parametrize("backbone", ["small:8", "timm:convnext_atto"])
@pytest.mark.parametrize("colours", [3, 6])
def test_three_heads_at_the_size_of_the_heatmap(backbone: str, colours: int) -> None:
    config = config_of(f"model.backbone={backbone}", f"in_chans={colours}")
    network = build(config).eval()
    with torch.no_grad():
        found = network({name: value for name, value in inputs().items() if name in network.inputs})
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes == {"heatmaps": (2, 27, 16, 24), "visibility": (2, 81), "segmentation": (2, 7, 16, 24)}
    assert len(network.inputs) == (3 if colours == 6 else 1)


def test_further_channels_begin_at_nothing() -> None:
    """Of a network with colours that it knows: its first answers are those to the colours alone."""
    network = build(config_of("model.backbone=timm:convnext_atto", "in_chans=6")).eval()
    given = inputs()
    with torch.no_grad():
        one = network(given)["heatmaps"]
        other = network({**given, "flow": given["flow"] * 0, "foreground": given["foreground"] * 0})["heatmaps"]
    assert torch.equal(one, other)


def test_motion_comes_to_its_range_as_the_contract_says() -> None:
    """The same three channels as `kaname.data.flow.channels`, from pixels of flow and levels of grey."""
    seen: list[torch.Tensor] = []

    class Body(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> list[Any]:
            seen.append(images)
            return [images]

    flow, grey = torch.randn(1, 2, 8, 8) * 30, (torch.rand(1, 1, 8, 8) * 255).round()
    Ranged(Body(), 20.0)(torch.cat([torch.zeros(1, 3, 8, 8), flow, grey], dim=1))
    true = channels(flow[0].permute(1, 2, 0).numpy(), grey[0, 0].byte().numpy(), scale=20.0)
    assert torch.allclose(seen[0][0, 3:], torch.from_numpy(true), atol=1e-6)


def test_a_network_is_built_again_from_its_card() -> None:
    from kaname.pipeline.model import card_of

    config = config_of("model.backbone=timm:convnext_atto", "in_chans=6")
    network = build(config).eval()
    card = {**card_of(RECIPE, config, network)}
    again = build(config, card=card).eval()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        for name, value in network(inputs()).items():
            assert torch.equal(value, again(inputs())[name])
    assert card["motion"] == {"method": "farneback", "delta": 1, "scale": 20.0} and card["view"]["canvas"] == [64, 96]


def test_small_is_the_u_net_whatever_lies_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small").mkdir()
    monkeypatch.chdir(tmp_path)
    network = build(config_of("model.backbone=small", "in_chans=6"))
    assert network.backbone.description["kind"] == "small"
