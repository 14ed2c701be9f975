"""A torch backbone through the same protocol."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from kaname.data.cache import ArrayCache
from kaname.geometry.view import View
from kaname.inference.feature_source import CachedSource, FeatureSource
from kaname.inference.torch_features import TorchFeatures
from kaname.models.backbones import build_backbone
from kaname.models.network import Network


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(build_backbone("small"), "linear", size=(32, 64), out_channels=1).eval()


def test_it_serves_the_backbones_maps(tmp_path: Path) -> None:
    model = network()
    source: FeatureSource = TorchFeatures(model, view=View("stretch", (32, 64)))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), np.uint8)
    with torch.no_grad():
        wanted = model.features(torch.from_numpy(images).permute(0, 3, 1, 2))
    for one, other in zip(source.features(images), wanted, strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    card = json.loads(json.dumps(source.description))
    assert card["kind"] == "torch" and card["channels"] == [one.shape[1] for one in wanted]
    assert card["stride_yx"] == [[32 / one.shape[2], 64 / one.shape[3]] for one in wanted]
    cached = CachedSource(source, ArrayCache(tmp_path, budget=int(1e8)))
    (first, *_), (again, *_) = cached.maps(images[0]), cached.maps(images[0])
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, wanted[0][0].numpy(), atol=1e-5)


def test_the_key_is_of_weights_and_view() -> None:
    one = TorchFeatures(network())
    assert one.view == View("letterbox", (32, 64)) and one.key == TorchFeatures(network()).key
    assert one.key != TorchFeatures(network(1)).key
    assert one.key != TorchFeatures(network(), view=View("stretch", (32, 64))).key
