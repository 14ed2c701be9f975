"""Training samples of ``kpnet``: a frame, its motion, targets of three heads, and the frame before where it is compared
with; one random change for all of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kaname.codecs.heatmap import encode
from kaname.data.augment import brightness_contrast, turned, turned_window
from kaname.data.flow import Pair, consistent
from kaname.data.randomness import generator
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.recipes.kpnet import FLOW, FOREGROUND
from kaname.recipes.kpnet.classes import UNKNOWN
from kaname.recipes.kpnet.config import WITH_MOTION, KpnetConfig
from kaname.recipes.kpnet.labels import Picture, between, images_by_video
from kaname.recipes.kpnet.motion import Motion, cache_of, fed, motion_of
from kaname.types import Image

Arrays = dict[str, np.ndarray]


class Frames:
    """One sample a labelled frame, and for training ``data.video_frames`` more without labels.

    Fed: ``images`` ``(H, W, 3)``, uint8, float32 without changes; with six channels ``flow``, ``foreground``. Targets:

    - ``heatmaps`` uint8 ``(C, h, w)``: value / 255; ``there`` bool ``(C,)``: which of them count.
    - ``points`` float32 ``(C, 2)`` pixels of the canvas, NaN where not ``there``; ``scale`` float32 ``(2,)``: pixels of
      the original frame in one of the canvas.
    - ``visible`` int64 ``(C,)``: 0 out of frame, 1 hidden, 2 visible, -1 not labelled.
    - ``classes`` uint8 ``(h, w)`` on the cells of the maps; 255 where nobody knows.
    - where frames are compared: ``before_images``, ``before_flow`` and ``before_foreground`` of the frame before,
      ``forward`` and ``backward`` ``(H, W, 2)``, the flow from it to this frame and back, ``seen_before`` and ``seen``
      ``(H, W)``, where these agree, at its pixels and at those of this frame.
    """

    missing = ("points",)

    def __init__(self, config: KpnetConfig, pictures: Sequence[Picture], *, augment: bool) -> None:
        self.config = config
        change = config.augment
        self.augmented = augment and (change.moves or change.brightness > 0 or change.contrast > 0)
        self.pictures = list(pictures)[: config.train.limit or None]
        part = _part(self.pictures)
        if augment and config.data.video_frames:
            self.pictures += between(self.pictures, config.data)
        self.compares = augment and config.loss.compares
        self.moving = config.in_chans == WITH_MOTION
        self.kept = cache_of(config, "masks")
        self.motion: Motion | None = None
        if self.moving or self.compares or any(not one.labelled for one in self.pictures):
            images = images_by_video(config.data, part) if part else {}
            self.motion = motion_of(config, {picture.video: images[picture.video] for picture in self.pictures})

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the network is fed."""
        return ("images", FLOW, FOREGROUND) if self.moving else ("images",)

    def __len__(self) -> int:
        return len(self.pictures)

    def name(self, index: int) -> str:
        """The image of sample ``index``."""
        return str(self.pictures[index].image)

    def sample(self, index: int, epoch: int) -> Arrays:
        """Sample ``index``; ``epoch`` -1 is a pass without random changes."""
        picture, config = self.pictures[index], self.config
        canvas, placed = config.view.input_size, config.view.into(picture.size)
        random = generator(config.train.seed, epoch, index, "augment") if self.augmented and epoch >= 0 else None
        change = None if random is None or not config.augment.moves else self._move(random)
        into = placed if change is None else change @ placed
        if self.motion is None:
            image = into.image(read_image(picture.image, expected=picture.size), canvas, exact=epoch < 0)
            found: Arrays = {"images": self._coloured(random, image)}
        else:
            found = self._pair(self.motion, picture, change, random)
        return {**found, **self._targets(picture, into)}

    def _move(self, random: np.random.Generator) -> Affine:
        change, canvas = self.config.augment, self.config.canvas
        window = turned_window(random, canvas, rotate=0.0, scale=change.scale, shift=change.shift)
        return turned(random, canvas, change.rotate) @ window

    def _coloured(self, random: np.random.Generator | None, image: Image) -> Image:
        change = self.config.augment
        if random is None or not (change.brightness or change.contrast):
            return image
        return brightness_contrast(random, image, change.brightness, change.contrast)

    def _pair(
        self, motion: Motion, picture: Picture, change: Affine | None, random: np.random.Generator | None
    ) -> Arrays:
        """The inputs and, where frames are compared, the frame before with its own motion."""
        plain = motion.pair(picture.video, picture.number)
        pair = plain if change is None else plain.under(change)
        found: Arrays = {"images": self._coloured(random, np.array(pair.image))}
        found |= fed(pair) if self.moving else {}
        if not self.compares:
            return found
        found |= {"before_images": np.array(pair.other)}
        if self.moving:
            own = motion.before(picture.video, picture.number) if not plain.still else plain
            own = own if change is None else own.under(change)
            found |= {f"before_{name}": value for name, value in fed(own).items()}
        return found | {"forward": np.array(pair.forward), "backward": np.array(pair.backward), **_seen(plain, change)}

    def _targets(self, picture: Picture, into: Affine) -> Arrays:
        config, canvas = self.config, self.config.canvas
        points, visible = picture.channels
        places = into.points(points)
        inside = ((places >= 0) & (places <= canvas[::-1])).all(axis=1)  # NaN is not
        there = (visible > 0) & inside
        outside = np.isfinite(places).all(axis=1) & ~inside  # a point hidden somewhere stays hidden
        visible = np.where((visible > 0) & outside, 0, visible)
        places = np.where(there[:, None], places, np.nan)
        heatmaps = encode(places, there, config.cells, config.grid, config.loss.sigma)
        corners = into.inverse().points([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        scale = np.linalg.norm(corners[1:] - corners[0], axis=1)
        return {
            "heatmaps": np.rint(heatmaps * 255).astype(np.uint8),
            "there": there,
            "points": places.astype(np.float32),
            "scale": scale.astype(np.float32),
            "visible": visible.astype(np.int64),
            "classes": self._classes(picture, into),
        }

    def _classes(self, picture: Picture, into: Affine) -> np.ndarray:
        """The class of each cell; nobody knows it beyond the picture's border."""
        whole = picture.masks.read(picture.size, self.kept) if picture.masks else None
        if whole is None:
            return np.full(self.config.cells, UNKNOWN, np.uint8)
        return (Affine.resize(self.config.canvas, self.config.cells) @ into).mask(whole, self.config.cells, UNKNOWN)


def _seen(pair: Pair, change: Affine | None) -> Arrays:
    """Where the flow between two frames and the one back agree, at the pixels of each; nowhere without motion."""
    size = (pair.image.shape[0], pair.image.shape[1])
    if pair.still:
        return {name: np.zeros(size, np.bool_) for name in ("seen", "seen_before")}
    forward, backward = pair.forward.astype(np.float32), pair.backward.astype(np.float32)
    masks = {"seen": consistent(backward, forward), "seen_before": consistent(forward, backward)}
    if change is None:
        return masks
    return {name: change.mask(mask, size, outside=False) for name, mask in masks.items()}


def _part(pictures: Sequence[Picture]) -> str:
    """The set of pictures, by their folder: ``frames`` of it holds them, or a folder of the video in there."""
    if not pictures:
        return ""
    parents = pictures[0].image.parents
    return next(folder.parent.name for folder in parents if folder.name == "frames")
