"""Bars, lines and logs."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from kaname.engine import progress
from kaname.engine.progress import Bar, Journal, Laps, read_rows
from kaname.engine.signals import Signals


def test_plain_lines_with_the_time_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, *range(5, 100, 10)])
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with Bar("epoch 1/2", 4, interval=10.0) as bar:
        for number in range(4):
            bar.advance(note=f"loss {number}")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["epoch 1/2: 2/4, about 15 s left loss 1", "epoch 1/2: 3/4, about 8 s left loss 2"]


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


def test_other_processes_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(None, speak=False)
    journal.say("x")
    journal.record({"epoch": 1, "train_loss": 0.5})
    journal.close()
    with Bar("x", 2, speak=False, interval=0.0) as bar:
        bar.advance()
    assert capsys.readouterr().out == "" and journal.rows == [{"epoch": 1, "train_loss": 0.5}]


def test_rows_of_lost_work_are_dropped(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    for epoch in (1, 2, 3):
        first.record({"epoch": epoch, "step": 2 * epoch, "train_loss": 1 / 3 / epoch})
    first.close()
    again = Journal(tmp_path, kept_epochs=2, fresh=False)
    assert again.rows == first.rows[:2]
    again.record({"epoch": 3, "step": 6, "train_loss": 0.1, "val_px": 2.0})  # a figure that is new
    again.close()
    assert read_rows(tmp_path / "log.csv") == again.rows
    assert [row["epoch"] for row in again.rows] == [1, 2, 3]


def test_signals_wait_and_a_second_ctrl_c_does_not() -> None:
    import signal

    before = signal.getsignal(signal.SIGINT)
    with Signals() as signals:
        assert not signals.caught
        signal.raise_signal(signal.SIGINT)
        assert signals.caught == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert signals.caught == signal.SIGTERM


def test_laps_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 12.04, 15.0])
    monkeypatch.setattr("kaname.engine.progress.time.monotonic", lambda: next(times))
    clock = Laps()
    clock.lap("sample")
    clock.lap("train")
    assert clock.seconds == {"sample": 2.0, "train": 3.0}
