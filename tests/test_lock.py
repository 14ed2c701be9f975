"""One run at a time in a folder, between processes; the lock dies with its process and with nothing else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kaname import lock
from kaname.errors import InputError
from kaname.lock import NAME, Held, locked
from kaname.training.loop import Run
from kaname.training.settings import RunOptions
from training.tiny_task import make_settings, make_task, run

# Holds the folder and waits; with a child of its own that inherits whatever can be inherited.
HOLDER = """
import os, sys, time
from pathlib import Path
from kaname.lock import locked
with locked(Path(sys.argv[1])) as found:
    assert found
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
"""
TAKER = """
import sys
from pathlib import Path
from kaname.lock import locked
from kaname.errors import InputError
try:
    with locked(Path(sys.argv[1])):
        print("held")
except InputError as error:
    print(error)
"""


def hold(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that holds the folder, and the process that it has forked."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def take(folder: Path) -> str:
    """What a process of its own gets that wants the folder."""
    done = subprocess.run([sys.executable, "-c", TAKER, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_two_processes(tmp_path: Path) -> None:
    process, child = hold(tmp_path / "run")
    try:
        assert take(tmp_path / "run") == (
            f"{tmp_path / 'run'}: another command works in this folder (process {process.pid}); "
            "wait until it ends, or choose another --out-dir"
        )
        settings = make_settings(epochs=1)
        with pytest.raises(InputError, match="another run trains into this folder"):
            Run(make_task(settings), settings, RunOptions(tmp_path / "run"))
        Run(make_task(settings), settings, RunOptions(tmp_path / "run", dry_run=True)).fit()  # it writes nothing
        assert take(tmp_path / "other") == "held"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(30) == 0
        assert take(tmp_path / "run") == "held", "the forked process must not keep the lock"
        assert not (tmp_path / "run").exists(), "what was made for the lock alone is gone"
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process, child = hold(tmp_path)
    try:
        process.kill()
        process.wait(30)
        assert (tmp_path / NAME).is_file()
        assert take(tmp_path) == "held"
        process_again, child_again = hold(tmp_path)
        assert take(tmp_path).startswith(f"{tmp_path}: another command")
        os.kill(child_again, signal.SIGKILL)
        process_again.kill()
        process_again.communicate()
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_a_run_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(epochs=1)
    seen: list[str] = []
    monkeypatch.setattr("kaname.training.run_folder.introduction", lambda *_: seen.append(take(tmp_path)) or [])
    run(tmp_path, settings)
    assert "another command" in seen[0] and f"process {os.getpid()}" in seen[0]
    assert take(tmp_path) == "held" and not (tmp_path / NAME).exists()

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("kaname.training.run_folder.RunFolder.open", broken)
    with pytest.raises(RuntimeError, match="broken"):
        run(tmp_path / "b", settings)
    assert take(tmp_path / "b") == "held"
    with pytest.raises(InputError, match="already holds a run"):
        run(tmp_path, settings)
    assert take(tmp_path) == "held"


def test_the_other_processes_of_a_run_raise_what_the_first_raises(tmp_path: Path) -> None:
    with lock.locked_by_first(tmp_path / "a", first=False, of_first=lambda refused: None):
        assert not (tmp_path / "a").exists()
    word = InputError("another run")
    with (
        pytest.raises(InputError, match="another run"),
        lock.locked_by_first(tmp_path / "a", first=False, of_first=lambda refused: word),
    ):
        pass
    with lock.locked_by_first(tmp_path / "a", first=True, of_first=lambda refused: refused):
        assert "another command" in take(tmp_path / "a")


def test_one_process_may_hold_a_folder_twice(tmp_path: Path) -> None:
    with locked(tmp_path):
        with locked(tmp_path):
            pass
        assert "another command" in take(tmp_path)
    assert take(tmp_path) == "held"


def test_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No module, or a file system that knows none: the run goes on without."""
    monkeypatch.setattr(lock, "_fcntl", lambda: None)
    with locked(tmp_path) as found:
        assert not found and not (tmp_path / NAME).exists()
    assert run(tmp_path / "run", make_settings(epochs=1)).progress.finished


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="cannot be written"), locked(folder):
            pass


def test_a_name_has_a_lock_of_its_own(tmp_path: Path) -> None:
    """Several commands share the work in a folder: what one holds, another is told of in its own words."""
    with locked(tmp_path, name=".A36O.lock"):
        with locked(tmp_path, name=".E66F.lock"):
            assert sorted(item.name for item in tmp_path.iterdir()) == [".A36O.lock", ".E66F.lock"]
        assert take(tmp_path) == "held", "the folder itself is free"
        again = TAKER.replace("Path(sys.argv[1])", "Path(sys.argv[1]), name='.A36O.lock', reason='busy', remedy='wait'")
        done = subprocess.run([sys.executable, "-c", again, str(tmp_path)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == f"{tmp_path}: busy (process {os.getpid()}); wait"
    assert not list(tmp_path.iterdir())


def test_a_held_lock_is_told_from_other_faults(tmp_path: Path) -> None:
    process, child = hold(tmp_path)
    try:
        with pytest.raises(Held, match="another page"), locked(tmp_path, reason="another page"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_a_lock_is_no_way_to_another_file(tmp_path: Path) -> None:
    """A link, a dangling one, another name of a file and a file of another kind in the place of the lock."""
    precious = tmp_path / "precious"
    precious.write_text("dear")
    for name, make in (
        ("link", lambda place: place.symlink_to(precious)),
        ("dangling", lambda place: place.symlink_to(tmp_path / "none")),
        ("second-name", lambda place: os.link(precious, place)),
        ("foreign", lambda place: place.write_text("not a number")),
    ):
        folder = tmp_path / name
        folder.mkdir()
        make(folder / NAME)
        before = os.lstat(folder / NAME).st_size
        with pytest.raises(InputError, match=r"\.lock") as refused, locked(folder):
            raise AssertionError("never reached")
        assert refused.value.remedy and os.lstat(folder / NAME).st_size == before
    assert precious.read_text() == "dear" and not (tmp_path / "none").exists()
    (tmp_path / NAME).write_text("12345\n")  # left by a killed process
    with locked(tmp_path):
        assert (tmp_path / NAME).read_text() == f"{os.getpid()}\n"


def test_a_full_disk_is_said_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is given back, and nothing of it stays."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(lock.os, "write", full)
        with (
            pytest.raises(InputError, match=r"\.lock: cannot be written \(No space left on device\)"),
            locked(tmp_path),
        ):
            pass
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path) as taken:
        assert taken
