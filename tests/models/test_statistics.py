"""BatchNorm with held statistics, whatever kind of it a network has."""

from __future__ import annotations

import copy

import torch
from timm.layers import BatchNormAct2d
from torch import nn

from kaname.models.statistics import hold_statistics


def test_every_kind_is_held_and_stays_what_it_is() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(BatchNormAct2d(4)), nn.Dropout(0.5))
    model.train()(torch.randn(8, 3, 9, 9) * 3 + 1)  # statistics of some data
    names, stored = list(model.state_dict()), copy.deepcopy(model.state_dict())
    hold_statistics(model)
    hold_statistics(model)  # twice is once
    other = copy.deepcopy(model)
    for held in (model, other.train()):
        held.train()
        assert held[0].training and held[3].training and not held[1].training and not held[2][0].training
        assert isinstance(held[1], nn.BatchNorm2d) and isinstance(held[2][0], BatchNormAct2d)
        images = torch.randn(4, 3, 9, 9)
        body = held[:3]
        torch.testing.assert_close(body(images)[:1], body(images[:1]))  # no sample depends on another
        assert body(images).min() == 0  # the activation of timm's kind
        body(images).sum().backward()
        assert all(value.grad is not None for value in held.parameters())
        assert list(held.state_dict()) == names
        assert all(torch.equal(value, stored[name]) for name, value in held.state_dict().items())
