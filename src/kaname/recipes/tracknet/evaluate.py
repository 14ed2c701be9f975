"""Figures of ``tracknet`` from files of balls and labels. No torch, so it reruns in seconds.

All distances are pixels of the original frames. Counts are WASB's (``kaname.metrics.detection``); every frame counts,
those without a ball too. Intervals resample whole clips; where there are fewer than five, blocks of 25 consecutive
frames (a second), and ``settings.intervals`` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.metrics import detection
from kaname.metrics.intervals import LEAST, bootstrap
from kaname.recipes.tracknet.labels import Clip
from kaname.tracking.trajectory import Row
from kaname.types import FloatArray

VISIBILITIES = {1: "easy", 2: "hard", 3: "occluded", 0: "absent"}
STATUSES = {0: "flying", 1: "hit", 2: "bounce"}
SECOND_TOLERANCE_PX = 5.0
BLOCK_FRAMES = 25
THESE = "score the predictions of these very frames"
HEADLINE = ("precision", "recall", "f1", "accuracy")


@dataclass(frozen=True)
class Frames:
    """Truth and answers of a set of clips, one entry a frame.

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


def align(clips: Sequence[Clip], rows: Sequence[Row], source: Path) -> Frames:
    """Put every frame's answer beside its truth.

    Rows are found by their clip and frame number; in a file that names no clips, by the frame number, for one clip.

    Raises:
        InputError: a frame without a row, two rows for one frame, or a row beyond the end of its clip.
    """
    found: dict[tuple[str, int], Row] = {}
    for line, row in enumerate(rows, 2):
        key = (row.clip, row.frame)
        if key in found:
            reason = f"frame {row.frame} of {row.clip or 'the clip'} stands twice"
            raise InputError(reason, path=source, row=line, remedy="keep one row")
        found[key] = row
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
            row = found.get(("" if unnamed else clip.name, number))
            if row is None:
                reason = f"no row for frame {number} of {clip.name}"
                raise InputError(reason, path=source, remedy="predict the whole clip again")
            if row.file and row.file != path.name and PureWindowsPath(row.file).stem not in (path.stem, path.name):
                reason = f"frame {number} of {clip.name} is {path.name}, the row says {row.file}"
                raise InputError(reason, path=source, row=rows.index(row) + 2, remedy=THESE)
            chosen.append(row)
    sizes = [len(clip.frames) for clip in clips]
    within = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.zeros(0, np.int64)
    number = np.repeat(np.arange(len(sizes)), sizes)
    return Frames(
        names=[f"{clip.name}/{path.name}" for clip in clips for path in clip.frames],
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
    lengths = {"" if unnamed else clip.name: len(clip.frames) for clip in clips}
    for line, row in enumerate(rows, 2):
        if not (row.clip or unnamed):
            raise InputError("a row without a clip, where others have one", path=source, row=line, remedy="name it")
        length = lengths.get(row.clip, row.frame + 1)
        if row.frame >= length:
            name = row.clip or clips[0].name
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
    tolerances = sorted({tolerance, SECOND_TOLERANCE_PX})
    counted = {
        value: detection.outcomes(
            frames.predicted, frames.score, frames.truth, frames.visibility, value, score_threshold,
            occluded_absent=occluded_absent,
        ) for value in tolerances
    }  # fmt: skip
    distance = detection.distances(
        frames.predicted, frames.score, frames.truth, frames.visibility, score_threshold,
        occluded_absent=occluded_absent,
    )  # fmt: skip
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
    sums = _per_cluster(outcomes, clusters)
    group: dict[str, Any] = {}
    for name in HEADLINE:
        group[f"{name}_{tolerance:g}px"] = _entry(sums, detection.statistic(name), len(outcomes))
    for number, name in enumerate(detection.OUTCOMES):
        total = int(outcomes[:, number].sum())
        group[f"{name}_{tolerance:g}px"] = {"value": total, "low": None, "high": None, "n": len(outcomes)}
    return group


def _localisation(distance: FloatArray, clusters: NDArray[np.int64]) -> dict[str, Any]:
    answered = np.isfinite(distance)
    present = ~np.isnan(distance)
    group: dict[str, Any] = {}
    values = np.column_stack([np.where(answered, distance, 0), answered])
    group["l2_mean_px"] = _entry(_per_cluster(values, clusters), _ratio, int(answered.sum()))
    group["l2_median_px"] = _median(distance[answered], clusters[answered])
    for threshold in detection.PCK_PX:
        inside = present & (distance <= threshold)
        sums = _per_cluster(np.column_stack([inside, present]), clusters)
        group[f"pck_{threshold:g}px"] = _entry(sums, _ratio, int(present.sum()))
    return group


def _per_cluster(values: NDArray[Any], clusters: NDArray[np.int64]) -> FloatArray:
    """Sums ``(K, ...)`` over each cluster: resampling clusters of frames is resampling these."""
    _, place = np.unique(clusters, return_inverse=True)
    sums = np.zeros((place.max() + 1 if len(place) else 0, values.shape[1]))
    np.add.at(sums, place, values)
    return sums


def _ratio(sums: FloatArray) -> float | None:
    part, whole = sums.sum(axis=0).tolist()
    return part / whole if whole else None


def _entry(sums: FloatArray, statistic: Any, count: int) -> dict[str, Any]:
    value = statistic(sums) if len(sums) else None
    interval = None if value is None else bootstrap(sums, statistic)
    low, high = interval or (None, None)
    entry: dict[str, Any] = {"value": value, "low": low, "high": high, "n": count}
    return entry if value is not None else entry | {"reason": "no frame has a value"}


def _median(distance: FloatArray, clusters: NDArray[np.int64]) -> dict[str, Any]:
    if not len(distance):
        return {"value": None, "low": None, "high": None, "n": 0, "reason": "no frame has a value"}
    interval = bootstrap(distance, lambda values: float(np.median(values)), clusters.tolist())
    low, high = interval or (None, None)
    return {"value": float(np.median(distance)), "low": low, "high": high, "n": len(distance)}


def table(groups: dict[str, dict[str, Any]], tolerance: float) -> list[list[str]]:
    """Rows for screen and page: the first is the heading."""
    columns = [f"{name}_{tolerance:g}px" for name in HEADLINE] + ["pck_10px", "l2_median_px"]
    rows = [["group", "frames", *columns]]
    for name, group in groups.items():
        frames = str(group[columns[0]]["n"])
        rows.append([name, frames, *(_cell(group[column]) for column in columns)])
    return rows


def _cell(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    interval = "" if entry["low"] is None else f" [{entry['low']:.3f}, {entry['high']:.3f}]"
    return f"{entry['value']:.3f}{interval}"
