"""What each video adds to the figures of ``kpnet``: sums, so that an interval over videos costs nothing. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import read_json
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.metrics import hota_kp
from kaname.metrics.hota import ALPHAS, COUNTS, figures
from kaname.metrics.hota_kp import Objects
from kaname.metrics.intervals import OfSums, ratio, summary
from kaname.metrics.keypoint_objects import COLUMNS, STATES, TOLD, measures
from kaname.types import FloatArray

SUMS_FILE = "hota.json"
HOTA = {
    "hota": "HOTA", "det_a": "DetA", "ass_a": "AssA", "loc_a": "LocA", "det_re": "DetRe", "det_pr": "DetPr",
    "ass_re": "AssRe", "ass_pr": "AssPr",
}  # fmt: skip
RATES = {"pck": ("found", "seen"), "pixel_error": ("error", "placed"), "jitter": ("jitter", "changes")}
FIGURES = ("pck", "pixel_error", "visibility", "jitter", "identity_switches", *HOTA)
LOWER = frozenset({"pixel_error", "jitter", "identity_switches"})
REASONS = {
    "pck": "no visible point",
    "pixel_error": "no visible point was predicted",
    "visibility": "predictions do not say what is visible",
    "jitter": "no point was found in two frames that follow each other",
}
# Mean distance, in scales of the similarity, at which it is one half.
HALF = {"gaussian": math.sqrt(2 * math.log(2)), "linear": 0.5}
Sums = FloatArray


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


def groups_of(videos: Mapping[str, VideoSums], skeleton: Skeleton) -> dict[str, dict[str, Any]]:
    """``metrics.json``'s groups: ``all`` and each class; every figure with its interval over videos and, in ``videos``,
    each video's own; HOTA's also with its value at each alpha, the visibility with its confusion."""
    names = list(skeleton.groups)
    hota = np.array([one.hota for one in videos.values()]).reshape(len(videos), len(names), -1)
    points = np.array([one.points for one in videos.values()]).reshape(len(videos), len(names), -1)
    groups: dict[str, dict[str, Any]] = {}
    for name in ("all", *names):
        chosen = slice(None) if name == "all" else slice(names.index(name), names.index(name) + 1)
        own = points[:, chosen].sum(axis=1)
        entries: dict[str, Any] = {}
        for figure in FIGURES:
            rows = hota[:, chosen].reshape(len(videos), -1) if figure in HOTA else own
            statistic = statistic_of(figure)
            entry = summary(rows, statistic=statistic, reason=REASONS.get(figure, "no video has an object"), n=1000)
            values = [statistic(row[None]) for row in rows]
            entry["videos"] = dict(zip(videos, values, strict=True))
            if figure in HOTA:
                entry["alphas"] = by_alpha(rows.sum(axis=0), HOTA[figure]).tolist()
            if figure == "visibility":
                entry["confusion"] = confusion_of(own.sum(axis=0)).astype(int).tolist()
            entries[figure] = entry
        groups[name] = entries
    return groups


def statistic_of(figure: str) -> OfSums:
    """From rows of a class's or all classes' sums (the points' of all classes added) to a figure."""
    if figure in HOTA:
        return OfSums(lambda sums: by_alpha(sums, HOTA[figure]).mean(axis=-1))
    if figure in RATES:
        over, under = RATES[figure]
        return ratio(_weights(over), _weights(under))
    if figure == "visibility":
        right = [f"told {state} {state}" for state in range(STATES)]
        return ratio(_weights(*right), _weights(*TOLD))
    column = np.array(_weights("switches"))
    return OfSums(lambda sums: sums @ column)


def by_alpha(sums: FloatArray, key: str) -> FloatArray:
    """A part of HOTA at each alpha ``(..., 19)``, the mean over classes, from their counts ``(..., classes * 133)``."""
    counts = sums.reshape(*sums.shape[:-1], -1, len(COUNTS), len(ALPHAS))
    return figures(counts)[key].mean(axis=-2)


def confusion_of(sums: FloatArray) -> FloatArray:
    """``(3, 3)`` points by their true and their predicted visibility, from sums ``(17,)``."""
    return np.array([sums[COLUMNS.index(name)] for name in TOLD]).reshape(STATES, STATES)


def _weights(*names: str) -> list[float]:
    return [float(name in names) for name in COLUMNS]


def sums_content(videos: Mapping[str, VideoSums], skeleton: Skeleton, about: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``hota.json``: what each video adds, and HOTA's parts by video, class and alpha."""
    names = list(skeleton.groups)
    return {
        "recipe": "kpnet",
        **about,
        "classes": names,
        "alphas": ALPHAS.round(2).tolist(),
        "columns": list(COLUMNS),
        "rows": list(COUNTS),
        "videos": {
            video: {
                "hota": one.hota.tolist(),
                "points": one.points.tolist(),
                "frames": one.frames,
                "figures": {
                    name: {key: figures(own)[key].tolist() for key in HOTA.values()}
                    for name, own in zip(names, one.hota, strict=True)
                },
            }
            for video, one in videos.items()
        },
    }


def read_sums(path: Path) -> tuple[dict[str, VideoSums], Sequence[str], Mapping[str, Any]]:
    """The videos, the classes and the settings of a ``hota.json``.

    Raises:
        InputError: another kind of file.
    """
    content = read_json(path)
    try:
        names = content["classes"]
        videos = {
            video: VideoSums(
                np.array(one["hota"], np.float64).reshape(len(names), len(COUNTS), len(ALPHAS)),
                np.array(one["points"], np.float64).reshape(len(names), len(COLUMNS)),
                int(one["frames"]),
            )
            for video, one in content["videos"].items()
        }
        return videos, list(names), dict(content["settings"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = "score the predictions again with `kaname kpnet evaluate`"
        raise InputError("not the sums of an evaluation", path=path, remedy=remedy) from error
