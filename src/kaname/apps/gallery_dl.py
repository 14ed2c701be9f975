"""gallery-dl as a program of its own: it is never imported (its licence is GPL-2) and no shell lies between.

Two calls: one lists a page of posts, the other downloads some of them. Both go by post id (``id:<N``) and never by page
number, because galleries end their pages at about 20,000 posts, and because posts that are added meanwhile move all
others. Keys reach it in a configuration file of mode 0600 that is deleted when the program ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from kaname.apps.galleries import Gallery, Post, read_post
from kaname.errors import InputError

PROGRAM = "gallery-dl"
OLDEST = "1.32.0"
TOO_MANY = 10  # times the pause that is waited after "429 Too Many Requests"
AGAIN = 5  # times the pause that is waited after other failures
IN_A_ROW = 10  # files that may fail one after the other before the rest is not tried
_EMPTY = "Empty response"  # gallery-dl's word for an empty page that should not be; it would ask for ever
_EMPTY_TIMES = 3
PATIENCE = 20  # lines that a program may print after it was asked to end
_NO_PAGE = re.compile(r'HTTP/[\d.]+" [45]\d\d|\(1/1\)$')  # an answer or a try that failed
_FAILED = re.compile(r"Failed to download \w+?_(\d+)\.")
_URL = 3  # the kind of message that names a file
_STATUS = re.compile(r"'?(\d{3}) ([A-Za-z][A-Za-z' -]*?)'? for '")
_KEY_NAMES = re.compile(r"((?:api_key|user_id|password|login)=)[^&\s'\"]+")


class SiteError(InputError):
    """A gallery's refusal, with its HTTP status (0: none came)."""

    def __init__(self, reason: str, *, status: int, remedy: str | None = None) -> None:
        super().__init__(reason, remedy=remedy)
        self.status = status


@dataclass(frozen=True)
class Account:
    """Who asks. Neither part is ever shown."""

    user: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.user and self.key)


@dataclass(frozen=True)
class Manners:
    """Seconds between two requests, further tries of one, and seconds until one counts as lost."""

    pause: float
    retries: int
    timeout: float


