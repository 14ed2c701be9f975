"""COCO's average precision of masks, as its own programs compute it (faster-coco-eval, an optional package)."""

# The package comes without stubs.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kaname.errors import InputError
from kaname.extras import require_package

# In the evaluator's order: the mean over IoU 0.5..0.95, at 0.5, at 0.75, by area (up to 32 ** 2 pixels, up to 96 ** 2,
# above), and the mean recall with at most 1, 10 and 100 masks an image.
FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100")


def mask_ap(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Average precision of masks, crowds ignored, at most 100 an image.

    Args:
        truth: the content of a COCO file: ``images``, ``annotations`` (any iterable; RLE, or polygons as lists or
            arrays), ``categories``.
        results: a COCO results list: ``image_id``, ``category_id``, ``score``, ``segmentation`` (RLE).

    Returns:
        ``ap``, ``ap50``, ``ap75``, ``ap_small``, ``ap_medium``, ``ap_large``, ``ar1``, ``ar10``, ``ar100`` in 0..1;
        None where there is no truth of the kind.

    Raises:
        InputError: faster-coco-eval is not installed, or a result is of an image that the truth does not know.
    """
    require_package("faster_coco_eval", "mask AP")
    from faster_coco_eval import COCO, COCOeval_faster, mask

    ids = [image["id"] for image in truth["images"]]  # in order: of equal scores those of the lower id come first
    ids = sorted(ids) if all(isinstance(one, int) for one in ids) else ids
    numbers = {one: number for number, one in enumerate(ids, 1)}  # it takes whole numbers alone
    strange = next((entry["image_id"] for entry in results if entry["image_id"] not in numbers), None)
    if strange is not None:
        remedy = "predict the images of this label file"
        raise InputError(f"a result is of the image {strange!r}, which the truth does not know", remedy=remedy)
    images = [{**image, "id": numbers[image["id"]]} for image in truth["images"]]
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    instances: list[dict[str, Any]] = []
    for number, entry in enumerate(truth["annotations"], 1):
        image = numbers[entry["image_id"]]
        shape = _compressed(entry["segmentation"], mask, sizes[image])
        instances.append({**entry, "id": number, "image_id": image, "segmentation": shape})
    labels = COCO({"images": images, "annotations": instances, "categories": list(truth["categories"])})
    # Without their boxes, for it would take areas from them.
    found = labels.loadRes(
        [
            {
                "image_id": numbers[entry["image_id"]],
                "category_id": entry["category_id"],
                "score": entry["score"],
                "segmentation": _compressed(entry["segmentation"], mask, entry["segmentation"]["size"]),
            }
            for entry in results
        ]
    )
    judge = COCOeval_faster(labels, found, "segm")
    judge.run()
    values = [float(value) for value in judge.all_stats[: len(FIGURES)]]
    return {name: None if value < 0 else value for name, value in zip(FIGURES, values, strict=True)}


def _compressed(shape: Any, mask: Any, size: Sequence[int]) -> dict[str, Any]:
    """Run lengths or polygons as the evaluator has them in the end: numbers take a hundred times the memory."""
    if not isinstance(shape, Mapping):
        return mask.merge(mask.frPyObjects([np.ravel(ring).tolist() for ring in shape], *size))
    rle: dict[str, Any] = {**shape}
    return mask.frPyObjects(rle, *size) if isinstance(rle["counts"], list) else rle
