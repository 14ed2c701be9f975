"""A dot painted at a known place stays in its place: through images, masks, OpenCV and heatmaps."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from kaname.codecs.heatmap import decode, encode
from kaname.geometry.affine import Affine
from kaname.geometry.grid import PIXELS, Grid, centres
from kaname.geometry.image import resize

SOURCE, TARGET = (301, 418), (224, 224)
BIAS = 0.05
STRIDES = [(1.0, 1.0), (4.0, 4.0), (3.5, 3.5), (2.76, 4.90)]
GRIDS = [Grid(stride, origin) for stride in STRIDES for origin in ("centred", "aligned")]
MAPS = {
    "letterbox": Affine.letterbox(SOURCE, TARGET),
    "stretch": Affine.resize(SOURCE, TARGET),
    "flip": Affine.flip(TARGET[1]) @ Affine.letterbox(SOURCE, TARGET),
    "quarter turn": Affine.rotate(90, (112, 112)) @ Affine.letterbox(SOURCE, TARGET),
    "turn": Affine.rotate(24, (112, 112)) @ Affine.letterbox(SOURCE, TARGET),
    "enlarged": Affine.crop((90.3, 70.7, 330.1, 230.2), TARGET),
    "shrunk and turned": Affine.rotate(-71, (112, 112)) @ Affine.letterbox(SOURCE, TARGET) @ Affine.scaling(0.7, 0.6),
    "halved": Affine.scaling(0.5, 0.5),
}


def places(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform((130, 110), (290, 190), (count, 2))


def dot(point: np.ndarray, radius: float = 7.0) -> np.ndarray:
    """A Gaussian painted on the pixels' centres, uint8."""
    across = np.exp(-((centres(SOURCE[1]) - point[0]) ** 2) / (2 * radius**2))
    down = np.exp(-((centres(SOURCE[0]) - point[1]) ** 2) / (2 * radius**2))
    return np.rint(250 * np.outer(down, across)).astype(np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    weights = image.astype(np.float64)
    index = [weights.sum(axis=0) @ np.arange(image.shape[1]), weights.sum(axis=1) @ np.arange(image.shape[0])]
    return PIXELS.from_index(np.array([index]) / weights.sum())


def by_opencv(image: np.ndarray, into: Affine) -> np.ndarray:
    return cv2.warpAffine(image, PIXELS.opencv_matrix(into.matrix), TARGET[::-1], flags=cv2.INTER_LINEAR)


WAYS: dict[str, Callable[[np.ndarray, Affine], np.ndarray]] = {
    "image": lambda image, into: into.image(image, TARGET),
    "float image": lambda image, into: into.image(image.astype(np.float32), TARGET),
    "mask": lambda image, into: into.mask((image > 90).astype(np.uint8), TARGET),
    "opencv": by_opencv,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MAPS)
def test_image_to_input_and_back(name: str, way: str) -> None:
    into = MAPS[name]
    points = places(1000 if way == "mask" else 60)  # one mask's centroid is 0.2 px off, by chance
    found = np.concatenate([into.inverse().points(centroid(WAYS[way](dot(point), into))) for point in points])
    assert np.abs((found - points).mean(axis=0)).max() <= BIAS
    assert np.abs(found - points).max() <= (1 if way == "mask" else 0.1)


@pytest.mark.parametrize("method", ["soft-argmax", "dark"])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("name", ["letterbox", "turn", "flip"])
def test_image_to_heatmap_and_back(name: str, grid: Grid, method: str) -> None:
    """The dot itself is made the heatmap: seen on the input, then on the cells of the grid."""
    into = MAPS[name]
    down, across = grid.stride_yx
    shape = round(TARGET[0] / down), round(TARGET[1] / across)
    points = places(60, seed=1)
    maps = []
    for point in points:
        seen = into.image(dot(point).astype(np.float32), TARGET)
        matrix = PIXELS.opencv_matrix(Affine.identity().matrix, target=grid)
        maps.append(cv2.warpAffine(seen, matrix, shape[::-1], flags=cv2.INTER_LINEAR))
    found, scores = decode(np.stack(maps), grid, method)
    found = into.inverse().points(found)
    assert (scores > 100).all()
    assert np.abs((found - points).mean(axis=0)).max() <= BIAS


@pytest.mark.parametrize("shape", [(56, 56), (81, 46), (224, 224)])
def test_resized_to_cells_is_the_centred_grid(shape: tuple[int, int]) -> None:
    grid = Grid.between(TARGET, shape)
    points = places(60, seed=2)
    into = MAPS["letterbox"]
    maps = np.stack([resize(into.image(dot(point).astype(np.float32), TARGET), shape) for point in points])
    found = into.inverse().points(decode(maps, grid, "dark")[0])
    assert np.abs((found - points).mean(axis=0)).max() <= BIAS


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_painted_dot_encoded_and_decoded(grid: Grid) -> None:
    """Image, input, centroid, heatmap, decoded, image again."""
    into = MAPS["turn"]
    points = places(60, seed=3)
    seen = np.concatenate([centroid(into.image(dot(point), TARGET)) for point in points])
    down, across = grid.stride_yx
    maps = encode(seen, np.ones(len(seen)), (round(TARGET[0] / down), round(TARGET[1] / across)), grid, 2.0)
    found = into.inverse().points(decode(maps, grid, "dark")[0])
    assert np.abs((found - points).mean(axis=0)).max() <= BIAS


@pytest.mark.parametrize("width", [417, 418])
def test_a_flipped_image_mirrors_its_dot(width: int) -> None:
    flip = Affine.flip(width)
    for point in places(10):
        image = dot(point)[:, :width]
        found = centroid(flip.image(image, (SOURCE[0], width)))
        np.testing.assert_allclose(found, flip.points(centroid(image)), atol=1e-9)
