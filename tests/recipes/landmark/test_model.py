"""The network of ``landmark``: its tensors' names, what it starts from, what its files hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from kaname.data.formats import skeleton as skeletons
from kaname.errors import InputError
from kaname.geometry.grid import Grid
from kaname.inference import checkpoint
from kaname.inference.card import grid_of, view_of, weights_of
from kaname.inference.state_dict import write_state_dict
from kaname.models.network import Network
from kaname.pipeline.model import build_again, card_of
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import LandmarkConfig, ModelSettings
from kaname.recipes.landmark.model import build, describe, layout_of, read_start
from kaname.training.loop import Run
from kaname.training.settings import RunOptions, TrainSettings
from kaname.training.task import Task
from kaname.types import Batch, StepOutput, Term

NAMES = "6a1b31e06ebab71a74e40c5443778a3c2dd76910e4150c3fcca412c8c7f66623"
"""SHA-256 of the names, shapes and types of the state dict of anime-face-detector 0.1.0, sorted, one a line."""


def norms(network: Network) -> list[torch.nn.Module]:
    return [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]


def config_of(backbone: str = "hrnet_w18", size: int = 64, **settings: Any) -> LandmarkConfig:
    train = TrainSettings(epochs=1, batch_size=2, device="cpu", precision="fp32", num_workers=0)
    return LandmarkConfig(size=size, model=ModelSettings(backbone=backbone, **settings), train=train)


def built(config: LandmarkConfig, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build(config)


def card(config: LandmarkConfig, network: Network) -> dict[str, Any]:
    from kaname import config as configuration

    own = {"recipe": "landmark", "config": configuration.to_dict(config)}
    return json.loads(json.dumps(card_of(RECIPE, config, network) | own))


def save(path: Path, config: LandmarkConfig, network: Network) -> Path:
    checkpoint.save(path, card=card(config, network), model=network.state_dict(), training=None)
    return path


def noise(size: int, count: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {"images": torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)}


@pytest.fixture(scope="module")
def hrnet() -> Network:
    """HRNetV2-W18 for 64 x 64 with statistics of noise, so that its heatmaps have ordinary values."""
    network = built(config_of())
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()(noise(64, 4))
    return network.eval()


def test_names_and_shapes_are_those_of_the_published_weights() -> None:
    config = config_of(size=256)
    network = built(config)
    assert sum(value.numel() for value in network.parameters()) == 9_643_558
    state = checkpoint.named_in_file(network.state_dict(), layout_of(network))
    lines = sorted(f"{name} {list(value.shape)} {value.dtype}" for name, value in state.items())
    assert len(lines) == 1839 and sum(line.startswith("backbone.") for line in lines) == 1830
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == NAMES
    assert network.heatmap_size == (64, 64) and network.heads["heatmaps"].activation == "none"
    assert network.heads["heatmaps"].channels == list(
        skeletons.Skeleton.from_dict(describe(config, network)["skeleton"]).channels
    )
    assert network.notes == [] and all(norm.train().training for norm in norms(network))


def test_the_card_says_grid_view_and_layout(hrnet: Network) -> None:
    found = card(config_of(), hrnet)
    assert grid_of(found) == Grid((4.0, 4.0), "aligned")
    view = view_of(found)
    assert (view.fit, view.size, view.factor) == ("crop", (64, 64), 1.25)
    assert weights_of(found) == layout_of(hrnet) and found["mean_255"][0] == pytest.approx(255 * 0.485)


@pytest.mark.parametrize("backbone", ["small:8", "timm:convnext_atto", "timm:vit_tiny_patch16_224"])
def test_every_backbone_answers_at_a_quarter(backbone: str, tmp_path: Path) -> None:
    """And its file is read back under our names."""
    config = config_of(backbone)
    network = built(config).eval()
    maps = network(noise(64))["heatmaps"]
    assert maps.shape == (1, 28, 16, 16) and maps.abs().max() < 3  # nothing drives raw maps far from 0
    opened = checkpoint.load(save(tmp_path / "a.pth", config, network))
    raw = torch.load(tmp_path / "a.pth", weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in raw} == {"backbone", "keypoint_head"}
    again = build_again(RECIPE, opened.card, opened.path).eval()
    checkpoint.load_weights(again, opened)
    assert torch.equal(again(noise(64))["heatmaps"], maps)


def test_other_decoders_and_switches() -> None:
    assert built(config_of("small", decoder="upsample")).decoder.stride == 4
    with pytest.raises(InputError, match="joins 4 maps, the backbone gives 1"):
        built(config_of("small", decoder="concat"))
    for norm in ("held", "train"):
        network = built(config_of("timm:resnet10t", norm=norm)).train()
        assert norms(network) and {each.training for each in norms(network)} == {norm == "train"}


@pytest.mark.parametrize("name", ["own.pth", "export.pth", "export.safetensors"])
def test_training_starts_at_the_heatmaps_of_its_file(name: str, hrnet: Network, tmp_path: Path) -> None:
    """From a checkpoint of our own and from what `export` writes for others; statistics are then held."""
    path = save(tmp_path / "own.pth", config_of(), hrnet)
    if name != "own.pth":
        path = tmp_path / name
        assert write_state_dict(path, checkpoint.load(tmp_path / "own.pth")) == 1839
    network = built(config_of(weights=path), seed=5)
    assert torch.equal(network.eval()(noise(64))["heatmaps"], hrnet(noise(64))["heatmaps"])
    assert network.notes == [
        f"weights of {path}: 1,839 tensors (1,830 of backbone, 9 of keypoint_head), every one used"
    ]
    assert network.backbone.pretrained
    network.train()
    held = network(noise(64))["heatmaps"]
    assert torch.equal(held, hrnet(noise(64))["heatmaps"])


def test_the_switch_of_the_fuse_layers_is_kept_and_minded(hrnet: Network, tmp_path: Path) -> None:
    config = config_of(fuse="nearest")
    nearest = built(config).eval()
    nearest.load_state_dict(hrnet.state_dict())
    theirs, ours = nearest(noise(64))["heatmaps"], hrnet(noise(64))["heatmaps"]
    assert (theirs - ours).abs().max() > 0.01 * ours.abs().max()
    opened = checkpoint.load(save(tmp_path / "a.pth", config, nearest))
    again = build_again(RECIPE, opened.card, opened.path).eval()
    checkpoint.load_weights(again, opened)
    assert torch.equal(again(noise(64))["heatmaps"], theirs)
    with pytest.raises(InputError, match=r"another upsampling of the fuse layers \(nearest, here bilinear\)"):
        read_start(tmp_path / "a.pth", built(config_of()))


def test_another_skeleton_needs_a_new_head(hrnet: Network, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", config_of(), hrnet)
    ears = skeletons.Skeleton("ears", {"ear": skeletons.Group(("base", "tip", "inner"))})
    skeletons.write(tmp_path / "ears.yaml", ears)
    config = config_of(weights=tmp_path / "a.pth")
    config = replace(config, data=replace(config.data, skeleton=str(tmp_path / "ears.yaml")))
    with pytest.raises(InputError, match="the file has 28 points, the skeleton 3; give --new-head"):
        build(config)
    network = built(replace(config, model=replace(config.model, new_head=True)))
    assert network.heads["heatmaps"].channels == ["base", "tip", "inner"]
    last = "keypoint_head.final_layer.3"
    assert network.notes[1] == f"{last}.weight, {last}.bias start anew, for 3 points"
    own, kept = network.state_dict(), hrnet.state_dict()
    new = [name for name in kept if own[name].shape != kept[name].shape or not torch.equal(own[name], kept[name])]
    assert new == ["decoder.final_layer.3.weight", "decoder.final_layer.3.bias"]


def test_a_folder_of_timm_is_an_hrnet_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "hrnet_w18"}))
    net = timm.create_model("hrnet_w18", features_only=True, feature_location="")
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    network = built(config_of(str(tmp_path)))
    assert network.backbone.channels == (64, 18, 36, 72, 144) and network.backbone.description["fuse"] == "bilinear"


class Noise:
    """Images with an empty map."""

    augmented = False

    def __len__(self) -> int:
        return 4

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        return {"images": noise(64)["images"][0].permute(1, 2, 0).numpy()}


def step(model: torch.nn.Module, batch: Batch) -> StepOutput:
    maps = model(batch.inputs)["heatmaps"]
    return StepOutput({"mse": Term(maps.square().sum(), maps.new_tensor(float(maps.numel())))})


def test_the_documents_line_works_on_the_files_of_a_run(tmp_path: Path) -> None:
    """``state_dict`` of each file, with the documented names only; each is read back by its card."""
    config = config_of("small:8")
    config = replace(config, train=replace(config.train, epochs=3))
    network = built(config)

    def files(row: Mapping[str, float | int]) -> list[str]:
        return ["final_model.pth", *([f"checkpoint_epoch_{row['epoch']}.pth"] if row["epoch"] % 2 == 0 else [])]

    task = Task(
        "landmark", card(config, network)["config"], card_of(RECIPE, config, network), network, step, Noise(), Noise(),
        best_name=RECIPE.best_name, files=files,
    )  # fmt: skip
    Run(task, config.train, RunOptions(tmp_path)).fit()
    names = ("best_model.pth", "checkpoint_epoch_2.pth", "final_model.pth")
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == sorted(names)
    epochs = [checkpoint.load(tmp_path / name, recipe="landmark").card["trained"]["epoch"] for name in names[1:]]
    assert epochs == [2, 3]
    expected = {name for name in checkpoint.named_in_file(network.state_dict(), layout_of(network))}
    for name in names:
        found = torch.load(tmp_path / name, weights_only=True)
        torch.save(found["state_dict"], tmp_path / "animal_character_hrnetv2.pth")
        alone = torch.load(tmp_path / "animal_character_hrnetv2.pth", weights_only=True)
        assert set(alone) == expected and not {"mean", "std"} & set(alone) and "model" not in found
    write_state_dict(tmp_path / "x.safetensors", checkpoint.load(tmp_path / "final_model.pth"))
    assert all(torch.equal(value, alone[key]) for key, value in load_file(tmp_path / "x.safetensors").items())
    opened = checkpoint.load(tmp_path / "final_model.pth")
    again = build_again(RECIPE, opened.card, opened.path)
    checkpoint.load_weights(again, opened)
    assert torch.equal(again.mean, network.mean)
