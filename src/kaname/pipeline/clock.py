"""Where the time of some work goes: parts that add up to the whole, though threads work at the same time. No torch."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Clock:
    """Seconds by part; while a part is open inside another, the time is the inner one's.

    Where threads are at several parts at once, each of them has an equal share of that time.

    Attributes:
        parts: seconds, in the order in which the parts began; together they are the time that was not idle.
        busy: seconds that somebody was at a part, whatever else went on.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self.parts: dict[str, float] = {}
        self.busy: dict[str, float] = {}
        self._open: dict[int, list[str | None]] = {}
        self._lock = threading.Lock()
        self._since = 0.0

    @contextlib.contextmanager
    def part(self, name: str | None) -> Iterator[None]:
        """What is done inside belongs to this part; None: this thread waits for others."""
        thread = threading.get_ident()
        with self._lock:
            self._charge()
            if name is not None:
                self.parts.setdefault(name, 0.0)
                self.busy.setdefault(name, 0.0)
            self._open.setdefault(thread, []).append(name)
        try:
            yield
        finally:
            with self._lock:
                self._charge()
                self._open[thread].pop()
                if not self._open[thread]:
                    del self._open[thread]

    def each(self, name: str | None, items: Iterable[T]) -> Iterator[T]:
        """Items whose making belongs to this part; what is done with them does not."""
        iterator = iter(items)
        while True:
            with self.part(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _charge(self) -> None:
        now = self.now()
        working = [name for *_, name in self._open.values() if name is not None]
        for name in working:
            self.parts[name] += (now - self._since) / len(working)
            self.busy[name] += now - self._since
        self._since = now


class Profile:
    """What a command says of where its time went, where it is asked.

    A thread that waits for others is told so by ``waiting``: the time is theirs.

    Args:
        wanted: whether it is asked.
        from_start: whether this is the first thing that the process does: then its start counts too.
    """

    def __init__(self, wanted: bool = False, *, from_start: bool = True) -> None:
        self.wanted, self.clock = wanted, Clock()
        # One thread has worked without a pause until here, for the interpreter and for imports.
        self.began = self.clock.now() - (time.process_time() if from_start else 0.0)
        self.clock.parts["start"] = self.clock.busy["start"] = self.clock.now() - self.began
        self.part, self.each = self.clock.part, self.clock.each

    def waiting(self, items: Iterable[T]) -> Iterator[T]:
        """Items that other threads make."""
        return self.clock.each(None, items)

    def lines(self, count: int, unit: str) -> list[str]:
        """A table of parts: seconds, which add up to the wall time, their share, and how long each was busy.

        Args:
            count: how many pieces there were.
            unit: what one of them is called.
        """
        if not self.wanted:
            return []
        wall = self.clock.now() - self.began
        parts = {**self.clock.parts, "other": max(0.0, wall - sum(self.clock.parts.values()))}
        rate = f", {count / wall:.1f} {unit}s/s" if count else ""
        lines = [f"where the time went: {wall:.2f} s{rate}", "  part         s   share   busy s   busy ms each"]
        for name, seconds in parts.items():
            busy = self.clock.busy.get(name, seconds)
            each = f"{1000 * busy / count:12.1f}" if count and name not in ("start", "other") else ""
            lines.append(f"  {name:<8}{seconds:6.2f}{100 * seconds / wall:6.0f} %{busy:9.2f}{each:>15}")
        return lines


def shares(works: Iterable[Mapping[str, Any]]) -> str:
    """A line for many pieces of work, from their ``parts`` and ``seconds``; empty where none says.

    >>> shares([{"parts": {"decode": 1.0, "network": 2.5}, "seconds": 4.0}, {}])
    '4.0 s: decode 25 %, network 62 %, other 12 %'
    """
    parts: dict[str, float] = {}
    seconds = 0.0
    for work in works:
        seconds += work.get("seconds", 0.0)
        for name, value in work.get("parts", {}).items():
            parts[name] = parts.get(name, 0.0) + value
    if not parts or seconds <= 0:
        return ""
    parts["other"] = max(0.0, seconds - sum(parts.values()))
    return f"{seconds:.1f} s: " + ", ".join(f"{name} {100 * value / seconds:.0f} %" for name, value in parts.items())
