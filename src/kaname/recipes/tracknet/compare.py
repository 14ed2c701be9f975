"""One file of balls, scored frame by frame for ``kaname compare``. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import from_dict, nearest
from kaname.data.formats import tracknet as label_files
from kaname.errors import InputError
from kaname.metrics import detection
from kaname.metrics.intervals import LEAST
from kaname.recipes.tracknet import evaluate as figures
from kaname.recipes.tracknet import labels
from kaname.recipes.tracknet.config import DataSettings
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.recipes.tracknet.labels import Clip
from kaname.recipes.tracknet.predict import read_rows
from kaname.recipes.tracknet.scoring import data_settings, made_of, set_of, smoothed
from kaname.reporting.compare import Scored, Value
from kaname.tracking.trajectory import SMOOTHERS, Row

CLUSTERS = ("clip", "block", "none")
OPTIONS = ("tolerance", "score_threshold", "occluded_absent", "smooth", "clip")


def scored(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """Figures of every frame of the clips that are both predicted and labelled.

    Args:
        predictions: a ``predictions.csv`` of ``evaluate`` or a ``ball.csv`` of ``predict``.
        data: the data folder, or a configuration of the data.
        split: the one set to use; default: every clip that has rows.
        cluster: ``clip``, ``block`` (of consecutive frames) or ``none``; default: by clip, by block where there are
            fewer than five clips.
        options: ``tolerance`` (px), ``score_threshold``, ``occluded_absent``, ``smooth``; ``clip`` (``game1/Clip1``)
            is the one that a file without names of clips belongs to. Default: what the file was made with.

    Raises:
        InputError: an unusable file, unknown options, a clip without a row for each of its frames.
    """
    made = made_of(predictions)
    detect, hidden, smooth = _settings(options, cluster, made)
    clips, left_out = _clips(data, split)
    rows = _named(read_rows(predictions), options.get("clip"), clips, predictions)
    names = {row.clip for row in rows}
    members = [clip for clip in clips if clip.name in names]
    left_out = {name: left_out for name in sorted(names - {clip.name for clip in clips})}
    if not members:
        raise InputError("no row is of a clip of this data", path=predictions, remedy="check --data and --split")
    frames = figures.align(members, smoothed(rows, members, smooth, detect.score_threshold), predictions)
    by = cluster or ("clip" if len(members) >= LEAST else "block")
    return Scored(
        values=_values(frames, detect, occluded_absent=hidden),
        settings={
            "recipe": "tracknet", "data": data.resolve().as_posix(), "tolerance_px": detect.tolerance,
            "score_threshold": detect.score_threshold, "occluded_counts_as_absent": hidden, "smooth": smooth,
        },
        clusters=_clusters(frames, members, by),
        cluster=f"block of {figures.BLOCK_FRAMES} frames" if by == "block" else by,
        statistics={f"{name}_{detect.tolerance:g}px": detection.statistic(name) for name in detection.RATES},
        lower_is_better=frozenset({"l2_mean_px"}),
        left_out=left_out,
        sample="frame",
    )  # fmt: skip


def _settings(
    options: Mapping[str, Any], cluster: str | None, made: Mapping[str, Any]
) -> tuple[DetectSettings, bool, str]:
    """How balls are counted, whether occluded ones are none, and the smoother."""
    for name in options:
        if name not in OPTIONS:
            raise InputError(f"unknown option {name!r}", remedy=nearest(name, OPTIONS))
    if cluster not in (None, *CLUSTERS):
        raise InputError(f"tracknet knows no clusters by {cluster!r}", remedy=f"use one of {', '.join(CLUSTERS)}")
    smooth = options.get("smooth", "none")
    if smooth not in SMOOTHERS:
        raise InputError(f"smooth is {smooth!r}", remedy=f"use one of {', '.join(SMOOTHERS)}")
    hidden = options.get("occluded_absent", bool(made.get("occluded_absent")))
    if not isinstance(hidden, bool):
        raise InputError(f"occluded_absent is {hidden!r}", remedy="use true or false")
    changes = {name: options[name] for name in ("tolerance", "score_threshold") if name in options}
    return from_dict(DetectSettings, {**(made.get("detect") or {}), **changes}), hidden, smooth


def _clips(data: Path, split: str | None) -> tuple[list[Clip], str]:
    """The labelled clips, and why another one is left out."""
    settings = data_settings(str(data)) or DataSettings()
    if split in (None, "all"):
        return labels.clips(label_files.read(settings.root)), "no labelled clip of this name"
    return set_of(settings, split)[1], f"not in the set {split}"


def _named(rows: Sequence[Row], name: str | None, clips: Sequence[Clip], source: Path) -> list[Row]:
    """The rows with the name of their clip; a file of one video names none."""
    if any(row.clip for row in rows):
        return [row for row in rows if name in (None, row.clip)]
    known = [clip.name for clip in clips]
    if name is None and len(known) == 1:
        name = known[0]
    if name not in known:
        reason = "the rows name no clip" if name is None else f"there is no clip {name!r}"
        raise InputError(reason, path=source, remedy=f"give clip=NAME: {', '.join(known[:5])}")
    return [Row(row.frame, row.seconds, row.x, row.y, row.score, row.source, name, row.file) for row in rows]


def _clusters(frames: figures.Frames, clips: Sequence[Clip], by: str) -> dict[str, str]:
    if by == "none":
        return {}
    numbers = zip(frames.names, frames.clips.tolist(), frames.blocks.tolist(), strict=True)
    return {name: clips[clip].name if by == "clip" else f"{clips[clip].name} {block}" for name, clip, block in numbers}


def _values(
    frames: figures.Frames, detect: DetectSettings, *, occluded_absent: bool
) -> dict[str, dict[str, dict[str, Value]]]:
    """All figures of each frame: of ``all`` frames, and of those of its visibility; the others' are None."""
    told = (frames.predicted, frames.score, frames.truth, frames.visibility)
    outcomes = detection.outcomes(*told, detect.tolerance, detect.score_threshold, occluded_absent=occluded_absent)
    distance = detection.distances(*told, detect.score_threshold, occluded_absent=occluded_absent)
    rates = [f"{name}_{detect.tolerance:g}px" for name in detection.RATES]
    accuracy = f"accuracy_{detect.tolerance:g}px"
    within = [_or_none(detection.within(distance, threshold)) for threshold in detection.PCK_PX]
    pck = [f"pck_{threshold:g}px" for threshold in detection.PCK_PX]
    far = _or_none(np.where(np.isfinite(distance), distance, np.nan))
    others = {name: _without_value(name, accuracy) for name in figures.VISIBILITIES.values()}
    values: dict[str, dict[str, dict[str, Value]]] = {}
    for number, row in enumerate(map(tuple, outcomes.tolist())):
        whole: dict[str, Value] = {name: row for name in rates}
        whole |= {name: column[number] for name, column in zip(pck, within, strict=True)}
        whole["l2_mean_px"] = far[number]
        kind = figures.VISIBILITIES[int(frames.visibility[number])]
        own: dict[str, Value] = {**others[kind], accuracy: row}
        if "l2_mean_px" in own:
            own["l2_mean_px"] = far[number]
        values[frames.names[number]] = {"all": whole, **others, kind: own}
    return values


def _without_value(kind: str, accuracy: str) -> dict[str, Value]:
    """The metrics of a visibility, for frames of another; without a ball there is no distance."""
    return {accuracy: None} if kind == figures.VISIBILITIES[0] else {accuracy: None, "l2_mean_px": None}


def _or_none(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
