"""SAM 2 behind the protocol: what it is told, what it answers, and that it forgets just what it does not need."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from kaname.errors import InputError
from kaname.models import sam2
from kaname.models.sam2 import Prompt, Sam2Propagator
from models.tiny_sam2 import tiny_model

SIZE = (48, 80)
LENGTH = 24


def frame(place: int) -> Any:
    picture = np.full((*SIZE, 3), 60, np.uint8)
    left = 5 + place % 40
    picture[10:20, left : left + 10] = (200, 50, 20)
    return picture


def box(place: int) -> Any:
    found = np.zeros(SIZE, bool)
    found[10:20, 5 + place % 40 : 15 + place % 40] = True
    return found


PROMPTS: Mapping[int, Mapping[int, Prompt]] = {
    0: {1: Prompt(mask=box(0)), 2: Prompt(inside=np.array([[30.0, 30.0]]), outside=np.array([[9.0, 15.0]]))},
    LENGTH - 1: {1: Prompt(mask=box(LENGTH - 1))},
}


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model()


@pytest.fixture
def propagator(model: Any) -> Sam2Propagator:
    return Sam2Propagator(model, sam2.processor_of(model.config))


def tracked(propagator: Sam2Propagator, prompts: Any = PROMPTS, order: Any = range(LENGTH)) -> dict[int, Any]:
    return {place: masks for place, masks in propagator.track(frame, prompts, order)}


def test_every_frame_has_every_object(propagator: Sam2Propagator) -> None:
    found = tracked(propagator)
    assert list(found) == list(range(LENGTH))
    for masks in found.values():
        assert set(masks) == {1, 2} and all(one.shape == SIZE and one.dtype == bool for one in masks.values())
    for place in PROMPTS:  # of a prompt by a mask the answer is the mask, at a quarter of the network's resolution
        both = (found[place][1] & box(place)).sum() / (found[place][1] | box(place)).sum()
        assert both > 0.7
    assert (found[0][2] != found[0][1]).any()


def test_forgetting_changes_nothing(propagator: Sam2Propagator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The masks are those of a session that keeps everything, forwards and backwards."""
    ends = {place: {1: own[1]} for place, own in PROMPTS.items()}
    orders = [(PROMPTS, range(LENGTH)), (ends, range(LENGTH - 1, -1, -1))]
    sparing = [tracked(propagator, prompts, order) for prompts, order in orders]
    monkeypatch.setattr(Sam2Propagator, "_forget", lambda *_: None)
    keeping = [tracked(propagator, prompts, order) for prompts, order in orders]
    for one, other in zip(sparing, keeping, strict=True):
        assert list(one) == list(other)
        assert all((one[place][key] == mask).all() for place in other for key, mask in other[place].items())


@pytest.mark.parametrize("step", [1, -1])
def test_a_session_does_not_grow(propagator: Sam2Propagator, step: int) -> None:
    """Tensors and bytes after 20 frames, when all that is remembered is full, and after 80."""
    order = range(0, 81) if step > 0 else range(80, -1, -1)
    prompts = {order[0]: {1: Prompt(mask=box(order[0]))}, order[-1]: {1: Prompt(mask=box(order[-1]))}}
    held = [propagator.held for _ in propagator.track(frame, prompts, order)]
    assert held[20] == held[60] and held[60][0] > 0
    assert max(bytes for _, bytes in held) == held[20][1]


def test_clicks_go_where_they_are_meant(propagator: Sam2Propagator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder adds half of a pixel of the network's input to what it gets: then it is the continuous place."""
    seen: list[Any] = []
    embedding = propagator.model.prompt_encoder.shared_embedding
    forward = embedding.forward

    def watch(points: Any, shape: Any = None) -> Any:
        seen.append(points.detach().clone())
        return forward(points, shape)

    monkeypatch.setattr(embedding, "forward", watch)
    list(propagator.track(frame, {0: {2: PROMPTS[0][2]}}, range(1)))
    side = propagator.model.config.image_size
    wanted = torch.tensor([[30.0, 30.0], [9.0, 15.0]]) * torch.tensor([side / SIZE[1], side / SIZE[0]])
    assert torch.allclose(seen[0][0, 0, :2], wanted, atol=1e-4)


def test_half_precision(model: Any) -> None:
    halved = Sam2Propagator(tiny_model().to(torch.bfloat16), sam2.processor_of(model.config))
    found = tracked(halved, order=range(4), prompts={0: PROMPTS[0]})
    assert set(found[3]) == {1, 2} and found[0][1].any()


def test_sizes_are_told_apart(model: Any) -> None:
    assert [sam2.size_of(sam2.config_of(size)) for size in sam2.SIZES] == list(sam2.SIZES)
    assert sam2.size_of(model.config) is None


@pytest.mark.parametrize("name", ["transformers", "torch"])
def test_a_missing_library(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sam2.require_installed()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=f"SAM 2 needs {name}, .*the extra train"):
        sam2.require_installed()
