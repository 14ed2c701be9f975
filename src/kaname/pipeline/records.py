"""One result, one record: what is finished is known, never guessed from a file that happens to be there. No torch.

A piece of work (a video) has results and a record beside them, which is written last: ``A36O_pred.txt`` and
``A36O_pred.json``. The record says what the results were made of, each file by its content, with which settings, and
how long the results are. Whoever wants the same again finds it finished; whoever wants something else is refused.

    record = Record(out / "A36O_pred.json", {"checkpoint": best, "video": movie}, {"tracker": "klt", "k": 10})
    if record.finished() is None:
        with claim(record) as alone:      # Held: another command makes it just now
            if record.finished() is None:
                ...                       # write the results by kaname.files, each whole
                record.write([out / "A36O_pred.txt"], frames=300)
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from kaname import __version__
from kaname.errors import InputError
from kaname.files import content_hash, sweep, write_text
from kaname.lock import Held, locked

FORMAT = "kaname-record"
VERSION = 1
ANOTHER = "choose another --out-dir, or replace it with --overwrite"

Content: TypeAlias = Path | Sequence[Path]
"""What a result is made of: a file, or the files of a folder."""


@dataclass(frozen=True)
class Record:
    """What a result says of itself.

    Attributes:
        path: of the record, beside its results.
        inputs: what the results depend on, by role; files count by their content, wherever they are.
        settings: whatever else they depend on; plain values.
        perhaps: roles of which only the stored record knows whether the results depend on them.
    """

    path: Path
    inputs: Mapping[str, Content]
    settings: Mapping[str, Any]
    perhaps: Container[str] = ()

    def finished(self, *, overwrite: bool = False) -> dict[str, Any] | None:
        """The stored record where its results are finished; None where they are still to be made.

        Files are taken for unchanged by their size and time, like everywhere; where these differ, by their content.

        Args:
            overwrite: what was made of something else, or with other settings, is to be made again.

        Raises:
            InputError: the results were made of something else or with other settings, and may not be replaced; or
                something other than a record is there.
        """
        stored = self.stored()
        if stored is None:
            return None
        if other := self.differences(stored):
            if overwrite:
                return None
            raise InputError(f"made with {other}", path=self.path, remedy=ANOTHER)
        return stored if all(self._there(name, size) for name, size in stored["results"].items()) else None

    def write(self, results: Sequence[Path], **facts: Any) -> dict[str, Any]:
        """Say that the results are finished: the last step of the work.

        Args:
            results: the files, in the record's folder or below it.
            facts: what else is known of them, such as ``frames``; plain values.
        """
        sizes = {one.relative_to(self.path.parent).as_posix(): one.stat().st_size for one in results}
        content = {
            "format": FORMAT, "version": VERSION, "kaname": __version__, "results": sizes,
            "inputs": {role: mark(content) for role, content in self.inputs.items()},
            "settings": dict(self.settings), **facts,
        }  # fmt: skip
        write_text(self.path, json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        return content

    def clear(self) -> None:
        """Say that the results are no longer finished: the first step of making others in their place."""
        self.path.unlink(missing_ok=True)

    @property
    def key(self) -> str:
        """A hash of all that the results depend on, this version of the program too."""
        made_of = {role: mark(content)["sha256"] for role, content in self.inputs.items()}
        return hashlib.sha256(json.dumps([__version__, made_of, self.settings], sort_keys=True).encode()).hexdigest()

    def stored(self) -> dict[str, Any] | None:
        """The record that is there, of whatever; None where there is none."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError("this record cannot be read", path=self.path, remedy=ANOTHER) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
            raise InputError("not a record of this program", path=self.path, remedy="choose another --out-dir")
        return content

    def differences(self, stored: Mapping[str, Any]) -> str:
        """Where a stored record differs from this one, in words."""
        said: list[str] = []
        for role in dict.fromkeys([*stored["inputs"], *self.inputs]):
            known, content = stored["inputs"].get(role), self.inputs.get(role)
            if known is None and role in self.perhaps:
                continue
            if known is None or content is None or not same(content, known):
                said.append(f"another {role}" + (f" ({known['name']})" if known else ""))
        own = json.loads(json.dumps(dict(self.settings)))
        return "; ".join([*said, *_differing(stored["settings"], own)])

    def _there(self, name: str, size: int) -> bool:
        try:
            return (self.path.parent / name).stat().st_size == size
        except OSError:
            return False


