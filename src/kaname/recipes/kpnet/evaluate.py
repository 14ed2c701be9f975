"""Figures of ``kpnet`` from files of predictions and labels. No torch, so it reruns in seconds.

Objects of a class are paired frame by frame by least distance. ``pck`` is the share of visible true points that are
found within a number of pixels of the original frame, ``pixel_error`` the mean distance of those that were predicted at
all, ``visibility`` the share of labelled points whose visibility was told, ``jitter`` the mean change of a point's
error from one frame to the next in pixels, ``identity_switches`` how often an object's id changed. HOTA-KP is
`kaname.metrics.hota_kp`'s, with ids carried along time by nearness; its figures are means over all classes and
thresholds. Intervals are over videos.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.config import from_dict, nearest
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.metrics.hota_kp import Objects
from kaname.pipeline.labelled import Result
from kaname.pipeline.matching import Rows, by_name
from kaname.recipes.kpnet import STATES
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.recipes.kpnet.decode import made, read
from kaname.recipes.kpnet.labels import Picture, labelled
from kaname.recipes.kpnet.videos import (
    HOTA,
    LOWER,
    SUMS_FILE,
    Rules,
    VideoSums,
    groups_of,
    read_sums,
    statistic_of,
    sums_content,
    sums_of,
)
from kaname.reporting.compare import Scored, check_options
from kaname.reporting.results import figure_cell
from kaname.tracking.identity import Identity
from kaname.types import FloatArray, Points

VISIBLE = 2
GATE = 0.1  # of the frame's width, beyond which an object is not taken for one that was last seen there
SHOWN = ("pck", "pixel_error", "visibility", "hota", "det_a", "ass_a", "jitter", "identity_switches")
JUDGED = ("hota", "det_a", "ass_a", "pck", "pixel_error", "visibility", "jitter", "identity_switches")
COMPARED = ("pck_px", "similarity", "scale_px", "skeleton")


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

    @property
    def seen(self) -> NDArray[np.bool_]:
        """``(C,)``: the true points that are visible."""
        return self.picture.channels[1] == VISIBLE

    @property
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


def score(path: Path, pictures: Sequence[Picture], settings: AnswerSettings, how: Mapping[str, Any]) -> Result:
    """Figures of a whole set from a ``points.json``; ``how`` may hold ``videos``, ``length`` and ``step``.

    Raises:
        InputError: a frame of the set without a prediction, or one for another size or skeleton.
    """
    rows = Rows(read(path), path)
    if others := rows.others(pictures):
        warnings.warn(f"{path}: not in this set and not scored: {', '.join(others[:5])}", stacklevel=2)
    chosen = chosen_videos(pictures, how.get("videos"), path)
    skeleton = chosen[0].skeleton
    compared = align(chosen, rows, skeleton_of_file(path) or skeleton)
    rules = rules_of(settings, length=how.get("length"), step=how.get("step"))
    sums = videos_of(compared, rules)
    groups = groups_of(sums, skeleton)
    confusion = np.array(groups["all"]["visibility"]["confusion"], np.int64)
    facts = facts_of(sums, skeleton, rules) | {
        "images": len(compared),
        "images_not_scored": len(others),
    }
    title = f"{len(compared)} frames of {len(sums)} videos, found within {settings.pck_px:g} px"
    files = {
        "visibility.json": {"rows": list(STATES), "columns": list(STATES), "counts": confusion.tolist()},
        SUMS_FILE: sums_content(sums, skeleton, {"settings": facts}),
    }
    return Result(groups, facts, table_of(groups), title, (compared, confusion), files)


def chosen_videos(pictures: Sequence[Picture], videos: Sequence[str] | None, path: Path) -> Sequence[Picture]:
    """The frames of some videos, by default of all.

    Raises:
        InputError: a video that is not labelled, or nothing to score at all.
    """
    known = sorted({picture.video for picture in pictures})
    if lost := [name for name in videos or () if name not in known]:
        raise InputError(
            f"--videos names {lost[0]!r}, which is not labelled", path=path, remedy=nearest(lost[0], known)
        )
    chosen = [picture for picture in pictures if videos is None or picture.video in videos]
    if not any((thing.visible == VISIBLE).any() for picture in chosen for thing in picture.things):
        raise InputError(
            "the labels have no visible point: nothing could be scored", path=path, remedy="check --data-root"
        )
    return chosen


def rules_of(settings: AnswerSettings, **changes: Any) -> Rules:
    """How the settings score videos."""
    return Rules(settings.pck_px, settings.similarity, settings.scale_px, **changes)


def facts_of(sums: Mapping[str, VideoSums], skeleton: Skeleton, rules: Rules) -> dict[str, Any]:
    """How figures were made, for ``metrics.json``."""
    return {
        "skeleton": skeleton.name,
        "pck_px": rules.pck_px,
        "similarity": rules.similarity,
        "scale_px": rules.scale_px,
        "length": rules.length,
        "frame_step": "auto" if rules.step is None else rules.step,
        "intervals": "95 % bootstrap over videos",
        "videos": sorted(sums),
        "frames": sum(one.frames for one in sums.values()),
        "predictions_off_the_grid": sum(one.left_out for one in sums.values()),
        "truth_off_the_grid": sum(one.truth_left_out for one in sums.values()),
    }


def skeleton_of_file(path: Path) -> Skeleton | None:
    """The skeleton that a file of predictions states."""
    stated = made(path)["skeleton"]
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
        xy = np.array([answer.xy[name][0] for name in names])
        told = np.array([answer.visible[name][0] if name in answer.visible else VISIBLE for name in names], np.int64)
        scores = np.array([answer.scores[name][0] for name in names])
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


def table_of(groups: Mapping[str, Any]) -> list[list[str]]:
    """Rows for the screen."""
    rows = [[name, *(figure_cell(figures[one]) for one in SHOWN)] for name, figures in groups.items()]
    return [["class", *SHOWN], *rows]


def compare(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """A ``points.json``, or the ``hota.json`` of an evaluation, video by video, for ``kaname compare``.

    Args:
        data: the data folder; not read where an evaluation was made already.
        split: the one set to use; default: all of them.
        cluster: ``none`` or ``video``, which say the same here: a sample is a video.
        options: ``pck_px``, ``similarity``, ``scale_px`` and ``skeleton``, of a ``points.json`` alone.

    Raises:
        InputError: an unusable file, unknown options.
    """
    scored_already = predictions.name == SUMS_FILE
    check_options(options, () if scored_already else COMPARED, cluster, ("none", "video"))
    left_out: dict[str, str] = {}
    if scored_already:
        sums, names, settings = read_sums(predictions)
        about = {name: settings.get(name) for name in (*COMPARED, "frame_step", "length")}
    else:
        sums, names, about, left_out = _compared_points(predictions, data, split, options)
    return Scored(
        values={video: _values(one, names) for video, one in sums.items()},
        settings={"recipe": "kpnet", **about, "data": data.as_posix()},
        statistics={figure: statistic_of(figure) for figure in JUDGED},
        lower_is_better=LOWER,
        left_out=left_out,
        sample="video",
    )


def _compared_points(
    predictions: Path, data: Path, split: str | None, options: Mapping[str, Any]
) -> tuple[dict[str, VideoSums], list[str], dict[str, Any], dict[str, str]]:
    """The sums of a ``points.json``, its classes, how it was scored, and what was left out."""
    settings = from_dict(AnswerSettings, {name: value for name, value in options.items() if name != "skeleton"})
    words = [f"skeleton={options['skeleton']}"] if "skeleton" in options else []
    pictures = by_name(labelled(data, {"data": {}}, words), split)
    rows = Rows(read(predictions), predictions)
    chosen = [picture for name, picture in pictures.items() if name in rows.by_name]
    if not chosen:
        raise InputError("no predicted frame is labelled in this data", path=predictions, remedy="check --data")
    skeleton = chosen[0].skeleton
    sums = videos_of(align(chosen, rows, skeleton_of_file(predictions) or skeleton), rules_of(settings))
    left_out = {name: "no labelled frame of this name" for name in sorted(set(rows.by_name) - set(pictures))}
    about = {"pck_px": settings.pck_px, "similarity": settings.similarity, "scale_px": settings.scale_px}
    return sums, list(skeleton.groups), {**about, "skeleton": skeleton.name}, left_out


def _values(one: VideoSums, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A video's rows by group and figure, as the statistics take them."""
    groups = {"all": (one.hota.ravel(), one.points.sum(axis=0))}
    groups |= {name: (hota.ravel(), points) for name, hota, points in zip(names, one.hota, one.points, strict=True)}
    return {name: {figure: (hota if figure in HOTA else points).tolist() for figure in JUDGED}
            for name, (hota, points) in groups.items()}  # fmt: skip
