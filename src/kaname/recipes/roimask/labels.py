"""Data of ``roimask``: images with the masks of their persons, from COCO files. No torch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.roi_mask import BACKGROUND, NON_TARGET, TARGET, Shape, inside_boxes
from kaname.config import from_dict
from kaname.data.formats import coco, coco_masks, rle
from kaname.data.formats.coco_kinds import all_crowds, number_of
from kaname.data.formats.coco_masks import Decode
from kaname.data.formats.duplicates import double_boxes
from kaname.data.rois import large_enough
from kaname.errors import InputError
from kaname.geometry.boxes import clip
from kaname.geometry.image import image_size
from kaname.pipeline.labelled import Labelled, beside
from kaname.recipes.roimask.config import DataSettings, RoimaskConfig
from kaname.types import FloatArray, Sample, Size

IGNORE = 255
SETS = ("train", "val")
NAMING = ("images", "annotations", "val_images", "val_annotations", "subset", "category", "crowd", "min_target")


@dataclass(frozen=True)
class Photo:
    """An annotated image.

    Attributes:
        sample: as `kaname.data.formats.coco.read` gives it.
        smallest: the least side, in pixels, of a target's box.
        crowd: ``ignore`` or ``background``.
        category_id: the number of its instances' category; None where that is not known.
        bare: images that follow it in the file (of the first one also those before it) and show no instance.
    """

    sample: Sample
    smallest: float
    crowd: str
    category_id: int | None = 1
    bare: tuple[Photo, ...] = ()

    @property
    def image(self) -> Path:
        """Its file."""
        return self.sample.image

    @property
    def source(self) -> str:
        """What predictions call it."""
        return self.image.name

    @property
    def image_id(self) -> int | str:
        """What the label file calls it."""
        return self.sample.meta["image_id"]

    @property
    def frames(self) -> tuple[Path, ...]:
        """Its one file."""
        return (self.image,)

    @cached_property
    def size(self) -> Size:
        """``(height, width)``."""
        return self.sample.size or image_size(self.image)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The instances whose box has an area in the image."""
        return large_enough(clip(self.sample.boxes, self.size), 1e-6)

    @property
    def boxes(self) -> FloatArray:
        """``(N, 4)`` their boxes: what is predicted."""
        return self.sample.boxes[self.rows]

    @property
    def ids(self) -> list[int | str]:
        """Their annotation ids."""
        return [self.sample.ids[row] for row in self.rows]

    @cached_property
    def candidates(self) -> NDArray[np.int64]:
        """The rows of ``boxes`` that are targets."""
        return large_enough(self.boxes, self.smallest)

    def shapes(self, decode: Decode = rle.decode) -> list[Any]:
        """Their masks; made anew each time, because run lengths become whole images (by ``rle.cut_out`` parts)."""
        every = coco_masks.shapes(self.sample, decode)
        return [every[row] for row in self.rows]

    def crowds(self, decode: Decode = rle.decode) -> list[Any]:
        """The masks of crowds, where their pixels are ignored."""
        return coco_masks.crowds(self.sample, decode) if self.crowd == "ignore" else []

    def classes(self, regions: FloatArray, rows: Sequence[int], grid: Size) -> NDArray[np.uint8]:
        """The true classes ``(N, *grid)`` in regions ``(N, 4)``, each of the target ``rows[i]``; 255 is ignored."""
        return classes_in(self.shapes(rle.cut_out), self.crowds(rle.cut_out), regions, rows, grid)

    def label(self, number: int) -> bytes:
        """What is annotated, for a hash of the data."""
        masks = [[np.round(one, 2).tolist() for one in polygons] for polygons in self.sample.polygons]
        return repr((self.image_id, np.round(self.boxes, 2).tolist(), masks, self.sample.meta.get("rle"))).encode()


def classes_in(
    shapes: Sequence[Shape], crowds: Sequence[Shape], regions: FloatArray, rows: Sequence[int], grid: Size
) -> NDArray[np.uint8]:
    """See `Photo.classes`: background that belongs to a crowd is ignored."""
    every = inside_boxes([*shapes, *crowds], regions, grid)
    each, crowd = every[:, : len(shapes)], every[:, len(shapes) :].any(axis=1)
    found = np.where(each.any(axis=1), NON_TARGET, BACKGROUND).astype(np.uint8)
    found[each[np.arange(len(rows)), np.asarray(rows, np.int64)]] = TARGET
    found[crowd & (found == BACKGROUND)] = IGNORE
    return found


