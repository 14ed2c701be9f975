"""Help: every option of every command says what it does."""

from __future__ import annotations

import pytest

from kaname import cli, helping
from kaname.recipes import RECIPES, recipe_of, target_of

TARGETS = {name: target for name, (target, _) in cli.COMMANDS.items()} | {
    f"{recipe} {verb}": target_of(recipe, verb) for recipe in RECIPES for verb in recipe_of(recipe).verbs
}


@pytest.mark.parametrize("words", TARGETS)
def test_every_option_is_described(words: str) -> None:
    found = [(argument.name, (argument.parameter.help or "").strip()) for argument in helping.arguments(TARGETS[words])]
    assert not [name for name, text in found if not text]
    assert all(text.endswith(".") for _, text in found)


def test_only_where_it_is_taken_an_export_is_named() -> None:
    """``export`` refuses .onnx files, so its help must not offer them; the others take them."""
    for verb, taken in (("export", False), ("predict", True), ("evaluate", True), ("validate", True)):
        (text,) = (
            argument.parameter.help
            for argument in helping.arguments(TARGETS[f"gauge {verb}"])
            if "--checkpoint" in argument.names
        )
        assert (".onnx" in text) is taken, verb
