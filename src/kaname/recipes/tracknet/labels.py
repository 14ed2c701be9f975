"""Clips with their labels, split by game. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats import tracknet as label_files
from kaname.data.split import by_group, named
from kaname.errors import InputError, located
from kaname.pipeline.labelled import check_lengths
from kaname.pipeline.presets import find_data
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.config import DataSettings, SplitSettings, TracknetConfig
from kaname.types import FloatArray, Sample, Size

SETS = ("train", "val", "test")
SHORTER = "set data.sequence.length lower, or leave the clip out"
PUBLISHED_GAMES = tuple(f"game{number}" for number in range(1, 11))
PUBLISHED_TEST = PUBLISHED_GAMES[7:]


@dataclass(frozen=True)
class Clip:
    """The frames of one clip in their order, with their labels.

    Attributes:
        source: its name, ``game/clip``.
        frames: N image files, or what stands for frames of a video (`kaname.data.frame_source`).
        xy: ``(N, 2)`` the ball in continuous pixels of its frame; NaN where there is none.
        visibility: ``(N,)`` 0 no ball, 1 easy, 2 hard to see, 3 occluded.
        status: ``(N,)`` 0 flying, 1 hit, 2 bounce, -1 unknown.
        size: ``(height, width)`` of the frames.
    """

    source: str
    frames: Sequence[Path]
    xy: FloatArray
    visibility: NDArray[np.int64]
    status: NDArray[np.int64]
    size: Size

    @property
    def game(self) -> str:
        """Its game."""
        return self.source.split("/")[0]

    def label(self, number: int) -> bytes:
        """The label of a frame."""
        x, y = np.round(self.xy[number], 3).tolist()
        return repr((self.source, number, int(self.visibility[number]), int(self.status[number]), x, y)).encode()

    def beginning(self, count: int) -> Clip:
        """The first ``count`` frames; all where there are no more."""
        return replace(self, **{name: getattr(self, name)[:count] for name in ("frames", "xy", "visibility", "status")})


def training_sets(config: TracknetConfig) -> dict[str, list[Clip]]:
    """The clips of ``train`` and ``val``, long enough for a window, with something to learn from."""
    chosen, data = sets(config.data), config.data
    check_lengths([*chosen["train"], *chosen["val"]], data.sequence.length, remedy=SHORTER)
    shown = replace(config, data=replace(data, absent="mask"))  # where no ball is shown none is learnt
    if not any(frame_weights(shown, clip.visibility).any() for clip in chosen["train"]):
        reason = "no frame of the training games with a ball counts in the loss"
        raise InputError(reason, path=data.root, remedy="label it, raise the visibility_weights, or choose other games")
    return chosen


def data_group(data: str) -> tuple[Path, dict[str, Any]]:
    """The configuration of the data that ``--data`` names, and what a folder of games in its place sets."""
    return find_data(data, "tracknet", key="data.root", holds="*/*/*.csv")


def games_of(clips: Sequence[Clip]) -> list[str]:
    """The games that clips are of, by name."""
    return sorted({clip.game for clip in clips})


def sets(settings: DataSettings) -> dict[str, list[Clip]]:
    """The clips of a data set in ``train``, ``val`` and ``test``; a set may be empty, but not the first.

    Raises:
        InputError: the first thing that is wrong with the labels (frames are not decoded), a game that is
            not there or in two sets.
    """
    root = settings.root
    if not root.exists():
        raise InputError("the data set does not exist", path=root, remedy="check --data (data.root)")
    samples = label_files.read(root)
    games = list(dict.fromkeys(str(sample.meta["game"]) for sample in samples))
    with located(root):
        split = by_group(samples, **_by_default(games, settings.split))
    return {name: clips(getattr(split, name)) for name in SETS}


def clips(samples: Sequence[Sample]) -> list[Clip]:
    """Samples of the label files as clips, in their order."""
    rows: dict[str, list[Sample]] = {}
    for sample in samples:
        rows.setdefault(f"{sample.meta['game']}/{sample.meta['clip']}", []).append(sample)
    return [_clip(source, members) for source, members in rows.items()]


def _clip(source: str, samples: list[Sample]) -> Clip:
    assert samples[0].size is not None
    status = [sample.meta["status"] for sample in samples]
    return Clip(
        source=source,
        frames=[sample.image for sample in samples],
        xy=np.array([sample.points[BALL][0] for sample in samples], dtype=np.float64).reshape(-1, 2),
        visibility=np.array([sample.meta["visibility"] for sample in samples], dtype=np.int64),
        status=np.array([-1 if value is None else value for value in status], dtype=np.int64),
        size=samples[0].size,
    )


def _by_default(games: list[str], settings: SplitSettings) -> dict[str, Any]:
    """The three lists of games, with the defaults in the place of what is not given."""
    published = set(PUBLISHED_GAMES) <= set(games)
    train, val, test = settings.train_games, settings.val_games, settings.test_games
    taken = named([*(train or ()), *(val or ())], games)
    free = [game for game in (PUBLISHED_TEST if published else games) if game not in taken]
    if test is None:
        test = free if published or train is not None else free[-1:] if len(games) > 2 else ()
    if train is None:
        train = [game for game in games if game not in named([*test, *(val or ())], games)]
    if val is None:
        val = train[-1:] if len(train) > 1 else ()
        train = train[: len(train) - len(val)]
    return {"train": train, "val": val, "test": test}


def frame_weights(config: TracknetConfig, visibility: NDArray[np.int64], inside: Any = True) -> NDArray[np.float32]:
    """How much each frame counts in the loss; ``inside``: whether its ball is in what the network sees."""
    weights = np.array(config.loss.visibility_weights.values, dtype=np.float32)[visibility]
    present = is_present(visibility, occluded_absent=config.data.occluded_absent) & inside
    return weights if config.data.absent == "negative" else np.where(present, weights, np.float32(0))


def is_present(visibility: NDArray[np.int64], *, occluded_absent: bool) -> NDArray[np.bool_]:
    """Whether each frame has a ball to be found."""
    return (visibility > 0) & ~((visibility == 3) & occluded_absent)
