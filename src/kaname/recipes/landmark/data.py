"""Training samples of ``landmark``: the crop of a face, a target map a landmark, one random change for both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.heatmap import encode
from kaname.data.augment import blurred, brightness_contrast, cut_out, saturated, turned_window
from kaname.data.randomness import generator
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.recipes.landmark.config import NOTHING, LandmarkConfig
from kaname.recipes.landmark.labels import Picture, skeleton_of
from kaname.types import FloatArray, Image

STRONGEST_BLUR = 1 / 128  # of the crop's side
LARGEST_CUT = 0.4  # of the crop's side
MIRRORED = "mirrored images"


class Faces:
    """One sample a face.

    - ``images`` uint8 ``(S, S, 3)``: the crop; of a pass without random changes float32 and not rounded, as a model
      sees it when it predicts.
    - ``heatmaps`` uint8 ``(P, S / 4, S / 4)``: value / 255; empty where a landmark does not count.
    - ``weight`` float32 ``(P,)``: what each landmark counts: 0 where it is absent or outside the crop.
    - ``points`` float32 ``(P, 2)`` in pixels of the crop, NaN where it does not count; of a pass without random changes
      where it is absent alone, as `evaluate` counts. ``extent`` float32: the longer side of their extent.
    - ``mirrored images`` float32 ``(S, S, 3)``, where answers come of the mirrored crop too: of a pass without random
      changes, the crop turned so that cell lies on cell.
    """

    missing = ("points",)

    def __init__(self, config: LandmarkConfig, pictures: Sequence[Picture], *, augment: bool) -> None:
        self.config = config
        self.augmented = augment and config.augment != NOTHING
        self.permutation = skeleton_of(config.data).permutation
        faces = [(picture, number) for picture in pictures for number in range(len(picture.faces))]
        self.faces = faces[: config.train.limit or None]

    def __len__(self) -> int:
        return len(self.faces)

    def name(self, index: int) -> str:
        """The image of sample ``index``, and which of its faces."""
        picture, number = self.faces[index]
        return f"{picture.image}#{number + 1}"

    def face(self, index: int, epoch: int) -> tuple[Image, FloatArray, NDArray[np.int64], FloatArray]:
        """The image of sample ``index``, its face's points ``(P, 2)`` and visibility ``(P,)``, and its box ``(4,)``."""
        picture, number = self.faces[index]
        face = picture.faces[number]
        image = read_image(picture.image, expected=picture.size)
        return image, face.points, face.visible, picture.boxes[number]

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """Sample ``index``; ``epoch`` -1 is a pass without random changes."""
        config, (image, points, visible, box) = self.config, self.face(index, epoch)
        into, size = config.view.into((image.shape[0], image.shape[1]), box), config.view.input_size
        changes = self.augmented and epoch >= 0
        random = generator(config.train.seed, epoch, index, "augment")
        if changes:
            change = config.augment
            into = turned_window(random, size, rotate=change.rotate, scale=change.scale, shift=change.shift) @ into
            if random.random() < change.flip:
                into = Affine.flip(size[1]) @ into
                points, visible = points[self.permutation], visible[self.permutation]
        shown = into.image(image, size, exact=epoch < 0)
        if changes:
            shown = self._coloured(random, shown)
        placed = into.points(points)
        inside = ((placed >= 0) & (placed <= size[::-1])).all(axis=1)  # NaN is not
        weight = np.where(visible == 1, config.hidden_weight, 1.0) * ((visible > 0) & inside)
        heatmaps = encode(placed, weight > 0, config.cells, config.grid, config.sigma_cells)
        placed = np.where(((visible if epoch < 0 else weight) > 0)[:, None], placed, np.nan)
        mirrored: dict[str, np.ndarray] = {}
        if epoch < 0 and config.answers.flip_test:  # cell onto cell, as `kaname.inference.mirror` does it
            first, last = config.grid.from_index([[0, 0], [config.cells[1] - 1, 0]])[:, 0]
            mirrored[MIRRORED] = (Affine.flip(first + last) @ into).image(image, size, exact=True)
        return {
            **mirrored,
            "images": shown,
            "heatmaps": np.rint(heatmaps * 255).astype(np.uint8),
            "weight": weight.astype(np.float32),
            "points": placed.astype(np.float32),
            "extent": np.array(_extent(placed), dtype=np.float32),
        }

    def _coloured(self, random: np.random.Generator, image: Image) -> Image:
        change, side = self.config.augment, self.config.size
        image = brightness_contrast(random, image, change.brightness, change.contrast)
        image = saturated(random, image, change.saturation, grey=change.grey)
        if random.random() < change.blur:
            image = blurred(random, image, side * STRONGEST_BLUR)
        return cut_out(random, image, LARGEST_CUT) if random.random() < change.cut_out else image


def _extent(points: np.ndarray) -> float:
    """The longer side of the extent of points ``(P, 2)``; 0 without any."""
    seen = points[np.isfinite(points).all(axis=1)]
    return float(np.ptp(seen, axis=0).max()) if len(seen) else 0.0
