"""Which entry of a label file an image belongs to: the one whose path agrees with the file's on most of its parts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kaname.data.formats.files import Folder, depth

RIVAL = "keep one of the two, or rename one image"


@dataclass(frozen=True)
class Entry:
    """An image as a label file names it.

    Attributes:
        row: where in the file, for messages.
        source: its path there.
        image: the file that was found for it, perhaps by a part of that path.
    """

    row: str
    source: str
    image: Path | None


class Rival(NamedTuple):
    """Why an entry does not have its image; ``tied``: it has as good a claim to it as another one."""

    reason: str
    tied: bool


def wanted(entry: Entry, rival: Rival | None, only: Collection[Path] | None) -> bool:
    """Whether an entry is about one of some resolved files; where there are none, every entry is wanted."""
    if only is None:
        return True
    return entry.image is not None and (rival is None or rival.tied) and entry.image.resolve() in only


def rivals(entries: Sequence[Entry], folder: Folder | None = None) -> dict[int, Rival]:
    """The entries that do not have the image that was found for them, by their numbers.

    The longest path in common wins; where two agree equally, the second is named with the first. An entry whose path
    names another file exactly (from a folder above) has that one.

    >>> own, other = Entry("1", "train/a.jpg", Path("train/a.jpg")), Entry("2", "val/a.jpg", Path("train/a.jpg"))
    >>> rivals([other, own])[0].reason
    "the image 'a.jpg' also belongs to 1, whose path 'train/a.jpg' agrees better than 'val/a.jpg'"
    """
    members: dict[Path, list[int]] = {}
    for number, entry in enumerate(entries):
        if entry.image is not None:
            members.setdefault(entry.image, []).append(number)
    found: dict[int, Rival] = {}
    for image, numbers in members.items():
        ranks = [depth(entries[number].source, image) for number in numbers]
        winner = numbers[ranks.index(max(ranks))]
        first = entries[winner]
        for number, rank in zip(numbers, ranks, strict=True):
            source = entries[number].source
            if number == winner:
                other = None if folder is None else folder.elsewhere(source, image)
                if other is not None:
                    found[number] = Rival(f"{source!r} is {other}, not {image}", tied=False)
            elif rank < max(ranks):
                better = f"whose path {first.source!r} agrees better than {source!r}"
                found[number] = Rival(f"the image {image.name!r} also belongs to {first.row}, {better}", tied=False)
            else:
                both = "" if source == first.source else f": {source!r} and {first.source!r} may both be it"
                found[number] = Rival(f"the image {image.name!r} also belongs to {first.row}{both}", tied=True)
    return found
