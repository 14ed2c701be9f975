"""The journal: what it has taken is there again, and half a line is not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
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


ENDLESS = """
import sys
from pathlib import Path
from kaname.apps.annotation.face import Face
from kaname.apps.annotation.journal import Journal, started
journal, empty, number = Journal(Path(sys.argv[1])), Face.empty(3), int(sys.argv[2])
while True:
    begin = [] if journal.drafts else [started("", empty, empty)]
    state = empty.placed(0, (number, 0)).to_dict()
    journal.keep(("a.png", 1), *begin, {"do": "state", "state": state, "id": str(number)})
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("deaths", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_any_moment(tmp_path: Path, root: Path, deaths: int) -> None:
    """A process that does nothing but take steps is killed in the middle of one; no acknowledged step is missing."""
    path, chance, number, steps = tmp_path / "user.jsonl", random.Random(1), 0, 0
    for _ in range(deaths):
        running = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(path), str(number)],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root / "src")},
        )  # fmt: skip
        assert running.stdout is not None
        first = running.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        running.send_signal(signal.SIGKILL)
        told = [first, *running.stdout.read().splitlines()]
        running.wait()
        (draft,) = Journal(path).drafts.values()
        place = draft.now.places[0]
        assert place is not None and place[0] >= int(told[-1]), "what was acknowledged is there"
        assert place[0] <= int(told[-1]) + 1, "and at most the one step that was under way"
        number, steps = int(place[0]) + 1, steps + len(told)
    assert steps > deaths
