"""Figures of ``kpnet`` from files of predictions and labels. No torch, so it reruns in seconds.

``pck`` is the share of visible true points that are found within a number of pixels of the original frame,
``pixel_error`` the mean distance of those that were predicted at all, ``visibility`` the share of labelled points whose
visibility was told. HOTA-KP is `kaname.metrics.hota_kp`'s, with ids carried along time by nearness; its figures are
means over all classes and thresholds. Intervals are over videos.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.config import from_dict
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.metrics import hota_kp
from kaname.metrics.hota import ALPHAS, COUNTS, class_mean, figures
from kaname.metrics.hota_kp import Objects
from kaname.metrics.intervals import summary
from kaname.pipeline.labelled import Result
from kaname.pipeline.matching import Rows, by_name
from kaname.recipes.kpnet import STATES
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.recipes.kpnet.decode import made, read
from kaname.recipes.kpnet.labels import Picture, labelled
from kaname.reporting.compare import Scored, check_options
from kaname.reporting.results import figure_cell
from kaname.tracking.identity import Identity
from kaname.types import FloatArray, Points

VISIBLE = 2
GATE = 0.1  # of the frame's width, beyond which an object is not taken for one that was last seen there
HOTA = {"hota": "HOTA", "det_a": "DetA", "ass_a": "AssA", "loc_a": "LocA"}
FIGURES = ("pck", "pixel_error", "visibility", *HOTA)


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
    """Figures of a whole set from a ``points.json``.

    Raises:
        InputError: a frame of the set without a prediction, or one for another size or skeleton.
    """
    rows = Rows(read(path), path)
    if others := rows.others(pictures):
        warnings.warn(f"{path}: not in this set and not scored: {', '.join(others[:5])}", stacklevel=2)
    skeleton = pictures[0].skeleton
    compared = align(pictures, rows, skeleton_of_file(path) or skeleton)
    sums, left_out = hota_sums(compared, settings)
    groups: dict[str, Any] = {"all": {**_shares(compared, settings.pck_px), **_hota(sums, skeleton, None)}}
    for name in skeleton.groups:
        chosen = channels_of(skeleton, name)
        groups[name] = {**_shares(compared, settings.pck_px, chosen), **_hota(sums, skeleton, name)}
    confusion = visibility_confusion(compared)
    facts = {
        "skeleton": skeleton.name,
        "pck_px": settings.pck_px,
        "similarity": settings.similarity,
        "scale_px": settings.scale_px,
        "intervals": "95 % bootstrap over videos",
        "images": len(compared),
        "videos": sorted({one.picture.video for one in compared}),
        "predictions_off_the_grid": left_out,
        "images_not_scored": len(others),
    }
    title = f"{len(compared)} frames of {len(sums)} videos, found within {settings.pck_px:g} px"
    files = {"visibility.json": {"rows": list(STATES), "columns": list(STATES), "counts": confusion.tolist()}}
    return Result(groups, facts, _table(groups), title, (compared, confusion), files)


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


def channels_of(skeleton: Skeleton, group: str) -> NDArray[np.bool_]:
    """Which channels are of a class."""
    chosen = np.zeros(len(skeleton.channels), np.bool_)
    for slot in skeleton.slots:
        if slot.group == group:
            chosen[slot.start : slot.stop] = True
    return chosen


def hota_sums(compared: Sequence[Compared], settings: AnswerSettings) -> tuple[dict[str, FloatArray], int]:
    """For each video the counts of HOTA-KP ``(classes, 7, 19)``, and how many predictions lay off the grid of frames.

    Videos without a true object have none.
    """
    videos: dict[str, list[Compared]] = {}
    for one in compared:
        videos.setdefault(one.picture.video, []).append(one)
    sums: dict[str, FloatArray] = {}
    left_out = 0
    for video, frames in videos.items():
        if not any(frame.picture.things for frame in frames):
            continue
        ordered = sorted(frames, key=lambda frame: frame.picture.number)
        how = {"scale_px": settings.scale_px, "kind": settings.similarity}
        found = hota_kp.sequence(true_objects(ordered), predicted_objects(ordered), **how)
        names = ordered[0].picture.skeleton.groups
        sums[video] = np.stack([found.counts[name] for name in names])
        left_out += found.left_out
    return sums, left_out


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


def _shares(compared: Sequence[Compared], limit: float, chosen: Any = True) -> dict[str, Any]:
    values, videos = [one.figures(limit, chosen) for one in compared], [one.picture.video for one in compared]
    reasons = {"pck": "no visible point", "pixel_error": "no visible point was predicted", "visibility": "no label"}
    return {name: summary([one[name] for one in values], videos, reason=why) for name, why in reasons.items()}


def _hota(sums: Mapping[str, FloatArray], skeleton: Skeleton, group: str | None) -> dict[str, Any]:
    """The parts of HOTA-KP of a class, or their means over all classes."""
    names = list(skeleton.groups)

    def part(key: str) -> Any:
        return lambda rows: hota_of(rows, names, group, key)

    rows = np.array([one.ravel() for one in sums.values()])
    return {
        name: summary(rows, list(sums), statistic=part(key), reason="no video has an object", n=200)
        for name, key in HOTA.items()
    }


def hota_of(rows: FloatArray, names: Sequence[str], group: str | None = None, key: str = "HOTA") -> float:
    """A part of HOTA-KP of videos together, from their counts ``(videos, ...)``; of one class, or its mean over all."""
    whole = rows.reshape(-1, len(names), len(COUNTS), len(ALPHAS)).sum(axis=0)
    classes = {name: figures(own) for name, own in zip(names, whole, strict=True)}
    chosen = class_mean(classes) if group is None else classes[group]
    return float(chosen[key].mean())


def visibility_confusion(compared: Sequence[Compared]) -> NDArray[np.int64]:
    """``(3, 3)``: labelled points by their true and their predicted visibility."""
    counts = np.zeros((len(STATES), len(STATES)), np.int64)
    for one in compared:
        true = one.picture.channels[1]
        np.add.at(counts, (true[true >= 0], one.told[true >= 0]), 1)
    return counts


def _table(groups: Mapping[str, Any]) -> list[list[str]]:
    rows = [[name, *(figure_cell(figures[one]) for one in FIGURES)] for name, figures in groups.items()]
    return [["class", *FIGURES], *rows]


def compare(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """A ``points.json`` scored frame by frame, for ``kaname compare``.

    Args:
        data: the data folder.
        split: the one set to use; default: all of them.
        cluster: ``none``, or ``video`` (default): frames of one video belong together.
        options: ``pck_px`` and ``skeleton``.

    Raises:
        InputError: an unusable file, unknown options.
    """
    check_options(options, ("pck_px", "skeleton"), cluster, ("none", "video"))
    settings = from_dict(AnswerSettings, {name: options[name] for name in ("pck_px",) if name in options})
    words = [f"skeleton={options['skeleton']}"] if "skeleton" in options else []
    pictures = by_name(labelled(data, {"data": {}}, words), split)
    rows = Rows(read(predictions), predictions)
    chosen = [picture for name, picture in pictures.items() if name in rows.by_name]
    if not chosen:
        raise InputError("no predicted frame is labelled in this data", path=predictions, remedy="check --data")
    compared = align(chosen, rows, skeleton_of_file(predictions) or chosen[0].skeleton)
    return Scored(
        values={one.picture.source: {"all": one.figures(settings.pck_px)} for one in compared},
        settings={"recipe": "kpnet", "pck_px": settings.pck_px, "data": data.as_posix()},
        clusters={} if cluster == "none" else {one.picture.source: one.picture.video for one in compared},
        cluster=cluster or "video",
        lower_is_better=frozenset({"pixel_error"}),
        left_out={name: "no labelled frame of this name" for name in sorted(set(rows.by_name) - set(pictures))},
        sample="frame",
    )
