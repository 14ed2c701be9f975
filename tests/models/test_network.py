"""The whole network: sizes, normalisation, the document's configuration, and the export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from kaname.errors import InputError
from kaname.models.backbones import Backbone, build_backbone, freeze
from kaname.models.network import Network, trainable_parameters
from models.tiny_vits import TINY

TinyVit = Callable[[str], Path]


def small(**arguments: object) -> Backbone:
    return build_backbone("small:8", pretrained=False, **arguments)


def test_logits_have_the_input_size() -> None:
    network = Network(small(), size=(64, 96), out_channels=3).eval()
    assert network(torch.zeros(2, 3, 64, 96, dtype=torch.uint8)).shape == (2, 3, 64, 96)
    other = Network(small(), "upsample", size=(64, 96), out_channels=1, heatmap_size=(70, 100)).eval()
    assert other(torch.zeros(2, 3, 64, 96)).shape == (2, 1, 70, 100)


def test_bytes_and_floats_agree_and_features_can_be_kept() -> None:
    network = Network(small(), size=(32, 32), out_channels=2).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(network(images), network(images.float()), rtol=0, atol=0)
        torch.testing.assert_close(network(images), network.decode(network.features(images)), rtol=0, atol=0)


@pytest.mark.parametrize("normalize", ["imagenet", "backbone", "none"])
def test_normalisation_is_inside(normalize: str, tiny_vit: TinyVit) -> None:
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


def test_further_channels_pass_as_they_come() -> None:
    backbone = small(in_channels=6)
    network = Network(backbone, size=(32, 32), out_channels=1).eval()
    images = torch.rand(1, 6, 32, 32)
    seen: list[Tensor] = []
    backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    network(images)
    torch.testing.assert_close(seen[0][:, 3:], images[:, 3:])


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
    with pytest.raises(InputError, match="at least 3 input channels"):
        Network(small(in_channels=1), size=(64, 64), out_channels=3)
    network = Network(small(), size=(64, 96), out_channels=3)
    with pytest.raises(InputError, match="takes images of 64 x 96, got 96 x 64; resize or letterbox them to 64 x 96"):
        network(torch.zeros(1, 3, 96, 64))


def test_the_documents_configuration() -> None:
    """DINOv2 ViT-S/14 at 448 with the linear decoder: 32 x 32 x 384 features, 19,403 trained parameters."""
    backbone = build_backbone("facebook/dinov2-small", pretrained=False, notice=pytest.fail)
    freeze(backbone)
    network = Network(backbone, "linear", size=(448, 448), out_channels=3).train()
    with torch.no_grad():
        features = network.features(torch.zeros(1, 3, 448, 448, dtype=torch.uint8))
        logits = network.decode(features)
    assert [value.shape for value in features] == [(1, 384, 32, 32)]
    assert logits.shape == (1, 3, 448, 448)
    assert trainable_parameters(network) == 19_403


def test_rebuilt_from_its_description(tiny_vit: TinyVit) -> None:
    backbone = build_backbone(str(tiny_vit("dinov2_with_registers")), pretrained=True, in_channels=4)
    options = {"widths": [8, 6], "mode": "conv_transpose"}
    sizes = {"size": (28, 42), "heatmap_size": (30, 44)}
    network = Network(backbone, "upsample", out_channels=2, decoder_options=options, **sizes)
    again = Network.from_description(json.loads(json.dumps(network.description)))
    again.load_state_dict(network.state_dict(), strict=True)
    images = torch.rand(1, 4, 28, 42)
    with torch.no_grad():
        assert torch.equal(network.eval()(images), again.eval()(images))
    assert again.description == network.description


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
        network, (images,), dynamo=True, dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}}, verbose=False
    )
    assert program is not None
    program.save(str(tmp_path / "network.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"), providers=["CPUExecutionProvider"])
    for batch in (images, torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)):
        (got,) = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
        with torch.no_grad():
            assert np.abs(got - network(batch).numpy()).max() < 1e-4


def test_training_steps_are_finite_in_bf16() -> None:
    network = Network(small(), size=(32, 32), out_channels=3).train().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    logits.float().square().mean().backward()
    assert all(torch.isfinite(value.grad).all() for value in network.parameters() if value.grad is not None)
