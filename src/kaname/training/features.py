"""Features of a frozen backbone, computed once: a data set that yields them instead of images.

The first time a view of a sample is asked for in a run, its pixels and targets are made. The features have an entry in
the cache under a hash of the pixels and the backbone, the targets one under a hash of themselves: another sigma or
another box computes no features again. From then on the run reads the two entries alone. ``views`` augmented views of
each sample are kept and drawn from by (seed, epoch, index); without views only the unaugmented sample is. Misses (a
budget too small, an entry removed) are computed again, so the answers never depend on the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from kaname.data.cache import ArrayCache, content_key, default_folder
from kaname.data.dataset import Samples, stacked
from kaname.data.randomness import generator
from kaname.errors import InputError
from kaname.inference.device import choose_device, choose_precision
from kaname.inference.torch_features import backbone_key
from kaname.models.network import FEATURES, Network
from kaname.training.settings import TrainSettings


class CachedFeatures:
    """Samples with ``features_0``, ``features_1``, ... (the backbone's maps) in place of what it was fed.

    Args:
        samples: what to draw views of.
        network: its backbone is frozen; it may move to another device afterwards.
        cache: where entries live.
        views: augmented views of each sample; 0 keeps the unaugmented one alone.
        seed: of the draw of a view.
        half: keep features in 16 bits (for runs in bf16, whose own rounding is coarser).
    """

    in_process = True  # misses need the network, which lives in this process; hits need no worker

    def __init__(
        self,
        samples: Samples,
        network: Network,
        cache: ArrayCache,
        *,
        views: int = 0,
        seed: int = 0,
        half: bool = False,
    ) -> None:
        self.samples, self.network, self.cache = samples, network, cache
        self.views, self.seed, self.half = views, seed, half
        self.backbone_key = backbone_key(network)
        self.name: Callable[[int], str] = getattr(samples, "name", str)
        self.missing: tuple[str, ...] = getattr(samples, "missing", ())
        self.inputs = tuple(f"{FEATURES}{level}" for level in range(len(network.backbone.channels)))
        self._keys: dict[tuple[int, int], tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """The features and targets of one view of sample ``index``; ``epoch`` -1 is the unaugmented one."""
        view = -1
        if epoch >= 0 and self.views:
            view = int(generator(self.seed, epoch, index, "view").integers(self.views))
        entries = [self.cache.get(key) for key in self._keys.get((index, view), ())]
        if not entries or any(entry is None for entry in entries):
            entries = self._from_pixels(index, view)
        return {name: array for entry in entries if entry is not None for name, array in entry.items()}

    def _from_pixels(self, index: int, view: int) -> list[dict[str, np.ndarray] | None]:
        """The entries of a view, read or made."""
        targets = {name: np.asarray(array) for name, array in self.samples.sample(index, view).items()}
        inputs = {name: targets.pop(name) for name in getattr(self.samples, "inputs", ("images",))}
        kind = "16" if self.half else "32"
        keys = content_key([self.backbone_key, kind, *_named(inputs)]), content_key(["targets", *_named(targets)])
        self._keys[index, view] = keys
        features = self.cache.get(keys[0])
        if features is None:
            features = self._features(inputs)
            self.cache.put(keys[0], features)
        if self.cache.get(keys[1]) is None:
            self.cache.put(keys[1], targets)
        return [features, targets]

    def _features(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        device = self.network.mean.device
        batch = {name: tensor.to(device) for name, tensor in stacked([inputs]).items()}
        with torch.no_grad():
            maps = self.network.features(self.network.joined(batch))
        kind = np.float16 if self.half else np.float32
        return {f"{FEATURES}{level}": value[0].float().cpu().numpy().astype(kind) for level, value in enumerate(maps)}


def _named(arrays: Mapping[str, np.ndarray]) -> list[str | np.ndarray]:
    """What the hash of such arrays is made of."""
    return [part for name in sorted(arrays) for part in (name, arrays[name])]


def with_cached_features(
    train: Samples, val: Samples | None, network: Network, settings: TrainSettings, *, augmented: bool
) -> tuple[Samples, Samples | None]:
    """Training and validation sets with cached features, of the frozen backbone run in fp32.

    Only a frozen backbone's features can be kept. Validation images are never augmented; training images are cached
    where they are not augmented, or where ``settings.cache_views`` stored views were asked for (which a budget of 0
    computes each time). In fp32 training the answers are those without a cache; in bf16 the stored features (11 bits of
    mantissa) are finer than a live backbone's (8 bits).

    Raises:
        InputError: views of a backbone that trains.
    """
    backbone = getattr(network, "backbone", None)
    if backbone is None:  # it is fed another network's features, which its recipe keeps itself
        return train, val
    frozen = backbone.frozen
    if settings.cache_views and not frozen:
        reason = "--cache-views keeps features of a frozen backbone, and this network has none"
        raise InputError(reason, remedy="leave it out, or freeze the backbone")
    if not frozen or not (settings.cache_budget or settings.cache_views):
        return train, val
    cache = ArrayCache(default_folder() / "features", budget=int(settings.cache_budget * 1e9))
    half = choose_precision(settings.precision, choose_device(settings.device)) != "fp32"
    if val is not None:
        val = CachedFeatures(val, network, cache, half=half)
    if not augmented or settings.cache_views:
        train = CachedFeatures(train, network, cache, views=settings.cache_views, seed=settings.seed, half=half)
    return train, val
