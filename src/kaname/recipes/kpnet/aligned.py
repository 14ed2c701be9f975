"""Labelled frames beside what was predicted there, and what each video adds to the figures. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.points import together
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.metrics import hota_kp
from kaname.metrics.hota import ALPHAS, COUNTS, figures
from kaname.metrics.hota_kp import Objects
from kaname.metrics.keypoint_objects import COLUMNS, TOLD, measures
from kaname.pipeline.answers import made
from kaname.pipeline.matching import Rows
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.recipes.kpnet.labels import Picture
from kaname.tracking.identity import Identity
from kaname.types import FloatArray, Points

VISIBLE = 2
GATE = 0.1  # of the frame's width, beyond which an object is not taken for one that was last seen there
# Mean distance, in scales of the similarity, at which it is one half.
HALF = {"gaussian": math.sqrt(2 * math.log(2)), "linear": 0.5}
Sums = FloatArray


@dataclass(frozen=True)
class Compared:
    """A labelled frame beside its prediction, by channel.

    Attributes:
        picture: the labelled frame.
        predicted: ``(C, 2)`` pixels, NaN where out of frame.
        told: ``(C,)`` predicted visibilities.
        scores: ``(C,)``.
    """

    picture: Picture
    predicted: FloatArray
    told: NDArray[np.int64]
    scores: FloatArray

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """``(C,)``: the true points that are visible."""
        return self.picture.channels[1] == VISIBLE

    @cached_property
    def errors(self) -> FloatArray:
        """``(C,)`` pixels; NaN where either side has no place."""
        return np.linalg.norm(self.predicted - self.picture.channels[0], axis=1)

    def figures(self, limit: float, chosen: Any = True) -> dict[str, float | None]:
        """``pck``, ``pixel_error`` and ``visibility`` over the ``chosen`` channels; None where nothing counts."""
        seen, known = self.seen & chosen, (self.picture.channels[1] >= 0) & chosen
        errors = self.errors
        placed = seen & np.isfinite(errors)
        with np.errstate(invalid="ignore"):
            found = seen & (errors <= limit)
        right = known & (self.told == self.picture.channels[1])
        return {
            "pck": float(found.sum() / seen.sum()) if seen.any() else None,
            "pixel_error": float(errors[placed].mean()) if placed.any() else None,
            "visibility": float(right.sum() / known.sum()) if known.any() else None,
        }


@dataclass(frozen=True)
class Rules:
    """How videos are scored.

    Attributes:
        pck_px: pixels within which a point is found.
        similarity, scale_px: of HOTA-KP.
        length: the last frame; None: the truth's.
        step: frames between two that are scored; None: as the truth has them.
        told: whether the predictions state visibilities.
    """

    pck_px: float = 10.0
    similarity: str = "gaussian"
    scale_px: float = 10.0
    length: int | None = None
    step: int | None = None
    told: bool = True


@dataclass(frozen=True)
class VideoSums:
    """A video's part of the figures.

    Attributes:
        hota: ``(classes, 7, 19)`` counts of HOTA.
        points: ``(classes, 17)`` sums of `kaname.metrics.keypoint_objects.COLUMNS`.
        frames: scored.
        left_out: predicted objects off the grid of frames.
        truth_left_out: true ones.
    """

    hota: Sums
    points: Sums
    frames: int
    left_out: int = 0
    truth_left_out: int = 0


def sums_of(
    truth: Mapping[str, Objects],
    predicted: Mapping[str, Objects],
    skeleton: Skeleton,
    rules: Rules,
    frames: Iterable[int] | None = None,
) -> VideoSums:
    """What a video adds; ``frames`` are the labelled ones, where the truth does not say which have no object.

    Raises:
        InputError: the truth has no frame, or the rules do not fit it.
    """
    how = {"length": rules.length, "step": rules.step, "scale_px": rules.scale_px, "kind": rules.similarity}
    found = hota_kp.sequence(truth, predicted, frames=frames, **how)
    reach = HALF[rules.similarity] * rules.scale_px
    points = np.stack(
        [
            measures(
                truth[name],
                predicted.get(name, hota_kp.NOTHING),
                found.grid,
                limit=rules.pck_px,
                reach=reach,
                instances=group.instances,
            )
            for name, group in skeleton.groups.items()
        ]
    )
    if not rules.told:
        points[:, [COLUMNS.index(name) for name in TOLD]] = 0
    hota = np.stack([found.counts[name] for name in skeleton.groups])
    return VideoSums(hota, points, found.frames, found.left_out, found.truth_left_out)


def rules_of(settings: AnswerSettings, **changes: Any) -> Rules:
    """How the settings score videos."""
    return Rules(settings.pck_px, settings.similarity, settings.scale_px, **changes)


def skeleton_of_file(path: Path) -> Skeleton | None:
    """The skeleton that a file of predictions states."""
    stated = made(path).get("skeleton")
    return Skeleton.from_dict(stated) if stated else None


def align(pictures: Sequence[Picture], rows: Rows, skeleton: Skeleton) -> list[Compared]:
    """Every labelled frame beside its prediction.

    Raises:
        InputError: predictions for another skeleton.
    """
    found: list[Compared] = []
    for picture in pictures:
        if picture.skeleton.channels != skeleton.channels:
            reason = f"predicted for the skeleton {skeleton.name!r}, labelled for {picture.skeleton.name!r}"
            raise InputError(reason, path=rows.source, remedy="give --skeleton of the labels")
        answer = rows.of(picture).answer
        assert isinstance(answer, Points)
        names = skeleton.channels
        if lost := [name for name in names if name not in answer.xy or len(answer.xy[name]) != 1]:
            reason = f"no place for {lost[0]!r}"
            raise InputError(reason, path=rows.source, row=picture.source, remedy="predict again")
        own = answer.xy if tuple(answer.xy) == tuple(names) else {name: answer.xy[name] for name in names}
        xy, scores = together(answer.xy, own), together(answer.scores, own)
        told = together(answer.visible, own, unknown=VISIBLE).astype(np.int64)
        found.append(Compared(picture, xy, np.where(np.isnan(xy).any(axis=1), 0, told), scores))
    return found


def videos_of(compared: Sequence[Compared], rules: Rules) -> dict[str, VideoSums]:
    """What each video adds to the figures; one without any labelled object adds what is wrongly predicted there."""
    videos: dict[str, list[Compared]] = {}
    for one in compared:
        videos.setdefault(one.picture.video, []).append(one)
    sums: dict[str, VideoSums] = {}
    for video, frames in videos.items():
        ordered = sorted(frames, key=lambda frame: frame.picture.number)
        sides, numbers = (true_objects(ordered), predicted_objects(ordered)), [one.picture.number for one in ordered]
        sums[video] = sums_of(*sides, ordered[0].picture.skeleton, rules, numbers)
    return sums


def true_objects(frames: Sequence[Compared]) -> dict[str, Objects]:
    """The labelled objects of a video by class."""
    return {
        name: _objects(
            [
                (frame.picture.number, thing.id, thing.points, thing.visible)
                for frame in frames
                for thing in frame.picture.things
                if thing.group == name
            ],
            len(group.points),
        )
        for name, group in frames[0].picture.skeleton.groups.items()
    }


def predicted_objects(frames: Sequence[Compared]) -> dict[str, Objects]:
    """The predicted objects of a video by class: the slots of which a point is in the frame."""
    skeleton = frames[0].picture.skeleton
    rows: dict[str, list[tuple[int, int, FloatArray, Any]]] = {name: [] for name in skeleton.groups}
    width = frames[0].picture.size[1]
    identities = {name: Identity(range(group.instances), gate=GATE * width) for name, group in skeleton.groups.items()}
    for frame in frames:
        there: dict[str, list[tuple[FloatArray, Any]]] = {name: [] for name in skeleton.groups}
        for slot in skeleton.slots:
            told = frame.told[slot.start : slot.stop]
            if told.any():
                there[slot.group].append((frame.predicted[slot.start : slot.stop], told))
        for name, own in there.items():
            ids = identities[name].assign([points for points, _ in own])
            rows[name] += [(frame.picture.number, one, *pair) for one, pair in zip(ids, own, strict=True)]
    return {name: _objects(own, len(skeleton.groups[name].points)) for name, own in rows.items()}


def _objects(rows: Sequence[tuple[int, Any, FloatArray, Any]], count: int) -> Objects:
    return Objects(
        np.array([row[0] for row in rows], np.int64),
        [row[1] for row in rows],
        np.array([row[2] for row in rows], np.float64).reshape(len(rows), count, 2),
        np.array([row[3] for row in rows], np.int64).reshape(len(rows), count),
    )


def by_alpha(sums: FloatArray, key: str) -> FloatArray:
    """A part of HOTA at each alpha ``(..., 19)``, the mean over classes, from their counts ``(..., classes * 133)``."""
    counts = sums.reshape(*sums.shape[:-1], -1, len(COUNTS), len(ALPHAS))
    return figures(counts)[key].mean(axis=-2)
