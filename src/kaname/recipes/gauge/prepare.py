"""From an annotation to training labels: heatmaps and exact points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kaname.codecs.heatmap import encode_sets
from kaname.data.formats import points as points_json
from kaname.data.formats.files import IMAGE_ENDINGS, image_files
from kaname.errors import InputError, require
from kaname.files import whole_file
from kaname.geometry.image import read_image
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.labels import letterbox, of
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
