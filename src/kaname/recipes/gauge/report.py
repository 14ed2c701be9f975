"""What the pages and pictures of ``gauge`` show. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import make_folder
from kaname.data.formats.heatmaps import read_heatmaps
from kaname.geometry.image import image_size, read_image, resize, write_image
from kaname.inference.card import from_nothing
from kaname.inference.model import Model
from kaname.inference.request import Arrays, Request
from kaname.metrics.calibration import Bin, calibration
from kaname.metrics.points import nearest_distances
from kaname.pipeline.labelled import Result
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig
from kaname.recipes.gauge.evaluate import reference_truth
from kaname.recipes.gauge.labels import Dial, letterbox, truth_of
from kaname.recipes.gauge.prepare import encode
from kaname.reporting import draw
from kaname.reporting.extremes import Shot, worst_and_best, write_extremes
from kaname.reporting.report import Headline
from kaname.types import Points

DEBUG_SAMPLES = 16
SHOWN = 6  # pictures of the worst, and as many of the best
VIEW, LEAST_VIEW = 640, REFERENCE_SIZE  # pixels of a picture's longer side
HEADLINE = (
    Headline("F1 of all notches", "middle", "f1"),
    Headline("All notches found (PCK)", "middle", "pck"),
    Headline("Start and end found (PCK)", "start_end", "pck"),
    Headline("Mean distance, all notches", "middle", "mean_distance_px", "px"),
)
MARKS = (
    "Rings as wide as the tolerance are the labelled notches; the small rings in them (round them, where they are "
    "narrow) are predictions. Green: found; amber: missed; red: wrong."
)


def page(result: Result, dials: Sequence[Dial], folder: Path, model: Model | None) -> dict[str, Any]:
    """The recipe's fields of the page of a scored set; best and worst images go to ``folder/best`` and ``/worst``."""
    settings = result.settings
    tolerance = settings["tolerance_px"]
    order = sorted(dials, key=lambda dial: _goodness(result.details[dial.source][1]["middle"]))

    def shot(dial: Dial) -> Shot:
        compared, figures = result.details[dial.source]
        return Shot(dial.name, dial.source, _caption(dial.source, figures), partial(_drawn, dial, compared, tolerance))

    shown = write_extremes(folder, worst_and_best([shot(dial) for dial in order], SHOWN))
    return {
        "subtitle": f"{len(dials)} images",
        "notes": [*warnings(settings, model), *shown.unreadable],
        "metrics_note": f"Per image, then the mean over images, with 95 % bootstrap intervals "
        f"({settings['intervals'].removeprefix('95 % bootstrap ')}). Distances are pixels of a {REFERENCE_SIZE} x "
        f"{REFERENCE_SIZE} dial; a notch counts as found within {tolerance:g} px.",
        "headline": HEADLINE,
        "worst": shown.pictures["worst"],
        "best": shown.pictures["best"],
        "pictures_note": MARKS,
        "calibration": bins(result, tolerance),
        "calibration_note": f"A point is right within {tolerance:g} px of a true one; errors are distances in pixels.",
        "data": {"folder": settings["data"], "images": len(dials), "hash": settings["data_hash"]},
        "missing": {"pictures": "no image could be read"} if shown.unreadable else {},
    }


def warnings(settings: Mapping[str, Any], model: Model | None) -> list[str]:
    """What a reader must know before believing the figures."""
    lines = []
    if model is not None:
        own = Path(model.card["config"]["data"])
        if Path(settings["data"]) == (own / "train" if (own / "train").is_dir() else own):
            lines.append("Scored on the images it was trained on: the figures say how well it remembers them.")
        if from_nothing(model.card):
            lines.append("The backbone started from random weights, without pretraining.")
    elif settings["set"] == "train":
        lines.append("The set is called train: where the model learned from it, the figures say how well it remembers.")
    if settings.get("limit"):
        lines.append(f"Only the first {settings['limit']} images were scored.")
    if "truth_note" in settings:
        lines.append(f"Labels without exact points: the {settings['truth_note']}.")
    if settings["images"] < 5:
        lines.append(f"{settings['images']} images are too few for intervals.")
    return lines


def bins(result: Result, tolerance: float) -> dict[str, list[Bin]]:
    """Score against distance of every predicted point, for all notches and for start and end."""
    compared = [one for one, _ in result.details.values()]
    by_title = {}
    for title, names in {"all notches": ("middle",), "start and end": ("start", "end")}.items():
        scores = [one.scores[name] for one in compared for name in names]
        errors = [nearest_distances(one.predicted[name], one.truth[name]) for one in compared for name in names]
        by_title[title] = calibration(np.clip(np.concatenate(scores), 0, 1), np.concatenate(errors), tolerance)
    return by_title


