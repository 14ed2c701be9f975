"""One process at a time on a folder or on one piece of work in it, by a lock that dies with the process that holds it.

The lock is a POSIX record lock on ``<folder>/.lock``, or on another name in there. It belongs to the process: forked or
spawned loader processes do not inherit it, and the system takes it away however the process ends, so that a killed run
resumes at once. The file itself means nothing and may be left behind.

The library filelock is not used: it leaves its file behind in every run's folder, cannot say which process holds the
folder, and where a file system has no locks it falls back to a file that outlives a killed process.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.files import no_link, writing

NAME = ".lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
# Locks of this process by file: its descriptor and how many hold it. Closing any descriptor of the file would release
# the lock, so a file has one.
_held: dict[Path, list[int]] = {}


class Held(InputError):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(
    folder: Path,
    *,
    name: str = NAME,
    reason: str = "another command works in this folder",
    remedy: str = "wait until it ends, or choose another --out-dir",
) -> Iterator[bool]:
    """Lock ``folder`` (which is made) against all other processes that ask for the same ``name`` in it.

    Yields whether there is a lock: False where the platform or the file system has none. A folder that was made for
    this and is still empty at the end is removed.

    Args:
        name: of the file that is locked.
        reason, remedy: what is said where another process holds it.

    Raises:
        Held: another process holds the lock.
        InputError: the folder cannot be written to.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve() / name
    try:
        taken = _take(place, folder, reason, remedy)
        try:
            yield taken
        finally:
            _release(place)
    finally:
        for empty in made:
            with contextlib.suppress(OSError):
                empty.rmdir()


@contextlib.contextmanager
def locked_by_first(folder: Path, *, first: bool, of_first: Callable[[Any], Any]) -> Iterator[None]:
    """Lock ``folder`` in the ``first`` process of a training run; where that fails, all of them raise the same error.

    ``of_first`` gives every process the first one's value.
    """
    with contextlib.ExitStack() as held:
        refused: InputError | None = None
        if first:
            try:
                held.enter_context(locked(folder, reason="another run trains into this folder"))
            except InputError as error:
                refused = error
        refused = of_first(refused)
        if refused is not None:
            raise refused
        yield


def _take(place: Path, folder: Path, reason: str, remedy: str) -> bool:
    fcntl = _fcntl()
    if fcntl is None:
        return False
    if place in _held:
        _held[place][1] += 1
        return True
    while True:
        with writing(place, remedy="remove it, or choose another folder"):
            handle = no_link(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0))
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            if error.errno in NO_LOCKS:
                return False
            whose = f" (process {other})" if other else ""
            raise Held(f"{reason}{whose}", path=folder, remedy=remedy) from error
        if _is_at(handle, place):
            break
        os.close(handle)  # its holder removed the file between our opening and our locking it
    if os.read(handle, 32).strip(b"0123456789\n"):
        os.close(handle)
        raise InputError("not a lock's file, which holds a number at most", path=place, remedy="move it away")
    _held[place] = [handle, 1]
    try:
        with writing(place):
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, f"{os.getpid()}\n".encode())
    except InputError:
        _release(place)
        raise
    return True


def _release(place: Path) -> None:
    if place not in _held:
        return
    _held[place][1] -= 1
    if _held[place][1]:
        return
    handle = _held.pop(place)[0]
    # First the name, then the lock: a file without a name cannot be mistaken for the lock's.
    with contextlib.suppress(OSError):
        place.unlink()
    os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        there, ours = path.stat(), os.fstat(handle)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _fcntl() -> Any:
    """The module, or ``None`` where the platform has none."""
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl
