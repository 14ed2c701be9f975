"""Against the published package anime-face-detector 0.1.0, where it is installed or in ``KANAME_ANIME_FACE_DETECTOR``.

``pip install --no-deps --ignore-requires-python --target DIR anime-face-detector==0.1.0`` makes such a folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kaname import config as configuration
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import read_image
from kaname.inference import checkpoint
from kaname.inference.state_dict import write_state_dict
from kaname.models.network import Network
from kaname.pipeline.model import card_of, open_model
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import LandmarkConfig
from kaname.recipes.landmark.model import build, read_start
from kaname.samples.landmark import write

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


def test_the_lines_of_the_documentation_work(
    package: Any, files: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide's own line on ``best_model.pth``, and what loads its file; the fork's line needs the fork."""
    place = tmp_path / "checkpoints" / "animal_chars"
    place.mkdir(parents=True)
    shutil.copy(files / "best_model.pth", place)
    monkeypatch.chdir(tmp_path)
    text = (root / "docs" / "landmark.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    extraction, loading = (
        [block for block in blocks if words in block] for words in ("state_dict", "LandmarkDetector")
    )
    assert len(extraction) == len(loading) == 1
    found: dict[str, Any] = {}
    exec(extraction[0] + loading[0], found)
    assert isinstance(found["detector"], package.LandmarkDetector)


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


TRAINING = (
    *("--epochs", 16, "--batch-size", 2, "--lr", "1e-3", "--schedule", "cosine", "--device", "cpu", "--num-workers", 0),
    *("--save-freq", 0, "data.held_out=0", "train.logger=none", "answers.flip_test=false", "augment.shift=0.05"),
    *(f"augment.{name}=0" for name in ("rotate", "scale", "flip", "brightness", "contrast", "saturation")),
    *(f"augment.{name}=0" for name in ("grey", "blur", "cut_out")),
)
COPIES = 16


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one rendered ``face.jpg``, its ``face.json``, and the ``best_model.pth`` of 128 steps on it.

    In a process of its own with one thread: HRNet is many small operations, and two threads that wait for each other
    on cores that others use take ten times as long (measured: 11 s a step instead of 2 s).
    """
    folder = tmp_path_factory.mktemp("trained")
    write(folder / "data", count=1, size=320, seed=1, variety="plain")
    label = folder / "data" / "annotated" / "face_000000.json"
    for number in range(2, COPIES + 1):
        shutil.copy(label, label.with_name(f"face_000000.face{number}.json"))
    places = (
        "--image-dir",
        folder / "data" / "images",
        "--annotation-dir",
        label.parent,
        "--output-dir",
        folder / "run",
    )
    words = [str(word) for word in ("landmark", "train", *places, *TRAINING)]
    done = subprocess.run(
        [sys.executable, "-m", "kaname", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "data" / "images" / "face_000000.jpg").rename(folder / "face.jpg")
    label.rename(folder / "face.json")
    (folder / "run" / "best_model.pth").rename(folder / "best_model.pth")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("moved", [(0.0, 0.0), (3.0, -2.0), (1.3, 0.6)])
@pytest.mark.parametrize("side", [256 / 1.25, 200.0])  # of a face of 177 to 212 pixels: scales of 1 and 1.02
def test_points_of_a_face_agree(side: float, moved: tuple[float, float], package: Any, trained: Path) -> None:
    """Of the same numbers of a box: the package's are pixel indices, ours minus a half, and peaks are confident.

    At a scale near 1 these numbers show both networks the same picture: the package puts the index of a box's middle at
    index 128 of its input, we the middle at 128, half a pixel further left on both sides.
    """
    detector = package.LandmarkDetector(trained / "best_model.pth", device="cpu", flip_test=False)
    model = open_model(RECIPE, trained / "best_model.pth", runtime="cpu", changes={"flip_test": False})
    left, top, width, height = json.loads((trained / "face.json").read_text())["bbox"]
    middle = np.array([left + width / 2, top + height / 2]) + moved
    box = np.concatenate([middle - side / 2, middle + side / 2])
    image = read_image(trained / "face.jpg")
    theirs = detector(image[..., ::-1].copy(), [np.append(box, 1.0)])[0]["keypoints"]
    answer = model.predict(image, boxes=[box])
    ours, scores = (np.concatenate(list(part.values())) for part in (answer.xy, answer.scores))  # type: ignore[union-attr]
    scale = 256 / 1.25 / side
    assert scores.min() > 0.4 and np.abs(scores - theirs[:, 2]).max() < 0.05
    distances = scale * np.linalg.norm(PIXELS.to_index(ours) - theirs[:, :2], axis=1)
    assert distances.max() <= 0.5 and np.median(distances) < 0.1
    # Without the half pixel they would not agree.
    assert scale * np.linalg.norm(ours - theirs[:, :2], axis=1).min() > 0.5
