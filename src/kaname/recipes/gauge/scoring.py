"""Scoring a model or a file of predictions on disk: predictions, figures and pictures of every set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import from_dict, to_dict
from kaname.data.formats.files import read_json, write_json
from kaname.engine import draw
from kaname.engine.predict import Model
from kaname.engine.progress import Bar
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge import evaluate as figures
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.labels import Dial, letterbox, make_folder, read, read_heatmaps, sets, truth_of
from kaname.recipes.gauge.predict import open_model, read_points, write_points
from kaname.recipes.gauge.prepare import encode
from kaname.types import Points

Result = dict[str, Any]


def score_model(
    model: Model, dials: list[Dial], out: Path, settings: ExtractSettings, *, title: str, truth: str, pictures: bool
) -> Result:
    """Predict a set to ``out/points.json``, score that file, and with ``pictures`` draw every image."""

    def rows() -> Iterator[tuple[str, Points, Mapping[str, Any]]]:
        with Bar(f"predicting {title}", len(dials)) as bar:
            for dial in dials:
                image = read_image(dial.image)
                maps = model.maps(image)
                points = model.decode(maps, image.shape[:2])  # type: ignore[arg-type]
                if pictures:
                    _pictures(dial, image, maps, points, model, out)
                bar.advance()
                yield dial.image.name, points, {}

    write_points(out / "points.json", rows(), model=describe_model(model), settings=to_dict(settings))
    return score_file(out / "points.json", dials, out, settings, truth=truth)


def score_file(predictions: Path, dials: list[Dial], out: Path, settings: ExtractSettings, *, truth: str) -> Result:
    """Score a ``points.json`` and write ``metrics.json`` and ``key_point_metrics.json`` into ``out``.

    Model and extraction are those that the file names; of ``settings`` tolerance and the truth's bandwidth count.
    """
    made = read_json(predictions)
    result = figures.evaluate(
        dials, read_points(predictions), tolerance=settings.tolerance, truth=truth, bandwidth=settings.bandwidth,
        source=predictions,
    )  # fmt: skip
    notes = {
        "recipe": "gauge", "model": made.get("model"), "predictions": predictions.name, "truth": truth,
        "set": out.name, "data": dials[0].image.parent.parent.resolve().as_posix(),
        "tolerance_px": settings.tolerance, "reference_size": REFERENCE_SIZE, "intervals": "95 % bootstrap over images",
        "extract": made.get("settings"),
    }  # fmt: skip
    write_json(out / "metrics.json", figures.metrics_content(result, notes))
    write_json(out / "key_point_metrics.json", figures.key_point_metrics(result))
    return result


def describe_model(model: Model) -> str:
    """A model in a few words for reports."""
    settings, trained = model.card["config"]["model"], model.card.get("trained", {})
    start = "pretrained" if model.card.get("pretrained") else "from random weights"
    return (
        f"{settings['backbone']} ({start}), decoder {settings['decoder']}, {model.input_size[0]} px, "
        f"epoch {trained.get('epoch', '?')}"
    )


def _pictures(dial: Dial, image: np.ndarray, maps: np.ndarray, points: Points, model: Model, out: Path) -> None:
    side = model.input_size[0]
    into = letterbox(points.size, side)
    if dial.points is not None:
        true_maps = encode(dial.points, points.size, side, float(model.card["config"]["sigma"]))
        truth = {name: into.points(xy) for name, xy in truth_of(dial).items()}
    else:
        assert dial.heatmaps is not None
        true_maps = read_heatmaps(dial.heatmaps, None)
        size = (true_maps.shape[1], true_maps.shape[2])
        found = figures.reference_truth(dial, size, truth="heatmap", bandwidth=20.0)[0]
        truth = {name: xy * (side / REFERENCE_SIZE) for name, xy in found.items()}
    true_maps[CHANNELS.index("middle")] = true_maps.max(axis=0)
    ours = {name: into.points(points.xy[name]) for name in CHANNELS}
    seen = into.image(image, (side, side))
    for folder in ("heatmaps", "key_points"):
        make_folder(out / folder)
    draw.heatmap_grid(maps, true_maps, CHANNELS, out / "heatmaps" / f"H_{dial.name}.jpg")
    draw.key_point_grid(seen, ours, truth, CHANNELS, out / "key_points" / f"K_{dial.name}.jpg")


def score(
    data: Path | None, checkpoint: Path | None, predictions: Path | None, out: Path | None, *, split: str | None,
    truth: str, changes: Mapping[str, Any], pictures: bool, device: str = "auto",
) -> dict[str, Result]:  # fmt: skip
    """The verbs ``evaluate`` and ``validate``: score sets of a data folder and print their tables.

    Each set's files go to ``out/<set>``; ``out/metrics.json`` is that of ``val``, or of the last set without one.

    Args:
        data: default: the data the model was trained with.
        split: a set's name, ``all`` for all of them, or ``None`` for ``val`` (or the only one).
        changes: extraction settings to use instead of the stored ones; ``None`` values are ignored.
    """
    if (checkpoint is None) == (predictions is None):
        raise InputError("evaluate needs a model or predictions", remedy="give either --checkpoint or --predictions")
    given = {name: value for name, value in changes.items() if value is not None}
    late = sorted(set(given) - {"tolerance"})
    if predictions is not None and late:
        raise InputError(
            f"{late[0]} belongs to the extraction, and these predictions are already extracted", path=predictions,
            remedy="give it to predict, or score with --checkpoint",
        )  # fmt: skip
    model = None if checkpoint is None else open_model(checkpoint, runtime=device, extract=given)
    if data is None:
        if model is None:
            raise InputError("labels are needed to score predictions", remedy="give --data")
        data = Path(model.card["config"]["data"])
    stored = {} if model is None else model.card["config"]["extract"]
    settings = from_dict(ExtractSettings, {**stored, **given})
    place = out or (checkpoint or predictions or data).parent
    results: dict[str, Result] = {}
    for name, folder in _chosen(data, split).items():
        dials = read(folder, allow_missing=True)
        if model is not None:
            results[name] = score_model(
                model, dials, place / name, settings, title=name, truth=truth, pictures=pictures
            )
        else:
            assert predictions is not None
            results[name] = score_file(predictions, dials, place / name, settings, truth=truth)
        print(f"\n{name}: {len(dials)} images, distances in pixels at {REFERENCE_SIZE}, 95 % intervals")
        _print_table(figures.table(results[name]))
    chosen = "val" if "val" in results else list(results)[-1]
    write_json(place / "metrics.json", json.loads((place / chosen / "metrics.json").read_text(encoding="utf-8")))
    print(f"\nfigures in {place / 'metrics.json'}")
    return results


def _chosen(data: Path, split: str | None) -> dict[str, Path]:
    found = sets(data)
    if split == "all":
        return found
    name = split or ("val" if "val" in found else next(iter(found)))
    if name not in found:
        raise InputError(f"no set {name!r} here", path=data, remedy=f"sets: {', '.join(found)}")
    return {name: found[name]}


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
