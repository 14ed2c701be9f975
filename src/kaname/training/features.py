"""Features of a frozen backbone, computed once: a data set that yields them instead of images.

The first time a view of a sample is asked for in a run, its pixels and targets are made and hashed together with the
backbone's weights; the entry of that hash is read or computed. From then on the run reads the entry alone. ``views``
augmented views of each sample are kept and drawn from by (seed, epoch, index); without views only the unaugmented
sample is. Misses (a budget too small, an entry removed) are computed again, so the answers never depend on the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from kaname.data.cache import ArrayCache, content_key, default_folder
from kaname.data.dataset import Samples
from kaname.data.randomness import generator
from kaname.errors import InputError
from kaname.inference.device import choose_device, choose_precision
from kaname.models.network import Network
from kaname.training.settings import TrainSettings

PREFIX = "features_"


class CachedFeatures:
    """Samples with ``features_0``, ``features_1``, ... (the backbone's maps) in the place of ``image``.

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
        self._keys: dict[tuple[int, int], str] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """The features and targets of one view of sample ``index``; ``epoch`` -1 is the unaugmented one."""
        view = -1
        if epoch >= 0 and self.views:
            view = int(generator(self.seed, epoch, index, "view").integers(self.views))
        key = self._keys.get((index, view))
        found = None if key is None else self.cache.get(key)
        return found if found is not None else self._from_pixels(index, view)

    def _from_pixels(self, index: int, view: int) -> dict[str, Any]:
        row = dict(self.samples.sample(index, view))
        kind = "16" if self.half else "32"
        key = content_key(
            [self.backbone_key, kind, *(part for name in sorted(row) for part in (name, np.asarray(row[name])))]
        )
        self._keys[index, view] = key
        found = self.cache.get(key)
        if found is None:
            found = {**self._features(row.pop("image")), **row}
            self.cache.put(key, found)
        return found

    def _features(self, image: np.ndarray) -> dict[str, np.ndarray]:
        device = self.network.mean.device
        batch = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(device)
        with torch.no_grad():
            maps = self.network.features(batch)
        kind = np.float16 if self.half else np.float32
        return {f"{PREFIX}{level}": value[0].float().cpu().numpy().astype(kind) for level, value in enumerate(maps)}


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
    if settings.cache_views and not network.backbone.frozen:
        raise InputError(
            "--cache-views keeps features of a frozen backbone, and this one trains",
            remedy="leave it out, or freeze it",
        )
    if not network.backbone.frozen or not (settings.cache_budget or settings.cache_views):
        return train, val
    cache = ArrayCache(default_folder() / "features", budget=int(settings.cache_budget * 1e9))
    half = choose_precision(settings.precision, choose_device(settings.device)) != "fp32"
    if val is not None:
        val = CachedFeatures(val, network, cache, half=half)
    if not augmented or settings.cache_views:
        train = CachedFeatures(train, network, cache, views=settings.cache_views, seed=settings.seed, half=half)
    return train, val


def features_of(targets: Mapping[str, torch.Tensor]) -> list[torch.Tensor] | None:
    """The cached maps of a batch, finest first, or ``None`` where it holds images."""
    names = sorted((name for name in targets if name.startswith(PREFIX)), key=lambda name: int(name[len(PREFIX) :]))
    return [targets[name].float() for name in names] or None


def backbone_key(network: Network) -> str:
    """A hash of everything between pixels and features: weights, normalisation, input size, description."""
    weights = {**network.backbone.state_dict(), "mean": network.mean, "std": network.std}
    parts: list[Any] = [str(network.size), str(sorted(network.backbone.description.items(), key=lambda item: item[0]))]
    for name, value in sorted(weights.items()):
        parts += [name, value.detach().cpu().float().numpy()]
    return content_key(parts)
