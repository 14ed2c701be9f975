"""Signals as they really come: a terminal and a scheduler send them to the whole process group, workers included."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kaname.inference import checkpoint
from kaname.samples.gauge import write


def stopped(command: list[str], number: int, *, when: Callable[[], bool]) -> tuple[int, str]:
    """Exit code and stderr of a command whose whole process group got a signal."""
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # A shell starts jobs in the background deaf to SIGINT, and so would be what a test starts there.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no threads here)
    )  # fmt: skip
    try:
        for _ in range(1200):
            if when() or process.poll() is not None:
                break
            time.sleep(0.1)
        os.killpg(process.pid, number)
        _, error = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its workers
    return process.returncode, error


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_group_saves_and_ends(tmp_path: Path, number: int, code: int) -> None:
    data = write(tmp_path / "data", 40, 0, size=64, variety="plain", processes=1)
    run = tmp_path / "run"
    words = ["gauge", "train", "--data", data, "--backbone", "small", "--size", 64, "--epochs", 500, "--num-workers", 1]
    command = [sys.executable, "-m", "kaname", *map(str, words), "--out-dir", str(run)]
    ended, error = stopped(command, number, when=(run / "log.csv").is_file)
    assert ended == code, error
    assert "continue with --resume" in error
    found = checkpoint.load(run / "last.pt", recipe="gauge")
    assert found.training is not None


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_something_is_written_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    """Also outside of training, and with processes that draw."""
    command = [sys.executable, "-m", "kaname", "gauge", "sample", "--count", "100000", "--out", str(tmp_path / "out")]
    ended = stopped(command, number, when=lambda: bool(list(tmp_path.rglob("*.jpg"))))
    assert ended == (code, "interrupted\n")
    assert not (tmp_path / "out").exists()
