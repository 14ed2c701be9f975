"""Data folders of ``gauge``: which image has which truth, and everything that can be wrong with them.

A set is a folder with ``images`` and ``labels``. ``labels`` holds, for every image, ``<stem>.json`` (exact points) or
``<stem>.npy`` (heatmaps), or one Label Studio JSON for all of them; a Label Studio JSON beside ``images`` counts too.
Pairing is by name. Nothing is skipped: what has no partner is an error.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import nearest
from kaname.data.formats import labelstudio
from kaname.data.formats.files import IMAGE_ENDINGS, images_in, read_json
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import image_size, read_image
from kaname.recipes.gauge import CHANNELS
from kaname.types import FloatArray, Size

ALIASES = {
    "start": "start", "start notch": "start",
    "end": "end", "end notch": "end",
    "middle": "middle", "inbetween notch": "middle", "middle notch": "middle",
}  # fmt: skip
LABEL_NAMES = {"start": "Start Notch", "middle": "Inbetween Notch", "end": "End Notch"}
POINTS_FORMAT = "kaname-points"
COORDINATES = "continuous pixels of this image: (0, 0) is the top-left corner of the top-left pixel"
ROUNDING = 1e-4  # by which other programs' heatmaps may leave 0..1
AGAIN = "write it again with `kaname gauge heatmaps`"
SAME_PX = 0.01  # a point kept in two files is the same within this: one of them went through percentages


@dataclass(frozen=True)
class Dial:
    """One labelled image.

    Attributes:
        image: its file.
        points: ``start``, ``middle`` (those between) and ``end``, each ``(N, 2)`` in pixels of the file; ``None``
            where only heatmaps are known.
        heatmaps: the ``.npy`` file, ``(3, size, size)``, where there is one.
    """

    image: Path
    points: Mapping[str, FloatArray] | None
    heatmaps: Path | None

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.image.stem


@dataclass(frozen=True)
class Annotated:
    """The points of an image by channel (pixels of its file), and where they stand: ``task 7``."""

    points: Mapping[str, FloatArray]
    row: str


def sets(data: Path) -> dict[str, Path]:
    """The sets of a data folder: ``train`` and ``val`` where it has them, else the folder itself as ``all``."""
    if not data.is_dir():
        raise InputError("the data folder does not exist", path=data, remedy="check --data")
    found = {name: data / name for name in ("train", "val", "test") if (data / name).is_dir()}
    if found:
        return found
    if (data / "images").is_dir():
        return {"all": data}
    raise InputError(
        "no data set here",
        path=data,
        remedy="it needs train/images and train/labels (and val/...), or images and labels",
    )


def read(folder: Path, *, allow_missing: bool = False) -> list[Dial]:
    """The dials of one set, sorted by name.

    Raises:
        InputError: the first problem that :func:`problems` would list.
    """
    dials: list[Dial] = []
    for found in _walk(folder, allow_missing=allow_missing):
        if isinstance(found, InputError):
            raise found
        dials.append(found)
    return sorted(dials, key=lambda dial: dial.name)


def problems(folder: Path, *, allow_missing: bool = False, size: int | None = None) -> Iterator[InputError]:
    """Everything that is wrong with a set, one after the other; opens every image and every heatmap."""
    for found in _walk(folder, allow_missing=allow_missing):
        if isinstance(found, InputError):
            yield found
            continue
        try:
            read_image(found.image)
            if found.heatmaps is not None:
                check_heatmaps(found, size, allow_missing=allow_missing)
        except InputError as error:
            yield error


def read_heatmaps(path: Path, size: int | None) -> np.ndarray:
    """A label file: float32 ``(3, size, size)`` with values in 0..1.

    Raises:
        InputError: another shape, NaN, values outside 0..1, not a NumPy file.
    """
    try:
        maps = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:  # a damaged header may be anything
        raise InputError("not a NumPy array file", path=path, remedy=AGAIN) from error
    if not isinstance(maps, np.ndarray):
        raise InputError("several arrays (.npz) instead of one", path=path, remedy=AGAIN)
    wanted = f"(3, {size}, {size})" if size else "(3, SIZE, SIZE)"
    square = maps.ndim == 3 and maps.shape[0] == 3 and maps.shape[1] == maps.shape[2] > 0
    if not square or (size is not None and maps.shape[1] != size):
        side = maps.shape[1] if square else size or 448
        raise InputError(
            f"heatmaps of shape {maps.shape} instead of {wanted}", path=path,
            remedy=f"write them again with `kaname gauge heatmaps --size {size or side}`",
        )  # fmt: skip
    if maps.dtype.kind not in "fiu" or not np.isfinite(maps).all():
        raise InputError("heatmaps hold NaN or infinity", path=path, remedy=AGAIN)
    if maps.min() < -ROUNDING or maps.max() > 1 + ROUNDING:
        raise InputError(
            f"heatmap values reach from {maps.min():.6g} to {maps.max():.6g} instead of 0..1", path=path,
            remedy=AGAIN,
        )  # fmt: skip
    return maps.astype(np.float32, copy=False).clip(0, 1)


def check_heatmaps(dial: Dial, size: int | None, *, allow_missing: bool) -> None:
    """Read a dial's heatmaps, and where nothing else is known of it, look for what must be on it.

    Raises:
        InputError: what :func:`read_heatmaps` raises; without exact points also an empty start or end channel.
    """
    assert dial.heatmaps is not None
    maps = read_heatmaps(dial.heatmaps, size)
    if dial.points is None:
        shown = {name: np.zeros((int(maps[channel].max() > 0), 2)) for channel, name in enumerate(CHANNELS)}
        wrong = check_points(shown, dial.heatmaps, None, allow_missing=allow_missing)
        if wrong is not None:
            raise wrong


def read_labelstudio(path: Path, images: Path | None, *, annotator: str | None = None) -> dict[Path, Annotated]:
    """Image file to its points, from a Label Studio JSON with any of the known label names.

    Warns of what is left out: cancelled annotations, results that are neither points nor boxes.
    """
    found = labelstudio.read(path, images=images, names=ALIASES, annotator=annotator)
    for line in labelstudio.left_out(found):
        warnings.warn(f"{path}: {line}", stacklevel=2)
    return {sample.image: Annotated(channel_points(sample.points), f"task {sample.meta['task']}") for sample in found}


def point_pairs(value: Any) -> FloatArray:
    """A list of ``[x, y]`` from JSON as ``(N, 2)``; ValueError or TypeError where it is something else."""
    array = np.array(value, dtype=np.float64)
    if array.size == 0 and array.ndim <= 2:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points of shape {array.shape}")
    return array


def channel_points(points: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """All three channels, empty ``(0, 2)`` where there is no point."""
    return {name: np.asarray(points.get(name, np.zeros((0, 2))), dtype=np.float64).reshape(-1, 2) for name in CHANNELS}


def check_points(
    points: Mapping[str, FloatArray], path: Path, row: str | int | None, *, allow_missing: bool
) -> InputError | None:
    """What is wrong with the points of one image: none at all, several starts, or start or end missing."""
    counts = {name: len(points[name]) for name in CHANNELS}
    if not sum(counts.values()):
        return InputError(
            f"no points on {row or path.name}", path=path, row=row, remedy="label it or take it out of the set"
        )
    for name in ("start", "end"):
        if counts[name] > 1:
            return InputError(
                f"{counts[name]} {name} notches on one dial", path=path, row=row, remedy=f"keep one {name} notch"
            )
        if counts[name] == 0 and not allow_missing:
            seen = ", ".join(f"{other} ({counts[other]})" for other in CHANNELS if counts[other])
            return InputError(
                f"no {name} notch, only {seen}", path=path, row=row,
                remedy=f"label the {name} notch, or allow dials without one by allow_missing=true (--allow-missing)",
            )  # fmt: skip
    return None


def truth_of(dial: Dial) -> dict[str, FloatArray]:
    """The evaluation's groups of a dial with exact points: ``middle`` holds all notches."""
    assert dial.points is not None
    return {"start": dial.points["start"], "middle": np.concatenate([dial.points[name] for name in CHANNELS]),
            "end": dial.points["end"]}  # fmt: skip


