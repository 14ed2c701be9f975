"""Scoring a model or a file of balls on disk: predictions, figures, the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.config import from_dict, to_dict
from kaname.data.formats.files import read_json, write_json
from kaname.data.video import Frame
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.inference.model import Model, conditions
from kaname.pipeline.flags import bare_config
from kaname.progress import Bar
from kaname.recipes.tracknet import evaluate as figures
from kaname.recipes.tracknet import report
from kaname.recipes.tracknet.config import DataSettings
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.recipes.tracknet.labels import SETS, Clip, check_lengths, sets
from kaname.recipes.tracknet.predict import open_model, read_rows, row_of, write_rows
from kaname.reporting.report import Speed
from kaname.reporting.results import print_table, publish, results_folder
from kaname.tracking.trajectory import SMOOTHERS, Row

PREDICTIONS = "predictions.csv"


@dataclass(frozen=True)
class Scoring:
    """How frames are scored.

    Attributes:
        data: the labels.
        detect: threshold and tolerance.
        occluded_absent: whether visibility 3 counts as no ball.
        smooth: a name of ``SMOOTHERS``, applied to the predictions first.
    """

    data: DataSettings
    detect: DetectSettings
    occluded_absent: bool = False
    smooth: str = "none"


@dataclass(frozen=True)
class Result:
    """A scored set.

    Attributes:
        groups: figures, as ``figures.evaluate`` returns them.
        settings: how they were made, for ``metrics.json``.
        frames: truth and answers.
        made: what the file of balls says of itself.
        speed: quantity to value, where a model was run.
    """

    groups: dict[str, dict[str, Any]]
    settings: dict[str, Any]
    frames: figures.Frames
    made: Mapping[str, Any]
    speed: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """What ``metrics.json`` holds, keys sorted."""
        return json.loads(json.dumps({**self.groups, "settings": self.settings}, sort_keys=True))


def clip_rows(model: Model, clip: Clip, speed: Speed) -> Iterator[Row]:
    """The answers for a clip's frames, in their order."""
    read = speed.timed("reading", partial(read_image, expected=clip.size))
    images = (Frame(number, 0.0, read(path)) for number, path in enumerate(clip.frames))
    try:
        for frame, points in model.stream(images):
            yield row_of(points, frame=frame.index, seconds=0.0, clip=clip.name, file=clip.frames[frame.index].name)
    except InputError as error:
        where = error.path or clip.frames[0].parent
        raise InputError(error.reason, path=where, row=error.row, remedy=error.remedy) from error


def score_model(
    model: Model, clips: Sequence[Clip], out: Path, how: Scoring, notes: Mapping[str, Any], *, title: str
) -> Result:
    """Predict clips to ``out/predictions.csv`` (all peaks, whatever their score, so that thresholds can be tried), and
    score that file."""
    check_lengths(clips, model.frames)
    speed = Speed("frame")
    measured = Model(model.card, speed.timed("network", model.runner), speed.timed("finding the peak", model.decoder))

    def rows() -> Iterator[Row]:
        with Bar(f"predicting {title}", sum(len(clip.frames) for clip in clips)) as bar:
            for clip in clips:
                for row in clip_rows(measured, clip, speed):
                    bar.advance()
                    yield row

    write_rows(out / PREDICTIONS, rows())
    made = {
        "format": "kaname-balls", "recipe": "tracknet", "model": describe_model(model),
        "absent": model.card.get("absent"), "detect": to_dict(how.detect), "occluded_absent": how.occluded_absent,
        "pretrained": bool(model.card.get("pretrained")), "trained_on": _trained_on(model),
    }  # fmt: skip
    write_json(out / "predictions.json", made)
    result = score_file(out / PREDICTIONS, clips, out, how, notes)
    return replace(result, speed={**speed.rows(), **conditions(model)})


