"""Features of training: which part of the map a sample reads, and the three forms in which they are kept.

``maps`` keeps whole maps, ``windows`` the parts around boxes with a margin for the jitter, ``views`` so many jittered
and mirrored views of each box, already pooled. Entries are found by the image's bytes, the extractor, its preprocessing
and the view (`kaname.inference.feature_source`), never by what is annotated. What does not fit is computed live: with
the same numbers, so that a budget never changes a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.roi_align import Window, pool
from kaname.data.cache import ArrayCache
from kaname.data.rois import region
from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.affine import Affine
from kaname.geometry.view import View
from kaname.inference.feature_source import CachedSource, converted
from kaname.progress import Bar
from kaname.recipes.roimask.features import OneMap
from kaname.types import FloatArray, Size

Form = Literal["maps", "windows", "views", "none"]
KEPT = 0.85  # of the budget; `ArrayCache` begins to make room at 0.9
POOLED = "pooled"


@dataclass(frozen=True)
class Seen:
    """What of an image a sample looks at.

    Attributes:
        image: its file.
        size: ``(height, width)`` of it.
        true: ``(4,)`` the annotated box, around which a window is kept.
        box: ``(4,)`` the box that is looked at, not padded; moved by the jitter.
        mirrored: whether the extractor sees the image, and with it the box, the other way round.
    """

    image: Path
    size: Size
    true: FloatArray
    box: FloatArray
    mirrored: bool = False

    def into(self, view: View) -> Affine:
        """From pixels of the image to the extractor's input."""
        plain = view.into(self.size)
        return plain @ Affine.flip(self.size[1]) if self.mirrored else plain


@dataclass(frozen=True)
class Reading:
    """How features are read.

    Attributes:
        padding: by what share of its sides a box grows on each side.
        roi_size: of the grid of RoIAlign; None: the head reads whole maps.
        sampling_ratio: of RoIAlign.
        lowest_iou: of a moved box with the true one.
        half: whether 16 bits are kept.
    """

    padding: float
    roi_size: Size | None
    sampling_ratio: int
    lowest_iou: float
    half: bool

    @cached_property
    def margin(self) -> float:
        """By what share of a box's sides its window is wider on each side.

        A box that reaches a share r beyond one side has an IoU of at most 1 / (1 + r), where it only grows to there;
        its side is then 1 + r = 1 / IoU long, and of that comes the padding.
        """
        return 1 / self.lowest_iou - 1 + self.padding / self.lowest_iou


