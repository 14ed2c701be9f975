"""The view inside the graph equals the one outside, in torch and in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.view import View
from kaname.models.preprocess import Preprocess

SIZES = [(64, 64), (1, 1), (1, 200), (200, 1), (7, 5), (33, 64), (64, 33), (65, 127), (191, 83), (100, 300), (511, 63)]
TARGETS = [(64, 64), (36, 64), (57, 31)]
GREY_LEVELS = 0.05


def letterbox(size: tuple[int, int]) -> Preprocess:
    return Preprocess(View("letterbox", size))


def photograph(size: tuple[int, int], batch: int = 1) -> np.ndarray:
    return np.random.default_rng(size[0] * 1000 + size[1]).integers(0, 256, (batch, *size, 3), np.uint8)


def expected(images: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    affine = Affine.letterbox(images.shape[1:3], target)
    return np.stack([affine.image(image.astype(np.float32), target).transpose(2, 0, 1) for image in images])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_geometry(size: tuple[int, int], target: tuple[int, int]) -> None:
    images = photograph(size)
    got = letterbox(target)(torch.from_numpy(images)).numpy()
    assert got.shape == (1, 3, *target) and got.dtype == np.float32
    assert np.abs(got - expected(images, target)).max() < GREY_LEVELS


def test_inner_sizes_round_as_in_the_geometry() -> None:
    """Many white images: the border between white and black is the rounded inner size (odd heights: ties)."""
    target = (45, 45)
    box = letterbox(target)
    for side in range(1, 140):
        image = torch.full((1, side, 90, 1), 255, dtype=torch.uint8)
        inside = box(image).numpy()[0, 0] > 0
        matrix = Affine.letterbox((side, 90), target).matrix
        wanted = round(matrix[1, 1] * side), round(matrix[0, 0] * 90)
        assert (inside.any(axis=1).sum(), inside.any(axis=0).sum()) == wanted


def test_float_images_and_a_bad_size() -> None:
    images = photograph((30, 40))
    box, bytes_ = letterbox((16, 16)), torch.from_numpy(images)
    torch.testing.assert_close(box(bytes_.float()), box(bytes_))
    with pytest.raises(InputError, match="at least"):
        letterbox((0, 8))


class WithHead(nn.Module):
    """A network behind the letterbox, as an export has it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.letterbox = letterbox((48, 64))
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


VIEWS = [
    View("letterbox", (40, 48), (48, 53)),
    View("stretch", (48, 64)),
    View("stretch", (40, 41), (43, 48)),
]


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("size", [(64, 64), (1, 1), (7, 5), (65, 127), (191, 83)])
def test_whole_images_equal_the_geometry(view: View, size: tuple[int, int]) -> None:
    images = photograph(size, 2)
    into = view.into(size)
    got = Preprocess(view)(torch.from_numpy(images)).numpy()
    wanted = [into.image(image.astype(np.float32), view.input_size).transpose(2, 0, 1) for image in images]
    assert np.abs(got - np.stack(wanted)).max() < GREY_LEVELS
    boxes = np.array([[3, 4, 20, 30], [-5, 0, 1, 2.5]], np.float32)
    moved = Preprocess(view).boxes(torch.from_numpy(boxes), torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(moved, into.boxes(boxes), atol=1e-3)


CROP = View("crop", (48, 32), factor=1.25)
BOXES = np.array(
    [[10, 5, 50, 60], [-20, -30, 30, 20.5], [3.25, 4.5, 9.75, 30], [60, 40, 200, 90], [500, 500, 520, 530]], np.float32
)


def crops(images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    found = []
    for number, box in enumerate(boxes):
        image = images[number if len(images) > 1 else 0].astype(np.float32)
        found.append(CROP.into(image.shape[:2], box).image(image, CROP.size).transpose(2, 0, 1))
    return np.stack(found)


@pytest.mark.parametrize("size", [(64, 64), (97, 53), (31, 200), (1, 1)])
@pytest.mark.parametrize("count", [1, len(BOXES)])
def test_crops_equal_the_geometry(size: tuple[int, int], count: int) -> None:
    """N boxes of one image, or one an image; also partly and wholly outside of it."""
    images = photograph(size, count)
    got = Preprocess(CROP)(torch.from_numpy(images), torch.from_numpy(BOXES)).numpy()
    assert np.abs(got - crops(images, BOXES)).max() < GREY_LEVELS
    none = Preprocess(CROP)(torch.from_numpy(images[:1]), torch.zeros(0, 4))
    assert none.shape == (0, 3, 48, 32)
    with pytest.raises(InputError, match="a crop needs boxes"):
        Preprocess(CROP)(torch.from_numpy(images))


@pytest.fixture(scope="module")
def crop_session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("onnx") / "crop.onnx"
    batch = torch.export.Dim("batch", min=1)
    axes = ({0: batch, 1: torch.export.Dim("height", min=1), 2: torch.export.Dim("width", min=1)}, {0: batch})
    example = (torch.from_numpy(photograph((50, 70), 2)), torch.from_numpy(BOXES[:2]))
    program = torch.onnx.export(
        Preprocess(CROP).eval(),
        example,
        dynamo=True,
        dynamic_shapes=axes,
        input_names=["images", "boxes"],
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("batch", "count"), [(1, 1), (1, 5), (5, 5)])
@pytest.mark.parametrize("size", [(64, 64), (97, 53), (1, 1), (300, 401)])
def test_the_export_of_crops_agrees(
    crop_session: onnxruntime.InferenceSession, size: tuple[int, int], batch: int, count: int
) -> None:
    images = photograph(size, batch)
    (found,) = crop_session.run(None, {"images": images, "boxes": BOXES[:count]})
    assert found.shape == (count, 3, *CROP.size)
    assert np.abs(found - crops(images, BOXES[:count])).max() < GREY_LEVELS
