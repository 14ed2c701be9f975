"""RoIAlign in NumPy against torchvision, and from a window of the map as from the whole map."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.codecs.roi_align import Window, axis_weights, cells_of, pool
from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic

SIZES = [(7, 5), (1, 1), (14, 14), (3, 6)]


def random_boxes(seed: int, count: int, size: tuple[int, int]) -> np.ndarray:
    """Small, large, flat, empty, and partly or wholly outside."""
    random = np.random.default_rng(seed)
    rows, columns = size
    centre = random.uniform(-0.4, 1.4, (count, 2)) * [columns, rows]
    extent = random.choice([0.0, 0.3, 2.0, 15.0, 60.0], (count, 2)) * random.uniform(0.5, 1.5, (count, 2))
    return np.concatenate([centre - extent / 2, centre + extent / 2], axis=1)


@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_numbers_are_torchvision_s(ratio: int, kind: type) -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision").ops
    features = np.random.default_rng(1).normal(size=(2, 19, 23)).astype(kind)
    for number, size in enumerate(SIZES):
        boxes = random_boxes(number, 75, (19, 23)).astype(kind)
        rois = torch.from_numpy(np.concatenate([np.zeros((75, 1), kind), boxes], axis=1))
        wanted = ops.roi_align(torch.from_numpy(features)[None], rois, size, 1.0, ratio, aligned=True).numpy()
        found = pool(features, boxes, size, sampling_ratio=ratio)
        assert found.dtype == kind and np.abs(wanted).max() > 0.5
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 if kind is np.float64 else 1e-5)


def test_a_ramp_is_its_own_mean() -> None:
    """A map that is its own place gives the centres of the grid's cells, whatever the ratio."""
    y, x = np.meshgrid(np.arange(12) + 0.5, np.arange(20) + 0.5, indexing="ij")
    box = [3.3, 2.1, 15.7, 9.9]
    for ratio in (0, 1, 4):
        found = pool(np.stack([x, y]), [box], (3, 4), sampling_ratio=ratio)[0]
        np.testing.assert_allclose(found[0, 0], 3.3 + 12.4 * (np.arange(4) + 0.5) / 4)
        np.testing.assert_allclose(found[1, :, 0], 2.1 + 7.8 * (np.arange(3) + 0.5) / 3)


def test_half_precision_is_added_up_in_float32() -> None:
    features = np.random.default_rng(2).normal(size=(3, 9, 9)).astype(np.float16)
    found = pool(features, [[1, 1, 8, 8]], (2, 2))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pool(features.astype(np.float64), [[1, 1, 8, 8]], (2, 2)), atol=1e-5)


@pytest.mark.parametrize("ratio", [0, 2])
def test_from_a_window_as_from_the_map(ratio: int) -> None:
    features = np.random.default_rng(3).normal(size=(2, 19, 23))
    random, smaller = np.random.default_rng(4), 0
    for box in random_boxes(5, 120, (19, 23)):
        rows, columns = cells_of(box_arithmetic.pad(box, 0.2), (19, 23))
        window = features[:, rows, columns]
        smaller += window.size < features.size
        shift = random.uniform(-0.1, 0.1, 2) * (box[2:] - box[:2])
        moved = np.stack([box, box + np.tile(shift, 2)])  # within the margin
        for kind in (np.float16, np.float32, np.float64):
            whole, part = features.astype(kind), window.astype(kind)
            for boxes in (moved, moved.astype(np.float32)):
                place = Window(rows.start, columns.start, (19, 23))
                found = pool(part, boxes, (5, 4), sampling_ratio=ratio, window=place)
                assert (found == pool(whole, boxes, (5, 4), sampling_ratio=ratio)).all(), "to the last bit"
    assert smaller > 60


def test_a_window_refuses_what_it_does_not_hold() -> None:
    rows, columns = cells_of([4, 4, 8, 8], (19, 23))
    assert (rows, columns) == (slice(3, 9), slice(3, 9))
    features = np.random.default_rng(0).normal(size=(1, 19, 23))
    with pytest.raises(InputError, match=r"reads cells 5\.\.10 of its map, the window holds 3\.\.8; keep windows with"):
        pool(features[:, rows, columns], [[6, 4, 10, 8]], (4, 4), window=Window(3, 3, (19, 23)))
    # Where the map ends there is nothing to hold, and beside it nothing to read.
    rows, columns = cells_of([-9, 15, 3, 30], (19, 23))
    edge = Window(rows.start, columns.start, (19, 23))
    for box in ([-20, 16, 2, 40], [-9, 15, 3, 30], [-9, 15, -5, 30]):
        found = pool(features[:, rows, columns], [box], (4, 4), window=edge)
        assert (found == pool(features, [box], (4, 4))).all()


def test_what_is_refused() -> None:
    features = np.zeros((1, 4, 4))
    with pytest.raises(InputError, match="finite"):
        pool(features, [[0, 0, np.nan, 1]], (2, 2))
    with pytest.raises(InputError, match="ends before it begins"):
        pool(features, [[2, 0, 1, 1]], (2, 2))
    with pytest.raises(InputError, match="0 adapts it"):
        axis_weights((np.float64(0), np.float64(1)), 2, 4, -1)
    assert pool(features, np.zeros((0, 4)), (2, 2)).shape == (0, 1, 2, 2)