class Store:
    """The features of a set's samples.

    Args:
        source: what computes.
        reading: how they are read.
        cache: where entries live.
    """

    def __init__(self, source: OneMap, reading: Reading, cache: ArrayCache) -> None:
        self.source, self.reading = source, reading
        self.kept = CachedSource(source, cache, half=reading.half)
        self.live = CachedSource(source, ArrayCache(cache.folder, budget=0), half=reading.half)
        self.form: Form = "none"
        self.images: frozenset[Path] = frozenset()

    def region(self, seen: Seen) -> FloatArray:
        """The padded box ``(4,)`` in pixels of the extractor's input."""
        view = self.source.view
        return region(seen.into(view).boxes(seen.box)[0], self.reading.padding, view.input_size)

    def normalised(self, seen: Seen) -> NDArray[np.float32]:
        """The same in shares of the input."""
        height, width = self.source.view.input_size
        return (self.region(seen) / [width, height, width, height]).astype(np.float32)

    def whole(self, seen: Seen) -> NDArray[Any]:
        """The map ``(C, h, w)`` of the image."""
        into = seen.into(self.source.view) if seen.mirrored else None
        return self._from(seen).maps(seen.image, into)[0]

    def pooled(self, seen: Seen) -> NDArray[Any]:
        """The map inside the padded box, ``(C, *roi_size)``."""
        if self.form == "views":
            return self._view(seen)
        if self.form == "windows" and seen.image in self.images:
            found = self._of_window(seen)
            if found is not None:
                return found
        return self._of_map(seen)

    def _view(self, seen: Seen, features: NDArray[Any] | None = None) -> NDArray[Any]:
        """A kept view, else from the map of the image, given or computed."""
        key = self._view_key(seen)
        entry = self.kept.cache.get(key)
        if entry is not None:
            return entry[POOLED]
        whole = self.whole(seen) if features is None else features
        pooled = converted(self.pool(whole, self.normalised(seen)), self.kept.kind)
        if seen.image in self.images:
            self.kept.cache.put(key, {POOLED: pooled})
        return pooled

    def _view_key(self, seen: Seen) -> str:
        cells, reading = self._cells(self.normalised(seen)).tolist(), self.reading
        part = f"pooled {cells} {reading.roi_size} {reading.sampling_ratio}"
        return self.kept.key_of(seen.image, seen.into(self.source.view) if seen.mirrored else None, part)

    def _of_window(self, seen: Seen) -> NDArray[Any] | None:
        """From the kept window; None where the box moved further than that reaches."""
        into = seen.into(self.source.view) if seen.mirrored else None
        (window,) = self.kept.windows(seen.image, seen.true[None], margin=self.reading.margin, into=into)
        (features,), ((top, left),) = window.maps, window.corners
        part = Window(int(top), int(left), self.source.map_size)
        try:
            return self._pooled(features, self._cells(self.normalised(seen)), part)
        except InputError:
            return None

    def _from(self, seen: Seen) -> CachedSource:
        whole = self.form == "maps" and seen.image in self.images
        return self.kept if whole else self.live

    def _of_map(self, seen: Seen) -> NDArray[Any]:
        return self.pool(self.whole(seen), self.normalised(seen))

    def pool(self, features: NDArray[Any], shares: NDArray[np.float32]) -> NDArray[Any]:
        """A whole map ``(C, h, w)`` inside a box ``(4,)`` in shares of it, ``(C, *roi_size)``."""
        return self._pooled(features, self._cells(shares))

    def _cells(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """A box in cells of the map, in float32, in which torch computes these places."""
        rows, columns = self.source.map_size
        return shares * np.array([columns, rows, columns, rows], np.float32)

    def _pooled(self, features: NDArray[Any], box: NDArray[np.float32], window: Window | None = None) -> NDArray[Any]:
        size, ratio = self.reading.roi_size, self.reading.sampling_ratio
        assert size is not None
        return pool(features, box[None], size, sampling_ratio=ratio, window=window)[0]

    # ---- filling

    def bytes_of(self, form: Form, views: Sequence[Seen]) -> dict[Path, int]:
        """What a form of these views takes, by image."""
        item = np.dtype(self.kept.kind).itemsize * self.source.channels
        rows, columns = self.source.map_size
        sizes: dict[Path, int] = dict.fromkeys((seen.image for seen in views), 0)
        if form == "maps":
            for image, _ in {(seen.image, seen.mirrored) for seen in views}:
                sizes[image] += item * rows * columns
            return sizes
        for seen in views:
            if form == "views":
                height, width = self.reading.roi_size or (rows, columns)
                sizes[seen.image] += item * height * width
            else:
                (box,) = seen.into(self.source.view).boxes(seen.true)
                ((top, bottom, left, right),) = self.kept.cells(box_arithmetic.pad(box, self.reading.margin))
                sizes[seen.image] += item * (bottom - top) * (right - left)
        return sizes

    def choose(self, form: Form, views: Sequence[Seen], budget: float) -> int:
        """Keep the features of as many images, in their order, as fit into a budget; says how many bytes they take."""
        total, images = 0, list[Path]()
        for image, size in self.bytes_of(form, views).items():
            if total + size > budget:
                break
            total += size
            images.append(image)
        self.form, self.images = form, frozenset(images)
        return total

    def fill(self, views: Sequence[Seen], *, speak: bool = True) -> None:
        """Compute what is chosen and not there yet, an image at a time."""
        wanted: dict[Path, list[Seen]] = {}
        for seen in views:
            if seen.image in self.images:
                wanted.setdefault(seen.image, []).append(seen)
        with Bar("features", len(wanted), speak=speak) as bar:
            for members in wanted.values():
                for mirrored in sorted({seen.mirrored for seen in members}):
                    self._fill_image([seen for seen in members if seen.mirrored is mirrored])
                bar.advance()

    def _fill_image(self, members: Sequence[Seen]) -> None:
        """What is kept of an image one way round; the extractor runs at most once."""
        first = members[0]
        if self.form == "maps":
            self.whole(first)
        elif self.form == "windows":
            into = first.into(self.source.view) if first.mirrored else None
            boxes = np.stack([seen.true for seen in members])
            self.kept.windows(first.image, boxes, margin=self.reading.margin, into=into)
        elif any(self.kept.cache.get(self._view_key(seen)) is None for seen in members):
            features = converted(self.whole(first), np.float32)  # once, not for each box
            for seen in members:
                self._view(seen, features)

    def seconds(self, views: Sequence[Seen]) -> float:
        """How long one image takes, measured on the first."""
        begin = time.perf_counter()
        self.live.maps(views[0].image, Affine.flip(views[0].size[1]))  # a view that nothing has kept
        return time.perf_counter() - begin


def keep(
    stores: Sequence[tuple[Store, Form, Sequence[Seen]]], budget: float, say: Callable[[str], None] = print
) -> None:
    """Announce and fill the stores of a run, one after another, within a budget of bytes.

    Args:
        stores: each with its form and every view that its samples can ask for.
    """
    left = budget * KEPT
    for store, form, views in stores:
        if form == "none" or left <= 0 or not views:
            store.form = "none"
            say("features: none are kept, the extractor runs for each sample")
            continue
        total = store.choose(form, views, left)
        left -= total
        every = len({seen.image for seen in views})
        rate = store.seconds(views)
        runs = len({(seen.image, seen.mirrored) for seen in views if seen.image in store.images})
        others = every - len(store.images)
        rest = f"; {others} do not fit and are computed each time" if others else ""
        say(
            f"features: {len(store.images)} of {every} images kept as {form}, {total / 1e9:.2f} GB of "
            f"{budget / 1e9:g}; at most {rate * runs:.0f} s ({rate:.2f} s an image){rest}"
        )
        store.fill(views)
