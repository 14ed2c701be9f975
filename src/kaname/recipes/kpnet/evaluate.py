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
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import from_dict, nearest
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.pipeline.labelled import Result
from kaname.pipeline.matching import Rows, by_name
from kaname.recipes.kpnet import STATES
from kaname.recipes.kpnet.aligned import VISIBLE, Rules, VideoSums, align, rules_of, skeleton_of_file, videos_of
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.recipes.kpnet.decode import read
from kaname.recipes.kpnet.labels import Picture, labelled
from kaname.recipes.kpnet.videos import (
    HOTA,
    LOWER,
    SUMS_FILE,
    groups_of,
    read_sums,
    statistic_of,
    sums_content,
)
from kaname.reporting.compare import Scored, check_options
from kaname.reporting.results import figure_cell

SHOWN = ("pck", "pixel_error", "visibility", "hota", "det_a", "ass_a", "jitter", "identity_switches")
JUDGED = ("hota", "det_a", "ass_a", "pck", "pixel_error", "visibility", "jitter", "identity_switches")
COMPARED = ("pck_px", "similarity", "scale_px", "skeleton")


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
