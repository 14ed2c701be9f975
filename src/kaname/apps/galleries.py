"""The picture galleries that ``kaname landmark crawl`` knows: how each is asked, and what it says of a post.

Adding a gallery: its entry in :data:`GALLERIES`. One of the two families of sites (Gelbooru's and Danbooru's programs)
needs no more; another family needs its own words in :func:`read_post` and :meth:`Gallery.search_url`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import quote_plus, urlsplit

from kaname.errors import InputError

Rating = Literal["safe", "sensitive", "questionable", "explicit"]
RATINGS: tuple[Rating, ...] = ("safe", "sensitive", "questionable", "explicit")
# The same letter means two things: Danbooru's "s" is "sensitive", that of Gelbooru's program is "safe".
_WORDS: dict[str, dict[str, Rating]] = {
    "gelbooru": {"s": "safe", "g": "safe", "general": "safe"},
    "danbooru": {"g": "safe", "general": "safe", "s": "sensitive"},
}
_LETTERS: dict[str, Rating] = {"q": "questionable", "e": "explicit"}
# Of Danbooru's words with a colon these do not count as tags.
_FREE = re.compile(
    "-?(status|rating|limit|is|date|age|filesize|filetype|parent|child|md5|width|height|duration|mpixels|ratio|score|"
    "upvote|downvotes|favcount|embedded|tagcount|pixiv_id|pixiv):"
)
_OURS = ("id:", "order:", "sort:", "limit:")


@dataclass(frozen=True)
class Gallery:
    """A site, and how many posts a page of its holds.

    Attributes:
        family: whose program it runs, which decides the API.
        root: its address.
        page: posts of one answer.
        own_module: gallery-dl's module for it.
        module: gallery-dl's module for sites of this program that a configuration may add; a mirror is one.
        tells_artist: whether its lists say who the artist is; its pages do.
        needs_key: whether it answers only with an API key and a user.
        free_tags: how many tags a search may have without an account; None: any number.
    """

    name: str
    family: Literal["gelbooru", "danbooru"]
    root: str
    page: int
    own_module: str
    module: str
    tells_artist: bool = False
    needs_key: bool = False
    free_tags: int | None = None

    def search_url(self, root: str, tags: str) -> str:
        """The address of the page that lists the posts with these tags."""
        words = quote_plus(tags)
        if self.family == "danbooru":
            return f"{root}/posts?tags={words}"
        return f"{root}/index.php?page=post&s=list&tags={words}"

    def post_url(self, root: str, number: int) -> str:
        """The address of the page of one post."""
        if self.family == "danbooru":
            return f"{root}/posts/{number}"
        return f"{root}/index.php?page=post&s=view&id={number}"


GALLERIES = {
    "safebooru": Gallery("safebooru", "gelbooru", "https://safebooru.org", 100, "gelbooru_v02", "gelbooru_v02"),
    "danbooru": Gallery(
        "danbooru",
        "danbooru",
        "https://danbooru.donmai.us",
        200,
        "danbooru",
        "Danbooru",
        tells_artist=True,
        free_tags=2,
    ),
    "gelbooru": Gallery(
        "gelbooru", "gelbooru", "https://gelbooru.com", 100, "gelbooru", "gelbooru_v02", needs_key=True
    ),
}


@dataclass(frozen=True)
class Post:
    """One picture as a gallery lists it.

    Attributes:
        url: of the file.
        rating: the gallery's own word.
        artist: as tagged; None where the listing does not tell.
        size: ``(height, width)``; (0, 0) where the listing does not tell.
        ending: of the file, such as ``".jpg"``.
    """

    id: int
    url: str
    tags: tuple[str, ...]
    rating: str
    artist: str | None
    size: tuple[int, int]
    ending: str


def read_post(url: str, entry: Mapping[str, Any]) -> Post:
    """A post from what gallery-dl tells of it.

    Raises:
        KeyError, ValueError: it has no number.
    """
    tags = entry.get("tag_string") or entry.get("tags") or ()
    words = tags.split() if isinstance(tags, str) else [str(tag) for tag in tags]
    artists = entry.get("tag_string_artist") or entry.get("tags_artist") or ()
    names = artists.split() if isinstance(artists, str) else [str(name) for name in artists]
    height, width = (entry.get(f"image_{side}") or entry.get(side) or 0 for side in ("height", "width"))
    return Post(
        id=int(entry["id"]),
        url=url,
        tags=tuple(html.unescape(word) for word in words),
        rating=str(entry.get("rating") or "unknown"),
        artist=", ".join(html.unescape(name) for name in names) or None,
        size=(int(height), int(width)),
        ending=PurePosixPath(urlsplit(url).path).suffix.lower(),
    )


def rating_of(gallery: Gallery, post: Post) -> Rating:
    """A post's rating in one scale; a word that nobody knows counts as the strongest."""
    word = post.rating.lower()
    known: dict[str, Rating] = {rating: rating for rating in RATINGS}
    known |= _LETTERS | _WORDS[gallery.family]
    return known.get(word, "explicit")


def checked_root(gallery: Gallery, root: str | None) -> str:
    """The address of the site or of its mirror, without a slash at its end.

    Raises:
        InputError: not an address of a web page, or one with a password in it.
    """
    if root is None:
        return gallery.root
    parts = urlsplit(root)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"--root {root!r} is not an address", remedy="write it like https://booru.example.org")
    if parts.username or parts.password:
        raise InputError("--root holds a user or a password", remedy="give keys by --user-id and --api-key")
    return root.rstrip("/")


def checked_tags(gallery: Gallery, tags: str, *, account: bool) -> str:
    """The tags of a search with one blank between them.

    Raises:
        InputError: none; one that the crawl itself sets; more than the gallery takes without an account.
    """
    words = tags.split()
    if not words:
        raise InputError("--tags names no tag", remedy='give some, as --tags "animal_ears solo 1girl"')
    for word in words:
        if word.lower().lstrip("-~").startswith(_OURS):
            reason = f"--tags holds {word!r}, but the crawl itself goes from post to post, newest first"
            raise InputError(reason, remedy="leave it out")
    counted = [word for word in words if not _FREE.match(word.lower())]
    if gallery.free_tags is not None and not account and len(counted) > gallery.free_tags:
        reason = f"{gallery.name} takes at most {gallery.free_tags} tags without an account, got {len(counted)}"
        first = " ".join(counted[: gallery.free_tags])
        raise InputError(reason, remedy=f'give --username and --api-key, or fewer tags, as --tags "{first}"')
    return " ".join(words)
