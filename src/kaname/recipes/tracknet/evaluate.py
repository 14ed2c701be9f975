"""Figures of ``tracknet`` from files of balls and labels. No torch, so it reruns in seconds.

All distances are pixels of the original frames. Counts are WASB's (``kaname.metrics.detection``); every frame counts,
those without a ball too. Intervals resample whole clips; where there are fewer than five, blocks of 25 consecutive
frames (a second), and ``settings.intervals`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname import config as configuration
from kaname.data.formats import tracknet as label_files
from kaname.errors import InputError
from kaname.metrics import detection
from kaname.metrics.intervals import LEAST, ratio, summary
from kaname.pipeline.evaluate import chosen_sets
from kaname.pipeline.labelled import Labelled, Result
from kaname.recipes.tracknet import labels
from kaname.recipes.tracknet.config import DataSettings, DetectSettings, TracknetConfig
from kaname.recipes.tracknet.labels import Clip, games_of
from kaname.recipes.tracknet.predictions import made
from kaname.reporting.compare import Scored, Value, check_options
from kaname.reporting.results import figure_cell
from kaname.tracking.smoothing import Smoothing
from kaname.tracking.table import read_rows
from kaname.tracking.trajectory import Row
from kaname.types import FloatArray

VISIBILITIES = {1: "easy", 2: "hard", 3: "occluded", 0: "absent"}
STATUSES = {0: "flying", 1: "hit", 2: "bounce"}
SECOND_TOLERANCE_PX = 5.0
BLOCK_FRAMES = 25
THESE = "score the predictions of these very frames"
CLUSTERS = ("clip", "block", "none")
HEADLINE = ("precision", "recall", "f1", "accuracy")


def data_settings(data: str) -> DataSettings:
    """The settings of the data that ``--data`` names."""
    group, extra = labels.data_group(data)
    return configuration.load(TracknetConfig, groups={"data": group}, flags=extra).data


def labelled(data: str | None, config: Mapping[str, Any], words: Sequence[str] = ()) -> Labelled:
    """Clips to score.

    Args:
        data: a folder of games, or a configuration of the data by name or path; None: that of a stored configuration.
        config: the stored configuration.
        words: ``key=value`` that change keys of the data, with or without ``data.`` before them.
    """
    stored = config["data"] if data is None else configuration.to_dict(data_settings(data))
    settings = configuration.from_dict(DataSettings, stored, configuration.merged(words, {}, "data"), section="data")
    chosen = labels.sets(settings)
    return Labelled(
        settings.root,
        [name for name in labels.SETS if chosen[name]],
        lambda name: chosen[name],
        order=("test", "val"),
        together=True,
        closed=True,
        ways=ways_of(settings),
    )


def ways(config: TracknetConfig) -> dict[str, Any]:
    """The configuration's own ways of scoring."""
    return ways_of(config.data)


def ways_of(data: DataSettings) -> dict[str, Any]:
    """The same of its data."""
    return {"occluded_absent": data.occluded_absent, "absent": data.absent}


def telling(chosen: Mapping[str, Sequence[Clip]]) -> dict[str, Any]:
    """The games of each set, which distinguish it from another set of its name."""
    return {name: {"games": games_of(clips)} for name, clips in chosen.items()}


@dataclass(frozen=True)
class Frames:
    """Truth and answers of a set of clips, one entry per frame.

    Attributes:
        names: ``clip/file`` for messages and pictures.
        clips: ``(N,)`` number of the clip.
        blocks: ``(N,)`` number of the block of consecutive frames.
        predicted, truth: ``(N, 2)`` px.
        score: ``(N,)``.
        visibility, status: ``(N,)``.
    """

    names: Sequence[str]
    clips: NDArray[np.int64]
    blocks: NDArray[np.int64]
    predicted: FloatArray
    truth: FloatArray
    score: FloatArray
    visibility: NDArray[np.int64]
    status: NDArray[np.int64]

    def outcomes(self, tolerance: float, threshold: float, *, occluded_absent: bool) -> NDArray[np.int64]:
        """``(N, 5)``, see `kaname.metrics.detection.outcomes`."""
        columns = (self.predicted, self.score, self.truth, self.visibility)
        return detection.outcomes(*columns, tolerance, threshold, occluded_absent=occluded_absent)

    def distances(self, threshold: float, *, occluded_absent: bool) -> FloatArray:
        """``(N,)`` px, see `kaname.metrics.detection.distances`."""
        columns = (self.predicted, self.score, self.truth, self.visibility)
        return detection.distances(*columns, threshold, occluded_absent=occluded_absent)


