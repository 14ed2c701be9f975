"""Which files a command was given: found, looked at, and named in what it writes. No torch here."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kaname.data.naming import no_image, only_images
from kaname.data.video import is_video
from kaname.errors import InputError
from kaname.geometry.image import image_size


def checked(files: Iterable[Path]) -> list[Path]:
    """The files, by their headers alone: a wrong one among thousands is found before the work, not after it."""
    chosen = list(files)
    if not chosen:
        raise InputError("no image to predict", remedy="name images, a folder or a video after the verb")
    for path in chosen:
        if not is_video(path):
            image_size(path)
    return chosen


def expand(sources: Sequence[Path], without: Path | None = None) -> Iterator[Path]:
    """All files; given a folder to leave out, those below each folder too."""
    for source in sources:
        if source.is_dir() and without is not None:
            from kaname.data.formats.landmarks_names import images_below  # here, because few ask for it

            own = without.resolve()
            below = [name for name in images_below(source) if not (source / name).resolve().is_relative_to(own)]
            if not below:
                raise no_image(source)
            yield from (source / name for name in below)
        elif source.is_dir():
            files, left_out = only_images(source)
            for line in left_out:
                print(line)
            yield from files
        elif source.is_file():
            yield source
        else:
            raise InputError("there is no such file", path=source, remedy="check the path")


def row_names(files: Sequence[Path]) -> list[str]:
    """Base names where they are unique, else the paths as given."""
    names = [path.name for path in files]
    return names if len(set(names)) == len(names) else [path.as_posix() for path in files]


def sheets(images: Sequence[Path]) -> list[str]:
    """What the pictures of images are called, without ending: by their stems, else by what tells their paths apart.

    >>> sheets([Path("set/x/a.png"), Path("set/y/a.png"), Path("set/b.png")])
    ['x_a', 'y_a', 'b']
    """
    names = row_names(images)
    if len({path.name for path in images}) < len(images):
        whole = [path.absolute() for path in images]
        root = os.path.commonpath([path.parent for path in whole])
        names = [path.relative_to(root).as_posix() for path in whole]
    return [name.removesuffix(".jpg") for name in picture_names(names)]


def picture_names(names: Sequence[str]) -> list[str]:
    """A .jpg for each row's name; images that differ in their ending alone keep it in the picture's name.

    >>> picture_names(["a.png", "b.png", "b.jpg"])
    ['a.jpg', 'b.png.jpg', 'b.jpg.jpg']
    """
    flat = [name.strip("/").replace("/", "_") for name in names]
    stems = [Path(name).stem for name in flat]
    chosen: list[str] = []
    for stem, name in zip(stems, flat, strict=True):
        wanted = stem if stems.count(stem) == 1 else name
        numbered = (f"{wanted}_{number}" for number in itertools.count(2))
        chosen.append(next(one for one in itertools.chain([wanted], numbered) if one not in chosen))
    return [f"{name}.jpg" for name in chosen]
