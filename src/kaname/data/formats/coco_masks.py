"""The masks of a COCO image's instances and crowds, as shapes that `kaname.codecs.roi_mask` fills. No torch.

A shape is a list of polygons ``(K, 2)`` or a mask ``(h, w)`` (or its `Region`), in the image's pixels. COCO fills each
polygon of an instance, also one inside another: a polygon has no holes, and :func:`filled_holes` says which instances
lose one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.data.formats import rle
from kaname.data.formats.files import are_numbers
from kaname.errors import InputError
from kaname.types import FloatArray, Sample

Shape: TypeAlias = Sequence[FloatArray] | NDArray[np.bool_]
Decode: TypeAlias = Callable[[Mapping[str, Any]], Any]


def shapes(sample: Sample, decode: Decode = rle.decode) -> list[Any]:
    """The mask of each of a sample's instances, in the order of its boxes.

    Args:
        decode: of run lengths: `kaname.data.formats.rle.decode`, or ``cut_out`` where a `Region` is enough.

    Raises:
        InputError: an instance without a mask.
    """
    encoded = sample.meta.get("rle", {})
    found: list[Any] = []
    for number, polygons in zip(sample.ids, sample.polygons, strict=True):
        if not polygons and number not in encoded:
            remedy = "outline it, or remove the annotation"
            raise InputError("it has a box and no mask", path=sample.image, row=f"annotation {number}", remedy=remedy)
        found.append(list(polygons) if polygons else decode(encoded[number]))
    return found


def crowds(sample: Sample, decode: Decode = rle.decode) -> list[Any]:
    """The mask of each crowd of a sample: never a target, and its pixels say nothing about the others.

    The arguments are those of `shapes`.
    """
    return [_shape(one, decode) for one in sample.meta.get("crowds", ()) if one]


def with_arrays(_: int, entry: Any) -> Any:
    """An annotation as a file has it, with its polygons as arrays ``(K, 2)`` where all of them are sound.

    Lists of numbers take four times the memory. Crowds stay as they are.
    """
    shape = entry.get("segmentation") if isinstance(entry, dict) and not entry.get("iscrowd") else None
    if isinstance(shape, list) and all(map(is_polygon, shape)):
        entry["segmentation"] = polygons_of(shape)
    return entry


def is_polygon(values: Any) -> bool:
    """Whether values of JSON are ``x, y`` of at least 3 corners."""
    return are_numbers(values) and len(values) >= 6 and len(values) % 2 == 0


def polygons_of(shape: Any) -> list[FloatArray]:
    """Each polygon ``(K, 2)`` of a segmentation; none of run lengths."""
    return [np.asarray(one, np.float64).reshape(-1, 2) for one in shape] if isinstance(shape, list) else []


def filled_holes(sample: Sample) -> list[int | str]:
    """The ids of instances of which a polygon lies inside another one: COCO fills it, though it may be a hole."""
    return [number for number, polygons in zip(sample.ids, sample.polygons, strict=True) if inner_polygons(polygons)]


def inner_polygons(polygons: Sequence[FloatArray]) -> int:
    """How many polygons of an instance lie inside another one of it."""
    if len(polygons) < 2:
        return 0
    low = np.array([one.min(axis=0) for one in polygons])
    high = np.array([one.max(axis=0) for one in polygons])
    within = np.asarray((low[:, None] >= low).all(axis=2) & (high[:, None] <= high).all(axis=2))
    np.fill_diagonal(within, False)
    pairs = np.argwhere(within).tolist()
    return len({inner for inner, outer in pairs if _holds(polygons[outer], polygons[inner])})


def _holds(outer: FloatArray, inner: FloatArray) -> bool:
    ring = outer.astype(np.float32).reshape(-1, 1, 2)
    return all(cv2.pointPolygonTest(ring, corner, False) > 0 for corner in inner.tolist())


def _shape(segmentation: Any, decode: Decode) -> Any:
    if isinstance(segmentation, dict):
        return decode(segmentation)
    return polygons_of(segmentation)
