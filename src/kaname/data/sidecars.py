"""What the crawler wrote beside images (``a.png.json``): where they come from, and which of them are of one series."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.data.formats.files import read_json
from kaname.data.formats.landmarks_file import is_sidecar

SERIES_KEYS = ("series", "parent", "parent_id", "pool")
NEIGHBOURS = 10  # post ids of one artist that lie no further apart are one series
_PAGE = re.compile(r"^(.+?)[_-]p\d+$")  # the pages of one work


def sidecar_of(image: Path) -> Mapping[str, Any]:
    """What the crawler wrote beside an image (``a.png.json``); empty where it wrote nothing.

    Raises:
        InputError: it is not JSON.
    """
    path = image.with_name(f"{image.name}.json")
    content = read_json(path) if path.is_file() else {}
    return content if is_sidecar(content) else {}


def series_of(images: Sequence[Path]) -> list[list[tuple[Any, ...]]]:
    """For each image the names of the series that it belongs to, by its name and its sidecar."""
    keys: list[list[tuple[Any, ...]]] = [[] for _ in images]
    posts: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, image in enumerate(images):
        if match := _PAGE.match(image.stem):
            keys[number].append(("pages", str(image.parent), match[1]))
        sidecar = sidecar_of(image)
        source = str(sidecar.get("source"))
        keys[number] += [(key, source, str(sidecar[key])) for key in SERIES_KEYS if sidecar.get(key)]
        artist, post = sidecar.get("artist"), str(sidecar.get("id"))
        if artist and post.isdecimal():
            posts.setdefault((source, str(artist)), []).append((int(post), number))
    for (source, artist), group in posts.items():
        first, before = 0, 0
        for post, number in sorted(group):
            first = first if post - before <= NEIGHBOURS else post
            keys[number].append(("posts", source, artist, first))
            before = post
    return keys


def tags_of(images: Sequence[Path]) -> tuple[Counter[str], int]:
    """How often the sidecars of images name each tag, and how many images have a sidecar."""
    counts: Counter[str] = Counter()
    found = 0
    for image in images:
        sidecar = sidecar_of(image)
        found += bool(sidecar)
        tags = sidecar.get("tags") or []
        counts.update(dict.fromkeys(tags.split() if isinstance(tags, str) else map(str, tags), 1))
    return counts, found
