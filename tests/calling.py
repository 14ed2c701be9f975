"""The command line as a test calls it."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from kaname.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command gave back; ``code`` of a killed process is minus the signal that ended it."""

    code: int
    out: str
    err: str

    def done(self) -> Answer:
        """Exit code 0."""
        assert self.code == 0, (self.code, self.err, self.out)
        return self

    def refused(self, *parts: str) -> str:
        """Exit code 2 and one line on stderr, which holds ``parts``."""
        lines = self.err.strip().splitlines()
        assert self.code == 2 and len(lines) == 1 and lines[0].startswith("error: "), (self.code, self.err, self.out)
        for part in parts:
            assert part in lines[0], (part, lines[0])
        return lines[0]


def call(*words: object) -> Answer:
    """``kaname WORDS`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
