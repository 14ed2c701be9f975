"""How long a run still takes, by how fast it went so far."""

from __future__ import annotations

import time

from kaname.progress import duration

SETTLED = 10.0  # seconds of training after which the pace is believed


class Pace:
    """The pace of one process's part of a run: what was done before it was resumed does not count.

    Args:
        epochs, per_epoch: of the run; batches of an epoch.
        done: batches of the run that were done before.
    """

    def __init__(self, epochs: int, per_epoch: int, done: int) -> None:
        self.total, self.first = epochs * per_epoch, done
        self.started, self.said = time.monotonic(), False

    def left(self, done: int) -> float | None:
        """Seconds until the end after ``done`` batches of the run; None before anything can be said."""
        now, fresh = time.monotonic() - self.started, done - self.first
        if not fresh or now < SETTLED:
            return None
        return now / fresh * (self.total - done)

    def estimate(self, done: int) -> str:
        """Once, as soon as the pace is known: a line on how long the run will take; else nothing."""
        left = self.left(done)
        if self.said or left is None:
            return ""
        self.said = True
        return f"at this pace the run ends in about {duration(left)}" if left > 60 else ""
