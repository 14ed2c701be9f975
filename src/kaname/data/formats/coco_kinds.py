"""What a COCO file has of a category: its number, and whether all of its instances are crowds."""

from __future__ import annotations

from pathlib import Path

from kaname.data.formats import coco
from kaname.data.formats.listed import read_listed
from kaname.errors import InputError

NO_CROWD = "set their iscrowd to 0 if each is one object (CVAT writes 1 for masks that were drawn with a brush)"


def number_of(path: Path, category: str) -> int | None:
    """The id of the category of a name in a file; None where it is no whole number, or where several have the name."""
    content = read_listed(path, "annotations", lambda number, entry: None)
    categories = content.get("categories") if isinstance(content, dict) else None
    named = [one.get("id") for one in categories or () if isinstance(one, dict) and one.get("name") == category]
    return named[0] if len(named) == 1 and isinstance(named[0], int) else None


def all_crowds(path: Path, category: str) -> InputError | None:
    """What is wrong with a file whose instances of a category, a name or a number, are all crowds."""
    samples = coco.read(path, category=int(category) if category.isdecimal() else category)
    crowds = sum(sample.meta["crowd"] for sample in samples)
    if not crowds or any(len(sample.boxes) for sample in samples):
        return None
    return InputError(f"no target: its {crowds} instances are crowds", path=path, remedy=NO_CROWD)
