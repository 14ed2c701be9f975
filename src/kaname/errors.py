"""The errors that a user can mend; the lowest floor of the house."""

from __future__ import annotations

from os import PathLike, fspath


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
        return f"{text}; {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors through pickle, which would call __init__ with the message alone.
        return (_rebuild, (self.reason, self.path, self.row, self.remedy))


def _rebuild(reason: str, path: str | None, row: int | str | None, remedy: str | None) -> InputError:
    return InputError(reason, path=path, row=row, remedy=remedy)
