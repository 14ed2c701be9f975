"""The flip test, and a dot's way through crop, index-aligned cells, decoding and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kaname.codecs.heatmap import decode
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.errors import InputError
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference.card import described, inputs_of
from kaname.inference.export import export
from kaname.inference.mirror import Mirror
from kaname.inference.model import Model
from kaname.inference.request import Arrays, Request
from kaname.inference.torch_runner import TorchRunner
from kaname.types import Head, Input, Points

SIDE, STRIDE, SIGMA = 256, 4, 8.0
VIEW, GRID = View("crop", (SIDE, SIDE), factor=1.25), Grid((STRIDE, STRIDE), "aligned")
NAMES = ("left", "right", "middle")
BONES = Skeleton("three", {"dots": Group(NAMES)}, mirrored=(("left", "right"),))


class Blobs(nn.Module):
    """Sees bright dots: a Gaussian average around index 4 i for every cell i, for "left" of the left half alone, for
    "right" of the right half, for "middle" of the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = {"images": Input((None, None, 3), "uint8")}
        self.heads = {"heatmaps": Head(NAMES, "none")}
        reach = int(4 * SIGMA)
        index = torch.arange(-reach, reach + 1, dtype=torch.float32)
        row = torch.exp(-(index**2) / (2 * SIGMA**2))
        self.register_buffer("kernel", (row[:, None] * row)[None, None] / row.sum() ** 2)
        cells = torch.arange(SIDE // STRIDE) / (SIDE // STRIDE - 1)
        shares = torch.stack([cells < 0.35, cells > 0.65, (cells > 0.35) & (cells < 0.65)]).float()
        self.register_buffer("shares", shares[None, :, None, :])
        self.padding = reach

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        grey = inputs["images"].float().mean(dim=1, keepdim=True) / 255
        answer = nn.functional.conv2d(grey, self.kernel, stride=STRIDE, padding=self.padding)
        return {"heatmaps": answer * self.shares}


def card_of(network: Blobs) -> dict:
    card = {
        "recipe": "test", "config": {}, "backbone": {}, "channels": list(NAMES), "input_size": [SIDE, SIDE],
        "view": VIEW.to_dict(), "grid": GRID.to_dict(), "skeleton": BONES.to_dict(),
        **described(network.inputs, network.heads),
    }  # fmt: skip
    return card | {"inputs": described(inputs_of(card), network.heads)["inputs"]}


def answers(outputs: Arrays, request: Request) -> list[Points]:
    assert request.boxes is not None
    rows = [
        (request.back(box).points(places), scores)
        for box, (places, scores) in zip(
            request.boxes, (decode(maps, GRID, "dark") for maps in outputs["heatmaps"]), strict=True
        )
    ]
    xy, scores = (np.stack(values, axis=1) for values in zip(*rows, strict=True))
    return [Points(dict(zip(NAMES, xy, strict=True)), dict(zip(NAMES, scores, strict=True)), request.size)]


def model_of(network: Blobs, *, flip: bool) -> Model:
    card = card_of(network)
    return Model(card, TorchRunner(network, VIEW, device="cpu"), answers, mirror=Mirror.of(card) if flip else None)


def picture(random: np.random.Generator, face: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dark image with three bright dots in a face's box: the image, the box, the dots ``(3, 2)``."""
    side = int(face * 1.6) + 20
    corner = random.uniform(0.2 * face, 0.3 * face, 2)
    box = np.concatenate([corner, corner + face])
    shares = np.array([[0.2, 0.4], [0.8, 0.45], [0.5, 0.7]]) + random.uniform(-0.04, 0.04, (3, 2))
    dots = corner + shares * face
    radius = max(0.02 * face, 0.8)
    axis = np.arange(side) + 0.5
    factors = [np.exp(-((axis[:, None] - dots[:, one]) ** 2) / (2 * radius**2)) for one in (1, 0)]
    grey = np.einsum("yk,xk->yx", *factors).clip(0, 1)
    return np.repeat(np.rint(grey * 255).astype(np.uint8)[:, :, None], 3, axis=2), box, dots


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("face", [40, 100, 333, 2000])
def test_a_dot_comes_back_where_it_is(face: float, flip: bool) -> None:
    """The mean error over places is at most 0.05 px of the original, at every size of the face."""
    random = np.random.default_rng(int(face))
    model = model_of(Blobs(), flip=flip)
    errors = []
    for _ in range(6 if face > 1000 else 24):
        image, box, dots = picture(random, face)
        answer = model.predict(image, box[None])
        assert isinstance(answer, Points)
        errors.append(np.stack([answer.xy[name][0] for name in NAMES]) - dots)
    assert np.abs(np.mean(errors, axis=(0, 1))).max() <= 0.05


@pytest.mark.parametrize("shift", [0.0, 4.0])
def test_a_mirror_that_is_one_cell_off_would_be_seen(shift: float) -> None:
    """Cell lies on cell: the maps of the mirrored picture are those of the picture, turned and with sides swapped."""
    model = model_of(Blobs(), flip=True)
    image, box, _ = picture(np.random.default_rng(1), 300)
    request = model.request([image], box[None])
    plain = dict(model.runner(model.feed(request)))
    assert model.mirror is not None
    turned = model.mirror.request(request, {"heatmaps": np.zeros((1, 1, 1, SIDE // STRIDE))})
    assert turned.boxes is not None
    moved = replace(turned, boxes=turned.boxes + np.array([shift, 0, shift, 0]))
    both = model.mirror.averaged(plain, model.runner(model.feed(moved)))
    difference = np.abs(both["heatmaps"] - plain["heatmaps"]).max()
    assert difference < 1e-3 if shift == 0 else difference > 5e-3


def test_the_flip_test_goes_through_the_export(tmp_path: Path) -> None:
    """The file answers like the model, mirrored pictures included, for several boxes and pictures of any size."""
    model = model_of(Blobs(), flip=True)
    random = np.random.default_rng(2)
    requests = []
    for face in (60, 240):
        image, box, _ = picture(random, face)
        requests.append((f"face {face}", model.request([image], np.stack([box, box + 3, box]))))
    parity = export(model, requests, tmp_path / "x.onnx")
    assert parity.passed and len(parity.distances) == 18


def test_a_flip_test_needs_a_crop_and_a_skeleton() -> None:
    card = card_of(Blobs())
    for change in ({"skeleton": None}, {"view": View("stretch", (SIDE, SIDE)).to_dict()}):
        with pytest.raises(InputError, match="flip test"):
            Mirror.of(card | change)
