"""Writes docs/commands.md and docs/configuration.md from the code, and the table of docs/guide/models.md; with
``--check`` it only says which are out of date.

The commands come from what ``--help`` shows, the configuration from the recipes' dataclasses: defaults, types and the
``Attributes`` of their docstrings; the table from the facts of the shipped models. ``make format`` runs this; a test
fails where a page is not what the code gives.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from kaname import cli, helping
from kaname.pipeline.flags import TrainFlags
from kaname.recipes import RECIPES, recipe_of, target_of
from kaname.schema import describe_type, explained, keys, spellings
from kaname.zoo import Shipped, shipped

ROOT = Path(__file__).resolve().parent.parent
MADE = "<!-- Made by .ci/reference.py (make format). Edit the code, not this page. -->"

COMMANDS = """# All commands

Every option of every command, from the text that `--help` shows. The configuration's keys are in
[configuration.md](configuration.md).

- Options may be written with `-` or `_`: `--learning-rate` and `--learning_rate` are the same.
- `key=value` words stand anywhere after the verb. An existing path wins over a key.
- An option that is an alias of a key: give one of the two. Both with different values is an error.
- `--help`, `-h` and `--traceback` (show where an error comes from) work everywhere.
- Exit codes: 0 done; 2 bad usage or bad input; 1 a fault of Kaname's own; 130 (Ctrl-C) and 143 (SIGTERM) interrupted,
  with the state saved.
"""
CONFIGURATION = """# All configuration keys

Every key of every recipe with its type and its default. `train` takes them in four places, the later wins: the
default below, the preset of the chosen network, a YAML file (`--config FILE`), `key=value` on the command line. A flag
is an alias of a key.

- A **preset** is a file of `configs/RECIPE`. `--backbone small` brings that of its name, with the rates, sizes and
  epochs that suit that network, `--init zoo` the preset `zoo` for weights of a shipped model, whose own settings win
  over it; `--config NAME` takes any of them by name.
- `kaname RECIPE train --print-config ...` prints the configuration that a call would use, and of each value where it
  came from: `default`, `preset small`, the file's name, `key=value` or `flag`.
- Every run writes its own to `config.yaml`. That file is complete: `train --config config.yaml` takes it.
- An unknown key or a value of the wrong type is an error that names the file, the line and the nearest key.
- The column *flag* holds the flags that all recipes share. A recipe's own flags are in [commands.md](commands.md).
"""


def commands() -> str:
    """The page of all commands."""
    lines = [MADE, "", COMMANDS, "## General commands", ""]
    for name, (target, _) in cli.COMMANDS.items():
        lines += _command([name], target)
    for name in RECIPES:
        recipe = recipe_of(name)
        lines += [f"## {name}", "", recipe.summary, ""]
        for verb in recipe.verbs:
            lines += _command([name, verb], target_of(name, verb))
    return "\n".join(lines).rstrip() + "\n"


def _command(words: Sequence[str], target: str) -> Iterator[str]:
    entries = helping.entries(target)
    yield from (f"### `kaname {' '.join(words)}`", "", helping.summary(target), "")
    yield from ("```", helping.usage(words, entries), "```", "")
    if entries:
        yield from ("| option | what it does | values | default |", "|---|---|---|---|")
    for entry in entries:
        names = ", ".join(f"`{name}`" for name in entry.names)
        default = "**required**" if entry.required else entry.default and f"`{entry.default}`"
        yield _row(names, entry.text, ", ".join(f"`{choice}`" for choice in entry.choices), default)
    if entries:
        yield ""


def configurations() -> str:
    """The page of all keys."""
    lines = [MADE, "", CONFIGURATION]
    for name in RECIPES:
        schema = recipe_of(name).schema.value
        lines += [f"## {name}", "", _paragraph(schema), ""]
        lines += _section(schema(), "", flags_of(name), spellings(schema))
    return "\n".join(lines).rstrip() + "\n"


def flags_of(recipe: str) -> dict[str, str]:
    """The recipe's keys that common flags are aliases of, with these flags."""
    schema = recipe_of(recipe).schema.value
    loop = next(key for key in keys(schema) if key.endswith(".batch_size")).partition(".")[0]
    others = spellings(schema)
    flags: dict[str, str] = {}
    for own in list(TrainFlags().keys()):
        section, _, name = own.partition(".")
        key = f"{loop if section == 'train' else section}.{name}"
        flags[others.get(key, key)] = f"--{name.replace('_', '-')}"
    return flags


