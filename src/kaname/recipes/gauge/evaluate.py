"""Figures of ``gauge`` from files of predictions and labels. No torch, so it reruns in seconds.

Per image, then the mean over images; distances are pixels of a 448 x 448 dial. ``middle`` compares all notches with
all notches; ``start_end`` compares start and end stacked, whichever is which; ``start`` and ``end`` stand alone.

| figure | meaning | without predictions | without truth |
|---|---|---|---|
| ``mean_distance_px`` | mean over predicted points of the distance to the nearest true one | null | null |
| ``pck`` | share of true points with a predicted one within the tolerance | 0 | null |
| ``non_assigned`` | share of predicted points farther than the tolerance from every true one | 0 | 1 |
| ``precision`` | share of predicted points matched one to one within the tolerance | null | 0 |
| ``recall`` | share of true points matched one to one | 0 | null |
| ``f1`` | harmonic mean of both, from the image's counts | 0 | 0 |

An image with neither predictions nor truth has ``non_assigned`` 0 and nulls otherwise; nulls are left out of the
mean and ``n`` counts what is in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname.codecs.clusters import peaks
from kaname.data.formats.files import is_number, read_json
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.metrics.intervals import name_prefix, summary
from kaname.metrics.points import matched, mean_nearest_distance, non_assigned, pck, precision_recall_f1
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig
from kaname.recipes.gauge.labels import Dial, letterbox, read_heatmaps, truth_of
from kaname.types import FloatArray, Points, Size

GROUPS = ("middle", "start_end", "start", "end")
METRICS = ("mean_distance_px", "pck", "non_assigned", "precision", "recall", "f1")
TRUTH_THRESHOLD = 0.95
ORIGINAL_NAMES = {
    "mean_distance_px": "mean distance of predicted and true",
    "pck": "Percentage of true where at least one predicted is close",
    "non_assigned": "Percentage non assigned predicted points",
}


def image_figures(
    predicted: Mapping[str, FloatArray], truth: Mapping[str, FloatArray], tolerance: float
) -> dict[str, dict[str, float | None]]:
    """All figures of one image by group; points in pixels at 448, ``middle`` holding all notches on both sides."""
    figures: dict[str, dict[str, float | None]] = {}
    for group in GROUPS:
        ours, real = _group(predicted, group), _group(truth, group)
        tp, fp, fn = matched(ours, real, tolerance)[:3]
        precision, recall, f1 = precision_recall_f1(tp, fp, fn)
        figures[group] = {
            "mean_distance_px": mean_nearest_distance(ours, real),
            "pck": pck(ours, real, tolerance),
            "non_assigned": non_assigned(ours, real, tolerance),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }
    return figures


def evaluate(
    dials: list[Dial],
    predictions: Mapping[str, Points],
    *,
    tolerance: float,
    truth: str,
    bandwidth: float,
    sigma: float,
    source: Path,
    cluster: str = "none",
) -> dict[str, Any]:
    """Figures of a whole set.

    Args:
        dials: the set.
        predictions: by image name, or by path where several images share a name.
        tolerance: pixels at 448.
        truth: ``points`` (the annotated coordinates; heatmaps where nothing else is known) or ``heatmap`` (truth
            clustered from the label heatmaps at 0.95, as the original system scored itself).
        bandwidth: of that clustering, pixels at 448.
        sigma: of the heatmaps that are drawn for it where a dial has points alone, pixels at 448.
        source: the file of predictions, for messages.
        cluster: what the intervals resample whole: ``none`` (each image stands for itself) or ``prefix`` (images
            whose names differ in their number alone, such as those of one kind of dial).

    Returns:
        ``{"groups": {group: {metric: summary}}, "images": {name: figures}, "from_heatmaps": count, "compared": {name:
        {"predicted", "truth", "scores"}}, "clusters": count}``; compared points are pixels at 448, clusters None
        where each image stands for itself.

    Raises:
        InputError: an image of the set without a prediction, with several, or with one for another size.
    """
    known = _by_name(predictions)
    images: dict[str, dict[str, dict[str, float | None]]] = {}
    compared: dict[str, dict[str, Mapping[str, FloatArray]]] = {}
    from_heatmaps = 0
    for dial in dials:
        found = _prediction(dial, predictions, known, source)
        real, exact = reference_truth(dial, found.size, truth=truth, bandwidth=bandwidth, sigma=sigma)
        from_heatmaps += not exact
        into = letterbox(found.size, REFERENCE_SIZE)
        ours = {name: into.points(found.xy[name]) for name in CHANNELS}
        images[dial.image.name] = image_figures(ours, real, tolerance)
        compared[dial.image.name] = {"predicted": ours, "truth": real, "scores": found.scores}
    names = [name_prefix(name) for name in images] if cluster == "prefix" else None
    groups = {
        group: {metric: summary([figures[group][metric] for figures in images.values()], names) for metric in METRICS}
        for group in GROUPS
    }
    return {
        "groups": groups, "images": images, "from_heatmaps": from_heatmaps, "compared": compared,
        "clusters": None if names is None else len(set(names)),
    }  # fmt: skip


def _by_name(predictions: Mapping[str, Points]) -> dict[str, list[str]]:
    """The rows of every file name; a row of a box or a frame (``NAME#1``) speaks of a part and is none."""
    found: dict[str, list[str]] = {}
    for name in predictions:
        found.setdefault(Path(name).name, []).append(name)
    return found


def _prediction(dial: Dial, predictions: Mapping[str, Points], known: Mapping[str, list[str]], source: Path) -> Points:
    rows = known.get(dial.image.name, [])
    if len(rows) > 1:  # images of one name in several folders: the row whose path is this one's
        rows = [row for row in rows if Path(row).resolve() == dial.image.resolve()]
        if not rows:
            raise InputError(
                f"several predictions for the name {dial.image.name!r}, none for {dial.image}", path=source,
                remedy="predict each set into a file of its own",
            )  # fmt: skip
    if not rows:
        raise InputError(f"no prediction for {dial.image.name}", path=source, remedy="predict the whole set again")
    found, true = predictions[rows[0]], image_size(dial.image)
    if found.size != true:
        raise InputError(
            f"predicted on {found.size[1]} x {found.size[0]}, but the labelled image has {true[1]} x {true[0]}",
            path=source, row=rows[0], remedy="predict the images of this set",
        )  # fmt: skip
    return found


def reference_truth(
    dial: Dial, size: Size, *, truth: str, bandwidth: float, sigma: float
) -> tuple[dict[str, FloatArray], bool]:
    """The truth of a dial in pixels at 448, and whether it is the annotated coordinates; the rest as in `evaluate`."""
    if truth == "points" and dial.points is not None:
        into = letterbox(size, REFERENCE_SIZE)
        return {name: into.points(points) for name, points in truth_of(dial).items()}, True
    if dial.heatmaps is not None:
        maps = read_heatmaps(dial.heatmaps, None)
    elif dial.points is not None:
        from kaname.recipes.gauge.prepare import encode

        maps = encode(dial.points, size, REFERENCE_SIZE, sigma)
    else:
        raise InputError("no truth for this image", path=dial.image)
    scale = REFERENCE_SIZE / maps.shape[1]
    stacked = {"start": maps[0], "middle": maps.max(axis=0), "end": maps[2]}
    return {
        name: peaks(
            stacked[name], scale, threshold=TRUTH_THRESHOLD, bandwidth=bandwidth, min_score=0.0, weighted=False,
            single=name != "middle",
        )[0]
        for name in CHANNELS
    }, False  # fmt: skip


def lengths_of(predictions: Path) -> tuple[float, float]:
    """Bandwidth and sigma, in pixels at 448, of the model behind a ``points.json``; the defaults where it names none.

    Raises:
        InputError: not such a file, or one of them is no positive number.
    """
    made = read_json(predictions)
    content = made if isinstance(made, dict) else {}
    settings = content.get("settings")
    named = settings if isinstance(settings, dict) else {}
    found = {
        "bandwidth": named.get("bandwidth", ExtractSettings().bandwidth),
        "sigma": content.get("sigma", GaugeConfig().sigma),
    }
    for name, value in found.items():
        if not is_number(value) or value <= 0:
            raise InputError(f"{name} is {value!r}, no length in pixels", path=predictions, remedy="predict again")
    return float(found["bandwidth"]), float(found["sigma"])


def metrics_content(result: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``metrics.json``, keys sorted."""
    notes = dict(settings)
    if result["from_heatmaps"]:
        notes["truth_note"] = f"truth of {result['from_heatmaps']} images was re-extracted from label heatmaps"
    content = {**result["groups"], "settings": {**notes, "images": len(result["images"])}}
    return json.loads(json.dumps(content, sort_keys=True))


def key_point_metrics(result: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``key_point_metrics.json`` in the original system's layout (shares, not percent)."""

    def renamed(figures: Mapping[str, Any]) -> dict[str, Any]:
        return {ORIGINAL_NAMES[name]: figures[name] for name in ORIGINAL_NAMES}

    content: dict[str, Any] = {
        group: renamed({name: entry["value"] for name, entry in result["groups"][group].items()})
        for group in ("middle", "start_end")
    }
    content["Individual results"] = {
        image: {group: renamed(figures[group]) for group in ("middle", "start_end")}
        for image, figures in result["images"].items()
    }
    return content


def table(result: Mapping[str, Any]) -> list[list[str]]:
    """Rows for screen and page: the first is the heading."""
    rows = [["group", *METRICS]]
    for group in GROUPS:
        cells = []
        for metric in METRICS:
            entry = result["groups"][group][metric]
            if entry["value"] is None:
                cells.append("-")
                continue
            interval = "" if entry["low"] is None else f" [{entry['low']:.3f}, {entry['high']:.3f}]"
            cells.append(f"{entry['value']:.3f}{interval}")
        rows.append([group, *cells])
    return rows


def _group(points: Mapping[str, FloatArray], group: str) -> FloatArray:
    if group == "start_end":
        return np.concatenate([points["start"], points["end"]])
    return points[group]
