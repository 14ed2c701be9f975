"""What the pages and pictures of ``landmark`` show. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats.files import make_folder
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image, write_image
from kaname.geometry.view import View
from kaname.inference.card import from_nothing
from kaname.inference.model import Model
from kaname.metrics.calibration import Bin, calibration
from kaname.pipeline.labelled import Result
from kaname.recipes.landmark.evaluate import FaceScore, Stacked
from kaname.recipes.landmark.labels import Picture
from kaname.reporting import draw
from kaname.reporting.extremes import Shot, worst_and_best, write_extremes
from kaname.reporting.page import metrics_table
from kaname.reporting.report import Headline
from kaname.reporting.skeleton import Instances, skeleton_overlay
from kaname.types import Image, Prediction

SHOWN = 6  # pictures of the worst, and as many of the best
CLOSE = View("crop", (480, 480), factor=1.4)
TRUE, PREDICTED = (0, 214, 90), (240, 30, 30)
COLOURS = {"true": TRUE, "predicted": PREDICTED}
DEBUG_SAMPLES = 16
RIGHT = 0.05  # of the face's extent: within it a landmark counts as right in the calibration
HEADLINE = (
    Headline("NME (bbox)", "all", "nme_bbox"),
    Headline("NME (interocular)", "all", "nme_interocular"),
    Headline("Failure rate", "all", "failure_rate"),
    Headline("AUC", "all", "auc"),
)


def page(result: Result, pictures: Sequence[Picture], folder: Path, model: Model | None) -> dict[str, Any]:
    """The recipe's fields of the page of a scored set; best and worst faces go to ``folder/best`` and ``/worst``."""
    settings = result.settings
    faces, _ = result.details
    shots = [
        Shot(face.name.replace("/", "_"), face.name, caption(face, error), partial(closeup, face))
        for face, error in ranked(faces)
    ]
    shown = write_extremes(folder, worst_and_best(shots, SHOWN))
    points = {"each landmark": result.files["landmark_metrics.json"]}
    return {
        "subtitle": f"{settings['faces']} faces",
        "notes": [*warnings(settings, model), *shown.unreadable],
        "metrics_note": "Mean distance of a face's landmarks over a size of the true face, in pixels of the original "
        "image: bbox is the longer side of the landmarks' extent, interocular the distance of the eyes' middles. 0.05 "
        f"is 5 %. A face above {settings['failure']:g} (bbox) has failed. 95 % bootstrap intervals over images.",
        "headline": HEADLINE,
        "worst": shown.pictures["worst"],
        "best": shown.pictures["best"],
        "pictures_note": "Green is annotated, red was predicted.",
        "sections": [metrics_table(points, heading="Each landmark: NME (bbox)")],
        "calibration": bins(faces),
        "calibration_note": f"A landmark is right within {RIGHT:.0%} of the face's extent; errors are that share.",
        "data": {"folder": settings["data"], "faces": settings["faces"], "hash": settings["data_hash"]},
        "missing": {"pictures": "no image could be read"} if shown.unreadable and not shown.pictures["worst"] else {},
    }


def ranked(faces: Sequence[FaceScore]) -> list[tuple[FaceScore, float | None]]:
    """Each face with its error, the worst first; one that was not found is the worst."""
    errors = [None if np.isnan(error) else error for error in Stacked(faces).errors().tolist()]
    pairs = list(zip(faces, errors, strict=True))
    return sorted(pairs, key=lambda pair: -(float("inf") if pair[1] is None else pair[1]))


def caption(face: FaceScore, error: float | None) -> str:
    """A face's name and its error."""
    return f"{face.name}: {'not found' if error is None else f'NME {error:.3f}'}"


def warnings(settings: Mapping[str, Any], model: Model | None) -> list[str]:
    """What a reader must know before believing the figures."""
    lines = []
    if settings["only_training_images"]:
        lines.append("The model has learned from every one of these images: the figures say how well it remembers.")
    elif settings["training_images"]:
        lines.append(f"{settings['training_images']} images are training images; they stand in a group of their own.")
    if model is not None and from_nothing(model.card):
        lines.append("The network started from random weights, without pretraining.")
    if settings["faces_not_found"]:
        lines.append(f"{settings['faces_not_found']} faces were not found: they count as failed, and have no NME.")
    if settings["landmarks_left_out"]:
        lines.append(f"{settings['landmarks_left_out']} landmarks were left out by min_score and have no error.")
    if settings["images"] < 5:
        lines.append(f"{settings['images']} images are too few for intervals.")
    return lines


def bins(faces: Sequence[FaceScore]) -> dict[str, list[Bin]]:
    """Score against error of every landmark that has both."""
    scores, errors = [np.zeros(0)], [np.zeros(0)]
    for face in faces:
        size = face.sizes["bbox"]
        if face.predicted is None or face.scores is None or size is None:
            continue
        distance = np.linalg.norm(face.predicted - face.truth, axis=1) / size
        usable = np.isfinite(distance) & (face.visible > 0)
        scores.append(face.scores[usable])
        errors.append(distance[usable])
    return {"landmarks": calibration(np.clip(np.concatenate(scores), 0, 1), np.concatenate(errors), RIGHT)}


def compared(image: Image, faces: Sequence[FaceScore], into: Affine | None = None) -> Image:
    """Annotated (green) and predicted (red) landmarks on an image, which ``into`` has brought into view."""
    sets = {"true": [face.truth for face in faces]}
    sets["predicted"] = [face.predicted for face in faces if face.predicted is not None]
    layers = {name: np.concatenate(xy) if xy else np.zeros((0, 2)) for name, xy in sets.items()}
    placed = {name: xy if into is None else into.points(xy) for name, xy in layers.items()}
    return draw.points_overlay(image, placed, COLOURS)


def closeup(face: FaceScore) -> Image:
    """One face, large."""
    image = read_image(face.picture.image)
    into = CLOSE.into(face.picture.size, face.picture.boxes[face.number])
    return compared(into.image(image, CLOSE.input_size), [face], into)


def visualize(faces: Sequence[FaceScore], folder: Path, most: int) -> int:
    """``sample_000.jpg`` and so on: whole images with annotated and predicted landmarks; says how many.

    They come in the order of the set; an image of several faces is one picture.
    """
    by_image: dict[str, list[FaceScore]] = {}
    for face in faces:
        by_image.setdefault(face.picture.source, []).append(face)
    make_folder(folder)
    for old in folder.glob("sample_*.jpg"):
        old.unlink()
    chosen = list(by_image.values())[:most]
    for number, members in enumerate(chosen):
        drawn = compared(read_image(members[0].picture.image), members)
        write_image(folder / f"sample_{number:03d}.jpg", drawn)
    return len(chosen)


def truth(picture: Picture, number: int, about: Mapping[str, Any]) -> Instances:
    """The annotated landmarks of an image."""
    return Instances("annotated", np.stack([face.points for face in picture.faces]), picture.skeleton)


def layers(row: Prediction) -> dict[str, np.ndarray]:
    """The predicted landmarks of an image."""
    return {"predicted": np.concatenate(list(row.answer.xy.values()))}  # type: ignore[union-attr]


def debug(samples: Any, folder: Path) -> None:
    """Augmented samples as the network sees them, with the landmarks that count."""
    for index in range(min(DEBUG_SAMPLES, len(samples))):
        row = samples.sample(index, 0)
        make_folder(folder)
        write_image(folder / f"sample_{index:03d}.png", skeleton_overlay(row["images"], row["points"][None], None))
    print(f"augmented samples in {folder}")
