"""What each video adds to the figures of ``kpnet``: sums, so that an interval over videos costs nothing. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import read_json
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.metrics.hota import ALPHAS, COUNTS, figures
from kaname.metrics.intervals import OfSums, ratio, summary
from kaname.metrics.keypoint_objects import COLUMNS, STATES, TOLD
from kaname.recipes.kpnet.aligned import VideoSums, by_alpha
from kaname.reporting.compare import Scored
from kaname.types import FloatArray

SUMS_FILE = "hota.json"
HOTA = {
    "hota": "HOTA", "det_a": "DetA", "ass_a": "AssA", "loc_a": "LocA", "det_re": "DetRe", "det_pr": "DetPr",
    "ass_re": "AssRe", "ass_pr": "AssPr",
}  # fmt: skip
RATES = {"pck": ("found", "seen"), "pixel_error": ("error", "placed"), "jitter": ("jitter", "changes")}
FIGURES = ("pck", "pixel_error", "visibility", "jitter", "identity_switches", *HOTA)
JUDGED = ("hota", "det_a", "ass_a", "pck", "pixel_error", "visibility", "jitter", "identity_switches")
MEASURES = ("pck_px", "similarity", "scale_px")
HOW = (*MEASURES, "skeleton", "frame_step", "length")  # of an evaluation's settings
LOWER = frozenset({"pixel_error", "jitter", "identity_switches"})
REASONS = {
    "pck": "no visible point",
    "pixel_error": "no visible point was predicted",
    "visibility": "predictions do not say what is visible",
    "jitter": "no point was found in two frames that follow each other",
}


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


def scored(sums: Mapping[str, VideoSums], names: Sequence[str], about: Mapping[str, Any], **further: Any) -> Scored:
    """The sums of videos as ``kaname compare`` takes them: a sample is a video.

    Args:
        names: of the classes.
        about: how they were scored.
        further: fields of the value.
    """
    return Scored(
        values={video: _values(one, names) for video, one in sums.items()},
        settings={"recipe": "kpnet", **about},
        statistics={figure: statistic_of(figure) for figure in JUDGED},
        lower_is_better=LOWER,
        sample="video",
        measures=frozenset(MEASURES),
        **further,
    )


def _values(one: VideoSums, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A video's rows by group and figure, as the statistics take them."""
    groups = {"all": (one.hota.ravel(), one.points.sum(axis=0))}
    groups |= {name: (hota.ravel(), points) for name, hota, points in zip(names, one.hota, one.points, strict=True)}
    return {name: {figure: (hota if figure in HOTA else points).tolist() for figure in JUDGED}
            for name, (hota, points) in groups.items()}  # fmt: skip
