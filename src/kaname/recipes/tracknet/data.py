"""Training samples of ``tracknet``: windows of consecutive frames, one random change for all frames of a window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kaname.codecs.heatmap import encode
from kaname.data.augment import apply_levels, contrast_brightness, mirrored_window
from kaname.data.frame_source import read_frame
from kaname.data.randomness import generator
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.labels import Clip, frame_weights, is_present
from kaname.types import Image


class Windows:
    """Samples of T frames, none of which crosses a clip's border.

    - ``images`` uint8 ``(H, W, 3 T)``: the frames one after the other; without random changes float32, as predicted.
    - ``heatmaps`` uint8 ``(T, h, w)``: value / 255; empty where there is no ball.
    - ``mask`` float32 ``(T,)``: how much each frame counts in the loss.
    - ``ball`` float32 ``(T, 2)``: pixels of the input, NaN without a ball; ``present`` uint8 ``(T,)``; ``scale``
      float32 ``(2,)``: pixels of the original frame in one of the input, along x and y.
    - ``fresh`` bool ``(T,)``: which frames no window before has answered: figures count each frame once.

    Clips are at least as long as the window; ``augment`` also chooses the windows of training.
    """

    missing = ("ball",)

    def __init__(self, config: TracknetConfig, clips: Sequence[Clip], *, augment: bool) -> None:
        self.config, self.clips, self.augment = config, clips, augment
        data = config.data
        self.augmented = augment and bool(data.flip_prob or data.crop < 1 or data.brightness or data.contrast)
        self.length = data.sequence.length
        windows = data.sequence.windows([len(clip.frames) for clip in clips], training=augment)
        self.windows = windows[: config.training.limit or None]
        (width, height), (columns, rows) = data.resize, config.model.heatmap.size
        self.size, self.cells = (height, width), (rows, columns)
        self.grid = Grid.between(self.size, self.cells)

    def __len__(self) -> int:
        return len(self.windows)

    def name(self, index: int) -> str:
        """The first frame of window ``index``."""
        number, start = self.windows[index]
        return str(self.clips[number].frames[start])

    def weights(self) -> np.ndarray:
        """How often each window is drawn: the largest of ``sampling`` among its frames' visibilities."""
        values, length = np.array(self.config.sampling.values), self.length
        seen = (self.clips[clip].visibility[start : start + length] for clip, start in self.windows)
        return np.array([values[visibility].max() for visibility in seen])

    def window(self, index: int, epoch: int) -> tuple[Clip, int]:
        """The clip of window ``index``, and the number of its first frame there."""
        number, start = self.windows[index]
        return self.clips[number], start

    def _answered(self, index: int) -> int:
        """How many frames of a window the one before has answered."""
        if self.augment or not index:
            return 0
        (before, began), (number, start) = self.windows[index - 1 : index + 1]
        return began + self.length - start if before == number else 0

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """Window ``index``; ``epoch`` -1 is a pass without random changes."""
        data, (clip, start) = self.config.data, self.window(index, epoch)
        chosen = slice(start, start + self.length)
        random = generator(self.config.training.seed, epoch, index, "augment")
        into, levels = Affine.letterbox(clip.size, self.size), None
        if self.augment and epoch >= 0:
            into = mirrored_window(random, self.size, flip=data.flip_prob, smallest=data.crop) @ into
            levels = contrast_brightness(random, data.brightness, data.contrast)
        frames = [self._frame(clip, number, into, levels, epoch) for number in range(chosen.start, chosen.stop)]
        visibility = clip.visibility[chosen]
        ball = into.points(clip.xy[chosen])
        inside = ((ball >= 0) & (ball <= self.size[::-1])).all(axis=1)  # NaN is not
        present = is_present(visibility, occluded_absent=data.occluded_absent) & inside
        ball = np.where(present[:, None], ball, np.nan)
        heatmaps = encode(ball, present, self.cells, self.grid, self.config.model.heatmap.sigma)
        return {
            "images": np.concatenate(frames, axis=2),
            "heatmaps": np.rint(heatmaps * 255).astype(np.uint8),
            "mask": frame_weights(self.config, visibility, inside),
            "ball": ball.astype(np.float32),
            "present": present.astype(np.uint8),
            "fresh": np.arange(self.length) >= self._answered(index),
            "scale": np.full(2, 1 / into.scale, np.float32),
        }

    def read(self, clip: Clip, position: int, epoch: int = 0) -> Image:
        """A frame of a clip; a reduced one has fewer pixels."""
        least = self.size if self.config.data.reduced_decode and epoch >= 0 else None
        return read_frame(clip.frames[position], at_least=least, expected=clip.size)

    def _frame(self, clip: Clip, position: int, into: Affine, levels: np.ndarray | None, epoch: int) -> np.ndarray:
        image = self.read(clip, position, epoch)
        read = (image.shape[0], image.shape[1])  # a reduced image is the whole frame on fewer pixels
        seen = (into @ Affine.resize(read, clip.size)).image(image, self.size, exact=epoch < 0)
        return seen if levels is None else apply_levels(seen, levels)
