"""Figures of ``landmark`` from files of predictions and annotations. No torch, so it reruns in seconds.

The error of a face is the mean distance of its landmarks over a size of the true face (normalised mean error), in
pixels of the original image: ``bbox`` max(w, h) of the landmarks' extent, ``bbox_sqrt`` sqrt(w h), ``interocular`` from
the middle of one eye's points to the other's, ``outer`` between the outer corners of the eyes. Faces of no size in a
normalisation are excluded from it and counted. ``failure_rate`` is the share of faces whose NME (bbox) is above a
limit, ``auc`` the area under the cumulative curve of NME (bbox) up to it, over the limit: 1 is perfect (Yang et al.,
An Empirical Study of Recent Face Alignment Methods, arXiv 1511.05049).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.config import from_dict
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.metrics.intervals import summary
from kaname.metrics.points import nme_each
from kaname.pipeline.answers import made
from kaname.pipeline.labelled import Result
from kaname.pipeline.matching import Rows, by_name
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import AnswerSettings
from kaname.recipes.landmark.labels import Picture, digest_of, labelled
from kaname.reporting.compare import Scored, check_options
from kaname.reporting.results import figure_cell
from kaname.types import FloatArray, Points

NORMALISERS = ("bbox", "bbox_sqrt", "interocular", "outer")
FIGURES = (*(f"nme_{name}" for name in NORMALISERS), "failure_rate", "auc")
EYES, CORNERS = ("left_eye_", "right_eye_"), ("left_eye_upper_outer", "right_eye_upper_outer")
TRAINING = "training_images"


@dataclass(frozen=True)
class FaceScore:
    """A true face beside its prediction.

    Attributes:
        picture: the labelled image.
        number: of the face in it, from 0.
        predicted: ``(P, 2)`` pixels of the image, NaN where left out; None where no face was predicted.
        scores: ``(P,)``; None likewise.
        sizes: the normalisers in pixels; None where the face has no such size.
    """

    picture: Picture
    number: int
    predicted: FloatArray | None
    scores: FloatArray | None
    sizes: Mapping[str, float | None]

    @property
    def truth(self) -> FloatArray:
        """``(P, 2)``."""
        return self.picture.faces[self.number].points

    @property
    def visible(self) -> NDArray[np.int64]:
        """``(P,)``: 0 absent, 1 hidden, 2 seen."""
        return self.picture.faces[self.number].visible

    @property
    def name(self) -> str:
        """The image, and where it has several faces which of them."""
        return f"{self.picture.source}#{self.number + 1}" if len(self.picture.faces) > 1 else self.picture.source


class Stacked:
    """Faces side by side.

    Attributes:
        faces: they.
        predicted, truth: ``(F, P, 2)``; NaN where there is none.
        visible: ``(F, P)``.
    """

    def __init__(self, faces: Sequence[FaceScore]) -> None:
        self.faces = faces
        nowhere = np.full_like(faces[0].truth, np.nan) if faces else np.zeros((0, 2))
        shape = (len(faces), len(nowhere))
        predicted = [nowhere if face.predicted is None else face.predicted for face in faces]
        self.predicted = np.array(predicted, np.float64).reshape(*shape, 2)
        self.truth = np.array([face.truth for face in faces], np.float64).reshape(*shape, 2)
        self.visible = np.array([face.visible for face in faces], np.int64).reshape(shape)

    def errors(self, chosen: Any = True, normaliser: str = "bbox") -> FloatArray:
        """The NME of each face ``(F,)`` over the landmarks that are ``chosen`` ``(P,)`` or ``(F, P)``; NaN without."""
        sizes = np.array([face.sizes[normaliser] for face in self.faces], np.float64)  # None becomes NaN
        return nme_each(self.predicted, self.truth, (self.visible > 0) & chosen, sizes)


def figures_of(faces: Stacked, limit: float) -> dict[str, FloatArray]:
    """Each of `FIGURES` of each face ``(F,)``, NaN where it has none; a face that was not found has failed."""
    values = {f"nme_{name}": faces.errors(normaliser=name) for name in NORMALISERS}
    error = values["nme_bbox"]
    counts = np.array([face.sizes["bbox"] is not None for face in faces.faces], np.bool_)
    counts &= (faces.visible > 0).any(axis=1)
    lost = np.isnan(error)
    failed, area = lost | (error > limit), np.where(lost, 0.0, np.maximum(0.0, 1 - error / limit))
    return {**values, "failure_rate": np.where(counts, failed, np.nan), "auc": np.where(counts, area, np.nan)}


def face_sizes(points: FloatArray, skeleton: Skeleton) -> dict[str, float | None]:
    """The normalisers of true landmarks ``(P, 2)``, pixels; None where they have no such size.

    The eyes are the points whose names begin with ``left_eye_`` and ``right_eye_``.
    """
    there = points[np.isfinite(points).all(axis=1)]
    width, height = np.ptp(there, axis=0) if len(there) else (0.0, 0.0)
    names = list(skeleton.names)
    sides = [points[[name.startswith(eye) for name in names]] for eye in EYES]
    middles = [side.mean(axis=0) if len(side) else np.full(2, np.nan) for side in sides]
    corners = [points[names.index(name)] if name in names else np.full(2, np.nan) for name in CORNERS]
    sizes = {
        "bbox": max(width, height),
        "bbox_sqrt": np.sqrt(width * height),
        "interocular": np.linalg.norm(middles[0] - middles[1]),
        "outer": np.linalg.norm(corners[0] - corners[1]),
    }
    return {name: float(size) if np.isfinite(size) and size > 0 else None for name, size in sizes.items()}


def score(path: Path, pictures: Sequence[Picture], settings: AnswerSettings, how: Mapping[str, Any]) -> Result:
    """Figures of a whole set from a ``points.json``.

    Faces of images that the model has learned from are figures of their own (``training_images``) and take no part in
    the others, unless there are no others.

    Raises:
        InputError: an image of the set without a prediction, with several, or with one for another size.
    """
    about, rows = made(path), Rows(RECIPE.answering.read(path), path)
    if others := rows.others(pictures):
        warnings.warn(f"{path}: not in this set and not scored: {', '.join(others)}", stacklevel=2)
    skeleton = Skeleton.from_dict(about["skeleton"]) if about.get("skeleton") else pictures[0].skeleton
    faces, surplus = align(pictures, rows, skeleton)
    seen = learned_from(pictures, about)
    fresh = [face for face in faces if face.picture.source not in seen]
    scored = fresh or faces
    limit = settings.failure
    stacked = Stacked(scored)
    groups = {"all": _figures(stacked, limit), **_parts(stacked, skeleton)}
    if seen and fresh:
        groups[TRAINING] = _figures(Stacked([face for face in faces if face.picture.source in seen]), limit)
    facts = {
        "skeleton": skeleton.name,
        "failure": limit,
        "intervals": "95 % bootstrap over images",
        "images": len(pictures),
        "faces": len(scored),
        "faces_not_found": sum(face.predicted is None for face in scored),
        "faces_without_truth": surplus,
        "landmarks_left_out": sum(_left_out(face) for face in scored),
        "training_images": len(seen),
        "only_training_images": bool(seen) and not fresh,
        "images_not_scored": len(others),
    }
    title = f"{len(scored)} faces, normalised mean error (0.05 is 5 %), 95 % intervals"
    if facts["only_training_images"]:
        title += "; THE MODEL HAS LEARNED FROM EVERY ONE OF THESE IMAGES"
    files = {"landmark_metrics.json": per_point(stacked, skeleton)}
    return Result(groups, facts, _table(groups), title, (scored, skeleton), files)


def learned_from(pictures: Sequence[Picture], about: Mapping[str, Any]) -> set[str]:
    """The sources of the images that the model of a file of predictions has learned from."""
    known = set(about.get("trained_on") or ())
    return {picture.source for picture in pictures if known and digest_of(picture.image) in known}


def align(pictures: Sequence[Picture], rows: Rows, skeleton: Skeleton) -> tuple[list[FaceScore], int]:
    """Every true face beside the predicted one that is nearest to it, one to one, and how many are left over."""
    faces: list[FaceScore] = []
    surplus = 0
    for picture in pictures:
        answer = rows.of(picture).answer
        assert isinstance(answer, Points)
        unknown = [name for name in skeleton.names if name not in answer.xy]
        if unknown or picture.skeleton.names != skeleton.names:
            reason = f"predicted for the skeleton {skeleton.name!r}, annotated for {picture.skeleton.name!r}"
            raise InputError(reason, path=rows.source, row=picture.source, remedy="give --skeleton of the annotations")
        xy, scores = (np.stack([side[name] for name in skeleton.names], axis=1) for side in (answer.xy, answer.scores))
        partner = _partners(xy, [face.points for face in picture.faces])
        surplus += len(xy) - len(partner)
        for number, face in enumerate(picture.faces):
            row = partner.get(number)
            ours = (None, None) if row is None else (xy[row], scores[row])
            faces.append(FaceScore(picture, number, *ours, face_sizes(face.points, skeleton)))
    return faces, surplus


def _partners(predicted: FloatArray, truth: Sequence[FloatArray]) -> dict[int, int]:
    """For true faces the row of the predicted one, so that the sum of mean distances is least."""
    if len(truth) == len(predicted) == 1:
        return {0: 0}
    from scipy.optimize import linear_sum_assignment

    cost = np.full((len(truth), len(predicted)), 1e9)
    for number, points in enumerate(truth):
        for row, ours in enumerate(predicted):
            distances = np.linalg.norm(ours - points, axis=1)
            if np.isfinite(distances).any():
                cost[number, row] = np.nanmean(distances)
    return dict(zip(*(index.tolist() for index in linear_sum_assignment(cost)), strict=True))


def _figures(faces: Stacked, limit: float) -> dict[str, Any]:
    values = figures_of(faces, limit)
    images = [face.picture.source for face in faces.faces]
    return {name: summary(values[name], images, reason=_why(name)) for name in FIGURES}


def _why(figure: str) -> str:
    return "no face has the points of both eyes" if figure in ("nme_interocular", "nme_outer") else "no face has a size"


def _parts(faces: Stacked, skeleton: Skeleton) -> dict[str, Any]:
    """NME (bbox) of each group of the skeleton, and of seen and hidden landmarks."""
    images = [face.picture.source for face in faces.faces]
    names = np.array(skeleton.names)
    chosen: dict[str, Any] = {group: np.isin(names, members.points) for group, members in skeleton.groups.items()}
    chosen |= {"seen": faces.visible == 2, "hidden": faces.visible == 1}
    errors = {name: faces.errors(mask) for name, mask in chosen.items()}
    return {name: {"nme_bbox": summary(each, images, reason="no such landmark")} for name, each in errors.items()}


def per_point(faces: Stacked, skeleton: Skeleton) -> dict[str, Any]:
    """NME (bbox) of each landmark, by its name."""
    only, images = np.eye(len(skeleton.names), dtype=bool), [face.picture.source for face in faces.faces]
    return {name: summary(faces.errors(only[number]), images, n=200) for number, name in enumerate(skeleton.names)}


def _left_out(face: FaceScore) -> int:
    return 0 if face.predicted is None else int((np.isnan(face.predicted[:, 0]) & (face.visible > 0)).sum())


def _table(groups: Mapping[str, Any]) -> list[list[str]]:
    rows = [
        [name, *(figure_cell(figures[one]) if one in figures else "" for one in FIGURES)]
        for name, figures in groups.items()
    ]
    return [["group", *FIGURES], *rows]


def summary_text(result: Result) -> str:
    """The content of ``metrics.txt``: fractions, as the written guide has them."""
    figures = result.groups["all"]
    lines = [f"Number of samples: {result.settings['faces']}"]
    for name in ("bbox", "interocular"):
        value = figures[f"nme_{name}"]["value"]
        lines.append(f"NME ({name}): {'n/a' if value is None else format(value, '.4f')}")
    return "\n".join(lines) + "\n"


def compare(
    predictions: Path, data: Path, *, split: str | None, cluster: str | None, options: Mapping[str, Any]
) -> Scored:
    """A ``points.json`` scored face by face, for ``kaname compare``; as in `score`, images that the model has learned
    from are left out, unless there are no others.

    Args:
        data: folder of the images, or one with ``images`` and ``annotated`` in it; the annotations lie in
            ``annotations`` of the options, else in the folder ``annotated`` beside the images.
        split: the one set of the data to use; default: all of them.
        cluster: ``none`` or ``image`` (default): faces of one image belong together.
        options: ``annotations``, ``skeleton`` and ``failure`` (default: what the file was made with).

    Raises:
        InputError: an unusable file, unknown options.
    """
    check_options(options, ("annotations", "skeleton", "failure"), cluster, ("none", "image"))
    about = made(predictions)
    own = {**about["answers"], **options}
    settings = from_dict(AnswerSettings, {name: own[name] for name in ("failure",) if name in own})
    images = data / "images" if (data / "annotated").is_dir() and (data / "images").is_dir() else data
    beside = images.resolve().parent / "annotated"
    if not (beside.is_dir() or "annotations" in options):
        remedy = "name their folder: annotations=DIR"
        raise InputError("no folder of annotations is beside these images", path=images, remedy=remedy)
    stored = {"annotations": beside, **{key: options[key] for key in ("annotations", "skeleton") if key in options}}
    pictures = by_name(labelled(None, {"data": {"images": images, **stored}}), split)
    rows = Rows(RECIPE.answering.read(predictions), predictions)
    chosen = [picture for name, picture in pictures.items() if Path(name).name in rows.by_name]
    seen = learned_from(chosen, about)
    fresh = [picture for picture in chosen if picture.source not in seen]
    known = {Path(name).name for name in pictures}
    left_out = {name: "no annotated image of this name" for name in sorted(set(rows.by_name) - known)}
    left_out |= dict.fromkeys(sorted(seen) if fresh else (), "the model has learned from it")
    skeleton = Skeleton.from_dict(about["skeleton"]) if about.get("skeleton") else chosen[0].skeleton
    faces, _ = align(fresh or chosen, rows, skeleton)
    figures = {name: values.tolist() for name, values in figures_of(Stacked(faces), settings.failure).items()}
    return Scored(
        values={
            face.name: {"all": {name: None if np.isnan(each[row]) else each[row] for name, each in figures.items()}}
            for row, face in enumerate(faces)
        },
        settings={"recipe": "landmark", "failure": settings.failure, "data": images.as_posix()},
        clusters={} if cluster == "none" else {face.name: face.picture.source for face in faces},
        cluster=cluster or "image",
        lower_is_better=frozenset(FIGURES) - {"auc"},
        left_out=left_out,
        sample="face",
        measures=frozenset({"failure"}),
    )
