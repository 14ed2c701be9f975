"""At a final name stands the whole file or folder, or what stood there before."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kaname.errors import InputError
from kaname.files import no_link, partial_name, sweep, whole_file, whole_folder, whole_path, write_text, writing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_at_the_end_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")
    with whole_file(path, durable=True) as file:
        file.write("ä\r\nb\n")
        file.flush()
        assert path.read_text() == "before" and names(tmp_path) == [f".a.csv.{os.getpid()}.partial", "a.csv"]
    assert path.read_bytes() == "ä\r\nb\n".encode() and names(tmp_path) == ["a.csv"]
    with whole_file(tmp_path / "deep" / "b", "wb", parents=True) as file:
        file.write(b"\n")
    assert (tmp_path / "deep" / "b").read_bytes() == b"\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("x"), OSError(28, "No space left on device")])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    write_text(tmp_path / "a", "before")
    with pytest.raises((KeyboardInterrupt, ValueError)) as caught, whole_path(tmp_path / "a", ending=".x") as partial:
        partial.write_text("half")
        raise error
    assert (tmp_path / "a").read_text() == "before" and names(tmp_path) == ["a"]
    if isinstance(error, OSError):
        assert str(caught.value).startswith(f"{tmp_path / 'a'}: cannot be written (No space left on device); free ")


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "a", tmp_path / "folder", tmp_path / "file" / "a"):
        wanted = pytest.raises(InputError, match=r"cannot be written \(.+\); try it")
        with wanted as caught, whole_file(path, remedy="try it") as file:
            file.write("x")
        assert caught.value.path == str(path) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be written"), writing(tmp_path):
        raise OSError("odd")
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("name", ["n" * 250, "ü" * 125, "n" * 240 + ".json"])
def test_long_names(tmp_path: Path, name: str) -> None:
    with whole_file(tmp_path / name) as one, whole_file(tmp_path / (name[:-1] + "x")) as other:
        one.write("1")
        other.write("2")
    assert (tmp_path / name).read_text() == "1" and (tmp_path / (name[:-1] + "x")).read_text() == "2"


def test_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("the user's")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_text(tmp_path / "link", "new")
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "the user's"


def test_threads_do_not_share_a_partial() -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(partial_name("a")))
    thread.start()
    thread.join()
    assert found[0] != partial_name("a") and found[0].endswith(".partial")


def test_a_writer_clears_what_its_killed_predecessors_left(tmp_path: Path) -> None:
    """Those of the same name alone, and not what another living process is writing."""
    long = "n" * 180 + ".json"
    dead, living = 2**22 + 1, os.getppid()
    for name in ("points.json", "other.json", long):
        for process in (dead, living):
            (tmp_path / partial_name(name).replace(str(os.getpid()), str(process))).touch()
    (tmp_path / f".points.json.{dead}-77.partial.mp4").touch()
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    (tmp_path / f".points.json.{dead + 1}.partial").touch()  # just written: perhaps by another machine
    write_text(tmp_path / "points.json", "{}")
    write_text(tmp_path / long, "{}")
    left = [name for name in names(tmp_path) if name.endswith("partial") or "mp4" in name]
    assert [name for name in left if str(dead) in name] == [f".other.json.{dead}.partial"]
    assert f".points.json.{dead + 1}.partial" in left
    assert len([name for name in left if str(living) in name]) == 3


def test_sweep(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    living = os.getppid()
    dead = [f".a.{gone.pid}.partial", f".a.{gone.pid}-140.partial", f".b.{gone.pid}.partial.mp4", ".log.csv.partial"]
    kept = [f".a.{living}.partial", f".b.{living}-7.partial.onnx", "mine.partial", ".partial", ".a.partially", "a"]
    for name in [*dead, *kept, f".own.{os.getpid()}.partial", f".huge.{'9' * 30}.partial"]:
        (tmp_path / name).touch()
    (tmp_path / f".folder.{gone.pid}.partial" / "deep").mkdir(parents=True)
    (tmp_path / f".folder.{gone.pid}.partial" / "deep" / "a").touch()
    sweep(tmp_path)
    assert names(tmp_path) == sorted(kept)


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_whole_or_not_there(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "deep" / "out"
    if there:
        out.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt), whole_folder(out) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b.txt").touch()
        (folder / "c.txt").touch()
        raise KeyboardInterrupt
    assert out.exists() == there and not [path for path in out.parent.iterdir() if path != out]
    assert not there or not list(out.iterdir())
    (out.parent / partial_name("out")).mkdir()
    (out.parent / partial_name("out") / "stale").touch()
    with whole_folder(out) as folder:
        (folder / "c.txt").touch()
    if there:
        sweep(out.parent)
    assert names(out) == ["c.txt"] and names(out.parent) == ["out"]


@pytest.mark.parametrize("there", [True, False])
def test_what_fails_in_a_folder_is_named_by_its_place(tmp_path: Path, there: bool) -> None:
    """Not by the place where it was being written, which is gone."""
    out = tmp_path / "out"
    if there:
        out.mkdir()
    with pytest.raises(InputError) as caught, whole_folder(out) as folder:
        raise InputError("cannot be written", path=folder / "images" / "1.jpg")
    assert caught.value.path == str(out / "images" / "1.jpg")


def test_what_is_in_a_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    for path, words in (
        (tmp_path, "not empty"), (tmp_path / "a.txt", "not a folder"), (tmp_path / "nowhere", "a broken link"),
        (tmp_path / "a.txt" / "b", "cannot be written"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words), whole_folder(path):
            raise AssertionError("never reached")
    assert names(tmp_path) == ["a.txt", "nowhere"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """Members of the kind: a link to a file, one to nothing, one to a link, a pipe, a link in the way of a partial."""
    precious = tmp_path / "precious"
    precious.write_text("dear")
    (tmp_path / "once").symlink_to(precious)
    (tmp_path / "twice").symlink_to("once")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("once", "link"), ("twice", "link"), ("nowhere", "link"), ("pipe", "ordinary|such device")):
        for mode in ("w", "a", "r+", "r+b"):
            with (
                pytest.raises(OSError, match=f"(?i){reason}"),
                open(tmp_path / name, mode, opener=no_link) as file,
            ):
                file.write("spoilt" if "b" not in mode else b"spoilt")
    (tmp_path / partial_name("a.txt")).symlink_to(precious)
    write_text(tmp_path / "a.txt", "new")
    (tmp_path / f"{partial_name('b.txt')}.txt").symlink_to(tmp_path / "none")
    with whole_path(tmp_path / "b.txt", ending=".txt") as partial:
        partial.write_text("new")
    assert precious.read_text() == "dear" and not (tmp_path / "none").exists()
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == "new"
    with open(tmp_path / "own", "w", opener=no_link) as file:
        file.write("long")
    with open(tmp_path / "own", "w", opener=no_link) as file:
        file.write("new")
    assert (tmp_path / "own").read_text() == "new"


FILLER = """
import sys, time
from pathlib import Path
from kaname.files import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "a").mkdir()
    (folder / "a" / "b.txt").touch()
    print(flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_made_again_after_a_kill(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
    process = subprocess.Popen([sys.executable, "-c", FILLER, str(out)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    if there:
        with pytest.raises(InputError, match=f"process {process.pid} is writing"), whole_folder(out):
            raise AssertionError("never reached")
    process.kill()
    process.communicate()
    with whole_folder(out) as folder:
        (folder / "c.txt").touch()
    assert names(out) == ["c.txt"]
    if there:  # what somebody has put beside the unfinished stays
        (out / "c.txt").rename(out / "mine.txt")
        with pytest.raises(InputError, match="not empty"), whole_folder(out):
            raise AssertionError("never reached")