def _goodness(figures: Mapping[str, float | None]) -> tuple[float, float]:
    """Sorts the worst image first: by F1, then by distance; an empty answer to an empty image counts as perfect."""
    f1, distance = figures["f1"], figures["mean_distance_px"]
    return 1.0 if f1 is None else f1, -math.inf if distance is None and f1 is not None else -(distance or 0.0)


def _drawn(dial: Dial, compared: Any, tolerance: float) -> np.ndarray:
    image = read_image(dial.image)
    height, width = image.shape[:2]
    scale = min(1.0, VIEW / max(height, width))
    scale = max(scale, LEAST_VIEW / max(height, width))  # a smaller one has no room for marks and counts
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    back = letterbox(size, REFERENCE_SIZE).inverse()
    view = image if size == (height, width) else resize(image, size)
    ours, true = (back.points(side["middle"]) for side in (compared.predicted, compared.truth))
    return draw.comparison(view, ours, true, tolerance * max(size) / REFERENCE_SIZE)


def _caption(name: str, figures: Mapping[str, Mapping[str, float | None]]) -> str:
    f1, distance = figures["middle"]["f1"], figures["middle"]["mean_distance_px"]
    far = "" if distance is None else f", mean distance {distance:.1f} px"
    return f"{name}: {'nothing there, nothing found' if f1 is None else f'F1 {f1:.2f}'}{far}"


def draw_outputs(
    dial: Dial,
    outputs: Arrays,
    request: Request,
    points: Points,
    settings: ExtractSettings,
    card: Mapping[str, Any],
    folder: Path,
    name: str,
) -> None:
    """``heatmaps/H_<name>.jpg`` and ``key_points/K_<name>.jpg``: predicted above, true below."""
    (side, _), sigma = card["input_size"], float(card["config"]["sigma"])
    into = letterbox(points.size, side)
    if dial.points is not None:
        true_maps = encode(dial.points, points.size, side, sigma)
        truth = {group: into.points(xy) for group, xy in truth_of(dial).items()}
    else:
        assert dial.heatmaps is not None
        true_maps = read_heatmaps(dial.heatmaps, len(CHANNELS))
        lengths = {"bandwidth": settings.bandwidth, "sigma": sigma}
        known = reference_truth(dial, true_maps.shape[1:], truth="heatmap", **lengths)[0]
        truth = {group: xy * (side / REFERENCE_SIZE) for group, xy in known.items()}
    true_maps[CHANNELS.index("middle")] = true_maps.max(axis=0)
    ours = {group: into.points(points.xy[group]) for group in CHANNELS}
    seen = into.image(request.image, (side, side))
    make_folder(folder / "heatmaps")
    make_folder(folder / "key_points")
    draw.heatmap_grid(outputs["heatmaps"][0], true_maps, CHANNELS, folder / "heatmaps" / f"H_{name}.jpg")
    draw.key_point_grid(seen, ours, truth, CHANNELS, folder / "key_points" / f"K_{name}.jpg")


def truth(dial: Dial, number: int, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The true notches of a dial by the name of their layer, in its pixels."""
    if dial.points is not None:
        notches = truth_of(dial)
    else:
        size = image_size(dial.image)
        bandwidth = about.get("extract", {}).get("bandwidth", ExtractSettings().bandwidth)
        # Without points a dial has heatmaps, so that no sigma is needed to draw them.
        lengths = {"bandwidth": bandwidth, "sigma": GaugeConfig().sigma}
        real = reference_truth(dial, size, truth="heatmap", **lengths)[0]
        back = letterbox(size, REFERENCE_SIZE).inverse()
        notches = {name: back.points(xy) for name, xy in real.items()}
    return {f"true {name}": notches[name] for name in CHANNELS}


def debug(samples: Any, folder: Path) -> None:
    """Augmented samples as the network sees them, with their target maps laid over, and their shapes on screen."""
    for index in range(min(DEBUG_SAMPLES, len(samples))):
        row = samples.sample(index, 0)
        image, maps = row["images"], row["heatmaps"].astype(np.float32) / 255
        if index == 0:
            make_folder(folder)
            print(f"image {image.shape} {image.dtype}, heatmaps {maps.shape} (start, middle, end)")
        write_image(folder / f"sample_{index:03d}.png", draw.heatmap_overlay(image, maps, CHANNELS))
    print(f"augmented samples in {folder}")
