"""An image with the masks and boxes of its instances, and random changes that move all of them. No torch.

A mask is a list of polygons or an array of the image's size (`kaname.data.formats.coco_masks`). Polygons stay polygons
under a map; what a pasted instance covers becomes an array, since a polygon cannot lose its middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.roi_mask import inside
from kaname.data.augment import rotated_window, turned_window
from kaname.data.formats.coco_masks import Shape
from kaname.geometry.affine import Affine
from kaname.geometry.boxes import around, centre_size, clip
from kaname.types import FloatArray, Image, Size

EXTENT_CELLS = 128  # along each side of a box that the border cuts, to find what is left of its instance


@dataclass(frozen=True)
class Scene:
    """What changes together.

    Attributes:
        image: RGB uint8 ``(h, w, 3)``.
        shapes: the mask of each instance.
        boxes: ``(M, 4)`` the box of each.
        numbers: ``(M,)`` what each instance is called, so that a target is found again; a pasted one is -1.
        crowds: masks of crowds.
    """

    image: Image
    shapes: Sequence[Shape]
    boxes: FloatArray
    numbers: NDArray[np.int64]
    crowds: Sequence[Shape] = ()

    @property
    def size(self) -> Size:
        """``(height, width)``."""
        return self.image.shape[0], self.image.shape[1]

    def moved(self, into: Affine, size: Size) -> Scene:
        """Everything under a map onto a canvas of ``size``; instances with nothing left on it are left out.

        A box that the border cuts shrinks to what is left of its instance, to within 1/128 of its side.
        """
        shapes = [_moved(one, into, size) for one in self.shapes]
        whole = into.boxes(self.boxes)
        boxes = clip(whole, size)
        for row in np.flatnonzero((boxes != whole).any(axis=1)):
            boxes[row] = _extent(shapes[row], boxes[row])
        scene = Scene(into.image(self.image, size), shapes, boxes, self.numbers, [
            _moved(one, into, size) for one in self.crowds
        ])  # fmt: skip
        _, sides = centre_size(boxes)
        return scene.only(np.flatnonzero((sides > 0).all(axis=1)))

    def only(self, rows: NDArray[np.int64]) -> Scene:
        """The scene with some of its instances."""
        shapes = [self.shapes[row] for row in rows]
        return replace(self, shapes=shapes, boxes=self.boxes[rows], numbers=self.numbers[rows])


def random_view(
    random: np.random.Generator, size: Size, *, flip: float, scale: float = 0.0, smallest: float = 1.0
) -> Affine:
    """Mirrored with probability ``flip``, scaled by 1 - scale .. 1 + scale, then a window somewhere in it, enlarged.

    Args:
        size: ``(height, width)`` of the canvas.
        smallest: least share of the sides that the window shows.
    """
    mirror = Affine.flip(size[1]) if random.random() < flip else Affine.identity()
    scaled = turned_window(random, size, rotate=0.0, scale=scale, shift=0.0)
    return rotated_window(random, size, rotate=0.0, enlarge=1 / random.uniform(smallest, 1)) @ scaled @ mirror


def paste_instance(random: np.random.Generator, scene: Scene, other: Scene, row: int) -> Scene:
    """The scene with instance ``row`` of another one in front, at a random place where its box fits in, if it fits.

    What it covers belongs to the others no longer, and their boxes shrink; an instance that is covered whole is left
    out. One that is larger than the scene lies at its corner and is cut off.
    """
    height, width = scene.size
    x1, y1, x2, y2 = other.boxes[row].tolist()
    left, top = random.uniform(0, max(0.0, width - x2 + x1)), random.uniform(0, max(0.0, height - y2 + y1))
    shift = Affine.shift(round(left - x1), round(top - y1))  # by whole pixels, so that nothing is blurred
    new = other.only(np.array([row])).moved(shift, scene.size)
    if not len(new.boxes):
        return scene
    front = inside(new.shapes[0], Affine.identity(), scene.size)
    image = np.where(front[..., None], new.image, scene.image)
    shapes: list[Shape] = [*scene.shapes]
    boxes = scene.boxes.copy()
    rows: list[int] = []
    for number, shape in enumerate(shapes):
        mask = inside(shape, Affine.identity(), scene.size)
        if (mask & front).any():
            shapes[number] = mask & ~front
            boxes[number] = _extent_of_mask(mask & ~front)
        if not (mask & ~front).any() and mask.any():
            continue
        rows.append(number)
    crowds: list[Shape] = [inside(one, Affine.identity(), scene.size) & ~front for one in scene.crowds]
    kept = replace(scene, image=image, shapes=shapes, boxes=boxes, crowds=crowds).only(np.array(rows, np.int64))
    return replace(
        kept,
        shapes=[*kept.shapes, new.shapes[0]],
        boxes=np.concatenate([kept.boxes, new.boxes]),
        numbers=np.append(kept.numbers, -1),
    )


def _moved(shape: Shape, into: Affine, size: Size) -> Shape:
    if isinstance(shape, np.ndarray):
        return into.mask(shape, size)
    return [into.points(polygon) for polygon in shape]


def _extent(shape: Shape, box: FloatArray) -> FloatArray:
    """The box of what of a mask lies in a box; of area 0 where nothing does."""
    nothing = np.concatenate([box[:2], box[:2]])
    if (box[2:] <= box[:2]).any():
        return nothing
    into = Affine.crop(box, (EXTENT_CELLS, EXTENT_CELLS))
    cells = inside(shape, into, (EXTENT_CELLS, EXTENT_CELLS))
    return into.inverse().boxes(_extent_of_mask(cells)[None])[0] if cells.any() else nothing


def _extent_of_mask(mask: NDArray[np.bool_]) -> FloatArray:
    """The box of the pixels of a mask; of area 0 where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4)
    return around([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]])
