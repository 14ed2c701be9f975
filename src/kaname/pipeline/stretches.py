"""Text that is made piece by piece, so that a process that is killed loses one piece. No torch.

While ``A36O_pred.txt`` is made, its lines stand in ``.A36O_pred.ATTEMPT.stretch``, and behind each whole stretch a mark
with whatever is needed to go on from there. Each attempt has a file of its own: one that is thought dead and is not
cannot spoil another's. The next attempt copies what the farthest one has, up to its last mark.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from kaname.files import whole_file, writing

MARK = "#"  # begins a line of ours; no line of a result begins with it
ENDING = ".stretch"


class Stretches:
    """The lines of a result while they are made; use it in ``with``, which leaves them for another attempt unless
    `discard` was called.

    Args:
        target: the result.
        key: of all that the lines depend on; what another key has left is removed.
        alone: whether no other attempt can be at work; otherwise what others have left stays.

    Attributes:
        state: what the last `mark` was told; None where nothing was made yet.
        lines: how many there are.
    """

    def __init__(self, target: Path, key: str, *, alone: bool = True) -> None:
        self.target, self.key, self.alone = target, key, alone
        self.state: Mapping[str, Any] | None = None
        self.lines = 0
        self.path = target.with_name(f".{target.stem}.{os.getpid()}-{secrets.token_hex(4)}{ENDING}")
        self._file: IO[str] | None = None

    def __enter__(self) -> Stretches:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("x+", encoding="utf-8", newline="")
            self._file.write(f"{MARK}{json.dumps({'key': self.key})}\n")
        left = left_of(self.target)
        found = [(whole[1], path) for path in left if path != self.path and (whole := _whole(path, self.key))]
        if found:
            self._copy(max(found)[1])
        for path in left if self.alone else ():
            if path != self.path:
                path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk has been reported by what failed first
                self._file.close()
        if self.state is None:
            self.path.unlink(missing_ok=True)

    def add(self, line: str) -> None:
        """One line, with its end."""
        with writing(self.path):
            self._open.write(line)
        self.lines += 1

    def mark(self, state: Mapping[str, Any]) -> None:
        """A stretch is whole: a later attempt goes on from here, and is told ``state``."""
        with writing(self.path):
            self._open.write(f"{MARK}{json.dumps({'lines': self.lines, 'state': state})}\n")
            self._open.flush()
        self.state = state

    def publish(self) -> None:
        """Give the result its name; the lines stay until `discard`, in case that its record is never written."""
        with writing(self.path):
            self._open.flush()
            self._open.seek(0)
        with whole_file(self.target, durable=True) as file:
            file.writelines(line for line in self._open if not line.startswith(MARK))

    def discard(self) -> None:
        """Nothing has to go on from here."""
        self.state = None

    @property
    def _open(self) -> IO[str]:
        assert self._file is not None, "use it in `with`"
        return self._file

    def _copy(self, path: Path) -> None:
        state: Mapping[str, Any] | None = None
        whole = _whole(path, self.key)
        with path.open(encoding="utf-8", newline="") as file, writing(self.path):
            file.readline()
            for line in file:
                self._open.write(line)
                if line.startswith(MARK):
                    state = json.loads(line[len(MARK) :])["state"]
                    self.lines = json.loads(line[len(MARK) :])["lines"]
                    if whole is not None and self.lines == whole[1] and state == whole[0]:
                        break
            self._open.flush()
        self.state = state


def left_of(target: Path) -> list[Path]:
    """What attempts at a result have left."""
    return sorted(target.parent.glob(f".{glob.escape(target.stem)}.*{ENDING}"))


def _whole(path: Path, key: str) -> tuple[Mapping[str, Any], int] | None:
    """The last mark of an attempt, and the lines before it; None where there is none, or of another key."""
    found: tuple[Mapping[str, Any], int] | None = None
    for number, content in enumerate(_marks(path)):
        if number == 0 and content.get("key") != key:
            return None
        if number:
            found = content["state"], int(content["lines"])
    return found


def _marks(path: Path) -> Iterator[dict[str, Any]]:
    """The whole marks of a file; the process may have died in the middle of one."""
    with contextlib.suppress(OSError), path.open(encoding="utf-8", errors="replace", newline="") as file:
        for line in file:
            if line.startswith(MARK) and line.endswith("\n"):
                with contextlib.suppress(ValueError):
                    yield json.loads(line[len(MARK) :])
