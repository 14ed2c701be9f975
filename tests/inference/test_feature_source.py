"""The store of features: nothing is computed twice, nothing stale is found, a window is a part of the map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.data.cache import ArrayCache
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image, write_image
from kaname.geometry.view import View
from kaname.inference.feature_source import CachedSource, FeatureSource, Window, converted, source_key

SIZE = (48, 64)


class Means:
    """Cell means of the colours at two strides, with a count of calls."""

    def __init__(self, version: int = 1, fit: Any = "stretch") -> None:
        self.calls = 0
        self.view = View(fit, SIZE)
        strides = [[4.0, 4.0], [16.0, 8.0]]
        self.description: Mapping[str, Any] = {
            "kind": "means", "version": version, "channels": [3, 3], "stride_yx": strides, "view": self.view.to_dict(),
            "path": "anywhere", "licence": "",
        }  # fmt: skip
        self.key = source_key(self.description)

    def features(self, images: np.ndarray) -> list[np.ndarray]:
        assert images.dtype == np.uint8 and images.shape[1:] == (*SIZE, 3)
        self.calls += 1
        made = []
        for down, across in ((4, 4), (16, 8)):
            cells = images.reshape(-1, SIZE[0] // down, down, SIZE[1] // across, across, 3)
            made.append(np.moveaxis(cells.mean(axis=(2, 4)), 3, 1).astype(np.float32))
        return made


@pytest.fixture
def source() -> Means:
    return Means()


@pytest.fixture
def cache(tmp_path: Path) -> ArrayCache:
    return ArrayCache(tmp_path / "cache", budget=int(1e8))


def picture(seed: int = 0, size: tuple[int, int] = (90, 130)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_source_is_what_the_protocol_says(source: Means) -> None:
    typed: FeatureSource = source
    assert typed.key == Means().key and typed.key != Means(2).key
    elsewhere = {**source.description, "path": "moved", "licence": "GPL-3"}
    assert source_key(elsewhere) == source.key, "a file that moves is the same file"


@pytest.mark.parametrize("half", [False, True])
def test_hits_recompute_nothing(source: Means, cache: ArrayCache, half: bool, tmp_path: Path) -> None:
    image = picture()
    write_image(tmp_path / "a.png", image)
    cached = CachedSource(source, cache, half=half)
    live = cached.maps(image)
    assert source.calls == 1 and [one.shape for one in live] == [(3, 12, 16), (3, 3, 8)]
    assert all(one.dtype == (np.float16 if half else np.float32) for one in live)
    direct = source.features(source.view.into((90, 130)).image(image, SIZE)[None])
    assert all(np.allclose(a, b[0], rtol=1e-3) for a, b in zip(live, direct, strict=True))
    for _ in range(3):
        again = CachedSource(source, ArrayCache(cache.folder, budget=int(1e8)), half=half)
        assert same(again.maps(image), live) and same(cached.maps(image.copy()), live)
    assert source.calls == 2
    assert same(cached.maps(tmp_path / "a.png"), live) and same(cached.maps(tmp_path / "a.png"), live)
    assert source.calls == 3, "a file is known by its bytes"
    CachedSource(source, cache, half=not half).maps(image)
    assert source.calls == 4, "the precision is part of the key"


def test_a_thousand_changes_find_nothing_stale(cache: ArrayCache) -> None:
    """One pixel, the view, the source, or a file's content under one name: always the answer of a live source."""
    random = np.random.default_rng(0)
    image, file = picture(1, (20, 30)), cache.folder / "same_name.png"
    source = Means()
    for number in range(1000):
        kind = number % 4
        into = None
        if kind == 0:
            image = image.copy()
            image[tuple(random.integers((20, 30, 3)))] ^= 1
        elif kind == 1:
            into = Affine.flip(SIZE[1]) @ source.view.into((20, 30)) @ Affine.shift(*random.normal(size=2))
        elif kind == 2:
            source = Means(number)
        given: Any = image
        if kind == 3:
            write_image(file, picture(number, (20, 30)))
            given = file
        calls = source.calls
        found = CachedSource(source, cache).maps(given, into)
        assert source.calls == calls + 1, number
        pixels = read_image(file) if kind == 3 else image
        move = into or source.view.into((20, 30))
        assert same(found, [one[0] for one in source.features(move.image(pixels, SIZE)[None])])
    hits = cache.hits
    assert hits == 0


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_windows_are_parts_of_the_maps(cache: ArrayCache, fit: str) -> None:
    """One run for all boxes of an image, none the second time; bilinear sampling in the box reads nothing else."""
    source, image = Means(fit=fit), picture(2)
    cached = CachedSource(source, cache)
    boxes = np.array([[10.0, 20.0, 60.0, 80.0], [0, 0, 130, 90], [100.5, 3.2, 101.0, 3.3], [120, 80, 200, 300]])
    windows = cached.windows(image, boxes, margin=0.25)
    assert source.calls == 1
    assert all(same(a.maps, b.maps) for a, b in zip(windows, cached.windows(image, boxes, margin=0.25), strict=True))
    assert source.calls == 1
    whole = cached.maps(image)
    move = source.view.into((90, 130))
    for window, box in zip(windows, boxes, strict=True):
        np.testing.assert_allclose(window.box, move.boxes(box[None])[0])
        for level, (part, (top, left)) in enumerate(zip(window.maps, window.corners, strict=True)):
            bottom, right = top + part.shape[1], left + part.shape[2]
            np.testing.assert_array_equal(part, whole[level][:, top:bottom, left:right])
            check_holds(source, window, level, whole[level].shape[1:])
    cached.windows(image, boxes[:1], margin=0.3)
    cached.windows(image, boxes[:1] + np.array([0.001, 0, 0, 0]), margin=0.25)
    assert source.calls == 3, "only a window of other cells is another window"


