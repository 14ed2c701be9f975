"""Help: every option of every command says what it does."""

from __future__ import annotations

import importlib
import inspect
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from calling import call
from kaname import cli, helping
from kaname.recipes import RECIPES, recipe_of, target_of
from kaname.schema import known_keys

TARGETS = {name: target for name, (target, _) in cli.COMMANDS.items()} | {
    f"{recipe} {verb}": target_of(recipe, verb) for recipe in RECIPES for verb in recipe_of(recipe).verbs
}


@pytest.mark.parametrize("words", TARGETS)
def test_every_option_is_described(words: str) -> None:
    found = [(argument.name, (argument.parameter.help or "").strip()) for argument in helping.arguments(TARGETS[words])]
    assert not [name for name, text in found if not text]
    assert all(text.endswith(".") for _, text in found)


@pytest.mark.parametrize("words", TARGETS)
def test_what_a_command_does_is_said_to_the_end(words: str) -> None:
    said = helping.summary(TARGETS[words])
    assert said.endswith(".") and "\n" not in said


def test_only_where_it_is_taken_an_export_is_named() -> None:
    """``export`` refuses .onnx files, so its help must not offer them; the others take them."""
    for verb, taken in (("export", False), ("predict", True), ("evaluate", True), ("validate", True)):
        (text,) = (
            argument.parameter.help
            for argument in helping.arguments(TARGETS[f"gauge {verb}"])
            if "--checkpoint" in argument.names
        )
        assert (".onnx" in text) is taken, verb


class _Asked(Exception):
    """What a command asked ``resolve`` for, by configuration key."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_option_stands_for_the_key_that_its_command_gives_it(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option of a ``train`` is given alone; the key that arrives is the one that its help takes the default of."""
    target = target_of(recipe, "train")
    module = importlib.import_module(target.partition(":")[0])
    told, known = helping.stands_for(target), known_keys(recipe_of(recipe).schema.value)

    def record(value: Any, flags: Any, overrides: Any, extra: dict[str, Any] | None = None, **_: Any) -> None:
        raise _Asked({**flags.keys(value.loop), **(extra or {})})

    monkeypatch.setattr(module, "resolve", record)
    seen = 0
    for argument in helping.arguments(target):
        key = told.get(argument.names[0])
        name = str(argument.keys[-1] if argument.keys else argument.field_info.name)
        if not key:
            continue
        with pytest.raises(_Asked) as caught:
            module.train(**_only(module.train, name, "1,2"))
        (given,) = (key for key, value in caught.value.args[0].items() if value is not None)
        spelt = tuple(given.split("."))
        assert ".".join(known.aliases.get(spelt, spelt)) == key, argument.names
        seen += 1
    assert seen > 20


def _only(function: Any, name: str, value: Any) -> dict[str, Any]:
    """The arguments of a call that gives one option, of the function itself or of one of its groups."""
    parameters = inspect.signature(function).parameters
    if name in parameters:
        return {name: value}
    groups = {own: each.default for own, each in parameters.items() if hasattr(each.default, "__dataclass_fields__")}
    (own,) = (own for own, group in groups.items() if name in group.__dataclass_fields__)
    return {own: type(groups[own])(**{name: value})}


def test_help_of_train_tells_the_defaults_in_the_order_of_need() -> None:
    text = call("gauge", "train", "--help").done().out
    usual, rare = text.split("Seldom needed:")
    places = [
        usual.index(f"  {flag}") for flag in ("--data", "--out-dir", "--config", "--backbone", "--epochs", "--lr")
    ]
    assert places == sorted(places) and "--cache-budget" in rare and "--cache-budget" not in usual
    lines = {line.split()[0].strip(","): line for line in text.splitlines() if line.startswith("  --")}
    assert "[default: 50]" in lines["--epochs"] and "[default: 0.0003]" in lines["--lr"]
    assert "[default: 0.0001]" in call("kpnet", "train", "--help").done().out
    found = {entry.names[0]: entry for entry in helping.entries(TARGETS["tracknet train"])}
    assert found["--lr"].default == "0.0005" and found["--pretrained"].default == "yes"
    assert found["--resume"].default == "" and not found["--epochs"].rare and found["--strategy"].rare


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_option_is_lost_by_its_place(recipe: str) -> None:
    target = TARGETS[f"{recipe} train"]
    lost = {argument.names[0] for argument in helping.arguments(target)}
    lost -= {entry.names[0] for entry in helping.entries(target)}
    assert lost == ({"--backbone", "--pretrained"} if recipe == "roimask" else set()), "it refuses these two"
    shown = call(recipe, "train", "--help").done().out
    assert all(entry.names[0] in shown for entry in helping.entries(target))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("kpnet predict", "--checkpoint, --out-dir are missing"),
        ("gauge predict photo.jpg --checkpoint model.pt", "--out-dir is missing"),
        ("kpnet predict photo.jpg --out found", "--checkpoint is missing"),
        ("gauge train --device", "the value of --device is missing"),
        ("gauge evaluate --ckpt", "the value of --ckpt is missing"),
        ("info", "FILE is missing"),
        ("compare a", "B is missing"),
        ("completion", "SHELL is missing"),
    ],
)
def test_what_is_missing_is_called_missing(words: str, said: str) -> None:
    assert call(*words.split()).refused(said).startswith(f"error: {said}; see `kaname ")


