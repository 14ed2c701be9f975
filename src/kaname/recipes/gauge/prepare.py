"""From photographs and annotations to training data: cutting dials out, and writing heatmaps."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from kaname.codecs.heatmap import encode_sets
from kaname.data.formats import coco, labelstudio
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.inference.model import pixel_boxes
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.labels import (
    ALIASES,
    IMAGE_ENDINGS,
    LABEL_NAMES,
    check_points,
    image_files,
    letterbox,
    points_json,
    read_labelstudio,
)
from kaname.types import FloatArray, Sample, Size

# Of the backbones that dials are read with: DINOv2; DINOv3 and the plain ViT (and, twice 16, the small U-Net).
PATCHES = (14, 16)
WRITTEN = (".jpg", ".jpeg", ".png")


def check_size(size: int) -> None:
    """Refuse a size that is a multiple of no backbone's patch.

    Raises:
        InputError: naming the nearest size that is one.
    """
    if size < min(PATCHES) or all(size % patch for patch in PATCHES):
        nearest = min((max(1, round(size / patch)) * patch for patch in PATCHES), key=lambda legal: abs(legal - size))
        raise InputError(
            f"size must be a multiple of the network's patch ({', '.join(map(str, PATCHES))}), got {size}",
            remedy=f"nearest {nearest}",
        )


def crop(images: Path, boxes: Path, out: Path, size: int, *, annotator: str | None = None) -> list[Path]:
    """Cut every box out of its photograph, pad it to a square with black and resize it to ``size``.

    Writes ``out/images`` and, where the file of boxes also holds notches, ``out/annotation.json`` (Label Studio) with
    the points moved along. A photograph with several boxes gives ``<stem>_1``, ``<stem>_2``, ... A box that reaches
    beyond its photograph is cut off there.

    Returns:
        The written images.

    Raises:
        InputError: unreadable input, a photograph without a box, a notch outside all boxes, or a name that would be
            written twice. Nothing is written then.
    """
    check_size(size)
    samples = read_boxes(boxes, images, annotator=annotator)
    for line in labelstudio.left_out(samples):
        warnings.warn(f"{boxes}: {line}", stacklevel=2)
    planned = _planned_names(samples, boxes)
    for name in ("images", "annotation.json"):
        place = out / name
        if place.is_file() or (place.is_dir() and any(place.iterdir())):
            raise InputError(f"the output folder already holds {name}", path=out, remedy="choose an empty --out folder")
    # Everything is made aside first, so that a damaged photograph at the end leaves nothing half done.
    partial = out / f".crop.{os.getpid()}.partial"
    try:
        (partial / "images").mkdir(parents=True)
        written = [
            crop for sample, names in zip(samples, planned, strict=True)
            for crop in _crops(sample, names, partial / "images", size, boxes)
        ]  # fmt: skip
        if any(len(points) for sample in written for points in sample.points.values()):
            labelstudio.write(partial / "annotation.json", written, names=LABEL_NAMES)
            (partial / "annotation.json").replace(out / "annotation.json")
        (partial / "images").replace(out / "images")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=out, remedy="check the folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [out / "images" / sample.image.name for sample in written]


def _crops(sample: Sample, names: list[str], folder: Path, size: int, source: Path) -> list[Sample]:
    """The dials of one photograph, written into ``folder``, with their points in pixels of the crops."""
    photograph = read_image(sample.image)
    try:
        # Percentages carry rounding; without this a box of whole pixels would grow by one.
        boxes = pixel_boxes(np.round(sample.boxes, 6), photograph.shape[:2])  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(error.reason, path=source, row=sample.image.name, remedy=error.remedy) from error
    shares = _shares(sample, boxes, source)
    crops: list[Sample] = []
    for name, (x1, y1, x2, y2), share in zip(names, boxes, shares, strict=True):
        into = letterbox((int(y2 - y1), int(x2 - x1)), size)
        write_image(folder / name, into.image(np.ascontiguousarray(photograph[y1:y2, x1:x2]), (size, size)))
        corner = np.array([x1, y1], dtype=np.float64)
        # Rounding may carry a point on the very edge of its box a hair beyond the crop.
        moved = {channel: np.clip(into.points(points - corner), 0, size) for channel, points in share.items()}
        visible = {channel: np.full(len(points), 2) for channel, points in moved.items()}
        crops.append(Sample(image=folder / name, points=moved, visible=visible, size=(size, size)))
    return crops


def _shares(sample: Sample, boxes: np.ndarray, source: Path) -> list[dict[str, FloatArray]]:
    """For each box the points that belong to it: its own in COCO, those that lie in it in Label Studio."""
    shares: list[dict[str, FloatArray]] = [{} for _ in boxes]
    by_row = "image_id" in sample.meta
    for channel, points in sample.points.items():
        seen = sample.visible[channel] > 0
        inside = [
            seen & (points >= (x1, y1)).all(axis=1) & (points <= (x2, y2)).all(axis=1) for x1, y1, x2, y2 in boxes
        ]
        if by_row:
            inside = [mine & (np.arange(len(points)) == number) for number, mine in enumerate(inside)]
        lost = seen & ~np.any(inside, axis=0)
        if lost.any():
            x, y = points[lost][0]
            raise InputError(
                f"{lost.sum()} {channel} notch(es) lie outside the box, the first at ({x:.1f}, {y:.1f}) px",
                path=source, row=sample.image.name, remedy="draw the rectangle round the whole dial",
            )  # fmt: skip
        for share, mine in zip(shares, inside, strict=True):
            share[channel] = points[mine]
    return shares


def heatmaps(
    annotation: Path, directory: Path, size: int, *, sigma: float, allow_missing: bool, annotator: str | None = None
) -> list[Path]:
    """Write ``labels/<stem>.npy`` and ``labels/<stem>.json`` for every image of ``directory/images``.

    The maps are float32 ``(3, size, size)``, channels start, middle, end, Gaussians of peak 1 at the sub-pixel place,
    overlaps by maximum; an image that is not square lies in them as it will be letterboxed.

    Args:
        annotation: Label Studio JSON; a name that is no file here is looked for in ``directory``.
        sigma: standard deviation in pixels of a 448 x 448 map; it scales with ``size``.
        annotator: whose annotation to take (id or e-mail), where there are several.

    Raises:
        InputError: anything wrong in the annotation, an image without one or twice; nothing is written then.
    """
    check_size(size)
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError(f"sigma must be positive, got {sigma}", remedy="8 is usual")
    annotation = find_annotation(annotation, directory)
    found = read_labelstudio(annotation, directory / "images", annotator=annotator)
    rows: dict[str, str] = {}
    for image, annotated in found.items():
        row = f"{annotated.row} ({image.name})"
        wrong = check_points(annotated.points, annotation, row, allow_missing=allow_missing)
        if wrong is not None:
            raise wrong
        if image.suffix.lower() not in IMAGE_ENDINGS or image.parent != directory / "images":
            remedy = f"put it right into images/ as {', '.join(IMAGE_ENDINGS)}"
            raise InputError(f"{image} is none that training reads", path=annotation, row=row, remedy=remedy)
        if image.stem in rows:
            reason = f"two images are named {image.stem!r}, the other in {rows[image.stem]}"
            raise InputError(reason, path=annotation, row=row, remedy="rename one of them")
        rows[image.stem] = row
    for image in image_files(directory / "images"):
        if image not in found:
            raise InputError(f"this image has no task in {annotation}", path=image, remedy="label it, or take it out")
    sizes: dict[Path, Size] = {image: read_image(image).shape[:2] for image in found}  # type: ignore[misc]
    labels = directory / "labels"
    for image, annotated in found.items():
        write_json(labels / f"{image.stem}.json", points_json(image.name, sizes[image], annotated.points))
        _write_array(labels / f"{image.stem}.npy", encode(annotated.points, sizes[image], size, sigma))
    return [labels / f"{image.stem}.npy" for image in found]


def find_annotation(annotation: Path, directory: Path) -> Path:
    """The file itself, or where it is none the file of that name in ``directory``."""
    return directory / annotation if not annotation.is_file() and (directory / annotation).is_file() else annotation


def annotation_problems(annotation: Path, directory: Path, annotator: str | None) -> list[InputError]:
    """Everything that keeps :func:`heatmaps` from reading the annotation, by task."""
    path = find_annotation(annotation, directory)
    return labelstudio.problems(path, directory / "images", names=ALIASES, annotator=annotator)


def encode(points: Mapping[str, FloatArray], image: Size, size: int, sigma: float) -> np.ndarray:
    """Heatmaps ``(3, size, size)`` of an image's points; ``sigma`` in pixels at 448."""
    into = letterbox(image, size)
    sets = [into.points(points[name]) for name in CHANNELS]
    return encode_sets(sets, (size, size), 1.0, sigma * size / REFERENCE_SIZE)


