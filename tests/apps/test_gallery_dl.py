"""How gallery-dl is asked, where a stand-in for a site cannot bring it about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kaname.apps import gallery_dl
from kaname.apps.galleries import GALLERIES
from kaname.apps.gallery_dl import Account, Client, Manners
from kaname.errors import InputError


def client() -> Client:
    gallery = GALLERIES["safebooru"]
    return Client("gallery-dl", gallery, gallery.root, "solo", Account(), Manners(0.0, 1, 30.0))


@pytest.mark.parametrize(("printed", "calls"), [([[], ["[]"]], 2), ([["[]"]], 1)])
def test_who_is_stopped_before_a_word_is_asked_once_more(
    printed: list[list[str]], calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second signal may come while it prints what it has."""
    asked: list[list[str]] = []

    def run(
        _: Client, options: Any, words: list[str], line: Callable[[str], None], stop: Callable[[str], bool], **__: Any
    ) -> list[str]:
        for said in [gallery_dl._EMPTY] * gallery_dl._EMPTY_TIMES:
            stop(said)
        for each in printed[len(asked)]:
            line(each)
        asked.append(words)
        return []

    monkeypatch.setattr(Client, "_run", run)
    assert client().page(None) == [] and len(asked) == calls


def test_who_says_nothing_by_itself_is_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "_run", lambda *_, **__: [])
    with pytest.raises(InputError, match="listed no posts that can be read"):
        client().page(None)
