"""Figures of ``gauge`` from files of predictions and labels. No torch, so it reruns in seconds.

Per image the figures of `kaname.metrics.points.set_figures`, then the mean over images: nulls are left out and ``n``
counts what is in. Distances are pixels of a 448 x 448 dial. ``middle`` compares all notches with all notches;
``start_end`` compares start and end stacked, whichever is which; ``start`` and ``end`` stand alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

from kaname.config import from_dict
from kaname.data.formats.heatmaps import read_heatmaps
from kaname.errors import InputError
from kaname.metrics.intervals import name_prefix, summary
from kaname.pipeline.labelled import Result
from kaname.pipeline.matching import Rows, by_name
from kaname.recipes.gauge import CHANNELS, NEEDLE, REFERENCE_SIZE
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig
from kaname.recipes.gauge.figures import GROUPS, image_figures, of_group
from kaname.recipes.gauge.labels import Dial, labelled, letterbox, truth_of
from kaname.recipes.gauge.predictions import made, read
from kaname.reporting.compare import Scored, check_options
from kaname.reporting.results import figures_table
from kaname.types import FloatArray, Points, Size

METRICS = ("mean_distance_px", "pck", "non_assigned", "precision", "recall", "f1")
TRUTH_THRESHOLD = 0.95
ORIGINAL_NAMES = {
    "mean_distance_px": "mean distance of predicted and true",
    "pck": "Percentage of true where at least one predicted is close",
    "non_assigned": "Percentage non assigned predicted points",
}
CLUSTERS = ("none", "prefix")


def score(path: Path, dials: Sequence[Dial], settings: ExtractSettings, how: Mapping[str, Any]) -> Result:
    """Figures of a whole set from a ``points.json``.

    Args:
        how: ``truth``: ``points`` (the annotated coordinates; heatmaps where nothing else is known) or ``heatmap``
            (truth clustered from the label heatmaps at 0.95, as the original system scored itself). ``cluster``: what
            the intervals resample whole: ``none`` (each image stands for itself) or ``prefix`` (images whose names
            differ in their number alone, such as those of one kind of dial).

    Raises:
        InputError: an image of the set without a prediction, with several, or with one for another size.
    """
    cluster, truth = how.get("cluster", "none"), how.get("truth", "points")
    rows = Rows(read(path), path)
    others = rows.others(dials)
    if others:
        warnings.warn(f"{path}: not in this set and not scored: {', '.join(others)}", stacklevel=2)
    compared, from_heatmaps = align(dials, rows, truth=truth)
    images = {name: image_figures(one.predicted, one.truth, settings.tolerance) for name, one in compared.items()}
    kinds = [name_prefix(name) for name in images] if cluster == "prefix" else None
    groups = {group: _means(images, group, kinds) for group in (*GROUPS, *NEEDLE)}
    for name in NEEDLE:
        if not any(name in figures for figures in images.values()):
            del groups[name]
    answers = [one.predicted for one in compared.values()]
    for group in groups:
        if not any(len(of_group(points, group)) for points in answers if group in {*GROUPS, *points}):
            groups[group]["non_assigned"]["note"] = "nothing predicted"  # else 0 would read as perfect
    over = "images" if kinds is None else f"{len(set(kinds))} groups of images (by {cluster} of their names)"
    facts = {
        "truth": truth,
        "tolerance_px": settings.tolerance,
        "reference_size": REFERENCE_SIZE,
        "cluster": cluster,
        "intervals": f"95 % bootstrap over {over}",
        "images_not_scored": len(others),
        "images": len(images),
        "data": dials[0].image.parent.parent.resolve().as_posix(),
    }
    if from_heatmaps:
        facts["truth_note"] = f"truth of {from_heatmaps} images was re-extracted from label heatmaps"
    title = f"{len(dials)} images, distances in pixels at {REFERENCE_SIZE}, 95 % intervals"
    details = {name: (one, images[name]) for name, one in compared.items()}
    files = {"key_point_metrics.json": key_point_metrics(groups, images)}
    return Result(groups, facts, figures_table(groups, METRICS), title, details, files)


def _means(
    images: Mapping[str, Mapping[str, Any]], group: str, kinds: Sequence[str] | None
) -> dict[str, dict[str, Any]]:
    """Every metric of a group over the images that have it, with intervals that resample whole ``kinds``."""
    has = [group in figures for figures in images.values()]
    rows = [figures[group] for figures in images.values() if group in figures]
    chosen = None if kinds is None else list(compress(kinds, has))
    return {metric: summary([row[metric] for row in rows], chosen) for metric in METRICS}


@dataclass(frozen=True)
class Compared:
    """A dial's prediction beside its truth, in pixels at 448.

    Attributes:
        predicted, truth: by channel, ``(N, 2)``.
        scores: by channel, ``(N,)``.
    """

    predicted: Mapping[str, FloatArray]
    truth: Mapping[str, FloatArray]
    scores: Mapping[str, FloatArray]


def align(dials: Sequence[Dial], rows: Rows, *, truth: str, **lengths: float) -> tuple[dict[str, Compared], int]:
    """Every dial's prediction beside its truth, and how many truths come from heatmaps.

    Args:
        lengths: ``bandwidth`` and ``sigma`` of a truth from heatmaps instead of those of the predictions' model.
    """
    about = made(rows.source)
    known = {"bandwidth": ExtractSettings().bandwidth, **about["extract"], "sigma": about["sigma"], **lengths}
    bandwidth, sigma = known["bandwidth"], known["sigma"]
    compared: dict[str, Compared] = {}
    from_heatmaps = 0
    for dial in dials:
        points = rows.of(dial).answer
        assert isinstance(points, Points)
        real, exact = reference_truth(dial, points.size, truth=truth, bandwidth=bandwidth, sigma=sigma)
        from_heatmaps += not exact
        into = letterbox(points.size, REFERENCE_SIZE)
        ours = {name: into.points(points.xy[name]) for name in points.xy}
        compared[dial.source] = Compared(ours, real, points.scores)
    return compared, from_heatmaps


def reference_truth(
    dial: Dial, size: Size, *, truth: str, bandwidth: float, sigma: float
) -> tuple[dict[str, FloatArray], bool]:
    """The truth of a dial in pixels at 448, and whether it is the annotated coordinates.

    Args:
        bandwidth: of the clustering of heatmaps, pixels at 448.
        sigma: of the heatmaps that are drawn for it where a dial has points alone, pixels at 448.
    """
    if truth == "points" and dial.points is not None:
        into = letterbox(size, REFERENCE_SIZE)
        return {name: into.points(points) for name, points in truth_of(dial).items()}, True
    if dial.heatmaps is not None:
        maps = read_heatmaps(dial.heatmaps, len(CHANNELS))
    elif dial.points is not None:
        from kaname.recipes.gauge.prepare import encode

        maps = encode(dial.points, size, REFERENCE_SIZE, sigma)
    else:
        raise InputError("no truth for this image", path=dial.image)
    from kaname.codecs.clusters import peaks  # its k-d trees are not needed where points are known

    scale = REFERENCE_SIZE / maps.shape[1]
    stacked = {"start": maps[0], "middle": maps.max(axis=0), "end": maps[2]}
    how: dict[str, Any] = {"threshold": TRUTH_THRESHOLD, "bandwidth": bandwidth, "min_score": 0.0, "weighted": False}
    return {name: peaks(stacked[name], scale, single=name != "middle", **how)[0] for name in CHANNELS}, False


def key_point_metrics(groups: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``key_point_metrics.json`` in the original system's layout (shares, not percent)."""

    def renamed(figures: Mapping[str, Any]) -> dict[str, Any]:
        return {ORIGINAL_NAMES[name]: figures[name] for name in ORIGINAL_NAMES}

    shown = ("middle", "start_end")
    content = {group: renamed({name: entry["value"] for name, entry in groups[group].items()}) for group in shown}
    each = {image: {group: renamed(figures[group]) for group in shown} for image, figures in images.items()}
    return {**content, "Individual results": each}


