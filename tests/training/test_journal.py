"""Lines and logs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kaname.data.log import read_rows
from kaname.errors import InputError
from kaname.progress import Bar
from kaname.training.journal import Journal
from kaname.training.signals import Signals


def test_other_processes_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(None, speak=False)
    journal.say("x")
    journal.record({"epoch": 1, "train_loss": 0.5})
    journal.close()
    with Bar("x", 2, speak=False, interval=0.0) as bar:
        bar.advance()
    assert capsys.readouterr().out == "" and journal.rows == [{"epoch": 1, "train_loss": 0.5}]


def test_a_reader_that_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in ``kaname ... train | head``: the run goes on, and its lines are in the file."""
    ends = os.pipe()
    os.close(ends[0])
    with open(ends[1], "w", encoding="utf-8", closefd=False) as nobody, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", nobody)
        journal = Journal(tmp_path)
        with Bar("x", 3, interval=0.0) as bar:
            bar.advance()
            journal.say("first", bar.say)
            bar.advance()
        journal.say("second")
        journal.say("third")
        journal.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), ends[1])  # for what is still to be flushed
    os.close(ends[1])
    assert [line.split()[-1] for line in (tmp_path / "run.log").read_text().splitlines()] == [
        "first",
        "second",
        "third",
    ]


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


@pytest.mark.parametrize("target", ["precious", "none", "link"])
def test_a_journal_does_not_follow_a_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "precious").write_text("dear")
    (tmp_path / "link").symlink_to("precious")
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.log").symlink_to(tmp_path / target)
    journal = Journal(run, speak=False, fresh=False, logger="none")
    with pytest.raises(InputError, match="link"):
        journal.say("words")
    assert (tmp_path / "precious").read_text() == "dear" and not (tmp_path / "none").exists()
    Journal(run, speak=False, logger="none").say("words")  # a new run replaces it
    assert not (run / "run.log").is_symlink() and (tmp_path / "precious").read_text() == "dear"