@dataclass(frozen=True)
class Client:
    """gallery-dl with a search at one gallery.

    Attributes:
        program: the path of the program.
        root: the gallery's address, or that of its mirror.
        tags: of the search.
    """

    program: str
    gallery: Gallery
    root: str
    tags: str
    account: Account
    manners: Manners

    def page(self, before: int | None, *, by_tag: bool = True) -> list[Post]:
        """The newest posts with a number under ``before``, at most a page of them, newest first.

        Args:
            by_tag: whether the gallery is asked for them; otherwise gallery-dl passes over the others.

        Raises:
            SiteError: the gallery refuses, or cannot be reached.
            InputError: gallery-dl says nothing that can be read.
        """
        options: dict[str, Any] = {"image-range": f"1-{self.gallery.page}"}
        if before is not None and not by_tag:
            options["image-filter"] = f"int(id) < {before}"
        lines: list[str] = []
        empty: list[str] = []

        def stuck(words: str) -> bool:
            empty.extend([words] if _EMPTY in words else [])
            return len(empty) >= _EMPTY_TIMES

        words = ["--dump-json", self._search(before if by_tag else None)]
        said = self._run(options, words, lines.append, stuck)
        if not lines and len(empty) >= _EMPTY_TIMES:  # a further signal has ended it before it printed what it had
            empty.clear()
            said = self._run(options, words, lines.append, stuck)
        posts = self._listed("\n".join(lines), said)
        return sorted({post.id: post for post in posts}.values(), key=lambda post: -post.id)

    def download(
        self, posts: Sequence[Post], folder: Path, done: Callable[[Path], None], *, by_tag: bool = True
    ) -> dict[int, str]:
        """Download the files of posts of one page as ``<gallery>_<number>.<ending>``.

        Args:
            done: called with each file when it is whole.

        Returns:
            Why a post's file did not come, by its number, as far as gallery-dl says so.

        Raises:
            SiteError: the gallery refuses, or :data:`IN_A_ROW` files failed one after the other.
        """
        numbers = sorted(post.id for post in posts)
        wanted = ", ".join(repr(str(number)) for number in numbers)
        options = {
            "base-directory": str(folder),
            "image-range": f"1-{len(numbers)}",
            "image-filter": f"str(id) in {{{wanted}}} or (int(id) < {numbers[0]} and abort())",
        }

        place = {number: index for index, number in enumerate(reversed(numbers))}  # they come newest first
        lost: list[int] = []
        empty: list[str] = []

        def whole(line: str) -> None:
            path = Path(line.removeprefix("# ").strip())
            if path.is_file():
                done(path)

        def in_a_row() -> bool:
            return len(lost) >= IN_A_ROW and lost[-1] - lost[-IN_A_ROW] == IN_A_ROW - 1

        def hopeless(words: str) -> bool:
            match = _FAILED.search(words)
            lost.extend([place[int(match[1])]] if match and int(match[1]) in place else [])
            empty.extend([words] if _EMPTY in words else [])
            return in_a_row() or len(empty) >= _EMPTY_TIMES

        said = self._run(options, [self._search(numbers[-1] + 1 if by_tag else None)], whole, hopeless)
        failures = self._failures(said)
        if in_a_row():
            raise too_many_lost(self.root, list(failures.values())[-1])
        return failures

    def artists(self, numbers: Sequence[int]) -> dict[int, str]:
        """The artists that the pages of posts name, by post; from the first page on that does not come there are none.

        For galleries whose lists do not tell: gallery-dl asks for the post and for its page.
        """
        options = {"image-range": "1-1", "tags": True, "retries": 0}
        addresses = [self.gallery.post_url(self.root, number) for number in numbers]
        lines: list[str] = []
        self._run(
            options,
            ["--dump-json", *addresses],
            lines.append,
            lambda words: bool(_NO_PAGE.search(words)),
            ending=signal.SIGTERM,
        )
        text, names, decoder = "\n".join(lines).lstrip(), {}, json.JSONDecoder()
        while text:  # one list after the other
            try:
                messages, end = decoder.raw_decode(text)
                posts = [read_post(str(message[1]), message[2]) for message in messages if message[0] == _URL]
            except (ValueError, LookupError, TypeError, AttributeError):
                break
            names |= {post.id: post.artist for post in posts if post.artist and post.id in numbers}
            text = text[end:].lstrip()
        return names

    def _search(self, before: int | None) -> str:
        tags = self.tags if before is None else f"{self.tags} id:<{before}"
        return self.gallery.search_url(self.root, tags)

    def _run(
        self,
        options: dict[str, Any],
        words: list[str],
        line: Callable[[str], None],
        stop: Callable[[str], bool],
        *,
        ending: signal.Signals = signal.SIGINT,
    ) -> list[str]:
        """Run the program, hand over each line that it prints, and return what it says beside that."""
        with private_file(json.dumps(self._configuration(options))) as path:
            command = [self.program, "--config-ignore", "--config", str(path), "--verbose", *words]
            return converse(command, line, stop, ending)

    def _configuration(self, options: dict[str, Any]) -> dict[str, Any]:
        manners, name = self.manners, self.gallery.name
        folder = options.get("base-directory", "")
        patience = {"retries": manners.retries, "retry-codes": [429], "timeout": manners.timeout}
        extractor: dict[str, Any] = {
            "directory": [],
            "filename": f"{name}_{{id}}.{{extension}}",
            "sleep": manners.pause,
            "sleep-request": manners.pause,
            "sleep-429": TOO_MANY * manners.pause,
            "sleep-retries": max(AGAIN * manners.pause, 0.01),
            **patience,
            **options,
        }
        if self.account:
            user, key = ("username", "password") if self.gallery.family == "danbooru" else ("user-id", "api-key")
            extractor[name] = {user: self.account.user, key: self.account.key}
        mirror = self.root != self.gallery.root
        if mirror:
            extractor[self.gallery.module] = {name: {"root": self.root}}
        # Only this one is loaded: all of them take a second.
        extractor["modules"] = [(self.gallery.module if mirror else self.gallery.own_module).lower()]
        downloader: dict[str, Any] = {"progress": None, "sleep-429": TOO_MANY * manners.pause, **patience}
        if folder:
            downloader["part-directory"] = os.path.join(folder, "parts")
        return {
            "extractor": extractor,
            "downloader": downloader,
            "output": {"mode": "pipe", "progress": False},
            "cache": {"file": None},
        }

    def _listed(self, text: str, said: Sequence[str]) -> list[Post]:
        """The posts of what ``--dump-json`` printed."""
        try:
            messages = json.loads(text)
            entries = [(message[1], message[2]) for message in messages if message[0] == _URL]
            posts = [read_post(str(url), entry) for url, entry in entries]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            last = self._clean(next((line for line in reversed(said) if "[error]" in line), "nothing"))
            reason = f"gallery-dl listed no posts that can be read; it said: {last}"
            raise InputError(reason, remedy=f"update it: pip install -U 'gallery-dl>={OLDEST}'") from error
        for message in messages:
            if message[0] == -1:
                raise self._refusal(str(message[1].get("error")), str(message[1].get("message")))
            if isinstance(message[0], str):  # before version 1.27
                raise self._refusal(message[0], str(message[1]))
        return posts

    def _refusal(self, kind: str, message: str) -> SiteError:
        """gallery-dl's error as one line that names the site, the status and what to do."""
        match, site = _STATUS.search(message), self.root
        status = int(match[1]) if match else 0
        tries = f" ({self.manners.retries + 1} tries)" if self.manners.retries else ""
        if kind in {"AuthRequired", "AuthenticationError", "AuthorizationError"} or status in {401, 403}:
            answer = f"{status} {match[2]}" if match else "missing or wrong account"
            remedy = "check the key and the user (--api-key, --user-id)"
            return SiteError(f"{site} refuses: {answer}", status=status or 401, remedy=remedy)
        if status == 422:
            reason = f"{site} refuses this search: 422 {match[2] if match else ''}".rstrip()
            return SiteError(reason, status=status, remedy="give fewer tags, or an account that may use more")
        if match:
            reason = f"{site} answers {status} {match[2]}{tries if status >= 429 else ''}"
            remedy = "wait a while, then run it again with a longer --pause" if status >= 429 else "check --root"
            return SiteError(reason, status=status, remedy=remedy)
        if kind in {"JSONDecodeError", "ParseError"}:
            reason = f"{site} answers something that is not its API's"
            return SiteError(reason, status=0, remedy="check --root; the site may be under maintenance")
        return SiteError(f"{site} cannot be reached: {self._clean(message)}{tries}", status=0, remedy="try again later")

    def _failures(self, said: Sequence[str]) -> dict[int, str]:
        """Why files did not come: the warning before each "Failed to download"."""
        reasons: dict[int, str] = {}
        last = "no reason was given"
        for line in said:
            if match := _FAILED.search(line):
                reasons[int(match[1])] = last
            elif "[error]" in line:
                kind, _, message = self._clean(line).partition(": ")
                raise self._refusal(kind, message or kind)
            elif "[warning]" in line:
                status = _STATUS.search(line)
                last = f"{status[1]} {status[2]}" if status else self._clean(line)
        return reasons

    def _clean(self, text: str) -> str:
        """A line of gallery-dl's without keys and without its own labels."""
        key = self.account.key or ""
        for form in filter(None, (key, quote(key), quote_plus(key))):
            text = text.replace(form, "...")
        text = _KEY_NAMES.sub(r"\1...", text)
        return " ".join(re.sub(r"^(\[[^\]]*\])+\s*", "", text).split())


