"""Flags that are made from configuration keys."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pytest
from cyclopts import App

from kaname.errors import InputError
from kaname.pipeline.key_flags import KeyFlags


@dataclass(frozen=True)
class Head:
    """A section.

    Attributes:
        grid: rows and columns.
        kind: ``wide`` or ``narrow``.
        names: of what is drawn.
    """

    grid: tuple[int, int] | None = None
    kind: Literal["wide", "narrow"] = "wide"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """A configuration.

    Attributes:
        root: folder of the data.
        held: keep it as it is.
    """

    root: Path = Path("data")
    held: bool = False
    head: Head = field(default_factory=Head)


class Flags(KeyFlags, schema=Config, renamed={"--data-root --data": "root", "--held": "held"}, head="grid kind names"):
    """Some flags."""


def given(*words: str) -> dict[str, Any]:
    """What arrives of such words, by key."""
    app, found = App(result_action="return_value"), list[Flags]()

    @app.default
    def command(*, flags: Flags = Flags()) -> None:  # noqa: B008
        found.append(flags)

    app(list(words), exit_on_error=False, print_error=False)
    return {key: value for key, value in found[0].keys().items() if value is not None}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {}),
        ("--data there", {"root": Path("there")}),
        ("--data-root there", {"root": Path("there")}),
        ("--held", {"held": True}),
        ("--no-held", {"held": False}),
        ("--grid 18,10", {"head.grid": [18, 10]}),
        ("--grid 18x10", {"head.grid": [18, 10]}),
        ("--kind narrow", {"head.kind": "narrow"}),
        ("--names a b", {"head.names": ["a", "b"]}),
    ],
)
def test_words_arrive_under_their_keys(words: str, expected: dict[str, Any]) -> None:
    assert given(*words.split()) == expected


def test_a_flag_takes_what_its_key_takes() -> None:
    with pytest.raises(Exception, match="--kind"):
        given("--kind", "round")


def test_what_a_flag_is_is_said_at_its_key() -> None:
    helps = {entry.name: Flags.__annotations__[entry.name].__metadata__[0].help for entry in fields(Flags)}
    assert helps["grid"] == "Rows and columns." and helps["kind"] == "wide or narrow.", "a word of code stays as it is"
    assert list(helps) == ["grid", "kind", "names", "data_root", "held"]
    assert Flags.flag_keys()["data_root"] == "root"


def test_a_key_that_is_none() -> None:
    with pytest.raises(KeyError):

        class _(KeyFlags, schema=Config, head="depth"):
            """No such key."""


@pytest.mark.parametrize("words", ["18", "1,2,3", "", "1,", "a,b", "1,["])
def test_numbers_that_are_none(words: str) -> None:
    with pytest.raises(InputError, match=r"2 numbers, got|not valid YAML"):
        given("--grid", words)
