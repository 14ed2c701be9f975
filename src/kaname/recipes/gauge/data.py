"""Training samples of ``gauge``: an image, its three target maps, one random change for both."""

from __future__ import annotations

import cv2
import numpy as np

from kaname.codecs.heatmap import encode_sets
from kaname.data.randomness import generator
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.config import AugmentSettings, GaugeConfig
from kaname.recipes.gauge.labels import Dial, letterbox, read_heatmaps


class Dials:
    """Samples with ``image`` uint8 ``(S, S, 3)`` and ``heatmaps`` uint8 ``(3, S, S)``.

    Heatmaps are value / 255; the middle channel is the maximum of the three, because start and end are notches too.
    The letterboxed image is rounded to whole grey levels, which prediction does not do: half a level at most.
    """

    def __init__(self, dials: list[Dial], config: GaugeConfig, *, augment: bool) -> None:
        self.dials, self.config = dials, config
        self.augment = config.augment if augment else None

    def __len__(self) -> int:
        return len(self.dials)

    def name(self, index: int) -> str:
        """The photograph of sample ``index``."""
        return str(self.dials[index].image)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """Sample ``index``; ``epoch`` -1 is a pass without random changes."""
        dial, side = self.dials[index], self.config.size
        image = read_image(dial.image)
        height, width = image.shape[:2]
        into = letterbox((height, width), side)
        random = generator(self.config.train.seed, epoch, index, "augment")
        if self.augment is not None and epoch >= 0 and random.random() < self.augment.probability:
            into = random_view(random, self.augment, side) @ into
            image = random_colour(random, self.augment, image)
        heatmaps = self._targets(dial, (height, width), into)
        heatmaps[CHANNELS.index("middle")] = heatmaps.max(axis=0)
        # A target is worth 1/255 steps: a byte a cell keeps the loader's queue small.
        return {"image": into.image(image, (side, side)), "heatmaps": np.rint(heatmaps * 255).astype(np.uint8)}

    def _targets(self, dial: Dial, size: tuple[int, int], into: Affine) -> np.ndarray:
        side = self.config.size
        if dial.points is not None:
            sets = [into.points(dial.points[name]) for name in CHANNELS]
            return encode_sets(sets, (side, side), 1.0, self.config.sigma * self.config.scale)
        assert dial.heatmaps is not None
        maps = read_heatmaps(dial.heatmaps, side)
        from_maps = into @ letterbox(size, side).inverse()
        return np.stack([from_maps.image(channel, (side, side)) for channel in maps])


def random_view(random: np.random.Generator, augment: AugmentSettings, side: int) -> Affine:
    """A rotation about the centre, an enlargement by ``crop`` and a window of the old size somewhere in it."""
    angle = random.uniform(-augment.rotate, augment.rotate)
    centre = (side / 2, side / 2)
    slack = side * (augment.crop - 1)
    left, top = random.uniform(0, slack), random.uniform(0, slack)
    enlarge = Affine.scaling(augment.crop, augment.crop)
    return Affine.shift(-left, -top) @ enlarge @ Affine.rotate(angle, centre)


def random_colour(random: np.random.Generator, augment: AugmentSettings, image: np.ndarray) -> np.ndarray:
    """Brightness, then contrast about the mean grey, each by a random factor."""
    if random.random() >= augment.colour_probability:
        return image
    brightness = random.uniform(1 - augment.brightness, 1 + augment.brightness)
    contrast = random.uniform(1 - augment.contrast, 1 + augment.contrast)
    grey = min(255.0, float(image.mean()) * brightness)
    levels = np.arange(256) * (brightness * contrast) + grey * (1 - contrast)
    return cv2.LUT(image, np.rint(levels.clip(0, 255)).astype(np.uint8))  # type: ignore[return-value]
