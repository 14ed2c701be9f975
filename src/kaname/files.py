"""Writing files and folders whole: a final name holds all of the new content, or what it held before. No torch.

What is being written lies beside its final name as ``.NAME.PID.partial`` (``.NAME.PID.partial.mp4`` for libraries that
go by the ending), so that the last step is a rename within one file system. A failure or an interrupt removes it, and
:func:`sweep` removes what a killed process left. A link at the final name is replaced, never followed; files that are
opened where they lie, locks and journals, are opened through :func:`no_link`.

Own code, because the libraries for it promise less: its author abandoned atomicwrites in favour of
``os.replace``, and fsspec's transactions write into the system's temporary folder and copy across file systems. Neither
writes folders, hands a path to libraries that open files themselves, or finds again what a killed process left.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import glob
import hashlib
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from kaname.errors import InputError

REMEDY = "free space or choose another folder"
RESTING = 10.0  # seconds
LONGEST = 100  # bytes of a name that are repeated in its partial's: file systems allow 143 to 255 in all
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_noted: list[tuple[set[Path], Callable[[Path], object]]] = []
_PARTIAL = re.compile(r"\.(.+?)(?:\.(\d+)(?:-\d+)?)?\.partial(?:\.\w+)?")  # the name, and the process


@contextlib.contextmanager
def writing(path: Path, *, reason: str = "cannot be written", remedy: str = REMEDY) -> Iterator[Path]:
    """Turn a failed write of ``path`` into one clear line."""
    try:
        yield path
    except OSError as error:
        raise InputError(f"{reason} ({error.strerror or error})", path=path, remedy=remedy) from error


def no_link(path: str | os.PathLike[str], flags: int, mode: int = 0o644) -> int:
    """`os.open` of a file that is written where it lies, which must be a file and no link: writing through one would
    change, empty or make a file elsewhere. Also an ``opener`` for `open`.

    Raises:
        OSError: as `os.open`; what lies there is a link, a pipe or another thing that is no file.
    """
    if os.path.islink(path):  # where there is no O_NOFOLLOW, and for an error that says what it is
        raise OSError(errno.ELOOP, "a link, through which nothing is written", os.fspath(path))
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its reader
    handle = os.open(path, (flags & ~os.O_TRUNC) | careful, mode)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not an ordinary file", os.fspath(path))
        if flags & os.O_TRUNC:
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path with ``~`` as the home folder; of a user who is not known, or has none, it stays as it is."""
    return Path(os.path.expanduser(path))  # Path.expanduser would raise


