"""Several frames to one set of maps."""

from __future__ import annotations

import pytest
import torch

from kaname.errors import InputError
from kaname.models.backbones import build_backbone
from kaname.models.fusion import FUSIONS, STACK, build_fusion
from kaname.models.network import Network

CHANNELS, FRAMES = (8, 12), 3


def maps(frames: int = FRAMES, batch: int = 2) -> list[torch.Tensor]:
    return [torch.randn(batch, frames * width, 6 - 2 * level, 4) for level, width in enumerate(CHANNELS)]


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_shapes_and_gradients(name: str, frames: int) -> None:
    fusion = build_fusion(name, CHANNELS, frames)
    assert fusion is not None
    given = [value.requires_grad_() for value in maps(frames)]
    found = fusion(given)
    assert [tuple(value.shape) for value in found] == [(2, 8, 6, 4), (2, 12, 4, 4)]
    sum(value.square().sum() for value in found).backward()  # type: ignore[union-attr]
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in fusion.parameters())
    for value, width in zip(given, CHANNELS, strict=True):
        assert value.grad is not None
        assert (value.grad.unflatten(1, (frames, width)).abs().sum(dim=(0, 2, 3, 4)) > 0).all(), "every frame counts"


def test_concat_begins_as_the_mean() -> None:
    fusion = build_fusion("concat", CHANNELS, FRAMES)
    assert fusion is not None
    given = maps()
    for value, found, width in zip(given, fusion(given), CHANNELS, strict=True):
        torch.testing.assert_close(found, value.unflatten(1, (FRAMES, width)).mean(dim=1))


@pytest.mark.parametrize("name", FUSIONS)
def test_the_order_of_frames_can_be_learnt(name: str) -> None:
    """After a step of training, frames that change places give another answer: a fusion is no bag of frames."""
    torch.manual_seed(0)
    fusion = build_fusion(name, (8,), FRAMES)
    assert fusion is not None
    for parameter in fusion.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    value = torch.randn(1, FRAMES * 8, 3, 3)
    turned = value.unflatten(1, (FRAMES, 8)).flip(1).flatten(1, 2)
    assert (fusion([value])[0] - fusion([turned])[0]).abs().max() > 1e-2


def test_attention_sees_other_frames_and_no_other_cells() -> None:
    torch.manual_seed(0)
    fusion = build_fusion("attention", (8,), FRAMES)
    assert fusion is not None
    value = torch.randn(1, FRAMES * 8, 3, 4)
    changed = value.clone()
    changed[:, :8, 1, 2] += 5  # the first frame, one cell
    moved = (fusion([changed])[0] - fusion([value])[0]).abs().sum(dim=1)[0]
    assert moved[1, 2] > 1e-3
    moved[1, 2] = 0
    assert moved.max() == 0


def test_names() -> None:
    assert build_fusion(STACK, CHANNELS, FRAMES) is None
    with pytest.raises(InputError, match=r"unknown fusion 'sum'; known: stack, concat, attention"):
        build_fusion("sum", CHANNELS, FRAMES)


@pytest.mark.parametrize("fusion", [STACK, *FUSIONS])
def test_a_network_of_frames(fusion: str) -> None:
    """Frames share the backbone; features of a window can be kept."""
    torch.manual_seed(0)
    backbone = build_backbone("small:8", in_channels=9 if fusion == STACK else 3)
    network = Network(backbone, "linear", size=(32, 64), out_channels=3, heatmap_size=(16, 32), frames=3, fusion=fusion)
    network.eval()
    images = torch.randint(0, 256, (2, 9, 32, 64), dtype=torch.uint8)
    with torch.no_grad():
        logits = network({"images": images})["heatmaps"]
        assert logits.shape == (2, 3, 16, 32)
        torch.testing.assert_close(network.decode(network.features(images))["heatmaps"], logits)
        alone = network({"images": images[1:]})["heatmaps"]
        torch.testing.assert_close(alone, logits[1:], atol=1e-5, rtol=1e-5)
    assert network.mean.numel() == (9 if fusion == STACK else 3)


def test_a_network_of_no_frames() -> None:
    with pytest.raises(InputError, match="at least 1 frame"):
        Network(build_backbone("small:8"), size=(32, 32), out_channels=1, frames=0)
    with pytest.raises(InputError, match="9 of images channels, the backbone takes 3"):
        Network(build_backbone("small:8"), size=(32, 32), out_channels=1, frames=3, fusion=STACK)
