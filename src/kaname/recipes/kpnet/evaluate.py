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

from kaname.config import nearest
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.pipeline.labelled import Result
from kaname.pipeline.matching import Rows
from kaname.recipes.kpnet import RECIPE, STATES
from kaname.recipes.kpnet.aligned import VISIBLE, Rules, VideoSums, align, rules_of, skeleton_of_file, videos_of
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.recipes.kpnet.labels import Picture
from kaname.recipes.kpnet.videos import (
    SUMS_FILE,
    groups_of,
    sums_content,
)
from kaname.reporting.results import figure_cell

SHOWN = ("pck", "pixel_error", "visibility", "hota", "det_a", "ass_a", "jitter", "identity_switches")


def score(path: Path, pictures: Sequence[Picture], settings: AnswerSettings, how: Mapping[str, Any]) -> Result:
    """Figures of a whole set from a ``points.json``; ``how`` may hold ``videos``, ``length`` and ``step``.

    Raises:
        InputError: a frame of the set without a prediction, or one for another size or skeleton.
    """
    rows = Rows(RECIPE.answering.read(path), path)
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
