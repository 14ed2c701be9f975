"""Masks in boxes: polygons onto a box's grid and back onto the image, against slow references."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaname.codecs.roi_mask import (
    Region,
    cut_out,
    in_any,
    inside,
    inside_boxes,
    inside_each,
    paste,
    paste_probabilities,
    patch,
    softmax,
    targets,
    unpasted,
)
from kaname.errors import InputError
from kaname.geometry.affine import Affine


def star(random: np.random.Generator, centre: tuple[float, float], radius: float, corners: int = 9) -> np.ndarray:
    angles = np.sort(random.random(corners)) * 2 * np.pi
    reach = radius * random.uniform(0.4, 1.0, (corners, 1))
    return np.asarray(centre) + reach * np.column_stack([np.cos(angles), np.sin(angles)])


def holds(polygon: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule, one edge after the other."""
    found = np.zeros(x.shape, bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y1 <= y) != (y2 <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            found ^= crosses & (x1 + (x2 - x1) * (y - y1) / (y2 - y1) <= x)
    return found


def sampled(polygons: list[list[np.ndarray]], box: np.ndarray, target: int, size: tuple[int, int], over: int):
    """Class shares ``(height, width, 3)`` of ``over x over`` places in each cell."""
    rows, columns = size[0] * over, size[1] * over
    x = box[0] + (box[2] - box[0]) * (np.arange(columns) + 0.5) / columns
    y = box[1] + (box[3] - box[1]) * (np.arange(rows) + 0.5) / rows
    x, y = np.meshgrid(x, y)
    classes = np.zeros(x.shape, int)
    for number in [*(n for n in range(len(polygons)) if n != target), target]:
        for polygon in polygons[number]:
            classes[holds(polygon, x, y)] = 1 if number == target else 2
    shares = (classes[..., None] == np.arange(3)).reshape(size[0], over, size[1], over, 3)
    return shares.mean(axis=(1, 3))


def scene(seed: int) -> tuple[list[list[np.ndarray]], np.ndarray, int]:
    random = np.random.default_rng(seed)
    polygons = [
        [star(random, tuple(random.uniform(20, 80, 2)), random.uniform(8, 40)) for _ in range(random.integers(1, 3))]
        for _ in range(random.integers(1, 5))
    ]
    corners = [np.concatenate(one) for one in polygons]
    boxes = np.array([[*one.min(axis=0), *one.max(axis=0)] for one in corners])
    boxes += random.uniform(-6, 6, boxes.shape) * [1, 1, 0, 0] * 0.5  # boxes as a detector's, some too tight
    return polygons, boxes, int(random.integers(len(polygons)))


@pytest.mark.parametrize("seed", range(40))
def test_a_cell_has_the_class_of_its_centre(seed: int) -> None:
    polygons, boxes, target = scene(seed)
    size = [(28, 28), (14, 14), (56, 40), (7, 31)][seed % 4]
    found = targets(polygons, boxes, target, size)
    assert found.dtype == np.uint8 and found.shape == size
    np.testing.assert_array_equal(found, sampled(polygons, boxes[target], target, size, 1).argmax(axis=2))
    np.testing.assert_array_equal(targets(polygons, boxes, target, size, classes=2), found == 1)


def test_the_classes_are_those_of_most_of_the_cell() -> None:
    """Against 15 x 15 places a cell: centre and majority part only where the border bends inside a cell."""
    other = total = 0
    for seed in range(30):
        polygons, boxes, target = scene(seed)
        shares = sampled(polygons, boxes[target], target, (28, 28), 15)
        found = targets(polygons, boxes, target, (28, 28))
        other += int((found != shares.argmax(axis=2)).sum())
        total += found.size
        clear = shares.max(axis=2) > 0.9
        assert (found == shares.argmax(axis=2))[clear].mean() > 0.999
        for one in range(3):  # no shift: the areas agree
            assert abs((found == one).mean() - shares[..., one].mean()) < 0.01
    assert other / total < 0.01


def test_masks_are_taken_as_they_are() -> None:
    """A pixel mask in a box of whole pixels at its own resolution is a slice; at twice that each cell is doubled."""
    random = np.random.default_rng(0)
    masks = [random.random((40, 50)) > 0.7 for _ in range(3)]
    boxes = np.array([[5, 8, 25, 30]] * 3)
    expected = np.where(masks[1], 1, np.where(masks[0] | masks[2], 2, 0))[8:30, 5:25]
    np.testing.assert_array_equal(targets(masks, boxes, 1, (22, 20)), expected)
    np.testing.assert_array_equal(targets(masks, boxes, 1, (44, 40)), expected.repeat(2, 0).repeat(2, 1))
    beyond = targets([masks[1].astype(np.uint8) * 255], [[-10, -10, 0, 0]], 0, (5, 5))
    assert not beyond.any()
    mixed = targets([masks[0], [np.array([[5, 8], [25, 8], [25, 19], [5, 19]])]], boxes[:2], 1, (22, 20))
    assert (mixed[:11] == 1).all() and set(np.unique(mixed[11:])) == {0, 2}


def test_polygons_side_by_side_neither_gap_nor_overlap() -> None:
    """A border through the centres of cells belongs to exactly one side."""
    left = [np.array([[0.0, 0.0], [4.5, 0.0], [4.5, 8.0], [0.0, 8.0]])]
    right = [np.array([[4.5, 0.0], [8.0, 0.0], [8.0, 8.0], [4.5, 8.0]])]
    one, other = (targets([shape], [[0, 0, 8, 8]], 0, (8, 8)) for shape in (left, right))
    assert (one + other == 1).all() and one.sum() == 32
    flat = [np.array([[1.0, 1.0], [7.0, 1.0]])]
    assert not targets([flat], [[0, 0, 8, 8]], 0, (8, 8)).any()


@pytest.mark.parametrize(
    ("polygons", "boxes", "index", "reason"),
    [
        ([[]], [[0, 0, 1, 1], [0, 0, 1, 1]], 0, "1 instances and 2 boxes"),
        ([[]], [[0, 0, 1, 1]], 1, "no instance 1: there are 1"),
        ([[]], [[0, 0, 0, 1]], 0, "is empty"),
        ([[]], [[1, 0, 0, 1]], 0, "ends before it begins"),
        ([[[[0, 0], [1, np.nan], [1, 1]]]], [[0, 0, 1, 1]], 0, "NaN or infinite"),
    ],
)
def test_what_is_refused(polygons: list, boxes: list, index: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        targets(polygons, boxes, index, (4, 4))


def slow_paste(logits: np.ndarray, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Float64, a pixel after the other."""
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    cells = weights / weights.sum(axis=1, keepdims=True)
    count, classes, rows, columns = logits.shape
    pasted = np.zeros((count, classes, height, width))
    pasted[:, 0] = 1
    for n, (x1, y1, x2, y2) in enumerate(boxes):
        for i in range(height):
            for j in range(width):
                y, x = i + 0.5, j + 0.5
                if not (y1 <= y <= y2 and x1 <= x <= x2):
                    continue
                v = min(max((y - y1) / (y2 - y1) * rows - 0.5, 0), rows - 1)
                u = min(max((x - x1) / (x2 - x1) * columns - 0.5, 0), columns - 1)
                top, left = int(v), int(u)
                below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
                a, b = v - top, u - left
                pasted[n, :, i, j] = (1 - a) * ((1 - b) * cells[n, :, top, left] + b * cells[n, :, top, right])
                pasted[n, :, i, j] += a * ((1 - b) * cells[n, :, below, left] + b * cells[n, :, below, right])
    return pasted


@given(st.integers(0, 2**32 - 1))
def test_paste_is_the_slow_reference(seed: int) -> None:
    random = np.random.default_rng(seed)
    count, rows, columns = random.integers(0, 4), *random.integers(1, 9, 2)
    height, width = random.integers(1, 24, 2)
    corner = random.uniform(-10, 20, (count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0.1, 25, (count, 2))], axis=1)
    if count and seed % 3 == 0:
        boxes = np.round(boxes * 2) / 2  # borders through the centres of pixels
        boxes[:, 2:] += 0.5
    logits = random.normal(0, 5, (count, 3, rows, columns)).astype(np.float32)
    found = paste(logits, boxes, int(height), int(width))
    assert found.shape == (count, 3, height, width) and found.dtype == np.float32
    np.testing.assert_allclose(found, slow_paste(logits, boxes, height, width), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_great_logits_overflow_nothing() -> None:
    found = paste(np.array([1e4, -1e4, 9e3], np.float32).reshape(1, 3, 1, 1), [[0, 0, 2, 2]], 2, 2)
    assert (found[0, 0] == 1).all() and (found[0, 1:] == 0).all()


def test_one_box_at_a_time() -> None:
    """A patch covers the centres in its box and holds what the whole paste has there."""
    random = np.random.default_rng(3)
    cells = random.random((2, 3, 5, 6)).astype(np.float32)
    boxes = np.array([[2.5, 3.6, 11.2, 30.0], [-5.0, -5.0, 0.4, 9.0]])
    whole = paste_probabilities(cells, boxes, (20, 15))
    rows, columns, values = patch(cells[0], boxes[0], (20, 15))
    assert (rows, columns) == (slice(4, 20), slice(2, 11)) and values.shape == (3, 16, 9)
    np.testing.assert_array_equal(whole[0][:, rows, columns], values)
    assert patch(cells[1], boxes[1], (20, 15))[2].size == 0 and (whole[1, 0] == 1).all()
    assert patch(cells[1], [3, 3, 3, 9], (20, 15))[2].size == 0


def test_masks_come_back_onto_the_image() -> None:
    """Targets of a polygon as sure logits, pasted: the polygon again, up to its border."""
    polygons, boxes, target = scene(4)
    size = (100, 100)
    classes = targets(polygons, boxes, target, (112, 112))
    logits = np.where(classes[None] == np.arange(3)[:, None, None], 20.0, -20.0).astype(np.float32)
    found = paste(logits[None], boxes[target : target + 1], *size)[0].argmax(axis=0)
    x, y = np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5)
    box = boxes[target]
    within = (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])
    expected = within & np.any([holds(one, x, y) for one in polygons[target]], axis=0)
    assert (expected & (found == 1)).sum() / (expected | (found == 1)).sum() > 0.97


def test_paste_refuses() -> None:
    with pytest.raises(InputError, match="2 masks and 1 boxes"):
        paste(np.zeros((2, 3, 4, 4), np.float32), [[0, 0, 1, 1]], 4, 4)
    with pytest.raises(InputError, match="four finite numbers"):
        paste(np.zeros((1, 3, 4, 4), np.float32), [[0, 0, np.nan, 1]], 4, 4)


@pytest.mark.parametrize("seed", range(30))
def test_all_instances_at_once_equal_each_alone(seed: int) -> None:
    """Polygons inside, across and beyond the border, several of an instance, none, and a mask."""
    random = np.random.default_rng(seed)
    size = (int(random.integers(1, 40)), int(random.integers(1, 40)))
    shapes: list = [
        [star(random, random.uniform(-10, 50, 2), random.uniform(1, 30)) for _ in range(random.integers(0, 4))]
        for _ in range(random.integers(1, 6))
    ]
    shapes.insert(1, random.random(size) < 0.3)
    x, y = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    each = inside_each(shapes, Affine.identity(), size)
    assert each.shape == (len(shapes), *size)
    for shape, found in zip(shapes, each, strict=True):
        slow = [holds(ring, x, y) for ring in shape] if isinstance(shape, list) else [shape]
        np.testing.assert_array_equal(found, np.any([np.zeros(size, bool), *slow], axis=0))
        np.testing.assert_array_equal(found, inside(shape, Affine.identity(), size))
    np.testing.assert_array_equal(in_any(shapes, Affine.identity(), size), each.any(axis=0))


@pytest.mark.parametrize("seed", range(30))
def test_cut_out_is_the_same_in_the_least_part(seed: int) -> None:
    """Polygons, some beyond the image, and masks; also seen from any other part of the image."""
    random = np.random.default_rng(seed)
    polygons, boxes, _ = scene(seed)
    size = (int(random.integers(1, 90)), int(random.integers(1, 120)))
    shapes = [*polygons, [], random.random(size) < 0.02, np.zeros(size, bool)]
    every = inside_each(shapes, Affine.identity(), size)
    for whole, region in zip(every, cut_out(shapes, size), strict=True):
        drawn = np.zeros(size, bool)
        drawn[region.rows, region.columns] = region.inside
        np.testing.assert_array_equal(drawn, whole)
        ys, xs = np.nonzero(whole)
        extent = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1] if len(xs) else [0, 0, 0, 0]
        assert region.extent == extent
        rows, columns = (slice(*sorted(random.integers(0, side + 1, 2).tolist())) for side in size)
        np.testing.assert_array_equal(region.within(rows, columns), whole[rows, columns])
    each = inside_boxes([*polygons, Region.of(every[-2])], boxes, (14, 9))
    for found, box in zip(each, boxes, strict=True):
        shapes = [*polygons, every[-2]]
        np.testing.assert_array_equal(found, inside_each(shapes, Affine.crop(box, (14, 9)), (14, 9)))


def test_cutting_out_does_not_grow_with_the_image() -> None:
    """What is taken of memory for an outline in a hundred megapixels."""
    outline = [star(np.random.default_rng(0), (4000.0, 5000.0), 60.0, corners=300)]
    cut_out([outline], (100, 100))
    tracemalloc.start()
    region = cut_out([outline], (10_000, 10_000))[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert region.inside.any() and peak < 1 << 20


@pytest.mark.parametrize("box", [[3.2, 4.7, 60.4, 75.1], [0.0, 0.0, 80.0, 90.0], [-8.0, 10.5, 44.0, 120.0]])
def test_pasted_probabilities_are_read_back(box: list[float]) -> None:
    """From what is nowhere near them, where every cell has pixels."""
    cells = softmax(np.random.default_rng(3).normal(0, 3, (1, 3, 9, 7)))[0]
    (image,) = paste_probabilities(cells[None], [box], (90, 80))
    first = 2 if box[0] < 0 else 0  # columns of cells outside of the image
    last = 6 if box[3] > 90 else 9
    found = unpasted(image, box, np.full_like(cells, 0.5))
    np.testing.assert_allclose(found[:, :last, first:], cells[:, :last, first:], atol=1e-5)


@pytest.mark.parametrize("side", [0.4, 1.0, 3.3, 9.9])
def test_cells_that_no_pixel_shows_stay_as_they_are_thought_to_be(side: float) -> None:
    box = [10.31, 10.23, 10.31 + side, 10.23 + side]
    cells = softmax(np.random.default_rng(4).normal(0, 1, (1, 3, 28, 16)))[0]
    (image,) = paste_probabilities(cells[None], [box], (40, 40))
    guess = np.full_like(cells, 1 / 3)
    found = unpasted(image, box, guess)
    (again,) = paste_probabilities(found[None], [box], (40, 40))
    np.testing.assert_allclose(again, image, atol=1e-4)
    assert np.abs(found - guess).max() <= 1.5 * np.abs(cells - guess).max()