@pytest.mark.parametrize(
    ("words", "said", "never"),
    [
        ("gauge train --lr -1", "--lr must be positive", "train.lr"),
        ("gauge train --learning-rate -1", "--learning-rate must be positive", "train.lr"),
        ("tracknet train --lr=-1", "--lr must be positive", "training.lr"),
        ("gauge train train.lr=-1", "train.lr must be positive", "--lr"),
        ("landmark train --size 33", "--size must be a multiple of 32", "train"),
        ("gauge train --epochs 3 train.epochs=4", "train.epochs is given twice", "--epochs is"),
        ("kpnet train --image-size 4", "--image-size is 4", "image_size"),
        ("roimask train --classes 2 --dice-non-target-weight 1", "there are 2 classes", "--classes"),
    ],
)
def test_errors_speak_in_the_words_of_the_call(words: str, said: str, never: str) -> None:
    assert never not in call(*words.split()).refused(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gauge train --epochs 1.5", "--epochs must be a whole number, got 1.5"),
        ("kpnet train --video-frames=0.4 --lr 0.5", "--video-frames must be a whole number, got 0.4"),
        ("tracknet sample --out none --size 100 90.5", "--size is '100,90.5'; write a number (384), or W,H"),
        ("landmark evaluate --num-vis-samples .9", "--num-vis-samples must be a whole number, got .9"),
        ("gauge train --epochs 2.0 --lr -0.5", "--lr must be positive, got -0.5"),  # that is a whole number
    ],
)
def test_a_fraction_is_no_whole_number(words: str, said: str) -> None:
    call(*words.split()).refused(f"error: {said}")


def test_completion_in_bash(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    script = tmp_path / "kaname"
    script.write_text(call("completion", "bash").done().out, encoding="utf-8")
    (tmp_path / "photographs").mkdir()
    asked = {
        "kaname ga": "gauge", "kaname gauge tr": "train", "kaname gauge train --back": "--backbone",
        "kaname gauge train --precision b": "bf16", "kaname tracknet predict --smo": "--smooth",
        "kaname gauge train --data photo": "photographs", "kaname completion z": "zsh",
    }  # fmt: skip
    lines = [f"source {script}"]
    for words in asked:
        lines += [f"COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMPREPLY=()", "_kaname"]
        lines += ['echo "${COMPREPLY[*]}"']
    done = subprocess.run(
        [bash, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    answers = [line.split() for line in done.stdout.splitlines()]
    for (words, expected), answer in zip(asked.items(), answers, strict=True):
        assert expected in answer, (words, answer)
    assert answers[0] == ["gauge"]


def test_completion_in_zsh() -> None:
    text = call("completion", "zsh").done().out
    first, second = text.splitlines()[:2]
    assert first == "#compdef kaname" and second.startswith("# To keep it: kaname completion zsh > ")
    assert "--backbone" in text and "tracknet" in text
    zsh = shutil.which("zsh")
    if zsh is not None:
        assert subprocess.run([zsh, "-n"], input=text, text=True, check=False, timeout=60).returncode == 0
    call("completion", "fish").refused("fish", "bash", "zsh")


@pytest.mark.parametrize("words", TARGETS)
def test_a_name_stands_in_one_line(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with hyphens, --print-config and anime-face-28, are to be copied."""
    monkeypatch.setenv("COLUMNS", "60")
    broken = [line for line in helping.command(words.split(), TARGETS[words]).splitlines() if line.endswith("-")]
    assert not broken
