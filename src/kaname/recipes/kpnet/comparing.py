"""``kaname compare`` of kpnet: predictions or evaluations, video by video. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname.config import from_dict
from kaname.errors import InputError
from kaname.pipeline.answers import made
from kaname.pipeline.matching import Rows, by_name
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.aligned import VideoSums, align, rules_of, skeleton_of_file, videos_of
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.recipes.kpnet.labels import labelled
from kaname.recipes.kpnet.trackers import compared_texts
from kaname.recipes.kpnet.videos import HOW, MEASURES, SUMS_FILE, read_sums, scored
from kaname.reporting.compare import Scored, check_options

COMPARED = (*MEASURES, "skeleton")


def compare(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """A ``points.json``, the ``hota.json`` of an evaluation, or a folder of ``VIDEO_pred.txt``, video by video, for
    ``kaname compare``.

    Args:
        data: the data folder, or a folder of labels; not read where an evaluation was made already.
        split: the one set to use; default: all of them.
        cluster: ``none`` or ``video``, which say the same here: a sample is a video.
        options: ``pck_px``, ``similarity``, ``scale_px`` and ``skeleton``, where no evaluation was made yet; default:
            what a ``points.json`` was made with.

    Raises:
        InputError: an unusable file, unknown options.
    """
    made_already = predictions.name == SUMS_FILE
    check_options(options, () if made_already else COMPARED, cluster, ("none", "video"))
    left_out: dict[str, str] = {}
    if made_already:
        sums, names, settings = read_sums(predictions)
        about = {name: settings.get(name) for name in HOW}
    elif predictions.is_dir():
        settings, skeleton = _settings(options)
        folder = data / (split or "val") / "mot"
        sums, names = compared_texts(predictions, folder if folder.is_dir() else data, rules_of(settings), skeleton)
        about = {"pck_px": settings.pck_px, "similarity": settings.similarity, "scale_px": settings.scale_px}
    else:
        sums, names, about, left_out = _compared_points(predictions, data, split, options)
    return scored(sums, names, {**about, "data": data.as_posix()}, left_out=left_out)


def _compared_points(
    predictions: Path, data: Path, split: str | None, options: Mapping[str, Any]
) -> tuple[dict[str, VideoSums], list[str], dict[str, Any], dict[str, str]]:
    """The sums of a ``points.json``, its classes, how it was scored, and what was left out."""
    stored = made(predictions)["answers"]
    settings, named = _settings({**{name: stored[name] for name in MEASURES if name in stored}, **options})
    words = [] if named is None else [f"skeleton={named}"]
    pictures = by_name(labelled(data, {"data": {}}, words), split)
    rows = Rows(RECIPE.answering.read(predictions), predictions)
    chosen = [picture for name, picture in pictures.items() if name in rows.by_name]
    if not chosen:
        raise InputError("no predicted frame is labelled in this data", path=predictions, remedy="check --data")
    skeleton = chosen[0].skeleton
    sums = videos_of(align(chosen, rows, skeleton_of_file(predictions) or skeleton), rules_of(settings))
    left_out = {name: "no labelled frame of this name" for name in sorted(set(rows.by_name) - set(pictures))}
    about = {"pck_px": settings.pck_px, "similarity": settings.similarity, "scale_px": settings.scale_px}
    return sums, list(skeleton.groups), {**about, "skeleton": skeleton.name}, left_out


def _settings(options: Mapping[str, Any]) -> tuple[AnswerSettings, str | None]:
    own = {name: value for name, value in options.items() if name != "skeleton"}
    return from_dict(AnswerSettings, own), options.get("skeleton")
