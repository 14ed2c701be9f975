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
from kaname.data.formats.files import are_numbers, shortened
from kaname.errors import InputError
from kaname.types import FloatArray, Sample, Size

ROUNDED = 1.0  # pixels that a box may lie beside the extent of its mask
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


def wrong_shape(entry: dict[str, Any], size: Size | None) -> str | None:
    """What is wrong with the ``segmentation`` of an annotation, whose box is sound, in an image ``(height, width)``.

    One list of numbers, as some programs write a polygon, becomes a list of one polygon.
    """
    shape = entry.get("segmentation")
    if shape and are_numbers(shape):
        shape = entry["segmentation"] = [shape]
    if isinstance(shape, dict):
        return _wrong_encoding(shape, size)
    if not isinstance(shape, list):
        given = None if shape is None else shortened(shape)
        return given and f"its segmentation must be polygons or a run-length encoding, got {given}"
    for polygon in shape:
        if not isinstance(polygon, np.ndarray) and not is_polygon(polygon):
            return f"a polygon must be x, y of at least 3 corners, got {shortened(polygon)}"
    if has_corners(entry["bbox"], shape):
        return f"its bbox {shortened(entry['bbox'])} holds the corners of its mask: COCO's is x, y, width, height"
    return None


def _wrong_encoding(shape: dict[str, Any], size: Size | None) -> str | None:
    """What is wrong with a run-length encoding in an image of a size."""
    try:
        rle.counts(shape)
        height, width = shape["size"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        return f"its segmentation is not a run-length encoding ({text[:80]})"
    if size is not None and (height, width) != size:
        return f"its run-length encoding has {width} x {height} pixels, its image {size[1]} x {size[0]}"
    return None


def has_corners(box: Sequence[float], polygons: Sequence[Any]) -> bool:
    """Whether four numbers are the two corners of the box round polygons, and not its corner and its size."""
    if not polygons or box[2] <= box[0] or box[3] <= box[1]:
        return False
    corners = np.concatenate([np.reshape(one, (-1, 2)) for one in polygons])
    low, high = corners.min(axis=0), corners.max(axis=0)
    ends = np.array([box[:2], box[2:]], np.float64)
    as_corners, as_size = np.abs(ends - [low, high]).max(), np.abs(ends - [low, high - low]).max()
    return bool(as_corners <= ROUNDED < as_size)


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
