"""Exports answer like the model: of any number of boxes, of two images at once, with the extractor inside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import kaname
from kaname.codecs.roi_mask import paste
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.geometry.view import View
from kaname.models.roi_masks import RoiMasks
from kaname.models.roi_paste import Pasted
from kaname.pipeline.train import run
from kaname.recipes.roimask import RECIPE
from kaname.recipes.roimask.export import export
from kaname.training.settings import RunOptions
from recipes.roimask import crowds

HEADS: dict[str, Any] = {
    "crop": {},
    "roimap": {"head__roi_size": ..., "head__mask_size": [24, 24]},
    "dynamic": {"head__mask_size": [24, 24]},
}


@pytest.fixture(scope="module")
def images(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "images" / "val2017").glob("*.jpg"))


def answers(session: Any, features: np.ndarray, rois: np.ndarray) -> np.ndarray:
    return session.run(["masks"], {"features": features, "rois": rois})[0]


@pytest.mark.parametrize(
    "head", ["crop", *(pytest.param(name, marks=pytest.mark.slow) for name in ("roimap", "dynamic"))]
)
def test_the_decoder_alone(folder: Path, tmp_path: Path, images: list[Path], head: str) -> None:
    """Logits within 1e-4 for 1 and 17 boxes and for two images in a batch; none is answered by the loader."""
    config = crowds.config_of(folder, head__name=head, train__epochs=1, train__num_workers=0, **HEADS[head])
    run(RECIPE, config, RunOptions(out_dir=tmp_path / "run"))
    checkpoint, out = tmp_path / "run" / "best.pt", tmp_path / "masks.onnx"
    parity = export(checkpoint, out, None, 4, output="roi")
    assert parity.passed and parity.pixels > 0
    model, exported = kaname.load(checkpoint), kaname.load(out)
    session = onnxruntime.InferenceSession(str(out))
    random = np.random.default_rng(0)
    features = random.normal(size=(2, crowds.CHANNELS, 12, 12)).astype(np.float32)
    for count in (1, 17):
        corners = np.sort(random.uniform(-0.1, 1.1, (count, 2, 2)), axis=1).reshape(count, 4)
        rois = np.concatenate([random.integers(0, 2, (count, 1)), corners], axis=1).astype(np.float32)
        with torch.no_grad():
            network: Any = model.runner.module.network
            own = network({"features": torch.from_numpy(features), "rois": torch.from_numpy(rois)})["masks"].numpy()
        assert np.abs(answers(session, features, rois) - own).max() <= 1e-4
    assert answers(session, features, np.zeros((0, 5), np.float32)).shape == (0, 3, *network.grid)
    nothing = exported.predict(images[0], np.zeros((0, 4)))
    assert nothing.probabilities.shape == (0, 3, *network.grid) and len(nothing.boxes) == 0
    many = np.tile([[10.0, 10, 60, 80]], (40, 1)) + random.uniform(-5, 5, (40, 1))
    one, other = model.predict(images[0], many), exported.predict(images[0], many)
    assert one.probabilities.shape[0] == 40 and list(one.ids) == list(range(40))
    assert np.abs(one.probabilities - other.probabilities).max() <= 1e-4


def test_masks_at_the_extractors_resolution(model: Path, tmp_path: Path, images: list[Path]) -> None:
    """Probabilities as the pasted ones of the library, (1, 0, 0) outside; the loader reads them back."""
    out = tmp_path / "masks.onnx"
    assert export(model, out, None, 4).passed
    opened, exported = kaname.load(model), kaname.load(out)
    image = read_image(images[1])
    height, width = image.shape[:2]
    boxes = np.array([[width * 0.2, height * 0.1, width * 0.7, height * 0.9]])
    ours, theirs = opened.predict(image, boxes), exported.predict(image, boxes)
    assert np.abs(ours.boxes - theirs.boxes).max() < 1e-6
    seen = opened.view.into((height, width)).points(ours.boxes.reshape(2, 2))
    assert (seen[1] - seen[0] > 2 * np.array(opened.card["roi_grid"][::-1])).all()  # every cell shows
    assert np.abs(ours.probabilities - theirs.probabilities).max() < 1e-4
    session = onnxruntime.InferenceSession(str(out))
    fed = opened.feed(opened.request([image], boxes))
    whole = answers(session, fed["features"], fed["rois"])
    assert whole.shape == (1, 3, crowds.SIDE, crowds.SIDE) and np.allclose(whole.sum(axis=1), 1, atol=1e-5)
    corner = whole[0, :, 0, 0]
    assert corner.tolist() == [1, 0, 0]


@pytest.mark.parametrize("fit", [pytest.param("stretch", marks=pytest.mark.slow), "letterbox"])
def test_with_the_extractor_inside(folder: Path, tmp_path: Path, images: list[Path], fit: str) -> None:
    """An image of any size and boxes in shares of it, to masks of its size; no other file is needed."""
    config = crowds.config_of(folder, extractor__fit=fit, train__epochs=1, train__num_workers=0)
    run(RECIPE, config, RunOptions(out_dir=tmp_path / "run"))
    checkpoint, out = tmp_path / "run" / "best.pt", tmp_path / "alone.onnx"
    parity = export(checkpoint, out, None, 4, inside=True)
    assert parity.passed and parity.map_difference <= 1e-4
    session = onnxruntime.InferenceSession(str(out))
    opened = kaname.load(checkpoint)
    for height, width in ((96, 128), (201, 77)):
        image = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
        rois = np.float32([[0, 0.1, 0.2, 0.6, 0.8], [0, 0.5, 0.3, 0.9, 1.0]])
        whole = session.run(["masks"], {"images": image[None], "rois": rois})[0]
        assert whole.shape == (2, 3, height, width)
        boxes = rois[:, 1:].astype(np.float64) * [width, height, width, height]
        found = opened.predict(image, boxes)
        cells = np.log(np.maximum(found.probabilities, 1e-20))
        assert np.abs(whole - paste(cells, found.boxes, height, width)).max() <= 2e-3
    none = {"images": np.zeros((1, 96, 128, 3), np.uint8), "rois": np.zeros((0, 5), np.float32)}
    assert session.run(["masks"], none)[0].shape == (0, 3, 96, 128)
    alone = kaname.load(out)
    assert alone.predict(images[0], [[5, 5, 60, 70]]).probabilities.shape[0] == 1


def test_pasting_is_that_of_the_library() -> None:
    """Within 1e-5, boxes outside and without extent too."""
    torch.manual_seed(0)
    network = RoiMasks("crop", 6, (10, 12), roi_size=(4, 4), mask_size=(8, 8), width=4).eval()
    module = Pasted(network, View("stretch", (40, 48)))
    rois = torch.tensor([[0, 0.1, 0.1, 0.5, 0.9], [0, -0.3, 0.4, 0.2, 1.4], [0, 0.5, 0.5, 0.5, 0.9], [0, 0, 0, 1, 1.0]])
    features = torch.randn(1, 6, 10, 12)
    with torch.no_grad():
        logits = network({"features": features, "rois": rois})["masks"].numpy()
        whole = module({"features": features, "rois": rois})["masks"].numpy()
    boxes = np.clip(rois[:, 1:].numpy().astype(np.float64), 0, 1) * [48, 40, 48, 40]
    assert np.abs(whole - paste(logits, boxes, 40, 48)).max() <= 1e-5


def test_bad_usage(model: Path, tmp_path: Path) -> None:
    """One line each."""
    with pytest.raises(InputError, match="lie on the image"):
        export(model, tmp_path / "x.onnx", None, 2, inside=True, output="roi")
    with pytest.raises(InputError, match="--count"):
        export(model, tmp_path / "x.onnx", None, 0)
    assert not list(tmp_path.glob("*.onnx"))


def test_an_extractor_that_is_not_there(model: Path, folder: Path, tmp_path: Path) -> None:
    """Missing, or of another hash: said before anything is answered; beside the model it is found."""
    moved = shutil.copy(model, tmp_path / "best.pt")
    content = torch.load(moved, weights_only=True)
    content["card"] = content["card"].replace(str(folder / "extractor.onnx"), "/nowhere/extractor.onnx")
    torch.save(content, moved)
    with pytest.raises(InputError, match="--extractor"):
        kaname.load(moved)
    crowds.extractor(tmp_path / "extractor.onnx", seed=1)
    with pytest.raises(InputError, match="not the extractor"):
        kaname.load(moved)
    shutil.copy(folder / "extractor.onnx", tmp_path / "extractor.onnx")
    assert kaname.load(moved).card["recipe"] == "roimask"
