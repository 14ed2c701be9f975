"""What a person sees while it runs: a bar on a terminal, plain lines elsewhere, everything in ``run.log``."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


class Journal:
    """Messages to the screen and to ``run.log``, figures to ``log.csv`` and TensorBoard. Silent when ``folder`` is None
    and ``speak`` is False (the other processes of a run)."""

    def __init__(self, folder: Path | None, *, speak: bool = True, kept_epochs: int = 0) -> None:
        self.folder, self.speak = folder, speak
        self.rows: list[dict[str, float | int]] = []
        self._board: Any = None
        if folder is not None:
            self.rows = [row for row in read_rows(folder / "log.csv") if row["epoch"] <= kept_epochs]
            if not kept_epochs:
                (folder / "run.log").unlink(missing_ok=True)

    def say(self, text: str) -> None:
        """One line to screen and file."""
        if self.speak:
            print(text, flush=True)
        if self.folder is not None:
            with (self.folder / "run.log").open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def record(self, row: Mapping[str, float | int]) -> None:
        """One epoch's figures; ``log.csv`` is rewritten whole, so a resumed run has no doubled rows."""
        self.rows.append(dict(row))
        if self.folder is None:
            return
        names = list(dict.fromkeys(name for entry in self.rows for name in entry))
        partial = self.folder / ".log.csv.partial"
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
        partial.replace(self.folder / "log.csv")
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tb"), purge_step=int(row["epoch"]))
        for name, value in row.items():
            self._board.add_scalar(name, value, int(row["epoch"]))
        self._board.flush()

    def close(self) -> None:
        """Finish TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def read_rows(path: Path) -> list[dict[str, float | int]]:
    """The rows of a ``log.csv``; empty where there is none."""
    if not path.is_file():
        return []
    rows: list[dict[str, float | int]] = []
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            values = {name: float(value) for name, value in line.items() if name and value not in ("", None)}
            rows.append({name: int(value) if name in ("epoch", "step") else value for name, value in values.items()})
    return rows


class Bar:
    """A progress bar with the time left on a terminal; otherwise one plain line every ``interval`` seconds."""

    def __init__(self, title: str, total: int, *, speak: bool = True, interval: float = 15.0) -> None:
        self.title, self.total, self.speak, self.interval = title, total, speak, interval
        self.done, self.started = 0, time.monotonic()
        self._said = self.started
        self._bar: Any = None

    def __enter__(self) -> Bar:
        if self.speak and sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"), transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.total, note="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count ``count`` further units; ``note`` stands behind the bar."""
        self.done += count
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=note)
            return
        now = time.monotonic()
        if self.speak and now - self._said >= self.interval and 0 < self.done < self.total:
            self._said = now
            left = (now - self.started) / self.done * (self.total - self.done)
            print(f"{self.title}: {self.done}/{self.total}, about {left:.0f} s left {note}".rstrip(), flush=True)