def too_many_lost(site: str, reason: str) -> SiteError:
    """Files fail one after the other: the rest would too."""
    return SiteError(f"{IN_A_ROW} files of {site} in a row failed: {reason}", status=0, remedy="try again later")


def find_program() -> str:
    """The path of gallery-dl: on PATH, or beside the Python that runs this.

    Raises:
        InputError: it is not installed.
    """
    found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=os.path.dirname(sys.executable))
    if found is None:
        raise InputError("gallery-dl is not installed", remedy=f"pip install 'gallery-dl>={OLDEST}'")
    return found


@contextlib.contextmanager
def private_file(text: str) -> Iterator[Path]:
    """A file that nobody else may read, for as long as it is needed."""
    handle, name = tempfile.mkstemp(prefix="kaname-crawl-", suffix=".json")  # of mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _hear_interrupts() -> None:
    """A job in the background of a shell ignores SIGINT, and its programs would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def converse(
    command: Sequence[str], line: Callable[[str], None], stop: Callable[[str], bool], ending: signal.Signals
) -> list[str]:
    """Run a program without a shell, hand over the lines of its output as they come, and return those of its errors.

    It ends at the latest with this process. After a line of its errors at which ``stop`` says so it gets the signal
    ``ending``: after SIGINT it still prints what it has.
    """
    environment = {name: value for name, value in os.environ.items() if "_API_KEY" not in name}
    environment |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}  # of the program, which is written in Python
    said: list[str] = []
    warned: list[str] = []
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            encoding="utf-8", errors="replace",
            preexec_fn=_hear_interrupts if os.name == "posix" else None,  # noqa: PLW1509 (no thread runs yet)
        )  # fmt: skip
    except OSError as error:
        remedy = f"install it again: pip install 'gallery-dl>={OLDEST}'"
        raise InputError(f"cannot be started ({error.strerror})", path=command[0], remedy=remedy) from error

    def listen() -> None:
        for words in process.stderr or ():
            said.append(words.rstrip("\n"))
            if stop(words):
                warned.append(words)
                kind = ending if os.name == "posix" and len(warned) <= PATIENCE else signal.SIGTERM
                process.send_signal(kind)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        for words in process.stdout or ():
            line(words.rstrip("\n"))
        process.wait()
        listener.join()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return said
