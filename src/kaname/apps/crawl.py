"""``kaname landmark crawl``: pictures by tags from a gallery, each with what the gallery says of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from kaname.config import nearest
from kaname.errors import InputError
from kaname.pipeline.flags import OUT_NAMES

if TYPE_CHECKING:
    from kaname.apps.galleries import Gallery
    from kaname.apps.gallery_dl import Account, Client
    from kaname.apps.harvest import Harvest, Wanted
    from kaname.data.split import NearDuplicate


def crawl(
    *,
    tags: Annotated[str, Parameter(help="Tags that a picture has, all of them, with blanks between.")],
    source: Annotated[Literal["safebooru", "danbooru", "gelbooru"], Parameter(help="The gallery.")] = "safebooru",
    limit: Annotated[int, Parameter(help="New images to fetch.")] = 100,
    output_dir: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder of the images.")] = Path("data/raw"),
    rating: Annotated[
        Literal["safe", "sensitive", "questionable", "explicit"], Parameter(help="The strongest rating that is taken.")
    ] = "safe",
    min_size: Annotated[int, Parameter(help="Pixels that the shorter side has at least.")] = 0,
    root: Annotated[str | None, Parameter(help="Address of a mirror; default: the gallery's own.")] = None,
    api_key: Annotated[
        str | None, Parameter(help="Key of your account; better in the environment, as GELBOORU_API_KEY.")
    ] = None,
    user_id: Annotated[
        str | None,
        Parameter(
            name=["--user-id", "--username", "--login"], help="Your account: Gelbooru's number, Danbooru's name."
        ),
    ] = None,
    artists: Annotated[
        bool, Parameter(help="Ask for the page of each image whose artist the gallery's lists do not tell.")
    ] = True,
    pause: Annotated[float, Parameter(help="Seconds between two requests.")] = 0.5,
    retries: Annotated[int, Parameter(help="Further tries of a request that fails.")] = 4,
    timeout: Annotated[float, Parameter(help="Seconds after which a request counts as failed.")] = 30.0,
) -> None:
    """Pictures by tags from Safebooru, Danbooru or Gelbooru, each with a sidecar of source, artist, tags and rating.

    A second run brings the next ones. Files that cannot be read go to ``.rejected``; copies are listed.
    """
    # Here, so that help answers without NumPy.
    from kaname.apps.galleries import GALLERIES, checked_root, checked_tags
    from kaname.apps.gallery_dl import Client, Manners, find_program
    from kaname.apps.harvest import Wanted

    if source not in GALLERIES:
        raise InputError(f"unknown --source {source!r}", remedy=nearest(source, list(GALLERIES)))
    at_least({"limit": limit}, 1)
    at_least({"min-size": min_size, "pause": pause, "retries": retries}, 0)
    at_least({"timeout": timeout}, 0.1)
    gallery = GALLERIES[source]
    account = _account(gallery, api_key, user_id)
    address = checked_root(gallery, root)
    words = checked_tags(gallery, tags, account=bool(account))
    client = Client(find_program(), gallery, address, words, account, Manners(pause, retries, timeout))
    gather(client, output_dir, Wanted(limit, rating, min_size), artists=artists)


def gather(client: Client, folder: Path, wanted: Wanted, *, artists: bool) -> None:
    """Crawl, and print what came.

    Raises:
        InputError: the gallery refuses, cannot be reached, or has no such posts. What came before stays.
    """
    from kaname.apps.harvest import Harvester
    from kaname.progress import Bar

    with alone(folder):
        with Bar("crawl", wanted.limit) as bar:
            harvester = Harvester(client, folder, wanted, bar)
            try:
                harvester.run()
            except InputError:
                if harvester.result.posts:
                    report(harvester.result, folder, wanted)
                raise
        unknown = harvester.name_artists() if artists else 0
    if not harvester.result.posts and not harvester.archive.top:
        reason = f"{client.root} has no post with the tags {client.tags!r}"
        raise InputError(reason, remedy="check how the gallery writes them")
    report(harvester.result, folder, wanted)
    if unknown:
        print(f"the artists of {unknown} images are not known: look at their pages")
    report_copies(harvester.result.kept, folder)


def at_least(flags: dict[str, float], least: float) -> None:
    """Refuse numbers that are too small, not finite, or beyond sense."""
    for name, value in flags.items():
        if not least <= value <= 1e6:
            raise InputError(f"--{name} must lie in {least}..1000000, got {value}", remedy="leave it out")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One crawl at a time into a folder."""
    from kaname.apps.harvest import HIDDEN
    from kaname.lock import Held, locked

    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder / HIDDEN, reason="another crawl fills this folder"))
        except Held as error:
            remedy = "wait for its end, or choose another --output-dir"
            raise InputError(error.reason, path=folder, remedy=remedy) from error
        yield


