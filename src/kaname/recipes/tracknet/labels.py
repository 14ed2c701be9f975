"""Clips with their labels, split by game. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats import tracknet as label_files
from kaname.data.split import by_group
from kaname.errors import InputError
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.config import DataSettings, SplitSettings
from kaname.types import FloatArray, Sample, Size

SETS = ("train", "val", "test")
PUBLISHED_GAMES = tuple(f"game{number}" for number in range(1, 11))
PUBLISHED_TEST = PUBLISHED_GAMES[7:]


@dataclass(frozen=True)
class Clip:
    """The frames of one clip in their order, with their labels.

    Attributes:
        name: ``game/clip``.
        frames: N image files.
        xy: ``(N, 2)`` the ball in continuous pixels of its frame; NaN where there is none.
        visibility: ``(N,)`` 0 no ball, 1 easy, 2 hard to see, 3 occluded.
        status: ``(N,)`` 0 flying, 1 hit, 2 bounce, -1 unknown.
        size: ``(height, width)`` of the frames.
    """

    name: str
    frames: Sequence[Path]
    xy: FloatArray
    visibility: NDArray[np.int64]
    status: NDArray[np.int64]
    size: Size


def sets(settings: DataSettings) -> dict[str, list[Clip]]:
    """The clips of a data set in ``train``, ``val`` and ``test``; a set may be empty, but not the first.

    Raises:
        InputError: the first thing that is wrong with the labels (what frames hold is not looked at), a game that is
            not there or in two sets.
    """
    root = settings.root
    if not root.exists():
        raise InputError("the data set does not exist", path=root, remedy="set data.root to the folder of the games")
    samples = label_files.read(root)
    games = list(dict.fromkeys(str(sample.meta["game"]) for sample in samples))
    try:
        found = by_group(samples, **_by_default(games, settings.split))
    except InputError as error:
        raise InputError(error.reason, path=error.path or root, remedy=error.remedy) from error
    return {name: clips(members) for name, members in zip(SETS, (found.train, found.val, found.test), strict=True)}


def clips(samples: Sequence[Sample]) -> list[Clip]:
    """Samples of the label files as clips, in their order."""
    rows: dict[str, list[Sample]] = {}
    for sample in samples:
        rows.setdefault(f"{sample.meta['game']}/{sample.meta['clip']}", []).append(sample)
    return [_clip(name, members) for name, members in rows.items()]


def _clip(name: str, samples: list[Sample]) -> Clip:
    size = samples[0].size
    assert size is not None
    status = [sample.meta["status"] for sample in samples]
    return Clip(
        name=name,
        frames=[sample.image for sample in samples],
        xy=np.array([sample.points[BALL][0] for sample in samples], dtype=np.float64).reshape(-1, 2),
        visibility=np.array([sample.meta["visibility"] for sample in samples], dtype=np.int64),
        status=np.array([-1 if value is None else value for value in status], dtype=np.int64),
        size=size,
    )


def beginning(clip: Clip, count: int) -> Clip:
    """The first ``count`` frames of a clip; all where it has no more."""
    return replace(
        clip, frames=clip.frames[:count], xy=clip.xy[:count], visibility=clip.visibility[:count],
        status=clip.status[:count],
    )  # fmt: skip


def _by_default(games: list[str], settings: SplitSettings) -> dict[str, Any]:
    """The three lists of games, with the defaults in the place of what is not given."""
    published = set(PUBLISHED_GAMES) <= set(games)
    taken = _names(settings.train_games or (), games) | _names(settings.val_games or (), games)
    free = [game for game in (PUBLISHED_TEST if published else games) if game not in taken]
    test: Sequence[int | str]
    if settings.test_games is not None:
        test = settings.test_games
    elif published or settings.train_games is not None:
        test = free
    else:
        test = free[-1:] if len(games) > 2 else ()
    left = [game for game in games if game not in _names(test, games)]
    train: list[int | str] = list(settings.train_games if settings.train_games is not None else left)
    if settings.val_games is not None:
        val: list[int | str] = list(settings.val_games)
        if settings.train_games is None:
            train = [game for game in left if game not in taken]
    else:
        val = train[-1:] if len(train) > 1 else []
        train = train[: len(train) - len(val)]
    return {"train": train, "val": val, "test": list(test)}


def _names(given: Sequence[int | str], games: list[str]) -> set[str]:
    """Games as the folders call them: 3 is ``game3``, or whatever else ends in that number."""
    names = {str(game) for game in given}
    return {game for game in games if game in names or _ending(game) in names - set(games)}


def _ending(name: str) -> str:
    """The number in which a name ends, without zeros before it."""
    digits = re.search("[0-9]+$", name)
    return str(int(digits.group())) if digits else name


def check_lengths(clips: Sequence[Clip], length: int) -> None:
    """Refuse clips shorter than the window of ``length`` frames."""
    for clip in clips:
        if len(clip.frames) < length:
            raise InputError(
                f"the clip {clip.name} has {len(clip.frames)} frames, a window has {length}",
                path=clip.frames[0].parent, remedy="set data.sequence.length lower, or leave the clip out",
            )  # fmt: skip


def check_weights(clips: Sequence[Clip], settings: DataSettings, weights: Sequence[float]) -> None:
    """Refuse clips of which no frame counts in the loss; ``weights`` are those of the visibilities 0..3."""
    for clip in clips:
        counted = np.array(weights)[clip.visibility] > 0
        if settings.absent == "mask":
            counted &= is_present(clip.visibility, occluded_absent=settings.occluded_absent)
        if counted.any():
            return
    raise InputError(
        f"no frame of the training games counts in the loss (data.absent is {settings.absent})", path=settings.root,
        remedy="set data.absent=negative, raise the visibility_weights, or take other games",
    )  # fmt: skip


def is_present(visibility: NDArray[np.int64], *, occluded_absent: bool) -> NDArray[np.bool_]:
    """Whether each frame has a ball to be found."""
    return (visibility > 0) & ~((visibility == 3) & occluded_absent)
