"""Help as plain text. Written here because the library's own help loads a terminal renderer for a third of a second."""

from __future__ import annotations

import importlib
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any


def listing(usage: str, summary: str, entries: Mapping[str, str], heading: str = "Commands") -> str:
    """Help of a command that has sub-commands."""
    rows = [*sorted(entries.items()), ("--help, -h", "Display this message and exit.")]
    return "\n".join([f"Usage: {usage}", "", summary, "", f"{heading}:", *_columns(rows), ""])


def command(words: Sequence[str], target: str) -> str:
    """Help of one verb from its function's annotations; ``target`` is its "module:function"."""
    positional: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    for argument in arguments(target):
        text = _describe(argument)
        names = [flag for flag in argument.names if flag.startswith("-")]
        if names:
            options.append((", ".join(dict.fromkeys(names)), text))
        else:
            positional.append((argument.name.upper(), text))
    summary = (_function(target).__doc__ or "").strip().split("\n")[0]
    usage = " ".join(["kaname", *words, *(["[OPTIONS]"] if options else []), *(f"[{row[0]}...]" for row in positional)])
    lines = [f"Usage: {usage}", "", summary, ""]
    if positional:
        lines += ["Arguments:", *_columns(positional), ""]
    options += [("--traceback", "Show where an error comes from."), ("--help, -h", "Display this message and exit.")]
    return "\n".join([*lines, "Options:", *_columns(options), ""])


def arguments(target: str) -> list[Any]:
    """What a command takes and its help shows, as cyclopts' arguments; ``target`` is its "module:function"."""
    from cyclopts import App

    single = App(name="single", default_command=_function(target))
    return [argument for argument in single.assemble_argument_collection(parse_docstring=False) if argument.show]


def _function(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _describe(argument: Any) -> str:
    text = str(argument.parameter.help or "")
    choices = argument.get_choices()
    if choices:
        text += f" [{'|'.join(str(choice) for choice in choices)}]"
    default = argument.field_info.default
    if argument.required:
        text += " [required]"
    elif default not in (None, False, argument.field_info.empty, ()) and not argument.children:
        text += f" [default: {default}]"
    return text.strip()


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = min(34, max(len(name) for name, _ in rows) + 2)
    screen = max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
    lines: list[str] = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, screen - width - 2) or [""]
        if len(name) >= width:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name:<{width}}{wrapped.pop(0)}".rstrip())
        lines += [" " * (width + 2) + line for line in wrapped if line]
    return lines
