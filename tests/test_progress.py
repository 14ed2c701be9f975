"""Bars and laps."""

from __future__ import annotations

import io
import sys

import pytest

from kaname import progress
from kaname.progress import Bar, Laps, duration


def test_plain_lines_with_the_time_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, *range(5, 100, 10)])
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with Bar("epoch 1/2", 4, interval=10.0) as bar:
        for number in range(4):
            bar.advance(note=f"loss {number}")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["epoch 1/2: 2/4, about 15 s left, loss 1", "epoch 1/2: 3/4, about 8 s left, loss 2"]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Bar("epoch 1/2", 4) as bar:
        bar.advance(4)
    assert "epoch 1/2" in screen.getvalue() and "4/4" in screen.getvalue()


def test_laps_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 12.04, 15.0])
    monkeypatch.setattr("kaname.progress.time.monotonic", lambda: next(times))
    clock = Laps()
    clock.lap("sample")
    clock.lap("train")
    assert clock.seconds == {"sample": 2.0, "train": 3.0}


def test_lengths_of_time() -> None:
    lengths = [duration(value) for value in (0.4, 59.6, 61, 3600, 90061)]
    assert lengths == ["0 s", "1 min", "1 min 1 s", "1 h", "1 d 1 h"]