def score(path: Path, clips: Sequence[Clip], settings: DetectSettings, how: Mapping[str, Any]) -> Result:
    """Figures of a set of clips from a file of balls.

    Args:
        how: ``occluded_absent``: whether visibility 3 counts as no ball; ``smooth``: a name of a smoother, applied
            to the predictions first; ``absent``: the data's policy, where the file does not say the model's.
    """
    about, smoothing, hidden = made(path), Smoothing(how.get("smooth", "none")), how["occluded_absent"]
    rows = smoothing.of_clips(read_rows(path), {clip.source: clip.size for clip in clips}, settings.score_threshold)
    frames = align(clips, rows, path)
    groups, intervals = evaluate(
        frames, tolerance=settings.tolerance, score_threshold=settings.score_threshold, occluded_absent=hidden
    )
    others = len(rows) - len(frames.names)
    facts = {
        "games": games_of(clips), "clips": len(clips), "frames": len(frames.names),
        "absent": about.get("absent", how["absent"]), "occluded_counts_as_absent": hidden, "smooth": smoothing.name,
        "intervals": intervals, "pixels": "of the original frames", "rows_of_other_clips": others,
    }  # fmt: skip
    title = f"{len(frames.names)} frames of {len(clips)} clips, absent: {facts['absent']}, {intervals}"
    if others:
        title += f"\nnot in this set, not scored: {others} rows of other clips"
    return Result(groups, facts, table(groups, settings.tolerance), title, (frames, about))


