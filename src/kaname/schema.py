"""The keys of a configuration: a dataclass of dataclasses, the types of its fields and other spellings."""

from __future__ import annotations

import contextlib
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from kaname.errors import InputError, require

Key = tuple[str, ...]
ENTRY = re.compile(r"^(\w[\w, ]*?):(?:\s+(.*))?$")


@dataclass(frozen=True)
class Known:
    """What a schema knows: the type of each key (sections before their members) and the other spellings of keys."""

    kinds: dict[Key, Any]
    aliases: dict[Key, Key]

    def leads_on(self, key: Key) -> bool:
        """Whether a mapping under ``key`` holds further keys and is not a value itself."""
        return is_dataclass(self.kinds.get(key)) or any(alias[: len(key)] == key for alias in self.aliases)


def known_keys(schema: type) -> Known:
    """The keys of ``schema``, a dataclass of dataclasses."""
    aliases = {tuple(a.split(".")): tuple(key.split(".")) for a, key in getattr(schema, "aliases", {}).items()}
    known = Known({}, aliases)
    hints = typing.get_type_hints(schema)
    for entry in fields(schema):
        known.kinds[(entry.name,)] = kind = hints[entry.name]
        if is_dataclass(kind):
            inner = known_keys(typing.cast(type, kind))
            known.kinds.update({(entry.name, *key): value for key, value in inner.kinds.items()})
            known.aliases.update({(entry.name, *a): (entry.name, *key) for a, key in inner.aliases.items()})
            others = {name for name in getattr(kind, "section_names", ()) if name not in hints}
            known.aliases.update({(name,): (entry.name,) for name in others})
    return known


def keys(schema: type) -> Iterator[str]:
    """All dotted keys of ``schema``, sections before their members."""
    return map(".".join, known_keys(schema).kinds)


def spellings(schema: type) -> dict[str, str]:
    """The other spellings of keys and sections of ``schema``, each with the key that it stands for, dotted."""
    return {".".join(alias): ".".join(key) for alias, key in known_keys(schema).aliases.items()}


def explained(schema: type) -> dict[str, str]:
    """What the ``Attributes`` of a dataclass's docstring say, by name; ``name, other: text`` stands for both."""
    _, _, block = inspect.cleandoc(schema.__doc__ or "").partition("Attributes:\n")
    rows: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(f"\n{block}").splitlines():
        match = None if line.startswith(" ") else ENTRY.match(line)
        if match:
            names = match[1].split(", ")
            rows |= dict.fromkeys(names, match[2] or "")
        elif line.strip():
            rows |= {name: f"{rows[name]} {line.strip()}".strip() for name in names}
    return rows


def members(kind: Any) -> tuple[Any, ...]:
    """The types of a union; of another type itself alone."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def converted(value: Any, kind: Any) -> Any:
    """A plain value as the type that a field has; ``ValueError`` where it has another (5 is not text, 1 not true)."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for choice in members(kind):
            with contextlib.suppress(ValueError, OverflowError):
                return converted(value, choice)
    elif origin is typing.Literal:
        if any(type(value) is type(choice) and value == choice for choice in arguments):
            return value
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            inner = arguments[:1] * len(value) if arguments[1:] == (Ellipsis,) else arguments
            if len(inner) == len(value):
                return tuple(map(converted, value, inner))
    elif origin is dict:
        if isinstance(value, Mapping):
            return {str(key): converted(item, arguments[1]) for key, item in value.items()}
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif kind in (str, Path):
        if isinstance(value, (str, Path)):
            return kind(value)
    elif kind is Any or type(value) is kind:
        return value
    raise ValueError(value)


def sides_of(text: int | str, what: str, *, order: str = "H,W") -> tuple[int, int]:
    """Two sides in the order in which they are written: ``384``, ``540,960`` or ``540x960``.

    Args:
        what: the flag or key.
        order: what is written first, for the error.

    Raises:
        InputError: something else, or a side that is not 8..8192.

    >>> sides_of("384", "image_size"), sides_of("540x960", "image_size")
    ((384, 384), (540, 960))
    """
    match = re.fullmatch(r"\s*(\d{1,5})\s*(?:[,xX]\s*(\d{1,5}))?\s*", str(text))
    if match is None:
        raise InputError(f"{what} is {text!r}", remedy=f"write a number (384), or {order} (540,960)")
    first, second = int(match[1]), int(match[2] or match[1])
    require(8 <= first <= 8192 and 8 <= second <= 8192, f"{what} is {text!r}", "sides are 8..8192")
    return first, second


def describe_type(kind: Any) -> str:
    """A type as errors and the reference name it: ``text or null``, ``one of a, b``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(choice) for choice in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is tuple:
        if arguments and arguments[-1] is Ellipsis:
            return f"a list of {describe_type(arguments[0])}"
        return f"{len(arguments)} {'numbers' if set(arguments) <= {int, float} else 'values'}"
    names = {bool: "true or false", float: "a number", int: "a whole number", str: "text", Path: "text (a path)"}
    return "null" if kind is type(None) else names.get(kind, str(kind))
