"""The feature pyramid: its stages by the heatmap's size, named outputs, one map, places, one gradient for any split."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kaname.errors import InputError
from kaname.models.backbones import build_backbone
from kaname.models.decoders import build_decoder
from kaname.models.network import Network
from kaname.types import Head

STRIDES = (4, 8, 16, 32)
CHANNELS = (99, 6, 8, 10)  # the finest is not used
OUTPUTS = {"heatmaps": 27, "visibility": 81, "segmentation": 7}


def built(canvas: tuple[int, int], heatmap: tuple[int, int], **options: Any) -> Any:
    torch.manual_seed(0)
    options = {"width": 16, "hidden": 12, "pooled": ["visibility"], **options}
    return build_decoder("fpn", CHANNELS, STRIDES, OUTPUTS, canvas=list(canvas), heatmap=list(heatmap), **options)


def maps(canvas: tuple[int, int], images: int = 2) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    sizes = zip(CHANNELS, STRIDES, strict=True)
    return [torch.randn(images, c, canvas[0] // s, canvas[1] // s, generator=random) for c, s in sizes]


@pytest.mark.parametrize(
    ("canvas", "heatmap", "cells"),
    [
        ((384, 384), (196, 196), (192, 192)),
        ((384, 384), (96, 96), (96, 96)),
        ((544, 960), (196, 196), (68, 120)),  # 240 columns would be too many
        ((544, 960), (136, 240), (136, 240)),
        ((544, 960), (135, 240), (68, 120)),
        ((64, 96), (64, 96), (64, 96)),
        ((64, 96), (5, 9), (5, 9)),  # smaller than the finest map: brought down by the filter
        ((64, 96), (8, 9), (8, 9)),
    ],
)
def test_stages_follow_the_heatmap(canvas: tuple[int, int], heatmap: tuple[int, int], cells: tuple[int, int]) -> None:
    decoder = built(canvas, heatmap)
    found = decoder(maps(canvas, 1))
    assert {name: tuple(one.shape) for name, one in found.items()} == {
        "heatmaps": (1, 27, *cells), "visibility": (1, 81), "segmentation": (1, 7, *cells),
    }  # fmt: skip
    given = [round(side / decoder.stride) for side in canvas]
    assert all(have <= wanted for have, wanted in zip(given, heatmap, strict=True))  # what Network asks for


def test_every_weight_learns_and_heatmaps_begin_low() -> None:
    decoder = built((64, 96), (32, 48))
    found = decoder(maps((64, 96)))
    assert found["heatmaps"].sigmoid().mean() < 0.1 < found["segmentation"].sigmoid().mean()
    torch.stack([one.square().sum() for one in found.values()]).sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in decoder.parameters())


def test_no_statistics_of_the_batch() -> None:
    """The mean gradient of a batch is that of its images; a second pass changes nothing."""
    decoder, features = built((64, 96), (32, 48)).train(), maps((64, 96), 3)
    whole = decoder(features)
    for name, one in whole.items():
        apart = torch.cat([decoder([value[i : i + 1] for value in features])[name] for i in range(3)])
        torch.testing.assert_close(apart, one, rtol=1e-4, atol=1e-5)
    assert not list(decoder.buffers())


def test_mirrored_maps_give_mirrored_answers() -> None:
    """No stage moves anything sideways, nor does the filter that brings a large map down."""
    for heatmap in ((32, 48), (7, 11)):
        decoder = built((64, 96), heatmap).eval()
        for module in decoder.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.data = (module.weight.data + module.weight.data.flip(-1)) / 2
        features = maps((64, 96))
        found, mirrored = decoder(features), decoder([value.flip(-1) for value in features])
        torch.testing.assert_close(mirrored["heatmaps"].flip(-1), found["heatmaps"], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mirrored["visibility"], found["visibility"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("heatmap", [(16, 24), (17, 31), (9, 30)])
def test_one_map_goes_straight_to_the_heads(heatmap: tuple[int, int]) -> None:
    """The small U-Net with three heads in a network, whatever the heatmap's size."""
    backbone = build_backbone("small", in_channels=6, options={"stride": 4})
    heads = {
        "heatmaps": Head([str(n) for n in range(27)]),
        "visibility": Head([str(n) for n in range(81)], "softmax", groups=27),
        "segmentation": Head([str(n) for n in range(7)], "softmax"),
    }
    options = {"canvas": [64, 96], "heatmap": list(heatmap), "pooled": ["visibility"]}
    network = Network(
        backbone, "fpn", size=(64, 96), heads=heads, heatmap_size=heatmap, decoder_options=options,
        further={"motion": 3}, normalize="none",
    )  # fmt: skip
    assert not len(network.decoder.laterals) and not len(network.decoder.stages)
    found = network({"images": torch.zeros(1, 3, 64, 96), "motion": torch.zeros(1, 3, 64, 96)})
    assert found["heatmaps"].shape == (1, 27, *heatmap) and found["visibility"].shape == (1, 81)
    assert found["segmentation"].shape == (1, 7, *heatmap)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 0}, "cannot have the sizes"),
        ({"heatmap": [0, 4]}, "cannot have the sizes"),
        ({"pooled": ["sight"]}, "no output is called 'sight'; known: heatmaps, visibility, segmentation"),
        ({"stages": 2}, "has no option 'stages'"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], reason: str) -> None:
    options = {"canvas": [64, 96], "heatmap": [16, 24], **changes}
    with pytest.raises(InputError, match=reason):
        build_decoder("fpn", CHANNELS, STRIDES, OUTPUTS, **options)
    with pytest.raises(InputError, match="strides must rise"):
        build_decoder("fpn", (4, 4), (16, 16), OUTPUTS, canvas=[64, 64], heatmap=[16, 16])
