"""Against the published package anime-face-detector 0.1.0, where it is installed or in ``KANAME_ANIME_FACE_DETECTOR``.

``pip install --no-deps --ignore-requires-python --target DIR anime-face-detector==0.1.0`` makes such a folder.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kaname import config as configuration
from kaname.inference import checkpoint
from kaname.inference.state_dict import write_state_dict
from kaname.models.network import Network
from kaname.pipeline.model import card_of
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import LandmarkConfig
from kaname.recipes.landmark.model import build, read_start

FOLDER = "KANAME_ANIME_FACE_DETECTOR"
TOLERANCE = 1e-5
CONFIG = LandmarkConfig()


@pytest.fixture(scope="module")
def package() -> Any:
    """The package."""
    folder = os.environ.get(FOLDER)
    if folder:
        sys.path.append(folder)
    return pytest.importorskip(
        "anime_face_detector", reason=f"needs anime-face-detector 0.1.0, installed or in the folder {FOLDER}"
    )


@pytest.fixture(scope="module")
def crop() -> torch.Tensor:
    """``(2, 3, 256, 256)`` uint8: smooth colours with some noise."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(0, 255, (2, 3, 9, 9)))
    smooth = nn.functional.interpolate(coarse, (256, 256), mode="bicubic").numpy()
    return torch.from_numpy((smooth + random.normal(0, 20, smooth.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def network(crop: torch.Tensor) -> Network:
    """With statistics of the crops and heatmaps of about 1."""
    torch.manual_seed(0)
    network = build(CONFIG)
    nn.init.normal_(network.decoder.final_layer[3].weight, std=0.1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()({"images": crop})
    return network.eval()


@pytest.fixture(scope="module")
def files(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``best_model.pth`` as training writes it, ``x.pth`` and ``x.safetensors`` as ``export`` does, ``line.pth``."""
    folder = tmp_path_factory.mktemp("files")
    card = {**card_of(RECIPE, CONFIG, network), "recipe": RECIPE.name, "config": configuration.to_dict(CONFIG)}
    checkpoint.save(folder / "best_model.pth", card=card, model=network.state_dict(), training=None)
    for name in ("x.pth", "x.safetensors"):
        write_state_dict(folder / name, checkpoint.load(folder / "best_model.pth"))
    torch.save(torch.load(folder / "best_model.pth", weights_only=True)["state_dict"], folder / "line.pth")
    return folder


def normalised(crop: torch.Tensor) -> torch.Tensor:
    """As the package does it."""
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (crop / 255 - mean) / std


def ours(network: Network, tensor: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network.decode(network.backbone(tensor))["heatmaps"].numpy()


def theirs(model: Any, tensor: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return model._heatmaps(tensor, False)


@pytest.mark.parametrize("name", ["best_model.pth", "line.pth", "x.pth", "x.safetensors"])
def test_the_package_takes_our_files_and_answers_alike(
    name: str, package: Any, files: Path, network: Network, crop: torch.Tensor
) -> None:
    detector = package.LandmarkDetector(landmark_checkpoint_path=files / name, device="cpu", flip_test=False)
    tensor = normalised(crop)
    found, expected = theirs(detector.landmark_detector, tensor), ours(network, tensor)
    assert found.shape == expected.shape == (2, 28, 64, 64) and expected.std() > 0.1
    assert np.abs(found - expected).max() <= TOLERANCE
    # Ours subtracts the mean in 0..255: rounded otherwise, which a network of random weights amplifies.
    with torch.inference_mode():
        whole = network({"images": crop})["heatmaps"].numpy()
    assert np.abs(found - whole).max() <= 1e-4 * np.abs(found).max()


@pytest.mark.parametrize("name", ["mmpose.pth", "model.safetensors"])
def test_training_starts_at_the_packages_heatmaps(name: str, package: Any, crop: torch.Tensor, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = import_module(f"{package.__name__}._landmark").LandmarkModel().train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    tensor = normalised(crop)
    theirs(model, tensor)
    model.eval()
    if name == "mmpose.pth":
        torch.save({"meta": {"epoch": 60}, "state_dict": model.state_dict()}, tmp_path / name)
    else:
        save_file(model.state_dict(), tmp_path / name)
    network = build(CONFIG)
    assert len(read_start(tmp_path / name, network).mapped) == 1839
    assert np.abs(ours(network.eval(), tensor) - theirs(model, tensor)).max() <= TOLERANCE
