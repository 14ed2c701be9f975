"""Every step of every user, on the disk before the page hears that it counts.

A user has one file of JSON lines, ``<folder>/<user>.jsonl``. A line is ``{"image", "face", "do", "id", ...}``, and
``do`` is one of:

- ``start``: a draft begins with a ``state``; the file it began from has the digest ``base`` and says ``clean``;
- ``state``: the face is so from now on;
- ``undo``, ``redo``;
- ``saved``: the face's file holds the ``state`` and has the digest ``base`` now;
- ``note``: nothing but an ``id``;
- ``end``: there is no draft any more.

Reading the lines again gives the drafts again. A last line without an end was never acknowledged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaname.apps.annotation.album import Key
from kaname.apps.annotation.face import Face
from kaname.errors import InputError
from kaname.files import no_link, whole_file, writing

STEPS = 500  # that can be undone


@dataclass
class Draft:
    """What a user did to one face.

    Attributes:
        base: digest of the face's file when it was last read or written; empty without a file.
        clean: what that file holds.
        states: the face after each step, the first before any.
        place: which of them holds.
        ids: of the steps, the last one last.
    """

    base: str
    clean: Face
    states: list[Face]
    place: int = 0
    ids: list[str] = field(default_factory=list)

    @property
    def now(self) -> Face:
        """The face as it is."""
        return self.states[self.place]

    @property
    def dirty(self) -> bool:
        """Whether the file says something else."""
        return self.now != self.clean

    def take(self, entry: Mapping[str, Any]) -> None:
        """One line of the journal."""
        do = entry["do"]
        if do == "state":
            del self.states[self.place + 1 :]
            self.states = [*self.states[-STEPS:], Face.from_dict(entry["state"])]
            self.place = len(self.states) - 1
        elif do in {"undo", "redo"}:
            self.place = min(max(self.place + (1 if do == "redo" else -1), 0), len(self.states) - 1)
        elif do == "saved":
            self.states[self.place] = Face.from_dict(entry["state"])
            self.base, self.clean = entry["base"], self.now
        elif do != "note":
            raise ValueError(f"no step: {do!r}")
        self.ids = [*self.ids[-STEPS:], entry["id"]]


class Journal:
    """The drafts of one user, and the file that keeps them.

    Args:
        path: of the file; it is made with the first step.

    Raises:
        InputError: a line that is no step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.drafts: dict[Key, Draft] = {}
        if path.exists():
            self._read()

    def keep(self, key: Key, *entries: Mapping[str, Any]) -> Draft | None:
        """Write steps, bring them to the disk, and only then take them.

        Returns:
            The draft as it is then; None where it ended.

        Raises:
            InputError: they cannot be written; nothing has changed then.
        """
        lines = [{"image": key[0], "face": key[1], **entry} for entry in entries]
        self._append("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
        for line in lines:
            self._take(line)
        return self.drafts.get(key)

    def tidy(self) -> None:
        """Forget what the files say already; the file becomes as short as it can be."""
        self.drafts = {key: draft for key, draft in self.drafts.items() if draft.dirty}
        if not self.drafts:
            self.path.unlink(missing_ok=True)
            return
        with whole_file(self.path, durable=True) as file:
            for (image, face), draft in self.drafts.items():
                for entry in _lines(draft):
                    file.write(json.dumps({"image": image, "face": face, **entry}, ensure_ascii=False) + "\n")

    def _append(self, data: bytes) -> None:
        new = not self.path.exists()
        with writing(self.path, reason="the journal cannot be written", remedy="free space; nothing was kept"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = no_link(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                before = os.fstat(handle).st_size
                try:
                    if os.write(handle, data) != len(data):
                        raise OSError("only a part was written")
                    os.fsync(handle)
                except OSError:
                    os.ftruncate(handle, before)  # half a line would spoil the next one
                    raise
            finally:
                os.close(handle)
            if new and os.name == "posix":
                folder = os.open(self.path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def _read(self) -> None:
        with writing(self.path, reason="cannot be read", remedy="check its permissions"):
            data = self.path.read_bytes()
        whole, _, torn = data.rpartition(b"\n")
        for row, line in enumerate(whole.split(b"\n") if whole else [], start=1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                remedy = "move this file away to start without it; saved annotations are elsewhere"
                raise InputError("not a step of the journal", path=self.path, row=row, remedy=remedy) from error
        if torn:  # was never acknowledged; the next line must not be glued to it
            with writing(self.path), open(self.path, "r+b", opener=no_link) as file:
                file.truncate(len(data) - len(torn))

    def _take(self, entry: Mapping[str, Any]) -> None:
        key = (str(entry["image"]), int(entry["face"]))
        if entry["do"] == "start":
            clean, state = Face.from_dict(entry["clean"]), Face.from_dict(entry["state"])
            self.drafts[key] = Draft(str(entry["base"]), clean, [state])
        elif entry["do"] == "end":
            self.drafts.pop(key, None)
        else:
            self.drafts[key].take(entry)


def started(base: str, face: Face, clean: Face) -> dict[str, Any]:
    """The line that begins a draft."""
    return {"do": "start", "base": base, "clean": clean.to_dict(), "state": face.to_dict(), "id": ""}


def _lines(draft: Draft) -> Iterable[dict[str, Any]]:
    """The fewest lines that give this draft again, with its steps back."""
    yield started(draft.base, draft.states[0], draft.clean)
    for face in draft.states[1:]:
        yield {"do": "state", "state": face.to_dict(), "id": ""}
    for _ in range(len(draft.states) - 1 - draft.place):
        yield {"do": "undo", "id": ""}
    yield {"do": "note", "id": draft.ids[-1]}  # a page that is still open goes on from the last step it knows
