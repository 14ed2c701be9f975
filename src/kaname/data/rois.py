"""Regions of interest: which instances are trained on in an epoch, and in which box each is seen. No torch.

What is drawn is drawn from (seed, epoch, index), so that a resumed run and any number of workers draw the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaname.codecs.runs import Runs
from kaname.data.formats import rle
from kaname.data.formats.coco_masks import Shape
from kaname.data.randomness import generator
from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.view import View
from kaname.types import FloatArray, Size

DIRECTIONS = 8  # that a jitter tries before it only shrinks
FARTHEST = 4.0  # sides of a box that a jitter may move it
HALVINGS = 24  # of that distance: to a millionth of a side

Corners: TypeAlias = tuple[float, float, float, float]


def large_enough(boxes: ArrayLike, smallest: float) -> NDArray[np.int64]:
    """The numbers of the boxes ``(M, 4)`` of which no side is under ``smallest`` pixels: those that may be targets."""
    _, sizes = box_arithmetic.centre_size(np.asarray(boxes, np.float64).reshape(-1, 4))
    return np.flatnonzero((sizes >= smallest).all(axis=1))


class Targets:
    """The targets of each epoch: at most ``most`` of an image, drawn anew in each epoch, not the first ones.

    An epoch has ``len(targets)`` places, the sum of ``min(most, candidates)`` over the images, whatever is drawn.

    Args:
        candidates: for each image the numbers of the instances that may be targets.
        most: of one image in an epoch.
        seed: of the run.
        hard: share of the places that are given, over the whole data set, in proportion to ``shares``.
        shares: for each image, for each candidate, the share of other instances' pixels in its box.
    """

    def __init__(
        self,
        candidates: Sequence[NDArray[np.int64]],
        most: int,
        seed: int,
        *,
        hard: float = 0.0,
        shares: Sequence[FloatArray] | None = None,
    ) -> None:
        self.candidates, self.most, self.seed = candidates, most, seed
        counts = np.array([len(one) for one in candidates], np.int64)
        self._first = np.concatenate([[0], np.cumsum(np.minimum(counts, most))])
        self._begin = np.concatenate([[0], np.cumsum(counts)])
        weights = np.concatenate([*shares, np.zeros(0)]) if shares is not None and hard > 0 else np.zeros(0)
        self._weights = np.cumsum(weights)
        if hard > 0 and (len(weights) != counts.sum() or not weights.sum() > 0):
            remedy = "leave the hard share at 0"
            raise InputError("no box of a target holds another instance, so none is hard", remedy=remedy)
        self.hard = hard

    def __len__(self) -> int:
        return int(self._first[-1])

    def at(self, index: int, epoch: int) -> tuple[int, int]:
        """The image and the instance at a place of an epoch; epoch -1 takes the first candidates, none of them hard."""
        if epoch >= 0 and self.hard > 0:
            random = generator(self.seed, epoch, index, "hard target")
            if random.random() < self.hard:
                place = np.searchsorted(self._weights, random.random() * self._weights[-1], side="right")
                image = int(np.searchsorted(self._begin, place, side="right")) - 1
                return image, int(self.candidates[image][place - self._begin[image]])
        image = int(np.searchsorted(self._first, index, side="right")) - 1
        members = self.candidates[image]
        if epoch >= 0:
            members = generator(self.seed, epoch, image, "targets").permutation(members)
        return image, int(members[index - self._first[image]])


def non_target_shares(shapes: Sequence[Shape], boxes: ArrayLike, size: Size) -> FloatArray:
    """For each instance, the share of its box whose pixels belong to others and not to it: ``(M,)`` in 0..1.

    Args:
        shapes: the masks of the instances, as `kaname.data.formats.coco_masks.shapes` gives them.
        boxes: ``(M, 4)`` the box of each, cut to whole pixels here.
        size: ``(height, width)`` of the image.
    """
    lengths = [rle.counts(rle.encode(one)) if isinstance(one, np.ndarray) else one for one in shapes]
    runs = Runs.of(lengths, size)
    whole = np.rint(box_arithmetic.clip(np.asarray(boxes, np.float64).reshape(-1, 4), size)).astype(np.int64)
    own = np.diagonal(runs.in_boxes(whole))
    someone = runs.union.in_boxes(whole)[:, 0]
    area = (whole[:, 2:] - whole[:, :2]).prod(axis=1)
    return (someone - own) / np.maximum(area, 1)


def region(box: ArrayLike, padding: float, size: Size) -> FloatArray:
    """A box ``(4,)`` grown on each side by ``padding`` of its side, clipped to the image."""
    return box_arithmetic.clip(box_arithmetic.pad(box, padding), size)


def seen_regions(view: View, size: Size, boxes: ArrayLike, padding: float) -> FloatArray:
    """Plain boxes ``(N, 4)`` of an image as padded regions of a network's input, clipped to it, as its graph does it.

    Args:
        view: how an image of ``size`` ``(height, width)`` becomes the input.
    """
    return region(view.into(size).boxes(boxes), padding, view.input_size)


def jittered(random: np.random.Generator, box: ArrayLike, band: tuple[float, float], size: Size) -> FloatArray:
    """A box as a detector may give it: moved and scaled until its IoU with the true one lies in a band.

    The IoU is drawn evenly from the band, the direction of the change (centre and logarithm of each side) at random.

    Args:
        box: ``(4,)`` inside the image.
        band: ``(low, high)`` with ``0 < low <= high <= 1``.
        size: ``(height, width)`` of the image, to which the result is clipped.
    """
    low, high = band
    if not 0 < low <= high <= 1:
        raise InputError(f"an IoU band is LOW,HIGH with 0 < LOW <= HIGH <= 1, got {low:g},{high:g}")
    true: Corners = tuple(box_arithmetic.clip(box, size).tolist())
    wanted = random.uniform(low, high)
    for attempt in range(DIRECTIONS + 1):
        way = random.normal(size=4) if attempt < DIRECTIONS else np.array([0.0, 0.0, -1.0, -1.0])
        dx, dy, wider, taller = (way / np.linalg.norm(way)).tolist()

        def changed(far: float, way: Corners = (dx, dy, wider, taller)) -> Corners:
            return _changed(true, way, far, size)

        near, far = 0.0, FARTHEST
        if _overlap(true, changed(far)) > wanted:
            continue  # it grows beyond an image that it fills already
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            if _overlap(true, changed(middle)) > wanted:
                near = middle
            else:
                far = middle
        return np.array(changed(near))
    return np.array(true)


def _changed(box: Corners, way: Corners, far: float, size: Size) -> Corners:
    """The box with its centre moved by parts of its sides and its sides scaled by ``exp``, clipped.

    Plain floats: a jitter asks for forty boxes, and arrays of four numbers would take most of a loader's time.
    """
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    x, y = (x1 + x2) / 2 + far * way[0] * width, (y1 + y2) / 2 + far * way[1] * height
    across, down = width * math.exp(far * way[2]) / 2, height * math.exp(far * way[3]) / 2
    left, right = (min(max(side, 0.0), float(size[1])) for side in (x - across, x + across))
    top, bottom = (min(max(side, 0.0), float(size[0])) for side in (y - down, y + down))
    return left, top, right, bottom


def _overlap(one: Corners, other: Corners) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0
