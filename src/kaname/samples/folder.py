"""The folder of a rendered data set: whole under its final name, or not there."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError


@contextlib.contextmanager
def new_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """The folder to write into: it becomes ``out`` when everything is in it, and goes away where that fails.

    An empty folder that is there already is written into directly, because it may be a mount or somebody's own place.

    Raises:
        InputError: ``out`` is a file or holds something.
    """
    out = Path(os.path.abspath(out))
    if out.is_symlink() and not out.exists():
        raise InputError("a link to nowhere", path=out, remedy="name a new folder")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        kind = "the folder is not empty" if out.is_dir() else "not a folder"
        raise InputError(kind, path=out, remedy="name a new folder, or empty this one first")
    there = out.exists()
    folder = out if there else out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        if not there:
            folder.rename(out)
    except BaseException:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not there and folder.is_dir():
            folder.rmdir()
        raise
