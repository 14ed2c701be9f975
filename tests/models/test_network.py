"""The whole network: sizes, normalization, the document's configuration, and the export."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from kaname.errors import InputError
from kaname.models.backbones import Backbone, build_backbone, freeze
from kaname.models.decoders import DECODERS
from kaname.models.network import Network
from kaname.types import Head
from models.tiny_vits import TINY

TinyVit = Callable[[str], Path]


def small(**arguments: object) -> Backbone:
    return build_backbone("small:8", pretrained=False, **arguments)


def maps(network: Network, images: Tensor) -> Tensor:
    return network({"images": images})["heatmaps"]


def test_logits_have_the_input_size() -> None:
    network = Network(small(), size=(64, 96), out_channels=3).eval()
    assert maps(network, torch.zeros(2, 3, 64, 96, dtype=torch.uint8)).shape == (2, 3, 64, 96)
    other = Network(small(), "upsample", size=(64, 96), out_channels=1, heatmap_size=(70, 100)).eval()
    assert maps(other, torch.zeros(2, 3, 64, 96)).shape == (2, 1, 70, 100)


def test_bytes_and_floats_agree_and_features_can_be_kept() -> None:
    network = Network(small(), size=(32, 32), out_channels=2).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(maps(network, images), maps(network, images.float()), rtol=0, atol=0)
        kept = {f"features_{level}": value for level, value in enumerate(network.features(images))}
        for answer in (network.decode(list(kept.values())), network(kept), network({"images": images * 0, **kept})):
            torch.testing.assert_close(maps(network, images), answer["heatmaps"], rtol=0, atol=0)


@pytest.mark.parametrize("normalize", ["imagenet", "backbone", "none"])
def test_normalization_is_inside(normalize: str, tiny_vit: TinyVit) -> None:
    backbone = build_backbone(str(tiny_vit("dinov2")), pretrained=True)
    network = Network(backbone, size=(28, 28), out_channels=1, normalize=normalize).eval()
    mean, std = {
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "backbone": ((0.4, 0.41, 0.42), (0.2, 0.21, 0.22)),
        "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    }[normalize]
    images = torch.randint(0, 256, (1, 3, 28, 28), dtype=torch.uint8)
    by_hand = (images / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(network.features(images)[0], backbone(by_hand)[0], atol=1e-5, rtol=1e-5)
    assert {"mean", "std"} <= network.state_dict().keys()


def test_further_inputs_pass_as_they_come() -> None:
    """By name, behind the normalized images, whatever the order they are given in; also behind several frames."""
    for frames in (1, 2):
        backbone = small(in_channels=3 * frames + 3)
        network = Network(backbone, size=(32, 32), frames=frames, further={"flow": 2, "foreground": 1}).eval()
        flow, foreground = torch.randn(1, 2, 32, 32), torch.rand(1, 1, 32, 32)
        seen: list[Tensor] = []
        backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))  # noqa: B023
        images = torch.randint(0, 256, (1, 3 * frames, 32, 32), dtype=torch.uint8)
        network({"foreground": foreground, "flow": flow, "images": images})
        torch.testing.assert_close(seen[0][:, 3 * frames :], torch.cat([flow, foreground], dim=1))
        assert seen[0][:, : 3 * frames].abs().max() < 3
        assert {name: tuple(one.shape) for name, one in network.inputs.items()} == {
            "images": (None, None, 3 * frames), "flow": (2, 32, 32), "foreground": (1, 32, 32)
        }  # fmt: skip
    with pytest.raises(InputError, match=r"3 of images \+ 2 of flow channels, the backbone takes 3"):
        Network(small(), size=(32, 32), further={"flow": 2})
    with pytest.raises(InputError, match="flow cannot be used where frames run alone; use fusion stack"):
        Network(small(in_channels=5), size=(32, 32), frames=2, fusion="concat", further={"flow": 2})


class Two(torch.nn.Module):
    """Maps at half the resolution and a vector."""

    stride = 2

    def __init__(self, channels: int, outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.maps = torch.nn.Conv2d(channels, outputs["heatmaps"], 1)
        self.line = torch.nn.Linear(channels, outputs["visibility"])

    def forward(self, features: list[Tensor]) -> dict[str, Tensor]:
        return {"visibility": self.line(features[-1].mean(dim=(2, 3))), "heatmaps": self.maps(features[0])}


def test_several_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps come in the heatmap's size, vectors as they are, in the order of the heads."""

    def build_two(channels: Sequence[int], strides: Sequence[int], outputs: Mapping[str, int]) -> Two:
        return Two(channels[-1], outputs)

    monkeypatch.setitem(DECODERS, "two", build_two)
    heads = {"heatmaps": Head(["a", "b"]), "visibility": Head(["0", "1", "2"] * 2, "softmax", groups=2)}
    network = Network(small(), "two", size=(32, 64), heads=heads, heatmap_size=(17, 40)).eval()
    answer = network({"images": torch.zeros(3, 3, 32, 64, dtype=torch.uint8)})
    assert {name: tuple(value.shape) for name, value in answer.items()} == {
        "heatmaps": (3, 2, 17, 40), "visibility": (3, 6)
    }  # fmt: skip
    assert list(answer) == list(heads) and network.heads == heads
    one = Network(small(), "linear", size=(32, 64), heads={"a": Head(["0", "1"]), "b": Head(["2"])}).eval()
    images = {"images": torch.zeros(3, 3, 32, 64, dtype=torch.uint8)}
    parts, whole = one(images), one._sized(one.decoder(one.features(images["images"])))
    assert torch.equal(torch.cat([parts["a"], parts["b"]], dim=1), whole)  # its channels are theirs, in their order
    with pytest.raises(InputError, match="at least 1 output channel"):
        Network(small(), "two", size=(32, 64), heads={**heads, "visibility": Head([])})


