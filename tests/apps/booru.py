"""A picture gallery on this machine that speaks the APIs of Gelbooru (XML and JSON) and of Danbooru (JSON)."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np

RATINGS = {"g": "general", "s": "sensitive", "q": "questionable", "e": "explicit"}


def picture(seed: int, *, ending: str = "png", side: int = 96) -> bytes:
    """An image file of smooth colours that differ from seed to seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    done, data = cv2.imencode(f".{ending}", cv2.resize(coarse, (side, side + 8), interpolation=cv2.INTER_CUBIC))
    assert done
    return data.tobytes()


@dataclass
class Entry:
    """One post; ``size`` is (height, width) as the gallery states it."""

    id: int
    data: bytes
    tags: str = "animal_ears solo"
    rating: str = "g"
    ending: str = "png"
    size: tuple[int, int] = (104, 96)
    artist: str = "some_artist"


def entries(*ids: int, **options: Any) -> list[Entry]:
    return [Entry(number, picture(number), **options) for number in ids]


def numbers(folder: Path) -> list[int]:
    """The posts whose images lie in a folder, each with its sidecar."""
    images = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".json"]
    assert {f"{path.name}.json" for path in images} == {path.name for path in folder.glob("*.json")}
    return sorted(int(path.stem.rpartition("_")[2]) for path in images)


@dataclass
class Booru:
    """What the gallery holds, what it was asked, and the troubles it is to make.

    Attributes:
        troubles: by what is asked for (``"list"``, ``"view"`` for a post's page, or a post's number for its file): what
            the next answers are instead, a status, ``"empty"``, ``"slow"`` or ``""`` for a good one; the last one stays
            where ``forever`` names what is asked for.
        key: what it wants as (user, API key); None: nothing.
        knows_ids: whether it understands ``id:<N``.
    """

    entries: list[Entry]
    troubles: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))
    forever: set[str] = field(default_factory=set)
    key: tuple[str, str] | None = None
    knows_ids: bool = True
    asked: list[str] = field(default_factory=list)
    root: str = ""

    def found(self, tags: str) -> list[Entry]:
        """The posts that a search finds, newest first."""
        rest = sorted(self.entries, key=lambda entry: -entry.id)
        for word in tags.split():
            if word.startswith("id:<") and self.knows_ids:
                rest = [entry for entry in rest if entry.id < int(word[4:])]
            elif not word.startswith("id:"):
                rest = [entry for entry in rest if word in entry.tags.split()]
        return rest

    def trouble(self, what: str) -> int | str:
        """What is wrong with the next answer; nothing mostly."""
        left = self.troubles[what]
        return (left[0] if what in self.forever and len(left) == 1 else left.pop(0)) if left else ""

    def lists(self) -> list[str]:
        """The requests for lists of posts."""
        return [path for path in self.asked if "/files/" not in path]


@contextlib.contextmanager
def serving(entries: list[Entry], **options: Any) -> Iterator[Booru]:
    """A gallery that answers for as long as the block lasts."""
    booru = Booru(entries, **options)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            booru.asked.append(self.path)
            status, kind, data = _answer(booru, self.path, self.headers.get("Authorization", ""))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    booru.root = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield booru
    finally:
        server.shutdown()
        server.server_close()


def _answer(booru: Booru, path: str, authorization: str) -> tuple[int, str, bytes]:
    """Status, content type and content of what a request gets."""
    parts = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.path.startswith("/files/"):
        number = parts.path.rpartition("/")[2].partition(".")[0]
        trouble = booru.trouble(number)
        entry = next((entry for entry in booru.entries if str(entry.id) == number), None)
        if isinstance(trouble, int) or entry is None:
            return int(trouble or 404), "text/plain", b"no"
        return 200, f"image/{entry.ending}", entry.data
    if query.get("s") == "view":
        return _view(booru, query)
    trouble = booru.trouble("list")
    if isinstance(trouble, int):
        return trouble, "text/plain", b"no"
    if trouble == "slow":
        time.sleep(1.5)
    if parts.path == "/posts.json":
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[::2]
        if booru.key and given != booru.key:
            return 401, "application/json", b'{"error": "no"}'
        return 200, "application/json", _danbooru(booru, query, trouble == "empty")
    if booru.key and (query.get("user_id"), query.get("api_key")) != booru.key:
        return 401, "text/plain", b"Missing authentication"
    rest = booru.found(query.get("tags", ""))
    if "id" in query:
        rest = [entry for entry in booru.entries if entry.id == int(query["id"])]
    start, count = int(query.get("pid", 0)) * int(query["limit"]), int(query["limit"])
    page = [] if trouble == "empty" else rest[start : start + count]
    posts = "".join(f"<post {_attributes(booru, entry)} />" for entry in page)
    return 200, "text/xml", f'<posts count="{len(rest)}" offset="{start}">{posts}</posts>'.encode()


def _view(booru: Booru, query: dict[str, str]) -> tuple[int, str, bytes]:
    """The page of a post."""
    trouble = booru.trouble("view")
    entry = next(entry for entry in booru.entries if entry.id == int(query["id"]))
    tag = f'<li class="tag-type-artist tag"><a href="index.php?page=post&amp;tags={entry.artist}">?</a></li>'
    html = f'<html><ul id="tag-sidebar">{tag if entry.artist else ""}</ul></html>'
    return int(trouble or 200), "text/html", html.encode()


def _attributes(booru: Booru, entry: Entry) -> str:
    height, width = entry.size
    values = {
        "id": entry.id, "tags": f" {entry.tags} ", "rating": RATINGS[entry.rating], "md5": f"{entry.id:032x}",
        "file_url": f"{booru.root}/files/{entry.id}.{entry.ending}", "width": width, "height": height,
        "created_at": "Sat Nov 28 15:40:21 +0000 2026", "source": "", "has_notes": "false",
    }  # fmt: skip
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def _danbooru(booru: Booru, query: dict[str, str], empty: bool) -> bytes:
    rest, page, count = booru.found(query.get("tags", "")), query.get("page", "1"), int(query["limit"])
    if page.startswith("b"):
        rest = [entry for entry in rest if entry.id < int(page[1:])]
        page = "1"
    start = (int(page) - 1) * count
    posts = [
        {
            "id": entry.id, "created_at": "2026-11-28T15:40:21.000+00:00", "rating": entry.rating,
            "md5": f"{entry.id:032x}", "source": "", "file_url": f"{booru.root}/files/{entry.id}.{entry.ending}",
            "image_width": entry.size[1], "image_height": entry.size[0], "file_ext": entry.ending,
            "tag_string": f"{entry.tags} {entry.artist}", "tag_string_artist": entry.artist,
            "tag_string_general": entry.tags, "tag_string_character": "", "tag_string_copyright": "",
            "tag_string_meta": "",
        }
        for entry in ([] if empty else rest[start : start + count])
    ]  # fmt: skip
    return json.dumps(posts).encode()
