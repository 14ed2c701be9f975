"""Data folders of ``gauge``: images of dials with their labels, as `kaname.data.pairs` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.duplicates import double_points
from kaname.data.pairs import LabelledImage, Named, PairedLabels, sets, to_train_on
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.pipeline.labelled import Labelled
from kaname.recipes.gauge import CHANNELS, NEEDLE
from kaname.recipes.gauge.config import GaugeConfig
from kaname.types import FloatArray, Size

# Labels of Label Studio, with the one that is written first.
LABELS = {
    "start": ("Start Notch", "start"),
    "end": ("End Notch", "end"),
    "middle": ("Inbetween Notch", "Middle Notch", "middle"),
    "needle_tip": ("Needle Tip", "needle_tip"),
    "needle_pivot": ("Needle Centre", "Needle Center", "needle_pivot"),
}
LABEL_NAMES = {name: labels[0] for name, labels in LABELS.items()}
ALIASES = {label.lower(): name for name, labels in LABELS.items() for label in labels}
Dial = LabelledImage
"""Its points: ``start``, ``end`` and ``middle`` (those between), ``needle_tip`` and ``needle_pivot``."""


def of(*, allow_missing: bool) -> PairedLabels:
    """How labels of dials are read."""
    check = partial(check_points, allow_missing=allow_missing)
    return PairedLabels(CHANNELS, ALIASES, "kaname gauge heatmaps", check, further=NEEDLE)


def read(folder: Path, *, allow_missing: bool = False) -> list[Dial]:
    """The dials of one set, sorted by name; raises the first problem."""
    return of(allow_missing=allow_missing).read(folder)


def training_sets(config: GaugeConfig) -> dict[str, list[Dial]]:
    """``train`` and, where there is one, ``val``, with heatmaps that fit the network.

    Raises:
        InputError: the first problem of the labels; no label of the needle where it is to be learnt.
    """
    labels = of(allow_missing=config.allow_missing)
    chosen = {name: labels.read(folder) for name, folder in to_train_on(config.data).items()}
    for dials in chosen.values():
        for dial in dials[: config.train.limit or None]:
            if dial.points is None:
                labels.check_heatmaps(dial, config.size)
    for name in NEEDLE if config.needle else ():
        if not any(len((dial.points or {}).get(name, ())) for dial in chosen["train"]):
            reason = f"no training dial has the label {LABEL_NAMES[name]!r}"
            raise InputError(reason, path=config.data, remedy="label it on some, or train without --needle")
    return chosen


def labelled(data: Path | None, config: Mapping[str, Any], words: object = ()) -> Labelled:
    """The sets of a data folder to score, by default of the one in a stored configuration."""
    root = Path(config["data"]) if data is None else data
    folders = sets(root)
    return Labelled(root, list(folders), lambda name: read(folders[name], allow_missing=True))


def check_points(points: Named, path: Path, row: str | None, *, allow_missing: bool) -> InputError | None:
    """What is wrong with the points of one dial: none at all, several starts, or start or end missing."""
    counts = {name: len(points[name]) for name in CHANNELS}
    where: dict[str, Any] = {"path": path, "row": row}
    if not sum(counts.values()):
        return InputError(f"no points on {row or path.name}", **where, remedy="label it or take it out of the set")
    for name in NEEDLE:
        if len(points.get(name, ())) > 1:
            label = LABEL_NAMES[name]
            remedy = f"keep one {label!r}: of several pointers the one that shows the value"
            return InputError(f"{len(points[name])} points {label!r} on one dial", **where, remedy=remedy)
    for name in ("start", "end"):
        if counts[name] > 1:
            return InputError(f"{counts[name]} {name} notches on one dial", **where, remedy=f"keep one {name} notch")
        if not (counts[name] or allow_missing):
            seen = ", ".join(f"{other} ({counts[other]})" for other in CHANNELS if counts[other])
            remedy = f"label the {name} notch, or allow dials without one by allow_missing=true (--allow-missing)"
            return InputError(f"no {name} notch, only {seen}", **where, remedy=remedy)
    return None


def truth_of(dial: Dial) -> dict[str, FloatArray]:
    """The true points of a dial by the evaluation's groups: ``middle`` holds all notches, each once."""
    assert dial.points is not None
    notches = np.concatenate([dial.points[name] for name in CHANNELS])
    return {**dial.points, "middle": np.delete(notches, double_points(notches), axis=0)}


def letterbox(size: Size, target: int) -> Affine:
    """From pixels of an image of ``size`` to the network's square input."""
    return Affine.letterbox(size, (target, target))
