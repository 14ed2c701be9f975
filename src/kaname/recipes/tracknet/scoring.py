"""Scoring a model or a file of balls on disk: predictions, figures, the worst frames drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.config import from_dict, to_dict
from kaname.data.formats.files import read_json, write_json
from kaname.data.video import Frame
from kaname.engine.flags import bare_config
from kaname.engine.predict import Model
from kaname.engine.progress import Bar
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.recipes.tracknet import evaluate as figures
from kaname.recipes.tracknet.config import DataSettings
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.recipes.tracknet.labels import SETS, Clip, check_lengths, sets
from kaname.recipes.tracknet.predict import open_model, read_rows, row_of, write_rows
from kaname.tracking.trajectory import SMOOTHERS, Row

PREDICTIONS = "predictions.csv"


def clip_rows(model: Model, clip: Clip) -> Iterator[Row]:
    """The answers for a clip's frames, in their order."""
    images = (Frame(number, 0.0, read_image(path)) for number, path in enumerate(clip.frames))
    for frame, points in model.stream(images):
        yield row_of(points, frame=frame.index, seconds=0.0, clip=clip.name, file=clip.frames[frame.index].name)


def predict_clips(
    model: Model, clips: Sequence[Clip], out: Path, *, title: str, detect: DetectSettings
) -> dict[str, Any]:
    """All peaks of all frames, whatever their score, to ``out/predictions.csv``, so that thresholds can be tried.

    Returns:
        What ``predictions.json`` beside it says of them.
    """

    def rows() -> Iterator[Row]:
        with Bar(f"predicting {title}", sum(len(clip.frames) for clip in clips)) as bar:
            for clip in clips:
                for row in clip_rows(model, clip):
                    bar.advance()
                    yield row

    write_rows(out / PREDICTIONS, rows())
    made = {
        "format": "kaname-balls", "recipe": "tracknet", "model": describe_model(model),
        "absent": model.card.get("absent"), "detect": to_dict(detect),
    }  # fmt: skip
    write_json(out / "predictions.json", made)
    return made


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
    """The verb ``evaluate``: score one set of clips, print a table, write ``metrics.json``.

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
    stored = {} if model is None else dict(model.card["config"]["detect"])
    made: dict[str, Any] = {}
    if predictions is not None and predictions.with_suffix(".json").is_file():
        made = dict(read_json(predictions.with_suffix(".json")))
        stored = dict(made.get("detect") or {})
    changes = {"tolerance": tolerance, "score_threshold": score_threshold, "method": method}
    settings = from_dict(DetectSettings, {**stored, **{k: v for k, v in changes.items() if v is not None}})
    data = data if data is not None else _stored_data(model, overrides)
    name, clips = _chosen(data, split)
    place = out or (checkpoint or predictions or Path()).parent / f"evaluation_{name}"
    if model is not None:
        check_lengths(clips, model.frames)
        made = predict_clips(model, clips, place, title=name, detect=settings)
        predictions = place / PREDICTIONS
    assert predictions is not None
    rows = _smoothed(read_rows(predictions), clips, smooth, settings.score_threshold)
    hidden = data.occluded_absent if occluded_absent is None else occluded_absent
    frames = figures.align(clips, rows, predictions)
    groups, intervals = figures.evaluate(
        frames, tolerance=settings.tolerance, score_threshold=settings.score_threshold, occluded_absent=hidden
    )
    notes = {
        "recipe": "tracknet", "model": made.get("model"), "predictions": predictions.name, "set": name,
        "data": data.root.resolve().as_posix(), "games": sorted({clip.name.split("/")[0] for clip in clips}),
        "clips": len(clips), "frames": len(frames.names), "absent": made.get("absent", data.absent),
        "occluded_counts_as_absent": hidden, "smooth": smooth, "intervals": intervals, "detect": to_dict(settings),
        "pixels": "of the original frames",
    }  # fmt: skip
    content = json.loads(json.dumps({**groups, "settings": notes}, sort_keys=True))
    write_json(place / "metrics.json", content)
    print(f"\n{name}: {len(frames.names)} frames of {len(clips)} clips, absent: {notes['absent']}, {intervals}")
    _print_table(figures.table(groups, settings.tolerance))
    print(f"\nfigures in {place / 'metrics.json'}")
    return content


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


def _chosen(data: DataSettings, split: str | None) -> tuple[str, list[Clip]]:
    found = sets(data)
    if split == "all":
        return split, [clip for name in SETS for clip in found[name]]
    if split is not None and not found.get(split):
        there = ", ".join(name for name in SETS if found[name])
        raise InputError(f"no set {split!r} here", path=data.root, remedy=f"sets: {there}, all")
    name = split or next(name for name in ("test", "val", "train") if found[name])
    return name, found[name]


def _smoothed(rows: list[Row], clips: Sequence[Clip], smooth: str, threshold: float) -> list[Row]:
    """Rows above the threshold, smoothed clip by clip; scores of filled places count as detections do."""
    if smooth == "none":
        return rows
    blank = [row if row.there and row.score > threshold else _without_place(row) for row in rows]
    sizes = {clip.name: clip.size for clip in clips}
    result: list[Row] = []
    for name in dict.fromkeys(row.clip for row in blank):
        members = [row for row in blank if row.clip == name]
        smoothed = smooth_rows(members, sizes.get(name, clips[0].size), smooth)
        result += [_sure(row, threshold) for row in smoothed]
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


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
