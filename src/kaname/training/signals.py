"""Stopping without losing anything: signals wait until the optimiser step they arrive in is whole."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """A signal asked the run to stop and its state is saved; ``code`` is the exit code (130 Ctrl-C, 143 SIGTERM).

    Only one of many processes prints a message; the others end silently.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.code = 128 + number


class Signals:
    """Remembers Ctrl-C and SIGTERM until a step is whole; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._remember)
            except ValueError:  # not the main thread: the caller handles signals
                break
        return self

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
