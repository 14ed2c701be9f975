"""Data folders of ``gauge``: which image has which truth, and everything that can be wrong with them.

A set is a folder with ``images`` and ``labels``. ``labels`` holds, for every image, ``<stem>.json`` (exact points) or
``<stem>.npy`` (heatmaps), or one Label Studio JSON for all of them; a Label Studio JSON beside ``images`` counts too.
Pairing is by name. Nothing is skipped: what has no partner is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaname.config import nearest
from kaname.data.formats import labelstudio
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.recipes.gauge import CHANNELS
from kaname.types import FloatArray, Size

ALIASES = {
    "start": "start", "start notch": "start",
    "end": "end", "end notch": "end",
    "middle": "middle", "inbetween notch": "middle", "middle notch": "middle",
}  # fmt: skip
LABEL_NAMES = {"start": "Start Notch", "middle": "Inbetween Notch", "end": "End Notch"}
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
POINTS_FORMAT = "kaname-points"
COORDINATES = "continuous pixels of this image: (0, 0) is the top-left corner of the top-left pixel"


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
        "no data set here", path=data, remedy="it needs train/images and train/labels (and val/...), or images and labels"
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
                read_heatmaps(found.heatmaps, size)
        except InputError as error:
            yield error


def read_heatmaps(path: Path, size: int | None) -> np.ndarray:
    """A label file: float32 ``(3, size, size)`` with values in 0..1.

    Raises:
        InputError: another shape, NaN, values outside 0..1, not a NumPy file.
    """
    try:
        maps = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError("not a NumPy array file", path=path, remedy="write it again with `kaname gauge heatmaps`") from error
    wanted = f"(3, {size}, {size})" if size else "(3, SIZE, SIZE)"
    square = maps.ndim == 3 and maps.shape[0] == 3 and maps.shape[1] == maps.shape[2]
    if not square or (size is not None and maps.shape[1] != size):
        side = maps.shape[1] if square else size or 448
        raise InputError(
            f"heatmaps of shape {maps.shape} instead of {wanted}", path=path,
            remedy=f"write them again with `kaname gauge heatmaps --size {size or side}`",
        )  # fmt: skip
    if maps.dtype.kind not in "fiu" or not np.isfinite(maps).all():
        raise InputError("heatmaps hold NaN or infinity", path=path, remedy="write them again with `kaname gauge heatmaps`")
    if maps.min() < 0 or maps.max() > 1:
        raise InputError(
            f"heatmap values reach from {maps.min():.3g} to {maps.max():.3g} instead of 0..1", path=path,
            remedy="write them again with `kaname gauge heatmaps`",
        )  # fmt: skip
    return maps.astype(np.float32, copy=False)


def read_labelstudio(path: Path, images: Path | None) -> dict[Path, dict[str, FloatArray]]:
    """Image file to its points by channel, from a Label Studio JSON with any of the known label names."""
    return {sample.image: channel_points(sample.points) for sample in labelstudio.read(path, images=images, names=ALIASES)}


def channel_points(points: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """All three channels, empty ``(0, 2)`` where there is no point."""
    return {name: np.asarray(points.get(name, np.zeros((0, 2))), dtype=np.float64).reshape(-1, 2) for name in CHANNELS}


def check_points(
    points: Mapping[str, FloatArray], path: Path, row: str | int | None, *, allow_missing: bool
) -> InputError | None:
    """What is wrong with the points of one image: none at all, several starts, or start or end missing."""
    counts = {name: len(points[name]) for name in CHANNELS}
    if not sum(counts.values()):
        return InputError(f"no points on {row or path.name}", path=path, row=row, remedy="label it or take it out of the set")
    for name in ("start", "end"):
        if counts[name] > 1:
            return InputError(f"{counts[name]} {name} notches on one dial", path=path, row=row, remedy=f"keep one {name} notch")
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
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith("."))
    if not files:
        raise InputError("no image in this folder", path=folder, remedy=f"put {', '.join(IMAGE_ENDINGS)} files there")
    return files


def letterbox(size: Size, target: int) -> Affine:
    """From pixels of an image of ``size`` to the network's square input."""
    return Affine.letterbox(size, (target, target))


