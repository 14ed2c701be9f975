"""Learning rates against their formulas, the moving average against a plain loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from kaname.errors import InputError
from kaname.training.optim import MovingAverage, Schedule, build_optimizer
from training.tiny_task import Net, make_settings

STEPS = 10


def rates(epochs: int = 6, **changes: Any) -> list[float]:
    schedule = Schedule(make_settings(epochs=epochs, lr=2.0, **changes), STEPS)
    return [schedule.rate(step) for step in range(epochs * STEPS)]


def test_cosine_with_warm_up() -> None:
    found = rates(schedule="cosine", warmup_epochs=1.5, final_lr=0.1)
    assert found[:15] == pytest.approx([2.0 * (step + 1) / 15 for step in range(15)])
    expected = [2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi * (step - 15) / 45)) / 2) for step in range(15, 60)]
    assert found[15:] == pytest.approx(expected)
    assert max(found) == pytest.approx(2.0) and found[-1] > 0.2


def test_cosine_without_warm_up_starts_at_the_peak() -> None:
    found = rates(schedule="cosine")
    assert found[0] == 2.0 and found == sorted(found, reverse=True) and 0 < found[-1] < 0.01


def test_steps_with_warm_up() -> None:
    found = rates(schedule="step", step_epochs=(2, 4), step_factor=0.5, warmup_epochs=0.5)
    assert found == pytest.approx([2.0 * (s + 1) / 5 for s in range(5)] + [2.0] * 15 + [1.0] * 20 + [0.5] * 20)


def test_constant() -> None:
    assert set(rates(schedule="constant")) == {2.0}


def test_plateau_with_warm_up() -> None:
    settings = make_settings(
        epochs=9, lr=1.0, schedule="plateau", plateau_patience=1, plateau_factor=0.5, warmup_epochs=2.0
    )
    schedule = Schedule(settings, STEPS)
    found = []
    # While the rate rises (epochs 1 and 2) nothing counts; then two epochs without a better loss halve it.
    for epoch, loss in enumerate([5.0, 6.0, 6.0, 6.0, 4.0, 4.0, 4.0, float("nan"), 1.0]):
        found.append(schedule.rate(epoch * STEPS))
        schedule.observe(loss, (epoch + 1) * STEPS)
    assert found == pytest.approx([0.05, 0.55, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25])
    other = Schedule(settings, STEPS)
    other.load(schedule.state())
    assert other.rate(80) == schedule.rate(80) and other.state() == schedule.state()


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimisers_take_what_trains(name: str, kind: str) -> None:
    model = Net()
    optimizer = build_optimizer(model.parameters(), make_settings(optimizer=name, lr=0.3, weight_decay=0.1))
    (group,) = optimizer.param_groups
    assert type(optimizer).__name__ == kind and group["weight_decay"] == 0.1 and group["lr"] == 0.3
    assert {id(value) for value in group["params"]} == {id(v) for v in model.parameters() if v.requires_grad}


def test_nothing_to_train() -> None:
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(InputError, match="every parameter is frozen"):
        build_optimizer(model.parameters(), make_settings())


def test_moving_average() -> None:
    torch.manual_seed(0)
    model = Net()
    average = MovingAverage(model, 0.6)
    expected = model.last.weight.detach().clone()
    for number in range(20):
        with torch.no_grad():
            model.last.weight.add_(torch.randn_like(model.last.weight))
            model.first.weight.add_(1.0)  # frozen: not averaged
            model.norm.running_mean.add_(1.0)  # a buffer: the model's own
        average.update()
        decay = min(0.6, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * model.last.weight.detach()
    assert torch.allclose(average.weights["last.weight"], expected, atol=1e-6)
    assert set(average.weights) == {"norm.weight", "norm.bias", "last.weight", "last.bias"}
    raw = {name: value.clone() for name, value in model.state_dict().items()}
    average.swap()
    assert torch.allclose(model.last.weight, expected, atol=1e-6)
    assert torch.equal(model.first.weight, raw["first.weight"])
    assert torch.equal(model.norm.running_mean, raw["norm.running_mean"])
    average.swap()
    assert all(torch.equal(value, raw[name]) for name, value in model.state_dict().items())


def test_the_average_goes_on_where_it_was() -> None:
    torch.manual_seed(0)
    model = Net()
    average, other = MovingAverage(model, 0.999), MovingAverage(model, 0.999)
    for _ in range(5):
        average.update()
    other.load(average.state())
    assert other.updates == 5
    with pytest.raises(InputError, match="another network"):
        other.load({"updates": 1, "weights": {"x": torch.ones(1)}})
