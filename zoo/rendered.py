"""Training samples that are drawn when they are asked for: nothing is stored, no two epochs see the same picture.

Sample ``index`` of an epoch depends on (seed, epoch, index) alone, whoever asks, so that a resumed run sees what an
unbroken one would have seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kaname.codecs.heatmap import encode_sets
from kaname.data.photo import photographed
from kaname.geometry.affine import Affine
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.data import needle_targets
from kaname.recipes.landmark.data import Faces
from kaname.recipes.tracknet.data import Windows
from kaname.recipes.tracknet.labels import Clip
from kaname.samples.crowd import render as render_people
from kaname.samples.gauge import render, render_nothing
from kaname.samples.landmark import render as render_face
from kaname.samples.tracknet import film
from kaname.types import Image

SEED = 20_000  # of the training pictures, where no other is asked for; validation has the next one
EMPTY = 0.1  # share of the dials' pictures without any dial
FACE_SIDES = (96, 420)  # of a face's picture: small ones are enlarged to the crop
MATCHES = 20  # in an epoch of windows: painting a court takes longer than many windows of it


class RenderedDials:
    """Samples of ``gauge``: ``images``, ``heatmaps`` and, where the configuration asks for it, the needle's."""

    augmented = True

    def __init__(self, config: Any, count: int, without: tuple[str, ...] = (), seed: int = SEED) -> None:
        self.config, self.count, self.without, self.seed = config, count, without, seed

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int, epoch: int) -> dict[str, Any]:
        """Dial ``index`` of an epoch."""
        side = self.config.size
        rng = np.random.default_rng([self.seed, epoch + 1, index])
        if rng.random() < EMPTY:
            image, sets, needle = without_dial(rng, side), [np.zeros((0, 2))] * len(CHANNELS), {}
        else:
            dial = render(rng, side, variety="world", without=self.without)
            image, sets, needle = dial.image, [dial.points[name] for name in CHANNELS], dial.needle
        maps = encode_sets(sets, (side, side), 1.0, self.config.sigma * self.config.scale)
        maps[CHANNELS.index("middle")] = maps.max(axis=0)  # start and end are notches too
        image = photographed(rng, image, self.config.augment.photo, self.config.scale)
        made = {"images": image, "heatmaps": np.rint(maps * 255).astype(np.uint8)}
        if self.config.needle:
            made |= needle_targets(needle, Affine(np.eye(2, 3)), self.config)
            if not needle:
                made["needle_known"] = np.ones_like(made["needle_known"])  # there is none
        return made


def without_dial(rng: np.random.Generator, side: int) -> Image:
    """A picture in which no notch is to be found: marks and print, a face, people."""
    kind = rng.random()
    if kind < 0.5:
        return render_nothing(rng, side)
    if kind < 0.75:
        return render_face(rng, side).image
    return render_people(rng, (side, side), int(rng.integers(1, 6)), crowd=bool(rng.random() < 0.3)).image


class RenderedFaces(Faces):
    """Samples of ``landmark``, with the recipe's own crops and random changes."""

    def __init__(self, config: Any, count: int, without: tuple[str, ...] = (), seed: int = SEED) -> None:
        super().__init__(config, (), augment=True)
        self.count, self.without, self.seed = count, without, seed

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """What an error calls the sample."""
        return f"rendered face {index}"

    def face(self, index: int, epoch: int) -> tuple[Image, Any, Any, Any]:
        """Face ``index`` of an epoch, in its box as a detector draws it: not quite where and as large as the truth."""
        rng = np.random.default_rng([self.seed, epoch + 1, index])
        face = render_face(rng, int(rng.integers(*FACE_SIDES)), without=self.without)
        visible = np.where(face.visible, np.where(face.hidden, 1, 2), 0)
        return face.image, np.where(visible[:, None] > 0, face.points, 0.0), visible, face.box


class RenderedWindows(Windows):
    """Samples of ``tracknet``: windows of consecutive frames, each match with its own court, light and camera."""

    def __init__(self, config: Any, count: int, without: tuple[str, ...] = (), seed: int = SEED) -> None:
        super().__init__(config, (), augment=True)
        self.count, self.without, self.seed = count, without, seed
        self.augmented = True

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """What an error calls the sample."""
        return f"rendered window {index}"

    def weights(self) -> np.ndarray:
        """All alike."""
        return np.ones(self.count)

    def window(self, index: int, epoch: int) -> tuple[Clip, int]:
        """Window ``index`` of an epoch as a clip of its own, whose frames are pictures."""
        rng = np.random.default_rng([self.seed, epoch + 1, index])
        match = (epoch + 1) * MATCHES + index * MATCHES // self.count
        clip = film(self.seed, index, size=self.size, game=match, until=4.0, without=self.without)
        first = int(rng.integers(0, 100))
        shots = [clip.shot(first + number) for number in range(self.length)]
        frames = [shot.image for shot in shots]
        points = np.array([shot.point for shot in shots])
        visibility = np.array([shot.visibility for shot in shots], np.int64)
        status = np.array([-1 if shot.status is None else shot.status for shot in shots], np.int64)
        return Clip(f"match{match}/{index}", frames, points, visibility, status, self.size), 0  # type: ignore[arg-type]

    def read(self, clip: Clip, position: int, epoch: int = 0) -> Image:
        """The frame, which is there already."""
        return clip.frames[position]  # type: ignore[return-value]


SAMPLES = {"gauge": RenderedDials, "landmark": RenderedFaces, "tracknet": RenderedWindows}
