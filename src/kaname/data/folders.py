"""What lies in a folder: images, videos, further folders."""

from __future__ import annotations

from pathlib import Path

from kaname.data.naming import IMAGE_ENDINGS, VIDEO_ENDINGS
from kaname.errors import InputError, refuse_names


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