def _walk(folder: Path, *, allow_missing: bool) -> Iterator[Dial | InputError]:
    labels = folder / "labels"
    try:
        images = image_files(folder / "images")
        studio = list(_studio_files(folder))
    except InputError as error:
        yield error
        return
    if not labels.is_dir() and not studio:
        yield InputError("the labels folder does not exist", path=labels, remedy="make it with `kaname gauge heatmaps`")
        return
    seen: dict[str, Path] = {}
    for image in images:
        if image.stem in seen:
            yield InputError(
                f"the name {image.stem!r} stands twice, also as {seen[image.stem].name}", path=image, remedy="rename one of them"
            )
        seen.setdefault(image.stem, image)
    truth: dict[str, Mapping[str, FloatArray]] = {}
    for path in studio:
        broken = list(labelstudio.problems(path, images=folder / "images", names=ALIASES))
        yield from broken
        if not broken:
            truth |= {image.stem: points for image, points in read_labelstudio(path, folder / "images").items()}
    broken_studio = bool(studio) and not truth
    for stem, image in seen.items():
        yield from _pair(image, labels, truth.get(stem), studio, allow_missing, silent=broken_studio)
    yield from _orphans(labels, set(seen))


def _pair(
    image: Path, labels: Path, points: Mapping[str, FloatArray] | None, studio: list[Path], allow_missing: bool, *, silent: bool
) -> Iterator[Dial | InputError]:
    exact, maps = labels / f"{image.stem}.json", labels / f"{image.stem}.npy"
    source: Path | None = studio[0] if studio else None
    try:
        if exact.is_file() and exact not in studio:
            points, source = _read_points(exact, image), exact
    except InputError as error:
        yield error
        return
    if points is None and not maps.is_file():
        if not silent:
            yield InputError(
                "this image has no label", path=image, remedy=f"label it, or take it out of {image.parent.name}"
            )
        return
    if points is not None:
        wrong = check_points(points, source or image, image.name if source in studio else None, allow_missing=allow_missing)
        if wrong is not None:
            yield wrong
            return
    yield Dial(image=image, points=points, heatmaps=maps if maps.is_file() else None)


def _orphans(labels: Path, stems: set[str]) -> Iterator[InputError]:
    if not labels.is_dir():
        return
    for path in sorted(labels.glob("*.npy")):
        if path.stem not in stems:
            yield InputError("this label has no image", path=path, remedy=nearest(path.stem, sorted(stems)))


def _studio_files(folder: Path) -> Iterator[Path]:
    """Label Studio files in ``labels`` and beside ``images``: every JSON that is no ``<stem>.json`` of ours."""
    for place in (folder / "labels", folder):
        for path in sorted(place.glob("*.json")) if place.is_dir() else ():
            data = read_json(path)
            if not (isinstance(data, dict) and data.get("format") == POINTS_FORMAT):
                yield path


def read_json(path: Path) -> Any:
    """A JSON file; errors name the line."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", path=path, remedy="save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error.msg})", path=path, row=error.lineno, remedy="export it again") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the path") from error


def _read_points(path: Path, image: Path) -> dict[str, FloatArray]:
    data = read_json(path)
    try:
        points = {name: np.array(data["points"].get(name, []), dtype=np.float64).reshape(-1, 2) for name in CHANNELS}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("not a file of points", path=path, remedy="write it again with `kaname gauge heatmaps`") from error
    height, width = (int(value) for value in data.get("size", (0, 0)))
    everything = np.concatenate(list(points.values()))
    if not np.isfinite(everything).all() or (everything < 0).any() or (everything > (width, height)).any():
        raise InputError(
            f"a point lies outside the image of {width} x {height}", path=path, remedy="write it again with `kaname gauge heatmaps`"
        )
    if data.get("image") not in (None, image.name):
        raise InputError(f"belongs to {data['image']!r}, not to {image.name!r}", path=path, remedy="keep image and label together")
    return points