def read_boxes(
    path: Path, images: Path, *, only: Collection[Path] | None = None, annotator: str | None = None
) -> list[Sample]:
    """Photographs with their boxes and notches by channel, from Label Studio rectangles or COCO.

    With ``only`` the file may name other photographs as well, which need not be there.

    Raises:
        InputError: an unreadable file, photographs without a box (all are named), or a point of an unknown name.
    """
    if isinstance(read_json(path), dict):
        samples = [_renamed(sample, path) for sample in coco.read(path, images=images, only=only)]
    else:
        samples = labelstudio.read(path, images=images, names=ALIASES, only=only, annotator=annotator)
    if not samples and only is None:
        raise InputError("no photographs in this file", path=path, remedy="export the boxes again")
    refuse_without_box([sample.image.name for sample in samples if not len(sample.boxes)], path)
    return samples


def box_problems(path: Path, images: Path, annotator: str | None = None) -> list[InputError]:
    """Everything that keeps :func:`read_boxes` from reading the boxes of a folder of photographs."""
    found: list[InputError] = []
    document = isinstance(read_json(path), dict)
    walked = coco.walk(path, images, None) if document else labelstudio.walk(path, images, ALIASES, annotator)
    for entry in walked:
        if isinstance(entry, InputError):
            found.append(entry)
        elif not len(entry.boxes):
            row, remedy = entry.image.name, "draw a rectangle round the dial"
            found.append(InputError("no box", path=path, row=row, remedy=remedy))
    return found


