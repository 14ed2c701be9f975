"""Every decoder: shapes, strides, options, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from kaname.errors import InputError
from kaname.models.decoders import DECODERS, build_decoder

CASES: list[tuple[str, int, dict[str, Any], float]] = [
    ("linear", 16, {}, 16),
    ("linear", 16, {"hidden": 7}, 16),
    ("upsample", 16, {}, 2),
    ("upsample", 14, {}, 1.75),
    ("upsample", 2, {}, 1),
    ("upsample", 16, {"widths": [12, 8], "factors": [2, 1], "mode": "conv_transpose"}, 8),
    ("upsample", 16, {"widths": [12, 9], "factors": [2, 2], "mode": "interpolate"}, 4),
]


@pytest.mark.parametrize(("name", "stride", "options", "after"), CASES)
def test_contract(name: str, stride: int, options: dict[str, Any], after: float) -> None:
    decoder = build_decoder(name, (4, 10), (stride // 2, stride), 5, **options)
    assert decoder.stride == after
    logits = decoder([torch.randn(2, 4, 6, 8), torch.randn(2, 10, 3, 4)])
    factor = stride / after
    assert logits.shape == (2, 5, 3 * factor, 4 * factor)
    logits.sum().backward()
    assert all(value.grad is not None for value in decoder.parameters())


def test_linear_has_the_documented_number_of_parameters() -> None:
    decoder = build_decoder("linear", (384,), (14,), 3)
    assert sum(value.numel() for value in decoder.parameters()) == 19_403


def test_concat_joins_the_last_four_maps_at_the_finest() -> None:
    """Against the same written out: each map bilinear to 16 x 12 cells, side by side, then the layers."""
    torch.manual_seed(0)
    decoder = build_decoder("concat", (64, 2, 3, 4, 5), (2, 4, 8, 16, 32), 7)
    assert decoder.stride == 4
    features = [torch.randn(2, width, 64 // stride, 48 // stride) for width, stride in
                zip((64, 2, 3, 4, 5), (2, 4, 8, 16, 32), strict=True)]  # fmt: skip
    heatmaps = decoder(features)
    assert heatmaps.shape == (2, 7, 16, 12) and heatmaps.abs().max() < 0.1  # raw maps begin at about 0
    layers = dict(decoder.final_layer.named_children())
    assert [type(layer).__name__ for layer in layers.values()] == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]
    grown = [functional.interpolate(value, (16, 12), mode="bilinear") for value in features[1:]]
    torch.testing.assert_close(decoder.final_layer(torch.cat(grown, dim=1)), heatmaps)
    heatmaps.sum().backward()
    assert all(value.grad is not None for value in decoder.parameters())
    with pytest.raises(InputError, match="joins 4 maps, the backbone gives 2"):
        build_decoder("concat", (8, 16), (4, 8), 3)


def test_a_head_of_raw_values_begins_without_a_prior() -> None:
    bias = build_decoder("upsample", (8,), (4,), 3, widths=[8], factors=[1], seldom=False).head.bias
    assert (
        bias.abs().max() < 1 < build_decoder("upsample", (8,), (4,), 3, widths=[8], factors=[1]).head.bias.abs().min()
    )


@pytest.mark.parametrize("mode", ["conv_transpose", "interpolate"])
def test_upsampling_keeps_places(mode: str) -> None:
    """A constant stays constant inside, and what is mirrored left and right comes out mirrored."""
    torch.manual_seed(0)
    decoder = build_decoder("upsample", (3,), (8,), 1, widths=[4, 4], factors=[2, 2], mode=mode).eval()
    for module in decoder.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.weight.data = (module.weight.data + module.weight.data.flip(-1)) / 2
    features = torch.randn(1, 3, 5, 6)
    with torch.no_grad():
        torch.testing.assert_close(decoder([features]).flip(-1), decoder([features.flip(-1)]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("cubic", {}, "known: linear, upsample, concat, fpn"),
        ("linear", {"widht": 3}, "has no option 'widht'; known: hidden"),
        ("linear", {"hidden": 0}, "hidden must be at least 1"),
        ("upsample", {"mode": "nearest"}, "known: conv_transpose, interpolate"),
        ("upsample", {"widths": [8, 8], "factors": [2]}, "as many factors as widths"),
        ("upsample", {"widths": [8], "factors": [3]}, "factors are 1 or 2"),
        ("upsample", {"widths": [8] * 5, "factors": [2] * 5}, "more than the backbone's stride 16"),
    ],
)
def test_refusals(name: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        build_decoder(name, (8,), (16,), 3, **options)
    with pytest.raises(InputError, match="at least 1 output"):
        build_decoder("linear", (8,), (16,), 0)


def test_the_dictionary() -> None:
    ours = {name for name, build in DECODERS.items() if build.__module__.startswith("kaname.")}
    assert ours == {"linear", "upsample", "concat", "fpn"}