def test_sizes_are_checked_when_it_is_built(tiny_vit: TinyVit) -> None:
    backbone = build_backbone(str(tiny_vit("dinov2")), pretrained=True)
    with pytest.raises(InputError, match=r"^height must divide by 14, got 450; nearest 448$"):
        Network(backbone, size=(450, 448), out_channels=3)
    with pytest.raises(InputError, match=r"^width must divide by 14, got 5; nearest 14$"):
        Network(backbone, size=(448, 5), out_channels=3)
    with pytest.raises(InputError, match="smaller than the decoder's output"):
        Network(small(), size=(64, 64), out_channels=3, heatmap_size=(16, 64))
    with pytest.raises(InputError, match="known: imagenet, backbone, none"):
        Network(small(), size=(64, 64), out_channels=3, normalize="zscore")
    with pytest.raises(InputError, match="3 of images channels, the backbone takes 1"):
        Network(small(in_channels=1), size=(64, 64), out_channels=3)
    network = Network(small(), size=(64, 96), out_channels=3)
    with pytest.raises(InputError, match="takes images of 64 x 96, got 96 x 64; resize or letterbox them to 64 x 96"):
        maps(network, torch.zeros(1, 3, 96, 64))


def test_the_documents_configuration() -> None:
    """DINOv2 ViT-S/14 at 448 with the linear decoder: 32 x 32 x 384 features, 19,403 trained parameters."""
    backbone = build_backbone("facebook/dinov2-small", pretrained=False, notice=pytest.fail)
    freeze(backbone)
    network = Network(backbone, "linear", size=(448, 448), out_channels=3).train()
    with torch.no_grad():
        features = network.features(torch.zeros(1, 3, 448, 448, dtype=torch.uint8))
        logits = network.decode(features)["heatmaps"]
    assert [value.shape for value in features] == [(1, 384, 32, 32)]
    assert logits.shape == (1, 3, 448, 448)
    assert sum(value.numel() for value in network.parameters() if value.requires_grad) == 19_403


def test_new_channels_start_at_zero(tiny_vit: TinyVit) -> None:
    """The first answers are those to the images alone; as it is by default, every channel counts."""
    three = build_backbone(str(tiny_vit("dinov2")))
    six = build_backbone(str(tiny_vit("dinov2")), in_channels=6, options={"new_channels": "zero"})
    images, flow = torch.randn(1, 3, 28, 28), torch.randn(1, 3, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(six.eval()(torch.cat([images, flow], 1))[0], three.eval()(images)[0])
    again = build_backbone(description=json.loads(json.dumps(six.description)))
    again.load_state_dict(six.state_dict())
    with pytest.raises(InputError, match="unknown new_channels 'one'"):
        build_backbone(str(tiny_vit("dinov2")), in_channels=6, options={"new_channels": "one"})
    with pytest.raises(InputError, match="no option width"):
        build_backbone(str(tiny_vit("dinov2")), options={"width": 3})


# Backbones alone are exported by their contract; those that are not, here with a decoder.
EXPORTS = [
    pytest.param("small:8", "upsample"),
    pytest.param("dinov3_vit", "linear"),
    *[pytest.param(kind, "linear", marks=pytest.mark.slow) for kind in ("dinov2", "deit", "ijepa", "vit_msn")],
    pytest.param("timm:vit_tiny_patch16_224", "linear", marks=pytest.mark.slow),
    pytest.param("timm:convnext_atto", "upsample", marks=pytest.mark.slow),
    pytest.param("dinov2", "upsample", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "decoder"), EXPORTS)
def test_the_export_agrees(name: str, decoder: str, tiny_vit: TinyVit, tmp_path: Path) -> None:
    """Another size than the configuration's, higher than wide: positions are interpolated in the file as in torch."""
    torch.manual_seed(0)
    source = str(tiny_vit(name)) if name in TINY else name
    backbone = build_backbone(source, pretrained=name in TINY, notice=pytest.fail)
    size = (3 * backbone.multiple, 2 * backbone.multiple)
    network = Network(backbone, decoder, size=size, out_channels=3).eval()
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    program = torch.onnx.export(
        network, (), kwargs={"inputs": {"images": images}}, dynamo=True, verbose=False,
        dynamic_shapes={"inputs": {"images": {0: torch.export.Dim.DYNAMIC}}},
    )  # fmt: skip
    assert program is not None
    program.save(str(tmp_path / "network.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"), providers=["CPUExecutionProvider"])
    for batch in (images, torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)):
        (got,) = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
        with torch.no_grad():
            assert np.abs(got - maps(network, batch).numpy()).max() < 1e-4


def test_training_steps_are_finite_in_bf16() -> None:
    network = Network(small(), size=(32, 32), out_channels=3).train().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = maps(network, torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    logits.float().square().mean().backward()
    assert all(torch.isfinite(value.grad).all() for value in network.parameters() if value.grad is not None)