def _account(gallery: Gallery, api_key: str | None, user_id: str | None) -> Account:
    """Who asks, from the flags or the environment.

    Raises:
        InputError: half an account, or none where the gallery needs one.
    """
    from kaname.apps.gallery_dl import Account

    names = [f"{gallery.name.upper()}_{ending}" for ending in ("API_KEY", "USER_ID", "USERNAME")]
    key = api_key or os.environ.get(names[0]) or None
    user = user_id or os.environ.get(names[1]) or os.environ.get(names[2]) or None
    remedy = f"give --api-key and --user-id, or set {names[0]} and {names[1]}"
    if gallery.needs_key and not (key and user):
        raise InputError(f"{gallery.name} answers only with an API key and a user", remedy=remedy)
    if bool(key) != bool(user):
        raise InputError("only one of API key and user is given", remedy=remedy)
    return Account(user, key)


def report(result: Harvest, folder: Path, wanted: Wanted) -> None:
    """Print what came, what did not, and why."""
    for path, reason in result.rejected:
        print(f"rejected: {path.name}: {reason} (now in {path.parent})")
    for number, reason in result.failed.items():
        print(f"not downloaded: post {number}: {reason}")
    if result.passed:
        print("passed over: " + ", ".join(f"{count} {reason}" for reason, count in result.passed.most_common()))
    print(f"{len(result.kept)} new images in {folder}, {result.posts} posts looked at")
    if result.exhausted and result.posts:
        print(f"only {len(result.kept)} of {wanted.limit}: the search has no further posts")
    elif result.exhausted:
        print("nothing new: this search was looked at to its end before")


def report_copies(new: list[Path], folder: Path) -> None:
    """Print which new images are copies of others in the folder, exact ones and near ones."""
    from kaname.apps.harvest import images_below

    if not new:
        return
    fresh = set(new)
    others = sorted(set(images_below(folder)) - fresh)
    files = [*others, *new]
    sizes = Counter(path.stat().st_size for path in files)
    first: dict[bytes, Path] = {}
    exact: set[Path] = set()
    for path in files:
        if sizes[path.stat().st_size] == 1:
            continue
        digest = hashlib.blake2b(path.read_bytes()).digest()
        if (same := first.setdefault(digest, path)) is not path and path in fresh:
            exact.add(path)
            print(f"duplicate: {path.name} is the same file as {same.relative_to(folder)}")
    for pair in near_copies([path for path in files if path not in exact], new):
        print(f"near duplicate: {pair.first.name} and {pair.second.relative_to(folder)} ({pair.bits} of 512 bits)")


def near_copies(files: list[Path], new: list[Path]) -> list[NearDuplicate]:
    """For each new image the nearest among the images before it that shows the same, where there is one."""
    from kaname.data.split import Prints, near_duplicates, prints

    readable = list(files)
    while True:
        try:
            known = prints(readable)
            break
        except InputError as error:  # an image that was there before and is nobody's business here
            rest = [path for path in readable if str(path) != error.path]
            if len(rest) == len(readable):
                raise
            readable = rest

    def part(start: int, stop: int) -> Prints:
        rows = slice(start, stop)
        return Prints(readable[rows], known.signs[rows], known.cells[rows], known.telling[rows])

    fresh = set(new)
    return [
        pair
        for index, path in enumerate(readable)
        if path in fresh and index
        for pair in near_duplicates(part(index, index + 1), part(0, index))
    ]
