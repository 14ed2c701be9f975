"""Long lists in JSON files, an entry at a time; and the last file that was read, which need not be read again."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from kaname.data.formats.files import read_json, read_text
from kaname.errors import InputError

Asked = ParamSpec("Asked")
Found = TypeVar("Found")
Take = Callable[[int, Any], Any]

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def read_listed(path: Path, key: str, take: Take) -> Any:
    """The content of a JSON file, in which each entry of a list has become something else as soon as it was read.

    So 10,000 predictions need not be in memory as lists of lists of numbers first.

    Args:
        path: the file.
        key: of the list in the object that the file holds; a file that is a list is that list itself.
        take: ``(number, entry)`` gives what stands in the entry's place; numbers count from 1.

    Raises:
        InputError: what `kaname.data.formats.files.read_json` raises, or ``take``.
    """
    text = read_text(path)
    try:
        return _content(text, key, take)
    except InputError:
        raise
    except (IndexError, ValueError, RecursionError):
        read_json(path)  # says what is wrong, and where
        raise


def once(read: Callable[Concatenate[Path, Asked], Found]) -> Callable[Concatenate[Path, Asked], Found]:
    """The same reader of a file; asked again at once for the same file, which has not changed, it gives the same."""
    last: dict[str, tuple[Any, Found]] = {}

    @functools.wraps(read)
    def known(path: Path, *given: Asked.args, **named: Asked.kwargs) -> Found:
        try:
            facts = path.stat()
        except OSError:
            return read(path, *given, **named)
        asked = (path.absolute(), facts.st_ino, facts.st_mtime_ns, facts.st_size, repr((given, named)))
        if last.get("file", (None,))[0] != asked:
            last.clear()  # before the next one takes memory
            last["file"] = (asked, read(path, *given, **named))
        return last["file"][1]

    return known


def _content(text: str, key: str, take: Take) -> Any:
    place = _next(text, 0)
    if text[place] == "{":
        content, place = _object(text, place, key, take)
    elif text[place] == "[":
        content, place = _list(text, place, take)
    else:
        content, place = _DECODER.raw_decode(text, place)
    if _next(text, place) != len(text):
        raise ValueError("something follows the content")
    return content


def _object(text: str, place: int, key: str, take: Take) -> tuple[dict[str, Any], int]:
    content: dict[str, Any] = {}
    place = _next(text, place + 1)
    while text[place] != "}":
        if text[place] != '"':
            raise ValueError("a key is missing")
        name, place = _DECODER.raw_decode(text, place)
        place = _after(text, place, ":")
        read = _list(text, place, take) if name == key and text[place] == "[" else _DECODER.raw_decode(text, place)
        content[name], place = read
        place = _next(text, place)
        if text[place] != "}" and text[place := _after(text, place, ",")] == "}":
            raise ValueError("a comma before the end")
    return content, place + 1


def _list(text: str, place: int, take: Take) -> tuple[list[Any], int]:
    entries: list[Any] = []
    place = _next(text, place + 1)
    while text[place] != "]":
        entry, place = _DECODER.raw_decode(text, place)
        entries.append(take(len(entries) + 1, entry))
        place = _next(text, place)
        if text[place] != "]" and text[place := _after(text, place, ",")] == "]":
            raise ValueError("a comma before the end")
    return entries, place + 1


def _next(text: str, place: int) -> int:
    """Where the next sign is that is no white space."""
    match = _SPACE.match(text, place)
    assert match is not None
    return match.end()


def _after(text: str, place: int, sign: str) -> int:
    """Where something begins after a sign that must be next."""
    place = _next(text, place)
    if text[place] != sign:
        raise ValueError(f"no {sign}")
    return _next(text, place + 1)
