"""Training samples of ``gauge``: an image, its three target maps, one random change for both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kaname.codecs.heatmap import encode_sets
from kaname.data.formats.heatmaps import read_heatmaps
from kaname.data.pairs import Named
from kaname.data.randomness import generator
from kaname.data.varied import varied
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.recipes.gauge import CHANNELS, NEEDLE, REFERENCE_SIZE
from kaname.recipes.gauge.config import GaugeConfig
from kaname.recipes.gauge.labels import Dial, letterbox, truth_of
from kaname.types import Size


class Dials:
    """Samples with ``images`` uint8 ``(S, S, 3)`` and ``heatmaps`` uint8 ``(3, S, S)``.

    Heatmaps are value / 255; the middle channel is the maximum of the three, because start and end are notches too.
    With ``config.needle`` also ``needle`` uint8 ``(2, S, S)`` and ``needle_known`` float32 ``(2, 1, 1)``: 0 where the
    dial has no such label, which then does not count.
    To be validated on, where every dial has points, also ``truth`` float32 ``(3, N, 2)``, the true points of
    `kaname.recipes.gauge.labels.truth_of` in pixels of a 448 x 448 dial with NaN in free rows, and ``size`` int64
    ``(2,)`` of the photograph.

    A pass without random changes has ``images`` float32 and not rounded, as prediction has.
    """

    def __init__(self, config: GaugeConfig, dials: Sequence[Dial], *, augment: bool) -> None:
        self.config, self.augment = config, config.augment if augment else None
        self.dials = dials[: config.train.limit or None]
        self.augmented = self.augment is not None and self.augment.probability > 0
        known = [] if augment else [truth_of(dial) for dial in self.dials if dial.points is not None]
        self.truths = known if len(known) == len(self.dials) else []
        self.rows = max((len(points) for truth in self.truths for points in truth.values()), default=0)

    def __len__(self) -> int:
        return len(self.dials)

    def name(self, index: int) -> str:
        """The photograph of sample ``index``."""
        return str(self.dials[index].image)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """Sample ``index``; ``epoch`` -1 is a pass without random changes."""
        dial, side = self.dials[index], self.config.size
        image = read_image(dial.image)
        size: Size = (image.shape[0], image.shape[1])
        into = letterbox(size, side)
        random = generator(self.config.train.seed, epoch, index, "augment")
        if self.augment is not None and epoch >= 0 and random.random() < self.augment.probability:
            seen, into = varied(random, image, into, self.augment, (side, side), self.config.scale)
        else:
            seen = into.image(image, (side, side), exact=epoch < 0)
        heatmaps = self._targets(dial, size, into)
        heatmaps[CHANNELS.index("middle")] = heatmaps.max(axis=0)
        # Steps of 1/255 suffice for a target: a byte per cell keeps the loader's queue small.
        made = {"images": seen, "heatmaps": np.rint(heatmaps * 255).astype(np.uint8)}
        if self.config.needle:
            made |= needle_targets(dial.points or {}, into, self.config)
        return {**made, **self._truth(index, size)} if self.truths else made

    def _truth(self, index: int, size: Size) -> dict[str, np.ndarray]:
        rows, into = np.full((len(CHANNELS), self.rows, 2), np.nan, np.float32), letterbox(size, REFERENCE_SIZE)
        for row, name in zip(rows, CHANNELS, strict=True):
            points = into.points(self.truths[index][name])
            row[: len(points)] = points
        return {"truth": rows, "size": np.array(size)}

    def _targets(self, dial: Dial, size: Size, into: Affine) -> np.ndarray:
        side = self.config.size
        if dial.points is not None:
            sets = [into.points(dial.points[name]) for name in CHANNELS]
            return encode_sets(sets, (side, side), 1.0, self.config.sigma * self.config.scale)
        assert dial.heatmaps is not None
        maps = read_heatmaps(dial.heatmaps, len(CHANNELS), side)
        from_maps = into @ letterbox(size, side).inverse()
        return np.stack([from_maps.image(channel, (side, side)) for channel in maps])


def needle_targets(points: Named, into: Affine, config: GaugeConfig) -> dict[str, np.ndarray]:
    """The targets ``needle`` and ``needle_known`` of a dial with such points; ``into`` leads to the network's input."""
    sets = [into.points(points.get(name, np.zeros((0, 2)))) for name in NEEDLE]
    maps = encode_sets(sets, (config.size, config.size), 1.0, config.sigma * config.scale)
    known = np.array([len(one) > 0 for one in sets], np.float32)
    return {"needle": np.rint(maps * 255).astype(np.uint8), "needle_known": known[:, None, None]}
