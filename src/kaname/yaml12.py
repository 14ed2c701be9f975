"""YAML text to plain values and back by the rules of YAML 1.2: ``no`` is a word, ``1:30`` is not ninety."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

from kaname.errors import InputError

# YAML 1.2's core schema, without its octal and hexadecimal numbers: tag, pattern, possible first characters.
RESOLVERS = (
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9]+$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$",
        "-+.0123456789",
    ),
)

DEPTH_LIMIT = 50


def parse_yaml(text: str, *, path: Path | str | None = None, lines: dict[str, int] | None = None) -> Any:
    """YAML text to plain values; errors carry the line, and ``lines`` is filled with each dotted key's line."""
    import yaml

    try:
        loader = _strict_loader()(text)
        node = loader.get_single_node()
        if lines is not None and isinstance(node, yaml.MappingNode):
            lines |= _key_lines(node)
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML ({error.problem})", path=path, row=line, remedy="correct the line") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"not valid YAML ({reason})", path=path, remedy="write plain `key: value` lines") from error


def _key_lines(node: Any, prefix: str = "") -> dict[str, int]:
    lines: dict[str, int] = {}
    for key, value in node.value:
        if isinstance(key.value, str):
            lines[f"{prefix}{key.value}"] = key.start_mark.line + 1
            if value.id == "mapping":
                lines |= _key_lines(value, f"{prefix}{key.value}.")
    return lines


def _strict_loader() -> type:
    import yaml

    class Loader(yaml.SafeLoader):
        """Scalars as YAML 1.2's core schema has them; duplicate keys and keys that are not words are refused."""

        depth = 0
        yaml_implicit_resolvers: typing.ClassVar[dict[str, Any]] = {}

        def fetch_flow_collection_start(self, TokenClass: Any) -> None:
            if self.flow_level > DEPTH_LIMIT:  # before the scanner has looked a thousand brackets ahead
                raise yaml.MarkedYAMLError(None, None, "nested too deeply", self.get_mark())
            super().fetch_flow_collection_start(TokenClass)

        def compose_node(self, parent: Any, index: Any) -> Any:
            mark = self.peek_event().start_mark
            if self.check_event(yaml.AliasEvent):  # they allow endless and exploding files
                raise yaml.MarkedYAMLError(None, None, "aliases are not allowed", mark)
            self.depth += 1
            if self.depth > DEPTH_LIMIT:
                raise yaml.MarkedYAMLError(None, None, "nested too deeply", mark)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key.value, str):
                    raise yaml.MarkedYAMLError(None, None, "a key must be a word", key.start_mark)
                if key.value in seen:
                    raise yaml.MarkedYAMLError(None, None, f"duplicate key {key.value!r}", key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    for tag, pattern, first in RESOLVERS:
        Loader.add_implicit_resolver(tag, re.compile(pattern), list(first))

    def integer(loader: Any, node: Any) -> int:
        return int(loader.construct_scalar(node))  # PyYAML would read 010 as octal

    Loader.add_constructor("tag:yaml.org,2002:int", integer)
    return Loader


def write_yaml(data: Any) -> str:
    """Plain values as YAML text that :func:`parse_yaml` reads as equal values."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes text that YAML 1.1 or YAML 1.2 would read as something else."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_str(self, data: str) -> Any:
            style = None if data.isprintable() else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, Dumper.represent_str)
    for tag, pattern, first in RESOLVERS:
        Dumper.add_implicit_resolver(tag, re.compile(pattern), list(first))
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True)
