"""Which entry of a label file an image belongs to: the one whose path agrees with the file's on most of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kaname.data.formats.files import Folder, depth


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


def rivals(entries: Sequence[Entry], folder: Folder | None = None) -> dict[int, str]:
    """The entries that do not have the image that was found for them, by their numbers, and why.

    The longest path in common wins; where two agree equally, the second is named with the first. An entry whose path
    names another file exactly (from a folder above) has that one.

    >>> own, other = Entry("1", "train/a.jpg", Path("train/a.jpg")), Entry("2", "val/a.jpg", Path("train/a.jpg"))
    >>> rivals([other, own])
    {0: "'val/a.jpg' is missing: 'a.jpg' in train is 'train/a.jpg' of 1"}
    """
    members: dict[Path, list[int]] = {}
    for number, entry in enumerate(entries):
        if entry.image is not None:
            members.setdefault(entry.image, []).append(number)
    reasons: dict[int, str] = {}
    for image, numbers in members.items():
        ranks = [depth(entries[number].source, image) for number in numbers]
        winner = numbers[ranks.index(max(ranks))]
        first = entries[winner]
        for number, rank in zip(numbers, ranks, strict=True):
            source = entries[number].source
            if number == winner:
                other = None if folder is None else folder.elsewhere(source, image)
                if other is not None:
                    reasons[number] = f"{source!r} is {other}, not {image}"
            elif rank < max(ranks):
                reasons[number] = f"{source!r} is missing: {image.name!r} in {image.parent} is {first.source!r} of {first.row}"
            else:
                both = "" if source == first.source else f": {source!r} and {first.source!r} may both be it"
                reasons[number] = f"the image {image.name!r} also belongs to {first.row}{both}"
    return reasons
