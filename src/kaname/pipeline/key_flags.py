"""Flags of a ``train`` that are aliases of configuration keys: what each is and takes is said once, at its key."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.schema import explained, known_keys, members
from kaname.yaml12 import parse_yaml


class KeyFlags:
    """A group of such flags: a field each, ``None`` where it is not given.

    Adding a flag: its key, in the class statement of a subclass. Type and help are those of the key; where that holds
    several numbers, they are written with a comma or an x, ``14,14`` or ``14x14``.

    Args:
        schema: the configuration.
        renamed: keys by the names of their flags, ``{"--data-root --data": "data.root"}``; the first names the field.
        sections: of each section the keys whose flags have their own name, ``loss="ce_weight tversky"``.
    """

    _keys: ClassVar[dict[str, str]]  # of each field
    _several: ClassVar[dict[str, int]]  # fields of several numbers, and of how many

    def __init_subclass__(cls, schema: type, renamed: Mapping[str, str] | None = None, **sections: str) -> None:
        own = {f"--{name.replace('_', '-')}": f"{part}.{name}" for part in sections for name in sections[part].split()}
        kinds, hints = known_keys(schema).kinds, dict[str, Any]()
        cls._keys, cls._several = {}, {}
        for words, key in {**own, **(renamed or {})}.items():
            *section, leaf = key.split(".")
            kind = kinds[(*section, leaf)]
            names = words.split()
            field = names[0].removeprefix("--").replace("-", "_")
            text = explained(kinds[tuple(section)] if section else schema)[leaf].rstrip(".")
            text = f"{text[:1].upper()}{text[1:]}.".replace("``", "")  # a word of code stays as it is written
            how: dict[str, Any] = {"name": names, "help": text}
            inner = next((one for one in members(kind) if typing.get_origin(one) is tuple), None)
            if inner is not None and typing.get_args(inner)[-1] is Ellipsis:
                kind, how = list[typing.get_args(inner)[0]], {**how, "consume_multiple": True, "negative": ()}
            elif inner is not None:
                kind = str
                cls._several[field] = len(typing.get_args(inner))
            cls._keys[field], hints[field] = key, Annotated[kind | None, Parameter(**how)]
            setattr(cls, field, None)
        cls.__annotations__ = hints
        Parameter(name="*")(dataclass(frozen=True, kw_only=True)(cls))

    def keys(self) -> dict[str, Any]:
        """Configuration key to value.

        Raises:
            InputError: other than so many numbers.
        """
        return {key: self._value(field) for field, key in self._keys.items()}

    @classmethod
    def flag_keys(cls, _section: str = "") -> dict[str, str]:
        """The key that each flag is an alias of, by its field."""
        return dict(cls._keys)

    def _value(self, field: str) -> Any:
        value = getattr(self, field)
        if field not in self._several or value is None:
            return value
        numbers, count = [parse_yaml(word) for word in re.split("[,x]", value)], self._several[field]
        if len(numbers) != count or not all(isinstance(number, (int, float)) for number in numbers):
            reason = f"--{field.replace('_', '-')} is {count} numbers, got {value!r}"
            raise InputError(reason, remedy="put a comma between them, as in 14,14")
        return numbers
