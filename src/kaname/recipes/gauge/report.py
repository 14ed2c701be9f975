"""The page of an evaluation and of a training run of ``gauge``: what ``reporting.report`` shows, gathered. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import read_json
from kaname.geometry.image import read_image, resize
from kaname.inference.model import Model
from kaname.metrics.calibration import Bin, calibration
from kaname.metrics.points import nearest_distances
from kaname.recipes.gauge import REFERENCE_SIZE
from kaname.recipes.gauge.labels import Dial, letterbox
from kaname.reporting import draw
from kaname.reporting.extremes import Extremes, Shot, write_extremes
from kaname.reporting.report import Headline, Report, command_line, data_hash, write_report

Result = Mapping[str, Any]

SHOWN = 6  # pictures of the worst, and as many of the best
VIEW, LEAST_VIEW = 640, 320  # pixels of a picture's longer side
HEADLINE = (
    Headline("F1 of all notches", "middle", "f1"),
    Headline("All notches found (PCK)", "middle", "pck"),
    Headline("Start and end found (PCK)", "start_end", "pck"),
    Headline("Mean distance, all notches", "middle", "mean_distance_px", "px"),
)
MARKS = (
    "Rings are the labelled notches, as wide as the tolerance; crosses were predicted. Green: found; amber ring: "
    "missed; red cross: wrong."
)


def write(
    result: Result, dials: Sequence[Dial], folder: Path, *, model: Model | None, source: Path, path: Path | None = None,
    title: str = "", command: str = "",
) -> Path:  # fmt: skip
    """Write the page of one scored set, and its best and worst images into ``folder/best`` and ``folder/worst``.

    Args:
        result: what ``evaluate.evaluate`` returned, with ``speed`` where it was measured.
        dials: the set.
        folder: where the set's ``metrics.json`` lies.
        model: the model; None where predictions were read from a file.
        source: the checkpoint or the file of predictions.
        path: the page; default: ``folder/report.html``.
        title: default: names the set.
        command: default: this process's command line.
    """
    settings = read_json(folder / "metrics.json")["settings"]
    shown = extremes(result, dials, settings["tolerance_px"], folder)
    log = source.parent / "log.csv"
    from_file = f"predictions were read from {source.name}"
    missing = {"pictures": "no image could be read"} if shown.unreadable else {}
    if model is None:
        missing |= {"speed": from_file, "curves": from_file}
    config = {"extract": settings["extract"]} if model is None else model.card["config"]
    report = Report(
        title=title or f"gauge: evaluation of {settings['set']}",
        subtitle=f"{settings['model'] or 'a model that the predictions do not name'}; {len(dials)} images",
        notes=[*warnings(settings, model), *shown.unreadable],
        metrics={**result["groups"], "settings": settings},
        metrics_note=f"Per image, then the mean over images, with 95 % bootstrap intervals "
        f"({settings['intervals'].removeprefix('95 % bootstrap ')}). Distances are pixels of a {REFERENCE_SIZE} x "
        f"{REFERENCE_SIZE} dial; a notch counts as found within {settings['tolerance_px']:g} px.",
        headline=HEADLINE,
        log=log if model is not None and log.is_file() else None,
        worst=shown.pictures["worst"],
        best=shown.pictures["best"],
        pictures_note=MARKS,
        calibration=bins(result, settings["tolerance_px"]),
        calibration_note=f"A point is right within {settings['tolerance_px']:g} px of a true one; errors are distances "
        "in pixels.",
        speed=result.get("speed", {}),
        config=config,
        command=command or command_line(),
        data={"folder": settings["data"], "images": len(dials), "hash": settings["data_hash"]},
        missing=missing,
    )
    return write_report(path or folder / "report.html", report)


def warnings(settings: Mapping[str, Any], model: Model | None) -> list[str]:
    """What a reader must know before believing the figures."""
    lines = []
    data = Path(settings["data"])
    if model is not None:
        own = Path(model.card["config"]["data"])
        trained_on = {own / "train"} if (own / "train").is_dir() else {own}
        if data in trained_on:
            lines.append("Scored on the images it was trained on: the figures say how well it remembers them.")
        if not model.card.get("pretrained"):
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


def hash_of(dials: Sequence[Dial]) -> str:
    """The hash of a set: its labelled points (or, without points, its heatmaps) and its images' names and sizes."""

    def label(dial: Dial) -> bytes:
        if dial.points is None:
            return dial.heatmaps.read_bytes() if dial.heatmaps is not None else b""
        points = {name: np.round(xy, 3).tolist() for name, xy in dial.points.items()}
        return json.dumps(points, sort_keys=True).encode()

    return data_hash((dial.image, label(dial)) for dial in dials)


def bins(result: Result, tolerance: float) -> dict[str, list[Bin]]:
    """Score against distance of every predicted point, for all notches and for start and end."""
    groups = {"all notches": ("middle",), "start and end": ("start", "end")}
    found = {}
    for title, names in groups.items():
        scores = [one["scores"][name] for one in result["compared"].values() for name in names]
        errors = [
            nearest_distances(one["predicted"][name], one["truth"][name])
            for one in result["compared"].values() for name in names
        ]  # fmt: skip
        found[title] = calibration(np.clip(np.concatenate(scores), 0, 1), np.concatenate(errors), tolerance)
    return found


def extremes(result: Result, dials: Sequence[Dial], tolerance: float, folder: Path) -> Extremes:
    """The worst and the best images with truth and prediction drawn, also written below ``folder``."""
    order = sorted(dials, key=lambda dial: _goodness(result["images"][dial.image.name]["middle"]))
    count = min(SHOWN, len(order))
    chosen = {"worst": order[: min(count, (len(order) + 1) // 2)], "best": order[::-1][: min(count, len(order) // 2)]}

    def shot(dial: Dial) -> Shot:
        name = dial.image.name
        caption = _caption(name, result["images"][name]["middle"])
        return Shot(dial.name, name, caption, partial(_drawn, dial, result["compared"][name], tolerance))

    return write_extremes(folder, {kind: [shot(dial) for dial in members] for kind, members in chosen.items()})


def _goodness(figures: Mapping[str, float | None]) -> tuple[float, float]:
    """Sorts the worst image first: by F1, then by distance; nothing found where nothing is counts as perfect."""
    f1, distance = figures["f1"], figures["mean_distance_px"]
    return 1.0 if f1 is None else f1, -math.inf if distance is None and f1 is not None else -(distance or 0.0)


def _drawn(dial: Dial, compared: Mapping[str, Any], tolerance: float) -> np.ndarray:
    image = read_image(dial.image)
    height, width = image.shape[:2]
    scale = min(1.0, VIEW / max(height, width))
    scale = max(scale, LEAST_VIEW / max(height, width))  # marks and counts would hide a smaller one
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    back = letterbox(size, REFERENCE_SIZE).inverse()
    view = image if size == (height, width) else resize(image, size)
    found, true = (back.points(compared[side]["middle"]) for side in ("predicted", "truth"))
    return draw.comparison(view, found, true, tolerance * max(size) / REFERENCE_SIZE)


def _caption(name: str, figures: Mapping[str, float | None]) -> str:
    f1, distance = figures["f1"], figures["mean_distance_px"]
    far = "" if distance is None else f", mean distance {distance:.1f} px"
    return f"{name}: {'nothing there, nothing found' if f1 is None else f'F1 {f1:.2f}'}{far}"
