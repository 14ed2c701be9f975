"""Sets of images with their labels beside them: ``images/`` and ``labels/``, paired by name. No torch.

``labels`` holds, for every image, ``<stem>.json`` (exact points) or ``<stem>.npy`` (heatmaps), or one Label Studio JSON
for all of them; a Label Studio JSON beside ``images`` counts too. Nothing is skipped: what has no partner is an error.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import nearest
from kaname.data.formats import labelstudio
from kaname.data.formats import points as points_json
from kaname.data.formats.duplicates import across_names, without_double_points
from kaname.data.formats.files import IMAGE_ENDINGS, image_files
from kaname.data.formats.heatmaps import AGAIN, read_heatmaps
from kaname.data.formats.listed import read_listed
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.types import FloatArray

SAME_PX = 0.01  # a point kept in two files is the same within this: one of them went through percentages
PLACES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}  # what others call sets too
Named = Mapping[str, FloatArray]
Check = Callable[[Named, Path, str | None], InputError | None]


@dataclass(frozen=True)
class LabelledImage:
    """One image with what is known of it.

    Attributes:
        image: its file.
        points: by name, ``(N, 2)`` in pixels of the file; ``None`` where only heatmaps are known.
        heatmaps: the ``.npy`` file, ``(names, size, size)``, where there is one.
    """

    image: Path
    points: Named | None
    heatmaps: Path | None

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.image.stem

    @property
    def source(self) -> str:
        """What predictions call it."""
        return self.image.name

    @property
    def frames(self) -> tuple[Path, ...]:
        """Its one image."""
        return (self.image,)

    def label(self, number: int) -> bytes:
        """Its points, or without points its heatmaps."""
        if self.points is None:
            return b"" if self.heatmaps is None else self.heatmaps.read_bytes()
        return json.dumps({name: np.round(xy, 3).tolist() for name, xy in self.points.items()}, sort_keys=True).encode()


@dataclass(frozen=True)
class PairedLabels:
    """How the labels of a recipe are read.

    Attributes:
        names: of the points, in the order of the heatmaps.
        aliases: a point's label in lower case to its name.
        command: that writes ``labels``, for remedies.
        check: ``(points, path, row)``: what is wrong with the points of one image, for the recipe.
        further: names of points that may be labelled too; ``.npy`` files do not hold them.
    """

    names: Sequence[str]
    aliases: Mapping[str, str]
    command: str
    check: Check
    further: Sequence[str] = ()

    @property
    def all_names(self) -> tuple[str, ...]:
        """Of every point that may be labelled."""
        return (*self.names, *self.further)

    def read(self, folder: Path) -> list[LabelledImage]:
        """The images of one set, sorted by name.

        Raises:
            InputError: the first problem that :meth:`problems` would list.
        """
        images: list[LabelledImage] = []
        double: list[InputError] = []
        for image in self._walk(folder, double):
            if isinstance(image, InputError):
                raise image
            images.append(image)
        for fault in double:
            warnings.warn(f"{fault.path}:{fault.row}: {fault.reason}", stacklevel=2)
        return sorted(images, key=lambda image: image.name)

    def problems(self, folder: Path, *, size: int | None = None) -> Iterator[InputError]:
        """Everything that is wrong with a set, one after the other; opens every image and every heatmap."""
        double: list[InputError] = []
        for image in self._walk(folder, double):
            if isinstance(image, InputError):
                yield image
                continue
            try:
                read_image(image.image)
                self.check_heatmaps(image, size)
            except InputError as error:
                yield error
        yield from double

    def check_heatmaps(self, image: LabelledImage, size: int | None) -> None:
        """Read an image's heatmaps; where it has no exact points, check that no required channel is empty.

        Raises:
            InputError: an unusable file; without exact points also an empty channel that must not be empty.
        """
        if image.heatmaps is None:
            return
        maps = read_heatmaps(image.heatmaps, len(self.names), size)
        if image.points is None:
            shown = {name: np.zeros((int(one.max() > 0), 2)) for name, one in zip(self.names, maps, strict=True)}
            wrong = self.check(shown, image.heatmaps, None)
            if wrong is not None:
                raise wrong

    def read_labelstudio(
        self, path: Path, images: Path | None, *, annotator: str | None = None, double: list[InputError] | None = None
    ) -> dict[Path, tuple[Named, str]]:
        """Image file to its points by name and the row they come from, from a Label Studio JSON; each point once.

        Warns of what is left out: cancelled annotations, results that are neither points nor boxes. What was marked
        twice is appended to ``double``; without it that is warned of too.
        """
        doubles: list[InputError] = [] if double is None else double
        samples = labelstudio.read(path, images=images, names=self.aliases, annotator=annotator)
        for line in labelstudio.left_out(samples):
            warnings.warn(f"{path}: {line}", stacklevel=2)
        none, found = np.zeros((0, 2)), dict[Path, tuple[Named, str]]()
        for sample in samples:
            task = f"task {sample.meta['task']}"
            points = {name: sample.points.get(name, none) for name in self.all_names}
            found[sample.image] = (self.once(points, path, f"{task} ({sample.image.name})", doubles), task)
        for fault in doubles if double is None else ():
            warnings.warn(f"{fault.path}:{fault.row}: {fault.reason}", stacklevel=2)
        return found

    def once(self, points: Named, path: Path, row: str | None, double: list[InputError]) -> Named:
        """The points, each of a name once; what was marked twice, also by two of ``names``, is noted in ``double``."""
        points, lines = without_double_points(points)
        lines += across_names({name: points[name] for name in self.names})
        remedy = "delete the one that is too much"
        double += [InputError(line, path=path, row=row, remedy=remedy) for line in lines]
        return points

    def _walk(self, folder: Path, double: list[InputError]) -> Iterator[LabelledImage | InputError]:
        try:
            images = image_files(folder / "images")
        except InputError as error:
            yield error
            return
        known = _Known(folder, self, double)
        yield from known.faults
        if not known.place.is_dir() and not known.files:
            remedy = f"make it with `{self.command}`"
            yield InputError("the labels folder does not exist", path=known.place, remedy=remedy)
            return
        seen: dict[str, Path] = {}
        for image in images:
            if image.stem in seen:
                reason = f"the name {image.stem!r} appears twice, also as {seen[image.stem].name}"
                yield InputError(reason, path=image, remedy="rename one of them")
                continue
            seen[image.stem] = image
            yield from known.pair(image)
        yield from known.orphans(set(seen))


class _Known:
    """Every label of one set by the stem of its image's name, and what is wrong with the files.

    Attributes:
        place: the folder ``labels``.
        files: the Label Studio files, in ``labels`` and beside ``images``.
        exact: contents of ``labels/<stem>.json``.
        studio: what the Label Studio files say: points, row, file.
        faults: of the files.
        double: where what was marked twice is noted.
    """

    def __init__(self, folder: Path, labels: PairedLabels, double: list[InputError]) -> None:
        self.labels, self.place, self.double = labels, folder / "labels", double
        self.files: list[Path] = []
        self.exact: dict[str, Any] = {}
        self.studio: dict[str, tuple[Named, str, Path]] = {}
        self.faults: list[InputError] = []
        for place in (self.place, folder):
            for path in visible(place, "*.json"):
                self._sort(path)
        for path in self.files:
            self._read(path, folder / "images")

    def _sort(self, path: Path) -> None:
        try:
            data = read_listed(path, "", lambda number, entry: None)  # of a list its length is enough
        except InputError as error:
            self.faults.append(error)
            return
        inside = path.parent == self.place
        if inside and points_json.is_labels(data):
            self.exact[path.stem] = data
        elif inside or isinstance(data, list):  # an object beside the images (metrics, predictions) is not a label
            self.files.append(path)

    def _read(self, path: Path, images: Path) -> None:
        """A Label Studio file; an image in two of them must have the same points in both."""
        try:
            annotated = self.labels.read_labelstudio(path, images, double=self.double)
        except InputError:
            self.faults += labelstudio.problems(path, images=images, names=self.labels.aliases)
            return
        for image, (points, row) in annotated.items():
            other, _, first = self.studio.setdefault(image.stem, (points, row, path))
            if not _same(other, points):
                reason = f"{image.name!r} has different points in {first}"
                self.faults.append(InputError(reason, path=path, row=row, remedy="keep one of them"))

    def orphans(self, stems: set[str]) -> Iterator[InputError]:
        """Labels without an image."""
        ours = [self.place / f"{stem}.json" for stem in self.exact]
        for path in sorted([*visible(self.place, "*.npy"), *ours]):
            if path.stem not in stems:
                yield InputError("this label has no image", path=path, remedy=nearest(path.stem, sorted(stems)))
        for stem, (_, row, path) in self.studio.items():
            if stem not in stems:
                remedy = f"put it directly into images/ as {', '.join(IMAGE_ENDINGS)}"
                yield InputError(f"training does not read its image {stem!r}", path=path, row=row, remedy=remedy)

    def pair(self, image: Path) -> Iterator[LabelledImage | InputError]:
        """An image with its labels, or what is wrong with them."""
        exact, maps = self.place / f"{image.stem}.json", self.place / f"{image.stem}.npy"
        points, source, row = None, image, None
        if image.stem in self.studio:
            points, task, source = self.studio[image.stem]
            row = f"{task} ({image.name})"
        if image.stem in self.exact:
            content, names = self.exact[image.stem], self.labels.all_names
            try:
                given = points_json.read_labels(exact, image, names=names, remedy=AGAIN, content=content).points
                written = self.labels.once(given, exact, None, [] if points is not None else self.double)
            except InputError as error:
                yield error
                return
            if points is not None and not _same(points, written):
                remedy = f"write it again with `{self.labels.command}`, or remove one of the two"
                yield InputError(f"its points differ from those in {source} ({row})", path=exact, remedy=remedy)
                return
            points, source, row = written, exact, None
        if points is None and not maps.is_file():
            if not self.faults:  # else its label may be in the file that could not be read
                remedy = f"label it, or take it out of {image.parent.name}"
                yield InputError("this image has no label", path=image, remedy=remedy)
            return
        wrong = None if points is None else self.labels.check(points, source, row)
        yield wrong or LabelledImage(image, points, maps if maps.is_file() else None)


def visible(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder by name; none where there is no folder. Archives made on a Mac hold a ``._NAME`` for each
    file, which is no file of that kind."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith(".")) if folder.is_dir() else []


def sets(data: Path) -> dict[str, Path]:
    """The sets of a folder: ``train``, ``val`` (or ``valid``), ``test`` where it has them, else itself as ``all``."""
    if not data.is_dir():
        raise InputError("the data folder does not exist", path=data, remedy="check --data")
    inside = {name: place for name, places in PLACES.items() if (place := _only(data, places)) is not None}
    if not inside and not (data / "images").is_dir():
        remedy = "it needs train/images and train/labels (and val/...), or images and labels"
        raise InputError("no data set here", path=data, remedy=remedy)
    return inside or {"all": data}


def _only(data: Path, names: Sequence[str]) -> Path | None:
    """The folder of a set, by any of its names."""
    places = [data / name for name in names if (data / name).is_dir()]
    if len(places) > 1:
        both = " and ".join(place.name for place in places)
        raise InputError(f"two folders of one set: {both}", path=data, remedy="keep one of them")
    return places[0] if places else None


def to_train_on(data: Path) -> dict[str, Path]:
    """The sets that training reads: ``train`` and, where there is one, ``val``."""
    folders = sets(data)
    train = folders.get("train") or folders.get("all")
    if train is None:
        remedy = "it needs train/images and train/labels"
        raise InputError("there is no training set here", path=data, remedy=remedy)
    return {"train": train, **({"val": folders["val"]} if "val" in folders else {})}


def _same(one: Named, other: Named) -> bool:
    return all(
        one[name].shape == other[name].shape and np.allclose(one[name], other[name], rtol=0, atol=SAME_PX)
        for name in one
    )
