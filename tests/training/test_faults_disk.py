"""Disks that are full or may only be read, folders that vanish: the last good state is named, whole and resumable."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kaname import files
from kaname.errors import InputError
from kaname.inference import checkpoint
from kaname.training import journal
from training.faulty import at, memory_runs_out
from training.tiny_task import make_settings, run, same_runs


@pytest.mark.parametrize("after", [0, 1])
def test_a_folder_that_vanishes(tmp_path: Path, after: int) -> None:
    def vanish(rows: Any) -> None:
        if len(rows) > after:
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(InputError, match=r"cannot be written \(No such file or directory\).*run is gone$"):
        run(tmp_path / "run", make_settings(epochs=3), after_epoch=vanish)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(InputError, match=r"cannot be written|Not a directory") as caught:
            run(folder, make_settings())
        assert caught.value.path == str(folder) and caught.value.remedy


def goes_on(folder: Path, reference: Path, caught: InputError, *, saved: int) -> None:
    """The old state is named, whole, and the start of the same run."""
    kept = f"the last good state is {folder / 'last.pt'}, step {saved}"
    assert str(caught).endswith(kept) and caught.path and "\n" not in str(caught)
    assert int(checkpoint.load(folder / "last.pt").card["trained"]["step"]) == saved
    left = [path for path in folder.iterdir() if "partial" in path.name]
    assert not left
    run(folder, make_settings(), resume="auto")
    assert not same_runs(reference, folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["last.pt", "model.pt", "run.log", "log.csv"])
def test_a_full_disk(tmp_path: Path, whole: Callable[..., Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own "No space left on device", in each of the files that a run writes."""
    folder, settings, full = tmp_path / "run", make_settings(), set[str]()

    def cut_off(rows: Any) -> None:
        if len(rows) == (2 if name == "last.pt" else 1):  # last.pt is written right after this, the others later
            full.add(name)

    def filling(write: Callable[..., Any]) -> Callable[..., Any]:
        """Systems that allocate late tell it when a file is synchronised; one that is appended to cannot be opened."""

        def writing(path: Any, *rest: Any, **named: Any) -> Any:
            if any(one in Path(path).name for one in full):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
            return write(path, *rest, **named)

        return writing

    monkeypatch.setattr(files, "_to_disk", filling(files._to_disk))
    monkeypatch.setattr(journal, "no_link", filling(journal.no_link))
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); free space") as caught:
        run(folder, settings, after_epoch=cut_off)
    full.clear()
    goes_on(folder, whole(settings), caught.value, saved=6)


def test_a_limit_on_the_size_of_files(tmp_path: Path, whole: Callable[..., Path]) -> None:
    """A quota: torch's own writer stops in the middle and complains about something else."""
    folder, settings = tmp_path / "run", make_settings()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(rows: Any) -> None:
        if len(rows) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))

    try:
        with pytest.raises(InputError, match=r"last\.pt: cannot be written \(File too large\)") as caught:
            run(folder, settings, after_epoch=limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    goes_on(folder, whole(settings), caught.value, saved=6)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def test_a_disk_that_fills_up(disk: Path, whole: Callable[..., Path]) -> None:
    settings = make_settings()

    def fill(rows: Any) -> None:
        if len(rows) == 2:
            with pytest.raises(OSError, match="No space left"):
                (disk / "other").write_bytes(b"x" * 10**6)

    with pytest.raises(
        InputError, match=r"cannot be written \(No space left on device\); free space or choose"
    ) as caught:
        run(disk / "run", settings, after_epoch=fill)
    (disk / "other").unlink()
    goes_on(disk / "run", whole(settings), caught.value, saved=6)


def test_a_disk_that_may_only_be_read(disk: Path, whole: Callable[..., Path]) -> None:
    settings = make_settings()
    with pytest.raises(InputError, match="out of memory"):
        run(disk / "run", settings, noise=False, step=at(4, memory_runs_out))
    before = (disk / "run" / "last.pt").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for folder in (disk / "run", disk / "new"):
        with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)") as caught:
            run(folder, settings, noise=False, resume="auto")
        assert caught.value.path and str(disk) in caught.value.path
    assert (disk / "run" / "last.pt").read_bytes() == before
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    run(disk / "run", settings, noise=False, resume="auto")
    assert not same_runs(whole(settings, noise=False), disk / "run")
