"""The letterbox inside the graph equals the one outside, in torch and in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.models.preprocess import Letterbox

SIZES = [(64, 64), (1, 1), (1, 200), (200, 1), (7, 5), (33, 64), (64, 33), (65, 127), (191, 83), (100, 300), (511, 63)]
TARGETS = [(64, 64), (36, 64), (57, 31)]
GREY_LEVELS = 0.05


def photograph(size: tuple[int, int], batch: int = 1) -> np.ndarray:
    return np.random.default_rng(size[0] * 1000 + size[1]).integers(0, 256, (batch, *size, 3), np.uint8)


def expected(images: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    affine = Affine.letterbox(images.shape[1:3], target)
    return np.stack([affine.image(image.astype(np.float32), target).transpose(2, 0, 1) for image in images])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_geometry(size: tuple[int, int], target: tuple[int, int]) -> None:
    images = photograph(size)
    got = Letterbox(target)(torch.from_numpy(images)).numpy()
    assert got.shape == (1, 3, *target) and got.dtype == np.float32
    assert np.abs(got - expected(images, target)).max() < GREY_LEVELS


def test_inner_sizes_round_as_in_the_geometry() -> None:
    """Many white images: the border between white and black is the rounded inner size (odd heights: ties)."""
    target = (45, 45)
    box = Letterbox(target)
    for side in range(1, 140):
        image = torch.full((1, side, 90, 1), 255, dtype=torch.uint8)
        inside = box(image).numpy()[0, 0] > 0
        matrix = Affine.letterbox((side, 90), target).matrix
        wanted = round(matrix[1, 1] * side), round(matrix[0, 0] * 90)
        assert (inside.any(axis=1).sum(), inside.any(axis=0).sum()) == wanted


def test_float_images_and_a_bad_size() -> None:
    images = photograph((30, 40))
    box, bytes_ = Letterbox((16, 16)), torch.from_numpy(images)
    torch.testing.assert_close(box(bytes_.float()), box(bytes_))
    with pytest.raises(InputError, match="at least"):
        Letterbox((0, 8))


class WithHead(nn.Module):
    """A network behind the letterbox, as an export has it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.letterbox = Letterbox((48, 64))
        self.head = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        image = self.letterbox(images)
        return image, self.head(image / 255)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("onnx") / "letterbox.onnx"
    export(WithHead().eval(), path)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def export(module: nn.Module, path: Path) -> None:
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    example = torch.from_numpy(photograph((50, 70), batch=2))
    program = torch.onnx.export(
        module, (example,), dynamo=True, dynamic_shapes={"images": dynamic}, input_names=["images"], verbose=False
    )
    assert program is not None
    program.save(str(path))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(50, 70), (1, 1), (1, 90), (120, 1), (20, 30), (300, 401), (97, 13)])
def test_the_export_agrees(session: onnxruntime.InferenceSession, size: tuple[int, int], batch: int) -> None:
    images = photograph(size, batch)
    image, logits = session.run(None, {"images": images})
    wanted_image, wanted_logits = (value.detach().numpy() for value in WithHead().eval()(torch.from_numpy(images)))
    assert np.abs(image - expected(images, (48, 64))).max() < GREY_LEVELS
    assert np.abs(image - wanted_image).max() < 1e-3 and np.abs(logits - wanted_logits).max() < 1e-4