def outside(photos: Sequence[Photo], path: Path) -> Iterator[InputError]:
    """The instances of a file whose box has an area, but none of it in the image."""
    remedy = "correct its bbox (x, y, width, height in pixels of the image), or remove the annotation"
    for photo in photos:
        boxes, (height, width) = photo.sample.boxes, photo.size
        for row in sorted({*large_enough(boxes, 1e-6).tolist()} - {*photo.rows.tolist()}):
            x1, y1, x2, y2 = boxes[row].tolist()
            reason = f"its box {x1:g},{y1:g} to {x2:g},{y2:g} lies outside its image of {width} x {height}"
            yield InputError(reason, path=path, row=f"annotation {photo.sample.ids[row]}", remedy=remedy)


def read_set(data: DataSettings, part: str) -> list[Photo]:
    """The images of ``train`` or ``val`` that show a person, each with those beside it that show none.

    Raises:
        InputError: the first problem of the annotations.
    """
    path, name = data.annotations_of(part), data.category
    if not path.is_file():
        remedy = "give --annotations and --val-annotations, or --data with the documented folders"
        raise InputError(f"no annotations of {part}", path=path, remedy=remedy)
    number = int(name) if name.isdecimal() else number_of(path, name)
    samples = coco.read(path, images=data.images_of(part), category=int(name) if name.isdecimal() else name)
    every = [Photo(sample, data.min_target, data.crowd, number) for sample in samples]
    photos = [replace(one, bare=bare) for one, bare in beside(every, lambda photo: len(photo.sample.boxes) > 0)]
    for problem in outside(photos, path):
        raise problem
    if double := sum(1 for photo in photos for _ in double_boxes(photo.sample)):
        warnings.warn(f"{path}: {double} instances have the box of another one; each counts as it is", stacklevel=2)
    return photos


def training_sets(config: RoimaskConfig) -> dict[str, list[Photo]]:
    """The images of ``train`` and ``val``.

    Raises:
        InputError: the first problem of the annotations, or no target in a set.
    """
    sets = {part: read_set(config.data, part) for part in SETS}
    for problem in (one for part, photos in sets.items() for one in without_target(config.data, part, photos)):
        raise problem
    return sets


def without_target(data: DataSettings, part: str, photos: Sequence[Photo]) -> Iterator[InputError]:
    """What is wrong with a set in which there is no target."""
    if not any(len(photo.candidates) for photo in photos):
        count, path = sum(len(photo.boxes) for photo in photos), data.annotations_of(part)
        reason = f"no target: of {count} instances none has sides of at least {data.min_target:g} px"
        crowds = None if count else all_crowds(path, data.category)
        yield crowds or InputError(reason, path=path, remedy="lower --min-target, or check --category")


def labelled(data: Path | None, config: Mapping[str, Any], words: Sequence[str] = ()) -> Labelled:
    """The sets of annotated images to score; ``words`` are keys of the section ``data``.

    Images and annotations that are named there, or a folder ``data``, take the place of the stored ones.
    """
    changes = dict(word.split("=", 1) for word in words)
    stored = dict(config["data"])
    if data is not None or "root" in changes:
        stored |= {**dict.fromkeys(NAMING[:4]), "root": data or changes["root"]}
    settings = from_dict(DataSettings, {**stored, **changes})
    there = [part for part in SETS if settings.annotations_of(part).is_file()]
    if not there:
        missing = " nor ".join(str(settings.annotations_of(part)) for part in SETS)
        raise InputError(f"no annotations: neither {missing}", remedy="give --annotations, or --data")
    named = {name: own for name in NAMING if (own := getattr(settings, name)) != getattr(DataSettings, name)}
    lasting = {name: one.resolve().as_posix() if isinstance(one, Path) else one for name, one in named.items()}
    root = settings.root if settings.val_images is None else settings.val_images.parent
    return Labelled(root, there, lambda name: read_set(settings, name), ("val", "train"), named=lasting)
