"""What the users of a page do: each has steps of their own, kept in a journal, and all save into one folder."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kaname.apps.annotation.album import Album, Key, Missing
from kaname.apps.annotation.face import Face, changed, with_proposals
from kaname.apps.annotation.journal import Draft, Journal, started
from kaname.apps.annotation.proposals import Proposals
from kaname.errors import InputError

JOURNALS = ".annotate"
MOST_FACES = 99
GONE_AFTER = 100.0  # seconds; a page tells every 15 that it is there, one in the background once a minute
USER = re.compile(r"[0-9a-f]{32}")


class Conflict(InputError):
    """What the page knows is older than what is here."""


class Project:
    """The steps of all users.

    Args:
        album: images and annotations.
        proposals: of a model, where there is one.

    Raises:
        InputError: a journal that cannot be read.
    """

    def __init__(self, album: Album, proposals: Proposals | None = None) -> None:
        self.album, self.proposals = album, proposals
        self._lock = threading.RLock()
        self._journals: dict[str, Journal] = {}
        self._seen: dict[str, float] = {}
        for path in sorted((album.output_dir / JOURNALS).glob("*.jsonl")):
            self._journal(path.stem).tidy()

    def unsaved(self) -> int:
        """How many faces have steps that are in no file."""
        return sum(draft.dirty for journal in self._journals.values() for draft in journal.drafts.values())

    def view(self, user: str, key: Key) -> dict[str, Any]:
        """All that the page shows of a face.

        Raises:
            Missing: no such image, or a face that is neither there nor the next one.
        """
        image, face = key
        if self.proposals is not None and not self.album.finished(image):
            self.proposals.points(image, None)  # takes a while: before anybody has to wait for it
        with self._lock:
            draft, kept, size = self._draft(user, key), self.album.kept(key), self.album.size(image)
            now = draft.now if draft else self._start(key)
            return {
                **self.album.place(image),
                "image": image,
                "face": face,
                "faces": sorted({*self._faces(user, image), face, 1}),
                "size": {"height": size[0], "width": size[1]},
                "state": now.to_dict(),
                "version": self._version(key, draft),
                "dirty": draft.dirty if draft else False,
                "undo": draft is not None and draft.place > 0,
                "redo": draft is not None and draft.place < len(draft.states) - 1,
                "saved": "" if kept is None else ("finished" if kept.annotation.finished else "unfinished"),
                "file": None if kept is None else kept.name,
                "score": None if self.proposals is None else self.proposals.score(image),
                "warning": self._warning(key, draft),
                "others": self.here(user, key),
            }

    def here(self, user: str, key: Key) -> bool:
        """The user is still there; whether steps of somebody who is gone are to be offered for this face."""
        with self._lock:
            draft = self._draft(user, key)
            return not (draft is not None and draft.dirty) and self._left_behind(user, key) is not None

    def act(self, user: str, key: Key, after: str, step: str, action: Mapping[str, Any]) -> None:
        """Take one step; it is in the journal when this returns.

        Args:
            user: who.
            key: which face.
            after: the version that the page has shown.
            step: the step's own name; the same step twice counts once.
            action: what `kaname.apps.annotation.face.changed` understands, or of the kind ``undo``, ``redo``,
                ``propose`` (ask the model again), ``revert`` (back to the file) or ``adopt`` (go on with steps that a
                lost session left).

        Raises:
            Conflict: the face has changed since.
            InputError: an action that is none, or the disk is full.
        """
        with self._lock:
            journal, draft = self._journal(user), self._draft(user, key)
            if draft is not None and step in draft.ids:
                return
            self._check_version(key, draft, after)
            kind = action.get("kind")
            if kind == "adopt":
                self._adopt(user, key, step)
            elif kind in {"revert", "undo", "redo"}:
                if draft is not None:
                    journal.keep(key, {"do": "end" if kind == "revert" else kind, "id": step})
            else:
                size = self.album.size(key[0])
                now = draft.now if draft is not None else self._start(key)
                if kind == "propose":
                    now = with_proposals(now, self._proposed(key, now), size)
                else:
                    now = changed(now, action, size, self.album.skeleton)
                begin = [] if draft is not None else [self._begin(key)]
                journal.keep(key, *begin, {"do": "state", "state": now.to_dict(), "id": step})

    def save(self, user: str, key: Key, after: str, step: str, *, finish: bool, force: bool = False) -> str:
        """Write the face's file.

        Args:
            user: who.
            key: which face.
            after: the version that the page has shown.
            step: the step's own name.
            finish: whether it counts as finished, if all of its points are placed or absent. Otherwise it is left for
                later: an unfinished file says so, and a finished one is not touched.
            force: whether what somebody else saved meanwhile is replaced.

        Returns:
            What happened, in words; empty where nothing had to be done.

        Raises:
            Conflict: the face has changed since, or somebody else has saved it.
        """
        with self._lock:
            journal, draft, kept = self._journal(user), self._draft(user, key), self.album.kept(key)
            if draft is not None and step in draft.ids:
                return "saved"
            self._check_version(key, draft, after)
            stale = draft is not None and draft.base != self.album.digest(key)
            if not finish and (draft is None or not draft.dirty):
                return ""
            if not finish and (stale or (kept is not None and kept.annotation.finished)):
                return "your changes are kept, but not saved"
            if stale and not force:
                raise Conflict(
                    "somebody else has saved this face since you began", remedy="look at theirs, or replace it"
                )
            now = draft.now if draft is not None else self._start(key)
            begin = [] if draft is not None else [self._begin(key)]
            said = self.album.write(key, now, finish=finish)
            if finish:
                now = replace(now, proposed=frozenset())  # whoever saves a face has looked at it
            kept = {"do": "saved", "base": self.album.digest(key), "state": now.to_dict(), "id": step}
            journal.keep(key, *begin, kept)
            return said

    def _adopt(self, user: str, key: Key, step: str) -> None:
        found = self._left_behind(user, key)
        if found is None:
            raise Conflict("these steps are not there any more", remedy="reload the page")
        other, draft = found
        states = [{"do": "state", "state": state.to_dict(), "id": ""} for state in draft.states[1 : draft.place]]
        last = {"do": "state", "state": draft.now.to_dict(), "id": step}
        self._journal(user).keep(key, started(draft.base, draft.states[0], draft.clean), *states, last)
        self._journal(other).keep(key, {"do": "end", "id": ""})

    def _left_behind(self, user: str, key: Key) -> tuple[str, Draft] | None:
        """Steps of somebody who is gone, perhaps of this user in a browser that lost its cookie."""
        for other, journal in self._journals.items():
            draft = journal.drafts.get(key)
            gone = other != user and time.monotonic() - self._seen.get(other, -math.inf) >= GONE_AFTER
            if gone and draft is not None and draft.dirty:
                return other, draft
        return None

    def _start(self, key: Key) -> Face:
        """The face as its file has it; what is missing there is proposed, if there is a model."""
        now = self.album.saved(key)
        known = key[1] == 1 or now.box is not None  # the whole image shows the first face alone
        if self.proposals is None or not now.left or not known:
            return now
        return with_proposals(now, self._proposed(key, now), self.album.size(key[0]))

    def _proposed(self, key: Key, now: Face) -> Any:
        if self.proposals is None:
            raise InputError("there is no model to propose points", remedy="start the page with --model")
        return self.proposals.points(key[0], now.box)

    def _begin(self, key: Key) -> dict[str, Any]:
        return started(self.album.digest(key), self._start(key), self.album.saved(key))

    def _draft(self, user: str, key: Key) -> Draft | None:
        """The user's draft; one that says nothing new gives way to a newer file.

        Raises:
            Missing: no such image, or a face that is neither there nor the next one.
        """
        self.album.path(key[0])
        if not 1 <= key[1] <= min(max(self._faces(user, key[0]), default=1) + 1, MOST_FACES):
            raise Missing(f"no face {key[1]} of {key[0]}", remedy="choose one of its faces")
        self._seen[user] = time.monotonic()
        draft = self._journal(user).drafts.get(key)
        if draft is not None and not draft.dirty and draft.base != self.album.digest(key):
            return self._journal(user).keep(key, {"do": "end", "id": ""})
        return draft

    def _check_version(self, key: Key, draft: Draft | None, after: str) -> None:
        if after != self._version(key, draft):
            raise Conflict("this face was changed in another window", remedy="look at it again")

    def _version(self, key: Key, draft: Draft | None) -> str:
        return draft.ids[-1] if draft is not None and draft.ids else f"file:{self.album.digest(key)}"

    def _warning(self, key: Key, draft: Draft | None) -> str:
        kept, size = self.album.kept(key), self.album.size(key[0])
        if draft is not None and draft.dirty and draft.base != self.album.digest(key):
            return "Somebody else has saved this face since you began. Save replaces their work, Revert shows it."
        if kept is not None and tuple(kept.annotation.size) != size:
            was = f"{kept.annotation.size[1]} x {kept.annotation.size[0]}"
            return f"The file was made for an image of {was}, this one has {size[1]} x {size[0]}: check every point."
        return ""

    def _faces(self, user: str, image: str) -> list[int]:
        mine = [face for (name, face) in self._journal(user).drafts if name == image]
        return sorted({*self.album.faces(image), *mine})

    def _journal(self, user: str) -> Journal:
        if user not in self._journals:
            if not USER.fullmatch(user):
                raise InputError("not the name of a user", remedy="reload the page")
            self._journals[user] = Journal(self.album.output_dir / JOURNALS / f"{user}.jsonl")
        return self._journals[user]
