"""Masks over photographs."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.codecs.mask_regions import Choice
from kaname.codecs.roi_mask import paste_probabilities
from kaname.errors import InputError
from kaname.reporting.draw import PALETTE, points_overlay
from kaname.reporting.masks import mask_overlay
from kaname.reporting.overlay import overlay
from kaname.types import Masks, Points

SIZE = (60, 80)


def discs(boxes: list[list[float]], cells: int = 28, **more: object) -> Masks:
    """A disc in each box."""
    axis = (np.arange(cells) + 0.5) / cells - 0.5
    share = 1 / (1 + np.exp(60 * (np.hypot(axis[:, None], axis) - 0.4)))
    probabilities = np.stack([1 - share, share, 0 * share]).astype(np.float32)
    return Masks(np.stack([probabilities] * len(boxes)), np.array(boxes, float), ("b", "t", "n"), SIZE)


def test_a_colour_an_instance_half_transparent() -> None:
    image = np.full((*SIZE, 3), 100, np.uint8)
    masks = discs([[5, 5, 35, 55], [45, 10, 75, 40]])
    drawn = mask_overlay(image, masks, outline=False)
    pasted = paste_probabilities(masks.probabilities, masks.boxes, SIZE).argmax(axis=1) == 1
    assert (image == 100).all() and drawn.dtype == np.uint8
    for inside, colour in zip(pasted, PALETTE, strict=False):
        assert inside.any() and (drawn[inside] == np.rint((100 + np.array(colour)) / 2).astype(int)).all()
    assert (drawn[~pasted.any(axis=0)] == 100).all()
    same = mask_overlay(image, list(pasted), outline=False)
    np.testing.assert_array_equal(same, drawn)


def test_many_instances_have_a_colour_each() -> None:
    image = np.zeros((8, 200, 3), np.uint8)
    masks = [np.zeros((8, 200), bool) for _ in range(40)]
    for number, mask in enumerate(masks):
        mask[2:6, 5 * number : 5 * number + 4] = True
    drawn = mask_overlay(image, masks, alpha=1.0, outline=False)
    assert len({tuple(drawn[4, 5 * number + 2].tolist()) for number in range(40)}) == 40


def test_an_outline_and_other_colours() -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    masks = discs([[5, 5, 35, 55]])
    drawn = mask_overlay(image, masks, [(255, 0, 0)], alpha=0.2)
    assert (drawn[30, 20] == (51, 0, 0)).all() and (drawn[..., 0] > 200).any() and not drawn[..., 1:].any()
    assert mask_overlay(image, masks, choice=Choice(threshold=0.01)).any(axis=2).sum() > drawn.any(axis=2).sum() - 80


def test_the_size_must_fit() -> None:
    with pytest.raises(InputError, match="over an image of"):
        mask_overlay(np.zeros((10, 10, 3), np.uint8), discs([[0, 0, 5, 5]]))
    with pytest.raises(InputError, match="over an image of"):
        mask_overlay(np.zeros((10, 10, 3), np.uint8), [np.zeros((10, 11))])
    empty = Masks(np.zeros((0, 3, 4, 4), np.float32), np.zeros((0, 4)), ("b", "t", "n"), (10, 10))
    image = np.full((10, 10, 3), 7, np.uint8)
    np.testing.assert_array_equal(mask_overlay(image, empty), image)
    outside = Masks(np.ones((1, 3, 4, 4), np.float32), np.array([[20.0, 20, 30, 30]]), ("b", "t", "n"), (10, 10))
    np.testing.assert_array_equal(mask_overlay(image, outside), image)


def test_answers_are_drawn_by_their_kind() -> None:
    """Masks under points, those of one name alike, whoever has them."""
    image, masks = np.zeros((*SIZE, 3), np.uint8), discs([[5, 5, 35, 55]])
    sets = [np.array([[20.0, 30.0]]), np.array([[60.0, 30.0]])]
    points = Points({"a": sets[0]}, {"a": np.ones(1)}, SIZE)
    expected = points_overlay(mask_overlay(image, masks), {"a": np.concatenate(sets)})
    np.testing.assert_array_equal(overlay(image, [points, masks, {"a": sets[1]}]), expected)
    np.testing.assert_array_equal(overlay(image, [masks]), mask_overlay(image, masks))
    np.testing.assert_array_equal(overlay(image, []), image)
