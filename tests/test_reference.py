"""docs/commands.md and docs/configuration.md are what the code gives, and the guide's links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import typing
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kaname.recipes import RECIPES, recipe_of
from kaname.schema import explained, keys

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / ".ci" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = load_generator()


@pytest.mark.parametrize("name", REFERENCE.PAGES)
def test_the_page_is_what_the_code_gives(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == REFERENCE.PAGES[name](), "run `make format`"


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_key_is_there_and_explained(recipe: str) -> None:
    page = REFERENCE.configurations().split(f"\n## {recipe}\n")[1].split("\n## ")[0]
    rows = {row.split("`")[1]: row.split(" | ")[1] for row in page.splitlines() if row.startswith("| `")}
    every = list(keys(recipe_of(recipe).schema.value))
    assert set(rows) == {key for key in every if not any(other.startswith(f"{key}.") for other in every)}
    assert not [key for key, text in rows.items() if not text.strip()]


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_a_key_is_stands_alone(recipe: str) -> None:
    """A flag's help is read without the section and without the key above: "of cross-entropy" says nothing there."""
    leaning = (
        r"(of|it|its|they|the same|so|at most|by|in|as|default:)\b|.*\b(that (size|file)|here and below|of these)\b"
    )
    found = []

    def visit(schema: Any) -> None:
        found.extend((schema.__name__, name, text) for name, text in explained(schema).items())
        for kind in typing.get_type_hints(schema).values():
            if is_dataclass(kind):
                visit(kind)

    visit(recipe_of(recipe).schema.value)
    assert len(found) > 30 and not [row for row in found if re.match(leaning, row[2])]


def test_flags_stand_beside_the_keys_they_are_aliases_of() -> None:
    assert REFERENCE.flags_of("gauge")["train.lr"] == REFERENCE.flags_of("tracknet")["training.lr"] == "--lr"


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            lost.append(target)
    assert not lost
