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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.files import no_link, noting, writing
from kaname.lock import locked
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
        Held: another process makes results there.
        InputError: see `refuse_others`.
    """
    with _alone(record):
        stored, folder = refuse_others(record, targets, overwrite=overwrite), record.path.parent
        other = stored is not None and bool(record.differences(stored))
        names = _Names(record, stored)
        known, done = names.known, False
        with noting(lambda path: [names.add(one) for one in _below(folder, [path])]) as noted:
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
                names.discard(unused=not written)


@contextlib.contextmanager
def drawing(record: Record, *, overwrite: bool) -> Iterator[Callable[[str], Path]]:
    """Draw pictures into the record's folder: yields what gives the path of a picture by its name.

    Raises:
        Held: another process draws there.
        InputError: see `refuse_others`; also where a picture would replace a file that no record names, even with
            ``overwrite``: it may be the photograph itself.
    """
    with _alone(record):
        stored, folder = refuse_others(record, [], overwrite=overwrite), record.path.parent
        names = _Names(record, stored)
        known, written, done = names.known, dict[Path, None](), False

        def place_of(name: str) -> Path:
            path = folder / name
            if path not in known and path not in written and path.exists():
                reason = "this file would be replaced by its picture, and no record says that it is one"
                raise InputError(reason, path=path, remedy="choose another --out-dir")
            if path not in written:
                names.add(path)
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
            names.discard(unused=not there)


def _alone(record: Record) -> contextlib.AbstractContextManager[bool]:
    """Two commands at once would mix their results in one folder, and each would say that it has written them."""
    reason = "another command writes its results into this folder"
    return locked(record.path.parent, name=f"{record.path.stem}.lock", reason=reason)


class _Names:
    """The names of results while they are made, in a file beside the record: a process that is killed writes none.

    Attributes:
        known: results of the record that was there, and of whoever was killed.
    """

    def __init__(self, record: Record, stored: Mapping[str, Any] | None) -> None:
        self.record, self.fresh, self.path = record, stored is None, record.path.with_suffix(".names")
        names = [*(stored or {}).get("results", {})]
        with contextlib.suppress(OSError):
            lines = self.path.read_text(encoding="utf-8").split("\n")
            names += [json.loads(line) for line in lines[:-1]]  # the process may have died in the last one
        self.known = {record.path.parent / name for name in names}
        self._added = False

    def add(self, path: Path) -> None:
        """A file in the record's folder; with the first one the record says what they are made of."""
        if self.fresh and not self._added:
            self.record.write([])
        self._added = True
        name = path.relative_to(self.record.path.parent).as_posix()
        with writing(self.path), open(self.path, "a", encoding="utf-8", opener=no_link) as file:
            file.write(json.dumps(name) + "\n")

    def discard(self, *, unused: bool) -> None:
        """The record says all now; or there is nothing to say."""
        if unused and self.fresh and self._added:
            self.record.clear()
        self.path.unlink(missing_ok=True)


def remove(files: set[Path]) -> None:
    """Remove files of earlier results, and the folders that are empty then."""
    for path in files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        with contextlib.suppress(OSError):  # it holds something else
            folder.rmdir()


def _below(folder: Path, paths: Iterable[Path]) -> Iterator[Path]:
    """Those of absolute paths that lie below a folder, as the folder's path has it; hidden files are left out."""
    for path in paths:
        with contextlib.suppress(ValueError):
            inside = path.relative_to(os.path.abspath(folder))
            if not path.name.startswith("."):
                yield folder / inside
