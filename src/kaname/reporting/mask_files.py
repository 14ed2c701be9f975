"""Masks of an image as pictures on disk: one PNG a person, and cut-outs with transparency."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from kaname.codecs.mask_regions import PLAIN, Choice, Region, regions
from kaname.errors import InputError
from kaname.files import whole_file
from kaname.geometry.image import write_image
from kaname.types import Image, Masks

MASKS, CUTOUTS = "masks", "cutouts"
WHITE = 255


def write_pictures(
    folder: Path, name: str, masks: Masks, choice: Choice = PLAIN, *, cutouts_from: Image | None = None
) -> list[Path]:
    """Write ``FOLDER/masks/NAME_0.png`` and so on: grey, of the image's size, 255 inside; numbers are those of boxes.

    Args:
        folder: where to; made where it is missing.
        name: of the image, without ending.
        masks: of one image; each is pasted, written and forgotten before the next.
        choice: how probabilities become masks.
        cutouts_from: the image, RGB uint8 ``(h, w, 3)``: also write ``FOLDER/cutouts/NAME_0.png`` and so on, RGBA, the
            part of the image in the box with everything but the person transparent (and black, so that nothing of
            others is in the file). Where the box has no pixel it is one transparent pixel.

    Returns:
        The files, in the order of the boxes.

    Raises:
        InputError: the image is not of the masks' size, or the folder cannot be written.
    """
    if cutouts_from is not None and cutouts_from.shape[:2] != tuple(masks.size):
        raise InputError(f"masks of an image of {masks.size} and an image of {cutouts_from.shape[:2]}")
    files: list[Path] = []
    for number, region in enumerate(regions(masks, choice)):
        path = folder / MASKS / f"{name}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = np.zeros(masks.size, np.uint8)
        whole[region.rows, region.columns][region.inside] = WHITE
        write_image(path, whole)
        files.append(path)
        if cutouts_from is not None:
            files.append(folder / CUTOUTS / path.name)
            _write_rgba(files[-1], cut_out(cutouts_from, region))
    return files


def cut_out(image: Image, region: Region) -> Image:
    """RGBA uint8 ``(h, w, 4)``: a part of the image, transparent outside the mask."""
    inside = region.inside
    if not inside.size:
        return np.zeros((1, 1, 4), np.uint8)
    colours = np.where(inside[..., None], image[region.rows, region.columns], 0)
    return np.dstack([colours, np.where(inside, WHITE, 0)]).astype(np.uint8)


def _write_rgba(path: Path, picture: Image) -> None:
    code = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA))[1]
    with whole_file(path, "wb", parents=True) as file:
        file.write(code.tobytes())
