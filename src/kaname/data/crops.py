"""Cropping boxes out of photographs, with the points that lie in them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data import boxes
from kaname.data.formats import labelstudio
from kaname.errors import InputError
from kaname.files import whole_folder
from kaname.geometry.affine import Affine
from kaname.geometry.boxes import pixel_boxes
from kaname.geometry.image import read_image, write_image
from kaname.types import Sample, Size

WRITTEN = (".jpg", ".jpeg", ".png")


def crop(
    images: Path,
    source: Path,
    out: Path,
    size: int,
    *,
    labels: Mapping[str, str],
    **how: Any,
) -> list[Path]:
    """Cut every box out of its photograph, pad it to a square with black and resize it to ``size``.

    Writes ``out/images`` and, where the file of boxes also holds points, ``out/annotation.json`` (Label Studio) with
    the points moved along. A photograph with several boxes gives ``<stem>_1``, ``<stem>_2``, ... A box that reaches
    beyond its photograph is cut off at the border.

    Args:
        images: folder of the photographs.
        source: as `kaname.data.boxes.read` takes it.
        labels: from a name to the label that is written.
        how: the fields of `kaname.data.boxes.Reading`.

    Returns:
        The written images.

    Raises:
        InputError: unreadable input, a photograph without a box, a point outside all boxes, or a name that would be
            written twice. Nothing is written then.
    """
    samples = boxes.read(source, images, **how)
    planned = _planned_names(samples, source)
    for name in ("images", "annotation.json"):
        place = out / name
        if place.is_file() or (place.is_dir() and any(place.iterdir())):
            raise InputError(f"the output folder already has {name}", path=out, remedy="choose an empty --out folder")
    # All crops appear at once, so that a damaged photograph at the end leaves nothing half done.
    with whole_folder(out / "images") as folder:
        each = (_crops(*known, folder, size, source) for known in zip(samples, planned, strict=True))
        written = [crop for crops in each for crop in crops]
        if any(len(points) for sample in written for points in sample.points.values()):
            labelstudio.write(out / "annotation.json", written, names=labels)
    return [out / "images" / sample.image.name for sample in written]


def _crops(sample: Sample, names: list[str], folder: Path, size: int, source: Path) -> list[Sample]:
    """The crops of one photograph, written into ``folder``, with their points in pixels of the crops."""
    photograph = read_image(sample.image)
    try:
        # Percentages carry rounding; without this a box of whole pixels would grow by one.
        cuts = pixel_boxes(np.round(sample.boxes, 6), photograph.shape[:2])  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(error.reason, path=source, row=sample.image.name, remedy=error.remedy) from error
    cuts = _with_points(sample, cuts, photograph.shape[:2])  # type: ignore[arg-type]
    shares = _shares(sample, cuts, source)
    crops: list[Sample] = []
    for name, (x1, y1, x2, y2), share in zip(names, cuts, shares, strict=True):
        into = Affine.letterbox((int(y2 - y1), int(x2 - x1)), (size, size))
        write_image(folder / name, into.image(np.ascontiguousarray(photograph[y1:y2, x1:x2]), (size, size)))
        corner = np.array([x1, y1], dtype=np.float64)
        # Rounding may carry a point on the very edge of its box a hair beyond the crop.
        own = {channel: sample.points[channel][mine] for channel, mine in share.items()}
        moved = {channel: np.clip(into.points(points - corner), 0, size) for channel, points in own.items()}
        visible = {channel: sample.visible[channel][mine] for channel, mine in share.items()}
        crops.append(Sample(image=folder / name, points=moved, visible=visible, size=(size, size)))
    return crops


def _with_points(sample: Sample, cuts: np.ndarray, size: Size) -> np.ndarray:
    """Boxes of a COCO file grown by the pixels that its points lie in, where these begin within a pixel of the box.

    A box that is the extent of key points ends at their places; of pixel indices the pixels lie beyond it.
    """
    if "image_id" not in sample.meta:
        return cuts
    grown = cuts.copy()
    for channel, points in sample.points.items():
        for row, (x, y) in enumerate(points):
            x1, y1, x2, y2 = cuts[row]
            if sample.visible[channel][row] == 0 or not (x1 - 1 <= x <= x2 + 1 and y1 - 1 <= y <= y2 + 1):
                continue
            low, high = np.floor([x, y]).astype(int), np.ceil([x, y]).astype(int)
            grown[row, :2] = np.maximum(np.minimum(grown[row, :2], low), 0)
            grown[row, 2:] = np.minimum(np.maximum(grown[row, 2:], high), size[::-1])
    return grown


def _shares(sample: Sample, cuts: np.ndarray, source: Path) -> list[dict[str, np.ndarray]]:
    """For each box and name which points ``(N,)`` belong to it: its own in COCO, those in it in Label Studio."""
    shares: list[dict[str, np.ndarray]] = [{} for _ in cuts]
    by_row = "image_id" in sample.meta
    for channel, points in sample.points.items():
        seen = sample.visible[channel] > 0
        inside = [seen & (points >= (x1, y1)).all(axis=1) & (points <= (x2, y2)).all(axis=1) for x1, y1, x2, y2 in cuts]
        if by_row:
            inside = [mine & (np.arange(len(points)) == number) for number, mine in enumerate(inside)]
        lost = seen & ~np.any(inside, axis=0)
        if lost.any():
            x, y = points[lost][0]
            reason = f"{lost.sum()} of the points {channel!r} lie outside the box, the first at ({x:.1f}, {y:.1f}) px"
            remedy = "draw the rectangle round all of it"
            raise InputError(reason, path=source, row=sample.image.name, remedy=remedy)
        for share, mine in zip(shares, inside, strict=True):
            share[channel] = mine
    return shares


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
                reason = f"{Path(name).stem!r} would be written twice"
                raise InputError(reason, path=path, row=sample.image.name, remedy="rename a photograph")
            taken.add(Path(name).stem)
        planned.append(names)
    return planned
