"""What only a model can be asked: how its masks fare with boxes that are not exact, and with a detector's. No torch."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.mask_regions import Choice, Region, regions
from kaname.codecs.roi_mask import inside
from kaname.data.formats import rle
from kaname.data.formats.files import is_number, read_json
from kaname.data.randomness import generator
from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.inference.model import Model
from kaname.metrics.coco import FIGURES, mask_ap
from kaname.metrics.intervals import summary
from kaname.progress import Bar
from kaname.recipes.roimask.config import AnswerSettings
from kaname.recipes.roimask.decode import choice_of
from kaname.recipes.roimask.evaluate import crowd_of, nothing, truth_of
from kaname.recipes.roimask.labels import Photo
from kaname.recipes.roimask.naming import Images, warn_others, with_bare
from kaname.types import FloatArray, Image, Masks

NOISE = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
MOST = 300  # boxes, each of which is asked about once for each share


def asked(model: Model, photos: Sequence[Photo], settings: AnswerSettings, how: Mapping[str, Any]) -> dict[str, Any]:
    """Ways of scoring with a model's answers to other boxes in them, where they are asked for."""
    choice = choice_of(settings)
    found: dict[str, Any] = {"noise_curve": noise_curve(model, photos, choice)} if how.get("noise") else {}
    if how.get("detections") is not None:
        found["in_detections"] = detected(model, photos, how["detections"], choice)
    return found