def points_json(image: str, size: Size, points: Mapping[str, FloatArray]) -> dict[str, Any]:
    """The content of ``labels/<stem>.json``."""
    return {
        "format": POINTS_FORMAT,
        "version": 1,
        "coordinates": COORDINATES,
        "image": image,
        "size": list(size),
        "points": {name: [[float(x), float(y)] for x, y in points[name]] for name in CHANNELS},
    }


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name.

    Raises:
        InputError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise InputError("the image folder does not exist", path=folder, remedy="check the path")
    files = images_in(folder)[0]
    if not files:
        raise InputError("no image in this folder", path=folder, remedy=f"put {', '.join(IMAGE_ENDINGS)} files there")
    return files


def letterbox(size: Size, target: int) -> Affine:
    """From pixels of an image of ``size`` to the network's square input."""
    return Affine.letterbox(size, (target, target))


def _walk(folder: Path, *, allow_missing: bool) -> Iterator[Dial | InputError]:
    try:
        images = image_files(folder / "images")
    except InputError as error:
        yield error
        return
    known = _Known(folder)
    known.read(folder / "images")
    yield from known.faults
    if not known.place.is_dir() and not known.files:
        yield InputError(
            "the labels folder does not exist", path=known.place, remedy="make it with `kaname gauge heatmaps`"
        )
        return
    seen: dict[str, Path] = {}
    for image in images:
        if image.stem in seen:
            yield InputError(
                f"the name {image.stem!r} stands twice, also as {seen[image.stem].name}",
                path=image,
                remedy="rename one of them",
            )
            continue
        seen[image.stem] = image
        yield from _pair(image, known, allow_missing=allow_missing)
    yield from known.orphans(set(seen))


