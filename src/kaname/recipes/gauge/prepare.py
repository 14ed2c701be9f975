"""From an annotation to training labels: heatmaps and exact points; and to sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kaname.codecs.heatmap import encode_sets
from kaname.data.formats import labelstudio
from kaname.data.formats import points as points_json
from kaname.data.formats.files import IMAGE_ENDINGS, image_files
from kaname.data.naming import images_in
from kaname.data.pairs import sets
from kaname.errors import InputError, require
from kaname.files import whole_file, whole_folder
from kaname.geometry.image import image_size, read_image
from kaname.pipeline.flags import report_problems
from kaname.pipeline.split import SplitFlags, Unit, divide, place, say_next, shares_of
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.labels import ALIASES, Dial, letterbox, of
from kaname.types import FloatArray, Sample, Size

# Of the backbones that dials are read with: DINOv2; DINOv3 and the plain ViT (and, twice 16, the small U-Net).
PATCHES = (14, 16)


def check_size(size: int) -> None:
    """Refuse a size that is a multiple of no backbone's patch.

    Raises:
        InputError: naming the nearest size that is one.
    """
    if size < min(PATCHES) or all(size % patch for patch in PATCHES):
        nearest = min((max(1, round(size / patch)) * patch for patch in PATCHES), key=lambda legal: abs(legal - size))
        patches = ", ".join(map(str, PATCHES))
        reason = f"size must be a multiple of the network's patch ({patches}), got {size}"
        raise InputError(reason, remedy=f"nearest {nearest}")


def heatmaps(
    annotation: Path, directory: Path, size: int, *, sigma: float, allow_missing: bool, annotator: str | None = None
) -> list[Path]:
    """Write ``labels/<stem>.npy`` and ``labels/<stem>.json`` for every image of ``directory/images``.

    The maps are float32 ``(3, size, size)``, channels start, middle, end, Gaussians of peak 1 at the exact position,
    overlaps by maximum; an image that is not square lies in them as it will be letterboxed.

    Args:
        annotation: Label Studio JSON.
        sigma: standard deviation in pixels of a 448 x 448 map; it scales with ``size``.
        annotator: whose annotation to take (id or e-mail), where there are several.

    Raises:
        InputError: anything wrong in the annotation, an image without a task or with two; nothing is written then.
    """
    require(np.isfinite(sigma) and sigma > 0, f"sigma must be positive, got {sigma}", "8 is usual")
    labels = of(allow_missing=allow_missing)
    annotated = labels.read_labelstudio(annotation, directory / "images", annotator=annotator)
    rows: dict[str, str] = {}
    for image, (points, task) in annotated.items():
        row = f"{task} ({image.name})"
        wrong = labels.check(points, annotation, row)
        if wrong is not None:
            raise wrong
        if image.suffix.lower() not in IMAGE_ENDINGS or image.parent != directory / "images":
            remedy = f"put it directly into images/ as {', '.join(IMAGE_ENDINGS)}"
            raise InputError(f"training does not read {image}", path=annotation, row=row, remedy=remedy)
        if image.stem in rows:
            reason = f"two images are named {image.stem!r}, the other one in {rows[image.stem]}"
            raise InputError(reason, path=annotation, row=row, remedy="rename one of them")
        rows[image.stem] = row
    for image in image_files(directory / "images"):
        if image not in annotated:
            raise InputError(f"this image has no task in {annotation}", path=image, remedy="label it, or take it out")
    sizes: dict[Path, Size] = {image: read_image(image).shape[:2] for image in annotated}  # type: ignore[misc]
    place = directory / "labels"
    for image, (points, _) in annotated.items():
        points_json.write_labels(place / f"{image.stem}.json", Sample(image, points, size=sizes[image]))
        with whole_file(place / f"{image.stem}.npy", "wb") as file:
            np.save(file, encode(points, sizes[image], size, sigma))
    return [place / f"{image.stem}.npy" for image in annotated]


def encode(points: Mapping[str, FloatArray], image: Size, size: int, sigma: float) -> np.ndarray:
    """Heatmaps ``(3, size, size)`` of an image's points; ``sigma`` in pixels at 448."""
    into = letterbox(image, size)
    sets = [into.points(points[name]) for name in CHANNELS]
    return encode_sets(sets, (size, size), 1.0, sigma * size / REFERENCE_SIZE)