def score_file(predictions: Path, clips: Sequence[Clip], out: Path, how: Scoring, notes: Mapping[str, Any]) -> Result:
    """Score a file of balls and write ``out/metrics.json``, with ``notes`` among its settings."""
    made = made_of(predictions)
    rows = smoothed(read_rows(predictions), clips, how.smooth, how.detect.score_threshold)
    frames = figures.align(clips, rows, predictions)
    groups, intervals = figures.evaluate(
        frames, tolerance=how.detect.tolerance, score_threshold=how.detect.score_threshold,
        occluded_absent=how.occluded_absent,
    )  # fmt: skip
    settings = {
        "recipe": "tracknet", "data": how.data.root.resolve().as_posix(), "model": made.get("model"),
        "predictions": predictions.name, "set": out.name, "games": games_of(clips), "clips": len(clips),
        "frames": len(frames.names), "absent": made.get("absent", how.data.absent),
        "occluded_counts_as_absent": how.occluded_absent, "smooth": how.smooth, "intervals": intervals,
        "detect": to_dict(how.detect), "pixels": "of the original frames", "data_hash": report.hash_of(clips),
        "rows_of_other_clips": len(rows) - len(frames.names), **notes,
    }  # fmt: skip
    result = Result(groups, settings, frames, made)
    write_json(out / "metrics.json", result.content)
    return result


def made_of(predictions: Path) -> dict[str, Any]:
    """What the JSON file beside a file of balls says of them."""
    beside = predictions.with_suffix(".json")
    content = read_json(beside) if beside.is_file() else None
    return dict(content) if isinstance(content, dict) else {}


def games_of(clips: Sequence[Clip]) -> list[str]:
    """The games that clips are of, by name."""
    return sorted({clip.name.split("/")[0] for clip in clips})


def _trained_on(model: Model) -> dict[str, Any] | None:
    """The data folder a model was trained with and the games that trained and chose it; None where it is gone."""
    data = from_dict(DataSettings, model.card["config"]["data"])
    try:
        found = sets(data)
    except InputError:
        return None
    return {"data": data.root.as_posix(), **{name: games_of(found[name]) for name in ("train", "val")}}


def describe_model(model: Model) -> str:
    """A model in a few words for reports."""
    config, trained = model.card["config"], model.card.get("trained", {})
    start = "pretrained" if model.card.get("pretrained") else "from random weights"
    height, width = model.input_size
    return (
        f"{config['model']['pretrained_model_name']} ({start}), {model.frames} frame(s) of {width} x {height}, "
        f"epoch {trained.get('epoch', '?')}"
    )