class _Known:
    """Every label of one set by the stem of its image's name, and what is wrong with the files.

    Attributes:
        place: the folder ``labels``.
        files: the Label Studio files, in ``labels`` and beside ``images``.
        exact: contents of ``labels/<stem>.json``.
        studio: what the Label Studio files say, with the file.
    """

    def __init__(self, folder: Path) -> None:
        self.place = folder / "labels"
        self.files: list[Path] = []
        self.exact: dict[str, dict[str, Any]] = {}
        self.studio: dict[str, tuple[Annotated, Path]] = {}
        self.faults: list[InputError] = []
        for place in (self.place, folder):
            for path in sorted(place.glob("*.json")) if place.is_dir() else ():
                self._sort(path)

    def _sort(self, path: Path) -> None:
        try:
            data = read_json(path)
        except InputError as error:
            self.faults.append(error)
            return
        ours, inside = isinstance(data, dict) and data.get("format") == POINTS_FORMAT, path.parent == self.place
        if ours and inside:
            self.exact[path.stem] = data
        elif inside or isinstance(data, list):  # an object beside the images (metrics, predictions) is no label
            self.files.append(path)

    def read(self, images: Path) -> None:
        """Read the Label Studio files; an image in two of them must have the same points in both."""
        for path in self.files:
            try:
                annotated = read_labelstudio(path, images)
            except InputError:
                self.faults += labelstudio.problems(path, images=images, names=ALIASES)
                continue
            for image, found in annotated.items():
                other, first = self.studio.setdefault(image.stem, (found, path))
                if not _same(other.points, found.points):
                    reason = f"{image.name!r} has other points in {first}"
                    self.faults.append(InputError(reason, path=path, row=found.row, remedy="keep one of them"))

    def orphans(self, stems: set[str]) -> Iterator[InputError]:
        """Labels without an image."""
        ours = [self.place / f"{stem}.json" for stem in self.exact]
        for path in sorted([*(self.place.glob("*.npy") if self.place.is_dir() else ()), *ours]):
            if path.stem not in stems:
                yield InputError("this label has no image", path=path, remedy=nearest(path.stem, sorted(stems)))
        for stem, (found, path) in self.studio.items():
            if stem not in stems:
                yield InputError(
                    f"its image {stem!r} is none that training reads", path=path, row=found.row,
                    remedy=f"put it right into images/ as {', '.join(IMAGE_ENDINGS)}",
                )  # fmt: skip


def _pair(image: Path, known: _Known, *, allow_missing: bool) -> Iterator[Dial | InputError]:
    exact, maps = known.place / f"{image.stem}.json", known.place / f"{image.stem}.npy"
    points, source, row = None, image, None
    if image.stem in known.studio:
        found, source = known.studio[image.stem]
        points, row = found.points, f"{found.row} ({image.name})"
    if image.stem in known.exact:
        try:
            written = _read_points(exact, known.exact[image.stem], image)
        except InputError as error:
            yield error
            return
        if points is not None and not _same(points, written):
            yield InputError(
                f"other points than {source} ({row}) has", path=exact,
                remedy="write it again with `kaname gauge heatmaps`, or remove one of the two",
            )  # fmt: skip
            return
        points, source, row = written, exact, None
    if points is None and not maps.is_file():
        if not known.faults:  # else its label may be in the file that could not be read
            yield InputError(
                "this image has no label", path=image, remedy=f"label it, or take it out of {image.parent.name}"
            )
        return
    wrong = None if points is None else check_points(points, source, row, allow_missing=allow_missing)
    yield wrong or Dial(image=image, points=points, heatmaps=maps if maps.is_file() else None)


def _same(one: Mapping[str, FloatArray], other: Mapping[str, FloatArray]) -> bool:
    return all(
        one[name].shape == other[name].shape and np.allclose(one[name], other[name], rtol=0, atol=SAME_PX)
        for name in CHANNELS
    )


def _read_points(path: Path, data: dict[str, Any], image: Path) -> dict[str, FloatArray]:
    try:
        points = {name: point_pairs(data["points"].get(name, [])) for name in CHANNELS}
        surplus = sorted(set(data["points"]) - set(CHANNELS))
        height, width = (int(value) for value in data["size"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("not a file of points", path=path, remedy=AGAIN) from error
    if surplus:
        raise InputError(
            f"unknown names: {', '.join(map(repr, surplus))}", path=path, remedy=f"known: {', '.join(CHANNELS)}"
        )
    if data.get("image") not in (None, image.name):
        raise InputError(
            f"belongs to {data['image']!r}, not to {image.name!r}", path=path, remedy="keep image and label together"
        )
    true = image_size(image)
    if (height, width) != true:
        raise InputError(
            f"written for an image of {width} x {height}, but {image.name!r} has {true[1]} x {true[0]}",
            path=path,
            remedy=AGAIN,
        )
    everything = np.concatenate(list(points.values()))
    if not np.isfinite(everything).all() or (everything < 0).any() or (everything > (width, height)).any():
        raise InputError(f"a point lies outside the image of {width} x {height}", path=path, remedy=AGAIN)
    return points
