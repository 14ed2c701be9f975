"""Which image of a set COCO results are about, and of which category they are: of masks, and of a detector's boxes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from kaname.data.formats import masks as files
from kaname.data.formats.masks import Result as Entry
from kaname.errors import InputError
from kaname.pipeline.answers import made
from kaname.recipes.roimask.labels import Photo


def with_bare(photos: Sequence[Photo]) -> list[Photo]:
    """All images of a set, those without an instance too: whatever is found in them is wrong."""
    return [one for photo in photos for one in (photo, *photo.bare)]


class Images:
    """The images of a set by what results call them: a file's name, the label file's id, or a name without its ending
    (as a number where it is one)."""

    def __init__(self, photos: Sequence[Photo]) -> None:
        self.ids = {str(photo.image_id): photo for photo in photos}
        self.names: dict[str, list[Photo]] = {}
        self.stems: dict[str, list[Photo]] = {}
        for photo in photos:
            self.names.setdefault(photo.source, []).append(photo)
            stem = photo.image.stem
            for key in {stem, str(int(stem)) if stem.isascii() and stem.isdecimal() else stem}:
                self.stems.setdefault(key, []).append(photo)

    def find(self, image_id: int | str, name: str = "") -> Photo | None:
        """The image of an id, or of a file's name, which comes first; None where there is none.

        Raises:
            InputError: several images of the name, and the id is of none of them.
        """
        by_id, named = self.ids.get(str(image_id)), self.names.get(Path(name).name, [])
        if not named and by_id is None:
            named = self.stems.get(str(image_id), [])
        if not named or any(one is by_id for one in named):
            return by_id
        if len(named) > 1:
            both = " or ".join(str(photo.image) for photo in named[:2])
            raise InputError(
                f"the image {name or image_id!r} may be {both}", remedy="give it the label file's image_id"
            )
        return named[0]


def of_category(path: Path, photos: Sequence[Photo]) -> list[Entry]:
    """The results of a file; of another program's, which may know many categories, those of the annotated one."""
    entries = files.read_results(path)
    wanted = photos[0].category_id if photos else None
    if wanted is None or made(path).get("model") is not None:
        return entries
    chosen = [entry for entry in entries if entry.category_id == wanted]
    warn_others(path, len(entries) - len(chosen), wanted)
    return chosen


def warn_others(path: Path, count: int, wanted: int) -> None:
    """Say how many results of a file are of other categories."""
    if count:
        warnings.warn(f"{path}: {count} of another category than {wanted} are left out", stacklevel=2)


def by_image(entries: Sequence[Entry], photos: Sequence[Photo], path: Path) -> dict[int | str, list[Entry]]:
    """Results by the id of their image, which they give or whose name they have; of other images they are left out.

    Raises:
        InputError: results of other images alone, or of one that may be one of several.
    """
    images = Images(photos)
    found: dict[int | str, list[Entry]] = {}
    others: dict[str, str] = {}  # by what they call an image the first result
    for number, entry in enumerate(entries, 1):
        row, remedy = f"result {number}", "predict the images of this set"
        try:
            photo = images.find(entry.image_id, entry.image)
        except InputError as error:
            raise InputError(error.reason, path=path, row=row, remedy=error.remedy) from error
        if photo is None:
            others.setdefault(repr(entry.image_id), row)
            continue
        if entry.size != photo.size:
            reason = f"predicted on {entry.size[1]} x {entry.size[0]}, the image has {photo.size[1]} x {photo.size[0]}"
            raise InputError(reason, path=path, row=row, remedy=remedy)
        found.setdefault(photo.image_id, []).append(entry)
    if others and not found:
        image, row = next(iter(others.items()))
        reason = f"a mask of the image {image}, which is not in this set"
        raise InputError(reason, path=path, row=row, remedy="predict the images of this set")
    if others:
        warnings.warn(f"{path}: not in this set and not scored: {', '.join(list(others)[:5])}", stacklevel=2)
    return found