def split(
    annotation: Path | None,
    images: Path | None,
    data: Path | None,
    out: Path,
    flags: SplitFlags,
    *,
    annotator: str | None = None,
) -> None:
    """Write ``out/{train,val,test}/{images,labels}`` of labelled dials.

    Args:
        annotation: Label Studio JSON.
        images: the folder of its images; default: as the export says, beside it.
        data: instead of both, a folder with ``images`` and ``labels``.
        out: a new folder.
        annotator: whose annotation to take (id or e-mail), where there are several.

    Raises:
        InputError: bad usage or labels, or what `kaname.pipeline.split.divide` refuses; nothing is written then.
    """
    shares_of(flags)
    if (annotation is None) == (data is None):
        raise InputError("split needs labelled dials", remedy="give --annotation FILE --images DIR, or --directory DIR")
    if annotation is not None:
        dials, root = _annotated(annotation, images or _images_beside(annotation), annotator)
    else:
        dials, root = _in_folder(data), data / "images"  # type: ignore[operator,arg-type]
    units = [Unit(dial.image.relative_to(root).as_posix(), dial.image) for dial in dials]
    parts = divide(units, flags, what="dials")
    with whole_folder(out) as folder:
        for name, members in parts.items():
            for dial in (dials[number] for number in members):
                _put(dial, Path(folder) / name)
    known = [dial.points for dial in dials if dial.points is not None]
    also = [] if all(len(points["start"]) and len(points["end"]) for points in known) else ["--allow-missing"]
    say_next(["gauge", "check", "--data", out, *also], ["gauge", "train", "--data", out, *also])


def _annotated(annotation: Path, images: Path, annotator: str | None) -> tuple[list[Dial], Path]:
    """The dials of an export and the folder that their paths are in."""
    report_problems(labelstudio.problems(annotation, images, names=ALIASES, annotator=annotator))
    found = of(allow_missing=True).read_labelstudio(annotation, images, annotator=annotator)
    stems: dict[str, Path] = {}
    for image in found:
        if (other := stems.setdefault(image.stem, image)) is not image:
            reason = f"two images are named {image.stem!r}, the other one is {other}"
            raise InputError(reason, path=image, remedy="rename one of them")
        if image.suffix.lower() not in IMAGE_ENDINGS:
            raise InputError("training does not read such images", path=image, remedy=f"use {', '.join(IMAGE_ENDINGS)}")
    known = {image.resolve() for image in found}
    if others := [path.name for path in images_in(images)[0] if path.resolve() not in known]:
        print(f"left out of {images}, not in {annotation.name}: {', '.join(others)}")
    return [Dial(image, points, None) for image, (points, _) in sorted(found.items())], images


def _images_beside(annotation: Path) -> Path:
    """Where the images of an export are if nobody says."""
    for folder in (annotation.parent / "images", annotation.parent):
        if folder.is_dir() and images_in(folder)[0]:
            return folder
    raise InputError("no images beside this file", path=annotation, remedy="give --images DIR")


def _in_folder(data: Path) -> list[Dial]:
    """The dials of a folder that is not divided yet."""
    folders = sets(data)
    if list(folders) != ["all"]:
        reason = f"it is divided already: {', '.join(folders)}"
        raise InputError(reason, path=data, remedy="train with it, or give a folder with images/ and labels/")
    labels = of(allow_missing=True)
    report_problems(list(labels.problems(data)))
    return labels.read(data)


def _put(dial: Dial, folder: Path) -> None:
    """A dial with its labels, in a set."""
    place(dial.image, folder / "images" / dial.image.name)
    if dial.heatmaps is not None:
        place(dial.heatmaps, folder / "labels" / f"{dial.name}.npy")
    if dial.points is not None:
        path = folder / "labels" / f"{dial.name}.json"
        points_json.write_labels(path, Sample(dial.image, dial.points, size=image_size(dial.image)))
