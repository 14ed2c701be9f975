"""Where the time of a piece of work goes: parts that exclude each other, so that they add up to the whole. No torch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Clock:
    """Seconds by part; while a part is open inside another, the time is the inner one's.

    Attributes:
        parts: seconds, in the order in which the parts began.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self.parts: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is done inside belongs to this part."""
        self._charge()
        self.parts.setdefault(name, 0.0)
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def each(self, name: str, items: Iterable[T]) -> Iterator[T]:
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
        if self._open:
            self.parts[self._open[-1]] += now - self._since
        self._since = now


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