def check_holds(source: Means, window: Window, level: int, size: tuple[int, ...]) -> None:
    """The cells that surround the grown box's corners lie in the window, as far as the map has them."""
    down, across = source.description["stride_yx"][level]
    x1, y1, x2, y2 = window.box + np.array([-1, -1, 1, 1]) * 0.25 * np.tile(window.box[2:] - window.box[:2], 2)
    for low, high, stride, axis in ((y1, y2, down, 0), (x1, x2, across, 1)):
        first, last = window.corners[level][axis], window.corners[level][axis] + window.maps[level].shape[axis + 1] - 1
        needed = np.floor(low / stride - 0.5), np.floor(high / stride - 0.5) + 1
        assert first <= max(needed[0], 0) or first == size[axis] - 1
        assert last >= min(needed[1], size[axis] - 1) and 0 <= first <= last < size[axis]


def test_without_a_budget_it_is_computed_each_time(source: Means, tmp_path: Path) -> None:
    cached = CachedSource(source, ArrayCache(tmp_path / "none", budget=0))
    assert same(cached.maps(picture()), cached.maps(picture())) and source.calls == 2
    assert len(cached.windows(picture(), [[0, 0, 9, 9], [5, 5, 50, 50]])) == 2 and source.calls == 3
    assert cached.windows(picture(), np.zeros((0, 4))) == [] and source.calls == 3


def test_what_is_refused(source: Means, cache: ArrayCache, tmp_path: Path) -> None:
    cached = CachedSource(source, cache)
    with pytest.raises(InputError, match=r"none\.png"):
        cached.maps(tmp_path / "none.png")
    with pytest.raises(InputError, match="four finite numbers"):
        cached.windows(picture(), [[0, 0, np.nan, 9]])


def test_conversion_rounds_as_numpy_does() -> None:
    """Every float16, what lies half-way between two of them, what is too large and too small; of a part of an array."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)].astype(np.float32)
    values = np.concatenate([every, np.nextafter(every, 0), (every[:-1] + every[1:]) / 2, [1e9, -1e9, 1e-12, np.inf]])
    values = np.broadcast_to(values.astype(np.float32), (2, len(values)))[:, ::2]
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    ours = converted(values, np.float16)
    np.testing.assert_array_equal(ours.view(np.uint16), expected.view(np.uint16))
    np.testing.assert_array_equal(converted(ours, np.float32), expected.astype(np.float32))
    assert converted(ours, np.float16) is ours
