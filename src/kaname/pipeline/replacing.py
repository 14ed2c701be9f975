"""Nothing is replaced without a word: what a folder of predictions or pictures was made of, and of which files it
consists. No torch.

A hidden record lies beside the results. The same again (the same sources, model and settings) replaces what it made;
anything else is refused, or with ``--overwrite`` replaces the whole of it. What no record names is never removed.

    record = record_of(out, "predict", {"sources": files}, checkpoint)
    with results(record, [out / "points.json"], overwrite=False):
        ...                               # write into out, by kaname.files
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.files import noting
from kaname.pipeline.records import ANOTHER, Record


def record_of(out: Path, verb: str, settings: Mapping[str, Any], model: Path | None = None) -> Record:
    """The record of what ``verb`` makes in a folder.

    Args:
        settings: what it is made of, besides the ``model``; paths in lists count by their names. None is left out, and
            a single path: it says where something is now.
    """
    settings = {name: value for name, value in settings.items() if value is not None and not isinstance(value, Path)}
    plain = json.loads(json.dumps(dict(settings), default=str))
    return Record(out / f".kaname-{verb}.json", {} if model is None else {"model": model}, plain)


def refuse_others(record: Record, targets: Sequence[Path], *, overwrite: bool) -> dict[str, Any] | None:
    """The record that is there; call it before anything that takes time.

    Args:
        targets: files that are only there where something was made.

    Raises:
        InputError: without ``overwrite``, where the folder holds what was made of something else.
    """
    stored, folder = record.stored(), record.path.parent
    if overwrite:
        return stored
    if stored is not None and (other := record.differences(stored)):
        raise InputError(f"this folder holds results made with {other}", path=folder, remedy=ANOTHER)
    if stored is None and (there := [path for path in targets if path.exists()]):
        reason = f"this folder holds {there[0].name}, and nothing says what it was made of"
        raise InputError(reason, path=folder, remedy=ANOTHER)
    return stored


@contextlib.contextmanager
def results(record: Record, targets: Sequence[Path], *, overwrite: bool) -> Iterator[None]:
    """Make results in the record's folder; those of something else are refused, or replaced as a whole.

    Results are what this process writes below the folder by `kaname.files`, as every writer here does; what another
    program puts there or changes meanwhile is not named by the record, and so never removed. Where the work fails
    halfway, the record names the old files and the new ones, and the same command replaces all.

    Raises:
        InputError: see `refuse_others`.
    """
    stored, folder = refuse_others(record, targets, overwrite=overwrite), record.path.parent
    other = stored is not None and bool(record.differences(stored))
    known = {folder / name for name in (stored or {}).get("results", {})}
    done = False
    with noting() as noted:
        try:
            yield
            done = True
        finally:
            written = {path for path in _below(folder, noted) if path.is_file()}
            if written:
                if done and other:
                    remove(known - written)
                    known = set()
                record.write(sorted(path for path in known | written if path.is_file()))


@contextlib.contextmanager
def drawing(record: Record, *, overwrite: bool) -> Iterator[Callable[[str], Path]]:
    """Draw pictures into the record's folder: yields what gives the path of a picture by its name.

    Raises:
        InputError: see `refuse_others`; also where a picture would replace a file that no record names, even with
            ``overwrite``: it may be the photograph itself.
    """
    stored, folder = refuse_others(record, [], overwrite=overwrite), record.path.parent
    known = {folder / name for name in (stored or {}).get("results", {})}
    written: dict[Path, None] = {}
    done = False

    def place_of(name: str) -> Path:
        path = folder / name
        if path not in known and path not in written and path.exists():
            reason = "this file would be replaced by its picture, and no record says that it is one"
            raise InputError(reason, path=path, remedy="choose another --out-dir")
        written[path] = None
        return path

    try:
        yield place_of
        done = True
    finally:
        there = [path for path in written if path.is_file()]
        if done:
            remove(known - set(there))
        if there:
            record.write(sorted(there if done else {*there, *(path for path in known if path.is_file())}))


def remove(files: set[Path]) -> None:
    """Remove files of earlier results, and the folders that are empty then."""
    for path in files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        with contextlib.suppress(OSError):  # it holds something else
            folder.rmdir()


def _below(folder: Path, paths: set[Path]) -> Iterator[Path]:
    """Those of absolute paths that lie below a folder, as the folder's path has it; hidden files are left out."""
    for path in paths:
        with contextlib.suppress(ValueError):
            inside = path.relative_to(os.path.abspath(folder))
            if not path.name.startswith("."):
                yield folder / inside
