"""The walk through a gallery's posts: what is wanted, what came, and where the next run goes on.

``.crawl`` in the folder of the images holds ``archive.json``, the numbers of all posts that were kept or rejected and
how far each search came, and what is being downloaded. A file is decoded there; it gets its sidecar, and then its name
among the images.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaname.apps.galleries import RATINGS, Post, Rating, rating_of
from kaname.apps.gallery_dl import IN_A_ROW, Client, SiteError, too_many_lost
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.files import writing
from kaname.geometry.image import SUFFIXES, read_image
from kaname.progress import Bar

HIDDEN, REJECTED = ".crawl", ".rejected"
_ASKED = 3  # times for a page that comes empty, because galleries now and then answer so
_GONE = ("404", "410")  # all other failures are tried again by the next run
_PAGES = 20  # whose artists one call asks for


@dataclass(frozen=True)
class Wanted:
    """How many new images, of which rating at most, and how many pixels their shorter side has at least."""

    limit: int
    rating: Rating
    min_size: int


@dataclass
class Harvest:
    """What a crawl brought.

    Attributes:
        kept: the new images.
        rejected: what cannot be used, moved to ``.rejected``, and why.
        failed: posts whose file did not come, and why.
        passed: why other posts were passed over, with their count.
        posts: how many were looked at.
        exhausted: whether the search has no further posts.
    """

    kept: list[Path] = field(default_factory=list)
    rejected: list[tuple[Path, str]] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    passed: Counter[str] = field(default_factory=Counter)
    posts: int = 0
    exhausted: bool = False


class Archive:
    """The posts that were seen in earlier runs, and how far each search came.

    A search keeps the highest number it has seen, and the stretches of numbers under it that it has not looked at.
    """

    def __init__(self, path: Path, gallery: str, search: str) -> None:
        self.path = path
        self._content: dict[str, Any] = read_json(path) if path.is_file() else {}
        try:
            own = self._content.setdefault(gallery, {"seen": [], "searches": {}})
            self.seen: set[int] = set(own["seen"])
            state = own["searches"].get(search, {"top": 0, "open": []})
            self.top = int(state["top"])
            # Where this search stopped comes first, then what was added since.
            self.stretches: list[tuple[int | None, int]] = [(int(a), int(b)) for a, b in state["open"]]
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise InputError("not an archive of a crawl", path=path, remedy="delete it to begin anew") from error
        self.stretches.append((None, self.top))
        self.later: list[tuple[int, int]] = []  # for the next run
        self._own, self._search = own, search

    def reach(self, number: int) -> None:
        """The first stretch is done down to the post ``number``."""
        _, after = self.stretches[0]
        self.stretches[0] = (number, after)

    def write(self) -> None:
        """Store it, whole or not at all."""
        begun = [stretch for stretch in self.stretches if stretch[0] is not None] + self.later
        self._own["seen"] = sorted(self.seen)
        self._own["searches"][self._search] = {"top": self.top, "open": begun}
        write_json(self.path, self._content)


class Harvester:
    """A crawl of one search into one folder."""

    def __init__(self, client: Client, folder: Path, wanted: Wanted, bar: Bar) -> None:
        self.client, self.folder, self.wanted, self.bar = client, folder, wanted, bar
        self.result = Harvest()
        name = client.gallery.name
        search = f"{' '.join(sorted(set(client.tags.split())))} | {wanted.rating} | {wanted.min_size}"
        self.archive = Archive(folder / HIDDEN / "archive.json", name, search)
        # A run that was killed has kept files that its archive does not know.
        found = (re.fullmatch(rf"{name}_(\d+)\.\w+", path.name) for path in images_below(folder))
        self._known = self.archive.seen | {int(match[1]) for match in found if match}
        self._incoming = folder / HIDDEN / "incoming"
        self._by_tag = True
        self._lost = 0

    def run(self) -> None:
        """Look at posts until as many images as wanted are there; `result` holds what came, also after an error."""
        try:
            while self.archive.stretches and self._missing():
                self._look(self.archive.stretches[0])
        finally:
            if self.result.posts:
                self.archive.write()
            for place in (self._incoming / "parts", self._incoming):
                with contextlib.suppress(OSError):
                    place.rmdir()  # unless something is half downloaded
        self.result.exhausted = self._missing() > 0

    def name_artists(self) -> int:
        """Put the artists into the sidecars of the new images that lack them; returns how many still do."""
        facts = {path: read_json(sidecar_path(path)) for path in self.result.kept}
        facts = {path: content for path, content in facts.items() if content["artist"] is None}
        if self.client.gallery.tells_artist:
            return len(facts)
        rest = list(facts.items())
        with Bar("artists", len(rest), speak=self.bar.speak) as bar:
            for start in range(0, len(rest), _PAGES):
                part = rest[start : start + _PAGES]
                names = self.client.artists([content["id"] for _, content in part])
                for path, content in part:
                    if name := names.get(content["id"]):
                        write_json(sidecar_path(path), content | {"artist": name})
                        facts.pop(path)
                if not names:
                    break
                bar.advance(len(part))
        return len(facts)

    def _missing(self) -> int:
        return self.wanted.limit - len(self.result.kept)

    def _look(self, stretch: tuple[int | None, int]) -> None:
        """Look at the next page of a stretch."""
        before, after = stretch
        page = self._page(before)
        posts = [post for post in page if post.id > after]
        if before is None and posts:
            # From here on the stretch is a part of what is stored: whoever ends this run, the next one looks at it.
            self.archive.top = posts[0].id
            self.archive.reach(posts[0].id + 1)
        while posts and self._missing():
            chosen: list[Post] = []
            while posts and len(chosen) < self._missing():
                post = posts.pop(0)
                self.result.posts += 1
                if reason := self._unwanted(post):
                    self.result.passed[reason] += 1
                else:
                    chosen.append(post)
                last = post.id
            if chosen:
                self._fetch(chosen)
            self.archive.reach(last)
            self.archive.write()
        if not posts and (not page or page[-1].id <= after + 1):
            self.archive.stretches.pop(0)
            if self.result.posts:
                self.archive.write()

    def _page(self, before: int | None) -> list[Post]:
        """The next posts under ``before``, none where the search has no more."""
        for attempt in range(_ASKED):
            if attempt:
                time.sleep(self.client.manners.pause)
            try:
                page = self.client.page(before, by_tag=self._by_tag)
            except SiteError as error:
                if not (self._by_tag and before is not None and error.status == 422):
                    raise
                self._by_tag = False  # an older Danbooru counts id:<N as a tag
                page = self.client.page(before, by_tag=False)
            if before is not None and any(post.id >= before for post in page):
                self._by_tag = False  # this site does not know id:<N
                page = self.client.page(before, by_tag=False)
            if page:
                return page
        if before is not None and self._by_tag and self.client.gallery.family == "danbooru":
            # A program that looks like Danbooru may take id:<N for an unknown tag; gallery-dl pages by id there.
            if page := self.client.page(before, by_tag=False):
                self._by_tag = False
            return page
        return []

    def _unwanted(self, post: Post) -> str | None:
        """Why a post is passed over."""
        gallery, wanted = self.client.gallery, self.wanted
        if post.id in self._known:
            return "already here"
        if post.ending and post.ending not in SUFFIXES:
            return "not still pictures"
        if RATINGS.index(rating_of(gallery, post)) > RATINGS.index(wanted.rating):
            return f"of a rating beyond {wanted.rating}"
        if 0 < min(post.size) < wanted.min_size:
            return f"smaller than {wanted.min_size} pixels"
        return None

    def _fetch(self, posts: Sequence[Post]) -> None:
        """Download the files of some posts, and look at each as it comes."""
        wanted = {post.id: post for post in posts}
        came: set[int] = set()

        def done(path: Path) -> None:
            match = re.fullmatch(r"\w+?_(\d+)\.\w+", path.name)
            if match and (post := wanted.get(int(match[1]))) and post.id not in came:
                came.add(post.id)
                self._take(post, path)

        with writing(self._incoming):
            self._incoming.mkdir(parents=True, exist_ok=True)
        failed: dict[int, str] = {}
        for _ in range(_ASKED):  # the page may come empty when it is asked for again
            if rest := [post for post in posts if post.id not in came and post.id not in failed]:
                failed |= self.client.download(rest, self._incoming, done, by_tag=self._by_tag)
        for post in posts:
            if post.id not in came:
                reason = failed.get(post.id, "the gallery did not list it again")
                self.result.failed[post.id] = reason
                if not reason.startswith(_GONE):
                    self.archive.later.append((post.id + 1, post.id - 1))
        self._lost = 0 if came else self._lost + len(posts)
        if self._lost >= IN_A_ROW:
            raise too_many_lost(self.client.root, self.result.failed[posts[-1].id])

    def _take(self, post: Post, path: Path) -> None:
        """Keep a file that came, with its sidecar, or reject it."""
        try:
            height, width = read_image(path).shape[:2]
            if path.suffix.lower() not in SUFFIXES:
                raise InputError(f"a file of the kind {path.suffix} is no still picture")
            if min(height, width) < self.wanted.min_size:
                raise InputError(f"{width} x {height}, smaller than {self.wanted.min_size} pixels")
        except InputError as error:
            target = self.folder / REJECTED / path.name
            self.result.rejected.append((target, error.reason))
        else:
            target = self.folder / path.name
            # The sidecar first: an image among the others always has one.
            write_json(sidecar_path(target), self._sidecar(post))
            self.result.kept.append(target)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        self.archive.seen.add(post.id)
        if target.parent == self.folder:
            self.bar.advance()

    def _sidecar(self, post: Post) -> dict[str, Any]:
        gallery = self.client.gallery
        return {
            "source": gallery.name,
            "id": post.id,
            "url": post.url,
            "page": gallery.post_url(self.client.root, post.id),
            "artist": post.artist,
            "tags": list(post.tags),
            "rating": post.rating,
        }


def images_below(folder: Path) -> list[Path]:
    """The images in a folder and its sub-folders, sorted; hidden files and folders are not looked into."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def sidecar_path(image: Path) -> Path:
    """Where the facts about a crawled image stand."""
    return image.with_name(f"{image.name}.json")
