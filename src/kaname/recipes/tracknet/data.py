"""Training samples of ``tracknet``: windows of consecutive frames, one random change for all frames of a window."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from kaname.codecs.heatmap import encode
from kaname.data.randomness import generator
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.geometry.image import read_image
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.labels import Clip, is_present
from kaname.types import Size


class Windows:
    """Samples of T frames, none of which crosses a clip's border.

    - ``image`` uint8 ``(H, W, 3 T)``: the frames one after the other.
    - ``heatmaps`` uint8 ``(T, h, w)``: value / 255; empty where there is no ball.
    - ``mask`` float32 ``(T,)``: how much each frame counts in the loss.
    - ``ball`` float32 ``(T, 2)``: (column, row) of the heatmap, not rounded, NaN without a ball; ``present`` uint8
      ``(T,)``; ``scale`` float32 ``(2,)``: pixels of the original frame in a cell, along x and y.

    Args:
        clips: at least as long as the window.
        config: the run's configuration.
        augment: random changes, and windows that start every ``data.sequence.stride`` frames; otherwise every frame is
            in one window, but for the last window of a clip, which may share frames with the one before.
    """

    missing = ("ball",)

    def __init__(self, clips: Sequence[Clip], config: TracknetConfig, *, augment: bool) -> None:
        self.clips, self.config, self.augment = clips, config, augment
        self.length = config.data.sequence.length
        step = config.data.sequence.stride if augment else self.length
        self.windows = [
            (number, start)
            for number, clip in enumerate(clips)
            for start in starts(len(clip.frames), self.length, step)
        ]
        limit = config.training.limit
        self.windows = self.windows[:limit] if limit else self.windows
        width, height = config.data.resize
        self.size: Size = (height, width)
        columns, rows = config.model.heatmap.size
        self.cells: Size = (rows, columns)
        self.grid = Grid.between(self.size, self.cells)
        self.stride = (width / columns, height / rows)

    def __len__(self) -> int:
        return len(self.windows)

    def name(self, index: int) -> str:
        """The first frame of window ``index``."""
        number, start = self.windows[index]
        return str(self.clips[number].frames[start])

    def weights(self) -> np.ndarray:
        """How often each window is drawn: the largest of ``training.sampling`` among its frames' visibilities."""
        values = np.array(self.config.training.sampling.values)
        return np.array(
            [values[self.clips[clip].visibility[start : start + self.length]].max() for clip, start in self.windows]
        )

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """Window ``index``; ``epoch`` -1 is a pass without random changes."""
        number, start = self.windows[index]
        clip, chosen = self.clips[number], slice(start, start + self.length)
        random = generator(self.config.training.seed, epoch, index, "augment")
        changes = self.augment and epoch >= 0
        into = Affine.letterbox(clip.size, self.size)
        into = self._view(random) @ into if changes else into
        table = self._colour(random) if changes else None
        frames = [self._frame(clip, position, into, table) for position in range(start, start + self.length)]
        visibility = clip.visibility[chosen]
        ball = into.points(clip.xy[chosen])
        height, width = self.size
        inside = ((ball >= 0) & (ball <= (width, height))).all(axis=1)  # NaN is not
        present = is_present(visibility, occluded_absent=self.config.data.occluded_absent) & inside
        heatmaps = encode(np.where(present[:, None], ball, np.nan), present, self.cells, self.grid,
                          self.config.model.heatmap.sigma)  # fmt: skip
        return {
            "image": np.concatenate(frames, axis=2),
            "heatmaps": np.rint(heatmaps * 255).astype(np.uint8),
            "mask": self._mask(visibility, present),
            "ball": np.where(present[:, None], self.grid.to_index(ball), np.nan).astype(np.float32),
            "present": present.astype(np.uint8),
            "scale": np.array(self.stride, dtype=np.float32) / np.float32(into.scale),
        }

    def _frame(self, clip: Clip, position: int, into: Affine, table: np.ndarray | None) -> np.ndarray:
        least = self.size if self.config.data.reduced_decode else None
        image = read_image(clip.frames[position], at_least=least, expected=clip.size)
        read = (image.shape[0], image.shape[1])  # a reduced image is the whole frame on fewer pixels
        seen = (into @ Affine.resize(read, clip.size)).image(image, self.size)
        return seen if table is None else cv2.LUT(seen, table)  # type: ignore[return-value]

    def _mask(self, visibility: np.ndarray, present: np.ndarray) -> np.ndarray:
        weights = np.array(self.config.training.loss.visibility_weights.values, dtype=np.float32)[visibility]
        return weights if self.config.data.absent == "negative" else np.where(present, weights, np.float32(0))

    def _view(self, random: np.random.Generator) -> Affine:
        """Mirrored or not, then a centred window enlarged to the whole."""
        height, width = self.size
        view = Affine.flip(width) if random.random() < self.config.data.flip_prob else Affine.identity()
        enlarge = 1 / random.uniform(self.config.data.crop, 1)
        return Affine.scaling(enlarge, enlarge, (width / 2, height / 2)) @ view

    def _colour(self, random: np.random.Generator) -> np.ndarray:
        """A table of grey levels: contrast about the middle, then brightness."""
        settings = self.config.data
        contrast = random.uniform(1 - settings.contrast, 1 + settings.contrast)
        brightness = random.uniform(1 - settings.brightness, 1 + settings.brightness)
        levels = ((np.arange(256) - 127.5) * contrast + 127.5) * brightness
        return np.rint(levels.clip(0, 255)).astype(np.uint8)


def starts(frames: int, length: int, step: int) -> list[int]:
    """Where windows begin: every ``step`` frames, and one that ends with the clip.

    >>> starts(7, 3, 3)
    [0, 3, 4]
    """
    last = frames - length
    found = list(range(0, last + 1, step))
    return found if not found or found[-1] == last else [*found, last]
