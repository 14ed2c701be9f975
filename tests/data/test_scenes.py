"""Images with masks and boxes: colours, masks and boxes move alike, and a pasted person covers what is behind it."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.codecs.roi_mask import inside
from kaname.data.scenes import Scene, paste_instance, random_view
from kaname.geometry.affine import Affine

SIZE = (90, 120)
RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def mask_of(scene: Scene, row: int) -> np.ndarray:
    return inside(scene.shapes[row], Affine.identity(), scene.size)


def scene() -> Scene:
    """A red triangle, a green disc kept as an array, and a blue crowd."""
    triangle = np.array([[15.0, 12.0], [55.0, 20.0], [25.0, 70.0]])
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    disc = np.hypot(xs - 85, ys - 50) < 22
    crowd = np.array([[60.0, 2.0], [118.0, 2.0], [118.0, 20.0], [60.0, 20.0]])
    image = np.zeros((*SIZE, 3), np.uint8)
    image[inside([triangle], Affine.identity(), SIZE)] = RED
    image[disc] = GREEN
    image[inside([crowd], Affine.identity(), SIZE)] = BLUE
    boxes = np.array([[15.0, 12.0, 55.0, 70.0], [63.0, 28.0, 107.0, 72.0]])
    return Scene(image, [[triangle], disc], boxes, np.array([0, 1]), [[crowd]])


def agree(mask: np.ndarray, image: np.ndarray, channel: int) -> None:
    """The mask holds the pixels of its colour, up to the blended border."""
    seen = image[..., channel] > 125
    if seen.sum() > 50:
        assert (mask & seen).sum() / (mask | seen).sum() > 0.93


@pytest.mark.parametrize("seed", range(25))
def test_all_move_alike(seed: int) -> None:
    random = np.random.default_rng(seed)
    into = random_view(random, SIZE, flip=0.5, scale=0.3, smallest=0.5)
    moved = scene().moved(into, SIZE)
    for row, number in enumerate(moved.numbers):
        mask = mask_of(moved, row)
        agree(mask, moved.image, int(number))
        ys, xs = np.nonzero(mask)
        if len(ys) > 20:
            tight = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            np.testing.assert_allclose(moved.boxes[row], tight, atol=2.5)
    agree(inside(moved.crowds[0], Affine.identity(), SIZE), moved.image, 2)
    gone = set(range(2)) - set(moved.numbers.tolist())
    assert all((moved.image[..., number] > 125).sum() < 20 for number in gone)


def test_flips_scales_and_crops_all_happen() -> None:
    views = [random_view(np.random.default_rng(s), SIZE, flip=0.5, scale=0.3, smallest=0.5).matrix for s in range(60)]
    mirrored = [matrix[0, 0] < 0 for matrix in views]
    assert 15 < sum(mirrored) < 45
    factors = np.array([matrix[1, 1] for matrix in views])
    assert factors.min() < 1 and factors.max() > 1.7
    still = random_view(np.random.default_rng(0), SIZE, flip=0.0)
    np.testing.assert_allclose(still.matrix, np.eye(2, 3), atol=1e-12)


def test_what_leaves_the_image_is_left_out() -> None:
    moved = scene().moved(Affine.shift(-62, 0), SIZE)
    assert moved.numbers.tolist() == [1] and len(moved.shapes) == len(moved.boxes) == 1


@pytest.mark.parametrize("seed", range(10))
def test_a_pasted_instance_is_in_front(seed: int) -> None:
    before, other = scene(), scene()
    other.image[other.image[..., 0] > 0] = (200, 200, 200)
    found = paste_instance(np.random.default_rng(seed), before, other, 0)
    assert found.numbers.tolist()[-1] == -1
    new = mask_of(found, len(found.numbers) - 1)
    assert new.sum() == mask_of(other, 0).sum() > 500
    assert (found.image[new] == 200).all() and np.array_equal(found.image[~new], before.image[~new])
    for row, number in enumerate(found.numbers[:-1]):
        mask = mask_of(found, row)
        assert not (mask & new).any()
        np.testing.assert_array_equal(mask, mask_of(before, int(number)) & ~new)
        ys, xs = np.nonzero(mask)
        np.testing.assert_allclose(found.boxes[row], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1.01)
    assert not (inside(found.crowds[0], Affine.identity(), SIZE) & new).any()
    assert np.array_equal(before.image, scene().image)


def test_one_that_is_covered_whole_is_gone() -> None:
    before = scene()
    small = [np.array([[40.0, 40.0], [44.0, 40.0], [44.0, 44.0], [40.0, 44.0]])]
    before = Scene(
        before.image, [*before.shapes, small], np.append(before.boxes, [[40, 40, 44, 44]], axis=0), np.arange(3)
    )
    wall = [np.array([[0.0, 0.0], [120.0, 0.0], [120.0, 90.0], [0.0, 90.0]])]
    other = Scene(np.full((*SIZE, 3), 9, np.uint8), [wall], np.array([[0.0, 0.0, 120.0, 90.0]]), np.array([5]))
    found = paste_instance(np.random.default_rng(0), before, other, 0)
    assert found.numbers.tolist() == [-1] and (found.image == 9).all()
