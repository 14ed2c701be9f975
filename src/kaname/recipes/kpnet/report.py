"""What the pages and pictures of ``kpnet`` show. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import make_folder
from kaname.geometry.image import read_image, write_image
from kaname.inference.card import from_nothing
from kaname.inference.model import Model
from kaname.metrics.calibration import Bin, calibration
from kaname.pipeline.labelled import Result
from kaname.recipes.kpnet import STATES
from kaname.recipes.kpnet.aligned import Compared
from kaname.recipes.kpnet.drawing import joined
from kaname.recipes.kpnet.labels import Picture
from kaname.reporting.extremes import Shot, worst_and_best, write_extremes
from kaname.reporting.page import Table
from kaname.reporting.report import Headline
from kaname.reporting.skeleton import Instances, skeleton_overlay
from kaname.types import Image, Prediction

SHOWN = 6  # pictures of the worst, and as many of the best
DEBUG_SAMPLES = 16
HEADLINE = (
    Headline("HOTA-KP", "all", "hota"),
    Headline("Visible points found (PCK)", "all", "pck"),
    Headline("Pixel error", "all", "pixel_error", "px"),
    Headline("Visibility told", "all", "visibility"),
)


def page(result: Result, pictures: Sequence[Picture], folder: Path, model: Model | None) -> dict[str, Any]:
    """The recipe's fields of the page of a scored set; best and worst frames go to ``folder/best`` and ``/worst``."""
    settings = result.settings
    compared, confusion = result.details
    limit = settings["pck_px"]

    def shot(one: Compared) -> Shot:
        return Shot(Path(one.picture.source).stem, one.picture.source, caption(one, limit), partial(drawn, one))

    chosen = worst_and_best(ranked(compared, limit), SHOWN)
    shown = write_extremes(folder, {kind: [shot(one) for one in members] for kind, members in chosen.items()})
    rows = [[f"truly {name}", *(str(int(one)) for one in row)] for name, row in zip(STATES, confusion, strict=True)]
    return {
        "subtitle": f"{settings['images']} frames of {len(settings['videos'])} videos",
        "notes": [*warnings(settings, model), *shown.unreadable],
        "metrics_note": metrics_note(settings),
        "headline": HEADLINE,
        "worst": shown.pictures["worst"],
        "best": shown.pictures["best"],
        "pictures_note": "Green is labelled, red was predicted, and a line joins the two.",
        "sections": [Table(["", *STATES], rows, heading="Visibility, true and predicted")],
        "calibration": bins(compared, limit),
        "calibration_note": f"A visible point is right within {limit:g} px; errors are in pixels.",
        "data": {"folder": settings["data"], "frames": settings["images"], "hash": settings["data_hash"]},
        "missing": {"pictures": "no image could be read"} if shown.unreadable and not shown.pictures["worst"] else {},
    }


def metrics_note(settings: Mapping[str, Any]) -> str:
    """How to read the figures."""
    return (
        f"pck: visible points found within {settings['pck_px']:g} px of the original frame; pixel_error: mean distance "
        "of those that were predicted at all; visibility: labelled points whose visibility was told; jitter: mean "
        "change of a point's error from one frame to the next, in pixels; identity_switches: how often an object's id "
        f"changed. HOTA-KP ({settings['similarity']}, {settings['scale_px']:g} px) is the mean over classes and "
        "thresholds. Intervals: 95 % bootstrap over videos."
    )


def ranked(compared: Sequence[Compared], limit: float) -> list[Compared]:
    """The worst frame first: by its found points, then by its error."""

    def worth(one: Compared) -> tuple[float, float]:
        figures = one.figures(limit)
        found, error = figures["pck"], figures["pixel_error"]
        return (1.0 if found is None else found), -(0.0 if error is None else error)

    return sorted(compared, key=worth)


def caption(one: Compared, limit: float) -> str:
    """A frame's name and what was found in it."""
    figures = one.figures(limit)
    found, error = figures["pck"], figures["pixel_error"]
    share = "no visible point" if found is None else f"{found:.0%} found"
    return f"{one.picture.source}: {share}{'' if error is None else f', error {error:.1f} px'}"


def warnings(settings: Mapping[str, Any], model: Model | None) -> list[str]:
    """What a reader must know before believing the figures."""
    lines: list[str] = []
    if model is not None and from_nothing(model.card):
        lines.append("The backbone started from random weights, without pretraining.")
    if model is not None and (still := model.card.get("still_frames")):
        lines.append(f"{still} training frames had no frame before them: no motion was shown there.")
    if settings["predictions_off_the_grid"]:
        lines.append(f"{settings['predictions_off_the_grid']} predicted objects lie off the labelled frames' grid.")
    if len(settings["videos"]) < 5:
        lines.append(f"{len(settings['videos'])} videos are too few for intervals.")
    return lines


def bins(compared: Sequence[Compared], limit: float) -> dict[str, list[Bin]]:
    """Score against error of every visible point that was predicted."""
    scores, errors = [np.zeros(0)], [np.zeros(0)]
    for one in compared:
        usable = one.seen & np.isfinite(one.errors)
        scores.append(one.scores[usable])
        errors.append(one.errors[usable])
    return {"visible points": calibration(np.clip(np.concatenate(scores), 0, 1), np.concatenate(errors), limit)}


def drawn(one: Compared) -> Image:
    """A frame with its labelled and predicted points, and lines between them."""
    return joined(read_image(one.picture.image), one.picture, one.predicted)


def truth(picture: Picture, number: int, about: Mapping[str, Any]) -> Instances:
    """The labelled points of a frame."""
    return Instances("labelled", picture.channels[0][None], picture.skeleton)


def layers(row: Prediction) -> dict[str, np.ndarray]:
    """The predicted points of a frame."""
    xy = np.concatenate(list(row.answer.xy.values()))  # type: ignore[union-attr]
    return {"predicted": xy[np.isfinite(xy).all(axis=1)]}


def debug(samples: Any, folder: Path) -> None:
    """Augmented samples as the network sees them, with the points that count."""
    make_folder(folder)
    for index in range(min(DEBUG_SAMPLES, len(samples))):
        row = samples.sample(index, 0)
        write_image(folder / f"sample_{index:03d}.png", skeleton_overlay(row["images"], row["points"][None], None))
    print(f"augmented samples in {folder}")
