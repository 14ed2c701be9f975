"""Files by their names: endings, numbers, what lies in a folder."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kaname.errors import InputError, refuse_names

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
VIDEO_ENDINGS = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mts", ".m2ts", ".ts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"),
)


def video_file(folder: Path, name: str) -> Path:
    """The video of a name in a folder, in whatever container; where there is none, the mp4 that it would be."""
    usual = folder / f"{name}{VIDEO_ENDINGS[0]}"
    if usual.is_file() or not folder.is_dir():
        return usual
    found = {path.suffix.lower(): path for path in folder.iterdir() if path.stem == name and path.is_file()}
    return next((found[ending] for ending in VIDEO_ENDINGS if ending in found), usual)


def order(name: str) -> tuple[tuple[str, int, str], ...]:
    """The key that sorts names as people count: ``9.jpg`` before ``10.jpg``, ``game2`` before ``game10``.

    >>> sorted(["Clip10", "Clip2", "Clip1"], key=order)
    ['Clip1', 'Clip2', 'Clip10']
    """
    parts = re.split(r"([0-9]+)", name.casefold())
    digits = [*parts[1::2], "0"]
    return tuple(zip(parts[::2], map(int, digits), digits, strict=True))


def digest_of_names(names: Sequence[str]) -> str:
    """A hash of names and their order, without the folder in which they all lie: it may move.

    >>> digest_of_names(["a/x.jpg", "a/y.jpg"]) == digest_of_names(["b/c/x.jpg", "b/c/y.jpg"])
    True
    >>> digest_of_names(["a/x.jpg", "a/y.jpg"]) == digest_of_names(["a/x.jpg", "a/z.jpg"])
    False
    """
    folders = {os.path.dirname(name) for name in names}
    common = len(os.path.commonpath(folders)) if folders else 0
    text = "\0".join(name[common:] for name in names)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def holes(names: Sequence[str]) -> list[int]:
    """Where numbers are missing: positions in ``names`` (in their order) before which a larger step lies than usual.

    >>> holes(["0002.jpg", "0003.jpg", "0006.jpg"]), holes(["0.jpg", "5.jpg", "10.jpg"]), holes(["a.jpg", "c.jpg"])
    ([2], [], [])
    """
    parts = [re.split(r"([0-9]+)", name.rpartition(".")[0] or name) for name in names]
    if len({tuple(part[::2]) for part in parts}) != 1:  # not numbered alike
        return []
    varying = [place for place in range(1, len(parts[0]), 2) if len({part[place] for part in parts}) > 1]
    if len(varying) != 1:
        return []
    numbers = [int(part[varying[0]]) for part in parts]
    steps = [later - number for number, later in itertools.pairwise(numbers)]
    usual, count = Counter(steps).most_common(1)[0]
    if len(steps) > 2 and 2 * count <= len(steps):  # no regular step: time stamps, say
        return []
    return [place for place, step in enumerate(steps, 1) if step >= 2 * max(1, min(usual, *steps))]


def images_in(folder: Path) -> tuple[list[Path], list[str]]:
    """The images directly in a folder, sorted, and the names of its other files; hidden files are skipped.

    Raises:
        InputError: a name that is not UTF-8.
    """
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    refuse_names(visible)
    images = [path for path in visible if path.suffix.lower() in IMAGE_ENDINGS]
    return images, [path.name for path in visible if path.is_file() and path.suffix.lower() not in IMAGE_ENDINGS]


def folders_of_images(folder: Path) -> list[str]:
    """The names of the folders in a folder that hold images, but for hidden ones and pictures that kaname has drawn."""
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path.name for path in below if images_in(path)[0] and not any(path.glob(".kaname-*.json"))]


def only_images(folder: Path) -> tuple[list[Path], list[str]]:
    """The images directly in a folder, and a line on each kind of what is left out.

    Raises:
        InputError: not one image.
    """
    (files, others), further = images_in(folder), folders_of_images(folder)
    if not files:
        raise no_image(folder)
    kinds = {"not images by their names": others, "folders in it that hold images": further}
    return files, [f"left out of {folder}, {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]


def videos_in(folder: Path) -> list[str]:
    """The names of the videos directly in a folder, sorted."""
    found = (path.name for path in folder.iterdir() if path.suffix.lower() in VIDEO_ENDINGS)
    return sorted(name for name in found if name[0] != ".")


def no_image(folder: Path, remedy: str = "give a folder of images") -> InputError:
    """The error of a folder without an image, which may be one of videos or of further folders."""
    videos, further = videos_in(folder), folders_of_images(folder)
    remedy = f"give the folders in it that hold images: {', '.join(further)}" if further else remedy
    remedy = f"name the videos themselves: {folder / videos[0]} ..." if videos else remedy
    return InputError("the folder contains no image", path=folder, remedy=remedy)
