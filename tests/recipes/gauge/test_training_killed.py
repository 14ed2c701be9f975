"""A run of the real command that is killed in the middle and resumed ends with the bytes of one that was not."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.gauge.dials import TRAIN, write_data

WORDS = (*TRAIN[:-2], "--batch-size", "2", "--epochs", "12", "--lr", "1e-2", "--ema", "0.9", "--save-every", "1steps")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def start(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kaname", "gauge", "train", "--data", str(data), "--out-dir", str(out)]
    return subprocess.Popen(
        [*command, *WORDS, *more], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def rows(folder: Path) -> list[list[str]]:
    """The log without its column of times."""
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    column = found[0].index("seconds")
    return [row[:column] + row[column + 1 :] for row in found]


def stop_in_the_middle(process: subprocess.Popen[str], folder: Path, number: int) -> None:
    """Send the signal as soon as two epochs are logged and the third has begun."""
    deadline = time.monotonic() + 120
    while not (folder / "log.csv").is_file() or len(rows(folder)) < 3:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.005)
    process.send_signal(number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_resumed_run_ends_with_the_same_bytes(
    whole: tuple[Path, Path], tmp_path: Path, number: int, code: int
) -> None:
    data, reference = whole
    process = start(data, tmp_path / "run")
    stop_in_the_middle(process, tmp_path / "run", number)
    text = process.communicate(timeout=120)[0]
    assert process.returncode == code, text
    assert len(rows(tmp_path / "run")) < len(rows(reference)), "it was meant to be stopped before its end"
    process = start(data, tmp_path / "run", "--resume")
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 0 and "resuming" in text, text
    for name in ("model.pt", "last.pt", "loss.json"):
        assert (tmp_path / "run" / name).read_bytes() == (reference / name).read_bytes(), name
    assert rows(tmp_path / "run") == rows(reference)
    assert not [path.name for path in (tmp_path / "run").iterdir() if "partial" in path.name or path.name == ".lock"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve dials of 64 pixels, and the run on them that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_data(folder / "data", 8, 4)
    process = start(data, folder / "run")
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 0 and len(rows(folder / "run")) == 13, text
    return data, folder / "run"
