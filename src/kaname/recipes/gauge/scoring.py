"""Scoring a model or a file of predictions on disk: predictions, figures and pictures of every set."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import from_dict, to_dict
from kaname.data.formats.files import make_folder, read_json, write_json
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.inference.model import Model, conditions
from kaname.progress import Bar
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE, report
from kaname.recipes.gauge import evaluate as figures
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.labels import Dial, letterbox, read, read_heatmaps, sets, truth_of
from kaname.recipes.gauge.predict import open_model, read_points, write_points
from kaname.recipes.gauge.prepare import encode
from kaname.reporting import draw
from kaname.reporting.report import Speed
from kaname.reporting.results import print_table, publish, results_folder
from kaname.types import Points

Result = dict[str, Any]


def score_model(
    model: Model, dials: list[Dial], out: Path, settings: ExtractSettings, *, title: str, truth: str, pictures: bool,
    notes: Mapping[str, Any] | None = None, cluster: str = "none",
) -> Result:  # fmt: skip
    """Predict a set to ``out/points.json``, score that file, and with ``pictures`` draw every image."""
    speed = Speed()

    def rows() -> Iterator[tuple[str, Points, Mapping[str, Any]]]:
        with Bar(f"predicting {title}", len(dials)) as bar:
            for dial in dials:
                with speed.stage("reading"):
                    image = read_image(dial.image)
                with speed.stage("network"):
                    maps = model.maps(image)
                with speed.stage("extraction"):
                    points = model.decode(maps, image.shape[:2])  # type: ignore[arg-type]
                if pictures:
                    _pictures(dial, image, maps, points, model, settings.bandwidth, out)
                bar.advance()
                yield dial.image.name, points, {}

    sigma = float(model.card["config"]["sigma"])
    write_points(out / "points.json", rows(), model=describe_model(model), settings=to_dict(settings), sigma=sigma)
    result = score_file(out / "points.json", dials, out, settings.tolerance, truth=truth, notes=notes, cluster=cluster)
    result["speed"] = {**speed.rows(), **conditions(model)}
    return result


def score_file(
    predictions: Path, dials: list[Dial], out: Path, tolerance: float, *, truth: str,
    notes: Mapping[str, Any] | None = None, cluster: str = "none",
) -> Result:  # fmt: skip
    """Score a ``points.json`` and write ``metrics.json`` and ``key_point_metrics.json`` into ``out``.

    Model, extraction and the lengths that a truth from heatmaps needs are those that the file names; ``notes`` are
    further settings to report; ``cluster`` as in ``evaluate.evaluate``.
    """
    found, made = read_points(predictions), read_json(predictions)
    bandwidth, sigma = figures.lengths_of(predictions)
    result = figures.evaluate(
        dials, found, tolerance=tolerance, truth=truth, bandwidth=bandwidth, sigma=sigma, source=predictions,
        cluster=cluster,
    )  # fmt: skip
    known = {dial.image.name for dial in dials}
    others = [name for name in found if Path(name).name not in known]
    if others:
        warnings.warn(f"{predictions}: not in this set and not scored: {', '.join(others)}", stacklevel=2)
    over = "images" if cluster == "none" else f"{result['clusters']} groups of images (by {cluster} of their names)"
    settings = {
        "recipe": "gauge", "model": made.get("model"), "predictions": predictions.name, "truth": truth,
        "set": out.name, "data": dials[0].image.parent.parent.resolve().as_posix(),
        "tolerance_px": tolerance, "reference_size": REFERENCE_SIZE, "intervals": f"95 % bootstrap over {over}",
        "cluster": cluster, "data_hash": report.hash_of(dials), "extract": made.get("settings"),
        "images_not_scored": len(others), **(notes or {}),
    }  # fmt: skip
    write_json(out / "metrics.json", figures.metrics_content(result, settings))
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


def _pictures(
    dial: Dial, image: np.ndarray, maps: np.ndarray, points: Points, model: Model, bandwidth: float, out: Path
) -> None:
    side, sigma = model.input_size[0], float(model.card["config"]["sigma"])
    into = letterbox(points.size, side)
    if dial.points is not None:
        true_maps = encode(dial.points, points.size, side, sigma)
        truth = {name: into.points(xy) for name, xy in truth_of(dial).items()}
    else:
        assert dial.heatmaps is not None
        true_maps = read_heatmaps(dial.heatmaps, None)
        size = (true_maps.shape[1], true_maps.shape[2])
        found = figures.reference_truth(dial, size, truth="heatmap", bandwidth=bandwidth, sigma=sigma)[0]
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
    truth: str, changes: Mapping[str, Any], pictures: bool, device: str = "auto", limit: int = 0,
    cluster: str = "none",
) -> dict[str, Result]:  # fmt: skip
    """The verbs ``evaluate`` and ``validate``: score sets of a data folder and print their tables.

    Each set's files go to ``out/<set>``; ``out/metrics.json`` is that of ``val``, or of the last set without one.
    Without ``out`` they go to ``reporting.results.results_folder``, where each set's ``metrics.json`` is the only one,
    so that no call writes over the figures of another set or of other data.

    Args:
        data: default: the data the model was trained with.
        split: a set's name, ``all`` for all of them, or ``None`` for ``val`` (or the only one).
        changes: extraction settings to use instead of the stored ones; ``None`` values are ignored.
        limit: score only the first N images of each set; 0 = all.
        cluster: as in ``evaluate.evaluate``.

    Raises:
        InputError: bad usage or input, or an ``out`` that would mix results with the images and labels of a data set.
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
    source, chosen = checkpoint or predictions or data, _chosen(data, split)
    place = out or results_folder(source, data)
    refuse_data_folder(place, chosen)
    notes: dict[str, Any] = {"source": source.name, **({"limit": limit} if limit else {})}
    results: dict[str, Result] = {}
    for name, folder in chosen.items():
        dials = read(folder, allow_missing=True)[: limit or None]
        if model is not None:
            results[name] = score_model(
                model, dials, place / name, settings, title=name, truth=truth, pictures=pictures, notes=notes,
                cluster=cluster,
            )  # fmt: skip
        else:
            results[name] = score_file(
                source, dials, place / name, settings.tolerance, truth=truth, notes=notes, cluster=cluster
            )
        report.write(results[name], dials, place / name, model=model, source=source)
        count = f"{len(dials)} images{f' (at most the first {limit})' if limit else ''}"
        print(f"\n{name}: {count}, distances in pixels at {REFERENCE_SIZE}, 95 % intervals")
        print_table(figures.table(results[name]))
    headline = "val" if "val" in results else list(results)[-1]
    publish(place, list(results), headline=headline, whole=out is not None)
    return results


def refuse_data_folder(out: Path, names: Iterable[str]) -> None:
    """Refuse to write results where the images of a data set lie: they would be taken for a part of it."""
    for folder in (out, *(out / name for name in names)):
        if (folder / "images").is_dir():
            raise InputError("results would be mixed with a data set", path=folder, remedy="choose another --out")


def _chosen(data: Path, split: str | None) -> dict[str, Path]:
    found = sets(data)
    if split == "all":
        return found
    name = split or ("val" if "val" in found else next(iter(found)))
    if name not in found:
        raise InputError(f"no set {name!r} here", path=data, remedy=f"sets: {', '.join(found)}")
    return {name: found[name]}
