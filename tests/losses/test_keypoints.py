"""Losses of key points: slow references, gradients, one gradient for any split, what is not labelled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kaname.codecs.heatmap import encode
from kaname.geometry.grid import Grid
from kaname.losses.keypoints import (
    coordinate_error,
    heatmap_cross_entropy,
    soft_argmax,
    visibility_cross_entropy,
)

GRID = Grid((3.0, 4.0))


def example(images: int = 6, channels: int = 4) -> dict[str, Tensor]:
    random = np.random.default_rng(0)
    there = random.random((images, channels)) < 0.6
    there[1:2], there[0] = False, True
    targets = random.random((images, channels, 5, 6))
    truth = random.uniform(0, 20, (images, channels, 2))
    targets[~there], truth[~there] = np.nan, np.nan
    made: dict[str, Any] = {
        "logits": random.normal(0, 2, (images, channels, 5, 6)),
        "targets": targets,
        "points": random.uniform(0, 20, (images, channels, 2)),
        "truth": truth,
        "scale": random.uniform(1, 4, (images, 2)),
        "scores": random.normal(0, 2, (images, channels, 3)),
        "visible": np.where(there, random.integers(0, 3, there.shape), -1),
        "there": there,
    }
    return {name: torch.from_numpy(value) for name, value in made.items()}


def of_maps(e: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return heatmap_cross_entropy(e["logits"], e["targets"], e["there"], positive_weight=7.0)


def of_places(e: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return coordinate_error(e["points"], e["truth"], e["there"], e["scale"])


def of_visibility(e: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return visibility_cross_entropy(e["scores"], e["visible"])


LOSSES = {"maps": (of_maps, "logits"), "places": (of_places, "points"), "visibility": (of_visibility, "scores")}
EVERY = pytest.mark.parametrize("name", LOSSES)


def slow(name: str, e: dict[str, np.ndarray], image: int) -> float | None:
    values = []
    for channel in np.flatnonzero(e["there"][image]):
        if name == "maps":
            p = 1 / (1 + np.exp(-e["logits"][image, channel]))
            t = e["targets"][image, channel]
            values.append(float(np.mean(-(7 * t * np.log(p) + (1 - t) * np.log(1 - p)))))
        elif name == "places":
            dx, dy = np.abs(e["points"][image, channel] - e["truth"][image, channel]) * e["scale"][image]
            values.append(float(dx + dy))
        else:
            scores = np.exp(e["scores"][image, channel])
            values.append(-math.log(scores[e["visible"][image, channel]] / scores.sum()))
    return sum(values) / len(values) if values else None


@EVERY
def test_against_a_slow_reference(name: str) -> None:
    e = example()
    loss, images = LOSSES[name][0](e)
    each = [slow(name, {key: value.numpy() for key, value in e.items()}, image) for image in range(6)]
    known = [value for value in each if value is not None]
    assert each[1] is None and images.item() == len(known) == 5
    assert loss.item() == pytest.approx(sum(known), rel=1e-9)


@EVERY
def test_the_gradient(name: str) -> None:
    call, given = LOSSES[name]
    e = example(2)
    assert torch.autograd.gradcheck(lambda one: call({**e, given: one})[0], (e[given].requires_grad_(),))


@EVERY
def test_any_split_gives_one_gradient(name: str) -> None:
    call, given = LOSSES[name]
    found = []
    for size in (6, 2, 1):
        e = {key: value.float() if value.is_floating_point() else value for key, value in example().items()}
        values = e[given].requires_grad_()
        sums = [call({key: value[i : i + size] for key, value in e.items()}) for i in range(0, 6, size)]
        loss, count = (torch.stack(parts).sum() for parts in zip(*sums, strict=True))
        loss.backward()
        assert values.grad is not None and torch.isfinite(values.grad).all() and not values.grad[1].any()
        found.append((loss.detach() / count, values.grad / count))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("strides", [(4.0, 4.0), (2.75, 4.9)])
def test_the_place_of_a_sharp_peak(strides: tuple[float, float]) -> None:
    """A map whose softmax is a Gaussian gives its middle back, also on unequal strides."""
    grid = Grid(strides)
    place = grid.from_index([[20.3, 15.8]])
    gaussian = torch.from_numpy(encode(place, [2], (36, 40), grid, 2.0))[None].double()
    points = soft_argmax(gaussian.clamp(min=1e-30).log(), grid)
    np.testing.assert_allclose(points[0].numpy(), place, atol=0.01)
    logits = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one: soft_argmax(one, GRID), (logits,))


def test_half_precision_is_summed_in_single() -> None:
    e = {key: value.bfloat16() if value.is_floating_point() else value for key, value in example().items()}
    for call, _ in LOSSES.values():
        assert call(e)[0].dtype == torch.float32
    assert soft_argmax(e["logits"], GRID).dtype == torch.float32