@contextlib.contextmanager
def claim(record: Record) -> Iterator[bool]:
    """Work on a record's results alone, across all processes that ask; what was half-written for them is removed.

    Yields whether there is a lock at all: False where the file system has none.

    Raises:
        Held: another process works on them.
    """
    folder, stem = record.path.parent, record.path.stem
    reason = f"{stem} is being made by another command"
    with locked(folder, name=f".{stem}.lock", reason=reason, remedy="wait until it ends") as alone:
        if alone:
            sweep(folder, stem)
        yield alone


def tidy(finished: Sequence[Record]) -> None:
    """Remove what processes that were killed in their last step have left beside finished results."""
    left = [path for folder in {record.path.parent for record in finished} for path in folder.glob(".*")]
    for record in finished if left else ():
        begin = str(record.path.with_name(f".{record.path.stem}."))
        if own := [path for path in left if str(path).startswith(begin)]:
            with contextlib.suppress(Held), claim(record):
                for path in own:
                    path.unlink(missing_ok=True)


def mark(content: Content) -> dict[str, Any]:
    """Files as they are: ``name``, ``files``, ``bytes``, ``changed`` (newest time in ns) and ``sha256``.

    Raises:
        InputError: one cannot be read.
    """
    files = _files(content)
    known = _stated(files)
    hashes = [(path.name, _hashed(path, *_state(path))) for path in files]
    whole = hashes[0][1] if len(hashes) == 1 else hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
    return {"name": content.name if isinstance(content, Path) else files[0].parent.name, **known, "sha256": whole}


def same(content: Content, known: Mapping[str, Any]) -> bool:
    """Whether files are those of a `mark`."""
    files = _files(content)
    stated = _stated(files)
    if stated["files"] != known.get("files") or stated["bytes"] != known.get("bytes"):
        return False
    return stated["changed"] == known.get("changed") or mark(content)["sha256"] == known.get("sha256")


def _files(content: Content) -> Sequence[Path]:
    return [content] if isinstance(content, Path) else content


def _stated(files: Sequence[Path]) -> dict[str, Any]:
    states = [_state(path) for path in files]
    changed = max((changed for changed, _ in states), default=0)
    return {"files": len(files), "bytes": sum(size for _, size in states), "changed": changed}


def _state(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the path") from error
    return facts.st_mtime_ns, facts.st_size


@functools.lru_cache(maxsize=1 << 14)
def _hashed(path: Path, *_state: Any) -> str:
    return content_hash(path)


def _differing(stored: Mapping[str, Any], own: Mapping[str, Any], within: str = "") -> list[str]:
    """Each setting that is another one: what it was, and what it is; of settings within one those alone that differ."""
    said: list[str] = []
    for key in dict.fromkeys([*own, *stored]):
        was, now = stored.get(key), own.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            said += _differing(was, now, f"{within}{key}.")
        elif was != now:
            texts = (_shown(was), _shown(now))
            if texts[0] == texts[1]:  # files of one name in other folders
                texts = (_shown(was, whole=True), _shown(now, whole=True))
            said.append(f"{within}{key} {texts[0]}, not {texts[1]}")
    return said


def _shown(value: Any, *, whole: bool = False) -> str:
    if isinstance(value, list) and value:
        names = [str(one) if whole else Path(str(one)).name for one in value[:2]]
        return f"{len(value)} ({', '.join(names)}{', ...' if len(value) > 2 else ''})"
    return "none" if value is None else "yes" if value is True else "no" if value is False else str(value)
