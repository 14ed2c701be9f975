"""How far a piece of work has come: a bar on a terminal, plain lines elsewhere, seconds by stage."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from kaname.errors import shown


class Laps:
    """How long the stages of a piece of work take, one after the other.

    Attributes:
        seconds: by the name of the stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """The stage that ends now; one of the same name goes on."""
        now = time.monotonic()
        self.seconds[name], self._last = round(self.seconds.get(name, 0.0) + now - self._last, 1), now


class Bar:
    """A progress bar with the time left on a terminal; otherwise one plain line every ``interval`` seconds."""

    def __init__(self, title: str, total: int, *, speak: bool = True, interval: float = 15.0) -> None:
        self.title, self.total, self.speak, self.interval = title, total, speak, interval
        self.done, self.started = 0, time.monotonic()
        self._said = self.started
        self._bar: Any = None

    def __enter__(self) -> Bar:
        if self.speak and sys.stdout.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[note]}", markup=False), transient=True,
                console=Console(file=getattr(sys.stdout, "stream", sys.stdout)),  # below what writes escapes out
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task(shown(self.title), total=self.total, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count ``count`` further units; ``note`` stands after the bar."""
        self.done += count
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=shown(note))
            return
        now = time.monotonic()
        if self.speak and now - self._said >= self.interval and 0 < self.done < self.total:
            self._said = now
            left = (now - self.started) / self.done * (self.total - self.done)
            more = f", {note}" if note else ""
            title = f"{self.title}: " if self.title else ""
            self._print(shown(f"{title}{self.done}/{self.total}, about {duration(left)} left{more}"))

    def say(self, line: str) -> None:
        """A line above the bar."""
        line = shown(line)
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif self.speak:
            self._print(line)

    def _print(self, line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError:  # who read them has gone, as in `... | head`: the work goes on
            self.speak = False


def duration(seconds: float) -> str:
    """Words for a length of time, to two parts.

    >>> [duration(value) for value in (4.2, 75, 600, 5400, 200000)]
    ['4 s', '1 min 15 s', '10 min', '1 h 30 min', '2 d 7 h']
    """
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"
