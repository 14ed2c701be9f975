"""Runs of pixels against pycocotools, pixel by pixel, and against masks counted one pixel after the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from kaname.codecs.runs import Runs
from kaname.errors import InputError


def drawn(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """As pycocotools draws them."""
    encoded = reference.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *size)
    return reference.decode(reference.merge(encoded)).astype(bool)


def scene(seed: int) -> tuple[list[list[np.ndarray]], tuple[int, int]]:
    """Instances of up to three polygons that cross themselves, each other and the border."""
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 90)), int(random.integers(1, 90))
    instances = []
    for _ in range(random.integers(1, 6)):
        centre, reach = random.uniform(-10, 80, 2), random.uniform(1, 50)
        instances.append(
            [centre + reach * random.normal(size=(random.integers(3, 30), 2)) for _ in range(random.integers(1, 4))]
        )
    if seed % 3 == 0:  # corners on whole and half pixels, upright and repeated edges
        instances = [[np.round(one * 2) / 2 for one in polygons] for polygons in instances]
    if seed % 5 == 0:
        instances = [[np.repeat(one, 2, axis=0) for one in polygons] for polygons in instances]
    return instances, size


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_pixels_are_those_of_pycocotools(seed: int) -> None:
    instances, size = scene(seed)
    runs = Runs.of(instances, size)
    masks = np.stack([drawn(polygons, size) for polygons in instances])
    for number, mask in enumerate(masks):
        np.testing.assert_array_equal(runs.mask(number), mask)
    np.testing.assert_array_equal(runs.areas(), masks.sum(axis=(1, 2)))
    np.testing.assert_array_equal(runs.union.mask(0), masks.any(axis=0))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_masks(seed: int) -> None:
    instances, size = scene(seed)
    runs = Runs.of(instances, size)
    masks = np.stack([drawn(polygons, size) for polygons in instances])
    random = np.random.default_rng(seed)
    x1, y1 = random.integers(0, size[1] + 1, 4), random.integers(0, size[0] + 1, 4)
    boxes = np.column_stack([x1, y1, x1 + random.integers(0, 60, 4), y1 + random.integers(0, 60, 4)])
    slow = [[mask[top:bottom, left:right].sum() for mask in masks] for left, top, right, bottom in boxes]
    np.testing.assert_array_equal(runs.in_boxes(boxes), slow)
    pairs = [(i, j, int((masks[i] & masks[j]).sum())) for i in range(len(masks)) for j in range(i + 1, len(masks))]
    assert runs.shared() == [pair for pair in pairs if pair[2]]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_encoded_instances_count_as_polygons_do(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 40)), int(random.integers(1, 40))
    mask = random.random(size) < random.choice([0.0, 0.3, 1.0])
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(ends, prepend=0, append=flat.size)
    square = [np.array([[1.0, 1.0], [20.0, 1.0], [20.0, 9.0], [1.0, 9.0]])]
    runs = Runs.of([counts, square, []], size)
    np.testing.assert_array_equal(runs.mask(0), mask)
    np.testing.assert_array_equal(runs.mask(1), drawn(square, size))
    assert runs.areas()[2] == 0 and not runs.mask(2).any()
    both = int((mask & drawn(square, size)).sum())
    assert runs.shared() == ([(0, 1, both)] if both else [])


def test_real_persons(shared_data: Path) -> None:
    folder = shared_data / "roimask" / "coco_train_persons"
    content = json.loads((folder / "instances_train2017_person_subset.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    persons = [one for one in content["annotations"] if isinstance(one["segmentation"], list)]
    assert len(persons) > 200
    for one in persons:
        polygons = [np.array(polygon).reshape(-1, 2) for polygon in one["segmentation"]]
        size = sizes[one["image_id"]]
        np.testing.assert_array_equal(Runs.of([polygons], size).mask(0), drawn(polygons, size), str(one["id"]))


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="runs of 5 pixels for an image of 2 x 3"):
        Runs.of([np.array([1, 4])], (3, 2))
    with pytest.raises(InputError, match="NaN or infinite"):
        Runs.of([[np.array([[0.0, 0.0], [np.nan, 1.0], [1.0, 1.0]])]], (3, 2))
    assert Runs.of([], (3, 2)).in_boxes(np.zeros((2, 4))).shape == (2, 0)
