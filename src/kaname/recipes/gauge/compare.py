"""One file of predictions, scored image by image for ``kaname compare``. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname.config import from_dict, nearest
from kaname.errors import InputError
from kaname.metrics.intervals import name_prefix
from kaname.recipes.gauge import evaluate as figures
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig
from kaname.recipes.gauge.labels import Dial, read, sets
from kaname.recipes.gauge.predict import read_points
from kaname.reporting.compare import Scored

CLUSTERS = ("none", "prefix")
OPTIONS = ("tolerance", "truth", "bandwidth", "sigma")


def scored(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """Figures of every image that is both predicted and labelled.

    Args:
        predictions: a ``points.json``.
        data: the data folder with the labels.
        split: the one set of ``data`` to use; default: all of them.
        cluster: ``none`` (default) or ``prefix``: images whose names differ in their number alone belong together.
        options: ``tolerance`` (px at 448), ``truth`` (``points`` or ``heatmap``), and ``bandwidth`` and ``sigma`` of a
            truth from heatmaps.

    Raises:
        InputError: an unusable file, unknown options, an image name in several sets.
    """
    for name in options:
        if name not in OPTIONS:
            raise InputError(f"unknown option {name!r}", remedy=nearest(name, OPTIONS))
    if cluster not in (None, *CLUSTERS):
        raise InputError(f"gauge knows no clusters by {cluster!r}", remedy=f"use {' or '.join(CLUSTERS)}")
    truth = options.get("truth", "points")
    if truth not in ("points", "heatmap"):
        raise InputError(f"truth is {truth!r}", remedy="use points or heatmap")
    lengths = {name: options[name] for name in ("tolerance", "bandwidth") if name in options}
    settings = from_dict(ExtractSettings, lengths)
    config = from_dict(GaugeConfig, {name: options[name] for name in ("sigma",) if name in options})
    folders = _folders(data, split)
    dials = _by_name(folders)
    found = read_points(predictions)
    names = {Path(name).name for name in found}
    result = figures.evaluate(
        [dial for name, dial in dials.items() if name in names], found, tolerance=settings.tolerance, truth=truth,
        bandwidth=settings.bandwidth, sigma=config.sigma, source=predictions,
    )  # fmt: skip
    return Scored(
        values=result["images"],
        settings={
            "recipe": "gauge", "truth": truth, "tolerance_px": settings.tolerance,
            "data": [folder.resolve().as_posix() for folder in folders.values()],
        },
        clusters={name: name_prefix(name) for name in result["images"]} if cluster == "prefix" else {},
        cluster=cluster or "none",
        lower_is_better=frozenset({"mean_distance_px", "non_assigned"}),
        left_out={name: "no labelled image of this name" for name in sorted(names - set(dials))},
    )  # fmt: skip


def _folders(data: Path, split: str | None) -> dict[str, Path]:
    found = sets(data)
    if split in (None, "all"):
        return found
    if split not in found:
        raise InputError(f"no set {split!r} here", path=data, remedy=f"sets: {', '.join(found)}")
    return {split: found[split]}


def _by_name(folders: Mapping[str, Path]) -> dict[str, Dial]:
    dials: dict[str, Dial] = {}
    for folder in folders.values():
        for dial in read(folder, allow_missing=True):
            if dial.image.name in dials:
                raise InputError(
                    f"an image of this name is also in {dials[dial.image.name].image.parent}", path=dial.image,
                    remedy=f"give --split, one of {', '.join(folders)}",
                )  # fmt: skip
            dials[dial.image.name] = dial
    return dials
