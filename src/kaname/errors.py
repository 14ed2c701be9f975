"""The errors that a user can fix; the lowest floor of the house."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Iterable, Iterator
from os import PathLike, fspath

# Of terminals and of writing in two directions: what can move, hide, colour or turn round other text.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Text for people: names and cards may hold escapes of terminals, which are written out as ``\\u001b``."""
    return text if text.isascii() and text.isprintable() else _CONTROLS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


class InputError(ValueError):
    """Bad input or bad usage: one clear line, exit code 2.

    Args:
        reason: what is wrong, in one clause, without a full stop.
        path: the file or folder it is about.
        row: where in the file: a 1-based line number, or a name such as ``"task 7"``.
        remedy: what to do about it, computed where that is possible ("nearest legal height: 448").

    ``str(error)`` is ``PATH:ROW: reason; remedy``, with the parts that are known.
    """

    def __init__(
        self,
        reason: str,
        *,
        path: str | PathLike[str] | None = None,
        row: int | str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.reason = reason
        self.path = None if path is None else fspath(path)
        self.row = row
        self.remedy = remedy
        super().__init__(reason)

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.path, self.row) if part is not None)
        text = f"{where}: {self.reason}" if where else self.reason
        return shown(f"{text}; {self.remedy}" if self.remedy else text)

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors through pickle, which would call __init__ with the message alone.
        return (_rebuild, (self.reason, self.path, self.row, self.remedy))


def _rebuild(reason: str, path: str | None, row: int | str | None, remedy: str | None) -> InputError:
    return InputError(reason, path=path, row=row, remedy=remedy)


def refuse_names(names: Iterable[str | PathLike[str]]) -> None:
    """Refuse files whose names are not UTF-8 (of old archives, in Shift-JIS say): no file of results could name them.

    Raises:
        InputError: naming the first, with its bytes escaped.
    """
    for name in names:
        text = fspath(name)
        if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
            raw = text.encode("utf-8", "surrogateescape")
            escaped = raw.decode("utf-8", "backslashreplace")
            if escaped.encode() == raw:  # it is UTF-8, which LC_ALL=C with PYTHONUTF8=0 has hidden
                reason = f"Python takes names of files for {sys.getfilesystemencoding()} here, and this one is UTF-8"
                raise InputError(reason, path=escaped, remedy="set PYTHONUTF8=1")
            remedy = "rename it, such as by `convmv -f shift-jis -t utf-8 -r --notest FOLDER`"
            raise InputError("the name of this file is not UTF-8", path=escaped, remedy=remedy)


@contextlib.contextmanager
def located(path: str | PathLike[str]) -> Iterator[None]:
    """An `InputError` that names no file gets ``path``."""
    try:
        yield
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(error.reason, path=path, row=error.row, remedy=error.remedy) from error


def require(condition: bool, reason: str, remedy: str | None = None) -> None:
    """Raise :class:`InputError` unless ``condition`` holds."""
    if not condition:
        raise InputError(reason, remedy=remedy)


def require_range(
    section: object, names: str, low: float, high: float = math.inf, *, above: bool = False, remedy: str | None = None
) -> None:
    """Raise :class:`InputError` unless the named numbers of a section are finite and in ``low..high``.

    Args:
        names: separated by spaces.
        above: whether ``low`` itself is too low.
    """
    limits = f"lie in {low}..{high}" if high < math.inf else f"be at least {low}"
    if high == math.inf and low == 0:
        limits = "be positive" if above else "not be negative"
    for name in names.split():
        value = getattr(section, name)
        fine = -math.inf < value < math.inf and (value > low if above else value >= low) and value <= high
        require(fine, f"{name} must {limits}, got {value}", remedy)