def compare(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """A ``points.json`` scored image by image, for ``kaname compare``: every image both predicted and labelled.

    Args:
        split: the one set of ``data`` to use; default: all of them.
        cluster: ``none`` (default) or ``prefix``: images whose names differ in their number alone belong together.
        options: ``tolerance`` (px at 448) and ``truth`` (``points`` or ``heatmap``), by default what the file was made
            with, and ``bandwidth`` and ``sigma`` of a truth from heatmaps.

    Raises:
        InputError: an unusable file, unknown options, an image name in several sets.
    """
    check_options(options, ("tolerance", "truth", "bandwidth", "sigma"), cluster, CLUSTERS)
    about = made(predictions)
    truth = options.get("truth", about["truth"])
    if truth not in ("points", "heatmap"):
        raise InputError(f"truth is {truth!r}", remedy="use points or heatmap")
    stored = {name: value for name, value in about["extract"].items() if name == "tolerance"}
    lengths = {name: options[name] for name in ("tolerance", "bandwidth") if name in options}
    settings = from_dict(ExtractSettings, stored | lengths)
    sigma = from_dict(GaugeConfig, {name: options[name] for name in ("sigma",) if name in options}).sigma
    dials = by_name(labelled(data, {}), split)
    rows = Rows(read(predictions), predictions)
    scored = [dial for name, dial in dials.items() if name in rows.by_name]
    compared, _ = align(scored, rows, truth=truth, bandwidth=settings.bandwidth, sigma=sigma)
    figures = {name: image_figures(one.predicted, one.truth, settings.tolerance) for name, one in compared.items()}
    labels = [name for name in NEEDLE if any(len((dial.points or {}).get(name, ())) for dial in dials.values())]
    nothing = {group: dict.fromkeys(METRICS) for group in (*GROUPS, *labels)}  # not every dial has, nor model finds it
    values = {name: {**nothing, **groups} for name, groups in figures.items()}
    return Scored(
        values=values,
        settings={"recipe": "gauge", "truth": truth, "tolerance_px": settings.tolerance, "data": data.as_posix()},
        clusters={name: name_prefix(name) for name in values} if cluster == "prefix" else {},
        cluster=cluster or "none",
        lower_is_better=frozenset({"mean_distance_px", "non_assigned"}),
        left_out={name: "no labelled image of this name" for name in sorted(set(rows.by_name) - set(dials))},
        measures=frozenset({"tolerance_px", "truth"}),
    )
