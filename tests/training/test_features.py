"""Cached features: the same answers as without, never stale, bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kaname.data.cache import ArrayCache, content_key
from kaname.data.dataset import Addressed, Samples, to_batch
from kaname.errors import InputError
from kaname.inference.torch_features import backbone_key
from kaname.losses.heatmap import bce_with_logits
from kaname.models.backbones import build_backbone, freeze
from kaname.models.network import Network
from kaname.training.features import CachedFeatures, with_cached_features
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
        return {"images": image, "heatmaps": image[..., :1].transpose(2, 0, 1).copy()}


def make_network() -> Network:
    torch.manual_seed(0)
    network = Network(build_backbone("small:8"), size=(64, 64), out_channels=1)
    freeze(network.backbone)
    return network.eval()


def cached(tmp_path: Path, pictures: Pictures, network: Network, **options: object) -> CachedFeatures:
    return CachedFeatures(pictures, network, ArrayCache(tmp_path / "cache", budget=10**8), **options)  # type: ignore[arg-type]


def loss_of(network: Network, samples: Samples) -> float:
    """Over all samples without augmentation."""
    addressed = Addressed(samples)
    collated = addressed.collate([addressed[-1, index, True] for index in range(len(samples))])
    batch = to_batch(collated, torch.device("cpu"))
    with torch.no_grad():
        logits = network(batch.inputs)["heatmaps"]
    total, weight = bce_with_logits(logits, batch.targets["heatmaps"].float() / 255)
    return float(total / weight)


def test_losses_equal_those_of_images(tmp_path: Path) -> None:
    pictures, network = Pictures(6), make_network()
    store = cached(tmp_path, pictures, network)
    live = loss_of(network, pictures)
    for _ in range(2):  # computed, then read
        assert loss_of(network, store) == pytest.approx(live, abs=1e-5)
    assert store.cache.hits >= 12 and store.inputs == ("features_0",)
    half = cached(tmp_path, pictures, network, half=True)
    assert loss_of(network, half) == pytest.approx(live, abs=1e-3)


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


def test_a_change_of_image_or_weight_finds_no_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, network = Pictures(1), make_network()
    calls, original = [0], network.features
    monkeypatch.setattr(network, "features", lambda images: (calls.__setitem__(0, calls[0] + 1), original(images))[1])
    cached(tmp_path, pictures, network).sample(0, -1)
    again = cached(tmp_path, pictures, network)
    again.sample(0, -1)
    assert calls == [1] and again.cache.misses == 0
    pictures.images[0, 5, 5, 0] ^= 1
    cached(tmp_path, pictures, network).sample(0, -1)
    assert calls == [2]
    with torch.no_grad():
        next(network.backbone.parameters()).view(-1)[0] += 1e-3
    cached(tmp_path, pictures, network).sample(0, -1)
    assert calls == [3]


class Blurred(Pictures):
    """Their targets depend on a sigma."""

    sigma = 1.0

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        row = super().sample(index, epoch)
        return {**row, "heatmaps": (row["heatmaps"] / self.sigma).astype(np.float32)}


def test_another_sigma_runs_no_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, network = Blurred(3), make_network()
    first = [cached(tmp_path, pictures, network, views=2).sample(index, 4) for index in range(3)]
    monkeypatch.setattr(network, "features", None)
    pictures.sigma = 2.0
    changed = cached(tmp_path, pictures, network, views=2)
    for epoch in (4, 4):  # made from pixels, then read
        for index, before in enumerate(first):
            row = changed.sample(index, epoch)
            np.testing.assert_array_equal(row["features_0"], before["features_0"])
            np.testing.assert_array_equal(row["heatmaps"], before["heatmaps"] / 2)


def test_whatever_the_backbone_sees_is_in_the_key(tmp_path: Path) -> None:
    """Flow behind the images: features take the place of both, and another flow has features of its own."""

    class Moving(Pictures):
        inputs = ("images", "flow")
        flow = 0.0

        def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
            return {**super().sample(index, epoch), "flow": np.full((2, 64, 64), self.flow, np.float32)}

    torch.manual_seed(0)
    network = Network(build_backbone("small:8", in_channels=5), size=(64, 64), further={"flow": 2}).eval()
    freeze(network.backbone)
    pictures, live = Moving(2), []
    for pictures.flow in (0.0, 3.0):
        store = cached(tmp_path, pictures, network)
        assert store.inputs == ("features_0",) and set(store.sample(0, -1)) == {"features_0", "heatmaps"}
        live.append(loss_of(network, pictures))
        assert loss_of(network, store) == pytest.approx(live[-1], abs=1e-5)
    assert live[0] != live[1]


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


def test_the_backbone_key_knows_size_and_normalization() -> None:
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
