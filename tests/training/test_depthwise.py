"""Depthwise convolutions under a CPU's autocast."""

from __future__ import annotations

import copy

import timm
import torch
from torch import nn

from kaname.training.depthwise import keep_exact


def test_only_depthwise_convolutions_are_exact() -> None:
    model = nn.ModuleList([nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=2)])
    names = dict(model.state_dict())
    keep_exact(model)
    value = torch.rand(1, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert [module(value).dtype for module in model] == [torch.float32, torch.bfloat16, torch.bfloat16]
    with torch.autocast("cpu", torch.bfloat16):
        assert model[0](value.bfloat16()).dtype == torch.float32
    assert names.keys() == model.state_dict().keys() and repr(model[0]).startswith("Conv2d(")


def test_a_copy_works_with_its_own_weights() -> None:
    model = nn.Conv2d(2, 2, 1, groups=2)
    keep_exact(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.weight.zero_()
        other.bias.zero_()
    value = torch.rand(1, 2, 3, 3)
    assert other(value).abs().max() == 0 < model(value).abs().max()


def test_padding_of_other_kinds_stays(seed: int = 0) -> None:
    """timm's convolution that pads as TensorFlow does answers as before."""
    torch.manual_seed(seed)
    model = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    value = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = model(value)
        keep_exact(model)
        after = model(value)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