def align(clips: Sequence[Clip], rows: Sequence[Row], source: Path) -> Frames:
    """Put every frame's answer beside its truth.

    Rows are matched by their clip and frame number; in a file that names no clips, by the frame number, for one clip.

    Raises:
        InputError: a frame without a row, two rows for one frame, or a row beyond the end of its clip.
    """
    by_frame: dict[tuple[str, int], Row] = {}
    for line, row in enumerate(rows, 2):
        key = (row.clip, row.frame)
        if key in by_frame:
            reason = f"frame {row.frame} of {row.clip or 'the clip'} is given twice"
            raise InputError(reason, path=source, row=line, remedy="keep one row")
        by_frame[key] = row
    unnamed = all(not row.clip for row in rows)
    if unnamed and len(clips) > 1:
        raise InputError(
            f"the rows name no clip, and there are {len(clips)} clips", path=source,
            remedy="give them a column 'clip' with game/clip, or score one clip",
        )  # fmt: skip
    _refuse_strangers(clips, rows, source, unnamed=unnamed)
    chosen: list[Row] = []
    for clip in clips:
        for number, path in enumerate(clip.frames):
            row = by_frame.get(("" if unnamed else clip.source, number))
            if row is None:
                reason = f"no row for frame {number} of {clip.source}"
                raise InputError(reason, path=source, remedy="predict the whole clip again")
            if row.file and row.file != path.name and PureWindowsPath(row.file).stem not in (path.stem, path.name):
                reason = f"frame {number} of {clip.source} is {path.name}, the row says {row.file}"
                raise InputError(reason, path=source, row=rows.index(row) + 2, remedy=THESE)
            chosen.append(row)
    sizes = [len(clip.frames) for clip in clips]
    within = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.zeros(0, np.int64)
    number = np.repeat(np.arange(len(sizes)), sizes)
    return Frames(
        names=[f"{clip.source}/{path.name}" for clip in clips for path in clip.frames],
        clips=number,
        blocks=np.unique(np.stack([number, within // BLOCK_FRAMES]), axis=1, return_inverse=True)[1].ravel(),
        predicted=np.array([(row.x, row.y) for row in chosen], dtype=np.float64).reshape(-1, 2),
        truth=np.concatenate([clip.xy for clip in clips]) if clips else np.zeros((0, 2)),
        score=np.array([row.score if row.there else 0.0 for row in chosen]),
        visibility=np.concatenate([clip.visibility for clip in clips]),
        status=np.concatenate([clip.status for clip in clips]),
    )


def _refuse_strangers(clips: Sequence[Clip], rows: Sequence[Row], source: Path, *, unnamed: bool) -> None:
    """Rows beyond the end of a clip that is scored, and among rows with a clip's name some without one.

    Rows of other clips are fine: a file may hold more than is scored.
    """
    lengths = {"" if unnamed else clip.source: len(clip.frames) for clip in clips}
    for line, row in enumerate(rows, 2):
        if not (row.clip or unnamed):
            raise InputError("a row without a clip, where others have one", path=source, row=line, remedy="name it")
        length = lengths.get(row.clip, row.frame + 1)
        if row.frame >= length:
            name = row.clip or clips[0].source
            raise InputError(f"frame {row.frame}, but {name} has {length} frames", path=source, row=line, remedy=THESE)


def evaluate(
    frames: Frames, *, tolerance: float, score_threshold: float, occluded_absent: bool
) -> tuple[dict[str, dict[str, Any]], str]:
    """Figures of all frames, by visibility and by status, and how their intervals were made.

    Returns:
        ``{group: {metric: {"value", "low", "high", "n"}}}``; metrics without a value are null with a reason.
    """
    by_clip = len(np.unique(frames.clips)) >= LEAST
    clusters = frames.clips if by_clip else frames.blocks
    how = "95 % bootstrap over clips" if by_clip else f"95 % bootstrap over blocks of {BLOCK_FRAMES} frames (few clips)"
    counted = {
        value: frames.outcomes(value, score_threshold, occluded_absent=occluded_absent)
        for value in sorted({tolerance, SECOND_TOLERANCE_PX})
    }
    distance = frames.distances(score_threshold, occluded_absent=occluded_absent)
    chosen = {"all": np.ones(len(frames.names), bool)}
    chosen |= {name: frames.visibility == value for value, name in VISIBILITIES.items()}
    chosen |= {name: (frames.status == value) & (frames.visibility > 0) for value, name in STATUSES.items()}
    groups: dict[str, dict[str, Any]] = {}
    for name, mask in chosen.items():
        if name != "all" and not mask.any():
            continue
        group: dict[str, Any] = {}
        for value, outcomes in counted.items():
            group |= _detection(outcomes[mask], clusters[mask], value)
        groups[name] = group | _localisation(distance[mask], clusters[mask])
    return groups, how


def _detection(outcomes: NDArray[np.int64], clusters: NDArray[np.int64], tolerance: float) -> dict[str, Any]:
    group = {f"{name}_{tolerance:g}px": _entry(outcomes, clusters, detection.statistic(name)) for name in HEADLINE}
    for name, total in zip(detection.OUTCOMES, outcomes.sum(axis=0).tolist(), strict=True):
        group[f"{name}_{tolerance:g}px"] = {"value": total, "low": None, "high": None, "n": len(outcomes)}
    return group


def _localisation(distance: FloatArray, clusters: NDArray[np.int64]) -> dict[str, Any]:
    answered, present = np.isfinite(distance), ~np.isnan(distance)
    group = {
        "l2_mean_px": _share(np.where(answered, distance, 0), answered, clusters),
        "l2_median_px": _entry(distance[answered], clusters[answered], lambda values: float(np.median(values))),
    }
    for threshold in detection.PCK_PX:
        group[f"pck_{threshold:g}px"] = _share(present & (distance <= threshold), present, clusters)
    return group


def _share(part: NDArray[Any], whole: NDArray[np.bool_], clusters: NDArray[np.int64]) -> dict[str, Any]:
    """The sum of ``part`` over the frames of ``whole``; clusters without such a frame are resampled too."""
    return _entry(np.column_stack([part, whole]), clusters, ratio((1, 0), (0, 1))) | {"n": int(whole.sum())}


def _entry(rows: NDArray[Any], clusters: NDArray[np.int64], statistic: Any) -> dict[str, Any]:
    return summary(rows, clusters.tolist(), statistic=statistic, reason="no frame has a value")


def table(groups: dict[str, dict[str, Any]], tolerance: float) -> list[list[str]]:
    """Rows for screen and page: the first is the heading."""
    columns = [f"{name}_{tolerance:g}px" for name in HEADLINE] + ["pck_10px", "l2_median_px"]
    rows = [["group", "frames", *columns]]
    for name, group in groups.items():
        frames = str(group[columns[0]]["n"])
        rows.append([name, frames, *(figure_cell(group[column]) for column in columns)])
    return rows


def compare(
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
    about = made(predictions)
    detect, hidden, smoothing = _settings(options, cluster, about)
    clips, left_out = _clips(data, split)
    rows = _named(read_rows(predictions), options.get("clip"), clips, predictions)
    names = {row.clip for row in rows}
    members = [clip for clip in clips if clip.source in names]
    left_out = {name: left_out for name in sorted(names - {clip.source for clip in clips})}
    if not members:
        raise InputError("no row belongs to a clip of this data", path=predictions, remedy="check --data and --split")
    sizes = {clip.source: clip.size for clip in members}
    frames = align(members, smoothing.of_clips(rows, sizes, detect.score_threshold), predictions)
    by = cluster or ("clip" if len(members) >= LEAST else "block")
    return Scored(
        values=_values(frames, detect, occluded_absent=hidden),
        settings={
            "recipe": "tracknet", "data": data.resolve().as_posix(), "tolerance_px": detect.tolerance,
            "score_threshold": detect.score_threshold, "occluded_counts_as_absent": hidden, "smooth": smoothing.name,
        },
        clusters=_clusters(frames, members, by),
        cluster=f"block of {BLOCK_FRAMES} frames" if by == "block" else by,
        statistics={f"{name}_{detect.tolerance:g}px": detection.statistic(name) for name in detection.RATES},
        lower_is_better=frozenset({"l2_mean_px"}),
        left_out=left_out,
        sample="frame",
    )  # fmt: skip


def _settings(
    options: Mapping[str, Any], cluster: str | None, about: Mapping[str, Any]
) -> tuple[DetectSettings, bool, Smoothing]:
    """How balls are counted, whether occluded ones count as absent, and the smoother."""
    check_options(options, ("tolerance", "score_threshold", "occluded_absent", "smooth", "clip"), cluster, CLUSTERS)
    smoothing = Smoothing(options.get("smooth", about.get("scored_smooth", "none")))
    hidden = options.get("occluded_absent", bool(about.get("occluded_absent")))
    if not isinstance(hidden, bool):
        raise InputError(f"occluded_absent is {hidden!r}", remedy="use true or false")
    changes = {name: options[name] for name in ("tolerance", "score_threshold") if name in options}
    return configuration.from_dict(DetectSettings, {**(about.get("detect") or {}), **changes}), hidden, smoothing


def _clips(data: Path, split: str | None) -> tuple[list[Clip], str]:
    """The labelled clips, and why another one is left out."""
    if split in (None, "all"):
        return labels.clips(label_files.read(data_settings(str(data)).root)), "no labelled clip of this name"
    return list(chosen_sets(labelled(str(data), {}), split)[split]), f"not in the set {split}"


def _named(rows: Sequence[Row], name: str | None, clips: Sequence[Clip], source: Path) -> list[Row]:
    """The rows with the name of their clip; a file of one video names none."""
    if any(row.clip for row in rows):
        return [row for row in rows if name in (None, row.clip)]
    known = [clip.source for clip in clips]
    if name is None and len(known) == 1:
        name = known[0]
    if name not in known:
        reason = "the rows name no clip" if name is None else f"there is no clip {name!r}"
        raise InputError(reason, path=source, remedy=f"give clip=NAME: {', '.join(known[:5])}")
    return [replace(row, clip=name) for row in rows]


def _clusters(frames: Frames, clips: Sequence[Clip], by: str) -> dict[str, str]:
    if by == "none":
        return {}
    numbers = zip(frames.names, frames.clips.tolist(), frames.blocks.tolist(), strict=True)
    return {
        name: clips[clip].source if by == "clip" else f"{clips[clip].source} {block}" for name, clip, block in numbers
    }


def _values(frames: Frames, detect: DetectSettings, *, occluded_absent: bool) -> dict[str, dict[str, dict[str, Value]]]:
    """All figures of each frame: of ``all`` frames, and of those of its visibility; the others' are None."""
    outcomes = frames.outcomes(detect.tolerance, detect.score_threshold, occluded_absent=occluded_absent)
    distance = frames.distances(detect.score_threshold, occluded_absent=occluded_absent)
    rows: list[Value] = [tuple(row) for row in outcomes.tolist()]
    columns: dict[str, Sequence[Value]] = {f"{name}_{detect.tolerance:g}px": rows for name in detection.RATES}
    for threshold in detection.PCK_PX:
        columns[f"pck_{threshold:g}px"] = _or_none(detection.within(distance, threshold))
    columns["l2_mean_px"] = _or_none(np.where(np.isfinite(distance), distance, np.nan))
    metrics = {"all": list(columns)}
    for kind in VISIBILITIES.values():  # without a ball there is no distance
        metrics[kind] = [f"accuracy_{detect.tolerance:g}px", "l2_mean_px"][: 1 if kind == "absent" else 2]
    return {
        frame: {
            group: {name: columns[name][number] if group in ("all", VISIBILITIES[seen]) else None for name in names}
            for group, names in metrics.items()
        }
        for number, (frame, seen) in enumerate(zip(frames.names, frames.visibility.tolist(), strict=True))
    }


def _or_none(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
