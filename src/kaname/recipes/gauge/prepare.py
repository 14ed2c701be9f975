"""From photographs and annotations to training data: cutting dials out, and writing heatmaps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kaname.codecs.heatmap import encode_sets
from kaname.data.formats import coco, labelstudio
from kaname.engine.predict import pixel_boxes
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.labels import (
    ALIASES,
    LABEL_NAMES,
    check_points,
    letterbox,
    points_json,
    read_json,
    read_labelstudio,
)
from kaname.types import FloatArray, Sample, Size


def crop(images: Path, boxes: Path, out: Path, size: int) -> list[Path]:
    """Cut every box out of its photograph, pad it to a square with black and resize it to ``size``.

    Writes ``out/images`` and, where the file of boxes also holds notches, ``out/annotation.json`` (Label Studio) with
    the points moved along. A photograph with several boxes gives ``<stem>_1``, ``<stem>_2``, ...

    Returns:
        The written images.

    Raises:
        InputError: unreadable input, a photograph without a box, or a name that would be written twice.
    """
    samples = read_boxes(boxes, images)
    planned = _planned_names(samples, boxes)
    _refuse_full(out)
    written: list[Sample] = []
    for sample, names in zip(samples, planned, strict=True):
        photograph = read_image(sample.image)
        height, width = photograph.shape[:2]
        for name, (x1, y1, x2, y2) in zip(names, pixel_boxes(sample.boxes, (height, width)), strict=True):
            window = np.ascontiguousarray(photograph[y1:y2, x1:x2])
            into = letterbox((y2 - y1, x2 - x1), size)
            target = out / "images" / name
            write_image(target, into.image(window, (size, size)))
            inside = {
                channel: into.points(points[_inside(points, (x1, y1, x2, y2))] - np.array([x1, y1], dtype=np.float64))
                for channel, points in sample.points.items()
            }
            visible = {channel: np.full(len(points), 2) for channel, points in inside.items()}
            written.append(Sample(image=target, points=inside, visible=visible, size=(size, size)))
    if any(len(points) for sample in written for points in sample.points.values()):
        labelstudio.write(out / "annotation.json", written, names=LABEL_NAMES)
    return [sample.image for sample in written]


def heatmaps(annotation: Path, directory: Path, size: int, *, sigma: float, allow_missing: bool) -> list[Path]:
    """Write ``labels/<stem>.npy`` and ``labels/<stem>.json`` for every annotated image of ``directory/images``.

    The maps are float32 ``(3, size, size)``, channels start, middle, end, Gaussians of peak 1 at the sub-pixel place,
    overlaps by maximum; an image that is not square lies in them as it will be letterboxed.

    Args:
        sigma: standard deviation in pixels of a 448 x 448 map; it scales with ``size``.

    Raises:
        InputError: anything wrong in the annotation; nothing is written then.
    """
    annotation = annotation if annotation.is_file() or not (directory / annotation).is_file() else directory / annotation
    found = read_labelstudio(annotation, directory / "images")
    sizes: dict[Path, Size] = {}
    for image, points in found.items():
        wrong = check_points(points, annotation, image.name, allow_missing=allow_missing)
        if wrong is not None:
            raise wrong
        sizes[image] = read_image(image).shape[:2]  # type: ignore[assignment]
    stems = [image.stem for image in found]
    for stem in stems:
        if stems.count(stem) > 1:
            raise InputError(f"two images are named {stem!r}", path=annotation, remedy="rename one of them")
    labels = directory / "labels"
    labels.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for image, points in found.items():
        maps = encode(points, sizes[image], size, sigma)
        _write_array(labels / f"{image.stem}.npy", maps)
        _write_text(
            labels / f"{image.stem}.json",
            json.dumps(points_json(image.name, sizes[image], points), ensure_ascii=False, indent=1),
        )
        written.append(labels / f"{image.stem}.npy")
    return written


def encode(points: Mapping[str, FloatArray], image: Size, size: int, sigma: float) -> np.ndarray:
    """Heatmaps ``(3, size, size)`` of an image's points; ``sigma`` in pixels at 448."""
    into = letterbox(image, size)
    sets = [into.points(points[name]) for name in CHANNELS]
    return encode_sets(sets, (size, size), 1.0, sigma * size / REFERENCE_SIZE)


def read_boxes(path: Path, images: Path) -> list[Sample]:
    """Photographs with their boxes, from Label Studio rectangles or COCO; every photograph must have one."""
    data = read_json(path)
    if isinstance(data, dict):
        samples = coco.read(path, images=images)
    else:
        samples = labelstudio.read(path, images=images, names=ALIASES)
    for sample in samples:
        if not len(sample.boxes):
            raise InputError(f"{sample.image.name} has no box", path=path, remedy="draw a rectangle round the dial")
    return samples


def _planned_names(samples: list[Sample], path: Path) -> list[list[str]]:
    taken: set[str] = set()
    planned: list[list[str]] = []
    for sample in samples:
        stem, ending = sample.image.stem, sample.image.suffix.lower()
        ending = ending if ending in (".jpg", ".jpeg", ".png") else ".png"
        count = len(sample.boxes)
        names = [f"{stem}{ending}" if count == 1 else f"{stem}_{number}{ending}" for number in range(1, count + 1)]
        for name in names:
            if Path(name).stem in taken:
                raise InputError(f"{Path(name).stem!r} would be written twice", path=path, remedy="rename a photograph")
            taken.add(Path(name).stem)
        planned.append(names)
    return planned


def _inside(points: FloatArray, box: tuple[int, int, int, int]) -> np.ndarray:
    x1, y1, x2, y2 = box
    return (points[:, 0] >= x1) & (points[:, 0] <= x2) & (points[:, 1] >= y1) & (points[:, 1] <= y2)


def _refuse_full(out: Path) -> None:
    if (out / "images").is_dir() and any((out / "images").iterdir()):
        raise InputError("the output folder already holds images", path=out, remedy="choose an empty --out folder")
    (out / "images").mkdir(parents=True, exist_ok=True)


def _write_array(path: Path, array: np.ndarray) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.save(file, array)
    partial.replace(path)


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