def _section(value: Any, prefix: str, flags: Mapping[str, str], others: Mapping[str, str]) -> Iterator[str]:
    """A table of a dataclass's own keys with the defaults that stand in ``value``, then its sections."""
    schema = type(value)
    hints = typing.get_type_hints(schema)
    texts = explained(schema)
    plain = [entry for entry in fields(schema) if not is_dataclass(hints[entry.name])]
    if plain:
        if prefix:
            section = prefix.rstrip(".")
            lead = f"{_paragraph(schema)}{_also(section, others)}".strip()
            yield from (f"### `{section}`", "", *([lead, ""] if lead else []))
        yield from ("| key | what it is | type | default | flag |", "|---|---|---|---|---|")
        for entry in plain:
            key = f"{prefix}{entry.name}"
            text = _markdown(texts.get(entry.name, "")) + _also(key, others)
            flag = f"`{flags[key]}`" if key in flags else ""
            yield _row(f"`{key}`", text, _type(hints[entry.name]), f"`{_default(getattr(value, entry.name))}`", flag)
        yield ""
    for entry in fields(schema):
        if is_dataclass(hints[entry.name]):
            yield from _section(getattr(value, entry.name), f"{prefix}{entry.name}.", flags, others)


def _type(kind: Any) -> str:
    if kind is Any:
        return "a word or a mapping"
    text = describe_type(kind).replace("a list of a whole number or text", "a list of whole numbers or texts")
    return text.replace("a list of a whole number", "a list of whole numbers")


def _default(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(str, value))}]"
    text = {None: "null", True: "true", False: "false", "": "''"} if isinstance(value, (bool, str, type(None))) else {}
    return text.get(value, str(value))


def _also(key: str, others: Mapping[str, str]) -> str:
    names = ", ".join(f"`{other}`" for other, meant in others.items() if meant == key)
    return f" Also: {names}." if names else ""


def _paragraph(schema: type) -> str:
    """The docstring up to its ``Attributes``, without what only readers of the code need."""
    text = inspect.cleandoc(schema.__doc__ or "").partition("Attributes:\n")[0]
    sentences = re.split(r"(?<=[.;])\s+", " ".join(text.split()))
    kept = " ".join(one for one in sentences if not re.search("Attributes|dataclass", one))
    return _markdown(re.sub(";$", ".", kept))


def _markdown(text: str) -> str:
    return text.replace("``", "`")


def _row(*cells: str) -> str:
    return "".join(f"| {text} " if (text := cell.replace("|", "\\|")) else "| " for cell in cells) + "|"


def models() -> str:
    """The page of shipped models: as it is, with the table between its marks made anew."""
    text = (ROOT / "docs" / "guide" / "models.md").read_text(encoding="utf-8")
    before, mark, rest = text.partition("<!-- models: made by .ci/reference.py from src/kaname/zoo -->\n")
    _, end, after = rest.partition("<!-- /models -->")
    return "".join([before, mark, "\n".join(_models(shipped(ROOT / "src" / "kaname" / "zoo"))), "\n", end, after])


def _models(known: Mapping[str, Shipped]) -> Iterator[str]:
    if not known:
        yield "No models are shipped with this version."
        return
    yield from (
        "| model | recipe | input | parameters | `.pt`, `.onnx` | trained on | licence |",
        "|---|---|---|---:|---:|---|---|",
    )
    for name, model in known.items():
        facts = model.facts
        height, width = facts["input_size"]
        frames = f"{facts['frames']} frames of " if facts.get("frames", 1) > 1 else ""
        sizes = ", ".join(f"{facts['bytes'][ending] / 1e6:.1f} MB" for ending in ("pt", "onnx"))
        yield _row(f"`{name}`", model.recipe, f"{frames}{width} x {height}", f"{facts['parameters']:,}", sizes,
                   facts["trained_on"], facts["licence"])  # fmt: skip
    yield from ("", "| model | figures |", "|---|---|")
    for name, model in known.items():
        for line in model.figures() or ["not measured"]:
            yield _row(f"`{name}`", line)


PAGES = {"docs/commands.md": commands, "docs/configuration.md": configurations, "docs/guide/models.md": models}


def main(words: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` name those that differ; the exit code says whether any did."""
    stale = 0
    for name, made in PAGES.items():
        path, text = ROOT / name, made()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in words:
            print(f"{name} is not what the code gives; run `make format`")
            stale = 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{name} written")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