def content_hash(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits.

    Raises:
        InputError: it cannot be read.
    """
    state = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                state.update(part)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the file") from error
    return state.hexdigest()


@contextlib.contextmanager
def whole_path(
    path: Path, *, ending: str = "", parents: bool = False, durable: bool = False, remedy: str = REMEDY
) -> Iterator[Path]:
    """The path to write to so that the file becomes ``path`` at the end, for libraries that open files themselves.

    Args:
        path: the final name.
        ending: of the path that is given, such as ``".onnx"``.
        parents: whether missing folders are made.
        durable: whether the file is on the disk before it gets its name, so that it survives a power cut; this takes
            milliseconds.
        remedy: what to do where it cannot be written.

    Raises:
        InputError: it cannot be written; ``path`` is what it was before.
    """
    partial = path.with_name(partial_name(path.name) + ending)
    try:
        with writing(path, remedy=remedy):
            if parents:
                path.parent.mkdir(parents=True, exist_ok=True)
            _remove(partial)  # of a killed process that had our number, or a link, which libraries would follow
            yield partial
            if durable:
                _to_disk(partial, os.O_RDWR)
            os.replace(partial, path)
        _note(path)
        for left in _left_in(path.parent.absolute()).pop(_repeated(path.name), ()):
            if _rests(left):
                _remove(left)
        if durable:
            with contextlib.suppress(OSError):  # not every system synchronises folders
                _to_disk(path.parent, os.O_RDONLY)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def noting(tell: Callable[[Path], object] = lambda path: None) -> Iterator[set[Path]]:
    """The absolute paths of all that this process writes by this module while the context is open, as it comes.

    What other processes write meanwhile, in the same folders too, is not among them.

    Args:
        tell: hears of each path when it is new.
    """
    noted: set[Path] = set()
    _noted.append((noted, tell))
    try:
        yield noted
    finally:
        _noted[:] = [one for one in _noted if one[0] is not noted]


def _note(*paths: Path) -> None:
    for noted, tell in list(_noted):
        for path in {Path(os.path.abspath(path)) for path in paths} - noted:
            noted.add(path)
            tell(path)


@contextlib.contextmanager
def whole_file(
    path: Path, mode: str = "w", *, parents: bool = False, durable: bool = False, remedy: str = REMEDY
) -> Iterator[IO[Any]]:
    """An open file that becomes ``path`` at the end: UTF-8 text with its line ends as they are, or bytes (``"wb"``).

    The arguments and the error are those of :func:`whole_path`.
    """
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    with (
        whole_path(path, parents=parents, durable=durable, remedy=remedy) as partial,
        partial.open(mode.replace("w", "x"), encoding=encoding, newline=newline) as file,
    ):
        yield file


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all; missing folders are made."""
    with whole_file(path, parents=True) as file:
        file.write(text)


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The folder to write into: it becomes ``path`` when everything is in it, and goes away where that fails.

    An existing empty folder stays, because it may be a mount: the new one is made in it, and what it holds moves up at
    the end. What killed processes left there unfinished goes away.

    Raises:
        InputError: ``path`` is a file or holds something, another process is writing it, or it cannot be written.
    """
    out = Path(os.path.abspath(path))
    if out.is_symlink() and not out.exists():
        raise InputError("a broken link", path=out, remedy="name a new folder")
    there = out.exists()
    if there:
        _refuse_full(out)
    folder = (out / partial_name(out.name)) if there else out.with_name(partial_name(out.name))
    try:
        with writing(out):
            if not there:
                for left in _left_in(out.parent).pop(_repeated(out.name), ()):
                    if all(_rests(path) for path in (left, *left.rglob("*"))):
                        _remove(left)
            _remove(folder)  # of a killed process that had our number
            folder.mkdir(parents=True)
            yield folder
            if there:
                for item in sorted(folder.iterdir()):
                    item.rename(out / item.name)
                folder.rmdir()
            else:
                folder.rename(out)
        _note(*out.rglob("*"))
    except BaseException as error:
        _remove(folder)
        if isinstance(error, InputError) and error.path is not None and Path(error.path).is_relative_to(folder):
            error.path = os.fspath(out / Path(error.path).relative_to(folder))  # where it would have been
        raise


def _refuse_full(folder: Path) -> None:
    """Refuse a folder that holds something else than what killed processes were making in it, which is removed."""
    remedy = "name a new folder, or empty this one first"
    if not folder.is_dir():
        raise InputError("not a folder", path=folder, remedy=remedy)
    with writing(folder):
        items = {item: _PARTIAL.fullmatch(item.name) for item in folder.iterdir()}
    own = {item: match for item, match in items.items() if match and match[1] == _repeated(folder.name)}
    if len(own) < len(items):
        raise InputError("the folder is not empty", path=folder, remedy=remedy)
    for item, match in own.items():
        if match[2] and _lives(int(match[2])):
            raise InputError(f"process {match[2]} is writing this folder", path=folder, remedy="wait until it ends")
        _remove(item)


def sweep(folder: Path, stem: str = "") -> None:
    """Remove what killed processes left half-written directly in ``folder``; what another living process writes stays.

    Call it before this process writes there: files with its own number count as left behind.

    Args:
        stem: only files of this name, whatever their ending; for folders that several machines write into.
    """
    for item in folder.glob(f".{glob.escape(stem)}.*.partial*" if stem else ".*.partial*"):
        if (match := _PARTIAL.fullmatch(item.name)) and not _lives(int(match[2] or 0)):
            _remove(item)


def spreadsheet_text(name: str) -> str:
    """A name for a table of ours: one that a spreadsheet would run as a formula (``=1+1.jpg``) gets ``'`` in front."""
    return f"'{name}" if _FORMULA.match(name) else name


def name_in_table(cell: str) -> str:
    """The name that :func:`spreadsheet_text` made a cell of."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def partial_name(name: str) -> str:
    """What a file or folder of this name is called while this process writes it."""
    thread = "" if threading.current_thread() is threading.main_thread() else f"-{threading.get_ident()}"
    return f".{_repeated(name)}.{os.getpid()}{thread}.partial"


def _repeated(name: str) -> str:
    """What of a name its partial's repeats."""
    if len(whole := os.fsencode(name)) <= LONGEST:
        return name
    digest = hashlib.blake2b(whole, digest_size=8).hexdigest()
    return f"{whole[: LONGEST - 17].decode(errors='ignore')}-{digest}"


@functools.lru_cache(maxsize=256)
def _left_in(folder: Path) -> dict[str, list[Path]]:
    """What killed processes left half-written in a folder, by the name that it was for; looked at once in a process."""
    found: dict[str, list[Path]] = {}
    with contextlib.suppress(OSError):
        for item in folder.glob(".*.partial*"):
            match = _PARTIAL.fullmatch(item.name)
            process = int(match[2] or 0) if match else os.getpid()
            if match and process != os.getpid() and not _lives(process):
                found.setdefault(match[1], []).append(item)
    return found


def _rests(path: Path) -> bool:
    """Whether nobody has written to a file lately: in a shared folder its process may live on another machine."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > RESTING
    return False


def _lives(process: int) -> bool:
    """Whether another process has this number. Only POSIX can tell; elsewhere open files cannot be removed."""
    if process in (0, os.getpid()) or os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _to_disk(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