def without_task(path: Path, images: Path, annotator: str | None = None) -> list[str]:
    """Names of the photographs in a folder that a file of boxes does not know."""
    known = {sample.image.resolve() for sample in read_boxes(path, images, annotator=annotator)}
    return [image.name for image in image_files(images) if image.resolve() not in known]


def refuse_without_box(names: Sequence[str], path: Path) -> None:
    """Refuse photographs of these names, which have no box in the file ``path``; all stand in the message."""
    if names:
        raise InputError(f"no box for {', '.join(names)}", path=path, remedy="draw a rectangle round each dial")


def _renamed(sample: Sample, path: Path) -> Sample:
    """A COCO sample with its key points' names brought to the channels' (one name a row, so rows stay instances)."""
    unknown = sorted(set(name for name in sample.points if name.strip().lower() not in ALIASES))
    if unknown:
        raise InputError(
            f"unknown key points: {', '.join(map(repr, unknown))}", path=path, row=sample.image.name,
            remedy=f"known, in any case: {', '.join(sorted(ALIASES))}",
        )  # fmt: skip
    names = {name: ALIASES[name.strip().lower()] for name in sample.points}
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if twice:
        both = " and ".join(repr(name) for name, channel in names.items() if channel == twice[0])
        raise InputError(f"{both} mean the same", path=path, row=sample.image.name, remedy="keep one of the names")
    points = {names[name]: values for name, values in sample.points.items()}
    visible = {names[name]: values for name, values in sample.visible.items()}
    return Sample(
        image=sample.image, points=points, visible=visible, size=sample.size, boxes=sample.boxes, meta=sample.meta
    )


def _planned_names(samples: list[Sample], path: Path) -> list[list[str]]:
    taken: set[str] = set()
    planned: list[list[str]] = []
    for sample in samples:
        stem, ending = sample.image.stem, sample.image.suffix.lower()
        ending = ending if ending in WRITTEN else ".png"
        count = len(sample.boxes)
        names = [f"{stem}{ending}" if count == 1 else f"{stem}_{number}{ending}" for number in range(1, count + 1)]
        for name in names:
            if Path(name).stem in taken:
                raise InputError(f"{Path(name).stem!r} would be written twice", path=path, row=sample.image.name,
                                 remedy="rename a photograph")  # fmt: skip
            taken.add(Path(name).stem)
        planned.append(names)
    return planned


def _write_array(path: Path, array: np.ndarray) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.save(file, array)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=path, remedy="check folder and disk") from error
    finally:
        partial.unlink(missing_ok=True)