def score(
    data: DataSettings | None, checkpoint: Path | None, predictions: Path | None, out: Path | None, *,
    split: str | None, tolerance: float | None, score_threshold: float | None, method: str | None = None,
    occluded_absent: bool | None = None, smooth: str = "none", device: str = "auto", overrides: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """The verb ``evaluate``: score one set of clips, print a table, write ``metrics.json`` and ``report.html``.

    Files go to ``out/<set>``, the two also to ``out`` itself; without ``out`` to ``reporting.results.results_folder``.

    Args:
        data: default: the data the model was trained with.
        split: ``train``, ``val``, ``test`` or ``all``; default: ``test`` where there is one, else ``val``, else all.
        smooth: a name of ``SMOOTHERS``, applied to the predictions before they are scored.
        overrides: ``key=value`` words that change the data the model was trained with.

    Returns:
        The content of ``metrics.json``.
    """
    if (checkpoint is None) == (predictions is None):
        raise InputError("evaluate needs a model or predictions", remedy="give either --checkpoint or --predictions")
    if predictions is not None and method is not None:
        raise InputError("--method belongs to the detection, and these are already detected", path=predictions)
    given = {"score_threshold": 0.0} | ({} if method is None else {"method": method})
    model = None if checkpoint is None else open_model(checkpoint, runtime=device, detect=given)
    stored = model.card["config"]["detect"] if model is not None else made_of(predictions or Path()).get("detect")
    changes = {"tolerance": tolerance, "score_threshold": score_threshold, "method": method}
    settings = from_dict(DetectSettings, {**(stored or {}), **{k: v for k, v in changes.items() if v is not None}})
    data = data if data is not None else _stored_data(model, overrides)
    name, clips = set_of(data, split)
    hidden = data.occluded_absent if occluded_absent is None else occluded_absent
    how = Scoring(data, settings, occluded_absent=hidden, smooth=smooth)
    source = checkpoint or predictions or data.root
    if out is not None:
        _refuse_data_folder(out, data.root)
    place = out or results_folder(source, data.root, {name: {"games": games_of(clips)}})
    notes = {"source": source.name}
    if model is not None:
        result = score_model(model, clips, place / name, how, notes, title=name)
    else:
        result = score_file(source, clips, place / name, how, notes)
    report.write(result, clips, place / name, model=model, source=source)
    told = result.settings
    print(f"\n{name}: {told['frames']} frames of {len(clips)} clips, absent: {told['absent']}, {told['intervals']}")
    if told["rows_of_other_clips"]:
        print(f"not of this set and not scored: {told['rows_of_other_clips']} rows of other clips")
    print_table(figures.table(result.groups, settings.tolerance))
    publish(place, [name], headline=name, whole=out is not None)
    return result.content


def _refuse_data_folder(out: Path, data: Path) -> None:
    if out.resolve().is_relative_to(data.resolve()):
        raise InputError("results would be mixed with the data set", path=out, remedy="choose another --out")


def _stored_data(model: Model | None, overrides: Sequence[str]) -> DataSettings:
    if model is None:
        raise InputError("labels are needed to score predictions", remedy="give --data")
    stored = json.loads(json.dumps(model.card["config"]["data"]))
    for key, value in bare_config(overrides, "data").items():
        *parents, leaf = key.split(".")
        node = stored
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return from_dict(DataSettings, stored)


def set_of(data: DataSettings, split: str | None) -> tuple[str, list[Clip]]:
    """The name and the clips of a set; without ``split`` of ``test``, else ``val``, else ``train``."""
    found = sets(data)
    if split == "all":
        return split, [clip for name in SETS for clip in found[name]]
    if split is not None and not found.get(split):
        there = ", ".join(name for name in SETS if found[name])
        raise InputError(f"no set {split!r} here", path=data.root, remedy=f"sets: {there}, all")
    name = split or next(name for name in ("test", "val", "train") if found[name])
    return name, found[name]


def smoothed(rows: list[Row], clips: Sequence[Clip], smooth: str, threshold: float) -> list[Row]:
    """Rows above the threshold, smoothed clip by clip; scores of filled places count as detections do."""
    if smooth == "none":
        return rows
    blank = [row if row.there and row.score > threshold else _without_place(row) for row in rows]
    sizes = {clip.name: clip.size for clip in clips}
    result: list[Row] = []
    for name in dict.fromkeys(row.clip for row in blank):
        members = sorted((row for row in blank if row.clip == name), key=lambda row: row.frame)
        result += [_sure(row, threshold) for row in smooth_rows(members, sizes.get(name, clips[0].size), smooth)]
    return result


def smooth_rows(rows: Sequence[Row], size: tuple[int, int], smooth: str) -> list[Row]:
    """Rows of one clip through a smoother with the defaults of ``predict``."""
    from kaname.recipes.tracknet.prediction import FASTEST, MAX_GAP

    return list(SMOOTHERS[smooth](rows, size, MAX_GAP, FASTEST))


def _without_place(row: Row) -> Row:
    return Row(row.frame, row.seconds, float("nan"), float("nan"), row.score, "", row.clip, row.file)


def _sure(row: Row, threshold: float) -> Row:
    """A filled place's confidence is lower by design; scored is whether it is right."""
    if not row.there or row.score > threshold:
        return row
    return Row(row.frame, row.seconds, row.x, row.y, threshold + 1e-6, row.source, row.clip, row.file)


def data_settings(name: str | None, overrides: Sequence[str] = ()) -> DataSettings | None:
    """``--data`` of the verbs besides ``train``: a data folder, or a configuration by name or path.

    ``overrides`` are keys of the data's own, with or without ``data.`` before them.
    """
    from kaname.recipes.tracknet.config import TracknetConfig
    from kaname.recipes.tracknet.keys import groups_of

    bare_config(overrides, "data")
    if name is None:
        return None
    groups, extra = groups_of(name, None, None)
    words = [word if word.startswith("data.") else f"data.{word}" for word in overrides]
    return configuration.load(TracknetConfig, groups={"data": groups["data"]}, overrides=words, flags=extra).data
