"""Weights of a shipped model for networks with the same heads, fewer, more and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import shipping
from kaname import config as configuration
from kaname.errors import InputError
from kaname.inference import checkpoint
from kaname.inference.checkpoint import Checkpoint
from kaname.recipes import recipe_of
from kaname.training.warm_start import fitted

FPN = ["model.backbone=small:8", "model.pretrained=false", "size=64", "model.decoder=fpn"]
LINEAR = shipping.WORDS["gauge"][:3]


def shipped(path: Path, words: list[str]) -> Checkpoint:
    shipping.untrained(
        "gauge", path, words, zoo={"name": "gauge", "trained_on": "rendered dials"}, trained={"epoch": 7}
    )
    return checkpoint.load(path)


def network(words: list[str]) -> Any:
    torch.manual_seed(9)
    return recipe_of("gauge").build(configuration.load(recipe_of("gauge").schema.value, overrides=words))


def loaded(net: Any, opened: Checkpoint) -> tuple[dict[str, torch.Tensor], list[str]]:
    weights, said = fitted(net, opened)
    checkpoint.load_weights(net, weights)
    return net.state_dict(), said


@pytest.mark.parametrize("words", [FPN, LINEAR])
def test_the_same_heads_are_taken_whole(tmp_path: Path, words: list[str]) -> None:
    opened = shipped(tmp_path / "a.pt", [*words, "needle=true"])
    state, said = loaded(network([*words, "needle=true"]), opened)
    assert all(torch.equal(state[name], value) for name, value in opened.model.items())
    assert said == ["weights of the shipped model gauge (epoch 7; rendered dials)"]


@pytest.mark.parametrize("words", [FPN, LINEAR])
def test_a_head_that_the_run_lacks_is_left_out(tmp_path: Path, words: list[str]) -> None:
    opened = shipped(tmp_path / "a.pt", [*words, "needle=true"])
    state, said = loaded(network(words), opened)
    assert said[1:] == ["left out of them: the head needle"]
    for name, value in opened.model.items():
        if name in state:
            assert torch.equal(state[name], value[: len(state[name])] if value.ndim else value), name


@pytest.mark.parametrize("words", [FPN, LINEAR])
def test_a_head_that_the_model_lacks_starts_afresh(tmp_path: Path, words: list[str]) -> None:
    opened, net = shipped(tmp_path / "a.pt", words), network([*words, "needle=true"])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state, said = loaded(net, opened)
    assert said[1:] == ["not in them, and trained from random weights: the head needle"]
    for name, value in state.items():
        if name in opened.model and opened.model[name].shape == value.shape:
            assert torch.equal(value, opened.model[name]), name
        elif name in opened.model:
            assert torch.equal(value[:3], opened.model[name]) and torch.equal(value[3:], before[name][3:]), name
        else:
            assert "needle" in name and torch.equal(value, before[name])


def test_a_head_of_other_channels_starts_afresh(tmp_path: Path) -> None:
    opened, net = shipped(tmp_path / "a.pt", LINEAR), network(LINEAR)
    net.heads = {"heatmaps": type(net.heads["heatmaps"])(["left", "middle", "right"])}
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state, said = loaded(net, opened)
    assert said[1:] == [
        "left out of them: the head heatmaps", "not in them, and trained from random weights: the head heatmaps"
    ]  # fmt: skip
    last = [name for name in state if name.startswith("decoder.") and len(state[name]) == 3]
    assert last and all(torch.equal(state[name], before[name]) for name in last)


@pytest.mark.parametrize("other", ["model.backbone=small:16", "model.decoder=fpn", "model.decoder=upsample"])
def test_another_network_is_refused(tmp_path: Path, other: str) -> None:
    words = [word for word in LINEAR if word.partition("=")[0] != other.partition("=")[0]]
    opened, net = shipped(tmp_path / "a.pt", LINEAR), network([*words, other])
    with pytest.raises(InputError, match="the weights do not fit the network"):
        loaded(net, opened)


def test_other_colours_are_refused(tmp_path: Path) -> None:
    opened, net = shipped(tmp_path / "a.pt", LINEAR), network([*LINEAR, "model.normalize=none"])
    with pytest.raises(InputError, match="images normalised by"):
        fitted(net, opened)
