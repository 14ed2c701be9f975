"""What the image that a Label Studio task names may be called on the disk."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from kaname.data.formats.files import IMAGE_ENDINGS, alike, tails

IMAGE_KEYS = ("img", "image")  # of the data, under which an image usually stands
_PREFIX = re.compile(r"[0-9a-f]{8}-")  # what an upload puts before the file's name


def source_path(source: str) -> str:
    """The path that a task names, decoded; of an upload, whose folders are the server's own, the name alone.

    >>> source_path("/data/local-files/?d=cam1/a%20b.jpg"), source_path("/data/upload/1/222ae49e-a.jpg")
    ('cam1/a b.jpg', '222ae49e-a.jpg')
    """
    path = unquote(path_of(source)).replace("\\", "/")
    return path.rpartition("/")[2] if "/upload/" in source else path


def cut_from(source: str, name: str) -> str | None:
    """The name in a task, where a file of another name was only found by cutting a prefix that no upload puts there.

    >>> cut_from("/data/local-files/?d=dials/left-001.jpg", "001.jpg")
    'left-001.jpg'
    >>> cut_from("/data/upload/1/222ae49e-a.jpg", "a.jpg"), cut_from("/data/upload/1/a-b.jpg", "a-b.jpg")
    (None, None)
    """
    base = path_of(source).replace("\\", "/").rpartition("/")[2]
    plain = any(alike(one, name) for one in (base, unquote(base)))
    return None if plain or _PREFIX.match(base) else unquote(base)


def file_names(source: str) -> list[str]:
    """The names that an image may have locally, the one that says most first, with ``/`` between folders.

    An upload is kept as ``<8 hexadecimal digits>-<name>``; other tools put other prefixes before the first ``-``. A
    file of the whole name comes before one of the name without a prefix.

    >>> file_names("dials/left-1.jpg")
    ['dials/left-1.jpg', 'left-1.jpg', 'dials/1.jpg', '1.jpg']
    >>> file_names("/data/local-files/?d=dials/a.jpg")
    ['dials/a.jpg', 'a.jpg']
    """
    upload = "/upload/" in source
    # As written first, then with %20 and the like decoded: either may be the true name.
    paths = [name for raw in dict.fromkeys([path_of(source), unquote(path_of(source))]) for name in tails(raw)]
    # Longer paths say more, but an upload's folders are the server's own.
    paths.sort(key=lambda name: name.count("/") if upload else -name.count("/"))
    parts = [name.rpartition("/") for name in paths]
    cut = [f"{folders}{slash}{short}" for folders, slash, base in parts if (short := base.partition("-")[2])]
    return list(dict.fromkeys([*paths, *cut]))


def local_name(source: str) -> str:
    """The likeliest name of an image's file, where no folder can be looked into.

    >>> local_name("222ae49e-my-dial.jpg"), local_name("my-dial.jpg")
    ('my-dial.jpg', 'my-dial.jpg')
    """
    base = unquote(path_of(source)).replace("\\", "/").rstrip("/").rpartition("/")[2]
    prefixed = "/upload/" in source or _PREFIX.match(base) is not None
    return base.partition("-")[2] or base if prefixed else base


def path_of(source: str) -> str:
    """The path of a file name or of an address: without scheme, host and query; of local files the ``d=`` part."""
    source = source.strip()
    if "/local-files/" in source and "?" in source:
        given = parse_qs(source.partition("?")[2]).get("d")
        if given:
            return given[0]
    if "://" in source:
        return urlsplit(source).path
    # A name may hold "?" or "#" itself; only what looks like a query after an image's ending is one.
    query = re.search(r"(\.\w{2,5})\?[\w.~%-]+=", source)
    return source[: query.end(1)] if query else source


def looks_like_image(value: str) -> bool:
    """Whether a text names an image file."""
    return path_of(value).lower().endswith(IMAGE_ENDINGS)


def images_of(data: Mapping[str, Any]) -> dict[str, str]:
    """The images that a task's data names, by key; those of a list by key and number.

    >>> images_of({"image": "a.jpg", "text": "b"}), images_of({"pages": ["a.jpg", "b.jpg"]})
    ({'image': 'a.jpg'}, {'pages[0]': 'a.jpg', 'pages[1]': 'b.jpg'})
    """
    found: dict[str, str] = {}
    for key, value in data.items():
        several = isinstance(value, list)
        for number, one in enumerate(value if several else [value]):
            if isinstance(one, str) and one.strip() and (looks_like_image(one) or key in IMAGE_KEYS):
                found[f"{key}[{number}]" if several and len(value) > 1 else str(key)] = one
    return found


def key_of(target: str | None, images: Collection[str]) -> str | None:
    """The key of a task's data whose image the results of a name (``to_name``) are on; None where that is not clear.

    >>> key_of("img-1", ["image", "ref"]), key_of("ref", ["image", "ref"]), key_of("refimg", ["image", "ref"])
    ('image', 'ref', None)
    """
    if target in images:
        return target
    usual = [key for key in IMAGE_KEYS if key in images]
    plain = target is None or re.sub(r"[\W_\d]", "", target.casefold()) in IMAGE_KEYS
    return usual[0] if plain and usual else None
