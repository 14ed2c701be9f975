"""Training samples of ``roimask``: the features in a box, or the whole map and the box, with the classes of cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from kaname.codecs.roi_align import SAMPLING_RATIO
from kaname.data.augment import brightness_contrast, saturated
from kaname.data.cache import ArrayCache, default_folder
from kaname.data.randomness import generator
from kaname.data.rois import Targets, jittered, non_target_shares, region
from kaname.data.scenes import Scene, paste_instance, random_view
from kaname.geometry.image import read_image
from kaname.inference.device import choose_device, choose_precision
from kaname.inference.feature_source import converted
from kaname.models.roi_masks import RoiMasks
from kaname.recipes.roimask.config import RoimaskConfig
from kaname.recipes.roimask.features import OneMap
from kaname.recipes.roimask.labels import Photo, classes_in
from kaname.recipes.roimask.storing import Form, Reading, Seen, Store
from kaname.types import FloatArray, Size

EVERY = 1 << 30  # targets of an image where none is left out
REMEMBERED = 64_000_000  # bytes of classes that stay in memory, in each process that makes samples


class Rois:
    """One sample a target, drawn anew in each epoch.

    Of a head that looks at the box: ``pooled`` ``(C, *roi_size)``, the features in the padded box, and ``classes``
    uint8 ``(*mask_size)`` on its grid. Of a head that looks at the whole map: ``features`` ``(C, h, w)``, ``boxes``
    float32 ``(4,)``, the padded box in shares of the map, ``classes`` over the whole map and ``grid`` uint8 on the box.
    255 is ignored. ``epoch`` int64, from 0; -1 in a pass without random changes.
    """

    def __init__(self, config: RoimaskConfig, photos: Sequence[Photo], *, augment: bool) -> None:
        self.config, self.augment = config, augment
        self.augmented = True  # other targets in each epoch, at least
        self.photos = [photo for photo in photos if len(photo.candidates)]
        data = config.data
        hard = data.hard_share if augment else 0.0
        self.targets = Targets(
            [photo.candidates for photo in self.photos],
            data.max_targets if augment else EVERY,
            config.train.seed,
            hard=hard,
            shares=[_shares(photo, data.pad) for photo in self.photos] if hard > 0 else None,
        )
        self._count = min(len(self.targets), config.train.limit or len(self.targets))
        self.store: Store | None = None
        self.grid: Size = (0, 0)
        self._remembered: dict[tuple[int, int, int], tuple[Seen, dict[str, np.ndarray]]] = {}

    def connect(self, network: RoiMasks, source: OneMap) -> Store:
        """Which network the samples are for, and whose features it reads; needed before the first sample."""
        config, head, train = self.config, network.head, self.config.train
        half = config.cache_half
        if half is None:
            half = choose_precision(train.precision, choose_device(train.device)) != "fp32"
        low = config.data.jitter_iou[0] if self.augment else 1.0
        roi_size: Size | None = head.roi_size if network.on_box else None  # type: ignore[assignment]
        ratio = int(getattr(head, "sampling_ratio", SAMPLING_RATIO))
        reading = Reading(config.data.pad, roi_size, ratio, low, half)
        cache = ArrayCache(default_folder() / "features", budget=int(train.cache_budget * 1e9))
        self.store, self.on_box = Store(source, reading, cache), network.on_box
        self.mask_size: Size = head.mask_size  # type: ignore[assignment]
        self.grid = network.grid
        return self.store

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the network is fed."""
        return ("pooled",) if self.on_box else ("features", "boxes")

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        """The image of place ``index``."""
        return str(self.photos[self.targets.at(index, -1)[0]].image)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        """Sample ``index``; ``epoch`` -1 is a pass without random changes."""
        assert self.store is not None
        number, row = self.targets.at(index, epoch if self.augment else -1)
        photo = self.photos[number]
        if self.augment and epoch >= 0 and self.config.augment.needs_extractor:
            made = self._changed(photo, row, generator(self.config.train.seed, epoch, index, "region"))
        else:
            seen, classes = self._seen(index, epoch, number, row)
            made = {**self._features(seen), **classes}
        return {**made, "epoch": np.array(epoch, np.int64)}

    def _seen(self, index: int, epoch: int, number: int, row: int) -> tuple[Seen, dict[str, np.ndarray]]:
        """What of a box is looked at, with its classes: fresh, or one of so many views, which are remembered."""
        photo, views, seed = self.photos[number], self.config.train.cache_views, self.config.train.seed
        still = not self.augment or epoch < 0
        if not (still or views):
            seen = self.view(photo, row, generator(seed, epoch, index, "region"))
            return seen, self._classes(photo, row, seen)
        view = -1 if still else int(generator(seed, epoch, index, "view").integers(views))
        found = self._remembered.get((number, row, view))
        if found is None:
            seen = self.view(photo, row, None if still else self._stored_view(number, row, view))
            found = seen, self._classes(photo, row, seen)
            if len(self._remembered) * sum(one.nbytes for one in found[1].values()) < REMEMBERED:
                self._remembered[number, row, view] = found
        return found

    def _stored_view(self, number: int, row: int, view: int) -> np.random.Generator:
        return generator(self.config.train.seed, number, row, f"view {view}")

    def view(self, photo: Photo, row: int, random: np.random.Generator | None) -> Seen:
        """What of an image is looked at: its box as it is, or moved and mirrored at random."""
        box = photo.boxes[row]
        seen = Seen(photo.image, photo.size, box, box)
        if random is None:
            return seen
        mirrored = random.random() < self.config.augment.flip
        return replace(seen, box=self._moved(random, box, photo.size), mirrored=mirrored)

    def _moved(self, random: np.random.Generator, box: FloatArray, size: Size) -> FloatArray:
        data = self.config.data
        moves = data.jitter_iou[0] < 1 and random.random() < data.jitter_share
        return jittered(random, box, data.jitter_iou, size) if moves else box

    def _features(self, seen: Seen) -> dict[str, np.ndarray]:
        """Features that may be kept."""
        assert self.store is not None
        if self.on_box:
            return {"pooled": self.store.pooled(seen)}
        return {"features": self.store.whole(seen), "boxes": self.store.normalised(seen)}

    def _classes(self, photo: Photo, row: int, seen: Seen) -> dict[str, np.ndarray]:
        """The classes of the cells that are looked at."""
        assert self.store is not None
        view = self.store.source.view
        plain = replace(seen, mirrored=False)
        back = view.into(photo.size).inverse()
        shapes, crowds = photo.shapes(), photo.crowds()
        regions = {name: back.boxes(place)[0] for name, place in self._grids(self.store.region(plain)).items()}
        classes = {
            name: classes_in(shapes, crowds, place[None], [row], self._size(name))[0] for name, place in regions.items()
        }
        if seen.mirrored:
            classes = {name: np.ascontiguousarray(one[:, ::-1]) for name, one in classes.items()}
        return classes

    def _grids(self, padded: FloatArray) -> dict[str, FloatArray]:
        """The regions of the extractor's input whose classes a sample has, by name."""
        assert self.store is not None
        height, width = self.store.source.view.input_size
        if self.on_box:
            return {"classes": padded}
        return {"classes": np.array([0.0, 0.0, width, height]), "grid": padded}

    def _size(self, name: str) -> Size:
        return self.mask_size if name == "classes" else self.grid

    def _changed(self, photo: Photo, row: int, random: np.random.Generator) -> dict[str, np.ndarray]:
        """Features of an image that is changed at random: the extractor runs."""
        assert self.store is not None
        change, source = self.config.augment, self.store.source
        scene = _scene(photo)
        if change.copy_paste > 0 and random.random() < change.copy_paste:
            other = self.photos[int(random.integers(len(self.photos)))]
            pasted = paste_instance(random, scene, _scene(other), int(random.choice(other.candidates)))
            scene = pasted if row in pasted.numbers else scene
        how = {"flip": change.flip, "scale": change.scale, "smallest": 1 - change.crop}
        moved = scene.moved(random_view(random, scene.size, **how), scene.size)
        scene = moved if row in moved.numbers else scene  # cut away: the image as it was
        image = brightness_contrast(random, scene.image, change.brightness, change.contrast)
        image = saturated(random, image, change.saturation, grey=change.grey)
        place = int(np.flatnonzero(scene.numbers == row)[0])
        into = source.view.into(scene.size)
        box = self._moved(random, scene.boxes[place], scene.size)
        padded = region(into.boxes(box)[0], self.config.data.pad, source.view.input_size)
        (features,) = source.features(into.image(image, source.view.input_size)[None])
        features = converted(features[0], self.store.kept.kind)
        back = into.inverse()
        classes = {
            name: classes_in(scene.shapes, scene.crowds, back.boxes(area), [place], self._size(name))[0]
            for name, area in self._grids(padded).items()
        }
        height, width = source.view.input_size
        shares = (padded / [width, height, width, height]).astype(np.float32)
        if not self.on_box:
            return {"features": features, "boxes": shares, **classes}
        return {"pooled": self.store.pool(features, shares), **classes}

    # ---- features that are kept

    def form(self) -> Form:
        """In which form features of this set are kept; whether they fit is found later."""
        config = self.config
        if config.cache == "none" or not config.train.cache_budget:
            return "none"
        if self.augment and config.augment.needs_extractor:
            return "none"
        if self.on_box and config.cache == "auto" and not self.augment:
            return "views"  # of each box there is one
        if self.augment and config.train.cache_views and self.on_box:
            return "views"
        if not self.on_box or config.cache == "maps":
            return "maps"
        if config.cache in ("windows", "views"):
            return "windows"
        assert self.store is not None
        whole = sum(self.store.bytes_of("maps", list(self.every_view("maps"))).values())
        return "maps" if whole <= config.train.cache_budget * 1e9 / 2 else "windows"

    def every_view(self, form: Form) -> Iterator[Seen]:
        """Everything of the images that the samples can ask for."""
        mirrors = (False, True) if self.augment and self.config.augment.flip > 0 else (False,)
        for number, photo in enumerate(self.photos):
            for row in photo.candidates.tolist():
                if form == "views" and self.augment:
                    for view in range(self.config.train.cache_views):
                        yield self.view(photo, row, self._stored_view(number, row, view))
                    continue
                for mirrored in mirrors:
                    yield replace(self.view(photo, row, None), mirrored=mirrored)

    @property
    def in_process(self) -> bool:
        """Whether samples are made in the training process: where the extractor runs for most of them."""
        return self.store is None or len(self.store.images) < len({photo.image for photo in self.photos})


def _shares(photo: Photo, padding: float) -> FloatArray:
    """For each candidate the share of other instances in its padded box."""
    boxes = region(photo.boxes, padding, photo.size)
    return non_target_shares(photo.shapes(), boxes, photo.size)[photo.candidates]


def _scene(photo: Photo) -> Scene:
    image = read_image(photo.image, expected=photo.size)
    return Scene(image, photo.shapes(), photo.boxes, np.arange(len(photo.boxes)), photo.crowds())