def noise_curve(model: Model, photos: Sequence[Photo], choice: Choice) -> dict[str, Any]:
    """The mean IoU of masks at the image's resolution, when each side of a box moves by up to a share of its length.

    Of a large set images are taken evenly until they hold `MOST` boxes.

    Returns:
        By that share: ``value``, ``low``, ``high``, ``n``, by image.
    """
    values: dict[float, list[float]] = {share: [] for share in NOISE}
    images: list[str] = []
    total = sum(len(photo.candidates) for photo in photos)
    chosen = photos[:: max(1, -(-total // MOST))]
    with Bar("box noise", len(chosen)) as bar:
        for number, photo in enumerate(chosen):
            image, rows = read_image(photo.image), photo.candidates.tolist()
            true = [inside(shape, Affine.identity(), photo.size) for shape in photo.shapes()]
            crowd = crowd_of(photo)
            images += [f"{photo.source} {photo.image_id}"] * len(rows)
            for share in NOISE:
                boxes = noisy(photo.boxes[rows], share, number)
                found = list(regions(answer(model, image, boxes), choice)) if rows else []
                values[share] += [
                    overlap(one, true[row], crowd & ~true[row]) for one, row in zip(found, rows, strict=True)
                ]
            bar.advance()
    return {f"{share:.2f}": {"iou_image_mean": summary(found, images)} for share, found in values.items()}


def noisy(boxes: FloatArray, share: float, number: int) -> FloatArray:
    """Boxes ``(N, 4)`` whose sides moved by up to a share of the box's length across them, at random."""
    _, sides = box_arithmetic.centre_size(boxes)
    moves = generator(0, 0, number, "box noise").uniform(-1, 1, boxes.shape) * np.tile(sides, 2) * share
    return boxes + moves


def answer(model: Model, image: Image, boxes: FloatArray) -> Masks:
    """The masks of boxes."""
    found = model.predict(image, boxes)
    assert isinstance(found, Masks)
    return found


def overlap(region: Region, true: NDArray[np.bool_], ignored: NDArray[np.bool_]) -> float:
    """IoU of a mask with a true one on the whole image, without the pixels that do not count."""
    window = (region.rows, region.columns)
    ours = region.inside & ~ignored[window]
    shared = np.count_nonzero(ours & true[window])
    either = np.count_nonzero(ours) + np.count_nonzero(true) - shared
    return shared / either if either else 0.0


def detected(model: Model, photos: Sequence[Photo], path: Path, choice: Choice) -> dict[str, Any]:
    """COCO's figures of masks in the boxes of a detector; a mask's score is its box's.

    Args:
        path: a COCO results list: ``image_id``, ``bbox``, ``score``.

    Raises:
        InputError: not such a list, or results of images that are not in the set alone.
    """
    every = with_bare(photos)
    found = {id(photo): rows for photo, rows in _by_photo(path, every)}
    results: list[dict[str, Any]] = []
    with Bar("detections", len(every)) as bar:
        for photo in every:
            if (rows := found.get(id(photo))) is not None:
                results += _results(model, photo, rows[np.argsort(-rows[:, 4], kind="stable")], choice)
            bar.advance()
    try:
        values = mask_ap(truth_of(every), results)
    except InputError as error:
        return {name: nothing(str(error)) for name in FIGURES}
    return {
        name: nothing("no annotation of this size")
        if value is None
        else {"value": value, "low": None, "high": None, "n": len(results)}
        for name, value in values.items()
    }


def _by_photo(path: Path, photos: Sequence[Photo]) -> Iterator[tuple[Photo, FloatArray]]:
    """The boxes and scores ``(N, 5)`` of the annotated category, by image; of other images they are left out."""
    boxes, images = read_detections(path, photos[0].category_id if photos else None), Images(photos)
    others, members = [], {}
    for (image, name), rows in boxes.items():
        photo = images.find(image, name)
        if photo is None:
            others.append(image)
        else:
            members.setdefault(id(photo), (photo, []))[1].append(rows)
    if others and not members:
        reason = f"detections for other images ({', '.join(others[:3])}, ...)"
        raise InputError(reason, path=path, remedy="detect persons in the images of this set")
    if others:
        warnings.warn(f"{path}: detections of {len(others)} images that are not in this set are left out", stacklevel=2)
    for photo, parts in members.values():
        yield photo, np.concatenate(parts)


def _results(model: Model, photo: Photo, rows: FloatArray, choice: Choice) -> Iterator[dict[str, Any]]:
    masks = answer(model, read_image(photo.image), rows[:, :4])
    for region, row in zip(regions(masks, choice), rows, strict=True):
        whole = np.zeros(photo.size, bool, order="F")
        whole[region.rows, region.columns] = region.inside
        yield {"image_id": photo.image_id, "category_id": 1, "score": row[4], "segmentation": rle.encode(whole)}


def read_detections(path: Path, category: int | None = None) -> dict[tuple[str, str], FloatArray]:
    """Boxes and scores ``(N, 5)`` of a COCO results list, by the id of the image and its name, where that is given.

    Args:
        category: leave out those of another ``category_id``; None takes all.

    Raises:
        InputError: not such a list, or none of that category in it.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError("not a COCO results list", path=path, remedy="it is a list with an entry for each box")
    found: dict[tuple[str, str], list[list[float]]] = {}
    others = Counter[str]()
    for number, entry in enumerate(content, 1):
        try:
            x, y, width, height = (float(value) for value in entry["bbox"])
            image, sure = (str(entry["image_id"]), str(entry.get("file_name", ""))), entry["score"]
        except (KeyError, TypeError, ValueError) as error:
            reason = f"not a detection (no {error})" if isinstance(error, KeyError) else "not a detection"
            raise InputError(reason, path=path, row=f"result {number}") from error
        if not is_number(sure) or not np.isfinite([x, y, width, height]).all() or width <= 0 or height <= 0:
            reason = "a detection without a finite box and score"
            raise InputError(reason, path=path, row=f"result {number}", remedy="bbox is x, y, width, height")
        if category is not None and entry.get("category_id", category) != category:
            others[str(entry["category_id"])] += 1
            continue
        found.setdefault(image, []).append([x, y, x + width, y + height, float(sure)])
    if others and not found:
        there = ", ".join(f"{name} ({count})" for name, count in others.items())
        raise InputError(f"no detection of the category {category}", path=path, remedy=f"it has those of {there}")
    warn_others(path, others.total(), category or 0)
    return {image: np.array(rows) for image, rows in found.items()}
