"""Scoring a model or a file of predictions on disk: predictions, figures and pictures of every set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import to_dict
from kaname.engine import draw
from kaname.engine.predict import Model
from kaname.engine.progress import Bar
from kaname.geometry.image import read_image
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge import evaluate as figures
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.labels import Dial, letterbox, read_heatmaps, truth_of
from kaname.recipes.gauge.predict import read_points, write_points
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
    return score_file(out / "points.json", dials, out, settings, truth=truth, model=describe_model(model))


def score_file(
    predictions: Path, dials: list[Dial], out: Path, settings: ExtractSettings, *, truth: str, model: str
) -> Result:
    """Score a ``points.json`` and write ``metrics.json`` and ``key_point_metrics.json`` into ``out``."""
    result = figures.evaluate(
        dials, read_points(predictions), tolerance=settings.tolerance, truth=truth, bandwidth=settings.bandwidth,
        source=predictions,
    )  # fmt: skip
    notes = {
        "recipe": "gauge", "model": model, "predictions": predictions.name, "truth": truth,
        "tolerance_px": settings.tolerance, "reference_size": REFERENCE_SIZE, "intervals": "95 % bootstrap over images",
        "extract": to_dict(settings),
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").write_text(figures.metrics_json(result, notes), encoding="utf-8")
    (out / "key_point_metrics.json").write_text(figures.key_point_metrics_json(result), encoding="utf-8")
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
    draw.heatmap_grid(maps, true_maps, CHANNELS, out / "heatmaps" / f"H_{dial.name}.jpg")
    draw.key_point_grid(seen, ours, truth, CHANNELS, out / "key_points" / f"K_{dial.name}.jpg")
