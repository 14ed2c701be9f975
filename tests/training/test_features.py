"""Cached features: the same answers as without, never stale, bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kaname.data.cache import ArrayCache, content_key
from kaname.data.dataset import collate, to_batch
from kaname.errors import InputError
from kaname.losses.heatmap import bce_with_logits
from kaname.models.backbones import build_backbone, freeze
from kaname.models.network import Network
from kaname.training.features import CachedFeatures, backbone_key, features_of, with_cached_features
from kaname.training.settings import TrainSettings


class Pictures:
    """Random images whose augmentation is a shift by the view's number."""

    def __init__(self, count: int, side: int = 64) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        self.drawn = 0

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        self.drawn += 1
        image = np.roll(self.images[index], epoch + 1, axis=1)
        return {"image": image, "heatmaps": image[..., :1].transpose(2, 0, 1).copy()}


def make_network() -> Network:
    torch.manual_seed(0)
    network = Network(build_backbone("small:8"), size=(64, 64), out_channels=1)
    freeze(network.backbone)
    return network.eval()


def cached(tmp_path: Path, pictures: Pictures, network: Network, **options: object) -> CachedFeatures:
    return CachedFeatures(pictures, network, ArrayCache(tmp_path / "cache", budget=10**8), **options)  # type: ignore[arg-type]


def loss_of(network: Network, rows: list[dict[str, np.ndarray]]) -> float:
    batch = to_batch(collate([{**row, "index": np.int64(0)} for row in rows]), torch.device("cpu"))
    with torch.no_grad():
        logits = network(batch.images, features_of(batch.targets))
    total, weight = bce_with_logits(logits, batch.targets["heatmaps"].float() / 255)
    return float(total / weight)


def test_losses_equal_those_of_images(tmp_path: Path) -> None:
    pictures, network = Pictures(6), make_network()
    store = cached(tmp_path, pictures, network)
    live = loss_of(network, [pictures.sample(index, -1) for index in range(6)])
    for _ in range(2):  # computed, then read
        assert loss_of(network, [store.sample(index, -1) for index in range(6)]) == pytest.approx(live, abs=1e-5)
    assert store.cache.hits >= 6
    half = cached(tmp_path, pictures, network, half=True)
    assert loss_of(network, [half.sample(index, -1) for index in range(6)]) == pytest.approx(live, abs=1e-3)


def test_later_epochs_draw_nothing_and_run_no_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, network = Pictures(4), make_network()
    store = cached(tmp_path, pictures, network, views=2, seed=3)
    for epoch in range(12):
        for index in range(4):
            store.sample(index, epoch)
    drawn = pictures.drawn
    assert drawn == 8, "each of two views of four samples is made once"
    monkeypatch.setattr(network, "features", None)
    for epoch in range(12, 20):
        for index in range(4):
            assert "features_0" in store.sample(index, epoch)
    assert pictures.drawn == drawn


def test_views_are_drawn_statelessly(tmp_path: Path) -> None:
    first = cached(tmp_path / "a", Pictures(3), make_network(), views=4, seed=1)
    second = cached(tmp_path / "b", Pictures(3), make_network(), views=4, seed=1)
    for epoch in (5, 2, 9):
        for name, value in first.sample(1, epoch).items():
            np.testing.assert_array_equal(value, second.sample(1, epoch)[name])
    assert len({first.sample(0, epoch)["heatmaps"].tobytes() for epoch in range(30)}) == 4


def test_a_change_of_image_target_or_weight_finds_nothing(tmp_path: Path) -> None:
    pictures, network = Pictures(1), make_network()
    cached(tmp_path, pictures, network).sample(0, -1)
    again = cached(tmp_path, pictures, network)
    again.sample(0, -1)
    assert (again.cache.hits, again.cache.misses) == (1, 0)
    pictures.images[0, 5, 5, 0] ^= 1
    changed = cached(tmp_path, pictures, network)
    changed.sample(0, -1)
    assert changed.cache.hits == 0
    with torch.no_grad():
        next(network.backbone.parameters()).view(-1)[0] += 1e-3
    other = cached(tmp_path, pictures, network)
    other.sample(0, -1)
    assert other.cache.hits == 0


def test_a_thousand_changed_keys_are_all_different() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    keys = {content_key([image])}
    for _ in range(1000):
        other = image.copy()
        other[tuple(rng.integers(0, 16, 2))] ^= np.uint8(rng.integers(1, 256))
        keys.add(content_key([other]))
    assert len(keys) > 990, "equal draws apart, every change has a key of its own"
    assert content_key([image]) != content_key([image.reshape(-1)])
    assert content_key(["ab", "c"]) != content_key(["a", "bc"])


def test_the_backbone_key_knows_size_and_normalisation() -> None:
    torch.manual_seed(0)
    one = Network(build_backbone("small:8"), size=(64, 64), out_channels=1)
    other = Network(one.backbone, size=(64, 96), out_channels=1)
    plain = Network(one.backbone, size=(64, 64), out_channels=1, normalize="none")
    assert len({backbone_key(one), backbone_key(other), backbone_key(plain)}) == 3


def test_only_frozen_backbones_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path))
    pictures, settings = Pictures(2), TrainSettings(precision="fp32", device="cpu")
    live = Network(build_backbone("small:8"), size=(64, 64), out_channels=1)
    assert with_cached_features(pictures, pictures, live, settings, augmented=False) == (pictures, pictures)
    train, val = with_cached_features(pictures, pictures, make_network(), settings, augmented=True)
    assert train is pictures
    assert isinstance(val, CachedFeatures)
    train, _ = with_cached_features(pictures, None, make_network(), settings, augmented=False)
    assert isinstance(train, CachedFeatures)
    with pytest.raises(InputError, match="frozen backbone"):
        with_cached_features(pictures, None, live, replace(settings, cache_views=2), augmented=True)


def test_views_do_not_depend_on_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path))
    kept = TrainSettings(precision="fp32", device="cpu", cache_views=3, seed=5)
    rows = []
    for settings in (kept, replace(kept, cache_budget=0.0)):
        train, _ = with_cached_features(Pictures(2), None, make_network(), settings, augmented=True)
        rows.append([train.sample(index, epoch) for epoch in range(4) for index in range(2)])
    for one, other in zip(*rows, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
