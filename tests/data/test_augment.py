"""Random changes: points and pixels move alike, grey levels stay levels, a seed draws what it always drew."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.data.augment import (
    apply_levels,
    brightness_contrast,
    contrast_brightness,
    flow_under,
    mirrored_window,
    rotated_window,
    turned,
)
from kaname.data.randomness import generator
from kaname.geometry.affine import Affine

SIZE = (120, 160)
# Drawn by the code of both recipes before it was one.
ROTATED = [[451.222959838, 99.822233983]]
LEVELS = [0, 0, 0, 38, 44, 49, 185, 190, 196, 234, 239, 245]
MIRRORED = [[464.731507197, 18.225886689]]
TABLE = [23, 64, 106, 148, 189, 231]


def change_of(kind: str, random: np.random.Generator) -> Affine:
    if kind == "rotated":
        return rotated_window(random, SIZE, rotate=180, enlarge=1.3)
    return mirrored_window(random, SIZE, flip=0.5, smallest=0.5)


@pytest.mark.parametrize("kind", ["rotated", "mirrored"])
def test_points_move_with_the_image(kind: str) -> None:
    """A blob is found, by its centre of mass, where its centre was taken to."""
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    centre, seen = np.array([93.0, 41.0]), 0
    away = np.hypot(xs - centre[0], ys - centre[1])
    image = (200 * np.exp(-(away**2) / 18)).repeat(3).reshape(*SIZE, 3).astype(np.uint8)
    for seed in range(30):
        into = change_of(kind, np.random.default_rng(seed))
        place = into.points(centre[None])[0]
        if min(*place, *(np.array(SIZE[::-1]) - place)) < 25:
            continue
        weight = into.image(image, SIZE)[..., 0].astype(float)
        found = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
        assert np.abs(found - place).max() < 0.1
        seen += 1
    assert seen > 10


def test_windows_show_no_more_than_the_canvas() -> None:
    """Without a rotation every corner of what is seen comes from inside of the canvas."""
    corners = np.array([[0, 0], [SIZE[1], 0], [0, SIZE[0]], SIZE[::-1]], dtype=float)
    mirrored, shares = set(), []
    for seed in range(40):
        random = np.random.default_rng(seed)
        window = mirrored_window(random, SIZE, flip=0.5, smallest=0.6)
        for into in (window, rotated_window(random, SIZE, rotate=0, enlarge=1.2)):
            source = into.inverse().points(corners)
            assert (source >= -1e-9).all() and (source <= np.array(SIZE[::-1]) + 1e-9).all()
        left, right = window.inverse().points(corners[:2])
        mirrored.add(bool(left[0] > right[0]))
        shares.append(abs(right[0] - left[0]) / SIZE[1])
        np.testing.assert_allclose(window.points(np.array([[80.0, 60.0]])), [[80.0, 60.0]], atol=1e-9)
    assert mirrored == {True, False} and 0.6 <= min(shares) < 0.7 and 0.9 < max(shares) <= 1


def test_nothing_asked_is_nothing_changed() -> None:
    points = np.array([[3.0, 7.0], [150.0, 20.0]])
    random = np.random.default_rng(0)
    for into in (mirrored_window(random, SIZE, flip=0, smallest=1), rotated_window(random, SIZE, rotate=0, enlarge=1)):
        np.testing.assert_allclose(into.points(points), points, atol=1e-9)
    image = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    assert np.array_equal(brightness_contrast(random, image, 0, 0), image)
    assert np.array_equal(apply_levels(image, contrast_brightness(random, 0, 0)), image)


def test_colours_stay_in_range_and_in_order() -> None:
    """The image is left as it is; levels saturate instead of running over."""
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    kept, seen = ramp.copy(), set()
    for seed in range(20):
        random = np.random.default_rng(seed)
        changed = [brightness_contrast(random, ramp, 1, 1), apply_levels(ramp, contrast_brightness(random, 1, 1))]
        for image in changed:
            assert image.shape == ramp.shape and image.dtype == np.uint8
            assert (np.diff(image[0, :, 0].astype(int)) >= 0).all(), "no level overtakes a brighter one"
            assert (image == image[..., :1]).all(), "grey stays grey"
            seen.add(image.tobytes())
    assert np.array_equal(ramp, kept) and len(seen) == 40
    bright = apply_levels(ramp, np.full(256, 300.0))
    assert bright.min() == 255 and apply_levels(ramp, np.full(256, -9.0)).max() == 0


def test_draws_are_those_of_earlier_versions() -> None:
    """Weights of a run depend on them: the order of draws and the arithmetic are a promise."""
    random = generator(7, 3, 11, "augment")
    into = rotated_window(random, (448, 448), rotate=180, enlarge=1.2)
    np.testing.assert_allclose(into.points(np.array([[100.0, 50.0]])), ROTATED, atol=1e-6)
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    assert brightness_contrast(random, image, 0.2, 0.2)[::3, ::3].ravel().tolist() == LEVELS
    random = generator(7, 3, 11, "augment")
    window = mirrored_window(random, (288, 512), flip=0.5, smallest=0.7)
    np.testing.assert_allclose(window.points(np.array([[100.0, 50.0]])), MIRRORED, atol=1e-6)
    levels = np.rint(contrast_brightness(random, 0.2, 0.2).clip(0, 255)).astype(int)
    assert levels[::51].tolist() == TABLE


def dot(place: np.ndarray, size: tuple[int, int] = SIZE) -> np.ndarray:
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    away = np.hypot(xs - place[0], ys - place[1])
    return (250 * np.exp(-(away**2) / 18)).repeat(3).reshape(*size, 3).astype(np.uint8)


def centre_of(image: np.ndarray) -> np.ndarray:
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    weight = image[..., 0].astype(float)
    return np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()


@pytest.mark.parametrize("degrees", [37.0, -37.0, 90.0, -8.5])
def test_a_dot_turns_with_its_label_and_keeps_its_flow(degrees: float) -> None:
    """Image, point, mask, the frame before and the flow's vectors: one map for all."""
    place, move = np.array([100.0, 41.0]), np.array([7.0, -4.0])
    into = Affine.rotate(degrees, (SIZE[1] / 2, SIZE[0] / 2))
    now, before = dot(place), dot(place - move)
    label, label_before = into.points([place, place - move])
    assert np.abs(centre_of(into.image(now, SIZE)) - label).max() < 0.05
    assert np.abs(centre_of(into.image(before, SIZE)) - label_before).max() < 0.05
    mask = into.mask((now[..., 0] > 100).astype(np.uint8), SIZE)
    assert np.abs(centre_of(mask[..., None]) - label).max() < 0.3
    # This frame's flow to the one before, right on the dot alone.
    field = np.where(now[..., :1] > 5, -move, 0.0)
    turned_field = flow_under(into, field, SIZE)
    column, row = label.astype(int)
    assert turned_field.dtype == np.float32
    np.testing.assert_allclose(turned_field[row, column], label_before - label, atol=1e-4)
    assert np.linalg.norm(turned_field[row, column]) == pytest.approx(np.hypot(*move), abs=1e-4)


def test_an_enlarged_picture_has_longer_vectors() -> None:
    field = np.ones((*SIZE, 2)) * (2, 1)
    assert flow_under(Affine.scaling(3, 3), field, SIZE)[50, 50].tolist() == pytest.approx([6, 3])
    assert flow_under(Affine.flip(SIZE[1]), field, SIZE)[50, 50].tolist() == pytest.approx([-2, 1])


def test_turns_either_way_and_no_further() -> None:
    angles = [
        np.degrees(np.arctan2(*turned(np.random.default_rng(seed), SIZE, 20).matrix[0, 1::-1])) for seed in range(200)
    ]
    assert -20 <= min(angles) < -15 and 15 < max(angles) <= 20 and abs(np.mean(angles)) < 3
    centre = turned(np.random.default_rng(0), SIZE, 20).points([[80, 60]])
    np.testing.assert_allclose(centre, [[80, 60]], atol=1e-9)
    assert turned(np.random.default_rng(0), SIZE, 0) == Affine.identity()
