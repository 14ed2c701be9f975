"""The journal: what it has taken is there again, and half a line is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kaname.apps.annotation.face import Face
from kaname.apps.annotation.journal import Draft, Journal, started
from kaname.errors import InputError

KEY = ("furry/ä.png", 1)
EMPTY = Face.empty(3)


def place(number: int) -> dict[str, object]:
    return {"do": "state", "state": EMPTY.placed(0, (number, number)).to_dict(), "id": f"step-{number}"}


def begun(path: Path, *numbers: int) -> Journal:
    journal = Journal(path)
    journal.keep(KEY, started("", EMPTY, EMPTY), *map(place, numbers))
    return journal


def now(journal: Journal) -> Draft:
    return journal.drafts[KEY]


def test_every_step_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "user.jsonl"
    journal = begun(path, 1, 2, 3)
    journal.keep(KEY, {"do": "undo", "id": "u"})
    assert now(Journal(path)) == now(journal) and now(journal).now.places[0] == (2, 2)
    journal.keep(KEY, {"do": "redo", "id": "r"})
    assert now(Journal(path)).now.places[0] == (3, 3)
    journal.keep(KEY, {"do": "undo", "id": "u2"}, place(9))
    again = now(Journal(path))
    assert [state.places[0] for state in again.states] == [None, (1, 1), (2, 2), (9, 9)]
    assert again.ids[-1] == "step-9" and again.dirty


def test_a_step_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("disk"), sync(handle))[1])
    monkeypatch.setattr(Journal, "_take", lambda self, entry: order.append("counts"))
    Journal(tmp_path / "user.jsonl").keep(KEY, place(1))
    assert order[0] == "disk" and order[-1] == "counts"


def test_half_a_line_was_never_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "user.jsonl"
    begun(path, 1, 2)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rindex(b"\n") + 1
    for end in (last, last + 1, last + 40, len(whole) - 1):
        path.write_bytes(whole[:end])
        journal = Journal(path)
        assert now(journal).now.places[0] == (1, 1)
        journal.keep(KEY, place(7))
        assert now(Journal(path)).now.places[0] == (7, 7), "the next step is not glued to it"


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "user.jsonl"
    journal = begun(path, 1)
    before, write = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
    with pytest.raises(InputError, match="journal cannot be written"):
        journal.keep(KEY, place(2))
    monkeypatch.setattr(os, "write", write)
    assert path.read_bytes() == before and now(journal).now.places[0] == (1, 1)
    journal.keep(KEY, place(3))
    assert now(Journal(path)).now.places[0] == (3, 3)


@pytest.mark.parametrize("line", ["{}", "null", "[]", '{"image": "a", "face": 1, "do": "undo", "id": ""}', "\x00"])
def test_a_line_that_is_no_step_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "user.jsonl"
    begun(path, 1)
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="not a step") as caught:
        Journal(path)
    assert caught.value.row == 3


def test_tidying_keeps_what_no_file_says(tmp_path: Path) -> None:
    path = tmp_path / "user.jsonl"
    journal = begun(path, 1, 2)
    journal.keep(KEY, {"do": "undo", "id": "undone"})
    saved = ("b.png", 1)
    state = EMPTY.placed(0, (1, 1))
    journal.keep(saved, started("", EMPTY, EMPTY), place(1))
    journal.keep(saved, {"do": "saved", "base": "digest", "state": state.to_dict(), "id": "s"})
    before = now(Journal(path))
    tidied = Journal(path)
    tidied.tidy()
    assert set(tidied.drafts) == {KEY} and {json.loads(line)["image"] for line in path.open(encoding="utf-8")} == {
        KEY[0]
    }
    after = now(Journal(path))
    assert (after.now, after.states, after.place, after.ids[-1]) == (before.now, before.states, before.place, "undone")
    tidied.keep(KEY, {"do": "end", "id": ""})
    tidied.tidy()
    assert not path.exists()
