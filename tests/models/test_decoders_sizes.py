"""Sizes that do not fit, and the ones that are proposed instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kaname import config as configuration
from kaname.errors import InputError
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.model import build

TinyVit = Callable[[str], Path]


def sized(*overrides: str) -> TracknetConfig:
    return configuration.load(TracknetConfig, overrides=overrides)


def choices_of(error: InputError) -> list[str]:
    assert error.remedy is not None and error.remedy.startswith("set one of: ")
    return error.remedy.removeprefix("set one of: ").split("; ")


@pytest.mark.parametrize(
    ("kind", "words", "count"),
    [
        ("dinov3_vit", ("data.resize=[128,64]", "model.heatmap.size=[128,64]"), 3),
        ("dinov3_vit", ("data.resize=[128,64]", "model.heatmap.size=[32,16]"), 3),
        ("dinov3_vit", ("data.resize=[128,64]", "model.heatmap.size=[16,8]"), 3),
        ("dinov3_vit", ("data.resize=[128,64]", "model.heatmap.size=[60,32]"), 3),
        ("dinov3_vit", ("data.resize=[128,64]", "model.heatmap.size=[64,32]", "model.decoder.name=linear"), 3),
        ("dinov2", ("data.resize=[140,56]", "model.heatmap.size=[40,16]"), 3),
        ("small", ("data.resize=[128,64]", "model.heatmap.size=[64,32]"), 3),
        ("small", ("data.resize=[128,64]", "model.heatmap.size=[32,16]", "model.decoder.name=linear"), 3),
        ("small", ("data.resize=[128,64]", "model.heatmap.size=[100,50]", "model.decoder.name=linear"), 3),
        ("dinov2", ("data.resize=[140,56]", "model.heatmap.size=[100,50]"), 3),
        ("dinov2", ("data.resize=[224,140]", "model.heatmap.size=[100,50]", "model.decoder.upsample=[2,2,2,2]",
                    "model.decoder.channels=[C,8,8,8,8]"), 2),
        ("dinov2", ("data.resize=[196,28]", "model.heatmap.size=[112,4]"), 3),
    ],
)  # fmt: skip
def test_every_choice_builds(kind: str, words: tuple[str, ...], count: int, tiny_vit: TinyVit) -> None:
    """Only legal values are printed: the heatmap's, the input's and the decoder's.

    Where what was asked for cannot be had, they are the nearest to it.
    """
    name = "small:8" if kind == "small" else str(tiny_vit(kind))
    before = {word.partition("=")[0]: word for word in (f"model.pretrained_model_name={name}", *words)}
    with pytest.raises(InputError, match=r"model.heatmap.size is") as caught:
        build(sized(*before.values()))
    choices = choices_of(caught.value)
    assert len(choices) == count, choices
    for choice in choices:
        changed = {word.partition("=")[0]: word for word in choice.split(" ")}
        build(sized(*{**before, **changed}.values()))


def test_three_choices_with_their_keys(tiny_vit: TinyVit) -> None:
    name = f"model.pretrained_model_name={tiny_vit('dinov3_vit')}"
    with pytest.raises(InputError) as caught:
        build(sized(name, "model.heatmap.size=[128,72]"))
    assert choices_of(caught.value) == [
        "model.heatmap.size=[256,144]", "data.resize=[256,144]", "model.decoder.upsample=[2,2,1]",
    ]  # fmt: skip
    with pytest.raises(InputError) as caught:
        build(sized(name, "model.heatmap.size=[512,288]"))
    assert choices_of(caught.value) == [
        "model.heatmap.size=[256,144]", "data.resize=[1024,576]",
        "model.decoder.upsample=[2,2,2,2] model.decoder.channels=[C,256,128,64,32]",
    ]  # fmt: skip


def test_an_input_that_the_backbone_cannot_take(tiny_vit: TinyVit) -> None:
    name = f"model.pretrained_model_name={tiny_vit('dinov2')}"
    with pytest.raises(InputError, match="height must divide by 14, got 288; nearest 294"):
        build(sized(name))
    build(sized(name, "data.resize=[518,294]", "model.heatmap.size=[296,168]"))


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("model.decoder.channels=[D,256,128,64]", "begins with 'D', the backbone has 32 channels; write C"),
        ("model.decoder.channels=[384,256,128,64]", "begins with 384, the backbone has 32"),
        ("model.decoder.channels=[C,256,C,64]", "[C, 256, 128, 64]"),
        ("model.decoder.channels=[C,256,128]", "names 2 stages after the backbone's own, model.decoder.upsample 3"),
        ("model.decoder.channels=[]", "begins with ''"),
        ("model.decoder.channels=[C]", "[C, 256, 128, 64]"),
        ("model.decoder.upsample=[2,4]", "names 3 stages"),
        ("model.decoder.upsample=[2,2,3]", "is [2, 2, 3]"),
    ],
)
def test_decoders_that_are_none(word: str, words: str, tiny_vit: TinyVit) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        build(sized(f"model.pretrained_model_name={tiny_vit('dinov3_vit')}", word))


def test_more_upsampling_than_the_stride_allows(tiny_vit: TinyVit) -> None:
    name = f"model.pretrained_model_name={tiny_vit('dinov3_vit')}"
    words = ("model.decoder.upsample=[2,2,2,2,2]", "model.decoder.channels=[C,8,8,8,8,8]")
    with pytest.raises(InputError, match=r"upsampling by 32.*model.decoder.upsample=\[2,2,2,1,1\]"):
        build(sized(name, *words))
    with pytest.raises(InputError, match=r"\[2,2,2,1,1\] model.heatmap.size=\[256,144\]"):
        build(sized(name, *words, "model.heatmap.size=[300,144]"))


def test_the_backbones_own_number_of_channels(tiny_vit: TinyVit) -> None:
    name = f"model.pretrained_model_name={tiny_vit('dinov3_vit')}"
    network = build(sized(name, "model.decoder.channels=[32,16,8,8]"))
    assert network.heatmap_size == (144, 256)
